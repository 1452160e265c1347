import type { Deflation } from "@effect-websocket/protocol/Compressor"
import type { SendError } from "@effect-websocket/protocol/Connection"
import { PayloadTooLarge, type ConnectionError } from "@effect-websocket/protocol/Errors"
import { Binary, size, type Message } from "@effect-websocket/protocol/Message"
import type { SendOptions } from "../../Options.js"
import { Defect } from "../Defect.js"
import type { SendStrategy } from "../Settings.js"
import { policyViolation } from "./closeCodes.js"
import { weight } from "./Inbox.js"
import { deflationJob } from "./DeflationJob.js"
import { exceeds, frameSize, toMessage, type Data } from "./sendable.js"
import { Sender } from "./Sender.js"
import { Wait, type Sent } from "./Wait.js"

// Shared by all connections without a turn: most connections never have one.
const noTurns = new Set<Turn>()
// Messages of at least this many bytes (UTF-16 units of text) are deflated on another thread.
const deflateLaterLength = 64 * 1024

/** What happens to a message if the peer does not read fast enough, whatever the connection does otherwise. */
export interface Slow {
  readonly sendStrategy: SendStrategy
  /** The code of the Close with the strategy `"close"`. Default: 1008. */
  readonly closeCode?: number | undefined
}

/** A message that is being sent, and holds up the messages behind it. */
export interface UnderWay {
  /** Called when the connection is closing or has ended. */
  fail(error: ConnectionError): void
}

/** Sends messages one at a time, in the order of the calls. */
export class MessageSender extends Sender {
  private turns = noTurns
  // The weight of the messages that may be dropped in favour of newer ones.
  private droppable = 0
  // A message that is being deflated, or that comes from a stream.
  private underWay: Turn | UnderWay | undefined = undefined
  private cancelDeflating: (() => void) | undefined = undefined

  override get droppableBytes(): number {
    return this.droppable
  }

  /** Whether the connection is closing or has ended, so that nothing can be sent. */
  get isOver(): boolean {
    return this.host.connection.phase !== "Open"
  }

  /**
   * Throws if `data` is not a message, or if an option is invalid. `slow` says what happens if the peer does not read fast
   * enough. Default: what the options of the connection say.
   */
  sendNow(data: Data, options: SendOptions | undefined, slow?: Slow): Sent {
    const message = toMessage(data)
    const compress = options?.compress
    const maxFrameSize = frameSize(options?.maxFrameSize)
    const large = this.host.zlib !== undefined && message.data.length >= deflateLaterLength
    return this.isOver || (!large && this.isFree)
      ? this.sent(this.encode(message, compress, maxFrameSize), this.suspends(slow))
      : this.sendOrWait(message, compress, maxFrameSize, large, slow)
  }

  private suspends(slow: Slow | undefined): boolean {
    return (slow ?? this.host.settings).sendStrategy === "suspend"
  }

  // Apart from `sendNow`, because what its functions capture is allocated when it is called.
  private sendOrWait(
    message: Message,
    compress: boolean | undefined,
    maxFrameSize: number | undefined,
    large: boolean,
    slow: Slow | undefined
  ): Sent {
    const { connection, flusher } = this.host
    const { sendStrategy } = slow ?? this.host.settings
    // The size is checked before anything is deflated, queued or dropped.
    const tooLarge = this.refuseSize(message)
    if (tooLarge !== undefined) return tooLarge
    // The app's filter runs here, so that an error it throws is a defect of the caller.
    const decided = connection.compresses(message, compress)
    // It may have closed the connection, or sent something.
    if (this.isOver) return this.sent(this.encode(message, decided, maxFrameSize))
    if (sendStrategy === "sliding" && !this.isFree) return this.slide(message, decided, large, maxFrameSize)
    if (this.isNext && sendStrategy !== "suspend" && !flusher.hasRoom()) {
      return this.sent(this.sendToSlow(message, decided, maxFrameSize, slow), false)
    }
    const deflation = large && decided ? () => connection.deflation(message, true) : undefined
    return this.awaitTurn(
      {
        begin: (uncompressed) => this.sendInTurn(message, uncompressed ?? decided, maxFrameSize, slow),
        deflation,
        maxFrameSize
      },
      this.suspends(slow)
    )
  }

  private refuseSize(message: Message): PayloadTooLarge | undefined {
    const max = this.host.connection.maxSendBytes
    return exceeds(message, max)
      ? new PayloadTooLarge({ limit: "message", max, size: size(message), direction: "outbound" })
      : undefined
  }

  private encode(
    message: Message,
    compress: boolean | undefined,
    maxFrameSize: number | undefined
  ): SendError | undefined {
    return this.messageSent(this.host.connection.send(message, compress, maxFrameSize))
  }

