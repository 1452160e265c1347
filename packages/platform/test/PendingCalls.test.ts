import { PendingCalls } from "@effect-websocket/platform"
import { Deferred, Effect, Exit, Fiber, Scope, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { connected, isDefect, isPending, settled } from "./support.js"

const opened = (options?: PendingCalls.Options) =>
  Effect.gen(function* () {
    const { client, server } = yield* connected()
    const calls = yield* PendingCalls.make<string, "refused">(client, options)
    const ids: Array<number> = []
    const send = (id: number) => Effect.sync(() => void ids.push(id))
    return { calls, client, ids, send, server }
  })

describe("a call", () => {
  it.effect("gets the reply with its id, whatever the order, once", () =>
    Effect.gen(function* () {
      const { calls, ids, send } = yield* opened()
      const [first, second] = [yield* Effect.forkChild(calls.call(send)), yield* Effect.forkChild(calls.call(send))]
      yield* settled
      assert.deepStrictEqual([ids, yield* calls.size], [[1, 2], 2])
      assert.isTrue(calls.reply(2, Exit.succeed("two")))
      assert.isFalse(calls.reply(2, Exit.succeed("again")))
      assert.isFalse(calls.reply(3, Exit.succeed("unknown")))
      assert.isFalse(calls.reply("1", Exit.succeed("a text")))
      assert.isTrue(calls.reply(1, Exit.fail("refused")))
      assert.strictEqual(yield* Fiber.join(second), "two")
      assert.strictEqual(yield* Effect.flip(Fiber.join(first)), "refused")
      assert.strictEqual(yield* calls.size, 0)
    })
  )

  it.effect("may be replied to while it is sent", () =>
    Effect.gen(function* () {
      const { calls } = yield* opened()
      const reply = yield* calls.call((id) => Effect.sync(() => void calls.reply(id, Exit.succeed("at once"))))
      assert.strictEqual(reply, "at once")
    })
  )

  it.effect("fails with the connection's error when the connection ends, and so do later ones", () =>
    Effect.gen(function* () {
      for (const end of ["close", "abort"] as const) {
        const { calls, client, ids, send, server } = yield* opened()
        const waiting = yield* Effect.forkChild(Effect.flip(calls.call(send)))
        yield* settled
        yield* Effect.forkChild(Effect.exit(client.receive))
        yield* end === "close" ? server.close() : server.abort
        const error = yield* Fiber.join(waiting)
        assert.strictEqual(error, (yield* client.closeStatus).error)
        assert.strictEqual(yield* Effect.flip(calls.call(send)), error)
        assert.deepStrictEqual(ids, [1])
      }
    })
  )

  it.effect("fails with all others that wait, and none is cancelled", () =>
    Effect.gen(function* () {
      const { calls, client, send, server } = yield* opened()
      const cancelled: Array<number> = []
      const cancel = (id: number) => Effect.sync(() => void cancelled.push(id))
      const call = Effect.flip(calls.call(send, cancel))
      const waiting = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 1000 }, () => call),
          { concurrency: "unbounded" }
        )
      )
      yield* settled
      assert.strictEqual(yield* calls.size, 1000)
      yield* server.abort
      const errors = yield* Fiber.join(waiting)
      assert.deepStrictEqual(new Set(errors), new Set([(yield* client.closeStatus).error]))
      yield* settled
      assert.deepStrictEqual([cancelled, yield* calls.size], [[], 0])
      assert.isFalse(calls.reply(1000, Exit.succeed("late")))
    })
  )

  it.effect("that is replied to in the step of its interruption is not cancelled, and its id is not used again", () =>
    Effect.gen(function* () {
      const { calls, ids, send } = yield* opened()
      const cancelled: Array<number> = []
      const waiting = yield* Effect.forkChild(calls.call(send, (id) => Effect.sync(() => void cancelled.push(id))))
      yield* settled
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(waiting))
      assert.isTrue(calls.reply(1, Exit.succeed("reply")))
      yield* Fiber.join(interrupting)
      const next = yield* Effect.forkChild(calls.call(send))
      yield* settled
      assert.isFalse(calls.reply(1, Exit.succeed("again")))
      assert.isTrue(calls.reply(2, Exit.succeed("two")))
      assert.strictEqual(yield* Fiber.join(next), "two")
      assert.deepStrictEqual([ids, cancelled], [[1, 2], []])
    })
  )

  it.effect("fails when the scope of the calls ends", () =>
    Effect.gen(function* () {
      const { client } = yield* connected()
      const scope = yield* Scope.make()
      const calls = yield* Effect.provideService(PendingCalls.make<string>(client), Scope.Scope, scope)
      const waiting = yield* Effect.forkChild(Effect.flip(calls.call(() => Effect.void)))
      yield* settled
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "Connection_closed")
    })
  )

  it.effect("fails as its send does, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const { calls } = yield* opened()
      const cancelled: Array<number> = []
      const cancel = (id: number) => Effect.sync(() => void cancelled.push(id))
      assert.strictEqual(yield* Effect.flip(calls.call(() => Effect.fail("unsent" as const), cancel)), "unsent")
      assert.isTrue(isDefect(yield* Effect.exit(calls.call(() => Effect.die("bug"), cancel))))
      yield* settled
      assert.deepStrictEqual([cancelled, yield* calls.size], [[], 0])
    })
  )

  it.effect("that is interrupted tells the peer, does not wait for it, and ignores its reply", () =>
    Effect.gen(function* () {
      const { calls, send } = yield* opened()
      const cancelled: Array<number> = []
      const told = yield* Deferred.make<void>()
      const cancel = (id: number) =>
        Effect.andThen(
          Deferred.await(told),
          Effect.sync(() => void cancelled.push(id))
        )
      const waiting = yield* Effect.forkChild(calls.call(send, cancel))
      yield* settled
      yield* Fiber.interrupt(waiting)
      assert.deepStrictEqual([calls.reply(1, Exit.succeed("late")), yield* calls.size], [false, 0])
      yield* Deferred.succeed(told, undefined)
      yield* settled
      assert.deepStrictEqual(cancelled, [1])
    })
  )

  it.effect("tells the peer of each of several, even if telling it of one fails", () =>
    Effect.gen(function* () {
      const { calls } = yield* opened()
      const cancelled: Array<number> = []
      const cancel = (id: number) => Effect.suspend(() => Effect.fail(cancelled.push(id)))
      const waiting = yield* Effect.forkChild(calls.callAll(2, () => Effect.void, cancel))
      yield* settled
      yield* Fiber.interrupt(waiting)
      yield* settled
      assert.deepStrictEqual(cancelled, [1, 2])
    })
  )

  it.effect("is not cancelled if its send throws", () =>
    Effect.gen(function* () {
      const { calls } = yield* opened()
      const cancelled: Array<number> = []
      const send = (): Effect.Effect<void> => {
        throw new Error("send")
      }
      const exit = yield* Effect.exit(calls.call(send, (id) => Effect.sync(() => void cancelled.push(id))))
      yield* settled
      assert.isTrue(isDefect(exit))
      assert.deepStrictEqual([cancelled, yield* calls.size], [[], 0])
    })
  )

  it.effect("has a timeout, and then tells the peer, too", () =>
    Effect.gen(function* () {
      const { calls, send } = yield* opened({ timeout: "5 seconds" })
      const cancelled: Array<number> = []
      const waiting = yield* Effect.forkChild(
        Effect.flip(calls.call(send, (id) => Effect.sync(() => void cancelled.push(id))))
      )
      yield* settled
      yield* TestClock.adjust("4 seconds")
      assert.isTrue(yield* isPending(waiting))
      yield* TestClock.adjust("1 seconds")
      const error = yield* Fiber.join(waiting)
      assert(typeof error === "object" && error._tag === "Io_error")
      assert.deepStrictEqual([error.reason, error.operation], ["Timeout", "call"])
      yield* settled
      assert.deepStrictEqual(cancelled, [1])
    })
  )

  it.effect("is refused above maxPending, before anything is sent", () =>
    Effect.gen(function* () {
      const { calls, ids, send } = yield* opened({ maxPending: 2 })
      const waiting = yield* Effect.forkChild(calls.callAll(2, (ids) => Effect.forEach(ids, send, { discard: true })))
      yield* settled
      const error = yield* Effect.flip(calls.call(send))
      assert.deepStrictEqual(error, new PendingCalls.TooManyCalls({ max: 2 }))
      assert.deepStrictEqual(ids, [1, 2])
      yield* Fiber.interrupt(waiting)
      yield* Effect.forkChild(calls.call(send))
      yield* settled
      assert.deepStrictEqual(ids, [1, 2, 3])
      assert.isTrue(
        isDefect(
          yield* Effect.exit(
            PendingCalls.make(yield* Effect.map(connected(), (all) => all.client), { maxPending: 0.5 })
          )
        )
      )
    })
  )

  it.effect("of several has the reply of each", () =>
    Effect.gen(function* () {
      const { calls } = yield* opened()
      const replies = yield* calls.callAll(2, ([first, second]) =>
        Effect.sync(() => {
          calls.reply(second, Exit.fail("refused"))
          calls.reply(first, Exit.succeed("one"))
        })
      )
      assert.deepStrictEqual(replies.map(Exit.isSuccess), [true, false])
      assert.deepStrictEqual(yield* calls.callAll(0, () => Effect.void), [])
    })
  )
})
