import { Waiters } from "../Waiters.js"

/**
 * The outcome of a message.
 *
 * - `"delivered"`: it was handed to the socket of a connection, once.
 * - `"dropped"`: it was never sent, and will not be.
 * - `"unknown"`: the connection ended while the message was being sent. It is not sent again, because it may have arrived. If
 *   nothing of the message was sent yet, it waits for the next connection instead.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = "delivered" | "dropped" | "unknown"

/** What to do with a message for which there is no room. */
export type OutboxStrategy = "suspend" | "dropping" | "sliding"

/** A message in an outbox. */
export interface Outgoing {
  /** Whether its caller is gone and does not know that the message has got a place. */
  readonly isTakenBack: boolean
  /** Called when the outbox drops the message, which is then no longer in it. */
  drop(): void
}

/** Messages that wait for a connection, in order. */
export class Outbox<A extends Outgoing> {
  private readonly capacity: number
  private readonly strategy: OutboxStrategy
  private readonly items = new Set<A>()
  // The messages without a place, with what to call once they have one.
  private readonly waiting = new Map<A, () => void>()
  // The messages that have got a place after a wait, and whose callers do not know it yet.
  private readonly unclaimed = new Set<A>()
  // The message that is being sent, unless it was taken back.
  private sending: A | undefined = undefined
  private readonly takers = new Waiters()
  private closed = false

  constructor(capacity: number, strategy: OutboxStrategy) {
    this.capacity = capacity
    this.strategy = strategy
  }

  /** How many messages have a place. */
  get size(): number {
    this.removeTakenBack()
    return this.items.size
  }

  /** Gives a message a place, or drops it. Returns false if it has to wait for a place instead. */
  place(item: A): boolean {
    this.removeTakenBack()
    if (this.closed) {
      item.drop()
    } else if (this.items.size < this.capacity) {
      this.add(item)
    } else if (this.strategy === "sliding") {
      const oldest = this.first
      if (oldest !== undefined) {
        this.unclaimed.delete(oldest)
        this.items.delete(oldest)
        oldest.drop()
      }
      this.add(item)
    } else if (this.strategy === "dropping") {
      item.drop()
    } else {
      return false
    }
    return true
  }

  /**
   * As `place`, but the message waits if it has to. `placed` is called once it has a place or is dropped, unless it is removed.
   * Until the caller then calls `claim`, its end takes the message back.
   */
  placeLater(item: A, placed: () => void): void {
    if (!this.place(item)) {
      this.waiting.set(item, placed)
      return
    }
    if (this.items.has(item)) this.unclaimed.add(item)
    placed()
  }

  /** The caller of a message knows that it has a place. */
  claim(item: A): void {
    this.unclaimed.delete(item)
  }

  /** Whether a message has a place: nobody has begun to send it or taken it back. */
  has(item: A): boolean {
    return this.items.has(item)
  }

  /** Removes a message that is being sent. */
  begin(item: A): void {
    this.remove(item)
    this.sending = item
  }

  /**
   * Puts a message back before all others, because nothing of it was sent, unless it was taken back meanwhile. There may then be
   * one message more than there are places.
   */
  restore(item: A): void {
    if (this.sending !== item || item.isTakenBack) return
    this.sending = undefined
    // A message that slides out is the oldest.
    if (this.closed || (this.strategy === "sliding" && this.size >= this.capacity)) return item.drop()
    const others = [...this.items]
    this.items.clear()
    for (const each of [item, ...others]) this.items.add(each)
    this.takers.wakeAll()
  }

  /** Removes a message that is taken back. */
  remove(item: A): void {
    if (this.sending === item) this.sending = undefined
    this.waiting.delete(item)
    this.unclaimed.delete(item)
    if (this.items.delete(item)) this.admit()
  }

  /** Drops a message that nobody has begun to send. Returns false if there is no such message. */
  drop(item: A): boolean {
    const placed = this.waiting.get(item)
    if (placed === undefined && !this.items.has(item)) return false
    this.remove(item)
    item.drop()
    placed?.()
    return true
  }

  /** Drops the messages that nobody has begun to send and that `matches` selects. */
  dropWhere(matches: (item: A) => boolean): void {
    for (const item of [...this.items, ...this.waiting.keys()]) if (matches(item)) this.drop(item)
  }

  /** An interruption between the place and the claim calls nothing back. So whoever looks at the places removes them. */
  private removeTakenBack(): void {
    for (const item of this.unclaimed) if (item.isTakenBack) this.remove(item)
  }

  /** The message that has waited longest. It stays the first one until it is removed. */
  get first(): A | undefined {
    this.removeTakenBack()
    for (const item of this.items) return item
    return undefined
  }

  /** Calls back once there is a message, at once if there is one. Returns what undoes this. */
  whenFilled(wake: () => void): () => void {
    if (this.size === 0) return this.takers.add(wake)
    wake()
    return () => {}
  }

  /** Drops all messages, and all that come later. */
  close(): void {
    this.closed = true
    const dropped = [...this.items, ...this.waiting.keys()]
    const wakes = [...this.waiting.values()]
    this.items.clear()
    this.waiting.clear()
    this.unclaimed.clear()
    for (const item of dropped) item.drop()
    for (const wake of wakes) wake()
  }

  private add(item: A): void {
    this.items.add(item)
    this.takers.wakeAll()
  }

  private admit(): void {
    for (const [item, placed] of this.waiting) {
      if (this.items.size >= this.capacity) return
      this.waiting.delete(item)
      this.unclaimed.add(item)
      this.add(item)
      placed()
    }
  }
}