  private sendInTurn(
    message: Message,
    compress: boolean | undefined,
    maxFrameSize: number | undefined,
    slow: Slow | undefined
  ): SendError | undefined {
    return this.host.flusher.hasRoom()
      ? this.encode(message, compress, maxFrameSize)
      : this.sendToSlow(message, compress, maxFrameSize, slow)
  }

  /** Applies the send strategy: the peer does not read fast enough, and `send` must not wait. */
  private sendToSlow(
    message: Message,
    compress: boolean | undefined,
    maxFrameSize: number | undefined,
    slow: Slow | undefined
  ): SendError | undefined {
    const { sendStrategy } = slow ?? this.host.settings
    switch (this.isOver ? "suspend" : sendStrategy) {
      case "dropping":
        return undefined
      case "close":
        this.host.startClosing(slow?.closeCode ?? policyViolation, "too slow")
        break
      case "abort":
        this.host.cutShort()
        break
      case "suspend":
      case "sliding":
        break
    }
    return this.encode(message, compress, maxFrameSize)
  }

  /**
   * Queues a message. If too many bytes are queued then, it drops the oldest messages. The caller continues at once, so this
   * method keeps a copy.
   */
  private slide(message: Message, compress: boolean, large: boolean, maxFrameSize: number | undefined): undefined {
    const kept = message._tag === "Text" ? message : new Binary(message.data.slice())
    const { high, low } = this.host.settings.sendMarks
    const maxBytes = this.host.budgetIsShort ? low : high
    const turn = new Turn(
      this,
      {
        begin: (uncompressed) => this.encode(kept, uncompressed ?? compress, maxFrameSize),
        deflation: large && compress ? () => this.host.connection.deflation(kept, true) : undefined,
        maxFrameSize
      },
      true,
      weight(kept)
    )
    this.addTurn(turn)
    for (const oldest of this.turns) {
      if (this.droppable <= maxBytes || oldest === turn) break
      // The other messages have a caller that waits, or are being deflated.
      if (oldest.droppableBytes > 0 && oldest !== this.underWay) this.deleteTurn(oldest)
    }
    this.host.account()
    return undefined
  }

  private addTurn(turn: Turn): void {
    if (this.turns === noTurns) this.turns = new Set()
    this.turns.add(turn)
    this.droppable += turn.droppableBytes
  }

  private deleteTurn(turn: Turn): void {
    if (this.turns.delete(turn)) this.droppable -= turn.droppableBytes
  }

  /** `patient`: the turn waits for room. Otherwise it is served once it has come, whether there is room or not. */
  awaitTurn(plan: Plan, patient: boolean): Wait {
    return new Turn(this, plan, patient, 0)
  }

  queueTurn(turn: Turn): void {
    if (this.isOver) return turn.settle(turn.plan.begin())
    this.addTurn(turn)
    this.serve()
  }

  unqueueTurn(turn: Turn): void {
    this.deleteTurn(turn)
    if (this.underWay === turn) this.stopDeflating()
    this.serve()
  }

  override get roomAwaited(): boolean {
    return this.turns.size > 0 || super.roomAwaited
  }

  override serve(): void {
    const { flusher } = this.host
    for (const turn of this.turns) {
      if (this.underWay !== undefined) break
      // A strategy that does not wait for room is applied once the turn has come.
      if (turn.patient && !flusher.hasRoom()) break
      if (turn.plan.deflation === undefined) this.begin(turn)
      else this.deflateLater(turn, turn.plan.deflation)
    }
    flusher.flush()
  }

  private begin(turn: Turn, compress?: false): void {
    this.complete(turn, () => turn.plan.begin(compress))
  }

  /**
   * The turn of a message has come. This runs in callbacks of sockets, timers and zlib. An error that the app's zlib throws
   * must not escape from them. It becomes a defect of the caller that waits.
   */
  private complete(turn: Turn, begin: () => SendError | undefined): void {
    this.deleteTurn(turn)
    let refused: SendError | undefined
    try {
      refused = begin()
    } catch (defect) {
      this.sendDied(turn, defect)
      return
    }
    // As with a message that did not wait, the send is done once there is room again.
    turn.settle(this.sent(refused))
  }

  private sendDied(turn: Turn, defect: unknown): void {
    this.deleteTurn(turn)
    turn.settle(new Defect(defect))
    // The caller no longer waits for this message, so its loss must end the connection.
    if (turn.droppableBytes > 0) this.host.failDeflating(defect)
  }

