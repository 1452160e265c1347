import type { SendError } from "@effect-websocket/protocol/Connection"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { attempted, Defect } from "../Defect.js"
import type { Zlib } from "../../Zlib.js"
import type { Settings } from "../Settings.js"
import type { Flusher } from "./Flusher.js"
import type { Core } from "./Core.js"
import { Wait, type Sent } from "./Wait.js"

/** The connection that a sender belongs to. */
export interface SenderHost {
  readonly connection: Core
  readonly settings: Settings
  readonly zlib: Zlib | undefined
  readonly flusher: Flusher
  readonly closed: boolean
  readonly budgetIsShort: boolean
  account(): void
  /** Told of each message that is sent. */
  messaged(): void
  /** Begins to close. Returns an error if that code or reason may not be sent. */
  startClosing(code: number, reason?: string): SendError | undefined
  cutShort(): void
  /** Called when a Close has been sent in a frame of the app. Passes on what that changes. */
  settle(): void
  failDeflating(cause: unknown): void
  /** The error that says why nothing can be sent any more. */
  terminalError(initiator: "local" | "remote"): ConnectionError
}

// Shared by all connections without a wait: most connections never have one.
const noWaits = new Set<RoomWait>()

/** Sends for the app: at once while there is room, otherwise when there is room again, in the order of the calls. */
export class Sender {
  protected readonly host: SenderHost
  sentMessages = 0
  private waits = noWaits

  constructor(host: SenderHost) {
    this.host = host
  }

  /** Returns the outcome of a send. If it `waits`, it is done only once there is room again. */
  sent(refused: SendError | undefined, waits = this.host.settings.sendStrategy === "suspend", control = false): Sent {
    if (refused !== undefined) return refused
    const { flusher } = this.host
    flusher.sent()
    return !waits || (control ? flusher.writable : flusher.hasRoom()) ? undefined : this.awaitRoom(undefined, control)
  }

  /** Sends a control frame as soon as the transport has room, whatever message is under way. */
  sendControl(encode: () => SendError | undefined): Sent {
    return !this.host.flusher.writable && this.host.connection.phase === "Open"
      ? this.awaitRoom(encode, true)
      : this.sent(encode(), undefined, true)
  }

  /** Waits for room. Then sends, if there is anything to send. */
  protected awaitRoom(encode: (() => SendError | undefined) | undefined, control: boolean): Wait {
    return new RoomWait(this, encode, control)
  }

  /** Adds a wait, unless there is room now or there never will be. */
  queue(wait: RoomWait): void {
    const { host } = this
    if (host.closed) return wait.settle(host.terminalError("local"))
    const { control, encode } = wait
    const hasRoom = control ? host.flusher.writable : host.flusher.hasRoom()
    const isNext = encode === undefined || this.waits.size === 0
    if ((hasRoom && isNext) || (encode !== undefined && host.connection.phase !== "Open")) {
      return wait.settle(this.sentNow(wait))
    }
    if (this.waits === noWaits) this.waits = new Set()
    this.waits.add(wait)
    // There is room, but nothing reported it. Other waits are older, so they are served first.
    if (hasRoom) this.admit()
  }

  unqueue(wait: RoomWait): void {
    this.waits.delete(wait)
  }

  get roomAwaited(): boolean {
    return this.waits.size > 0
  }

  /** The weight, in bytes, of queued messages whose caller does not wait. */
  get droppableBytes(): number {
    return 0
  }

  /** There may be room. Lets the waiting sends continue, in their order. */
  admit(): void {
    const { flusher } = this.host
    for (const wait of this.waits) {
      if (!flusher.writable) break
      // A control frame does not wait for the budget.
      if (!wait.control && !flusher.hasRoom()) continue
      this.waits.delete(wait)
      wait.settle(this.sentNow(wait))
    }
    this.serve()
  }

  /**
   * Sends what has waited. As with a send that did not wait, it is done once there is room again. This runs in callbacks of
   * transports, so bytes that were borrowed and given back meanwhile are a defect of the caller that waits.
   */
  private sentNow({ control, encode }: RoomWait): Sent {
    if (encode === undefined) return undefined
    const refused = attempted(encode)
    return refused instanceof Defect ? refused : this.sent(refused, true, control)
  }

  /** Lets messages continue that wait for their turn. */
  serve(): void {}

  /** Called before a Close. Sends the accepted messages that wait for room. */
  sendAccepted(): void {}

  /** A Close is on its way. Sends that still wait are refused. */
  refuse(): void {
    for (const wait of this.waits) {
      const { encode } = wait
      if (encode === undefined) continue
      this.waits.delete(wait)
      wait.settle(attempted(encode))
    }
  }

  /** The connection has ended. Fails all waits. */
  fail(error: ConnectionError): void {
    if (this.waits === noWaits) return
    const { waits } = this
    this.waits = noWaits
    for (const wait of waits) wait.settle(error)
  }

  /** Records that a message or a part of one was sent, unless it was refused. Returns `refused`. */
  protected messageSent(refused: SendError | undefined, ended = true): SendError | undefined {
    if (refused !== undefined) return refused
    if (ended) this.sentMessages++
    this.host.messaged()
    return undefined
  }
}

/**
 * Waits for room. With `encode`, it sends something once there is room. Without it, the bytes have already been sent, and
 * the send is done once the peer has read enough.
 */
class RoomWait extends Wait {
  private readonly sender: Sender
  readonly encode: (() => SendError | undefined) | undefined
  /** Whether this is a control frame. A control frame waits only for the transport, not for the budget. */
  readonly control: boolean

  constructor(sender: Sender, encode: (() => SendError | undefined) | undefined, control: boolean) {
    super()
    this.sender = sender
    this.encode = encode
    this.control = control
  }

  override get isSent(): boolean {
    return this.encode === undefined || super.isSent
  }

  protected begin(): void {
    this.sender.queue(this)
  }

  protected undo(): void {
    this.sender.unqueue(this)
  }
}
