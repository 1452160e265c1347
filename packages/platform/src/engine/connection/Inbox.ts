import type { Connection } from "@effect-websocket/protocol/Connection"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { FrameReceived } from "@effect-websocket/protocol/Frame"
import type { Message } from "@effect-websocket/protocol/Message"
import type { MessagePart } from "@effect-websocket/protocol/MessagePart"
import type { Transport } from "../../Transport.js"

/** What a connection delivers. */
export type Delivered = Message | MessagePart | FrameReceived

// What an item weighs besides its payload, so that empty ones count too.
const itemOverhead = 64

/** What an item in the inbox, or a message that waits to be sent, counts. */
export const weight = (item: Delivered): number =>
  itemOverhead + (item._tag === "Frame" ? item.frame.payload.byteLength : item.data.length)

/** The connection that fills an inbox. */
export interface InboxHost {
  readonly connection: Connection
  readonly transport: Transport
  readonly settings: { readonly receiveHighWaterMark: number }
  /** Nothing is left of the transport. */
  readonly closed: boolean
  /** Tells the budget what is held now. */
  account(): void
  /** Lets a Close or a violation behind messages take effect. */
  settle(): void
}

/** Why reading is paused, as bits. */
export const pausedByInbox = 1
export const pausedByBudget = 2
export const pausedByRate = 4

/** Items that wait to be read, in order; the reader that waits for them; and whether the transport is read. */
export class Inbox<Item extends Delivered> {
  /** What waits, in bytes. */
  bytes = 0
  /** A reader has seen that something is there, and takes it in its next step. */
  taking = false
  private items: Array<Item> = []
  // The items from here on wait.
  private head = 0
  private wake: (() => void) | undefined = undefined
  private pauses = 0
  // An item was dropped, so that all behind it are too.
  private dropping = false
  private discarding = false
  private readonly host: InboxHost

  constructor(host: InboxHost) {
    this.host = host
  }

  get isEmpty(): boolean {
    return this.head >= this.items.length
  }

  get first(): Item | undefined {
    return this.items[this.head]
  }

  get isAboveHighWater(): boolean {
    return this.bytes > this.host.settings.receiveHighWaterMark
  }

  /** Adds an item. While the connection closes, a full inbox drops it: the peer's Close is behind it. */
  push(item: Item): void {
    if (this.host.connection.phase !== "Open" || this.discarding) {
      // No gap, behind which it would go on.
      this.dropping ||= this.discarding || this.isAboveHighWater
      if (this.dropping) return
    }
    this.items.push(item)
    this.bytes += weight(item)
  }

  /** The next item, if there is one. Whoever has taken enough calls `taken`. */
  next(): Item | undefined {
    const { head, items } = this
    const item = items[head]
    if (item === undefined) return undefined
    this.bytes -= weight(item)
    if (head + 1 === items.length) this.reset()
    else this.head = head + 1
    return item
  }

  /** All items that wait. */
  takeAll(): Array<Item> {
    const { head, items } = this
    this.clear()
    this.taken()
    return head === 0 ? items : items.slice(head)
  }

  /** After a reader has taken items. */
  taken(): void {
    this.taking = false
    if (this.bytes <= this.host.settings.receiveHighWaterMark / 2) this.resume(pausedByInbox)
    this.host.account()
  }

  clear(): void {
    this.reset()
    this.bytes = 0
  }

  private reset(): void {
    this.items = []
    this.head = 0
  }

  /** Nothing that arrives will be read any more. */
  discard(): void {
    this.discarding = true
    // What a reader is about to take is no longer ours to drop.
    if (!this.taking) this.clear()
  }

  // The reader

  get isAwaited(): boolean {
    return this.wake !== undefined
  }

  /** Calls `wake` once when there is something to read, or an end to see: at once, if there is. */
  whenReadable(wake: () => void): void {
    const { connection } = this.host
    // It may have come since the reader looked.
    if (!this.isEmpty || connection.error !== undefined || connection.unsettled) wake()
    else this.wake = wake
  }

  /** A reader that was woken has taken all, and waits on. */
  waitOn(wake: () => void): void {
    this.wake = wake
  }

  /** Nobody waits or takes any more. */
  forgetReader(): void {
    this.wake = undefined
    this.taking = false
  }

  /** The reader takes from the inbox itself, so an interruption between this wake-up and its turn loses nothing. */
  wakeReader(): void {
    const { wake } = this
    if (wake === undefined || (this.isEmpty && this.host.connection.error === undefined)) return
    this.wake = undefined
    wake()
  }

  /** Why nothing more will come, once it is empty. */
  get error(): ConnectionError | undefined {
    // The app has answered what came before a Close or a violation.
    if (this.host.connection.unsettled) this.host.settle()
    return this.host.connection.error
  }

  // The transport

  get paused(): boolean {
    return this.pauses !== 0
  }

  pause(reason: number): void {
    if (this.host.connection.phase !== "Open") return
    if (this.pauses === 0) this.host.transport.pause()
    this.pauses |= reason
  }

  resume(reason: number): void {
    if (this.pauses === 0) return
    this.pauses &= ~reason
    if (this.pauses === 0 && !this.host.closed) this.host.transport.resume()
  }

  /** Reads on, whatever paused it. */
  resumeAll(): void {
    this.resume(this.pauses)
  }
}
