import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

type Resume = (effect: Effect.Effect<void>) => void

interface End<E> {
  readonly cause: Cause.Cause<E>
  /** Whether a stream ends instead of failing. */
  readonly isNormal: boolean
}

// Another reader took what this one was woken for. Thrown, because only the value of a `sync` reaches the next step of a
// fiber in the step that took it; an effect that is returned can be replaced by an interruption.
const outrun = Symbol("outrun")

/** Received messages that wait for a reader. Whoever is interrupted while it waits has taken nothing. */
export class Inbox<A extends object, E> {
  private readonly capacity: number
  private readonly items: Array<A> = []
  private readonly readers = new Set<Resume>()
  private readonly writers = new Set<Resume>()
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
  readonly receive: Effect.Effect<A, E> = Effect.suspend(() => this.awaitItem).pipe(
    Effect.zipRight(Effect.sync(() => this.take())),
    // Success passes by in the same step.
    Effect.catchAllCause((cause) =>
      Cause.isDieType(cause) && cause.defect === outrun ? this.receive : Effect.failCause(cause)
    )
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

  private take(): A {
    const item = this.items.shift()
    if (item === undefined) throw outrun
    if (this.hasRoom) wakeAll(this.writers)
    return item
  }

  private readonly awaitRoom: Effect.Effect<void> = waiting(this.writers, () => this.hasRoom)

  /** Until there is an item, or the end. */
  private readonly awaitAny: Effect.Effect<void> = waiting(
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

const wakeAll = (waiting: Set<Resume>): void => {
  for (const resume of waiting) resume(Effect.void)
  waiting.clear()
}

/** Looks in the step that begins to wait: the fiber may have yielded since anything else looked. */
const waiting = (waiters: Set<Resume>, isReady: () => boolean): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (isReady()) {
      resume(Effect.void)
      return
    }
    waiters.add(resume)
    return Effect.sync(() => {
      waiters.delete(resume)
    })
  })
