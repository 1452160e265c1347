import { Effect } from "effect"

export * from "effect/Effect"

export { async as callback, fork as forkChild, forkDaemon as forkDetach } from "effect/Effect"

export { runFork as runForkWith, runPromise as runPromiseWith } from "effect/Runtime"

export const yieldNow: Effect.Effect<void> = Effect.yieldNow()

/** What an effect succeeds with. */
export type Success<T extends Effect.Effect<unknown, unknown, unknown>> = Effect.Effect.Success<T>
