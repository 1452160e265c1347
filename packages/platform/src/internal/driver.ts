/** The only place where a `Connection` meets a `Transport`, a clock and a scope. */
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import type { Deflation } from "@effect-websocket/protocol/Compressor"
import * as Connection from "@effect-websocket/protocol/Connection"
import {
  ConnectionClosed,
  IoError,
  type ConnectionError,
  type PayloadTooLarge,
  type ProtocolError
} from "@effect-websocket/protocol/Errors"
import type { Extension } from "@effect-websocket/protocol/Extension"
import type { Agreement } from "@effect-websocket/protocol/Handshake"
import { Binary, Text, type Message } from "@effect-websocket/protocol/Message"
import type * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Option from "effect/Option"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Transport, TransportSink } from "../Transport.js"
import type { CloseStatus, Data, Handled, HandledContext, HandledError, SendOptions } from "../WebSocket.js"
import type { Zlib } from "../Zlib.js"
import { isSameBytes } from "./bytes.js"
import { Deadlines, type Deadline, type Mortal } from "./deadlines.js"
import { randomBytes, randomMaskKey } from "./random.js"
import type { Closable, Registry } from "./registry.js"
import type { Settings } from "./settings.js"
import { ofClock, type Timers } from "./timers.js"

/** What all connections of one service share. */
export interface Environment {
  readonly clock: Clock.Clock
  readonly timers: Timers
}

export const environment: Effect.Effect<Environment> = Effect.map(Effect.clock, (clock) => ({
  clock,
  timers: ofClock(clock)
}))

/** How the connection came to be. */
export interface Opening {
  readonly url: string
  readonly agreement: Agreement
  readonly deflate?: PermessageDeflate.Agreement | undefined
}

type Resume<A> = (effect: Effect.Effect<A, ConnectionError>) => void

/** A fiber that waits for room. With `encode` it has yet to send; without, it has sent and waits for the peer to read. */
interface Sender {
  readonly encode: (() => Connection.SendError | undefined) | undefined
  /** What to deflate on another thread before. */
  readonly deflation: (() => Deflation | undefined) | undefined
  readonly resume: Resume<void>
}

/** The one sender whose message is being deflated on another thread. All others that send data wait for it. */
interface Deflating {
  readonly sender: Sender
  readonly cancel: () => void
}

interface PendingPing {
  readonly payload: Uint8Array
  readonly start: bigint
  /** The answer, where it came before the fiber began to wait for it. */
  answer: Effect.Effect<Duration.Duration, ConnectionError> | undefined
  resume: Resume<Duration.Duration> | undefined
}

// Replies made in one turn are written at once; above this many bytes they do not wait for the end of the turn.
const maxFlushBytes = 64 * 1024
// What a message in the inbox weighs besides its payload, so that empty ones count too.
const messageOverhead = 64
const pingBytes = 8
// Messages of at least this many bytes (UTF-16 units of text) are deflated on another thread.
const deflateLaterLength = 64 * 1024
const controlBuffer = 16

// Connections with output that was made outside of a read; one microtask writes for all of them.
let dirty: Array<Driver> = []
const flushDirty = (): void => {
  const drivers = dirty
  dirty = []
  for (const driver of drivers) driver.flushDirty()
}
const markDirty = (driver: Driver): void => {
  if (dirty.push(driver) === 1) queueMicrotask(flushDirty)
}
// How many turns of the microtask queue a flush waits for a reader that makes no progress.
const maxDeferrals = 8

/** `send` as a value: `run` performs it in place, any other fiber commits it. */
class Send extends Effectable.Class<void, ConnectionError> {
  private readonly driver: Driver
  private readonly message: Message
  private readonly compress: boolean | undefined
  constructor(driver: Driver, message: Message, compress: boolean | undefined) {
    super()
    this.driver = driver
    this.message = message
    this.compress = compress
  }
  commit(): Effect.Effect<void, ConnectionError> {
    return this.driver.sendNow(this.message, this.compress)
  }
}

export class Driver implements TransportSink, Closable, Mortal {
  readonly url: string
  private readonly connection: Connection.Connection
  readonly transport: Transport
  private readonly settings: Settings
  private readonly environment: Environment
  private readonly agreement: Agreement
  private readonly deadlines: Deadlines
  private owners: ReadonlyArray<Registry> = []

