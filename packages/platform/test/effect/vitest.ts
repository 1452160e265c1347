/** Vitest, with tests that are effects. As in Effect 4, each of them has a scope of its own. */
import { it as original, layer as originalLayer, type Vitest } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import type { TestAPI } from "vitest"
import * as Logger from "./Logger.js"
import * as TestClock from "./TestClock.js"

export * from "@effect/vitest"

type Tests<R> = Vitest.Test<R> & Pick<Vitest.Tester<R>, "each">

interface EffectTests<R> {
  /** On a clock for tests. */
  readonly effect: Tests<Scope.Scope | R>
}

interface LiveTests {
  /** On the real clock. */
  readonly live: Vitest.Tester<Scope.Scope>
}

const environment = Layer.merge(TestClock.layer(), Logger.withoutDefault)

const onTestClock = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> =>
  Effect.provide(Effect.scoped(effect), environment)

const effect: Tests<Scope.Scope> = Object.assign<Vitest.Test<Scope.Scope>, Pick<Vitest.Tester<Scope.Scope>, "each">>(
  (name, test, timeout) => original.live(name, (context) => onTestClock(test(context)), timeout),
  {
    each: (cases) => (name, test, timeout) =>
      original.live.each(cases)(name, (...values) => onTestClock(test(...values)), timeout)
  }
)

export const it: TestAPI & EffectTests<never> & LiveTests = Object.assign(original.extend({}), {
  effect,
  live: original.scopedLive
})

/** Tests that share a layer. */
export const layer =
  <R, E>(shared: Layer.Layer<R, E>) =>
  (tests: (it: EffectTests<R>) => void): void =>
    originalLayer(shared)((it) => tests({ effect: it.scoped }))
