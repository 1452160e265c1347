import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { Delivered } from "../engine/connection/Inbox.js"
import { endsNormally, type Link } from "../engine/connection/Link.js"
import {
  awaitCallback,
  awaitReadable,
  combineCauses,
  deferredDoneUnsafe,
  deferredMakeUnsafe,
  forkDetach,
  handingOver,
  handOver,
  hasInterruptsOnly,
  interruptibleFiber,
  isInterrupted,
  matchCauseUninterruptible,
  resumeInPlace,
  streamOfReads,
  toBatch,
  withFiber,
  type Batch,
  type Fiber as AnyFiber
} from "./effect.js"
import { InPlace } from "./sending.js"

/** There is no item to handle. */
export const nothing: unique symbol = Symbol("nothing")

/** Reads the items of a connection: one at a time, in batches, as a stream, or with a handler. */
export abstract class Reader<Item extends Delivered> {
  readonly link: Link<Item>
  // The fiber that reads, if it can be interrupted. An interrupted fiber no longer reads.
  private readingFiber: AnyFiber | undefined = undefined
  private runner: object | undefined = undefined

  constructor(link: Link<Item>) {
    this.link = link
  }

  // Each effect is built when it is first used and then kept: most connections use only one of them.
  private receiveOnce: Effect.Effect<Item, ConnectionError> | undefined = undefined
  private receiveAllOnce: Effect.Effect<Batch<Item>, ConnectionError> | undefined = undefined
  private itemsOnce: Stream.Stream<Item, ConnectionError> | undefined = undefined

  /** The next item. */
  protected get receiveItem(): Effect.Effect<Item, ConnectionError> {
    return (this.receiveOnce ??= this.readingItem((item) => item))
  }

  /** The result of `get` for the next item. */
  protected readingItem<A>(get: (item: Item) => A): Effect.Effect<A, ConnectionError> {
    return this.reading(
      () => this.isReadable,
      Effect.sync(() => get(this.takeItem())),
      Effect.fail
    )
  }

  /** The result of `take`, or `None` after a normal end. */
  protected readingOption<A>(isReady: () => boolean, take: () => A): Effect.Effect<Option.Option<A>, ConnectionError> {
    return this.reading(
      isReady,
      Effect.sync(() => Option.some(take())),
      (error) => (endsNormally(error) ? Effect.succeed(Option.none()) : Effect.fail(error))
    )
  }

  /** All items that wait, at least one. */
  protected get receiveItems(): Effect.Effect<Batch<Item>, ConnectionError> {
    return (this.receiveAllOnce ??= this.reading(
      () => this.isReadable,
      Effect.sync(() => toBatch(this.takeBatch())),
      Effect.fail
    ))
  }

  /** All items that wait, in batches. Ends after a normal end. */
  protected get items(): Stream.Stream<Item, ConnectionError> {
    return (this.itemsOnce ??= this.streaming(
      () => this.isReadable,
      () => this.takeBatch()
    ))
  }

  /** `take` must take at least one item. */
  protected streaming<A>(isReady: () => boolean, take: () => ReadonlyArray<A>): Stream.Stream<A, ConnectionError> {
    return streamOfReads<A, ConnectionError>(
      (taken, ended) => this.reading(isReady, taken, (error) => (endsNormally(error) ? ended : Effect.fail(error))),
      take
    )
  }

  /** `giveBack`, if given, is called for each item once its handler is done: the items are borrowed. */
  protected runItems<E, R>(
    handler: (item: Item) => Effect.Effect<unknown, E, R> | void,
    giveBack?: (item: Item) => void
  ): Effect.Effect<void, E | ConnectionError, R> {
    const { inbox } = this.link
    if (giveBack === undefined) {
      return this.runSteps(() => {
        const item = inbox.next()
        return item === undefined ? nothing : handler(item)
      })
    }
    return Effect.suspend(() => {
      // The borrowed item whose handler was called. Its effect is handed over as it is, so that it is certain to begin.
      let lent: Item | undefined
      const takeBack = (): void => {
        if (lent !== undefined) giveBack(lent)
        lent = undefined
      }
      const handleNext = (): Effect.Effect<unknown, E, R> | typeof nothing | void => {
        takeBack()
        const item = inbox.next()
        if (item === undefined) return nothing
        lent = item
        return handler(item)
      }
      return this.runSteps(handleNext, takeBack)
    })
  }

