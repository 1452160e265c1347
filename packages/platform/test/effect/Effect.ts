import { Effect } from "effect"

export * from "effect/Effect"

export { async as callback, fork as forkChild, forkDaemon as forkDetach } from "effect/Effect"

export { runFork as runForkWith, runPromise as runPromiseWith } from "effect/Runtime"

export const yieldNow: Effect.Effect<void> = Effect.yieldNow()
