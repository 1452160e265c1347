/**
 * The client: a service with `connect`.
 *
 * @since 0.1.0
 */
import { IoError, type HandshakeRejected, type HeaderRecord, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { Delivery } from "@effect-websocket/protocol/Connection"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { environment, type Opening } from "./internal/driver.js"
import { makeDriver, resolveMode, settingsFor, type AnyDriver, type Drivers } from "./internal/drivers.js"
import { randomBytes } from "./internal/random.js"
import * as Registry from "./internal/registry.js"
import { resolveClient, type Settings } from "./internal/settings.js"
import type { Transport } from "./Transport.js"
import type * as WebSocket from "./WebSocket.js"
import type { Zlib } from "./Zlib.js"

/**
 * The options that a client has for all of its connections, besides those of every connection.
 *
 * - `openTimeout`: the time until the connection is open: DNS, TCP, TLS and the handshake. Default 10 seconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends WebSocket.Options {
  readonly openTimeout?: Duration.DurationInput | undefined
}

/**
 * The options of a client over something else than what comes with the library.
 *
 * - `zlib`: what compresses. Default: nothing, so that `compression` is not offered.
 *
 * @since 0.1.0
 * @category models
 */
export interface MakeOptions extends Options {
  readonly zlib?: Zlib | undefined
}

/**
 * The options of one `connect`. They win over those of the client; limits do so one by one.
 *
 * - `protocols`: the subprotocols to offer, in order of preference.
 * - `headers`: sent with the request, besides those of the handshake, which they cannot replace.
 * - `origin`: the `Origin` header, which servers check for browsers' sake.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectOptions<D extends Delivery = "messages"> extends Options, WebSocket.DeliveryOptions<D> {
  readonly protocols?: ReadonlyArray<string> | undefined
  readonly headers?: HeaderRecord | undefined
  readonly origin?: string | undefined
}

/**
 * Why no connection was made.
 *
 * - `ProtocolError`: the URL, a header or a subprotocol is not valid (`origin: "local"`, nothing was sent), or the server's
 *   answer is not (`"remote"`).
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
    if (/^\d{1,9}$/.test(text)) return Option.some(Duration.seconds(Number(text)))
    const date = Date.parse(text)
    return Number.isNaN(date) ? Option.none() : Option.some(Duration.millis(Math.max(date - now, 0)))
  })

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
 * Connects to a `ws:` or `wss:` URL. What is received is decided by `options.delivery`: whole messages by default. The connection belongs to the scope: leaving it performs the closing handshake, with
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
 * What a `Dial` reports, once: the transport behind an answer 101 with that answer's headers (names in lower case), or why
 * there is none.
 *
 * @since 0.1.0
 * @category models
 */
export type Dialed =
  | { readonly _tag: "Upgraded"; readonly headers: HeaderRecord; readonly transport: Transport }
  | { readonly _tag: "Failed"; readonly error: ConnectError }

/**
 * Sends an upgrade request. It must not call back before it has returned. The function that it returns drops the attempt;
 * nothing may be left of it then. It is not called after the callback was.
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
export const make = (dial: Dial, clientOptions?: MakeOptions): Context.Tag.Service<WebSocketClient> => ({
  connect: <D extends Delivery = "messages">(input: string | URL, options: ConnectOptions<D> = {}) =>
    // The connection is registered with its scope before it exists; every step from there on is synchronous.
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const { delivery, answerPings, answerClose, ...own } = options
        const mode = yield* Effect.sync(() => resolveMode({ delivery, answerPings, answerClose }))
        const { openTimeout, ...settings } = yield* Effect.sync(() =>
          settingsFor(resolveClient(clientOptions, own), mode)
        )
        const url = parseUrl(input)
        if (url instanceof ProtocolError) return yield* Effect.fail(url)
        const offer = {
          key: Handshake.makeKey(randomBytes(16)),
          protocols: options.protocols,
          extensions: settings.compression && PermessageDeflate.offer(settings.compression.settings),
          origin: options.origin,
          headers: options.headers
        }
        const headers = Handshake.requestHeaders(offer)
        if (headers instanceof ProtocolError) return yield* Effect.fail(headers)
        if (settings.budget?.isExhausted === true) {
          return yield* Effect.fail(new IoError({ reason: "Budget", operation: "connect" }))
        }
        const registry = yield* Registry.ofScope(yield* Effect.scope)
        const services = yield* environment

        let opened: Drivers<undefined>[D] | undefined
        // Answered or dropped, each of which happens once.
        let over = false
        const dialing = Effect.async<Drivers<undefined>[D], ConnectError>((resume) => {
          const drop = dial(url, headers, (result) => {
            over = true
            registry.delete(attempt)
            if (result._tag === "Failed") {
              resume(Effect.fail(result.error))
              return
            }
            const opening = checkAnswer(url, result.headers, offer, settings)
            if (opening instanceof ProtocolError) {
              result.transport.abort()
              resume(Effect.fail(opening))
              return
            }
            opened = makeDriver("client", result.transport, settings, services, opening, mode)
            opened.start(registry)
            resume(Effect.succeed(opened))
          })
          const abandon = () => {
            registry.delete(attempt)
            if (over) return
            over = true
            drop()
          }
          const attempt: Registry.Closable = {
            beginClose: () => {
              abandon()
              resume(Effect.interrupt)
            },
            awaitClosed: Effect.void
          }
          registry.add(attempt)
          if (registry.closed) attempt.beginClose(1001)
          return Effect.sync(abandon)
        })
        return yield* Effect.interruptible(dialing).pipe(
          // Bounded also where the caller cannot be interrupted.
          Effect.timeoutFail({
            duration: openTimeout,
            onTimeout: () => new IoError({ reason: "Timeout", operation: "open" })
          }),
          restore,
          // The connection may have opened while the fiber was interrupted: then it is closed like any other.
          Effect.onExit((exit) =>
            Exit.isSuccess(exit) || opened === undefined ? Effect.void : closeNow(opened, Registry.closeCodeOf(exit))
          )
        )
      })
    )
})

/** What the server agreed to. */
const checkAnswer = (
  url: URL,
  headers: HeaderRecord,
  offer: Handshake.Offer,
  { compression }: Settings
): Opening | ProtocolError => {
  const agreement = Handshake.checkResponse(headers, offer)
  if (agreement instanceof ProtocolError) return agreement
  const deflate = compression && PermessageDeflate.check(agreement.extensions, compression.settings)
  return deflate instanceof ProtocolError ? deflate : { request: undefined, url: url.href, agreement, deflate }
}

const closeNow = (driver: AnyDriver, code: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    driver.beginClose(code)
    return driver.awaitClosed
  })

const parseUrl = (input: string | URL): URL | ProtocolError => {
  const invalid = (description: string) =>
    new ProtocolError({ origin: "local", description, section: "RFC 6455 §3", closeCode: undefined })
  let url: URL
  try {
    url = new URL(input)
  } catch {
    return invalid("The URL is malformed")
  }
  // The URL parser drops tabs and line breaks; they are no part of a URL that anyone means.
  if (typeof input === "string" && hasControl(input)) return invalid("The URL has a control character")
  if (url.protocol !== "ws:" && url.protocol !== "wss:") {
    return invalid(`The scheme of the URL is ${JSON.stringify(url.protocol)}, not "ws:" or "wss:"`)
  }
  if (url.hash !== "" || url.href.endsWith("#")) return invalid("The URL has a fragment")
  if (url.username !== "" || url.password !== "") {
    return invalid("The URL has credentials; send them as an Authorization header")
  }
  return url
}

const hasControl = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x20 || unit === 0x7f) return true
  }
  return false
}
