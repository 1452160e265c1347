import type * as Effect from "effect/Effect"

/** What a handler may return, and the types of it: see `WebSocket.Handled`. */
export type Handled = Effect.Effect<unknown, unknown, unknown> | void

export type HandledError<X> = X extends Effect.Effect<infer _A, infer E, infer _R> ? E : never

export type HandledContext<X> = X extends Effect.Effect<infer _A, infer _E, infer R> ? R : never
