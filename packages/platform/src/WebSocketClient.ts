/**
 * The WebSocket client: a service with the method `connect`.
 *
 * @since 0.1.0
 */
import type { Delivery } from "@effect-websocket/protocol/Connection"
import { IoError, isProtocolError, type HandshakeRejected } from "@effect-websocket/protocol/Errors"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { CookieJar } from "./CookieJar.js"
import * as ClientRequest from "./engine/client/ClientRequest.js"
import type { ConnectError, Dial } from "./engine/client/Dial.js"
import * as RetryAfter from "./engine/client/RetryAfter.js"
import * as connecting from "./internal/connecting.js"
import { ContextService, decodeJson, type Schema, type SchemaError } from "./internal/effect.js"
import { resolveMode, settingsFor } from "./internal/deliveries.js"
import { meteredConnect, meteredSettings } from "./internal/metered.js"
import { resolveRequest } from "./internal/requestOptions.js"
import { placeIn } from "./internal/scopes.js"
import { resolveClient } from "./internal/settings.js"
import { timers } from "./internal/timers.js"
import { tracedConnect } from "./internal/traced.js"
import type { ClientMakeOptions, ClientOptions, ConnectOptions } from "./Options.js"
import type * as WebSocket from "./WebSocket.js"

/**
 * The parts of a client's request, and the options of one `connect`; see `Options`.
 *
 * @since 0.1.0
 * @category models
 */
export type { ConnectOptions, Credentials, RequestOptions } from "./Options.js"

/**
 * The options of a client. They apply to all of its connections; see `Options.ClientOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = ClientOptions

/**
 * The options of a client with your own `Dial`; see `Options.ClientMakeOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export type MakeOptions = ClientMakeOptions

/**
 * The errors of `connect`: a `ProtocolError`, a `HandshakeRejected`, or an `IoError`.
 *
 * @since 0.1.0
 * @category errors
 */
export type { ConnectError } from "./engine/client/Dial.js"

/**
 * A function that reaches a server: it sends an upgrade request and reports the response. It is the argument of `make`.
 *
 * @since 0.1.0
 * @category models
 */
export type { Dial, Dialed, RejectedBody } from "./engine/client/Dial.js"

/**
 * The time that a server asks a client to wait before it connects again. It is the value of the header `Retry-After`,
 * in seconds or as a date (RFC 9110 §10.2.3). `None` without a valid header.
 *
 * @since 0.1.0
 * @category errors
 */
export const retryAfter = ({ headers }: HandshakeRejected): Effect.Effect<Option.Option<Duration.Duration>> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const millis = RetryAfter.parse(headers, now)
    return millis === undefined ? Option.none() : Option.some(Duration.millis(millis))
  })

/**
 * Decodes the JSON body of a rejected response with a schema. Fails with the error of `Schema` (`SchemaError` on Effect 4,
 * `ParseError` on Effect 3) if the body is not JSON, for example because it was cut off, or if the schema does not accept it.
 *
 * @example
 * ```ts
 * import { WebSocketClient } from "@effect-websocket/platform"
 * import { Console, Effect, Schema } from "effect"
 *
 * const Problem = Schema.Struct({ title: Schema.String })
 *
 * const program = WebSocketClient.connect("wss://example.com/chat").pipe(
 *   Effect.tapErrorTag("Handshake_rejected", (rejected) =>
 *     Effect.flatMap(WebSocketClient.schemaBodyJson(Problem)(rejected), ({ title }) => Console.error(title))
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 * @category errors
 */
export const schemaBodyJson = <A, I, R>(
  schema: Schema<A, I, R>
): ((rejected: HandshakeRejected) => Effect.Effect<A, SchemaError, R>) => {
  const decode = decodeJson(schema)
  return ({ text }) => decode(text)
}

/**
 * The methods of the client.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** Connects as the function `connect` does, which takes the client from the context. */
  readonly connect: <D extends Delivery = "messages">(
    url: string | URL,
    options?: ConnectOptions<D>
  ) => Effect.Effect<WebSocket.Deliveries[D], ConnectError, Scope.Scope>
}

/**
 * The service tag of the WebSocket client.
 *
 * @since 0.1.0
 * @category tags
 */
export class WebSocketClient extends ContextService<WebSocketClient, Service>()(
  "@effect-websocket/platform/WebSocketClient"
) {}

/**
 * Connects to a `ws:` or `wss:` URL. The URL may be relative if the client has a `baseUrl`. `options.delivery` selects
 * what the connection delivers. Default: whole messages.
 *
 * The connection belongs to the scope. When the scope ends, the library performs the closing handshake. The code is
 * 1000 after a success, 1001 after an interruption and 1011 after a failure.
 *
 * @example
 * ```ts
 * import { WebSocketClient } from "@effect-websocket/platform"
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const socket = yield* WebSocketClient.connect("ws://127.0.0.1:8080/chat", { protocols: ["chat.v1"] })
 *   yield* socket.send("hello")
 *   return yield* socket.receive
 * }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const connect = <D extends Delivery = "messages">(
  url: string | URL,
  options?: ConnectOptions<D>
): Effect.Effect<WebSocket.Deliveries[D], ConnectError, WebSocketClient | Scope.Scope> =>
  Effect.flatMap(WebSocketClient, (client) => client.connect(url, options))

/**
 * Makes a client that uses your `Dial`, to reach servers in a way that the library does not have.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  dial: Dial,
  { baseUrl, schemes = ["ws:", "wss:"], ...clientOptions }: MakeOptions = {}
): Service => ({
  connect: <D extends Delivery = "messages">(input: string | URL, options: ConnectOptions<D> = {}) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const own: Options = options
        const mode = yield* Effect.sync(() => resolveMode(options))
        const resolved = yield* Effect.sync(() => settingsFor(resolveClient(clientOptions, own), mode))
        const settings = yield* meteredSettings("client", resolved)
        const request = yield* Effect.sync(() =>
          ClientRequest.make(input, resolveRequest(baseUrl, schemes, clientOptions, own))
        )
        if (isProtocolError(request)) return yield* Effect.fail(request)
        if (settings.budget?.isExhausted === true) {
          return yield* Effect.fail(new IoError({ reason: "Budget", operation: "connect" }))
        }
        const scope = yield* Effect.scope
        const services = yield* timers
        const jar = Option.getOrUndefined(yield* Effect.serviceOption(CookieJar))
        const plan = {
          settings,
          mode,
          timers: services,
          place: placeIn(scope),
          jar,
          protocols: own.protocols ?? clientOptions.protocols,
          origin: own.origin ?? clientOptions.origin
        }
        return yield* tracedConnect(request.url, dial, (dial) =>
          meteredConnect(connecting.connect({ ...plan, dial }, request, restore))
        )
      })
    )
})
