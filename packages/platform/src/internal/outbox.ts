import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import type { Outcome } from "../ReconnectingWebSocket.js"
import type { Data, SendOptions } from "../WebSocket.js"
import { awaitCallback } from "./waiting.js"

/** A message to be sent, and its outcome. */
export interface Item {
  readonly data: Data
  readonly options: SendOptions | undefined
  readonly outcome: Deferred.Deferred<Outcome, PayloadTooLarge>
}

/** What to do with a message for which there is no room. */
export type OutboxStrategy = "suspend" | "dropping" | "sliding"

type Resume = (effect: Effect.Effect<void>) => void

/** Messages that wait for a connection, in order. Each of them has exactly one outcome. */
export class Outbox {
  private readonly capacity: number
  private readonly strategy: OutboxStrategy
  private readonly items = new Set<Item>()
  // Those for which there was no room, with what wakes them.
  private readonly waiting = new Map<Item, Resume>()
  private taker: Resume | undefined = undefined
  private closed = false

  constructor(capacity: number, strategy: OutboxStrategy) {
    this.capacity = capacity
    this.strategy = strategy
  }

  get size(): number {
    return this.items.size
  }

  /** Succeeds when the item has a place, or an outcome. Interrupting it takes the item back. */
  offer(item: Item): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
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
        this.waiting.set(item, resume)
        return
      }
      resume(Effect.void)
    }).pipe(
      // Also when it has been woken, and its turn has not come.
      Effect.onInterrupt(() => Effect.sync(() => this.remove(item)))
    )
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
    for (const resume of this.waiting.values()) resume(Effect.void)
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
    for (const [item, resume] of this.waiting) {
      if (this.items.size >= this.capacity) return
      this.waiting.delete(item)
      this.add(item)
      resume(Effect.void)
    }
  }
}

const dropped: Exit.Exit<Outcome> = Exit.succeed("dropped")

/** Tells the outcome, or why the message could not be sent: it is too large, or a defect. */
export const settle = (item: Item, outcome: Exit.Exit<Outcome, PayloadTooLarge>): void => {
  Deferred.unsafeDone(item.outcome, outcome)
}