  /**
   * Calls `handleNext` for as long as there are items, and runs the effects that it returns. It takes the next item in the
   * step in which it calls the handler. `takeBack`, if given, is called once a handler is done.
   */
  runSteps<E, R>(
    handleNext: () => Effect.Effect<unknown, E, R> | typeof nothing | void,
    takeBack?: () => void
  ): Effect.Effect<void, E | ConnectionError, R> {
    return withFiber((fiber, status) => {
      let done = false
      // The effect that the handler returned and that the fiber has not begun.
      let pending: Effect.Effect<unknown, E | ConnectionError, R> | undefined
      // Made for the first pending effect, and used for all later ones.
      let begin: typeof pending
      // Whether the reading side calls the handler, and what to call once the handler has returned if it interrupted this
      // fiber: in Effect 4 the fiber ends in that call.
      let handling = false
      let onReturned: (() => void) | undefined
      const readable = awaitReadable<unknown, E | ConnectionError, R>((resume) => {
        // The reading side calls the handler directly while the fiber keeps waiting. The fiber resumes only for an
        // effect that takes time.
        const wake = (): void => {
          if (isInterrupted(this.readingFiber)) return
          let next: Effect.Effect<unknown, E | ConnectionError, R>
          handling = true
          try {
            for (;;) {
              next = step()
              if (next !== readable || onReturned !== undefined || this.link.inbox.waitOn(wake)) break
            }
          } catch (defect) {
            next = Effect.die(defect)
          }
          handling = false
          if (onReturned !== undefined) onReturned()
          else if (next !== readable) resumeInPlace(fiber, resume, next)
        }
        this.link.inbox.whenReadable(wake)
      })
      const step = (): Effect.Effect<unknown, E | ConnectionError, R> => {
        // The effect before it, if there was one, has succeeded.
        takeBack?.()
        pending = this.handleBatch(handleNext)
        if (pending !== undefined) {
          return (begin ??= Effect.suspend(() => {
            const effect = pending ?? Effect.void
            pending = undefined
            return handOver(fiber, effect)
          }))
        }
        takeBack?.()
        const error = this.link.inbox.error
        if (error === undefined) return readable
        done = true
        return endsNormally(error) ? Effect.void : Effect.fail(error)
      }
      this.claimReader()
      this.runner = readable
      this.link.connection.borrowing = takeBack !== undefined
      this.readingFiber = interruptibleFiber(fiber, status)
      const handled = handingOver(fiber, Effect.whileLoop({ while: () => !done, body: step, step: constVoid }))
      return matchCauseUninterruptible(status, handled, {
        onFailure: (cause) => {
          const end = Effect.suspend(() => {
            this.releaseReader(readable)
            // If the handler was called for a message, its effect must begin.
            const ended = pending === undefined ? Effect.failCause(cause) : beginAndInterrupt(pending, cause)
            return takeBack === undefined ? ended : Effect.ensuring(ended, Effect.sync(takeBack))
          })
          if (!handling) return end
          // The handler may have returned by now, because the fiber may have yielded.
          const returned = awaitCallback<void>((resume) => {
            if (!handling) return resume(Effect.void)
            onReturned = () => resume(Effect.void)
          })
          return Effect.andThen(returned, end)
        },
        onSuccess: () => {
          this.releaseReader(readable)
          return Effect.void
        }
      })
    })
  }

  /**
   * Calls the handler for the items that wait, as long as its effects complete at once. Returns the first effect that
   * does not, or `undefined` if no item is left. All that the handler sends is written in one write.
   */
  private handleBatch<E, R>(
    handleNext: () => Effect.Effect<unknown, E, R> | typeof nothing | void
  ): Effect.Effect<unknown, E | ConnectionError, R> | undefined {
    const { flusher, inbox } = this.link
    flusher.cork()
    try {
      for (;;) {
        const effect = handleNext()
        if (effect === nothing) {
          flusher.flush()
          return undefined
        }
        if (effect === undefined || effect === Effect.void) continue
        if (!(effect instanceof InPlace)) return effect
        const rest: Effect.Effect<unknown, E, R> | undefined = effect.begin()
        if (rest !== undefined) return rest
      }
    } finally {
      inbox.taken()
      // The returned effect may send more.
      flusher.uncork()
    }
  }

