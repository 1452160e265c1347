/** Trials for every operation of a program. The schedulers that find the operation are in `scheduling.ts`. */
import { Effect } from "./effect/index.js"
import { assert } from "./effect/vitest.js"

/** How many operations the enumerations look at: a number from the environment, or the one that keeps `pnpm test` short. */
export const maxOperations = (short: number): number => Number(process.env["INTERRUPTIONS"] ?? short)

/**
 * Runs a trial for each operation, from the first to a bound or behind the last one. A trial calls `reached` if its program comes
 * as far as the operation. If it does not, all later trials would be the same.
 */
export const forEachOperation = <E, R>(
  short: number,
  trial: (k: number, reached: () => void) => Effect.Effect<unknown, E, R>
): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    let isReached = true
    for (let k = 1; isReached && k <= maxOperations(short); k++) {
      isReached = false
      yield* trial(k, () => {
        isReached = true
      })
      // A trial that never tells would end the loop at once.
      if (k === 1) assert.isTrue(isReached, "no operation was reached")
    }
  })