  // Inbound. `inbox` from `head` on waits to be read.
  private inbox: Array<Message> = []
  private head = 0
  private inboxBytes = 0
  paused = false
  private reader: ((effect: Effect.Effect<void>) => void) | undefined = undefined
  private running = false
  private discarding = false
  private settleTimer: ReturnType<typeof setTimeout> | undefined = undefined
  private listeners:
    Set<(event: Connection.PingReceived | Connection.PongReceived | Connection.Ended) => void> | undefined

  // Outbound.
  private writable = true
  private corked = false
  private dirty = false
  private deferrals = 0
  private waitingBefore = 0
  private readonly senders = new Set<Sender>()
  private readonly zlib: Zlib | undefined
  private deflating: Deflating | undefined = undefined
  private pendingPings: Array<PendingPing> | undefined = undefined

  // Closing.
  private transportEnded = false
  private closed = false
  private cutOff = false
  private closers: Set<(effect: Effect.Effect<void>) => void> | undefined = undefined

  constructor(
    role: "client" | "server",
    transport: Transport,
    settings: Settings,
    environment: Environment,
    opening: Opening
  ) {
    this.url = opening.url
    this.agreement = opening.agreement
    this.transport = transport
    this.settings = settings
    this.environment = environment
    const compression = settings.compression &&
      opening.deflate && { ...settings.compression, agreement: opening.deflate }
    this.zlib = compression?.zlib
    const options = {
      compression,
      limits: settings.limits,
      maxFrameSize: settings.maxFrameSize,
      // Not copied only where `send` waits until the bytes are out.
      maxCopiedBytes: settings.sendStrategy === "suspend" ? settings.sendMarks.high : Number.MAX_SAFE_INTEGER
    }
    this.connection =
      role === "server"
        ? Connection.make({ ...options, role })
        : Connection.make({ ...options, role, maskKey: randomMaskKey })
    this.deadlines = new Deadlines(environment.timers, environment.clock, settings, this)
  }

  /** Starts the transport, and becomes a member of the registries that will close the connection. */
  start(...owners: ReadonlyArray<Registry>): this {
    this.transport.start(this, this.settings.sendMarks)
    this.deadlines.start()
    for (const owner of owners) this.addOwner(owner)
    return this
  }

  addOwner(owner: Registry): void {
    if (this.closed) return
    this.owners = [...this.owners, owner]
    owner.add(this)
    // A scope that had ended before.
    if (owner.closed) this.beginClose(1001)
  }

  // ---------------------------------------------------------------------------------------------------------------
  // What the app sees
  // ---------------------------------------------------------------------------------------------------------------

  get protocol(): string | undefined {
    return this.agreement.protocol
  }

  get extensions(): ReadonlyArray<Extension> {
    return this.agreement.extensions
  }

  get limits(): Connection.Limits {
    return this.connection.limits
  }

  get remoteAddress(): string | undefined {
    return this.transport.remoteAddress
  }

  get isOpen(): Effect.Effect<boolean> {
    return Effect.sync(() => this.connection.phase === "Open")
  }

  get bufferedBytes(): Effect.Effect<number> {
    return Effect.sync(() => this.waitingBytes)
  }

  send(data: Data, options?: SendOptions): Effect.Effect<void, ConnectionError> {
    return new Send(
      this,
      typeof data === "string" ? new Text(data) : data instanceof Uint8Array ? new Binary(data) : data,
      options?.compress
    )
  }

  // These effects are built once, when they are first asked for: most connections use one of them.
  private receiveOnce: Effect.Effect<Message, ConnectionError> | undefined = undefined
  private pullOnce: Effect.Effect<Chunk.Chunk<Message>, Option.Option<ConnectionError>> | undefined = undefined
  private readableOnce: Effect.Effect<void> | undefined = undefined

  get receive(): Effect.Effect<Message, ConnectionError> {
    return (this.receiveOnce ??= this.makeReceive())
  }

  private makeReceive(): Effect.Effect<Message, ConnectionError> {
    return Effect.suspend(() => {
      this.claimReader()
      const message = this.takeMessage()
      if (message !== undefined) return Effect.succeed(message)
      const error = this.readError()
      return error === undefined ? Effect.zipRight(this.awaitReadable(), this.receive) : Effect.fail(error)
    })
  }

  get messages(): Stream.Stream<Message, ConnectionError> {
    return Stream.repeatEffectChunkOption(this.pull)
  }

