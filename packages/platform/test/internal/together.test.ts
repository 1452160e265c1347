import { Effect, Exit, Fiber } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { together } from "../../src/internal/together.js"
import { maxOperations } from "../operations.js"
import { interruptedAt } from "../scheduling.js"
import { isInterrupted, settled } from "../support.js"

describe("together", () => {
  it.effect("waits for all, in their order, and one that fails does not end the others", () =>
    Effect.gen(function* () {
      const exits = yield* together<number, string, never>([
        Effect.as(Effect.yieldNow, 1),
        Effect.fail("no"),
        Effect.die("bug"),
        Effect.as(settled, 2)
      ])
      assert.deepStrictEqual(exits, [Exit.succeed(1), Exit.fail("no"), Exit.die("bug"), Exit.succeed(2)])
      assert.deepStrictEqual(yield* together<never, never, never>([]), [])
    })
  )

  it.effect("ends, and leaves no fiber behind, wherever it is interrupted", () =>
    Effect.gen(function* () {
      for (let k = 1; k <= maxOperations(100); k++) {
        let running = 0
        const each = Effect.acquireUseRelease(
          Effect.sync(() => running++),
          () => Effect.never,
          () => Effect.sync(() => running--)
        )
        const fiber = yield* Effect.forkChild(interruptedAt(k, together([each, each, each])))
        yield* settled
        const poll = yield* Fiber.poll(fiber)
        if (poll._tag === "None") {
          // It has begun by then.
          assert.isAbove(k, 20)
          assert.strictEqual(running, 3)
          yield* Fiber.interruptFork(fiber)
        } else assert.isTrue(isInterrupted((yield* Fiber.join(fiber)).exit))
        yield* settled
        assert.strictEqual(running, 0, `interrupted before operation ${k}`)
        if (poll._tag === "None") return
      }
    })
  )
})
