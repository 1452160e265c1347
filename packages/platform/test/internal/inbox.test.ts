import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Stream } from "effect"
import { Inbox } from "../../src/internal/inbox.js"
import { isPending, settled } from "../support.js"

const item = (name: string) => ({ name })
const a = item("a")
const b = item("b")

describe("Inbox", () => {
  it.effect("takes what is offered at once, and holds up who offers more than its capacity", () =>
    Effect.gen(function* () {
      const inbox = new Inbox<object, string>(2)
      assert.strictEqual(inbox.offer(a), Effect.void)
      const offering = yield* Effect.fork(inbox.offer(b))
      assert.isTrue(yield* isPending(offering))
      assert.strictEqual(yield* inbox.receive, a)
      yield* Fiber.join(offering)
      assert.strictEqual(yield* inbox.receive, b)
    })
  )

  it.effect("wakes those who receive, one for each item", () =>
    Effect.gen(function* () {
      const inbox = new Inbox<object, string>(2)
      const fibers = yield* Effect.replicateEffect(Effect.fork(inbox.receive), 2)
      yield* settled
      yield* inbox.offer(a)
      yield* settled
      const done = yield* Effect.forEach(fibers, Fiber.poll)
      assert.strictEqual(done.filter((exit) => exit._tag === "Some").length, 1)
      yield* inbox.offer(b)
      assert.sameMembers([...(yield* Fiber.join(Fiber.all(fibers)))], [a, b])
    })
  )

  it.effect("emits all that waits as one chunk, and ends behind it or fails", () =>
    Effect.gen(function* () {
      for (const isNormal of [true, false]) {
        const inbox = new Inbox<object, string>(3)
        yield* inbox.offer(a)
        yield* inbox.offer(b)
        const chunks: Array<Array<object>> = []
        const reading = yield* inbox.stream.pipe(
          Stream.runForEachChunk((chunk) => Effect.sync(() => chunks.push([...chunk]))),
          Effect.exit,
          Effect.fork
        )
        yield* settled
        inbox.end(Cause.fail("no"), isNormal)
        assert.strictEqual((yield* Fiber.join(reading))._tag, isNormal ? "Success" : "Failure")
        assert.deepStrictEqual(chunks, [[a, b]])
        assert.strictEqual(yield* Effect.flip(inbox.receive), "no")
      }
    })
  )

  it.effect("at its end lets go who offers and who receives; what waits can be taken", () =>
    Effect.gen(function* () {
      const inbox = new Inbox<object, string>(1)
      const offering = yield* Effect.fork(inbox.offer(a))
      yield* settled
      inbox.end(Cause.fail("no"), true)
      yield* Fiber.join(offering)
      assert.strictEqual(inbox.offer(b), Effect.void)
      assert.strictEqual(yield* inbox.receive, a)
      assert.strictEqual(yield* Effect.flip(inbox.receive), "no")
      const empty = new Inbox<object, string>(1)
      const receiving = yield* Effect.fork(Effect.flip(empty.receive))
      yield* settled
      empty.end(Cause.fail("no"), true)
      assert.strictEqual(yield* Fiber.join(receiving), "no")
    })
  )
})
