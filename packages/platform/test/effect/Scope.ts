import { type Effect, ExecutionStrategy, Scope } from "effect"

export * from "effect/Scope"

export type Closeable = Scope.CloseableScope

export { extend as provide } from "effect/Scope"

/** In which order the finalizers of a scope run. */
type Strategy = "sequential" | "parallel"

export const make = (strategy: Strategy = "sequential"): Effect.Effect<Closeable> =>
  Scope.make(ExecutionStrategy[strategy])

export const fork = (scope: Scope.Scope, strategy: Strategy = "sequential"): Effect.Effect<Closeable> =>
  Scope.fork(scope, ExecutionStrategy[strategy])

/** Whether a scope of another implementation may hide its finalizers. */
export const mayHideFinalizers = true
