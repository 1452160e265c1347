/**
 * The client: a service with `connect`.
 *
 * @since 0.1.0
 */
import type { Delivery } from "@effect-websocket/protocol/Connection"
import { IoError, type HandshakeRejected, type HeaderRecord, ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ParseError } from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { CookieJar } from "./CookieJar.js"
import { Attempt } from "./internal/attempt.js"
import { timers } from "./internal/timers.js"
import { resolveMode, settingsFor } from "./internal/deliveries.js"
import { placeIn } from "./internal/scopes.js"
import * as Request from "./internal/request.js"
import { resolveClient } from "./internal/settings.js"
import type { ClientMakeOptions, ClientOptions, ConnectOptions } from "./Options.js"
import type { Transport } from "./Transport.js"
import type * as WebSocket from "./WebSocket.js"

/**
 * What a client asks for, and the options of one `connect`; see `Options`.
 *
 * @since 0.1.0
 * @category models
 */
export type { ConnectOptions, Credentials, RequestOptions } from "./Options.js"

/**
 * The options of a client, which hold for all of its connections; see `Options.ClientOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = ClientOptions

/**
 * The options of a client over a way to dial that does not come with the library; see `Options.ClientMakeOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export type MakeOptions = ClientMakeOptions

/**
 * Why no connection was made.
 *
 * - `ProtocolError`: the URL, a header or a subprotocol is not valid (`origin: "local"`, nothing was sent), or the server's
 *   answer or redirect is not (`"remote"`).
 * - `HandshakeRejected`: the server answered other than 101.
 * - `IoError`: DNS, connect, TLS, reading or writing failed, `openTimeout` passed, or the `budget` is exhausted.
 *
 * @since 0.1.0
 * @category errors
 */
export type ConnectError = ProtocolError | HandshakeRejected | IoError

/**
 * How long a server asks to wait before another attempt: its header `Retry-After`, seconds or a date (RFC 9110 §10.2.3).
 * `None` where it says nothing that can be understood.
 *
 * @since 0.1.0
 * @category errors
 */
export const retryAfter = ({ headers }: HandshakeRejected): Effect.Effect<Option.Option<Duration.Duration>> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const value = headers["retry-after"]
    const text = (typeof value === "string" ? value : value?.[0])?.trim() ?? ""
    if (/^\d+$/.test(text)) return Option.some(Duration.seconds(Number(text)))
    const date = parseDate(text)
    return Number.isNaN(date) ? Option.none() : Option.some(Duration.millis(Math.max(date - now, 0)))
  })

// The three forms of RFC 9110 §5.6.7, all in GMT. `Date.parse` by itself also takes `-5` for a date.
const namedZone = /^[A-Z][a-z]+, (\d\d [A-Z][a-z]{2} \d{4}|\d\d-[A-Z][a-z]{2}-\d\d) \d\d:\d\d:\d\d GMT$/
const noZone = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/

const parseDate = (text: string): number =>
  namedZone.test(text) ? Date.parse(text) : noZone.test(text) ? Date.parse(`${text} GMT`) : Number.NaN

/**
 * The body of a refusal as JSON, decoded with a schema. Fails with a `ParseError` for what is no JSON, a body that was cut off among
 * them, and for what the schema does not accept.
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
  schema: Schema.Schema<A, I, R>
): ((rejected: HandshakeRejected) => Effect.Effect<A, ParseError, R>) => {
  const decode = Schema.decode(Schema.parseJson(schema))
  return ({ text }) => decode(text)
}

/**
 * The service.
 *
 * @since 0.1.0
 * @category tags
 */
export class WebSocketClient extends Context.Tag("@effect-websocket/platform/WebSocketClient")<
  WebSocketClient,
  {
    readonly connect: <D extends Delivery = "messages">(
      url: string | URL,
      options?: ConnectOptions<D>
    ) => Effect.Effect<WebSocket.Deliveries[D], ConnectError, Scope.Scope>
  }
>() {}

/**
 * Connects to a `ws:` or `wss:` URL, which may be relative where the client has a `baseUrl`. What is received is decided by `options.delivery`: whole messages by default. The connection belongs to the scope: leaving it performs the closing handshake, with
 * code 1000 after a success, 1001 after an interruption and 1011 after a failure.
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
 * The body of an answer other than 101.
 *
 * @since 0.1.0
 * @category models
 */
export interface RejectedBody {
  /**
   * Delivers it: its parts, then its end, and whether nothing is missing. Called once, or not at all. It must not call back
   * before it has returned.
   */
  read(onPart: (part: Uint8Array) => void, onEnd: (complete: boolean) => void): void
  /** Drops the rest, and what it comes over. Nothing is called back from then on. May be called again. */
  drop(): void
}

/**
 * What a `Dial` reports, once: the transport behind an answer 101 with that answer's headers (names in lower case), another
 * answer, or why there is none.
 *
 * @since 0.1.0
 * @category models
 */
export type Dialed =
  | { readonly _tag: "Upgraded"; readonly headers: HeaderRecord; readonly transport: Transport }
  | {
      readonly _tag: "Rejected"
      readonly status: number
      readonly headers: HeaderRecord
      readonly body: RejectedBody
    }
  | { readonly _tag: "Failed"; readonly error: ConnectError }

/**
 * Sends an upgrade request. It must not call back before it has returned. The function that it returns drops the attempt;
 * nothing may be left of it then. It is not called after the callback was. What it throws is a defect of `connect`; a transport
 * that it calls back with later, or again, is dropped.
 *
 * @since 0.1.0
 * @category models
 */
export type Dial = (url: URL, headers: HeaderRecord, done: (dialed: Dialed) => void) => () => void

/**
 * A client over a way to dial: for other routes than the ones that come with the library.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  dial: Dial,
  { baseUrl, schemes = ["ws:", "wss:"], ...clientOptions }: MakeOptions = {}
): Context.Tag.Service<WebSocketClient> => ({
  connect: <D extends Delivery = "messages">(input: string | URL, options: ConnectOptions<D> = {}) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const own: Options = options
        const mode = yield* Effect.sync(() => resolveMode(options))
        const settings = yield* Effect.sync(() => settingsFor(resolveClient(clientOptions, own), mode))
        const base = yield* Effect.sync(() => Request.resolveBase(baseUrl, schemes))
        const request = Request.make(input, schemes, base, clientOptions, own)
        if (request instanceof ProtocolError) return yield* Effect.fail(request)
        if (settings.budget?.isExhausted === true) {
          return yield* Effect.fail(new IoError({ reason: "Budget", operation: "connect" }))
        }
        const scope = yield* Effect.scope
        const services = yield* timers
        const jar = Option.getOrUndefined(yield* Effect.serviceOption(CookieJar))
        const attempt = new Attempt({
          dial,
          settings,
          mode,
          timers: services,
          place: placeIn(scope),
          jar,
          protocols: own.protocols ?? clientOptions.protocols,
          origin: own.origin ?? clientOptions.origin
        })
        return yield* attempt.run(request, restore)
      })
    )
})
