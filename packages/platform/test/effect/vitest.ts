/** Vitest, with tests that are effects. As in Effect 4, each of them has a scope of its own. */
import { it as original, layer as originalLayer, type Vitest } from "@effect/vitest"
import type { Layer, Scope, TestServices } from "effect"
import type { TestAPI } from "vitest"

export * from "@effect/vitest"

interface EffectTests<R> {
  /** On a clock for tests. */
  readonly effect: Vitest.Tester<TestServices.TestServices | Scope.Scope | R>
}

interface LiveTests {
  /** On the real clock. */
  readonly live: Vitest.Tester<Scope.Scope>
}

export const it: TestAPI & EffectTests<never> & LiveTests = Object.assign(original.extend({}), {
  effect: original.scoped,
  live: original.scopedLive
})

/** Tests that share a layer. */
export const layer =
  <R, E>(shared: Layer.Layer<R, E>) =>
  (tests: (it: EffectTests<R>) => void): void =>
    originalLayer(shared)((it) => tests({ effect: it.scoped }))
