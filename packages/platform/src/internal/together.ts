import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { forkDetach } from "./effect.js"

/**
 * Runs effects concurrently, each in its own fiber, and waits for all of them. A failure does not end the other
 * effects. An interruption interrupts all of them.
 *
 * `Effect.forEach` with concurrency cannot be used here: in Effect 3 it waits forever if it is interrupted while it
 * begins.
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
