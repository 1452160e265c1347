/**
 * The harness. An item is a name of a reference library, what its documentation promises of it, and an effect that fails, or
 * dies, if this library does not keep that promise.
 */
import type { WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Cause, Effect, Exit, Logger, LogLevel, type Scope } from "effect"

type Check = Effect.Effect<unknown, unknown, WebSocketClient.WebSocketClient | Scope.Scope>

export interface Item {
  /** As the reference library calls it. */
  readonly name: string
  readonly promise: string
  readonly check: Check
}

/** What is pure is a function, which throws; what is not is an effect in a scope of its own. */
export const item = (name: string, promise: string, check: Check | (() => void)): Item => ({
  name,
  promise,
  check: typeof check === "function" ? Effect.sync(check) : check
})

/** A reference library. */
export interface Seed {
  readonly name: string
  readonly about: string
  readonly items: ReadonlyArray<Item>
}

/** For what hangs: no item needs a hundredth of it. */
const patience = "20 seconds"

/** Why an item does not work; `undefined` if it does. */
export const failureOf = ({ check }: Item): Effect.Effect<string | undefined> =>
  check.pipe(
    Effect.scoped,
    Effect.timeout(patience),
    Effect.provide(NodeWebSocketClient.layer),
    // A server logs what it refuses.
    Logger.withMinimumLogLevel(LogLevel.None),
    Effect.exit,
    Effect.map((exit) => (Exit.isSuccess(exit) ? undefined : Cause.pretty(exit.cause)))
  )
