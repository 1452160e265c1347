/**
 * `WebSocketClient` over Node's own `http`, `http2`, `net` and `tls`.
 *
 * @since 0.1.0
 */
import type { Delivery } from "@effect-websocket/protocol/Connection"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { unixScheme } from "../engine/client/Url.js"
import type { ConfigError, ConfigWrap } from "../internal/effect.js"
import { checkBase } from "../internal/requestOptions.js"
import { checkProtocols, fromConfig, resolveClient } from "../internal/settings.js"
import type * as WebSocket from "../WebSocket.js"
import * as WebSocketClient from "../WebSocketClient.js"
import { dialWith } from "./internal/dial.js"
import type { ClientOptions, ConnectOptions } from "./NodeOptions.js"
import { zlib } from "./NodeZlib.js"

/**
 * The options of a client, which hold for all of its connections; see `NodeOptions.ClientOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = ClientOptions

/**
 * How a client speaks TLS, and the options of one `connect`; see `NodeOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export type { ConnectOptions, TlsOptions } from "./NodeOptions.js"

/**
 * A client with options. Options that make no sense are a defect, before any connection is made.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<WebSocketClient.Service> =>
  Effect.gen(function* () {
    const schemes = ["ws:", "wss:", unixScheme]
    const dial = yield* Effect.sync(() => {
      resolveClient(options)
      checkBase(options.baseUrl, schemes)
      checkProtocols(options.protocols)
      return dialWith(options)
    })
    return WebSocketClient.make(yield* dial, { ...options, zlib: options.zlib ?? zlib, schemes })
  })

/**
 * A client with options. See `make`.
 *
 * @example
 * ```ts
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { readFileSync } from "node:fs"
 *
 * const Client = NodeWebSocketClient.layerWith({
 *   openTimeout: "3 seconds",
 *   limits: { maxMessageBytes: 64 * 1024 },
 *   tls: { ca: readFileSync("ca.pem") }
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (options: Options): Layer.Layer<WebSocketClient.WebSocketClient> =>
  Layer.effect(WebSocketClient.WebSocketClient, make(options))

/**
 * A client with options from `Config`. An option that makes no sense is a `ConfigError` with the path of the option.
 *
 * The example is for Effect 4. Effect 3 has `Config.redacted`, `duration` and `integer` in place of `Config.Redacted`, `Duration` and
 * `Int`.
 *
 * @example
 * ```ts effect-4
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Config } from "effect"
 *
 * const Client = NodeWebSocketClient.layerConfig({
 *   baseUrl: Config.Redacted("WEBSOCKET_URL"),
 *   openTimeout: Config.Duration("OPEN_TIMEOUT").pipe(Config.withDefault("10 seconds")),
 *   limits: { maxMessageBytes: Config.Int("MAX_MESSAGE_BYTES") }
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (config: ConfigWrap<Options>): Layer.Layer<WebSocketClient.WebSocketClient, ConfigError> =>
  Layer.effect(WebSocketClient.WebSocketClient, fromConfig(Effect.flatMap(Config.unwrap(config), make)))

/**
 * A client for `ws:` and `wss:` URLs.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<WebSocketClient.WebSocketClient> = layerWith({})

/**
 * Connects without a `WebSocketClient`, with TLS options and a way to the server for this connection only. Otherwise it does the
 * same as `WebSocketClient.connect`: the same errors, the same closing at the end of the scope, and the `CookieJar` of the context
 * if there is one. Options that make no sense are a defect.
 *
 * It does not use the options of any client. Put options that both need into a value, as `shared` here. If many connections have
 * the same TLS options, a client is cheaper, because it reads the certificates once.
 *
 * @example
 * ```ts
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Effect, type Redacted } from "effect"
 * import { readFileSync } from "node:fs"
 *
 * const shared = { openTimeout: "3 seconds", tls: { ca: readFileSync("ca.pem") } } as const
 * const Client = NodeWebSocketClient.layerWith(shared)
 *
 * // One connection with a certificate of the client's own, in a program that uses `Client` for all others.
 * const program = (key: Redacted.Redacted) => Effect.gen(function* () {
 *   const socket = yield* NodeWebSocketClient.connect("wss://admin.internal", {
 *     ...shared,
 *     tls: { ...shared.tls, cert: readFileSync("admin.pem"), key }
 *   })
 *   yield* socket.send("hello")
 * }).pipe(Effect.scoped)
 * ```
 *
 * @example
 * ```ts
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import * as Net from "node:net"
 *
 * // Connects to 10.0.0.7, and requests and verifies the host of the URL.
 * const pinned = NodeWebSocketClient.connect("wss://feed.example.com/prices", {
 *   createConnection: () => Net.connect(8443, "10.0.0.7")
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const connect = <D extends Delivery = "messages">(
  url: string | URL,
  options: ConnectOptions<D> = {}
): Effect.Effect<WebSocket.Deliveries[D], WebSocketClient.ConnectError, Scope.Scope> => {
  // `client.connect` gets the other options, so that a mistake in them fails as it does with a client.
  const {
    autoSelectFamily,
    baseUrl,
    createConnection,
    family,
    http2,
    localAddress,
    proxy,
    proxyTls,
    socketPath,
    tls,
    zlib
  } = options
  const route = { autoSelectFamily, createConnection, family, http2, localAddress, proxy, proxyTls, socketPath, tls }
  return Effect.flatMap(make({ ...route, baseUrl, zlib }), (client) => client.connect(url, options))
}
