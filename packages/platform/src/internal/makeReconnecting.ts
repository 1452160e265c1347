import { isWebSocketError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { count } from "../engine/checks.js"
import type { OutboxStrategy } from "../engine/client/Outbox.js"
import { WebSocketClient, type ConnectOptions, type Credentials, type Service } from "../WebSocketClient.js"
import { capDelays, runtime as inheritedRuntime, type DurationInput } from "./effect.js"
import { currentMetering } from "./metered.js"
import type { Metering } from "./Metering.js"
import { Reconnecting, type ReconnectingPlan, type Usage } from "./reconnecting.js"
import type { Decision, Failure } from "./reconnectingState.js"
import { placeIn } from "./scopes.js"
import { defaults, timeout } from "./settings.js"

/** See `ReconnectingWebSocket.Options`. `S` is what `onConnect` gets of each connection. */
export interface ReconnectingOptions<S, E, R> extends Omit<
  ConnectOptions,
  "delivery" | "answerPings" | "answerClose" | "rsv" | "opcodes" | "sendStrategy" | "headers" | "auth" | "protocols"
> {
  /**
   * Headers of each request, as in `Options.RequestOptions`, or an effect that makes them anew before each attempt. Default: none.
   * The failure of such an effect is classified like any other.
   */
  readonly headers?: HeaderRecord | Effect.Effect<HeaderRecord, E, R> | undefined
  /**
   * The credentials of each request, as in `Options.RequestOptions`, or an effect that gets them before each attempt, for example a
   * token that expires. Default: none.
   */
  readonly auth?: Credentials | Effect.Effect<Credentials, E, R> | undefined
  /** The subprotocols to offer, or an effect that selects them before each attempt. Default: none. */
  readonly protocols?: ReadonlyArray<string> | Effect.Effect<ReadonlyArray<string>, E, R> | undefined
  /**
   * The delays between attempts. A server's `Retry-After` makes a delay longer. Default: `defaultSchedule`, which is exponential
   * from 100 milliseconds, at most 30 seconds, with jitter, without an end. Once the schedule is done, the last failure is final.
   */
  readonly schedule?: Schedule.Schedule<unknown, Failure<NoInfer<E>>> | undefined
  /** The longest delay that a server can ask for with `Retry-After`. Default: 5 minutes. A longer one is cut to this. */
  readonly maxRetryAfter?: DurationInput | undefined
  /** The age at which a connection counts as stable, so that the schedule restarts after it. Default: 5 seconds. */
  readonly stableAfter?: DurationInput | undefined
  /**
   * Decides whether a failure is followed by another attempt, a normal end or a failure of the logical connection.
   * Default: `classify`.
   */
  readonly classify?: ((failure: Failure<NoInfer<E>>) => Decision) | undefined
  /**
   * Runs on each connection before anything else is sent or received on it: to authenticate, to subscribe again, to
   * resume from an offset. It must use the connection that it gets, because messages that are sent on the logical
   * connection wait until it ends. `connection` counts from 1. Default: none. Its failure closes the connection with
   * 1011 and is classified like any other.
   */
  readonly onConnect?: ((socket: S, connection: number) => Effect.Effect<unknown, E, R>) | undefined
  /** The number of messages that wait for a connection. Default: 1,024. `outboxStrategy` says what happens to one more. */
  readonly outboxCapacity?: number | undefined
  /**
   * What happens to a message for which the outbox has no room: `"suspend"` waits for room, `"dropping"` drops it, `"sliding"`
   * drops the oldest. Default: `"suspend"`.
   */
  readonly outboxStrategy?: OutboxStrategy | undefined
}

const transientStatuses: ReadonlySet<number> = new Set([408, 425, 429])
const fatalCodes: ReadonlySet<number> = new Set([1002, 1003, 1007, 1008, 1009, 1010])

/** See `ReconnectingWebSocket.classify`. */
export const classify = <E>(failure: Failure<E>): Decision => {
  if (!isWebSocketError(failure)) return "fail"
  switch (failure._tag) {
    case "Connection_closed":
      if (failure.code === 1000) return "end"
      return fatalCodes.has(failure.code) ? "fail" : "reconnect"
    case "Handshake_rejected":
      return failure.status >= 500 || transientStatuses.has(failure.status) ? "reconnect" : "fail"
    case "Payload_too_large":
      return failure.limit === "budget" ? "reconnect" : "fail"
    case "Protocol_error":
      return "fail"
    case "Io_error":
      return failure.reason.startsWith("Certificate") ? "fail" : "reconnect"
  }
}

/** See `ReconnectingWebSocket.defaultSchedule`. */
export const defaultSchedule: Schedule.Schedule<unknown> = Schedule.exponential("100 millis").pipe(
  capDelays("30 seconds"),
  Schedule.jittered
)

/** Makes a logical connection: see `ReconnectingWebSocket.make`. */
export const makeReconnecting = <S, A, E, R>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  options: ReconnectingOptions<S, E, R>,
  usage: Usage<S, A, E, R>
): Effect.Effect<Reconnecting<S, A, E, R>, never, WebSocketClient | Scope.Scope | R> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const client = yield* WebSocketClient
      const runtime = yield* inheritedRuntime<R>()
      const metering = yield* currentMetering
      return yield* Effect.sync(() => {
        const reconnecting = new Reconnecting(resolve(url, options, usage, client, metering))
        reconnecting.start(runtime, placeIn(scope))
        return reconnecting
      })
    })
  )

/** With all defaults. Throws a `RangeError` for options that make no sense. */
const resolve = <S, A, E, R>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  {
    auth,
    classify: classifyFailure = classify,
    headers,
    maxRetryAfter = defaults.maxRetryAfter,
    onConnect = () => Effect.void,
    outboxCapacity = defaults.outboxCapacity,
    outboxStrategy = defaults.outboxStrategy,
    protocols,
    schedule = defaultSchedule,
    stableAfter = defaults.stableAfter,
    ...connectOptions
  }: ReconnectingOptions<S, E, R>,
  usage: Usage<S, A, E, R>,
  client: Service,
  metering: Metering | undefined
): ReconnectingPlan<S, A, E, R> => ({
  ...usage,
  connect: Effect.gen(function* () {
    const target = yield* current(url)
    const request = {
      headers: yield* current(headers),
      auth: yield* current(auth),
      protocols: yield* current(protocols)
    }
    // A message that a connection drops by itself would count as delivered.
    return yield* client.connect(target, { ...connectOptions, ...request, sendStrategy: "suspend" })
  }),
  schedule,
  stableMillis: timeout("stableAfter", stableAfter),
  maxRetryAfterMillis: timeout("maxRetryAfter", maxRetryAfter),
  classify: classifyFailure,
  onConnect,
  outboxCapacity: count("outboxCapacity", outboxCapacity),
  outboxStrategy,
  metering
})

/** The value of an option that may be an effect. */
const current = <A, E, R>(option: A | Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.isEffect(option) ? option : Effect.succeed(option)
