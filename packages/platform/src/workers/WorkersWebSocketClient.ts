/**
 * `WebSocketClient` over the WebSocket of Cloudflare Workers.
 * It connects with `fetch`, so a refused handshake is a `HandshakeRejected` with its status, headers and body.
 *
 * The connection, its errors and its closing are those of every client. What the platform cannot do fails with a local
 * `ProtocolError` before anything is sent: `ping`, `pong`, `sendStream`, and options that it cannot follow. It can send the close
 * codes 1000 and 3000 to 4999 only, so 1001 is sent as 1000, and 3000 is added to every other code: 1011 is sent as 4011.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { ConfigError, ConfigWrap } from "../internal/effect.js"
import { fromConfig } from "../internal/settings.js"
import { ownTimers } from "../internal/timers.js"
import { makeHeaderRequest } from "../native/makeHeaderRequest.js"
import * as NativeClient from "../native/NativeClient.js"
import type * as NativeOptions from "../native/NativeOptions.js"
import type { WebSocket as OpenWebSocket } from "../WebSocket.js"
import * as WebSocketClient from "../WebSocketClient.js"
import { dialFetch } from "./internal/dialFetch.js"

const platform: NativeClient.Platform = {
  dial: dialFetch,
  makeRequest: makeHeaderRequest,
  options: new Set(NativeClient.headerOptions),
  // A timer ends with the request that made it, and connections of other requests would wait for it.
  timers: ownTimers
}

/**
 * The options of one connection. `send` waits as elsewhere, with the default marks, if this version of Workers has `bufferedAmount`.
 * Without it, `send` never waits.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectOptions extends NativeOptions.ConnectOptions, NativeOptions.HeaderOptions {}

/**
 * The options of a client, which hold for all of its connections.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends ConnectOptions, NativeOptions.BaseOptions {}

/**
 * A client with options. Options that make no sense are a defect, before any connection is made.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<WebSocketClient.Service> =>
  NativeClient.make(platform, options)

/**
 * A client with options. See `make`.
 *
 * @example
 * ```ts
 * import { WorkersWebSocketClient } from "@effect-websocket/platform/workers"
 *
 * const Client = WorkersWebSocketClient.layerWith({
 *   openTimeout: "3 seconds",
 *   limits: { maxMessageBytes: 64 * 1024 },
 *   maxUnreadBytes: 1024 * 1024
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
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (config: ConfigWrap<Options>): Layer.Layer<WebSocketClient.WebSocketClient, ConfigError> =>
  Layer.effect(WebSocketClient.WebSocketClient, fromConfig(Effect.flatMap(Config.unwrap(config), make)))

/**
 * A client for `ws:` and `wss:` URLs.
 *
 * @example
 * ```ts
 * import { WebSocketClient } from "@effect-websocket/platform"
 * import { WorkersWebSocketClient } from "@effect-websocket/platform/workers"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const socket = yield* WebSocketClient.connect("wss://example.com/chat", { protocols: ["chat.v1"] })
 *   yield* socket.send("hello")
 *   return yield* socket.receive
 * }).pipe(Effect.scoped, Effect.provide(WorkersWebSocketClient.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<WebSocketClient.WebSocketClient> = layerWith({})

/**
 * Connects without a `WebSocketClient`, with the options of Cloudflare Workers: TypeScript then refuses an option that the platform cannot
 * follow. Otherwise it does the same as `WebSocketClient.connect`: the same errors, and the same closing at the end of the scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const connect = (
  url: string | URL,
  { baseUrl, ...options }: Options = {}
): Effect.Effect<OpenWebSocket, WebSocketClient.ConnectError, Scope.Scope> =>
  Effect.flatMap(make({ baseUrl }), (client) => client.connect(url, options))
