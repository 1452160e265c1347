import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ConnectError } from "../engine/client/Dial.js"
import type { SendOptions as ConnectionSendOptions } from "../Options.js"
import { streamOfCallback, subscribable, type DurationInput, type Subscribable } from "./effect.js"

/**
 * Why a connection was not made, or ended. `E` is the error of `onConnect` and of the effects of the URL, `headers`, `auth`
 * and `protocols`.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure<E = never> = ConnectError | ConnectionError | E

/**
 * How one message is sent: the options of `WebSocket.send`, and how long the message is valid.
 *
 * @since 3.0.0
 * @category models
 */
export interface SendOptions extends ConnectionSendOptions {
  /**
   * How long the message may wait before it is sent. It is dropped afterwards, and its outcome is `"dropped"`.
   *
   * - a duration: until this time has passed since `send` or `offer` began;
   * - `"connection"`: as long as the connection lasts that is open now. If none is open, the message is dropped at once.
   *
   * Default: until the logical connection is closed. A message of which something has been sent is not dropped.
   */
  readonly validFor?: DurationInput | "connection" | undefined
}

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
