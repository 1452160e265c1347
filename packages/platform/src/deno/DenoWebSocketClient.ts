/**
 * `WebSocketClient` over the WebSocket of Deno.
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
import { headerPlatform } from "../native/headerPlatform.js"
import * as NativeClient from "../native/NativeClient.js"
import type * as NativeOptions from "../native/NativeOptions.js"
import type { WebSocket as OpenWebSocket } from "../WebSocket.js"
import * as WebSocketClient from "../WebSocketClient.js"

/**
 * The options of one connection. No platform sends pings for an app, so there is no heartbeat; `idleTimeout` notices a peer that is gone.
 * Deno also sends a `User-Agent` of its own, before that of `userAgent`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectOptions
  extends NativeOptions.ConnectOptions, NativeOptions.SendOptions, NativeOptions.HeaderOptions {}

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
  NativeClient.make(headerPlatform, options)

/**
 * A client with options. See `make`.
 *
 * @example
 * ```ts
 * import { DenoWebSocketClient } from "@effect-websocket/platform/deno"
 *
 * const Client = DenoWebSocketClient.layerWith({
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
 * import { DenoWebSocketClient } from "@effect-websocket/platform/deno"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const socket = yield* WebSocketClient.connect("wss://example.com/chat", { protocols: ["chat.v1"] })
 *   yield* socket.send("hello")
 *   return yield* socket.receive
 * }).pipe(Effect.scoped, Effect.provide(DenoWebSocketClient.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<WebSocketClient.WebSocketClient> = layerWith({})

/**
 * Connects without a `WebSocketClient`, with the options of Deno: TypeScript then refuses an option that the platform cannot
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
