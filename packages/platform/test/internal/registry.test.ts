import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, FiberId, Scope } from "effect"
import { closeCodeOf, ofScope, Registry, type Closable } from "../../src/internal/registry.js"

const recording = (log: Array<string>, name: string, awaitClosed: Effect.Effect<void> = Effect.void): Closable => ({
  beginClose: (code) => log.push(`${name} begins ${code}`),
  awaitClosed: Effect.zipRight(
    awaitClosed,
    Effect.sync(() => log.push(`${name} closed`))
  )
})

describe("a registry", () => {
  it.effect("tells all of its members to close before it waits for the first", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const registry = new Registry()
      registry.add(recording(log, "a", Deferred.await(gate)))
      registry.add(recording(log, "b"))
      const gone = recording(log, "gone")
      registry.add(gone)
      registry.delete(gone)
      const closing = yield* Effect.fork(registry.closeAll(1001))
      yield* Effect.yieldNow()
      assert.deepStrictEqual(log, ["a begins 1001", "b begins 1001"])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(log.slice(2), ["a closed", "b closed"])
      assert.isTrue(registry.closed)
    })
  )

  it.effect("is one for each scope, which closes it with the code of its end", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const scope = yield* Scope.make()
      const registry = yield* ofScope(scope)
      assert.strictEqual(yield* ofScope(scope), registry)
      assert.notStrictEqual(yield* ofScope(yield* Scope.make()), registry)
      registry.add(recording(log, "a"))
      yield* Scope.close(scope, Exit.fail("no"))
      assert.deepStrictEqual(log, ["a begins 1011", "a closed"])
    })
  )
})

it("maps how a scope ended to a close code", () => {
  assert.strictEqual(closeCodeOf(Exit.void), 1000)
  assert.strictEqual(closeCodeOf(Exit.interrupt(FiberId.none)), 1001)
  assert.strictEqual(closeCodeOf(Exit.fail("no")), 1011)
  assert.strictEqual(closeCodeOf(Exit.die("no")), 1011)
  assert.strictEqual(closeCodeOf(Exit.failCause(Cause.parallel(Cause.interrupt(FiberId.none), Cause.fail("no")))), 1011)
})
