import { Effect, Exit, Fiber } from "./effect/index.js"
import { assert, it } from "./effect/vitest.js"
import { interruptedAt, yieldingAt, yieldingOnce } from "./scheduling.js"

const steps = (log: Array<string>, name: string, count: number) =>
  Effect.forEach(Array.from({ length: count }), (_, i) => Effect.sync(() => log.push(`${name}${i}`)), { discard: true })

it.effect("a scheduler that yields between any two operations lets two fibers take turns", () =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const both = Effect.all([Effect.forkChild(steps(log, "a", 50)), Effect.forkChild(steps(log, "b", 50))])
    const fibers = yield* Effect.withScheduler(both, yieldingAt(1))
    yield* Fiber.joinAll(fibers)
    const turns = log.slice(log.indexOf("b0"), log.indexOf("a49")).map((step) => step[0])
    assert.isAbove(turns.length, 10)
    turns.forEach((name, i) => assert.strictEqual(name, i % 2 === 0 ? "b" : "a"))
  })
)

it.effect("a scheduler that yields once calls back between two operations", () =>
  Effect.gen(function* () {
    const positions = new Set<number>()
    for (let k = 1; k <= 100; k++) {
      const log: Array<string> = []
      let position: number | undefined
      const scheduler = yieldingOnce(k, () => (position = log.length))
      const fiber = yield* Effect.forkChild(Effect.withScheduler(steps(log, "", 3), scheduler))
      yield* Fiber.join(fiber)
      assert.deepEqual(log, ["0", "1", "2"])
      if (position === undefined) break
      positions.add(position)
    }
    assert.deepEqual([...positions], [0, 1, 2, 3])
  })
)

it.effect("an interruption arrives before each operation, and behind the last one there is none", () =>
  Effect.gen(function* () {
    const done: Array<number> = []
    for (let k = 1; ; k++) {
      const log: Array<string> = []
      const { exit, isInterrupted } = yield* interruptedAt(k, steps(log, "", 2))
      assert.strictEqual(Exit.hasInterrupts(exit), isInterrupted)
      if (!isInterrupted) break
      done.push(log.length)
    }
    assert.deepEqual([...new Set(done)], [0, 1, 2])
  })
)
