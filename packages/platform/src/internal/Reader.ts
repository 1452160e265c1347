import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import * as RuntimeFlags from "effect/RuntimeFlags"
import * as Stream from "effect/Stream"
import type { Delivered } from "../engine/connection/Inbox.js"
import { endsNormally, type Link } from "../engine/connection/Link.js"
import { handingOver, handOver } from "./handOver.js"
import { Send, sentEffect } from "./sending.js"

/** Reads the items of a connection: one at a time, in batches, as a stream, or with a handler. */
export abstract class Reader<Item extends Delivered> {
  readonly link: Link<Item>
  private readingFiber: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  private runner: object | undefined = undefined

  constructor(link: Link<Item>) {
    this.link = link
  }

  // These effects are built once, when they are first asked for: most connections use one of them.
  private receiveOnce: Effect.Effect<Item, ConnectionError> | undefined = undefined
  private receiveAllOnce: Effect.Effect<Chunk.NonEmptyChunk<Item>, ConnectionError> | undefined = undefined
  private itemsOnce: Stream.Stream<Item, ConnectionError> | undefined = undefined

  /** The next item. */
  protected get receiveItem(): Effect.Effect<Item, ConnectionError> {
    return (this.receiveOnce ??= this.readingItem((item) => item))
  }

  /** What `get` makes of the next item. */
  protected readingItem<A>(get: (item: Item) => A): Effect.Effect<A, ConnectionError> {
    return this.reading(
      () => this.isReadable,
      Effect.sync(() => get(this.takeItem())),
      Effect.fail
    )
  }

  /** What is taken, or `None` after a normal end. */
  protected readingOption<A>(isReady: () => boolean, take: () => A): Effect.Effect<Option.Option<A>, ConnectionError> {
    return this.reading(
      isReady,
      Effect.sync(() => Option.some(take())),
      (error) => (endsNormally(error) ? Effect.succeed(Option.none()) : Effect.fail(error))
    )
  }

  /** All items that wait, at least one. */
  protected get receiveItems(): Effect.Effect<Chunk.NonEmptyChunk<Item>, ConnectionError> {
    return (this.receiveAllOnce ??= this.reading(
      () => this.isReadable,
      Effect.sync(() => this.takeBatch()),
      Effect.fail
    ))
  }

  /** Everything that waits, in chunks; ends after a normal end. */
  protected get items(): Stream.Stream<Item, ConnectionError> {
    return (this.itemsOnce ??= this.streaming(
      () => this.isReadable,
      () => this.takeBatch()
    ))
  }

  /**
   * With the fewest steps for a chunk: what has an optional error, or a state, takes twice as many. A channel takes and emits in
   * one step; after an effect that took, an interruption would find the chunk in nobody's hands.
   */
  protected streaming<A>(isReady: () => boolean, take: () => Chunk.Chunk<A>): Stream.Stream<A, ConnectionError> {
    const next = this.reading(isReady, Effect.succeed(true), (error) =>
      endsNormally(error) ? Effect.succeed(false) : Effect.fail(error)
    )
    const emitted = Channel.suspend(() => Channel.flatMap(Channel.write(take()), () => chunks))
    const chunks: Channel.Channel<Chunk.Chunk<A>, unknown, ConnectionError> = Channel.flatMap(
      Channel.fromEffect(next),
      (more) => (more ? emitted : Channel.void)
    )
    return Stream.fromChannel(chunks)
  }

  protected runItems<E, R>(
    handler: (item: Item) => Effect.Effect<unknown, E, R> | void
  ): Effect.Effect<void, E | ConnectionError, R> {
    return Effect.withFiberRuntime((fiber, { runtimeFlags }) => {
      let done = false
      // What the handler has returned, and the fiber has not begun.
      let pending: Effect.Effect<unknown, E | ConnectionError, R> | undefined
      // Made for the first of them.
      let begin: typeof pending
      const readable = Effect.async<unknown, E | ConnectionError, R>((resume) => {
        // The fiber waits on while its handler is called straight from the read, and gets a turn only for what takes time.
        const wake = (): void => {
          if (isInterrupted(this.readingFiber)) return
          try {
            const next = step()
            if (next === readable) this.link.inbox.waitOn(wake)
            else resume(next)
          } catch (defect) {
            resume(Effect.die(defect))
          }
        }
        this.link.inbox.whenReadable(wake)
      })
      const step = (): Effect.Effect<unknown, E | ConnectionError, R> => {
        pending = this.handleBatch(handler)
        if (pending !== undefined) {
          return (begin ??= Effect.suspend(() => {
            const effect = pending ?? Effect.void
            pending = undefined
            return handOver(fiber, effect)
          }))
        }
        const error = this.link.inbox.error
        if (error === undefined) return readable
        done = true
        return endsNormally(error) ? Effect.void : Effect.fail(error)
      }
      this.claimReader()
      this.runner = readable
      this.rememberReader(fiber, runtimeFlags)
      const handled = handingOver(fiber, Effect.whileLoop({ while: () => !done, body: step, step: constVoid }))
      const isInterruptible = RuntimeFlags.interruptible(runtimeFlags)
      // Not `uninterruptibleMask`, which takes more memory for as long as it lasts.
      const guarded = Effect.matchCauseEffect(isInterruptible ? Effect.interruptible(handled) : handled, {
        onFailure: (cause) => {
          this.releaseReader(readable)
          // A message that the handler was called for is handled.
          return pending === undefined ? Effect.failCause(cause) : beginAndInterrupt(pending, cause)
        },
        onSuccess: () => {
          this.releaseReader(readable)
          return Effect.void
        }
      })
      return isInterruptible ? Effect.uninterruptible(guarded) : guarded
    })
  }

