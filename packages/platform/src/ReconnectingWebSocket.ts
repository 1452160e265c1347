/**
 * One logical connection over many real ones. It reconnects, keeps the messages to be sent, and reports the outcome of each.
 *
 * @since 0.1.0
 */
import type * as CloseCode from "@effect-websocket/protocol/CloseCode"
import type { PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { Message } from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Outcome } from "./engine/client/Outbox.js"
import type { Subscribable } from "./internal/effect.js"
import * as internal from "./internal/makeReconnecting.js"
import type { Decision, Failure, SendOptions, State } from "./internal/reconnectingState.js"
import type * as WebSocket from "./WebSocket.js"
import type { WebSocketClient } from "./WebSocketClient.js"

/**
 * The outcome of a message: `"delivered"`, `"dropped"` or `"unknown"`.
 *
 * @since 0.1.0
 * @category models
 */
export type { Outcome } from "./engine/client/Outbox.js"

/**
 * Why a connection was not made or ended, what follows, how one message is sent, and the state of the logical connection.
 *
 * @since 0.1.0
 * @category models
 */
export type { Decision, Failure, SendOptions, State } from "./internal/reconnectingState.js"

/**
 * The options, besides those of each `connect`. A message always waits for room on its connection, so there is no `sendStrategy`.
 *
 * @since 0.1.0
 * @category models
 */
export type Options<E = never, R = never> = internal.ReconnectingOptions<WebSocket.WebSocket, E, R>

/**
 * A logical connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReconnectingWebSocket<E = never> {
  /** The state: now (`get`), and from now on (`changes`), which ends with `Closed`. Never fails. */
  readonly state: Subscribable<State<E>>

  /**
   * Waits until it is open. Succeeds also if it was closed without a failure. Fails with the final failure. Dies if an effect of
   * the app's (for an attempt, `onConnect`, the schedule) died or ended with an interruption; `messages` and `receive` die then,
   * too.
   */
  readonly awaitOpen: Effect.Effect<void, Failure<E>>

  /**
   * The messages of all connections, in order. Ends when it is closed, or after a failure that is classified as an end.
   * Fails with the final failure. The app must read, even if it discards the messages: while nobody reads, nothing is
   * received, and a peer that is gone is not noticed. If several fibers read, each message goes to one of them.
   *
   * The stream takes all messages that wait in the step in which it emits them. If the fiber that runs the stream is
   * interrupted later, the messages that it has not handled yet are lost with it; `receive` takes one at a time.
   */
  readonly messages: Stream.Stream<Message, Failure<E>>

  /**
   * The next message, of any connection. Interrupting it loses no message. Fails with the failure that was final or
   * that is classified as an end, and with `ConnectionClosed` after `close` and at the end of the scope.
   */
  readonly receive: Effect.Effect<Message, Failure<E>>

  /** As `receive`, but `None` if `messages` would end. Fails only with the final failure. Interrupting it loses no message. */
  readonly receiveOption: Effect.Effect<Option.Option<Message>, Failure<E>>

  /**
   * Sends a message on the connection that is open, or on the next one, and succeeds with the outcome. Interrupting it while
   * it waits takes the message back.
   *
   * Fails only with an outbound `PayloadTooLarge`, if the message is above the connection's `maxSendBytes`. Dies if the
   * app's `compression.filter` throws. In both cases the message is not sent, and those behind it are. Anything but
   * text or bytes, and options that make no sense, are a defect at once.
   *
   * With `validFor`, a message that must not be sent late is dropped instead.
   */
  send(data: WebSocket.Data, options?: SendOptions): Effect.Effect<Outcome, PayloadTooLarge>

  /**
   * Puts a message into the outbox. Succeeds once the message has a place there, with an effect that waits for its outcome
   * and fails and dies as `send` does. `offer` itself never fails. Interrupting it takes the message back. Bytes must not change
   * until the outcome is known.
   */
  offer(data: WebSocket.Data, options?: SendOptions): Effect.Effect<Effect.Effect<Outcome, PayloadTooLarge>>

  /** How many messages wait in the outbox. */
  readonly waitingMessages: Effect.Effect<number>

  /**
   * Makes another connection at once, for example because the network or the user has changed. A connection that is open is closed
   * with 1000 first, within its `closeTimeout`; an attempt or a delay under way is given up. The schedule restarts, and `classify`
   * is not asked. Succeeds once the next attempt begins; `awaitOpen` then waits for it. Does nothing if the logical connection is
   * over.
   */
  readonly reconnect: Effect.Effect<void>

  /**
   * Ends it: drops the messages in the outbox, closes the connection as `WebSocket.close` does, and makes no other one. If the code
   * or the reason may not be sent, it does nothing and fails as `WebSocket.close` does.
   */
  close(code?: number | CloseCode.Name, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>
}

/**
 * What follows a failure by default.
 *
 * - `"end"`: the peer closed with 1000.
 * - `"fail"`: a violation of the protocol or of a limit on either side (also the codes 1002, 1003, 1007, 1009 and 1010); a violation of a
 *   policy (1008); a rejected request, unless its status is 408, 425, 429 or 5xx; a certificate that cannot be verified; a
 *   failure of the app's own effects.
 * - `"reconnect"`: anything else.
 *
 * @since 0.1.0
 * @category utils
 */
export const classify: <E>(failure: Failure<E>) => Decision = internal.classify

/**
 * The delays by default: exponential from 100 milliseconds, at most 30 seconds, with jitter.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultSchedule: Schedule.Schedule<unknown> = internal.defaultSchedule

/**
 * Connects, and reconnects until the scope ends or `close` is called. It does not wait for the first connection: see
 * `awaitOpen`. The URL, `headers`, `auth` and `protocols` may be effects, which run before each attempt, for example to get a token
 * or to choose another host.
 *
 * The end of the scope closes the connection as it does for `WebSocketClient.connect`, and drops the messages in the outbox.
 * Options that make no sense are a defect.
 *
 * @example
 * ```ts
 * import { ReconnectingWebSocket } from "@effect-websocket/platform"
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Console, Effect, Stream } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const socket = yield* ReconnectingWebSocket.make("wss://example.com/feed", {
 *     onConnect: (connection) => connection.send("subscribe")
 *   })
 *   const outcome = yield* socket.send("hello")
 *   yield* Console.log(`hello was ${outcome}`)
 *   yield* Stream.runForEach(socket.messages, (message) => Console.log(message.data))
 * }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  options: Options<E, R> = {}
): Effect.Effect<ReconnectingWebSocket<E>, never, WebSocketClient | Scope.Scope | R> =>
  internal.makeReconnecting(url, options, {
    adopt: (socket) => socket,
    read: (socket, deliver: (message: Message) => Effect.Effect<void>) => Effect.ignore(socket.run(deliver))
  })