  /** Everything that waits, at least one message. `None` after a normal end. */
  private get pull(): Effect.Effect<Chunk.Chunk<Message>, Option.Option<ConnectionError>> {
    return (this.pullOnce ??= this.makePull())
  }

  private makePull(): Effect.Effect<Chunk.Chunk<Message>, Option.Option<ConnectionError>> {
    return Effect.suspend(() => {
      this.claimReader()
      const batch = this.takeBatch()
      if (batch !== undefined) return Effect.succeed(Chunk.unsafeFromArray(batch))
      const error = this.readError()
      if (error === undefined) return Effect.zipRight(this.awaitReadable(), this.pull)
      return Effect.fail(endsNormally(error) ? Option.none() : Option.some(error))
    })
  }

  run<X extends Handled>(
    handler: (message: Message) => X
  ): Effect.Effect<void, HandledError<X> | ConnectionError, HandledContext<X>> {
    // The types of what it returns are those of the conditional types above, which inference cannot see through.
    return this.runAll(
      handler as (message: Message) => Effect.Effect<unknown, HandledError<X>, HandledContext<X>> | void
    )
  }

  private runAll<E, R>(
    handler: (message: Message) => Effect.Effect<unknown, E, R> | void
  ): Effect.Effect<void, E | ConnectionError, R> {
    return Effect.suspend(() => {
      let claimed = false
      let done = false
      // `onExit` below cleans up, so these waits need no finalizer of their own.
      const readable = (this.readableOnce ??= Effect.async<void>((resume) => this.whenReadable(resume)))
      const step = (): Effect.Effect<unknown, E | ConnectionError, R> => {
        const next = this.handleBatch(handler)
        if (next !== undefined) return next
        const error = this.readError()
        if (error === undefined) return readable
        done = true
        return endsNormally(error) ? Effect.void : Effect.fail(error)
      }
      const loop: Effect.Effect<void, E | ConnectionError, R> = Effect.flatMap(Effect.suspend(step), () =>
        done ? Effect.void : loop
      )
      const claimAndLoop = Effect.suspend(() => {
        this.claimReader()
        this.running = claimed = true
        return loop
      })
      return Effect.onExit(claimAndLoop, () =>
        Effect.sync(() => {
          if (!claimed) return
          this.running = false
          this.reader = undefined
        })
      )
    })
  }

  /**
   * Calls the handler for messages that wait, as long as its effects are done at once. Returns the first effect that is
   * not, or `undefined` when no message is left. What the handler sends is written once.
   */
  private handleBatch<E, R>(
    handler: (message: Message) => Effect.Effect<unknown, E, R> | void
  ): Effect.Effect<unknown, E | ConnectionError, R> | undefined {
    this.corked = true
    try {
      for (;;) {
        const message = this.takeMessage()
        if (message === undefined) {
          this.flush()
          return undefined
        }
        let effect: Effect.Effect<unknown, E | ConnectionError, R> | void = handler(message)
        if (effect === undefined || effect === Effect.void) continue
        if (effect instanceof Send) {
          effect = effect.commit()
          if (effect === Effect.void) continue
        }
        return effect
      }
    } finally {
      this.corked = false
      // The effect that is returned may send more.
      if (this.connection.outputBytes > 0) this.flushLater()
    }
  }

  get sink(): Sink.Sink<void, Data, never, ConnectionError> {
    return Sink.forEach((data: Data) => this.send(data))
  }

  channel<IE = never>(): Channel.Channel<
    Chunk.Chunk<Message>,
    Chunk.Chunk<Data>,
    ConnectionError | IE,
    IE,
    void,
    unknown
  > {
    return Channel.unwrap(
      Effect.map(Deferred.make<never, ConnectionError | IE>(), (failure) =>
        Channel.embedInput(Channel.asVoid(Stream.toChannel(Stream.interruptWhenDeferred(this.messages, failure))), {
          awaitRead: () => Effect.void,
          emit: (chunk: Chunk.Chunk<Data>) =>
            Effect.catchAllCause(
              Effect.forEach(chunk, (data) => this.send(data), { discard: true }),
              (cause) => Deferred.failCause(failure, cause)
            ),
          error: (cause) => Deferred.failCause(failure, cause),
          done: () =>
            Effect.sync(() => {
              // What the peer still answers is emitted, until its Close.
              this.connection.close(1000)
              this.closing()
            })
        })
      )
    )
  }

