import type * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { takeAfter, waitUntil, wakeAll, type Wake } from "./waiting.js"

interface End<E> {
  readonly cause: Cause.Cause<E>
  /** Whether a stream ends instead of failing. */
  readonly isNormal: boolean
}

/** Received messages that wait for a reader. Whoever is interrupted while it waits has taken nothing. */
export class Inbox<A extends object, E> {
  private readonly capacity: number
  private readonly items: Array<A> = []
  private readonly readers = new Set<Wake>()
  private readonly writers = new Set<Wake>()
  private over: End<E> | undefined = undefined

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Takes an item at once; the effect waits until fewer than `capacity` items wait. */
  offer(item: A): Effect.Effect<void> {
    if (this.over !== undefined) return Effect.void
    this.items.push(item)
    wakeAll(this.readers)
    return this.hasRoom ? Effect.void : this.awaitRoom
  }

  /** Nothing more comes. What waits can still be taken. */
  end(cause: Cause.Cause<E>, isNormal: boolean): void {
    this.over = { cause, isNormal }
    wakeAll(this.readers)
    wakeAll(this.writers)
  }

  /** Takes one item. */
  readonly receive: Effect.Effect<A, E> = takeAfter(
    Effect.suspend(() => this.awaitItem),
    () => this.take()
  )

  /** Takes all items that wait, again and again. */
  readonly stream: Stream.Stream<A, E> = Stream.suspend(() => Stream.fromChannel(this.chunks))

  private readonly chunks: Channel.Channel<Chunk.Chunk<A>, unknown, E> = Channel.flatMap(
    Channel.fromEffect(Effect.suspend(() => this.awaitAny)),
    () =>
      // Taken in the step that emits.
      Channel.suspend(() => {
        const items = this.items.splice(0)
        wakeAll(this.writers)
        if (items.length > 0) return Channel.flatMap(Channel.write(Chunk.unsafeFromArray(items)), () => this.chunks)
        return this.over === undefined
          ? this.chunks
          : this.over.isNormal
            ? Channel.void
            : Channel.failCause(this.over.cause)
      })
  )

  private get hasRoom(): boolean {
    return this.items.length < this.capacity || this.over !== undefined
  }

  private take(): A | undefined {
    const item = this.items.shift()
    if (this.hasRoom) wakeAll(this.writers)
    return item
  }

  private readonly awaitRoom: Effect.Effect<void> = waitUntil(this.writers, () => this.hasRoom)

  /** Until there is an item, or the end. */
  private readonly awaitAny: Effect.Effect<void> = waitUntil(
    this.readers,
    () => this.items.length > 0 || this.over !== undefined
  )

  private readonly awaitItem: Effect.Effect<void, E> = Effect.zipRight(
    this.awaitAny,
    Effect.suspend(() =>
      this.items.length === 0 && this.over !== undefined ? Effect.failCause(this.over.cause) : Effect.void
    )
  )
}
