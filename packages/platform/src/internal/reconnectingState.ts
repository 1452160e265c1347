import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ConnectError } from "../engine/client/Dial.js"
import { streamOfCallback, subscribable, type Subscribable } from "./effect.js"

/**
 * Why a connection was not made, or ended. `E` is the error of `onConnect` and of the effect of the URL.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure<E = never> = ConnectError | ConnectionError | E

/**
 * What follows a failure: another connection, a normal end, or a failure of the logical connection.
 *
 * @since 0.1.0
 * @category models
 */
export type Decision = "reconnect" | "end" | "fail"

/**
 * - `Connecting`: connects. `attempt` counts from 1 since the last connection that was stable.
 * - `Open`: a connection is open. `connection` counts from 1.
 * - `Waiting`: waits for `delay` before the next attempt, because of `failure`.
 * - `Closed`: the end. `failure` is the final failure, if there was one.
 *
 * @since 0.1.0
 * @category models
 */
export type State<E = never> =
  | { readonly _tag: "Connecting"; readonly attempt: number }
  | { readonly _tag: "Open"; readonly connection: number }
  | {
      readonly _tag: "Waiting"
      readonly attempt: number
      readonly delay: Duration.Duration
      readonly failure: Failure<E>
    }
  | { readonly _tag: "Closed"; readonly failure: Failure<E> | undefined }

/** A state that is set synchronously. A `SubscriptionRef` would lose its lock with an interruption right after it was taken. */
export class ObservedState<E> {
  private current: State<E> = { _tag: "Connecting", attempt: 1 }
  private readonly observers = new Set<(state: State<E>) => void>()

  private readonly changes: Stream.Stream<State<E>> = streamOfCallback(({ single }) => {
    single(this.current)
    this.observers.add(single)
    return () => this.observers.delete(single)
  })

  /** The state now, and the states from now on until `Closed`. */
  readonly subscribable: Subscribable<State<E>> = subscribable({
    get: Effect.sync(() => this.current),
    changes: Stream.takeUntil(this.changes, ({ _tag }) => _tag === "Closed")
  })

  set(state: State<E>): void {
    this.current = state
    for (const observer of this.observers) observer(state)
  }
}
