import { Cause, Clock, Effect, Exit, Fiber, Scope, TestClock } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { Closables, closedAtOnce, type Closable } from "../../src/engine/connection/Closables.js"
import { closeAll, delegatingScope, placeIn } from "../../src/internal/scopes.js"
import { finalizersIn, isPending, settled } from "../support.js"

/** A member that closes when `closed` is done. */
const makeMember = (patience = 500) =>
  Effect.sync(() => {
    const whenClosed = new Set<() => void>()
    let isClosed = false
    const codes: Array<number> = []
    const waits: Array<number> = []
    const closable: Closable = {
      patience,
      beginClose: (code, waited = 0) => {
        codes.push(code)
        waits.push(waited)
      },
      whenClosed: (done) => {
        if (isClosed) return closedAtOnce(done)
        whenClosed.add(done)
        return () => whenClosed.delete(done)
      }
    }
    const end = Effect.sync(() => {
      isClosed = true
      for (const done of whenClosed) done()
    })
    return { closable, codes, waits, end }
  })

describe("closeAll", () => {
  it.effect("begins to close all members, and then waits for all of them; later members are closed, too", () =>
    Effect.gen(function* () {
      const closables = new Closables()
      const members = yield* Effect.replicateEffect(makeMember(), 3)
      for (const { closable } of members) closables.add(closable)
      const closing = yield* Effect.forkChild(closeAll(closables, 1001))
      yield* settled
      assert.deepStrictEqual(
        members.map(({ codes }) => codes),
        [[1001], [1001], [1001]]
      )
      const late = yield* makeMember()
      closables.add(late.closable)
      assert.deepStrictEqual(late.codes, [1001])
      // In any order.
      for (const { end } of [...members].reverse()) {
        assert.isTrue(yield* isPending(closing))
        yield* end
      }
      yield* Fiber.join(closing)
    })
  )

  it.effect("does not close members that were removed, and members may leave while it closes them", () =>
    Effect.gen(function* () {
      const closables = new Closables()
      const gone = yield* makeMember()
      closables.add(gone.closable)
      closables.delete(gone.closable)
      let told = 0
      for (let i = 0; i < 3; i++) {
        const closable: Closable = {
          patience: 0,
          beginClose: () => {
            told++
            closables.delete(closable)
          },
          whenClosed: closedAtOnce
        }
        closables.add(closable)
      }
      yield* closeAll(closables, 1000)
      assert.deepStrictEqual([gone.codes, told, closables["members"].size], [[], 3, 0])
    })
  )
})

