import * as Effect from "effect/Effect"
import type { Waiters } from "../engine/Waiters.js"
import { awaitCallback, catchDefectIf } from "./effect.js"

/** Another fiber took the item for which this one was woken. */
export const outrun: unique symbol = Symbol("outrun")

/**
 * Waits, and then takes an item. If another fiber was faster, `take` returns `outrun`, and the wait begins again.
 *
 * An interruption loses no item: the value of `sync` reaches the fiber's next step in the same step that took it. So
 * `take` does not return an effect, because an interruption could replace it. For the same reason `outrun` is thrown.
 */
export const takeAfter = <A, E, R>(
  wait: Effect.Effect<void, E, R>,
  take: () => A | typeof outrun
): Effect.Effect<A, E, R> => {
  const taking: Effect.Effect<A, E, R> = catchDefectIf(
    Effect.andThen(
      wait,
      Effect.sync(() => {
        const taken = take()
        if (taken === outrun) throw outrun
        return taken
      })
    ),
    // A success skips this handler in the same step.
    isOutrun,
    () => taking
  )
  return taking
}

const isOutrun = (defect: unknown): defect is typeof outrun => defect === outrun

/**
 * Waits until `isReady` is true. Checks it again in the step that begins to wait, because the fiber may have yielded
 * since the last check.
 */
export const waitUntil = (waiters: Waiters, isReady: () => boolean): Effect.Effect<void> =>
  awaitCallback<void>((resume) => {
    if (isReady()) return resume(Effect.void)
    return waiters.add(() => resume(Effect.void))
  })
