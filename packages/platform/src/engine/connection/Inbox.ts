import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { FrameReceived } from "@effect-websocket/protocol/Frame"
import type { Message } from "@effect-websocket/protocol/Message"
import type { MessagePart } from "@effect-websocket/protocol/MessagePart"
import type { Transport } from "../../Transport.js"
import type { Core } from "./Core.js"
import type { ConnectionObserver, PauseReason } from "./Observer.js"

/** An item that a connection delivers. */
export type Delivered = Message | MessagePart | FrameReceived

// The weight of an item besides its payload, so that empty items count too.
const itemOverhead = 64

/** The weight, in bytes, of an item in the inbox or of a message that waits to be sent. */
export const weight = (item: Delivered): number =>
  itemOverhead + (item._tag === "Frame" ? item.frame.payload.byteLength : item.data.length)

/** The connection that fills an inbox. */
export interface InboxHost {
  readonly connection: Core
  readonly transport: Transport
  readonly settings: { readonly receiveHighWaterMark: number; readonly observer?: ConnectionObserver | undefined }
  /** Whether the transport has closed. */
  readonly closed: boolean
  /** Reports to the budget what the connection holds now. */
  account(): void
  /** Lets a Close or a violation take effect that arrived behind messages. */
  settle(): void
}

/** A reader that waits for items. */
export interface InboxReader {
  /** Called once when there is something to read or the connection has ended. */
  wake(): void
}

/** The reasons to pause reading, as bits. */
export const pausedByInbox = 1
export const pausedByBudget = 2
export const pausedByRate = 4

const reasons: Readonly<Record<number, PauseReason>> = {
  [pausedByInbox]: "inbox",
  [pausedByBudget]: "budget",
  [pausedByRate]: "rate"
}

// Shared by all empty inboxes. Nothing is added to it.
const none: Array<never> = []

/**
 * Holds the items that wait to be read, in order, and the reader that waits for them. Decides whether the transport is
 * read.
 */
export class Inbox<Item extends Delivered> {
  /** The weight of the items that wait, in bytes. */
  bytes = 0
  /** Whether a reader has seen that there are items, and takes them in its next step. */
  taking = false
  private items: Array<Item> = none
  // The index of the first item that waits.
  private head = 0
  private reader: InboxReader | undefined = undefined
  private pauses = 0
  // Items that arrive are dropped. Once one is, so are all later ones, so that the reader never sees a gap.
  private dropping = false
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

  /** Adds an item. While the connection closes, a full inbox drops it in order to reach the peer's Close behind it. */
  push(item: Item): void {
    if (this.host.connection.phase !== "Open") this.dropping ||= this.isAboveHighWater
    if (this.dropping) return
    const { items } = this
    // A literal has room for one item, an empty array that grows makes room for sixteen. V8 compiles the assignment in place,
    // but calls `push`.
    if (items === none) this.items = [item]
    else items[items.length] = item
    this.bytes += weight(item)
  }

  /** Takes the next item, if there is one. The caller calls `taken` when it has taken enough. */
  next(): Item | undefined {
    const { head, items } = this
    const item = items[head]
    if (item === undefined) return undefined
    this.bytes -= weight(item)
    if (head + 1 === items.length) this.reset()
    else this.head = head + 1
    return item
  }

  /** Takes all items that wait. */
  takeAll(): Array<Item> {
    const { head, items } = this
    this.clear()
    this.taken()
    return head === 0 ? items : items.slice(head)
  }

  /** Called after a reader has taken items. */
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
    this.items = none
    this.head = 0
  }

  /** Items that arrive from now on will not be read. */
  discard(): void {
    this.dropping = true
    // Items that a reader is about to take must not be dropped.
    if (!this.taking) this.clear()
  }

  // The reader

  get isAwaited(): boolean {
    return this.reader !== undefined
  }

  /** Wakes the reader once there is something to read or the connection has ended; at once if that is so now. */
  whenReadable(reader: InboxReader): void {
    if (this.host.connection.unsettled || !this.waitOn(reader)) reader.wake()
  }

  /**
   * A reader that was woken has taken all items and continues to wait. Returns false if it need not wait, because an item or
   * the end has come since the reader looked.
   */
  waitOn(reader: InboxReader): boolean {
    if (!this.isEmpty || this.host.connection.error !== undefined) return false
    this.reader = reader
    return true
  }

  /** The reader no longer waits for items or takes them. */
  forgetReader(): void {
    this.reader = undefined
    this.taking = false
  }

  /** Wakes the reader. The reader takes the items itself, so nothing is lost if it is interrupted before its turn. */
  wakeReader(): void {
    const { reader } = this
    if (reader === undefined || (this.isEmpty && this.host.connection.error === undefined)) return
    this.reader = undefined
    reader.wake()
  }

  /** Why no more items will come. Asked once the inbox is empty. */
  get error(): ConnectionError | undefined {
    // The app has had the chance to answer the messages before a Close or a violation.
    if (this.host.connection.unsettled) this.host.settle()
    return this.host.connection.error
  }

  // The transport

  get paused(): boolean {
    return this.pauses !== 0
  }

  pause(reason: number): void {
    const { connection } = this.host
    // The peer has nothing more to say behind a Close or a violation, and its end must be seen.
    if (connection.phase !== "Open" || connection.unsettled) return
    if (this.pauses === 0) {
      this.host.transport.pause()
      this.host.settings.observer?.paused(reasons[reason] ?? "inbox")
    }
    this.pauses |= reason
  }

  resume(reason: number): void {
    if (this.pauses === 0) return
    this.pauses &= ~reason
    if (this.pauses === 0 && !this.host.closed) this.host.transport.resume()
  }

  /** Resumes reading, whatever the reason for the pause was. */
  resumeAll(): void {
    this.resume(this.pauses)
  }
}
