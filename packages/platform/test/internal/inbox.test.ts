import { Option } from "effect"
import { Cause, Effect, Exit, Fiber, Stream } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { Inbox } from "../../src/internal/inbox.js"
import { interruptedAt } from "../scheduling.js"
import { isPending, settled } from "../support.js"

const item = (name: string) => ({ name })
const a = item("a")
const b = item("b")

describe("Inbox", () => {
  it.effect("takes an item at once, and suspends a writer that fills it", () =>
    Effect.gen(function* () {
      const inbox = new Inbox<object, string>(2)
      assert.strictEqual(inbox.offer(a), Effect.void)
      const offering = yield* Effect.forkChild(inbox.offer(b))
      assert.isTrue(yield* isPending(offering))
      assert.strictEqual(yield* inbox.receive, a)
      yield* Fiber.join(offering)
      assert.strictEqual(yield* inbox.receive, b)
    })
  )

  it.effect("gives each item to one reader", () =>
    Effect.gen(function* () {
      const inbox = new Inbox<object, string>(2)
      const fibers = yield* Effect.replicateEffect(Effect.forkChild(inbox.receive), 2)
      yield* settled
      yield* inbox.offer(a)
      yield* settled
      const done = yield* Effect.forEach(fibers, Fiber.poll)
      assert.strictEqual(done.filter((exit) => exit._tag === "Some").length, 1)
      yield* inbox.offer(b)
      assert.sameMembers([...(yield* Fiber.joinAll(fibers))], [a, b])
    })
  )

  it.effect("emits all items that wait as one chunk, and ends or fails behind it", () =>
    Effect.gen(function* () {
      for (const isNormal of [true, false]) {
        const inbox = new Inbox<object, string>(3)
        yield* inbox.offer(a)
        yield* inbox.offer(b)
        const chunks: Array<Array<object>> = []
        const reading = yield* inbox.stream.pipe(
          Stream.runForEachArray((chunk) => Effect.sync(() => chunks.push([...chunk]))),
          Effect.exit,
          Effect.forkChild
        )
        yield* settled
        inbox.end(Cause.fail("no"), isNormal)
        assert.strictEqual((yield* Fiber.join(reading))._tag, isNormal ? "Success" : "Failure")
        assert.deepStrictEqual(chunks, [[a, b]])
        assert.strictEqual(yield* Effect.flip(inbox.receive), "no")
      }
    })
  )

  it.effect("receiveOption is None behind a normal end, and fails behind another one", () =>
    Effect.gen(function* () {
      for (const isNormal of [true, false]) {
        const inbox = new Inbox<object, string>(3)
        yield* inbox.offer(a)
        assert.deepStrictEqual(yield* inbox.receiveOption, Option.some(a))
        const waiting = yield* Effect.forkChild(Effect.exit(inbox.receiveOption))
        assert.isTrue(yield* isPending(waiting))
        yield* inbox.offer(b)
        inbox.end(Cause.fail("no"), isNormal)
        assert.deepStrictEqual(yield* Fiber.join(waiting), Exit.succeed(Option.some(b)))
        const end = isNormal ? Exit.succeed(Option.none()) : Exit.fail("no")
        assert.deepStrictEqual(yield* Effect.exit(inbox.receiveOption), end)
      }
    })
  )

  it.effect("wakes writers and readers at its end; the items that wait can be taken", () =>
    Effect.gen(function* () {
      const inbox = new Inbox<object, string>(1)
      const offering = yield* Effect.forkChild(inbox.offer(a))
      yield* settled
      inbox.end(Cause.fail("no"), true)
      yield* Fiber.join(offering)
      assert.strictEqual(inbox.offer(b), Effect.void)
      assert.strictEqual(yield* inbox.receive, a)
      assert.strictEqual(yield* Effect.flip(inbox.receive), "no")
      const empty = new Inbox<object, string>(1)
      const receiving = yield* Effect.forkChild(Effect.flip(empty.receive))
      yield* settled
      empty.end(Cause.fail("no"), true)
      assert.strictEqual(yield* Fiber.join(receiving), "no")
    })
  )

  for (const name of ["receive", "receiveOption"] as const) {
    it.effect(`${name} loses no item if it is interrupted before any operation`, () =>
      Effect.gen(function* () {
        let k = 1
        for (let isInterrupted = true; isInterrupted; k++) {
          const inbox = new Inbox<object, string>(3)
          const taken: Array<object> = []
          const receiving = Effect.flatMap(inbox[name], (item) => {
            taken.push(item)
            return Effect.void
          })
          const fiber = yield* Effect.forkChild(interruptedAt(k, receiving))
          yield* settled
          yield* inbox.offer(a)
          isInterrupted = (yield* Fiber.join(fiber)).isInterrupted
          if (taken.length === 0) assert.strictEqual(yield* inbox.receive, a, `interrupted before operation ${k}`)
        }
        assert.isAbove(k, 5)
      })
    )
  }
})