  /**
   * Calls the handler for items that wait, as long as its effects are done at once. Returns the first effect that is
   * not, or `undefined` when none is left. What the handler sends is written once.
   */
  private handleBatch<E, R>(
    handler: (item: Item) => Effect.Effect<unknown, E, R> | void
  ): Effect.Effect<unknown, E | ConnectionError, R> | undefined {
    const { flusher, inbox } = this.link
    flusher.cork()
    try {
      for (;;) {
        const item = inbox.next()
        if (item === undefined) {
          flusher.flush()
          return undefined
        }
        let effect: Effect.Effect<unknown, E | ConnectionError, R> | void = handler(item)
        if (effect === undefined || effect === Effect.void) continue
        if (effect instanceof Send) {
          const sent = effect.now()
          if (sent === undefined) continue
          effect = sentEffect(sent)
        }
        return effect
      }
    } finally {
      inbox.taken()
      // The effect that is returned may send more.
      flusher.uncork()
    }
  }

  protected get isReadable(): boolean {
    return !this.link.inbox.isEmpty
  }

  /** The next item, which is there. */
  protected takeItem(): Item {
    const { inbox } = this.link
    const item = inbox.next()
    inbox.taken()
    if (item === undefined) throw new Error(twoReaders)
    return item
  }

  /** All that waits, which is at least one. */
  private takeBatch(): Chunk.NonEmptyChunk<Item> {
    const batch = Chunk.unsafeFromArray(this.link.inbox.takeAll())
    if (!Chunk.isNonEmpty(batch)) throw new Error(twoReaders)
    return batch
  }

  /**
   * Waits until `isReady`, and then is `taken`: an effect of one step, so that what it takes has reached the next step when it
   * is gone from here. `ended` says what becomes of it when nothing more will come.
   */
  protected reading<A, E>(
    isReady: () => boolean,
    taken: Effect.Effect<A, E>,
    ended: (error: ConnectionError) => Effect.Effect<A, E>
  ): Effect.Effect<A, E> {
    const readable = Effect.async<A, E>((resume) =>
      this.link.inbox.whenReadable(() => {
        this.readingFiber = undefined
        resume(looking)
      })
    )
    const looking = Effect.withFiberRuntime<A, E>((fiber, { runtimeFlags }) => {
      this.claimReader()
      if (isReady()) {
        this.link.inbox.taking = true
        this.rememberReader(fiber, runtimeFlags)
        return taken
      }
      const error = this.link.inbox.error
      if (error !== undefined) return ended(error)
      this.rememberReader(fiber, runtimeFlags)
      return readable
    })
    return looking
  }

  private claimReader(): void {
    const { inbox } = this.link
    const claimed = this.runner !== undefined || inbox.isAwaited || inbox.taking
    if (claimed && !isInterrupted(this.readingFiber)) throw new Error(twoReaders)
    this.releaseReader()
  }

  /** Unless another has taken its place. */
  private releaseReader(runner = this.runner): void {
    if (this.runner !== runner) return
    this.runner = undefined
    this.readingFiber = undefined
    this.link.inbox.forgetReader()
  }

  /** A finalizer would cost more than the rest of a wait. So the fiber is remembered, to ask it whether it still reads. */
  private rememberReader(fiber: Fiber.RuntimeFiber<unknown, unknown>, flags: RuntimeFlags.RuntimeFlags): void {
    this.readingFiber = RuntimeFlags.interruptible(flags) ? fiber : undefined
  }
}

/** Whether a fiber that can be interrupted has been. */
const isInterrupted = (fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined): boolean => {
  if (fiber === undefined) return false
  const cause = fiber.getFiberRef(FiberRef.interruptedCause)
  // `isEmpty` would fold what is nearly always the empty cause itself.
  return cause !== Cause.empty && !Cause.isEmpty(cause)
}

const twoReaders = "Two fibers read from one WebSocket at once: its messages would be divided between them"

/**
 * Begins an effect in a fiber of its own, because this one has been interrupted, and interrupts it then. It ends at the first
 * place where it can be interrupted.
 */
const beginAndInterrupt = <E, R>(
  effect: Effect.Effect<unknown, E, R>,
  cause: Cause.Cause<E>
): Effect.Effect<never, E, R> => {
  const begun = Deferred.unsafeMake<void>(FiberId.none)
  const beginning = Effect.withFiberRuntime<unknown, E, R>((fiber) => {
    const begin = Effect.suspend(() => {
      Deferred.unsafeDone(begun, Effect.void)
      return handOver(fiber, effect)
    })
    return handingOver(fiber, begin)
  })
  return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(beginning)), (fiber) =>
    Effect.zipRight(
      Deferred.await(begun),
      Effect.flatMap(Fiber.interrupt(fiber), (exit) =>
        Effect.failCause(
          Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause) ? cause : Cause.sequential(cause, exit.cause)
        )
      )
    )
  )
}
