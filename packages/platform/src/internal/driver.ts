/** The only place where a `Connection` meets a `Transport`, a clock and a scope. */
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import * as Connection from "@effect-websocket/protocol/Connection"
import {
  ConnectionClosed,
  IoError,
  PayloadTooLarge,
  ProtocolError,
  type ConnectionError
} from "@effect-websocket/protocol/Errors"
import type { Extension } from "@effect-websocket/protocol/Extension"
import { isControl, type FrameReceived } from "@effect-websocket/protocol/Frame"
import type { Agreement } from "@effect-websocket/protocol/Handshake"
import * as Mask from "@effect-websocket/protocol/Mask"
import type { Message } from "@effect-websocket/protocol/Message"
import type { MessagePart } from "@effect-websocket/protocol/MessagePart"
import type * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Stream from "effect/Stream"
import type { Transport, TransportSink } from "../Transport.js"
import type { CloseStatus, SendOptions } from "../WebSocket.js"
import { Ledger, type Member } from "../engine/connection/Budget.js"
import { isSameBytes } from "../engine/bytes.js"
import { Deadlines, type Deadline, type Mortal } from "../engine/time/Deadlines.js"
import { handingOver, handOver } from "./handOver.js"
import { randomBytesFrom, randomMaskKey } from "../engine/random.js"
import { ReceiveRate } from "../engine/connection/ReceiveRate.js"
import { closedAtOnce, type Closable, type Owner } from "../engine/connection/Closables.js"
import { awaitClosed } from "./scopes.js"
import { pingPayload, pongPayload, toCloseCode } from "./sendable.js"
import type { Settings } from "../engine/Settings.js"
import type { Timers } from "../engine/time/Timers.js"
import { awaitCallback } from "./waiting.js"

/** How the connection came to be. */
export interface Opening<Request = undefined> {
  readonly request: Request
  readonly url: string
  readonly agreement: Agreement
  readonly deflate?: PermessageDeflate.Agreement | undefined
}

/** What the connection delivers, and what it leaves to the app. */
export interface Mode {
  readonly delivery: Connection.Delivery
  readonly answerPings?: boolean | undefined
  readonly answerClose?: boolean | undefined
  readonly recordFrames?: boolean | undefined
  readonly rsv?: number | undefined
  readonly opcodes?: ReadonlyArray<number> | undefined
}

/** What waits in an inbox. */
export type Delivered = Message | MessagePart | FrameReceived

export type Resume<A> = (effect: Effect.Effect<A, ConnectionError>) => void

/** A fiber that waits for room. With `encode` it has yet to send; without, it has sent and waits for the peer to read. */
interface Waiter {
  readonly encode: (() => Connection.SendError | undefined) | undefined
  /** A control frame: it waits for the transport only, not for the budget. */
  readonly control: boolean
  readonly resume: Resume<void>
}

type Listener = (event: Connection.PingReceived | Connection.PongReceived | Connection.Ended) => void

interface PendingPing {
  readonly payload: Uint8Array
  readonly start: number
  /** The answer, where it came before the fiber began to wait for it. */
  answer: Effect.Effect<Duration.Duration, ConnectionError> | undefined
  resume: Resume<Duration.Duration> | undefined
}

// Most connections never have one.
const noWaiters = new Set<Waiter>()
// Replies made in one turn are written at once; above this many bytes they do not wait for the end of the turn.
const maxFlushBytes = 64 * 1024
// What an item in the inbox weighs besides its payload, so that empty ones count too.
const itemOverhead = 64
// Why reading is paused, as bits.
const pausedByInbox = 1
const pausedByBudget = 2
const pausedByRate = 4
const pingBytes = 8
const controlBuffer = 16

// Connections with output that was made outside of a read; one microtask writes for all of them.
interface Flushable {
  flushDirty(): void
}
let dirty: Array<Flushable> = []
const flushDirty = (): void => {
  const drivers = dirty
  dirty = []
  for (const driver of drivers) driver.flushDirty()
}
// A promise's turn costs less than `queueMicrotask`, which keeps a record of where it was asked for.
const turn = Promise.resolve()
const markDirty = (driver: Flushable): void => {
  if (dirty.push(driver) === 1) void turn.then(flushDirty)
}
// How many turns of the microtask queue a flush waits for a reader that makes no progress.
const maxDeferrals = 8

/** What a connection may be asked to send, and how. */
export interface Sender<Data> {
  sendNow(data: Data, options: SendOptions | undefined): Effect.Effect<void, ConnectionError>
}

/** `send` as a value: `run` performs it in place, any other fiber commits it. */
export class Send<Data> extends Effectable.Class<void, ConnectionError> {
  private readonly sender: Sender<Data>
  private readonly data: Data
  private readonly options: SendOptions | undefined
  constructor(sender: Sender<Data>, data: Data, options: SendOptions | undefined) {
    super()
    this.sender = sender
    this.data = data
    this.options = options
  }
  /** Throws for what is no data, or a senseless option: a defect of the fiber that sends. */
  commit(): Effect.Effect<void, ConnectionError> {
    return this.sender.sendNow(this.data, this.options)
  }
}

