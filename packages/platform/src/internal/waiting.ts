import * as Effect from "effect/Effect"
import { catchDefectIf } from "./effect.js"

// Another fiber took what this one was woken for.
const outrun = Symbol("outrun")

/**
 * Waits, and then takes. `take` returns `undefined` if another fiber was faster; then it waits again.
 *
 * An interruption loses nothing: the value of `sync` reaches the next step of the fiber in the step that took it. An
 * effect that is returned could be replaced by an interruption, which is why `take` does not return one and being outrun is
 * thrown.
 */
export const takeAfter = <A extends object, E, R>(
  wait: Effect.Effect<void, E, R>,
  take: () => A | undefined
): Effect.Effect<A, E, R> => {
  const taking: Effect.Effect<A, E, R> = catchDefectIf(
    Effect.andThen(
      wait,
      Effect.sync(() => {
        const taken = take()
        if (taken === undefined) throw outrun
        return taken
      })
    ),
    // A success passes by in the same step.
    isOutrun,
    () => taking
  )
  return taking
}

const isOutrun = (defect: unknown): defect is typeof outrun => defect === outrun
