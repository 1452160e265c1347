import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Exit, Fiber, FiberId, Scope } from "effect"
import * as Registry from "../../src/internal/registry.js"
import { isPending, settled } from "../support.js"

const member = Effect.map(Deferred.make<void>(), (closed) => {
  const codes: Array<number> = []
  const closable: Registry.Closable = {
    beginClose: (code) => void codes.push(code),
    awaitClosed: Deferred.await(closed)
  }
  return { closable, codes, closed }
})

describe("closeAll", () => {
  it.effect("tells all members first, and then waits for all of them", () =>
    Effect.gen(function* () {
      const registry = new Registry.Registry()
      const members = yield* Effect.replicateEffect(member, 3)
      for (const { closable } of members) registry.add(closable)
      const closing = yield* Effect.fork(registry.closeAll(1001))
      yield* settled
      assert.isTrue(registry.closed)
      assert.deepStrictEqual(
        members.map(({ codes }) => codes),
        [[1001], [1001], [1001]]
      )
      // In any order.
      for (const { closed } of [...members].reverse()) {
        assert.isTrue(yield* isPending(closing))
        yield* Deferred.succeed(closed, undefined)
      }
      yield* Fiber.join(closing)
    })
  )

  it.effect("leaves alone who was taken out, and may find members that go while it tells them", () =>
    Effect.gen(function* () {
      const registry = new Registry.Registry()
      const gone = yield* member
      registry.add(gone.closable)
      registry.delete(gone.closable)
      let told = 0
      for (let i = 0; i < 3; i++) {
        const closable: Registry.Closable = {
          beginClose: () => {
            told++
            registry.delete(closable)
          },
          awaitClosed: Effect.void
        }
        registry.add(closable)
      }
      yield* registry.closeAll(1000)
      assert.deepStrictEqual([gone.codes, told, registry["members"].size], [[], 3, 0])
    })
  )
})

describe("ofScope", () => {
  it.effect("is one for each scope", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* Scope.make(), yield* Scope.make()]
      const registry = yield* Registry.ofScope(first)
      assert.strictEqual(yield* Registry.ofScope(first), registry)
      assert.notStrictEqual(yield* Registry.ofScope(second), registry)
    })
  )

  for (const [name, exit, code] of [
    ["success", Exit.void, 1000],
    ["interruption", Exit.interrupt(FiberId.none), 1001],
    ["failure", Exit.fail("no"), 1011],
    ["defect", Exit.die("no"), 1011],
    ["failure and interruption", Exit.failCause(Cause.parallel(Cause.fail("no"), Cause.interrupt(FiberId.none))), 1011]
  ] as const) {
    it.effect(`closes with ${code} after ${name}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(Registry.closeCodeOf(exit), code)
        const scope = yield* Scope.make()
        const { closable, closed, codes } = yield* member
        ;(yield* Registry.ofScope(scope)).add(closable)
        yield* Deferred.succeed(closed, undefined)
        yield* Scope.close(scope, exit)
        assert.deepStrictEqual(codes, [code])
      })
    )
  }

  it.effect("of a scope that is over is closed", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Scope.close(scope, Exit.void)
      assert.isTrue((yield* Registry.ofScope(scope)).closed)
    })
  )
})
