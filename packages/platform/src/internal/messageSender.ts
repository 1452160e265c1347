import type { Deflation } from "@effect-websocket/protocol/Compressor"
import type * as Connection from "@effect-websocket/protocol/Connection"
import { PayloadTooLarge, type ConnectionError } from "@effect-websocket/protocol/Errors"
import { Binary, size, type Message } from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { StreamData } from "../StreamingWebSocket.js"
import type { Timers } from "../engine/time/Timers.js"
import type { Transport } from "../Transport.js"
import type { Data, SendOptions } from "../WebSocket.js"
import type { Zlib } from "../Zlib.js"
import {
  Driver,
  outcome,
  policyViolation,
  Send,
  weight,
  type Delivered,
  type Mode,
  type Opening,
  type Resume,
  type Sender
} from "./driver.js"
import { closeCodeOf } from "./scopes.js"
import { frameSize, toMessage, toMessages, toPart, toStream } from "./sendable.js"
import type { Settings } from "../engine/Settings.js"
import { awaitCallback } from "./waiting.js"

/** A message that waits for its turn: for room, and for the end of the message that is under way. */
interface Turn {
  /** Sends it, deflated unless `compress` says otherwise. */
  readonly begin: (compress?: false) => Connection.SendError | undefined
  /** What to deflate on another thread before. */
  readonly deflation: (() => Deflation | undefined) | undefined
  readonly maxFrameSize: number | undefined
  readonly resume: Resume<void>
  /** What it weighs, where it may be dropped for a newer one. */
  readonly droppableBytes: number
  /** Whether it waits for room whatever the strategy says. */
  readonly patient: boolean
}

// Most connections never have one.
const noTurns = new Set<Turn>()
// Messages of at least this many bytes (UTF-16 units of text) are deflated on another thread.
const deflateLaterLength = 64 * 1024