  ping(data?: Uint8Array): Effect.Effect<Duration.Duration, ConnectionError> {
    return Effect.suspend(() => {
      const payload = data === undefined ? randomBytes(pingBytes) : data.slice()
      const pending: PendingPing = {
        payload,
        start: this.environment.clock.unsafeCurrentTimeNanos(),
        answer: undefined,
        resume: undefined
      }
      const sent = this.sendControl(() => {
        const refused = this.connection.ping(payload)
        if (refused === undefined) (this.pendingPings ??= []).push(pending)
        return refused
      })
      const answered = Effect.async<Duration.Duration, ConnectionError>((resume) => {
        if (pending.answer === undefined) pending.resume = resume
        else resume(pending.answer)
      })
      return Effect.onInterrupt(Effect.zipRight(sent, answered), () => Effect.sync(() => this.forgetPing(pending)))
    })
  }

  pong(data?: Uint8Array): Effect.Effect<void, ConnectionError> {
    return Effect.suspend(() => this.sendControl(() => this.connection.pong(data)))
  }

  get pings(): Stream.Stream<Uint8Array> {
    return this.controlFrames("Ping")
  }

  get pongs(): Stream.Stream<Uint8Array> {
    return this.controlFrames("Pong")
  }

  private controlFrames(tag: "Ping" | "Pong"): Stream.Stream<Uint8Array> {
    return Stream.asyncPush<Uint8Array>(
      (emit) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            if (this.connection.error !== undefined) {
              emit.end()
              return undefined
            }
            const listener = (event: Connection.PingReceived | Connection.PongReceived | Connection.Ended) => {
              if (event._tag === "Ended") emit.end()
              else if (event._tag === tag) emit.single(event.data)
            }
            this.listeners = (this.listeners ?? new Set()).add(listener)
            return listener
          }),
          (listener) => Effect.sync(() => listener !== undefined && this.listeners?.delete(listener))
        ),
      { bufferSize: controlBuffer, strategy: "sliding" }
    )
  }

  close(): Effect.Effect<void>
  close(code: number | CloseCode.Name, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>
  close(code: number | CloseCode.Name = 1000, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge> {
    return Effect.suspend(() => {
      const refused = this.connection.close(typeof code === "string" ? CloseCode.fromName(code) : code, reason)
      if (refused !== undefined) return Effect.fail(refused)
      this.closing()
      return this.awaitClosed
    })
  }

  get abort(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.cutShort()
      return this.awaitClosed
    })
  }

  get closeStatus(): Effect.Effect<CloseStatus> {
    return Effect.map(this.awaitClosed, () => {
      const status = this.connection.closeStatus
      return {
        ...status,
        clean: status.clean && !this.cutOff,
        error: this.connection.error ?? abnormalClosure("local")
      }
    })
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Reading
  // ---------------------------------------------------------------------------------------------------------------

  onChunk(chunk: Uint8Array, owned: boolean): void {
    const idle = this.reader === undefined
    this.deadlines.heard()
    const messaged = this.process(this.connection.receive(chunk, owned))
    this.deadlines.receiving(this.connection.receiving, messaged)
    if (this.connection.unsettled) this.settleLater()
    this.flush()
    // A reader that waited has not had its turn yet.
    if (idle && !this.paused && this.inboxBytes > this.settings.receiveHighWaterMark) this.pauseReading()
  }

  /** While we are closing, a full inbox drops what comes instead of stopping it: the peer's Close is behind it. */
  private accepts(): boolean {
    return (
      !this.discarding && (this.connection.phase === "Open" || this.inboxBytes <= this.settings.receiveHighWaterMark)
    )
  }

  /** Returns whether there was a message among them. */
  private process(events: ReadonlyArray<Connection.Event>): boolean {
    let messaged = false
    for (const event of events) {
      switch (event._tag) {
        case "Text":
        case "Binary":
          messaged = true
          if (this.accepts()) {
            this.inbox.push(event)
            this.inboxBytes += weight(event)
          }
          break
        case "Pong":
          this.answerPings(event.data)
          this.tell(event)
          break
        case "Ping":
          this.tell(event)
          break
        case "Ended":
          this.tell(event)
          this.failWaiters(event.error)
          break
      }
    }
    if (messaged) this.deadlines.messaged()
    if (events.length > 0) this.wakeReader()
    return messaged
  }

  private tell(event: Connection.PingReceived | Connection.PongReceived | Connection.Ended): void {
    if (this.listeners !== undefined) for (const listener of this.listeners) listener(event)
  }

  private wakeReader(): void {
    const { reader } = this
    if (reader === undefined || (this.head === this.inbox.length && this.connection.error === undefined)) return
    this.reader = undefined
    // The fiber takes from the inbox itself, so an interruption between this wake-up and its turn loses nothing.
    reader(Effect.void)
  }

  private takeMessage(): Message | undefined {
    const { head, inbox } = this
    const message = inbox[head]
    if (message === undefined) return undefined
    this.inboxBytes -= weight(message)
    if (head + 1 === inbox.length) this.resetInbox()
    else this.head = head + 1
    this.resumeReading()
    return message
  }

  private takeBatch(): Array<Message> | undefined {
    const { head, inbox } = this
    if (head === inbox.length) return undefined
    this.resetInbox()
    this.inboxBytes = 0
    this.resumeReading()
    return head === 0 ? inbox : inbox.slice(head)
  }

  private resetInbox(): void {
    this.inbox = []
    this.head = 0
  }

  private pauseReading(): void {
    if (this.connection.phase !== "Open") return
    this.paused = true
    this.transport.pause()
  }

  private resumeReading(): void {
    if (!this.paused || this.inboxBytes > this.settings.receiveHighWaterMark / 2) return
    this.paused = false
    if (!this.closed) this.transport.resume()
  }

  /** Why nothing more will come, once the inbox is empty. */
  private readError(): ConnectionError | undefined {
    // The app has answered what came before a Close or a violation.
    if (this.connection.unsettled) this.settle()
    return this.connection.error
  }

  private claimReader(): void {
    if (this.running || this.reader !== undefined) {
      throw new Error("Two fibers read from one WebSocket at once: its messages would be divided between them")
    }
  }

  private awaitReadable(): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      this.whenReadable(resume)
      return Effect.sync(() => {
        if (this.reader === resume) this.reader = undefined
      })
    })
  }

  private whenReadable(resume: (effect: Effect.Effect<void>) => void): void {
    // The fiber may have yielded since it looked.
    if (this.head < this.inbox.length || this.connection.error !== undefined || this.connection.unsettled) {
      resume(Effect.void)
    } else {
      this.reader = resume
    }
  }

  /**
   * A Close or a violation came right behind messages. It takes effect when their reader comes back for more, and at the
   * latest at the end of this turn, since the peer waits.
   */
  private settleLater(): void {
    this.settleTimer ??= setTimeout(() => this.settle(), 0)
  }

  private settle(): void {
    if (this.settleTimer !== undefined) {
      clearTimeout(this.settleTimer)
      this.settleTimer = undefined
    }
    this.process(this.connection.settle())
    this.flush()
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Writing
  // ---------------------------------------------------------------------------------------------------------------

  /** `Effect.void` itself when nothing has to wait. */
  sendNow(message: Message, compress: boolean | undefined): Effect.Effect<void, ConnectionError> {
    const { connection } = this
    const large = this.zlib !== undefined && message.data.length >= deflateLaterLength
    if (!this.writable && this.settings.sendStrategy !== "suspend") return this.sendToSlow(message, compress)
    // In the order of the calls.
    if ((large || !this.writable || this.senders.size > 0) && connection.phase === "Open") {
      return this.awaitRoom(
        () => this.encode(message, compress),
        large ? () => connection.deflation(message, compress) : undefined
      )
    }
    return this.sent(this.encode(message, compress))
  }

  /** Where `send` must not wait. */
  private sendToSlow(message: Message, compress: boolean | undefined): Effect.Effect<void, ConnectionError> {
    switch (this.connection.phase === "Open" ? this.settings.sendStrategy : "suspend") {
      case "dropping":
        return Effect.void
      case "close":
        this.connection.close(policyViolation, "too slow")
        this.closing()
        break
      case "abort":
        this.cutShort()
        break
      case "suspend":
        break
    }
    // Refused, with the connection's error.
    return this.sent(this.encode(message, compress))
  }

  private encode(message: Message, compress: boolean | undefined): Connection.SendError | undefined {
    this.deadlines.messaged()
    return this.connection.send(message, compress)
  }

  /** Sends as soon as there is room, whatever is being deflated. */
  private sendControl(encode: () => Connection.SendError | undefined): Effect.Effect<void, ConnectionError> {
    return !this.writable && this.connection.phase === "Open" ? this.awaitRoom(encode) : this.sent(encode())
  }

  /** What waits for the end of the turn counts towards the high-water mark. */
  private get flushBytes(): number {
    return Math.min(maxFlushBytes, this.settings.sendMarks.high)
  }

  private sent(refused: Connection.SendError | undefined): Effect.Effect<void, ConnectionError> {
    if (refused !== undefined) return Effect.fail(refused)
    if (this.connection.outputBytes >= this.flushBytes) this.flush()
    else if (!this.corked) this.flushLater()
    return this.writable || this.settings.sendStrategy !== "suspend" ? Effect.void : this.awaitRoom(undefined)
  }

  private flushLater(): void {
    if (this.dirty) return
    this.dirty = true
    this.deferrals = 0
    markDirty(this)
  }

  private awaitRoom(encode: Sender["encode"], deflation?: Sender["deflation"]): Effect.Effect<void, ConnectionError> {
    return Effect.async((resume) => {
      if (this.closed) {
        resume(Effect.fail(this.connection.error ?? abnormalClosure("local")))
        return
      }
      const sender = { encode, deflation, resume }
      this.senders.add(sender)
      if (deflation !== undefined) this.serveSenders()
      return Effect.sync(() => {
        this.senders.delete(sender)
        if (this.deflating?.sender !== sender) return
        this.stopDeflating()
        this.serveSenders()
      })
    })
  }

  onDrain(): void {
    this.writable = true
    this.flush()
    this.serveSenders()
  }

  private serveSenders(): void {
    for (const sender of this.senders) {
      if (!this.writable || this.deflating !== undefined) break
      const deflation = sender.deflation?.()
      if (deflation === undefined) this.complete(sender, sender.encode?.())
      else this.deflateLater(sender, deflation)
    }
    this.flush()
  }

  private complete(sender: Sender, refused: Connection.SendError | undefined): void {
    this.senders.delete(sender)
    sender.resume(refused === undefined ? Effect.void : Effect.fail(refused))
    if (this.connection.outputBytes >= this.flushBytes) this.flush()
  }

  private deflateLater(sender: Sender, deflation: Deflation): void {
    const cancel = this.zlib?.deflateLater(deflation.data, deflation.options, (deflated) => {
      this.deflating = undefined
      this.deadlines.messaged()
      this.complete(sender, this.connection.sendDeflated(deflation, deflated))
      this.serveSenders()
    })
    this.deflating = cancel && { sender, cancel }
  }

  private stopDeflating(): void {
    this.deflating?.cancel()
    this.deflating = undefined
  }

  flushDirty(): void {
    // While more of one read is being answered, one write for all of it; but only as long as the answers keep coming.
    const waiting = this.inbox.length - this.head
    if (waiting > 0 && (waiting !== this.waitingBefore || this.deferrals < maxDeferrals)) {
      this.deferrals = waiting === this.waitingBefore ? this.deferrals + 1 : 0
      this.waitingBefore = waiting
      markDirty(this)
      return
    }
    this.dirty = false
    this.flush()
  }

  private flush(): void {
    const { connection } = this
    const open = connection.phase === "Open"
    // Pongs wait for room, where they coalesce; a Close does not.
    if (connection.outputBytes > 0 && (this.writable || !open) && !this.closed) {
      const { belowHighWater, taken } = this.transport.write(connection.takeOutput())
      if (taken) connection.recycleOutput()
      this.writable = belowHighWater
    }
    if (this.closed) return
    this.deadlines.congested(!this.writable)
    if (open) return
    this.deadlines.closing()
    if (connection.outputEnded && !this.transportEnded) {
      this.transportEnded = true
      this.transport.end()
    }
  }

  private answerPings(data: Uint8Array): void {
    const pings = this.pendingPings
    if (pings === undefined) return
    const index = pings.findIndex((ping) => isSameBytes(ping.payload, data))
    // RFC 6455 §5.5.3: a pong may answer only the newest ping, and then stands for those before it.
    for (const ping of pings.splice(0, index + 1)) {
      const elapsed = this.environment.clock.unsafeCurrentTimeNanos() - ping.start
      completePing(ping, Effect.succeed(Duration.nanos(elapsed)))
    }
  }

  private forgetPing(ping: PendingPing): void {
    const index = this.pendingPings?.indexOf(ping) ?? -1
    if (index >= 0) this.pendingPings?.splice(index, 1)
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Closing
  // ---------------------------------------------------------------------------------------------------------------

  onEof(): void {
    this.process(this.connection.receiveEof())
    this.flush()
  }

  onError(error: IoError): void {
    this.process(this.connection.abort(error))
    this.transport.abort()
  }

  onClose(): void {
    if (this.closed) return
    this.process(this.connection.abort(abnormalClosure("remote")))
    this.closed = true
    if (this.settleTimer !== undefined) clearTimeout(this.settleTimer)
    this.deadlines.stop()
    this.failWaiters(this.connection.error ?? abnormalClosure("local"))
    for (const owner of this.owners) owner.delete(this)
    for (const resume of this.closers ?? []) resume(Effect.void)
    this.closers = undefined
  }

  /** For the end of a scope: nothing that arrives will be read any more. */
  beginClose(code: number): void {
    this.discarding = true
    this.resetInbox()
    this.inboxBytes = 0
    this.connection.close(code)
    this.closing()
  }

  get awaitClosed(): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      if (this.closed) {
        resume(Effect.void)
        return
      }
      const closers = (this.closers ??= new Set())
      closers.add(resume)
      return Effect.sync(() => {
        closers.delete(resume)
      })
    })
  }

  /** A Close is on its way: nothing more is sent, and time begins to run. */
  private closing(): void {
    if (this.connection.unsettled) this.settle()
    this.stopDeflating()
    for (const sender of this.senders) {
      if (sender.encode === undefined) continue
      this.senders.delete(sender)
      const refused = sender.encode()
      sender.resume(refused === undefined ? Effect.void : Effect.fail(refused))
    }
    this.flush()
    if (this.paused) {
      this.paused = false
      this.transport.resume()
    }
  }

  private cutShort(): void {
    if (this.closed) return
    const status = this.connection.closeStatus
    this.cutOff = !status.clean || this.transport.bufferedBytes > 0
    this.process(this.connection.abort(abnormalClosure("local")))
    this.transport.abort()
  }

  get waitingBytes(): number {
    return this.connection.outputBytes + this.transport.bufferedBytes
  }

  sendHeartbeat(): void {
    // Where there is no room, nothing that is sent now would tell more than what waits already.
    if (!this.writable) return
    this.connection.ping(randomBytes(pingBytes))
    this.flush()
  }

  expire(deadline: Deadline): void {
    switch (deadline) {
      case "close":
        this.cutShort()
        return
      case "idle":
      case "lifetime":
        this.connection.close(goingAway, expiryReasons[deadline])
        this.closing()
        return
      case "write":
        this.process(this.connection.abort(timedOut(deadline)))
        this.transport.abort()
        return
      case "heartbeat":
      case "message":
        this.process(this.connection.fail(deadline === "message" ? policyViolation : internalError, timedOut(deadline)))
        this.flush()
    }
  }

  private failWaiters(error: ConnectionError): void {
    const failure = Effect.fail(error)
    this.stopDeflating()
    for (const sender of this.senders) sender.resume(failure)
    this.senders.clear()
    for (const ping of this.pendingPings ?? []) completePing(ping, failure)
    this.pendingPings = undefined
  }
}

const goingAway = CloseCode.fromName("GoingAway")
const policyViolation = CloseCode.fromName("PolicyViolation")
const internalError = CloseCode.fromName("InternalError")
const expiryReasons = { idle: "idle", lifetime: "maximum lifetime" }

const timedOut = (operation: string): IoError => new IoError({ reason: "Timeout", operation })

const weight = (message: Message): number =>
  messageOverhead + (message._tag === "Text" ? message.data.length : message.data.byteLength)

const completePing = (ping: PendingPing, answer: Effect.Effect<Duration.Duration, ConnectionError>): void => {
  if (ping.resume === undefined) ping.answer = answer
  else ping.resume(answer)
}

const abnormalClosure = (initiator: "local" | "remote"): ConnectionClosed =>
  new ConnectionClosed({
    code: CloseCode.fromName("AbnormalClosure"),
    reason: "",
    initiator,
    clean: false
  })

/** Whether reading ends instead of failing. */
const endsNormally = (error: ConnectionError): boolean =>
  error._tag === "Connection_closed" &&
  error.clean &&
  (error.initiator === "local" || error.code === 1000 || error.code === 1001 || error.code === 1005)