  protected get isReadable(): boolean {
    return !this.link.inbox.isEmpty
  }

  /** Takes the next item. There must be one. */
  protected takeItem(): Item {
    const { inbox } = this.link
    const item = inbox.next()
    inbox.taken()
    if (item === undefined) throw new Error(twoReaders)
    return item
  }

  /** Takes all items that wait. There must be at least one. */
  private takeBatch(): ReadonlyArray<Item> {
    const batch = this.link.inbox.takeAll()
    if (batch.length === 0) throw new Error(twoReaders)
    return batch
  }

  /**
   * Waits until `isReady` is true, and then continues as `taken`. `taken` must be an effect of one step: an item that
   * it takes from the inbox then reaches the next step before an interruption can. `ended` makes the result if no more
   * items will come.
   */
  protected reading<A, E>(
    isReady: () => boolean,
    taken: Effect.Effect<A, E>,
    ended: (error: ConnectionError) => Effect.Effect<A, E>
  ): Effect.Effect<A, E> {
    return this.readingNext(() => (isReady() ? taken : undefined), ended)
  }

  /** As `reading`. `next` returns the effect to continue with, or `undefined` to wait. */
  readingNext<A, E, R>(
    next: () => Effect.Effect<A, E, R> | undefined,
    ended: (error: ConnectionError) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    const readable = awaitReadable<A, E, R>((resume) =>
      this.link.inbox.whenReadable(() => {
        const fiber = this.readingFiber
        this.readingFiber = undefined
        // The reading side is prepared for code of the app at this point, because it calls the handlers of `run` here, too.
        resumeInPlace(fiber, resume, looking)
      })
    )
    const looking = withFiber<A, E, R>((fiber, status) => {
      this.claimReader()
      const taken = next()
      if (taken !== undefined) {
        this.link.inbox.taking = true
        this.readingFiber = interruptibleFiber(fiber, status)
        return taken
      }
      const error = this.link.inbox.error
      if (error !== undefined) return ended(error)
      this.readingFiber = interruptibleFiber(fiber, status)
      return readable
    })
    return looking
  }

  /** Runs an effect as the reader, between two readings: another reader is a defect meanwhile. */
  asReader<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const token = {}
      this.runner = token
      return Effect.ensuring(
        effect,
        Effect.sync(() => this.releaseReader(token))
      )
    })
  }

  private claimReader(): void {
    const { inbox } = this.link
    const claimed = this.runner !== undefined || inbox.isAwaited || inbox.taking
    if (claimed && !isInterrupted(this.readingFiber)) throw new Error(twoReaders)
    this.releaseReader()
  }

  /** Does nothing if another reader has taken over. */
  private releaseReader(runner = this.runner): void {
    if (this.runner !== runner) return
    this.runner = undefined
    this.link.connection.borrowing = false
    this.readingFiber = undefined
    this.link.inbox.forgetReader()
  }
}

const twoReaders = "Two fibers read from one WebSocket at once: its messages would be divided between them"

/**
 * Begins an effect in a new fiber, because this one has been interrupted, and then interrupts the new fiber. The effect
 * ends at the first point at which it can be interrupted.
 */
const beginAndInterrupt = <E, R>(
  effect: Effect.Effect<unknown, E, R>,
  cause: Cause.Cause<E>
): Effect.Effect<never, E, R> => {
  const begun = deferredMakeUnsafe<void>()
  const beginning = withFiber<unknown, E, R>((fiber) => {
    const begin = Effect.suspend(() => {
      deferredDoneUnsafe(begun, Exit.void)
      return handOver(fiber, effect)
    })
    return handingOver(fiber, begin)
  })
  return Effect.flatMap(forkDetach(Effect.interruptible(beginning)), (fiber) =>
    Effect.andThen(
      Deferred.await(begun),
      Effect.flatMap(Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber)), (exit) =>
        Effect.failCause(
          Exit.isSuccess(exit) || hasInterruptsOnly(exit.cause) ? cause : combineCauses(cause, exit.cause)
        )
      )
    )
  )
}