  private deflateLater(turn: Turn, deflation: () => Deflation | undefined): void {
    const { zlib } = this.host
    this.underWay = turn
    try {
      const started = deflation()
      if (started === undefined || zlib === undefined) {
        this.underWay = undefined
        this.begin(turn)
        return
      }
      const { connection } = this.host
      const finish = (deflated: Uint8Array | undefined): void => {
        this.underWay = undefined
        this.complete(turn, () => this.messageSent(connection.sendDeflated(started, deflated, turn.plan.maxFrameSize)))
      }
      const job = deflationJob(zlib, started)
      if (job.result !== undefined) {
        finish(job.result.deflated)
        return
      }
      const leave = job.join((deflated) => {
        // The send was cancelled before the job could be left.
        if (this.underWay !== turn) return
        this.cancelDeflating = undefined
        finish(deflated)
        this.serve()
      })
      // It may have called back, or closed the connection, before it returned.
      if (this.underWay === turn) this.cancelDeflating = leave
      else leave()
    } catch (defect) {
      // It closed the connection before it threw.
      if (this.underWay !== turn) return
      this.underWay = undefined
      this.sendDied(turn, defect)
    }
  }

  /** Stops deflating the message under way. The caller then sends or refuses it, or serves the turns. */
  private stopDeflating(): void {
    if (!(this.underWay instanceof Turn)) return
    const cancel = this.cancelDeflating
    this.underWay = this.cancelDeflating = undefined
    cancel?.()
  }

  // Messages that come from a stream (see `OutgoingStream`)

  /** Whether a message may begin at once. */
  get isFree(): boolean {
    return this.isNext && this.host.flusher.hasRoom()
  }

  /** Whether no other message waits or is under way. */
  private get isNext(): boolean {
    return this.turns.size === 0 && this.underWay === undefined
  }

  /** Makes all later messages wait. Returns an error if nothing can be sent. */
  occupy(stream: UnderWay): SendError | undefined {
    const { refusal } = this.host.connection
    if (refusal === undefined) this.underWay = stream
    return refusal
  }

  occupies(stream: UnderWay): boolean {
    return this.underWay === stream
  }

  /** Lets later messages continue. If `code` is given, closes the connection instead. */
  vacate(code: number | undefined): void {
    this.underWay = undefined
    if (code !== undefined) this.host.startClosing(code)
    this.serve()
  }

  sendPart(part: string | Uint8Array, fin: boolean): SendError | undefined {
    return this.messageSent(this.host.connection.sendFragment(part, fin), fin)
  }

  get refusal(): ConnectionError | undefined {
    return this.host.connection.refusal
  }

  /**
   * Sends the messages whose `send` is already done. If one of them is being deflated, it does not hold up the others: it is
   * sent uncompressed.
   */
  override sendAccepted(): void {
    this.stopDeflating()
    // No other message may be sent inside a message that is sent in parts (RFC 6455 §5.4).
    if (this.underWay !== undefined) return
    for (const turn of this.turns) {
      if (turn.droppableBytes > 0) this.begin(turn, turn.plan.deflation && false)
    }
  }

  override refuse(): void {
    super.refuse()
    this.stopDeflating()
    const { refusal } = this.host.connection
    if (refusal !== undefined) this.underWay?.fail(refusal)
    for (const turn of this.turns) this.begin(turn)
  }

  override fail(error: ConnectionError): void {
    super.fail(error)
    this.stopDeflating()
    this.underWay?.fail(error)
    const { turns } = this
    this.turns = noTurns
    this.droppable = 0
    for (const turn of turns) turn.settle(error)
  }
}

/** The steps to take when the turn of a message has come. */
export interface Plan {
  /** Sends the message, deflated unless `compress` is `false`. */
  readonly begin: (compress?: false) => SendError | undefined
  /** The data to deflate on another thread before `begin`. */
  readonly deflation?: (() => Deflation | undefined) | undefined
  readonly maxFrameSize?: number | undefined
}

/** A message that waits for its turn: for room, and for the end of the message under way. */
class Turn extends Wait {
  private readonly sender: MessageSender
  readonly plan: Plan
  /** Whether it waits for room. */
  readonly patient: boolean
  /** Its weight in bytes if it may be dropped in favour of a newer message, otherwise 0. */
  readonly droppableBytes: number

  constructor(sender: MessageSender, plan: Plan, patient: boolean, droppableBytes: number) {
    super()
    this.sender = sender
    this.plan = plan
    this.patient = patient
    this.droppableBytes = droppableBytes
  }

  protected begin(): void {
    this.sender.queueTurn(this)
  }

  protected undo(): void {
    this.sender.unqueueTurn(this)
  }

  /** Does nothing: while the message is being deflated, it learns of the end of the connection like all waiting turns. */
  fail(): void {}
}
