import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Draining, DrainReport } from "../engine/server/Drain.js"
import { awaitCallback, randomFrom } from "./effect.js"

/**
 * Begins a drain, or joins the one that is under way, and waits for its report. An interruption before the drain begins leaves
 * everything as it was; later it ends the wait, and the drain goes on.
 */
export const drain = (begin: (random: () => number) => Draining): Effect.Effect<DrainReport> =>
  Effect.flatMap(Random.next, (seed) => {
    const random = randomFrom(seed)
    return awaitCallback((resume) => begin(random).whenReported((report) => resume(Effect.succeed(report))))
  })

export const logReport = (drained: Effect.Effect<DrainReport>): Effect.Effect<void> =>
  Effect.flatMap(drained, ({ closed, dropped, interrupted }) =>
    Effect.logInfo(`Drained connections (closed: ${closed}, dropped: ${dropped}), interrupted handlers: ${interrupted}`)
  )
