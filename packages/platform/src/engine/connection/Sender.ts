import type { Connection, SendError } from "@effect-websocket/protocol/Connection"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Zlib } from "../../Zlib.js"
import type { Settings } from "../Settings.js"
import type { Deadlines } from "../time/Deadlines.js"
import type { Flusher } from "./Flusher.js"
import { Wait, type Sent } from "./Wait.js"

/** The connection that a sender sends for. */
export interface SenderHost {
  readonly connection: Connection
  readonly settings: Settings
  readonly zlib: Zlib | undefined
  readonly deadlines: Deadlines
  readonly flusher: Flusher
  readonly closed: boolean
  readonly budgetIsShort: boolean
  account(): void
  /** Begins to close. Returns why that code or reason may not be sent. */
  startClosing(code: number, reason?: string): SendError | undefined
  cutShort(): void
  /** A Close has been sent. */
  closing(): void
  failDeflating(cause: unknown): void
  /** Why nothing can be sent any more. */
  terminalError(initiator: "local" | "remote"): ConnectionError
}

// Most connections never have one.
const noWaits = new Set<RoomWait>()

/** Sends what an app asks for: at once while there is room, else in the order of the calls when there is. */
export class Sender {
  protected readonly host: SenderHost
  sentMessages = 0
  private waits = noWaits

  constructor(host: SenderHost) {
    this.host = host
  }

  /** What was sent, or refused: done, or waiting until there is room behind it. */
  sent(refused: SendError | undefined, waits = this.host.settings.sendStrategy === "suspend", control = false): Sent {
    if (refused !== undefined) return refused
    const { flusher } = this.host
    flusher.sent()
    return !waits || (control ? flusher.writable : flusher.hasRoom()) ? undefined : this.awaitRoom(undefined, control)
  }

  /** Sends as soon as the transport has room, whatever message is under way. */
  sendControl(encode: () => SendError | undefined): Sent {
    return !this.host.flusher.writable && this.host.connection.phase === "Open"
      ? this.awaitRoom(encode, true)
      : this.sent(encode(), undefined, true)
  }

  /** Waits for room, and then sends, if there is anything to send. */
  protected awaitRoom(encode: (() => SendError | undefined) | undefined, control: boolean): Wait {
    return new RoomWait(this, encode, control)
  }

  /** Adds a wait, unless there is room or none will ever be. */
  queue(wait: RoomWait): void {
    const { host } = this
    if (host.closed) return wait.settle(host.terminalError("local"))
    const { control, encode } = wait
    const hasRoom = control ? host.flusher.writable : host.flusher.hasRoom()
    const isNext = encode === undefined || this.waits.size === 0
    if ((hasRoom && isNext) || (encode !== undefined && host.connection.phase !== "Open")) {
      return wait.settle(encode === undefined ? undefined : this.sent(encode(), true, control))
    }
    if (this.waits === noWaits) this.waits = new Set()
    this.waits.add(wait)
    // The room came without notice, and others have waited for it longer.
    if (hasRoom) this.admit()
  }

  unqueue(wait: RoomWait): void {
    this.waits.delete(wait)
  }

  get roomAwaited(): boolean {
    return this.waits.size > 0
  }

  /** Messages that wait in place of a caller. */
  get droppableBytes(): number {
    return 0
  }

  /** There may be room: lets those send that wait for it, in their order. */
  admit(): void {
    const { flusher } = this.host
    for (const wait of this.waits) {
      if (!flusher.writable) break
      // A control frame does not wait for the budget.
      if (!wait.control && !flusher.hasRoom()) continue
      this.waits.delete(wait)
      // Like one that did not wait, it is done when there is room behind it.
      wait.settle(wait.encode === undefined ? undefined : this.sent(wait.encode(), true, wait.control))
    }
    this.serve()
  }

  /** Lets messages go on that wait for their turn. */
  serve(): void {}

  /** Before a Close: sends what was accepted and waits for room. */
  sendAccepted(): void {}

  /** A Close is on its way: what has not been sent will not be. */
  refuse(): void {
    for (const wait of this.waits) {
      const { encode } = wait
      if (encode === undefined) continue
      this.waits.delete(wait)
      wait.settle(encode())
    }
  }

  /** The connection is over. */
  fail(error: ConnectionError): void {
    if (this.waits === noWaits) return
    const { waits } = this
    this.waits = noWaits
    for (const wait of waits) wait.settle(error)
  }

  /** A message, or a part of it, was sent unless it was refused. Returns why. */
  protected messageSent(refused: SendError | undefined, ended = true): SendError | undefined {
    if (refused !== undefined) return refused
    if (ended) this.sentMessages++
    this.host.deadlines.messaged()
    return undefined
  }
}

/** Waits for room: with `encode` to send something then, without because it has been sent and the peer must read first. */
class RoomWait extends Wait {
  private readonly sender: Sender
  readonly encode: (() => SendError | undefined) | undefined
  /** A control frame: it waits for the transport only, not for the budget. */
  readonly control: boolean

  constructor(sender: Sender, encode: (() => SendError | undefined) | undefined, control: boolean) {
    super()
    this.sender = sender
    this.encode = encode
    this.control = control
  }

  protected begin(): void {
    this.sender.queue(this)
  }

  protected undo(): void {
    this.sender.unqueue(this)
  }
}
