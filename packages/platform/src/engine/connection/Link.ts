/** Joins a `Connection` to its transport, time, the budget, its reader and its sender. */
import { encodePayload } from "@effect-websocket/protocol/CloseCode"
import type * as Connection from "@effect-websocket/protocol/Connection"
import type { ProtocolError } from "@effect-websocket/protocol/Errors"
import {
  localProtocolError,
  ConnectionClosed,
  IoError,
  PayloadTooLarge,
  type ConnectionError
} from "@effect-websocket/protocol/Errors"
import { isControl } from "@effect-websocket/protocol/Frame"
import type { Agreement } from "@effect-websocket/protocol/Handshake"
import type * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import type { Transport, TransportSink } from "../../Transport.js"
import type { Zlib } from "../../Zlib.js"
import { randomBytesFrom } from "../random.js"
import type { Settings } from "../Settings.js"
import { Deadlines, hasDeadlineAtStart, type Deadline, type DeadlineOwner } from "../time/Deadlines.js"
import type { Timers } from "../time/Timers.js"
import { Waiters } from "../Waiters.js"
import { Ledger, type BudgetMember } from "./Budget.js"
import { closedAtOnce, type Closable, type Owner } from "./Closables.js"
import { abnormalClosure, goingAway, internalError, policyViolation, tryAgainLater } from "./closeCodes.js"
import type { Core } from "./Core.js"
import type { FinalStatus } from "./FinalStatus.js"
import { Flusher, type FlusherHost } from "./Flusher.js"
import { Inbox, pausedByBudget, pausedByInbox, pausedByRate, type Delivered, type InboxHost } from "./Inbox.js"
import { PendingPing, Pings, type Closing, type ControlEvent } from "./Pings.js"
import { ReceiveRate } from "./ReceiveRate.js"
import { pingPayload, pongPayload } from "./sendable.js"
import type { Sender, SenderHost } from "./Sender.js"
import type { Sent } from "./Wait.js"

/** The result of the opening handshake. */
export interface Negotiated {
  readonly url: string
  readonly agreement: Agreement
  readonly deflate?: PermessageDeflate.Agreement | undefined
}

/** Which items the connection delivers, and which tasks it leaves to the app. */
export interface Mode {
  readonly delivery: Connection.Delivery
  readonly answerPings?: boolean | undefined
  readonly answerClose?: boolean | undefined
  readonly recordFrames?: boolean | undefined
  readonly rsv?: number | undefined
  readonly opcodes?: ReadonlyArray<number> | undefined
}

const pingBytes = 8
const randomPing = ({ random }: Settings): Uint8Array => randomBytesFrom(random, pingBytes)

const closing: Closing = { _tag: "Closing" }

const noOwners: ReadonlyArray<Owner> = []

