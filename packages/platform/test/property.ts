/** Tests of properties. */
import * as fc from "fast-check"
import { Effect, Layer, Logger, type Scope, TestClock } from "./effect/index.js"
import { it } from "./effect/vitest.js"

const environment = Layer.merge(TestClock.layer(), Logger.withoutDefault)

/** Runs an effect for many values, each time with a scope and a test clock of its own. */
export const property = <A extends object, E>(
  name: string,
  arbitraries: { readonly [K in keyof A]: fc.Arbitrary<A[K]> },
  test: (values: A) => Effect.Effect<void, E, Scope.Scope>,
  parameters?: fc.Parameters<[A]>
): void =>
  it(name, () =>
    fc.assert(
      fc.asyncProperty(fc.record<A>({ ...arbitraries }), (values) =>
        Effect.runPromise(Effect.scoped(test(values)).pipe(Effect.provide(environment)))
      ),
      parameters
    )
  )
