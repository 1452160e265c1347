import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import { Waiters } from "../engine/Waiters.js"
import { streamOfReads } from "./effect.js"
import { outrun, takeAfter, waitUntil } from "./waiting.js"

interface End<E> {
  readonly cause: Cause.Cause<E>
  /** Whether a stream ends instead of failing. */
  readonly isNormal: boolean
}

/** Holds received messages that wait for a reader. A reader that was interrupted has taken nothing. */
export class Inbox<A, E> {
  private readonly capacity: number
  private readonly items: Array<A> = []
  private readonly readers = new Waiters()
  private readonly writers = new Waiters()
  private over: End<E> | undefined = undefined

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Accepts an item at once. The returned effect waits until fewer than `capacity` items wait. */
  offer(item: A): Effect.Effect<void> {
    if (this.over !== undefined) return Effect.void
    this.items.push(item)
    this.readers.wakeAll()
    return this.hasRoom ? Effect.void : this.awaitRoom
  }

  /** Declares that no other item will come. Readers can still take the items that wait. */
  end(cause: Cause.Cause<E>, isNormal: boolean): void {
    this.over = { cause, isNormal }
    this.readers.wakeAll()
    this.writers.wakeAll()
  }

  /** Takes one item. */
  readonly receive: Effect.Effect<A, E> = takeAfter(
    Effect.suspend(() => this.awaitItem),
    () => this.take()
  )

  /** Takes one item. `None` after a normal end. */
  readonly receiveOption: Effect.Effect<Option.Option<A>, E> = takeAfter(
    Effect.suspend(() => this.awaitItemOrNormalEnd),
    () => {
      const item = this.take()
      if (item !== outrun) return Option.some(item)
      return this.over?.isNormal === true ? Option.none() : outrun
    }
  )

  /** Takes all items that wait, repeatedly. */
  readonly stream: Stream.Stream<A, E> = streamOfReads<A, E>(
    (taken, ended) =>
      Effect.flatMap(
        Effect.suspend(() => this.awaitAny),
        () =>
          this.over?.isNormal === true && this.items.length === 0 ? ended : Effect.andThen(this.failAtEnd(false), taken)
      ),
    () => {
      const items = this.items.splice(0)
      this.writers.wakeAll()
      return items
    }
  )

  private get hasRoom(): boolean {
    return this.items.length < this.capacity || this.over !== undefined
  }

  private take(): A | typeof outrun {
    if (this.items.length === 0) return outrun
    const item = this.items.shift()!
    if (this.hasRoom) this.writers.wakeAll()
    return item
  }

  private readonly awaitRoom: Effect.Effect<void> = waitUntil(this.writers, () => this.hasRoom)

  /** Waits for an item, or the end. */
  private readonly awaitAny: Effect.Effect<void> = waitUntil(
    this.readers,
    () => this.items.length > 0 || this.over !== undefined
  )

  /** Waits for an item. Fails at the end. */
  private readonly awaitItem: Effect.Effect<void, E> = Effect.andThen(
    this.awaitAny,
    Effect.suspend(() => this.failAtEnd(false))
  )

  /** Waits for an item, or a normal end. Fails at another end. */
  private readonly awaitItemOrNormalEnd: Effect.Effect<void, E> = Effect.andThen(
    this.awaitAny,
    Effect.suspend(() => this.failAtEnd(true))
  )

  private failAtEnd(exceptNormal: boolean): Effect.Effect<void, E> {
    const { items, over } = this
    return items.length > 0 || over === undefined || (exceptNormal && over.isNormal)
      ? Effect.void
      : Effect.failCause(over.cause)
  }
}