/** One connection. It reads in order, sends through its `sender`, answers, keeps its deadlines, and closes. */
export class Link<Item extends Delivered = Delivered>
  implements TransportSink, Closable, DeadlineOwner, BudgetMember, FlusherHost, InboxHost, SenderHost
{
  readonly url: string
  readonly agreement: Agreement
  readonly delivery: Connection.Delivery
  readonly connection: Core
  readonly transport: Transport
  readonly settings: Settings
  /** The compressor, if the two sides agreed on compression. */
  readonly zlib: Zlib | undefined
  readonly flusher: Flusher
  readonly inbox: Inbox<Item>
  readonly timers: Timers
  private readonly receiveRate: ReceiveRate | undefined
  // The account of this connection in its budget.
  private readonly ledger: Ledger | undefined
  /** Must be set once, before `start`. */
  sender!: Sender
  // Made for the first deadline: without a heartbeat, an idle connection has none.
  private deadlinesOrNone: Deadlines | undefined = undefined
  // Most connections have one owner. A list of one would take more memory.
  private owner: Owner | undefined = undefined
  private otherOwners: ReadonlyArray<Owner> = noOwners

  // A message counts when it has ended. The bytes are those of the transport, without the handshake.
  receivedMessages = 0
  receivedBytes = 0

  /** Cancels what `settleLater` has begun. */
  stopSettling: (() => void) | undefined = undefined
  private pings: Pings | undefined = undefined

  closed = false
  private cutOff = false
  private closers: Waiters | undefined = undefined

  constructor(
    connection: Core,
    transport: Transport,
    settings: Settings,
    timers: Timers,
    negotiated: Negotiated,
    mode: Pick<Mode, "delivery">
  ) {
    this.connection = connection
    this.url = negotiated.url
    this.agreement = negotiated.agreement
    this.zlib = negotiated.deflate && settings.compression?.zlib
    this.delivery = mode.delivery
    this.transport = transport
    this.settings = settings
    this.timers = timers
    this.ledger = settings.budget && new Ledger(settings.budget, timers)
    this.receiveRate =
      settings.receiveRate && new ReceiveRate(settings.receiveRate, timers, () => this.inbox.resume(pausedByRate))
    this.flusher = new Flusher(this)
    this.inbox = new Inbox(this)
  }

  /** Starts the transport, and joins the owners that will close the connection. */
  start(...owners: ReadonlyArray<Owner>): void {
    // Before the transport, so that its end stops them whenever it comes.
    if (hasDeadlineAtStart(this.settings)) this.deadlines.start()
    this.transport.start(this, this.settings.sendMarks)
    if (!this.closed) this.ledger?.budget.add(this)
    for (const owner of owners) this.addOwner(owner)
  }

  addOwner(owner: Owner): void {
    if (this.closed) return owner.delete(this)
    if (this.owner === undefined) this.owner = owner
    else this.otherOwners = this.otherOwners.concat(owner)
    owner.add(this)
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Reading
  // ---------------------------------------------------------------------------------------------------------------

  onChunk(chunk: Uint8Array, owned: boolean, mutable?: boolean): void {
    const { connection, flusher, inbox } = this
    const idle = !inbox.isAwaited
    this.deadlinesOrNone?.heard()
    this.receivedBytes = connection.arrivedBytes ?? this.receivedBytes + chunk.length
    const messagesBefore = this.receivedMessages
    let messaged: boolean
    flusher.cork()
    try {
      messaged = this.process(connection.receive(chunk, owned, mutable))
    } finally {
      flusher.endRead()
    }
    if (connection.receiving) this.deadlines.receiving(true, messaged)
    else this.deadlinesOrNone?.receiving(false, messaged)
    // A Close or a violation arrived right behind messages. It takes effect when their reader asks for more. The peer waits,
    // so it takes effect at the end of this turn at the latest.
    if (connection.unsettled) this.stopSettling ??= this.settleLater()
    flusher.flushAnswers()
    if (this.receiveRate?.exceeds(this.receivedMessages - messagesBefore, chunk.length)) {
      if (this.receiveRate.closes) this.startClosing(policyViolation, "too much per time")
      else inbox.pause(pausedByRate)
    }
    // If a reader waited, it has not had its turn yet, so reading is not paused.
    if (idle && inbox.isAboveHighWater) inbox.pause(pausedByInbox)
    this.account()
    if (owned && !connection.keepsChunk) this.transport.release?.(chunk)
  }

  /** Handles events. Returns whether there was data among them. */
  private process(events: ReadonlyArray<Connection.Event>): boolean {
    let messaged = false
    // With an index, because V8 allocates an object for each step of an iterator over a frozen array, as the empty one is.
    for (let i = 0; i < events.length; i++) {
      const event = events[i]!
      switch (event._tag) {
        case "Pong":
          this.pings?.answer(event.data, this.timers.now)
          this.pings?.tell(event)
          break
        case "Ping":
          this.pings?.tell(event)
          break
        case "Ended":
          this.pings?.tell(event)
          this.failSends(event.error)
          break
        default:
          messaged ||= event._tag !== "Frame" || !isControl(event.frame)
          if (endsMessage(event)) this.receivedMessages++
          // The `delivery` of the connection determines the type of these items.
          this.inbox.push(event as Item)
      }
    }
    if (messaged) this.messaged()
    if (events.length > 0) this.inbox.wakeReader()
    return messaged
  }

  /** Fails the connection because of an item that waits to be read. This item is dropped, and so are all items behind it. */
  failReading(code: number, error: ConnectionError): void {
    if (this.connection.error === undefined) this.fail(code, error)
    // After the failure, because from then on no items are added.
    this.inbox.clear()
    this.inbox.taken()
  }

  get paused(): boolean {
    return this.inbox.paused
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Sending
  // ---------------------------------------------------------------------------------------------------------------

  onDrain(): void {
    this.flusher.setWritable(true)
    this.flusher.flush()
    this.sender.admit()
    this.flusher.flush()
  }

  sendPing(ping: PendingPing): Sent {
    return this.sender.sendControl(() => {
      const refused = this.connection.ping(ping.payload)
      if (refused === undefined) (this.pings ??= new Pings(this.settings.observer)).add(ping)
      return refused
    })
  }

  forgetPing(ping: PendingPing): void {
    this.pings?.forget(ping)
  }

  sendPong(data: Uint8Array | undefined): Sent {
    const payload = pongPayload(data)
    return this.sender.sendControl(() => this.connection.pong(payload))
  }

  /** Calls `listener` for pings, pongs and the end. Returns a function that removes it. */
  listen(listener: (event: ControlEvent) => void): () => void {
    return (this.pings ??= new Pings(this.settings.observer)).listen(listener)
  }

  private failSends(error: ConnectionError): void {
    this.pings?.fail(error)
    this.sender.fail(error)
  }

  get sentMessages(): number {
    return this.sender.sentMessages
  }

  get sentBytes(): number {
    return this.flusher.sentBytes
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Closing
  // ---------------------------------------------------------------------------------------------------------------

  onEof(): void {
    this.process(this.connection.receiveEof())
    this.flusher.flush()
  }

  /** Nothing can be read or written any more: the transport says so, or the connection is to end at once. */
  onError(error: ConnectionError): void {
    this.abandon(error)
    this.transport.abort()
  }

  onClose(): void {
    if (this.closed) return
    this.abandon(this.terminalError("remote"))
    this.closed = true
    this.account()
    this.ledger?.budget.delete(this)
    this.stopSettling?.()
    this.deadlinesOrNone?.stop()
    this.receiveRate?.stop()
    this.failSends(this.terminalError("local"))
    this.owner?.delete(this)
    for (const owner of this.otherOwners) owner.delete(this)
    this.closers?.wakeAll()
    this.closers = undefined
  }

  /**
   * Called when a Close or a violation arrives behind messages. A reader that hands messages over in later turns puts its own in the
   * place of this. Returns a function that cancels it.
   */
  settleLater(): () => void {
    return afterReading(this, () => this.settle())
  }

  /** Lets a Close or a violation take effect that arrived behind messages, and passes on what that or a Close of ours changes. */
  settle(): void {
    this.stopSettling?.()
    this.stopSettling = undefined
    this.process(this.connection.settle())
    this.flusher.flush()
  }

  /** Closes the connection at the end of a scope. Items that arrive from now on will not be read. */
  beginClose(code: number, waited = 0): void {
    this.inbox.discard()
    this.startClosing(code)
    if (waited > 0) this.deadlines.closingSince(waited)
  }

  get patience(): number {
    return this.settings.closeTimeout / 2
  }

  /** Sends the accepted messages, and then a Close. Returns an error if that Close may not be sent. Idempotent. */
  startClosing(code: number | undefined, reason?: string): ProtocolError | PayloadTooLarge | undefined {
    if (this.connection.phase === "Open") {
      const payload = encodePayload(code, reason)
      // A Close that may not be sent changes nothing.
      if (!(payload instanceof Uint8Array)) return payload
      this.sender.sendAccepted()
      this.connection.close(code, reason)
    }
    this.settle()
    return undefined
  }

  private fail(code: number, error: ConnectionError): void {
    this.process(this.connection.fail(code, error))
    this.flusher.flush()
  }

  /**
   * The connection has left the phase `Open`. Nothing more is sent, the close timeout begins, and the peer's end must be seen.
   * Idempotent.
   */
  leaveOpen(): void {
    this.sender.refuse()
    this.deadlines.closing()
    this.inbox.resumeAll()
    this.pings?.tell(closing)
  }

  /** Drops the connection without a closing handshake. Idempotent. */
  cutShort(): void {
    if (!this.closed) this.onError(this.terminalError("local"))
  }

  /** Nothing more arrives or leaves. A Close that has not left by now never does, although an abort forgets it. */
  private abandon(error: ConnectionError): void {
    this.cutOff ||= !this.connection.closeStatus.clean || this.flusher.waitingBytes > 0
    this.flusher.stop()
    this.process(this.connection.abort(error))
    this.deadlines.closing()
  }

  /** The error of the connection, or else an error for an end without a Close, which is made only when it is needed. */
  terminalError(initiator: "local" | "remote"): ConnectionError {
    return this.connection.error ?? abnormal(initiator)
  }

  whenClosed(done: () => void): () => void {
    return this.closed ? closedAtOnce(done) : (this.closers ??= new Waiters()).add(done)
  }

  /** How the connection ended, once it is closed. */
  get status(): FinalStatus {
    const status = this.connection.closeStatus
    return { ...status, clean: status.clean && !this.cutOff, error: this.terminalError("local") }
  }

  // ---------------------------------------------------------------------------------------------------------------
  // The budget
  // ---------------------------------------------------------------------------------------------------------------

  get unreadBytes(): number {
    return this.inbox.bytes
  }

  get unfinishedBytes(): number {
    return this.connection.heldBytes
  }

  get unsentBytes(): number {
    return this.flusher.waitingBytes + this.sender.droppableBytes
  }

  get budgetIsShort(): boolean {
    return this.ledger?.budget.sendsSparingly === true
  }

  account(): void {
    const { ledger } = this
    if (ledger === undefined) return
    if (this.closed) ledger.update(0, 0, 0)
    else ledger.update(this.unreadBytes, this.unfinishedBytes, this.unsentBytes)
    obeyInReading(this.inbox, ledger)
  }

  obeyBudget(): void {
    if (this.ledger === undefined) return
    obeyInReading(this.inbox, this.ledger)
    // Sends continue in a turn of their own, because any code that changes what is held may call this method.
    if (this.sender.roomAwaited) this.flusher.flushLater()
  }

  serveBudget(): void {
    // The budget may have told the waiting sends that there is room.
    if (this.ledger === undefined || this.closed || !this.sender.roomAwaited) return
    this.sender.admit()
    this.flusher.flush()
  }

  shed(maxBytes: number): void {
    this.fail(tryAgainLater, overBudget(maxBytes))
  }

  /** A message was lost whose caller no longer waits for it. Only the end of the connection can report this. */
  failDeflating(cause: unknown): void {
    this.fail(internalError, deflatingFailed(cause))
  }

  // ---------------------------------------------------------------------------------------------------------------
  // Deadlines
  // ---------------------------------------------------------------------------------------------------------------

  private get deadlines(): Deadlines {
    return (this.deadlinesOrNone ??= new Deadlines(this.timers, timedSettings(this.settings, this.delivery), this))
  }

  messaged(): void {
    this.deadlinesOrNone?.messaged()
  }

  congested(isCongested: boolean): void {
    const deadlines = isCongested ? this.deadlines : this.deadlinesOrNone
    deadlines?.congested(isCongested)
  }

  get stuckBytes(): number {
    return this.transport.bufferedBytes
  }

  get leftBytes(): number {
    return this.flusher.leftBytes
  }

  sendHeartbeat(): void {
    // A ping would have to wait behind other output. Whether that output leaves says just as much about the peer.
    if (!this.flusher.writable) return
    const ping = makePing(this)
    this.connection.ping(ping.payload)
    if (this.settings.observer !== undefined) (this.pings ??= new Pings(this.settings.observer)).beat(ping)
    this.flusher.flush()
  }

  expire(deadline: Deadline): void {
    if (deadline === "close") this.cutShort()
    else if (deadline === "write") this.onError(timedOut(deadline))
    else if (deadline === "message") this.fail(policyViolation, timedOut(deadline))
    else if (deadline === "heartbeat") this.fail(internalError, timedOut(deadline))
    else this.startClosing(goingAway, expiryReasons[deadline])
  }
}

/** Makes a ping for `sendPing`. Throws if `data` is too long for a ping. */
export const makePing = ({ settings, timers }: Pick<Link, "settings" | "timers">, data?: Uint8Array): PendingPing =>
  new PendingPing(data === undefined ? randomPing(settings) : pingPayload(data), timers.now)

const obeyInReading = (inbox: Pick<Link["inbox"], "pause" | "resume">, { mayRead }: Ledger): void => {
  if (mayRead) inbox.resume(pausedByBudget)
  else inbox.pause(pausedByBudget)
}

/** If messages are not held whole, the reader determines how long each one takes, so there is no `messageTimeout`. */
const timedSettings = (settings: Settings, delivery: Connection.Delivery): Settings =>
  delivery === "messages" ? settings : { ...settings, messageTimeout: Number.POSITIVE_INFINITY }

const expiryReasons = { idle: "idle", lifetime: "maximum lifetime" }

const timedOut = (operation: string): IoError => new IoError({ reason: "Timeout", operation })

const deflatingFailed = (cause: unknown): ProtocolError => {
  const description = `Deflating a message failed: ${cause instanceof Error ? cause.message : String(cause)}`
  return localProtocolError(description, "RFC 7692 §7.2.1", internalError)
}

const overBudget = (max: number): PayloadTooLarge =>
  new PayloadTooLarge({ limit: "budget", max, size: undefined, direction: "inbound" })

const abnormal = (initiator: "local" | "remote"): ConnectionClosed =>
  new ConnectionClosed({ code: abnormalClosure, reason: "", initiator, clean: false })

/** Whether an item is the last one of its message. */
const endsMessage = (item: Delivered): boolean => {
  switch (item._tag) {
    case "Frame":
      return item.frame.fin && !isControl(item.frame)
    case "TextPart":
    case "BinaryPart":
      return item.final
    default:
      return true
  }
}

/**
 * Calls `settle` at the end of this turn. A reader that yields to the event loop takes more than one turn, so it waits for
 * such a reader as long as each turn makes progress. Returns a function that cancels this.
 */
const afterReading = (link: Link<Delivered>, settle: () => void): (() => void) => {
  const { afterYield } = link.timers
  let isCancelled = false
  let timer: ReturnType<typeof setTimeout>
  const wait = (): void => {
    const { unreadBytes } = link
    const look = (): void => {
      if (isCancelled) return
      if (afterYield !== undefined && link.unreadBytes > 0 && link.unreadBytes < unreadBytes) wait()
      else settle()
    }
    // The timer may fire before a fiber that has yielded goes on.
    timer = setTimeout(() => (afterYield === undefined ? look() : afterYield(look)), 0)
  }
  wait()
  return () => {
    isCancelled = true
    clearTimeout(timer)
  }
}