/** A connection that sends messages: in the order of the calls, one at a time. */
export abstract class MessageSender<Item extends Delivered, Request = undefined>
  extends Driver<Item, Request>
  implements Sender<Data>
{
  private readonly zlib: Zlib | undefined
  private turns = noTurns
  private droppableBytes = 0
  // What has begun to send a message, and has not ended: it is being deflated, or comes from a stream.
  private underWay: object | undefined = undefined
  private cancelDeflating: (() => void) | undefined = undefined
  private failStream: ((error: ConnectionError) => void) | undefined = undefined

  constructor(
    role: "client" | "server",
    transport: Transport,
    settings: Settings,
    timers: Timers,
    opening: Opening<Request>,
    mode: Mode
  ) {
    super(role, transport, settings, timers, opening, mode)
    this.zlib = opening.deflate && settings.compression?.zlib
  }

  send(data: Data, options?: SendOptions): Effect.Effect<void, ConnectionError> {
    return new Send(this, data, options)
  }

  sendAll(data: Iterable<Data> & object, options?: SendOptions): Effect.Effect<void, ConnectionError> {
    return Effect.suspend(() => {
      const rest = toMessages(data)
      const sendRest: Effect.Effect<void, ConnectionError> = Effect.suspend(() => {
        for (let next = rest.next(); next.done !== true; next = rest.next()) {
          const sent = this.sendNow(next.value, options)
          if (sent !== Effect.void) return Effect.zipRight(sent, sendRest)
        }
        return Effect.void
      })
      return sendRest
    })
  }

  get sink(): Sink.Sink<void, Data, never, ConnectionError> {
    return Sink.forEach((data: Data) => this.send(data))
  }

  override get unsentBytes(): number {
    return this.waitingBytes + this.droppableBytes
  }

  /** `Effect.void` itself when nothing has to wait. Throws for what is no data, or a senseless option. */
  sendNow(data: Data, options: SendOptions | undefined): Effect.Effect<void, ConnectionError> {
    const { connection, settings } = this
    const message = toMessage(data)
    const compress = options?.compress
    const maxFrameSize = frameSize(options?.maxFrameSize)
    const large = this.zlib !== undefined && message.data.length >= deflateLaterLength
    const first = this.turns.size === 0 && this.underWay === undefined
    if (connection.phase !== "Open" || (first && !large && this.hasRoom())) {
      return this.sent(this.encode(message, compress, maxFrameSize))
    }
    // Before anything is deflated, queued or dropped.
    const tooLarge = this.refuseSize(message)
    if (tooLarge !== undefined) return Effect.fail(tooLarge)
    // The app's filter is asked here, so that what it throws is a defect of the fiber that sends.
    const decided = connection.compresses(message, compress)
    const deflation = large && decided ? () => connection.deflation(message, true) : undefined
    const room = first && this.hasRoom()
    if (settings.sendStrategy === "sliding" && !room) return this.slide(message, decided, large, maxFrameSize)
    if (first && !room && settings.sendStrategy !== "suspend") {
      return this.sent(this.sendToSlow(message, decided, maxFrameSize))
    }
    return this.awaitTurn(
      (uncompressed) => this.sendInTurn(message, uncompressed ?? decided, maxFrameSize),
      deflation,
      maxFrameSize
    )
  }

  private refuseSize(message: Message): PayloadTooLarge | undefined {
    const max = this.connection.maxSendBytes
    return exceeds(message, max)
      ? new PayloadTooLarge({ limit: "message", max, size: size(message), direction: "outbound" })
      : undefined
  }

  /** Whether the connection is closing or over, so that nothing can be sent. */
  get isOver(): boolean {
    return this.connection.phase !== "Open"
  }

  private encode(
    message: Message,
    compress: boolean | undefined,
    maxFrameSize: number | undefined
  ): Connection.SendError | undefined {
    return this.messageSent(this.connection.send(message, compress, maxFrameSize))
  }

  private sendInTurn(
    message: Message,
    compress: boolean | undefined,
    maxFrameSize: number | undefined
  ): Connection.SendError | undefined {
    return this.hasRoom()
      ? this.encode(message, compress, maxFrameSize)
      : this.sendToSlow(message, compress, maxFrameSize)
  }

  /** Where `send` must not wait for a peer that does not read. */
  private sendToSlow(
    message: Message,
    compress: boolean | undefined,
    maxFrameSize: number | undefined
  ): Connection.SendError | undefined {
    switch (this.connection.phase === "Open" ? this.settings.sendStrategy : "suspend") {
      case "dropping":
        return undefined
      case "close":
        this.startClosing(policyViolation, "too slow")
        break
      case "abort":
        this.cutShort()
        break
      case "suspend":
      case "sliding":
        break
    }
    return this.encode(message, compress, maxFrameSize)
  }

  /** Queues a message, and drops the oldest ones where that is too much. It is done at once, so it keeps a copy. */
  private slide(
    message: Message,
    compress: boolean,
    large: boolean,
    maxFrameSize: number | undefined
  ): Effect.Effect<void> {
    const kept = message._tag === "Text" ? message : new Binary(message.data.slice())
    const { high, low } = this.settings.sendMarks
    const maxBytes = this.budgetIsShort ? low : high
    const turn: Turn = {
      begin: (uncompressed) => this.encode(kept, uncompressed ?? compress, maxFrameSize),
      deflation: large && compress ? () => this.connection.deflation(kept, true) : undefined,
      maxFrameSize,
      resume: () => {},
      droppableBytes: weight(kept),
      patient: true
    }
    this.addTurn(turn)
    for (const oldest of this.turns) {
      if (this.droppableBytes <= maxBytes || oldest === turn) break
      // Others have a fiber that waits, or are being deflated.
      if (oldest.droppableBytes > 0 && oldest !== this.underWay) this.deleteTurn(oldest)
    }
    this.account()
    return Effect.void
  }

  private addTurn(turn: Turn): void {
    if (this.turns === noTurns) this.turns = new Set()
    this.turns.add(turn)
    this.droppableBytes += turn.droppableBytes
  }

  private deleteTurn(turn: Turn): void {
    if (this.turns.delete(turn)) this.droppableBytes -= turn.droppableBytes
  }

  private awaitTurn(
    begin: Turn["begin"],
    deflation: Turn["deflation"] = undefined,
    maxFrameSize: number | undefined = undefined,
    patient = false
  ): Effect.Effect<void, ConnectionError> {
    return awaitCallback((resume) => {
      if (this.connection.phase !== "Open") return resume(outcome(begin()))
      const turn: Turn = { begin, deflation, maxFrameSize, resume, droppableBytes: 0, patient }
      this.addTurn(turn)
      this.serve()
      return () => {
        this.deleteTurn(turn)
        if (this.underWay === turn) this.stopDeflating()
        this.serve()
      }
    })
  }

  protected override get roomAwaited(): boolean {
    return this.turns.size > 0 || super.roomAwaited
  }

  protected override serve(): void {
    for (const turn of this.turns) {
      if (this.underWay !== undefined) break
      // A strategy that does not wait has its say when the turn has come.
      if ((turn.patient || this.settings.sendStrategy === "suspend") && !this.hasRoom()) break
      if (turn.deflation === undefined) this.begin(turn)
      else this.deflateLater(turn, turn.deflation)
    }
    this.flush()
  }

  private begin(turn: Turn, compress?: false): void {
    this.complete(turn, () => turn.begin(compress))
  }

  /**
   * The turn of a message has come. This runs in callbacks of sockets, timers and zlib: what the app's zlib throws must not
   * get out of them, and is a defect of the fiber that sends.
   */
  private complete(turn: Turn, begin: () => Connection.SendError | undefined): void {
    this.deleteTurn(turn)
    let refused: Connection.SendError | undefined
    try {
      refused = begin()
    } catch (defect) {
      this.sendDied(turn, defect)
      return
    }
    // Like a message that did not wait, it is done when there is room behind it.
    turn.resume(this.sent(refused))
  }

  private sendDied(turn: Turn, defect: unknown): void {
    this.deleteTurn(turn)
    turn.resume(Effect.die(defect))
    // Nobody waits for it any more, so it can be lost only together with the connection.
    if (turn.droppableBytes > 0) this.failDeflating(defect)
  }

  private deflateLater(turn: Turn, deflation: () => Deflation | undefined): void {
    const { zlib } = this
    this.underWay = turn
    try {
      const started = deflation()
      if (started === undefined || zlib === undefined) {
        this.underWay = undefined
        this.begin(turn)
        return
      }
      const cancel = zlib.deflateLater(started.data, started.options, (deflated) => {
        // It gave up, or has called before.
        if (this.underWay !== turn) return
        this.underWay = undefined
        this.cancelDeflating = undefined
        this.complete(turn, () => this.messageSent(this.connection.sendDeflated(started, deflated, turn.maxFrameSize)))
        this.serve()
      })
      // In a function of ours, so that whatever the app's zlib returned, the next message has its turn after an interruption.
      if (this.underWay === turn) this.cancelDeflating = () => cancel()
    } catch (defect) {
      // It called back before it threw.
      if (this.underWay !== turn) return
      this.underWay = undefined
      this.sendDied(turn, defect)
    }
  }

  private stopDeflating(): void {
    const cancel = this.cancelDeflating
    if (cancel === undefined) return
    this.cancelDeflating = undefined
    this.underWay = undefined
    try {
      cancel()
    } catch {
      // An error of the app's zlib, in what nobody waits for.
    }
  }

  // Its parts wait for room whatever the strategy: none of them can be dropped.
  sendStream<E, R>(data: StreamData<E, R>): Effect.Effect<void, ConnectionError | E, R> {
    return Effect.suspend(() => {
      const { parts, tag } = toStream(data)
      const token = {}
      let ending: string | Uint8Array = tag === "Text" ? "" : emptyBytes
      let unfinished = false
      let failure: ConnectionError | undefined
      const begin = () => {
        const { refusal } = this.connection
        if (refusal === undefined) this.underWay = token
        return refusal
      }
      const takeTurn = Effect.suspend(() =>
        this.turns.size > 0 || this.underWay !== undefined || !this.hasRoom()
          ? this.awaitTurn(begin, undefined, undefined, true)
          : outcome(begin())
      )
      const sendPart = (given: string | Uint8Array) =>
        Effect.suspend(() => {
          const part = toPart(given)
          ending = typeof part === "string" ? "" : emptyBytes
          if (part.length === 0) return Effect.void
          const refused = this.encodePart(part, false)
          unfinished ||= refused === undefined
          return this.sent(refused, true)
        })
      const finish = Effect.suspend(() => {
        const refused = this.encodePart(ending, true)
        unfinished = false
        this.endStream()
        return this.sent(refused, true)
      })
      const sendAll = Effect.withFiberRuntime<void, ConnectionError | E, R>((fiber) => {
        const { refusal } = this.connection
        if (refusal !== undefined) return Effect.fail(refusal)
        this.failStream = (error) => {
          failure ??= error
          fiber.unsafeInterruptAsFork(FiberId.none)
        }
        return Effect.zipRight(Stream.runForEach(parts, sendPart), finish)
      })
      // In a fiber of its own, which the end of the connection can interrupt also where the caller cannot be interrupted; and
      // no child of the caller's, because those are interrupted with it also where it cannot be.
      const inFiber = Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.forkDaemon(Effect.interruptible(sendAll)), (fiber) => {
          const joined = Effect.flatMap(Fiber.await(fiber), () =>
            failure === undefined ? Fiber.join(fiber) : Effect.fail(failure)
          )
          return Effect.onInterrupt(restore(joined), () => Fiber.interrupt(fiber))
        })
      )
      return Effect.onExit(Effect.zipRight(takeTurn, inFiber), (exit) =>
        Effect.sync(() => {
          if (this.underWay !== token) return
          // RFC 6455 §5.4 has no way to take back what has begun, and to end it would make it look whole.
          this.endStream(unfinished && Exit.isFailure(exit) ? closeCodeOf(exit) : undefined)
        })
      )
    })
  }

  /** What waited for the end of the stream goes on; with `code`, the connection is closed instead. */
  private endStream(code?: number): void {
    this.underWay = undefined
    this.failStream = undefined
    if (code !== undefined) this.startClosing(code)
    this.serve()
  }

  private encodePart(part: string | Uint8Array, fin: boolean): Connection.SendError | undefined {
    return this.messageSent(this.connection.sendFragment(part, fin), fin)
  }

  /** Messages whose `send` is done. The one that is being deflated does not hold them up: it is sent as it is. */
  protected override sendAccepted(): void {
    this.stopDeflating()
    // Inside a message that is sent in parts there is no place for another (RFC 6455 §5.4).
    if (this.underWay !== undefined) return
    for (const turn of this.turns) {
      if (turn.droppableBytes > 0) this.begin(turn, turn.deflation && false)
    }
  }

  protected override refuseMessages(): void {
    this.stopDeflating()
    const { refusal } = this.connection
    if (refusal !== undefined) this.failStream?.(refusal)
    for (const turn of this.turns) this.begin(turn)
  }

  protected override failWaiters(error: ConnectionError): void {
    super.failWaiters(error)
    this.stopDeflating()
    this.failStream?.(error)
    const failure = Effect.fail(error)
    for (const turn of this.turns) turn.resume(failure)
    this.turns.clear()
    this.droppableBytes = 0
  }
}

/** Whether a message has more bytes. A UTF-16 unit takes at most three. */
export const exceeds = (message: Message, maxBytes: number): boolean =>
  message.data.length * (message._tag === "Text" ? 3 : 1) > maxBytes && size(message) > maxBytes

const emptyBytes = new Uint8Array(0)