describe("placeIn", () => {
  for (const [name, exit, code] of [
    ["success", Exit.void, 1000],
    ["interruption", Exit.interrupt(), 1001],
    ["failure", Exit.fail("no"), 1011],
    ["defect", Exit.die("no"), 1011],
    ["failure and interruption", Exit.failCause(Cause.combine(Cause.fail("no"), Cause.interrupt())), 1011]
  ] as const) {
    it.effect(`closes with ${code} after ${name}, and later members with 1001`, () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { closable, codes, end } = yield* makeMember()
        placeIn(scope).add(closable)
        yield* end
        yield* Scope.close(scope, exit)
        assert.deepStrictEqual(codes, [code])
        const late = yield* makeMember()
        placeIn(scope).add(late.closable)
        assert.deepStrictEqual(late.codes, [1001])
      })
    )
  }

  it.effect("removes its finalizer once its member is over, and is kept if another member replaces it", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const [first, second] = [yield* makeMember(), yield* makeMember()]
      const place = placeIn(scope)
      place.add(first.closable)
      place.add(second.closable)
      place.delete(first.closable)
      assert.strictEqual(finalizersIn(scope), 1)
      place.delete(second.closable)
      assert.strictEqual(finalizersIn(scope), 0)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([first.codes, second.codes], [[], []])
    })
  )

  it.effect("what was acquired before a connection is released when the connection is over", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const log: Array<string> = []
      const released = (name: string) =>
        Scope.addFinalizer(
          scope,
          Effect.sync(() => log.push(name))
        )
      const members = yield* Effect.forEach(["a", "b"], (name) =>
        Effect.gen(function* () {
          yield* released(name)
          const member = yield* makeMember()
          placeIn(scope).add(member.closable)
          return member
        })
      )
      yield* released("c")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settled
      const codes = () => members.map(({ codes }) => codes.length)
      assert.deepStrictEqual([log, codes()], [["c"], [0, 1]])
      yield* members[1]!.end
      yield* settled
      assert.deepStrictEqual(
        [log, codes()],
        [
          ["c", "b"],
          [1, 1]
        ]
      )
      yield* members[0]!.end
      yield* Fiber.join(closing)
      assert.deepStrictEqual(log, ["c", "b", "a"])
    })
  )

  it.effect("connections with nothing of the app's between them begin to close together, from last to first", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const order: Array<number> = []
      const members = yield* Effect.forEach([0, 1, 2, 3], (i) =>
        Effect.gen(function* () {
          const member = yield* makeMember()
          // What was between the last two is over before.
          const between = i === 3 ? yield* Effect.forkIn(Effect.void, scope) : undefined
          placeIn(scope).add({
            ...member.closable,
            beginClose: () => order.push(i)
          })
          if (between !== undefined) yield* Fiber.join(between)
          return member
        })
      )
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settled
      assert.deepStrictEqual(order, [3, 2, 1, 0])
      for (const { end } of members) yield* end
      yield* Fiber.join(closing)
    })
  )

  it.effect(
    "a connection whose place comes later is told when half of its time has passed, and has the other half",
    () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const [patient, first, last] = [yield* makeMember(800), yield* makeMember(500), yield* makeMember(500)]
        for (const { closable } of [patient, first, last]) {
          placeIn(scope).add(closable)
          yield* Scope.addFinalizer(scope, Effect.void)
        }
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        const told = () => [patient, first, last].map(({ waits }) => waits)
        yield* TestClock.adjust(499)
        assert.deepStrictEqual(told(), [[], [], [0]])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(told(), [[], [500], [0]])
        yield* TestClock.adjust(100)
        yield* last.end
        yield* TestClock.adjust(199)
        assert.deepStrictEqual(told(), [[], [500], [0]])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(told(), [[800], [500], [0]])
        yield* first.end
        yield* patient.end
        yield* Fiber.join(closing)
      })
  )

  it.effect("time that the app's own finalizers take is not that of the connections", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const [first, last] = [yield* makeMember(), yield* makeMember()]
      placeIn(scope).add(first.closable)
      yield* Scope.addFinalizer(scope, Effect.sleep("1 hour"))
      placeIn(scope).add(last.closable)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust(100)
      yield* last.end
      yield* TestClock.adjust("59 minutes")
      assert.deepStrictEqual(first.waits, [])
      yield* TestClock.adjust("1 minutes")
      assert.deepStrictEqual(first.waits, [100])
      yield* first.end
      yield* Fiber.join(closing)
      assert.strictEqual(yield* Clock.currentTimeMillis, 60 * 60_000 + 100)
    })
  )

  it.effect("in a scope that runs its finalizers at once, all begin to close at once", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make("parallel")
      const members = yield* Effect.replicateEffect(makeMember(), 3)
      for (const { closable } of members) {
        placeIn(scope).add(closable)
        yield* Scope.addFinalizer(scope, Effect.void)
      }
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settled
      assert.deepStrictEqual(
        members.map(({ waits }) => waits),
        [[0], [0], [0]]
      )
      for (const { end } of members) yield* end
      yield* Fiber.join(closing)
    })
  )

  it.effect("in a scope that hides its finalizers, each is closed at its own place", () =>
    Effect.gen(function* () {
      const inner = yield* Scope.make()
      // It delegates everything, and hides what another implementation may hide.
      const scope: Scope.Scope = new Proxy(inner, {
        has: (target, key) => key !== "state" && key in target,
        get: (target, key) => {
          const value: unknown = Reflect.get(target, key)
          return typeof value === "function" ? value.bind(target) : value
        }
      })
      const members = yield* Effect.replicateEffect(makeMember(), 2)
      for (const { closable } of members) placeIn(scope).add(closable)
      const closing = yield* Effect.forkChild(Scope.close(inner, Exit.void))
      yield* settled
      const codes = () => members.map(({ codes }) => codes)
      assert.deepStrictEqual(codes(), [Scope.mayHideFinalizers ? [] : [1000], [1000]])
      yield* members[1]!.end
      yield* settled
      assert.deepStrictEqual(codes(), [[1000], [1000]])
      yield* members[0]!.end
      yield* Fiber.join(closing)
      const late = yield* makeMember()
      yield* late.end
      placeIn(scope).add(late.closable)
      assert.deepStrictEqual(late.codes, [1001])
    })
  )

  it.effect("in a delegating scope is the owner", () =>
    Effect.gen(function* () {
      const owner = new Closables()
      const scope = yield* delegatingScope(owner)
      assert.strictEqual(placeIn(scope), owner)
      assert.strictEqual(finalizersIn(scope), 0)
    })
  )
})
