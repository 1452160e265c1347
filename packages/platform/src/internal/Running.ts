import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Delivered, InboxReader } from "../engine/connection/Inbox.js"
import { endsNormally } from "../engine/connection/endsNormally.js"
import {
  awaitCallback,
  awaitReadable,
  deferredDoneUnsafe,
  deferredMakeUnsafe,
  EffectClass,
  forkDetach,
  handingOver,
  handOver,
  hasInterruptsOnly,
  isInterrupted,
  resumeInPlace,
  withFiber,
  type Fiber as AnyFiber
} from "./effect.js"
import type { ReadingHost } from "./Reading.js"
import { InPlace } from "./sending.js"

/** There is nothing to handle. */
export const nothing: unique symbol = Symbol("nothing")

/**
 * One `run`: calls a handler as long as there is something to handle, and runs the effects that it returns. It is the effect that
 * the fiber runs, and the reader of the inbox while the fiber waits, in one object, because an idle connection keeps it.
 */
export abstract class Running<Item extends Delivered, E, R>
  extends EffectClass<void, E | ConnectionError, R>
  implements InboxReader
{
  readonly fiber: AnyFiber
  protected readonly host: ReadingHost<Item>
  // The effect that the handler returned and that the fiber has not begun.
  private pending: Effect.Effect<unknown, E | ConnectionError, R> | undefined = undefined
  // Made for the first pending effect, and used for all later ones.
  private beginning: Effect.Effect<void, E | ConnectionError, R> | undefined = undefined
  private resume: ((effect: Effect.Effect<void, E | ConnectionError, R>) => void) | undefined = undefined
  // Whether the reading side calls the handler, and what to call once the handler has returned if it interrupted this
  // fiber: in Effect 4 the fiber ends in that call.
  private handling = false
  private onReturned: (() => void) | undefined = undefined

  constructor(host: ReadingHost<Item>, fiber: AnyFiber) {
    super()
    this.host = host
    this.fiber = fiber
  }

  /** Takes what is next and calls the handler with it, in one step. Returns the effect to run, if there is one. */
  protected abstract handleNext(): Effect.Effect<unknown, E, R> | typeof nothing | void

  /** Called once a handler is done, and at the end. */
  protected takeBack(): void {}

  asEffect(): Effect.Effect<void, E | ConnectionError, R> {
    return this.step() ?? this.awaitItems
  }

  private get awaitItems(): Effect.Effect<void, E | ConnectionError, R> {
    return awaitReadable((resume) => {
      this.resume = resume
      this.host.link.inbox.whenReadable(this)
    })
  }

  /**
   * The reading side calls the handler directly while the fiber keeps waiting. The fiber resumes only for an effect that
   * takes time.
   */
  wake(): void {
    const { host, resume } = this
    if (resume === undefined || isInterrupted(host.readingFiber)) return
    let next: Effect.Effect<void, E | ConnectionError, R> | undefined
    this.handling = true
    try {
      for (;;) {
        next = this.step()
        if (next !== undefined || this.onReturned !== undefined || host.link.inbox.waitOn(this)) break
      }
    } catch (defect) {
      next = Effect.die(defect)
    }
    this.handling = false
    if (this.onReturned !== undefined) this.onReturned()
    else if (next !== undefined) {
      this.resume = undefined
      resumeInPlace(this.fiber, resume, next)
    }
  }

  /** Handles the items that wait. Returns what the fiber does next, or `undefined` if it has to wait for items. */
  private step(): Effect.Effect<void, E | ConnectionError, R> | undefined {
    // The effect before it, if there was one, has succeeded.
    this.takeBack()
    this.pending = this.handleBatch()
    if (this.pending !== undefined) return (this.beginning ??= this.beginPending())
    this.takeBack()
    const { error } = this.host.link.inbox
    if (error === undefined) return undefined
    return endsNormally(error) ? Effect.void : Effect.fail(error)
  }

  private beginPending(): Effect.Effect<void, E | ConnectionError, R> {
    const begun = Effect.suspend(() => {
      const effect = this.pending ?? Effect.void
      this.pending = undefined
      return handOver(this.fiber, effect)
    })
    return Effect.flatMap(begun, () => this)
  }

  /**
   * Calls the handler for the items that wait, as long as its effects complete at once. Returns the first effect that
   * does not, or `undefined` if no item is left. All that the handler sends is written in one write.
   */
  private handleBatch(): Effect.Effect<unknown, E | ConnectionError, R> | undefined {
    const { flusher, inbox } = this.host.link
    flusher.cork()
    try {
      for (;;) {
        const effect = this.handleNext()
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

  end(exit: Exit.Exit<void, E | ConnectionError>): Effect.Effect<void, E | ConnectionError, R> {
    if (Exit.isSuccess(exit)) {
      this.host.releaseReader(this)
      return Effect.void
    }
    const end = Effect.suspend(() => {
      this.host.releaseReader(this)
      // If the handler was called for a message, its effect must begin.
      const begun = this.pending === undefined ? Effect.void : beginAndInterrupt(this.pending)
      return Effect.ensuring(
        begun,
        Effect.sync(() => this.takeBack())
      )
    })
    if (!this.handling) return end
    // The handler may have returned by now, because the fiber may have yielded.
    const returned = awaitCallback<void>((resume) => {
      if (!this.handling) return resume(Effect.void)
      this.onReturned = () => resume(Effect.void)
    })
    return Effect.andThen(returned, end)
  }
}

export type Handler<Item, E, R> = (item: Item) => Effect.Effect<unknown, E, R> | void

/** Handles the items of the inbox. */
export class ItemRunning<Item extends Delivered, E, R> extends Running<Item, E, R> {
  private readonly handler: Handler<Item, E, R>
  private readonly giveBack: ((item: Item) => void) | undefined
  // The borrowed item whose handler was called. Its effect is handed over as it is, so that it is certain to begin.
  private lent: Item | undefined = undefined

  /** `giveBack`, if given, is called for each item once its handler is done: the items are borrowed. */
  constructor(
    host: ReadingHost<Item>,
    fiber: AnyFiber,
    handler: Handler<Item, E, R>,
    giveBack: ((item: Item) => void) | undefined
  ) {
    super(host, fiber)
    this.handler = handler
    this.giveBack = giveBack
  }

  protected handleNext(): Effect.Effect<unknown, E, R> | typeof nothing | void {
    const { giveBack, handler } = this
    const item = this.host.link.inbox.next()
    if (item === undefined) return nothing
    if (giveBack !== undefined) {
      this.takeBack()
      this.lent = item
    }
    return handler(item)
  }

  protected override takeBack(): void {
    const { lent } = this
    if (lent === undefined) return
    this.lent = undefined
    this.giveBack?.(lent)
  }
}

/**
 * Begins an effect in a new fiber, because this one has been interrupted, and then interrupts the new fiber. The effect
 * ends at the first point at which it can be interrupted. Fails if it fails by itself.
 */
const beginAndInterrupt = <E, R>(effect: Effect.Effect<unknown, E, R>): Effect.Effect<void, E, R> => {
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
        Exit.isSuccess(exit) || hasInterruptsOnly(exit.cause) ? Effect.void : Effect.failCause(exit.cause)
      )
    )
  )
}