/** What the three kinds of connections share: the transport, time, control frames, reading in order, and closing. */
export abstract class Driver<Item extends Delivered, Request = undefined>
  implements TransportSink, Closable, Mortal, Member
{
  readonly url: string
  readonly request: Request
  protected readonly connection: Connection.Connection
  readonly transport: Transport
  protected readonly settings: Settings
  private readonly timers: Timers
  private readonly agreement: Agreement
  protected readonly deadlines: Deadlines
  private owners: ReadonlyArray<Owner> = []

  /** What the connection delivers. */
  readonly delivery: Connection.Delivery
  // Messages count when they have ended. Bytes are those of the transport, without the handshake.
  receivedMessages = 0
  receivedBytes = 0
  sentMessages = 0
  sentBytes = 0

  // Inbound. `inbox` from `head` on waits to be read.
  private inbox: Array<Item> = []
  private head = 0
  private inboxBytes = 0
  private pauses = 0
  // Something was dropped, so that what comes behind it is too.
  private dropping = false
  private reader: (() => void) | undefined = undefined
  private readingFiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  private runner: object | undefined = undefined
  // A reader has seen that something is there, and takes it in its next step.
  protected taking = false
  private discarding = false
  private settleTimer: ReturnType<typeof setTimeout> | undefined = undefined
  private listeners: Set<Listener> | undefined = undefined

  // Outbound.
  protected writable = true
  private corked = false
  private dirty = false
  private deferrals = 0
  private waitingBefore = 0
  private waiters = noWaiters
  private pendingPings: Array<PendingPing> | undefined = undefined

  private readonly receiveRate: ReceiveRate | undefined
  // What the budget knows of this connection.
  private readonly ledger: Ledger | undefined

  // Closing.
  private transportEnded = false
  protected closed = false
  private cutOff = false
  private closers: Set<() => void> | undefined = undefined

  constructor(
    role: "client" | "server",
    transport: Transport,
    settings: Settings,
    timers: Timers,
    opening: Opening<Request>,
    mode: Mode
  ) {
    this.url = opening.url
    this.request = opening.request
    this.agreement = opening.agreement
    this.delivery = mode.delivery
    this.transport = transport
    this.settings = settings
    this.timers = timers
    const compression = settings.compression &&
      opening.deflate && { ...settings.compression, agreement: opening.deflate }
    this.ledger = settings.budget && new Ledger(settings.budget, timers)
    this.receiveRate =
      settings.receiveRate && new ReceiveRate(settings.receiveRate, timers, () => this.resume(pausedByRate))
    const options = {
      compression,
      ...mode,
      limits: settings.limits,
      maxFrameSize: settings.maxFrameSize,
      maxSendBytes: settings.maxSendBytes,
      // Not copied only where `send` waits until the bytes are out.
      maxCopiedBytes: settings.sendStrategy === "suspend" ? settings.sendMarks.high : Number.MAX_SAFE_INTEGER
    }
    this.connection =
      role === "server"
        ? Connection.make({ ...options, role })
        : Connection.make({
            ...options,
            role,
            maskKey: settings.random === undefined ? randomMaskKey : Mask.keys(settings.random)
          })
    // How long a message takes that is not held whole is the reader's affair.
    const timed = mode.delivery === "messages" ? settings : { ...settings, messageTimeout: Number.POSITIVE_INFINITY }
    this.deadlines = new Deadlines(timers, timed, this)
  }

  /** Starts the transport, and becomes a member of what will close the connection. */
  start(...owners: ReadonlyArray<Owner>): this {
    this.transport.start(this, this.settings.sendMarks)
    this.deadlines.start()
    this.ledger?.budget.add(this)
    for (const owner of owners) this.addOwner(owner)
    return this
  }

  addOwner(owner: Owner): void {
    if (this.closed) return owner.delete(this)
    // `[...owners, owner]` would have room for sixteen more.
    this.owners = this.owners.concat(owner)
    owner.add(this)
  }

  // ---------------------------------------------------------------------------------------------------------------
  // What the app sees
  // ---------------------------------------------------------------------------------------------------------------

  get role(): "client" | "server" {
    return this.connection.role
  }

  get protocol(): string | undefined {
    return this.agreement.protocol
  }

  get extensions(): ReadonlyArray<Extension> {
    return this.agreement.extensions
  }

  get limits(): Connection.Limits {
    return this.connection.limits
  }

  get maxFrameSize(): number | undefined {
    return this.settings.maxFrameSize
  }

  get maxSendBytes(): number | undefined {
    return this.settings.maxSendBytes
  }

  get remoteAddress(): string | undefined {
    return this.transport.remoteAddress
  }

  get isOpen(): Effect.Effect<boolean> {
    return Effect.sync(() => this.connection.phase === "Open")
  }

  get bufferedBytes(): Effect.Effect<number> {
    return Effect.sync(() => this.unsentBytes)
  }

  // These effects are built once, when they are first asked for: most connections use one of them.
  private receiveOnce: Effect.Effect<Item, ConnectionError> | undefined = undefined
  private receiveAllOnce: Effect.Effect<Chunk.NonEmptyChunk<Item>, ConnectionError> | undefined = undefined
  private itemsOnce: Stream.Stream<Item, ConnectionError> | undefined = undefined

  /** The next item. */
  protected get receiveItem(): Effect.Effect<Item, ConnectionError> {
    return (this.receiveOnce ??= this.readingItem((item) => item))
  }

  /** What `get` makes of the next item. */
  protected readingItem<A>(get: (item: Item) => A): Effect.Effect<A, ConnectionError> {
    return this.reading(
      () => this.isReadable,
      Effect.sync(() => get(this.takeItem())),
      Effect.fail
    )
  }

  /** What is taken, or `None` after a normal end. */
  protected readingOption<A>(isReady: () => boolean, take: () => A): Effect.Effect<Option.Option<A>, ConnectionError> {
    return this.reading(
      isReady,
      Effect.sync(() => Option.some(take())),
      (error) => (endsNormally(error) ? Effect.succeed(Option.none()) : Effect.fail(error))
    )
  }

  /** All items that wait, at least one. */
  protected get receiveItems(): Effect.Effect<Chunk.NonEmptyChunk<Item>, ConnectionError> {
    return (this.receiveAllOnce ??= this.reading(
      () => this.isReadable,
      Effect.sync(() => this.takeBatch()),
      Effect.fail
    ))
  }

  /** Everything that waits, in chunks; ends after a normal end. */
  protected get items(): Stream.Stream<Item, ConnectionError> {
    return (this.itemsOnce ??= this.streaming(
      () => this.isReadable,
      () => this.takeBatch()
    ))
  }

  /**
   * With the fewest steps for a chunk: what has an optional error, or a state, takes twice as many. A channel takes and emits in
   * one step; after an effect that took, an interruption would find the chunk in nobody's hands.
   */
  protected streaming<A>(isReady: () => boolean, take: () => Chunk.Chunk<A>): Stream.Stream<A, ConnectionError> {
    const next = this.reading(isReady, Effect.succeed(true), (error) =>
      endsNormally(error) ? Effect.succeed(false) : Effect.fail(error)
    )
    const emitted = Channel.suspend(() => Channel.flatMap(Channel.write(take()), () => chunks))
    const chunks: Channel.Channel<Chunk.Chunk<A>, unknown, ConnectionError> = Channel.flatMap(
      Channel.fromEffect(next),
      (more) => (more ? emitted : Channel.void)
    )
    return Stream.fromChannel(chunks)
  }

  protected runItems<E, R>(
    handler: (item: Item) => Effect.Effect<unknown, E, R> | void
  ): Effect.Effect<void, E | ConnectionError, R> {
    return Effect.withFiberRuntime((fiber, { runtimeFlags }) => {
      let done = false
      // What the handler has returned, and the fiber has not begun.
      let pending: Effect.Effect<unknown, E | ConnectionError, R> | undefined
      // Made for the first of them.
      let begin: typeof pending
      const readable = Effect.async<unknown, E | ConnectionError, R>((resume) => {
        // The fiber waits on while its handler is called straight from the read, and gets a turn only for what takes time.
        const wake = (): void => {
          if (isInterrupted(this.readingFiber)) return
          try {
            const next = step()
            if (next === readable) this.reader = wake
            else resume(next)
          } catch (defect) {
            resume(Effect.die(defect))
          }
        }
        this.whenReadable(wake)
      })
      const step = (): Effect.Effect<unknown, E | ConnectionError, R> => {
        pending = this.handleBatch(handler)
        if (pending !== undefined) {
          return (begin ??= Effect.suspend(() => {
            const effect = pending ?? Effect.void
            pending = undefined
            return handOver(fiber, effect)
          }))
        }
        const error = this.readError()
        if (error === undefined) return readable
        done = true
        return endsNormally(error) ? Effect.void : Effect.fail(error)
      }
      this.claimReader()
      this.runner = readable
      this.rememberReader(fiber, runtimeFlags)
      const handled = handingOver(fiber, Effect.whileLoop({ while: () => !done, body: step, step: constVoid }))
      const isInterruptible = RuntimeFlags.interruptible(runtimeFlags)
      // Not `uninterruptibleMask`, which takes more memory for as long as it lasts.
      const guarded = Effect.matchCauseEffect(isInterruptible ? Effect.interruptible(handled) : handled, {
        onFailure: (cause) => {
          this.releaseReader(readable)
          // A message that the handler was called for is handled.
          return pending === undefined ? Effect.failCause(cause) : beginAndInterrupt(pending, cause)
        },
        onSuccess: () => {
          this.releaseReader(readable)
          return Effect.void
        }
      })
      return isInterruptible ? Effect.uninterruptible(guarded) : guarded
    })
  }

  /**
   * Calls the handler for items that wait, as long as its effects are done at once. Returns the first effect that is
   * not, or `undefined` when none is left. What the handler sends is written once.
   */
  private handleBatch<E, R>(
    handler: (item: Item) => Effect.Effect<unknown, E, R> | void
  ): Effect.Effect<unknown, E | ConnectionError, R> | undefined {
    this.corked = true
    try {
      for (;;) {
        const item = this.nextItem()
        if (item === undefined) {
          this.flush()
          return undefined
        }
        let effect: Effect.Effect<unknown, E | ConnectionError, R> | void = handler(item)
        if (effect === undefined || effect === Effect.void) continue
        if (effect instanceof Send) {
          effect = effect.commit()
          if (effect === Effect.void) continue
        }
        return effect
      }
    } finally {
      this.corked = false
      this.resumeReading()
      // The effect that is returned may send more.
      if (this.connection.outputBytes > 0) this.flushLater()
    }
  }

  ping(data?: Uint8Array): Effect.Effect<Duration.Duration, ConnectionError> {
    return Effect.suspend(() => {
      const payload = data === undefined ? this.randomPing() : pingPayload(data)
      const pending: PendingPing = {
        payload,
        start: this.timers.now,
        answer: undefined,
        resume: undefined
      }
      const sent = Effect.suspend(() =>
        this.sendControl(() => {
          const refused = this.connection.ping(payload)
          if (refused === undefined) (this.pendingPings ??= []).push(pending)
          return refused
        })
      )
      const answered = Effect.async<Duration.Duration, ConnectionError>((resume) => {
        if (pending.answer === undefined) pending.resume = resume
        else resume(pending.answer)
      })
      return Effect.onInterrupt(Effect.zipRight(sent, answered), () => Effect.sync(() => this.forgetPing(pending)))
    })
  }

  pong(data?: Uint8Array): Effect.Effect<void, ConnectionError> {
    return Effect.suspend(() => {
      const payload = pongPayload(data)
      return this.sendControl(() => this.connection.pong(payload))
    })
  }

  private randomPing(): Uint8Array {
    return randomBytesFrom(this.settings.random, pingBytes)
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
            return this.listen((event) => {
              if (event._tag === "Ended") emit.end()
              else if (event._tag === tag) emit.single(event.data)
            })
          }),
          (forget) => Effect.sync(() => forget?.())
        ),
      { bufferSize: controlBuffer, strategy: "sliding" }
    )
  }

  private listen(listener: Listener): () => void {
    const listeners = (this.listeners ??= new Set())
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
    }
  }

  close(): Effect.Effect<void>
  close(code: number | CloseCode.Name, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>
  close(code: number | CloseCode.Name = 1000, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge> {
    return Effect.suspend(() => {
      const refused = this.startClosing(toCloseCode(code), reason)
      if (refused !== undefined) return Effect.fail(refused)
      return awaitClosed(this)
    })
  }

  get abort(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.cutShort()
      return awaitClosed(this)
    })
  }

  get closeStatus(): Effect.Effect<CloseStatus> {
    return Effect.map(awaitClosed(this), () => this.status)
  }

  /** How it ended, once it is closed. */
  get status(): CloseStatus {
    const status = this.connection.closeStatus
    return { ...status, clean: status.clean && !this.cutOff, error: this.terminalError("local") }
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Reading
  // ---------------------------------------------------------------------------------------------------------------

  onChunk(chunk: Uint8Array, owned: boolean): void {
    const idle = this.reader === undefined
    this.deadlines.heard()
    this.receivedBytes += chunk.length
    const messagesBefore = this.receivedMessages
    const messaged = this.process(this.connection.receive(chunk, owned))
    this.deadlines.receiving(this.connection.receiving, messaged)
    if (this.connection.unsettled) this.settleLater()
    this.flush()
    if (this.receiveRate?.exceeds(this.receivedMessages - messagesBefore, chunk.length)) {
      if (this.receiveRate.closes) this.startClosing(policyViolation, "too much per time")
      else this.pause(pausedByRate)
    }
    // A reader that waited has not had its turn yet.
    if (idle && this.inboxBytes > this.settings.receiveHighWaterMark) this.pause(pausedByInbox)
    this.account()
    if (owned && !this.connection.keepsChunk) this.transport.release?.(chunk)
  }

  /** While we are closing, a full inbox drops what comes instead of stopping it: the peer's Close is behind it. */
  private accepts(): boolean {
    if (this.connection.phase === "Open" && !this.discarding) return true
    // No gap, behind which it would go on.
    this.dropping ||= this.discarding || this.inboxBytes > this.settings.receiveHighWaterMark
    return !this.dropping
  }

  /** Returns whether there was data among them. */
  private process(events: ReadonlyArray<Connection.Event>): boolean {
    let messaged = false
    for (const event of events) {
      switch (event._tag) {
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
        default:
          messaged ||= event._tag !== "Frame" || !isControl(event.frame)
          if (endsMessage(event)) this.receivedMessages++
          if (this.accepts()) {
            // The delivery of the connection decides which these are.
            this.inbox.push(event as Item)
            this.inboxBytes += weight(event)
          }
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
    if (reader === undefined || (!this.isReadable && this.connection.error === undefined)) return
    this.reader = undefined
    if (this.runner === undefined) this.readingFiber = undefined
    // The fiber takes from the inbox itself, so an interruption between this wake-up and its turn loses nothing.
    reader()
  }

  /** The next item, which is there. */
  protected takeItem(): Item {
    const item = this.nextItem()
    this.taking = false
    if (item === undefined) throw new Error(twoReaders)
    this.resumeReading()
    return item
  }

  private nextItem(): Item | undefined {
    const { head, inbox } = this
    const item = inbox[head]
    if (item === undefined) return undefined
    this.inboxBytes -= weight(item)
    if (head + 1 === inbox.length) this.resetInbox()
    else this.head = head + 1
    return item
  }

  /** All that waits, which is at least one. */
  private takeBatch(): Chunk.NonEmptyChunk<Item> {
    const { head, inbox } = this
    this.taking = false
    this.resetInbox()
    this.inboxBytes = 0
    this.resumeReading()
    const batch = Chunk.unsafeFromArray(head === 0 ? inbox : inbox.slice(head))
    if (!Chunk.isNonEmpty(batch)) throw new Error(twoReaders)
    return batch
  }

  private resetInbox(): void {
    this.inbox = []
    this.head = 0
  }

  /** Gives the connection up for what waits to be read. That is dropped, and so is what waits behind it. */
  protected failReading(code: number, error: ConnectionError): void {
    const isOver = this.connection.error !== undefined
    if (!isOver) this.process(this.connection.fail(code, error))
    // Behind the failure, after which nothing comes.
    this.resetInbox()
    this.inboxBytes = 0
    if (!isOver) this.closing()
    this.resumeReading()
  }

  get paused(): boolean {
    return this.pauses !== 0
  }

  private pause(reason: number): void {
    if (this.connection.phase !== "Open") return
    if (this.pauses === 0) this.transport.pause()
    this.pauses |= reason
  }

  private resume(reason: number): void {
    if (this.pauses === 0) return
    this.pauses &= ~reason
    if (this.pauses === 0 && !this.closed) this.transport.resume()
  }

  private resumeReading(): void {
    if (this.inboxBytes <= this.settings.receiveHighWaterMark / 2) this.resume(pausedByInbox)
    this.account()
  }

  /** Why nothing more will come, once the inbox is empty. */
  protected readError(): ConnectionError | undefined {
    // The app has answered what came before a Close or a violation.
    if (this.connection.unsettled) this.settle()
    return this.connection.error
  }

  protected get isReadable(): boolean {
    return this.head < this.inbox.length
  }

  protected get nextReadable(): Item | undefined {
    return this.inbox[this.head]
  }

  /**
   * Waits until `isReady`, and then is `taken`: an effect of one step, so that what it takes has reached the next step when it
   * is gone from here. `ended` says what becomes of it when nothing more will come.
   */
  protected reading<A, E>(
    isReady: () => boolean,
    taken: Effect.Effect<A, E>,
    ended: (error: ConnectionError) => Effect.Effect<A, E>
  ): Effect.Effect<A, E> {
    const readable = Effect.async<A, E>((resume) => this.whenReadable(() => resume(looking)))
    const looking = Effect.withFiberRuntime<A, E>((fiber, { runtimeFlags }) => {
      this.claimReader()
      if (isReady()) {
        this.taking = true
        this.rememberReader(fiber, runtimeFlags)
        return taken
      }
      const error = this.readError()
      if (error !== undefined) return ended(error)
      this.rememberReader(fiber, runtimeFlags)
      return readable
    })
    return looking
  }

  protected claimReader(): void {
    const claimed = this.runner !== undefined || this.reader !== undefined || this.taking
    if (claimed && !isInterrupted(this.readingFiber)) throw new Error(twoReaders)
    this.releaseReader()
  }

  /** Unless another has taken its place. */
  private releaseReader(runner = this.runner): void {
    if (this.runner !== runner) return
    this.runner = undefined
    this.reader = undefined
    this.taking = false
    this.readingFiber = undefined
  }

  /** A finalizer would cost more than the rest of a wait. So the fiber is remembered, to ask it whether it still reads. */
  private rememberReader(fiber: Fiber.RuntimeFiber<unknown, unknown>, flags: RuntimeFlags.RuntimeFlags): void {
    this.readingFiber = RuntimeFlags.interruptible(flags) ? fiber : undefined
  }

  private whenReadable(wake: () => void): void {
    // The fiber may have yielded since it looked.
    if (this.isReadable || this.connection.error !== undefined || this.connection.unsettled) wake()
    else this.reader = wake
  }

  /**
   * A Close or a violation came right behind messages. It takes effect when their reader comes back for more, and at the
   * latest at the end of this turn, since the peer waits.
   */
  private settleLater(): void {
    this.settleTimer ??= setTimeout(() => this.settle(), 0)
  }

  protected settle(): void {
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

  /** Sends as soon as there is room, whatever message is under way. */
  protected sendControl(encode: () => Connection.SendError | undefined): Effect.Effect<void, ConnectionError> {
    return !this.writable && this.connection.phase === "Open"
      ? this.awaitRoom(encode, true)
      : this.sent(encode(), undefined, true)
  }

  /**
   * Whether a message may be sent now: the transport has room, and so has the budget; while that has none, little of this
   * connection's own is unsent.
   */
  protected hasRoom(): boolean {
    return this.writable && (!this.budgetIsShort || this.waitsLittle())
  }

  /** Whether the budget has no room for more to be sent. */
  protected get budgetIsShort(): boolean {
    return this.ledger?.budget.sendsSparingly === true
  }

  private waitsLittle(): boolean {
    const { low } = this.settings.sendMarks
    // What was sent in this turn may find room at once.
    if (this.connection.outputBytes > 0 && this.waitingBytes > low) this.flush()
    return this.writable && this.waitingBytes <= low
  }

  /** What waits for the end of the turn counts towards the high-water mark. */
  protected get flushBytes(): number {
    return Math.min(maxFlushBytes, this.settings.sendMarks.high)
  }

  /** `Effect.void` itself when nothing has to wait. */
  protected sent(
    refused: Connection.SendError | undefined,
    waits = this.settings.sendStrategy === "suspend",
    control = false
  ): Effect.Effect<void, ConnectionError> {
    if (refused !== undefined) return Effect.fail(refused)
    if (this.connection.outputBytes >= this.flushBytes) this.flush()
    else if (!this.corked) this.flushLater()
    return !waits || (control ? this.writable : this.hasRoom()) ? Effect.void : this.awaitRoom(undefined, control)
  }

  private flushLater(): void {
    if (this.dirty) return
    this.dirty = true
    this.deferrals = 0
    markDirty(this)
  }

  /** Waits for room, and then sends, if there is anything to send. */
  protected awaitRoom(encode: Waiter["encode"], control = false): Effect.Effect<void, ConnectionError> {
    return awaitCallback((resume) => {
      if (this.closed) return resume(Effect.fail(this.terminalError("local")))
      // The fiber may have yielded since it was told to wait.
      if ((control ? this.writable : this.hasRoom()) || (encode !== undefined && this.connection.phase !== "Open")) {
        return resume(encode === undefined ? Effect.void : this.sent(encode(), true, control))
      }
      const waiter = { encode, control, resume }
      if (this.waiters === noWaiters) this.waiters = new Set()
      this.waiters.add(waiter)
      return () => {
        this.waiters.delete(waiter)
      }
    })
  }

  protected get roomAwaited(): boolean {
    return this.waiters.size > 0
  }

  private setWritable(writable: boolean): void {
    this.writable = writable
    this.deadlines.congested(!writable)
  }

  onDrain(): void {
    this.setWritable(true)
    this.flush()
    this.admitWaiters()
    this.flush()
  }

  /** Lets those send that wait for room, in their order, as far as there is room. */
  private admitWaiters(): void {
    for (const waiter of this.waiters) {
      if (!this.writable) break
      // A control frame does not wait for the budget.
      if (!waiter.control && !this.hasRoom()) continue
      this.waiters.delete(waiter)
      // Like one that did not wait, it is done when there is room behind it.
      waiter.resume(waiter.encode === undefined ? Effect.void : this.sent(waiter.encode(), true, waiter.control))
    }
    this.serve()
  }

  /** A message of ours, or a part of it, was sent unless it was refused. Returns why. */
  protected messageSent(refused: Connection.SendError | undefined, ended = true): Connection.SendError | undefined {
    if (refused !== undefined) return refused
    if (ended) this.sentMessages++
    this.deadlines.messaged()
    return undefined
  }

  /** There is room. */
  protected serve(): void {}

  flushDirty(): void {
    // While more of one read is being answered, one write for all of it; but only as long as the answers keep coming.
    const waiting = this.inboxBytes
    if (waiting > 0 && (waiting !== this.waitingBefore || this.deferrals < maxDeferrals)) {
      this.deferrals = waiting === this.waitingBefore ? this.deferrals + 1 : 0
      this.waitingBefore = waiting
      markDirty(this)
      return
    }
    this.dirty = false
    this.flush()
    // The budget may have told them that there is room.
    if (this.ledger !== undefined && this.roomAwaited && !this.closed) {
      this.admitWaiters()
      this.flush()
    }
  }

  protected flush(): void {
    const { connection } = this
    const open = connection.phase === "Open"
    // Pongs wait for room, where they coalesce; a Close does not.
    if (connection.outputBytes > 0 && (this.writable || !open) && !this.closed) {
      this.sentBytes += connection.outputBytes
      const { belowHighWater, taken } = this.transport.write(connection.takeOutput())
      if (taken) connection.recycleOutput()
      if (belowHighWater !== this.writable) this.setWritable(belowHighWater)
    }
    this.account()
    if (open || this.closed) return
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
      const elapsed = this.timers.now - ping.start
      completePing(ping, Effect.succeed(Duration.millis(elapsed)))
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
    this.process(this.connection.abort(this.terminalError("remote")))
    this.closed = true
    this.account()
    this.ledger?.budget.delete(this)
    if (this.settleTimer !== undefined) clearTimeout(this.settleTimer)
    this.deadlines.stop()
    this.receiveRate?.stop()
    this.failWaiters(this.terminalError("local"))
    for (const owner of this.owners) owner.delete(this)
    const { closers } = this
    this.closers = undefined
    for (const done of closers ?? []) done()
  }

  /** For the end of a scope: nothing that arrives will be read any more. */
  beginClose(code: number, waited = 0): void {
    this.discarding = true
    // What a reader is about to take is no longer ours to drop.
    if (!this.taking) {
      this.resetInbox()
      this.inboxBytes = 0
    }
    this.startClosing(code)
    if (waited > 0) this.deadlines.closingSince(waited)
  }

  get patience(): number {
    return this.settings.closeTimeout / 2
  }

  /** Sends what was accepted, and then a Close. Returns why that may not be sent. Idempotent. */
  startClosing(code: number, reason?: string): ProtocolError | PayloadTooLarge | undefined {
    if (this.connection.phase === "Open") this.sendAccepted()
    const refused = this.connection.close(code, reason)
    if (refused === undefined) this.closing()
    return refused
  }

  /** Sends what was accepted and waits for room. */
  protected sendAccepted(): void {}

  /** Its error, or else one for an end without a Close. Not made where it is not needed: its stack takes long. */
  private terminalError(initiator: "local" | "remote"): ConnectionError {
    return this.connection.error ?? abnormalClosure(initiator)
  }

  whenClosed(done: () => void): () => void {
    if (this.closed) return closedAtOnce(done)
    const closers = (this.closers ??= new Set())
    closers.add(done)
    return () => {
      closers.delete(done)
    }
  }

  /** A Close is on its way: nothing more is sent, and time begins to run. */
  protected closing(): void {
    if (this.connection.unsettled) this.settle()
    for (const waiter of this.waiters) {
      if (waiter.encode === undefined) continue
      this.waiters.delete(waiter)
      waiter.resume(outcome(waiter.encode()))
    }
    this.refuseMessages()
    this.flush()
    this.resume(this.pauses)
  }

  /** What has not been sent will not be. */
  protected refuseMessages(): void {}

  cutShort(): void {
    if (this.closed) return
    const status = this.connection.closeStatus
    this.cutOff = !status.clean || this.transport.bufferedBytes > 0
    this.process(this.connection.abort(this.terminalError("local")))
    this.transport.abort()
  }

  get waitingBytes(): number {
    return this.connection.outputBytes + this.transport.bufferedBytes
  }

  get stuckBytes(): number {
    return this.transport.bufferedBytes
  }

  get leftBytes(): number {
    return this.sentBytes - this.transport.bufferedBytes
  }

  // ---------------------------------------------------------------------------------------------------------------
  // The budget
  // ---------------------------------------------------------------------------------------------------------------

  get unreadBytes(): number {
    return this.inboxBytes
  }

  get unfinishedBytes(): number {
    return this.connection.heldBytes
  }

  get unsentBytes(): number {
    return this.waitingBytes
  }

  account(): void {
    const { ledger } = this
    if (ledger === undefined) return
    if (this.closed) ledger.update(0, 0, 0)
    else ledger.update(this.unreadBytes, this.unfinishedBytes, this.unsentBytes)
    this.obeyInReading(ledger)
  }

  obeyBudget(): void {
    const { ledger } = this
    if (ledger === undefined) return
    this.obeyInReading(ledger)
    // In a turn of their own: this may be called from within anything that changes what is held.
    if (this.roomAwaited) this.flushLater()
  }

  private obeyInReading(ledger: Ledger): void {
    if (ledger.mayRead) this.resume(pausedByBudget)
    else this.pause(pausedByBudget)
  }

  shed(maxBytes: number): void {
    const error = new PayloadTooLarge({ limit: "budget", max: maxBytes, size: undefined, direction: "inbound" })
    this.process(this.connection.fail(tryAgainLater, error))
    this.closing()
  }

  /** A message that nobody waits for any more was lost, so the connection ends with it. */
  protected failDeflating(cause: unknown): void {
    const description = `Deflating a message failed: ${cause instanceof Error ? cause.message : String(cause)}`
    const section = "RFC 7692 §7.2.1"
    const error = new ProtocolError({ origin: "local", description, section, closeCode: internalError })
    this.process(this.connection.fail(internalError, error))
    this.closing()
  }

  sendHeartbeat(): void {
    // A ping would have to wait behind the rest. Whether that leaves tells as much.
    if (!this.writable) return
    this.connection.ping(this.randomPing())
    this.flush()
  }

  expire(deadline: Deadline): void {
    switch (deadline) {
      case "close":
        this.cutShort()
        return
      case "idle":
      case "lifetime":
        this.startClosing(goingAway, expiryReasons[deadline])
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

  protected failWaiters(error: ConnectionError): void {
    const failure = Effect.fail(error)
    for (const waiter of this.waiters) waiter.resume(failure)
    this.waiters.clear()
    for (const ping of this.pendingPings ?? []) completePing(ping, failure)
    this.pendingPings = undefined
  }
}

const goingAway = CloseCode.fromName("GoingAway")
export const policyViolation = CloseCode.fromName("PolicyViolation")
export const messageTooBig = CloseCode.fromName("MessageTooBig")
const tryAgainLater = CloseCode.fromName("TryAgainLater")
const internalError = CloseCode.fromName("InternalError")
const expiryReasons = { idle: "idle", lifetime: "maximum lifetime" }

const timedOut = (operation: string): IoError => new IoError({ reason: "Timeout", operation })

/** Whether a fiber that can be interrupted has been. */
const isInterrupted = (fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined): boolean => {
  if (fiber === undefined) return false
  const cause = fiber.getFiberRef(FiberRef.interruptedCause)
  // `isEmpty` would fold what is nearly always the empty cause itself.
  return cause !== Cause.empty && !Cause.isEmpty(cause)
}

const twoReaders = "Two fibers read from one WebSocket at once: its messages would be divided between them"

/**
 * Begins an effect in a fiber of its own, because this one has been interrupted, and interrupts it then. It ends at the first
 * place where it can be interrupted.
 */
const beginAndInterrupt = <E, R>(
  effect: Effect.Effect<unknown, E, R>,
  cause: Cause.Cause<E>
): Effect.Effect<never, E, R> => {
  const begun = Deferred.unsafeMake<void>(FiberId.none)
  const beginning = Effect.withFiberRuntime<unknown, E, R>((fiber) => {
    const begin = Effect.suspend(() => {
      Deferred.unsafeDone(begun, Effect.void)
      return handOver(fiber, effect)
    })
    return handingOver(fiber, begin)
  })
  return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(beginning)), (fiber) =>
    Effect.zipRight(
      Deferred.await(begun),
      Effect.flatMap(Fiber.interrupt(fiber), (exit) =>
        Effect.failCause(
          Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause) ? cause : Cause.sequential(cause, exit.cause)
        )
      )
    )
  )
}

const endsMessage = (event: Delivered): boolean => {
  switch (event._tag) {
    case "Frame":
      return event.frame.fin && !isControl(event.frame)
    case "TextPart":
    case "BinaryPart":
      return event.final
    default:
      return true
  }
}

/** What an item in the inbox, or a message that waits, counts. */
export const weight = (item: Delivered): number =>
  itemOverhead + (item._tag === "Frame" ? item.frame.payload.byteLength : item.data.length)

/** What became of something to send. */
export const outcome = (refused: Connection.SendError | undefined): Effect.Effect<void, ConnectionError> =>
  refused === undefined ? Effect.void : Effect.fail(refused)

const completePing = (ping: PendingPing, answer: Effect.Effect<Duration.Duration, ConnectionError>): void => {
  if (ping.resume === undefined) ping.answer = answer
  else ping.resume(answer)
}

export const abnormalClosure = (initiator: "local" | "remote"): ConnectionClosed =>
  new ConnectionClosed({
    code: CloseCode.fromName("AbnormalClosure"),
    reason: "",
    initiator,
    clean: false
  })

/** Whether reading ends instead of failing. */
export const endsNormally = (error: ConnectionError): boolean =>
  error._tag === "Connection_closed" &&
  error.clean &&
  (error.initiator === "local" || error.code === 1000 || error.code === 1001 || error.code === 1005)
