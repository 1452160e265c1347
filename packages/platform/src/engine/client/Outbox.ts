import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import type { Outcome } from "../../ReconnectingWebSocket.js"
import type { Data, SendOptions } from "../../WebSocket.js"
import { awaitCallback } from "../../internal/waiting.js"

/** A message to be sent, and its outcome. */
export interface Item {
  readonly data: Data
  readonly options: SendOptions | undefined
  readonly outcome: Deferred.Deferred<Outcome, PayloadTooLarge>
}

/** What to do with a message for which there is no room. */
export type OutboxStrategy = "suspend" | "dropping" | "sliding"

type Resume = (effect: Effect.Effect<void>) => void

// There is no place, so the item has to wait.
const isFull = Symbol("isFull")

/** Messages that wait for a connection, in order. Each of them has exactly one outcome. */
export class Outbox {
  private readonly capacity: number
  private readonly strategy: OutboxStrategy
  private readonly items = new Set<Item>()
  // Those for which there was no room, with what wakes them.
  private readonly waiting = new Map<Item, () => void>()
  private taker: Resume | undefined = undefined
  private closed = false

  constructor(capacity: number, strategy: OutboxStrategy) {
    this.capacity = capacity
    this.strategy = strategy
  }

  get size(): number {
    return this.items.size
  }

  /**
   * Succeeds with a value when the item has a place, or an outcome. Interrupting it takes the item back: where there is room, the
   * value is handed over in the step in which the item gets its place.
   */
  offer<A>(item: Item, value: A): Effect.Effect<A> {
    const placed = Effect.sync(() => {
      if (!this.place(item)) throw isFull
      return value
    })
    return Effect.catchAllCause(placed, (cause) =>
      Cause.isDieType(cause) && cause.defect === isFull ? this.awaitPlace(item, value) : Effect.failCause(cause)
    )
  }

  private awaitPlace<A>(item: Item, value: A): Effect.Effect<A> {
    return Effect.async<A>((resume) => {
      // The fiber may have yielded since it looked.
      if (this.place(item)) resume(Effect.succeed(value))
      else this.waiting.set(item, () => resume(Effect.succeed(value)))
    }).pipe(
      // Also when it has been woken, and its turn has not come.
      Effect.onInterrupt(() => Effect.sync(() => this.remove(item)))
    )
  }

  /** Gives an item a place, or an outcome; not if it has to wait. */
  private place(item: Item): boolean {
    if (this.closed) {
      settle(item, dropped)
    } else if (this.items.size < this.capacity) {
      this.add(item)
    } else if (this.strategy === "sliding") {
      for (const oldest of this.items) {
        this.items.delete(oldest)
        settle(oldest, dropped)
        break
      }
      this.add(item)
    } else if (this.strategy === "dropping") {
      settle(item, dropped)
    } else {
      return false
    }
    return true
  }

  /** Whether the item has a place, so that nobody has begun to send it and nobody has taken it back. */
  has(item: Item): boolean {
    return this.items.has(item)
  }

  /** Removes an item: it is being sent, or is taken back. */
  remove(item: Item): void {
    this.waiting.delete(item)
    if (this.items.delete(item)) this.admit()
  }

  /** Waits for an item. It stays the first one until it is removed. */
  readonly first: Effect.Effect<Item> = Effect.suspend(() => {
    for (const item of this.items) return Effect.succeed(item)
    return Effect.zipRight(
      awaitCallback<void>((resume) => {
        // The fiber may have yielded since it looked.
        if (this.items.size > 0) return resume(Effect.void)
        this.taker = resume
        return () => {
          if (this.taker === resume) this.taker = undefined
        }
      }),
      this.first
    )
  })

  /** Drops all items, and all that are offered from now on. */
  close(): void {
    this.closed = true
    for (const item of [...this.items, ...this.waiting.keys()]) settle(item, dropped)
    for (const wake of this.waiting.values()) wake()
    this.items.clear()
    this.waiting.clear()
  }

  private add(item: Item): void {
    this.items.add(item)
    const { taker } = this
    this.taker = undefined
    // It takes the item itself, so that an interruption before its turn loses nothing.
    taker?.(Effect.void)
  }

  private admit(): void {
    for (const [item, wake] of this.waiting) {
      if (this.items.size >= this.capacity) return
      this.waiting.delete(item)
      this.add(item)
      wake()
    }
  }
}

const dropped: Exit.Exit<Outcome> = Exit.succeed("dropped")

/** Tells the outcome, or why the message could not be sent: it is too large, or a defect. */
export const settle = (item: Item, outcome: Exit.Exit<Outcome, PayloadTooLarge>): void => {
  Deferred.unsafeDone(item.outcome, outcome)
}
