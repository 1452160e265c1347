import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { forkDetach } from "./effect.js"

/**
 * Runs effects at once, each in a fiber of its own, and waits for all of them: one that fails does not end the others. An
 * interruption interrupts them.
 *
 * `Effect.forEach` with concurrency waits for ever if it is interrupted while it begins (Effect 3).
 */
export const together = <A, E, R>(
  effects: ReadonlyArray<Effect.Effect<A, E, R>>
): Effect.Effect<ReadonlyArray<Exit.Exit<A, E>>, never, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.forEach(effects, (effect) => forkDetach(Effect.interruptible(effect))),
      (fibers) => Effect.onInterrupt(restore(Fiber.awaitAll(fibers)), () => Fiber.interruptAll(fibers))
    )
  )
