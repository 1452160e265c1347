/**
 * `WebSocketServer` over `Bun.serve`.
 *
 * The connections, their errors and their limits are those of every server. Bun does the framing. So options that it cannot follow
 * are refused, and so are the deliveries `"streams"` and `"frames"`, and `sendStream`. Bun does not wait for the peer's Close: the end
 * of a connection that this side closes is reported once its Close is sent.
 *
 * @since 3.0.0
 */
import { defaultLimits } from "@effect-websocket/protocol/Limits"
import type { IoError } from "@effect-websocket/protocol/Errors"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { layerEffect, type ConfigError, type ConfigWrap } from "../internal/effect.js"
import { fromConfig } from "../internal/settings.js"
import { addressOf, checkPlace, handshakeMillis } from "../internal/listening.js"
import { headerLines, meansUpgrade, type NativeAnswer, type NativeUpgraded } from "../native/nativeAttempt.js"
import * as NativeServer from "../native/NativeServer.js"
import type * as NativeServerOptions from "../native/NativeServerOptions.js"
import { notAnUpgrade, respond } from "../native/respond.js"
import * as WebSocketServer from "../WebSocketServer.js"
import type { BunHandlers, BunServer, BunSocket } from "./BunHost.js"
import { BunEnd } from "./internal/BunEnd.js"

/**
 * The part of Bun that a server needs; see `BunHost`.
 *
 * @since 3.0.0
 * @category models
 */
export type { BunHandlers, BunServer, BunSocket } from "./BunHost.js"

/**
 * The options of a server on Bun: what it can follow, of those of every server.
 *
 * @since 3.0.0
 * @category models
 */
export interface ServerOptions
  extends
    NativeServerOptions.ServerOptions,
    NativeServerOptions.SendOptions,
    NativeServerOptions.PauseOptions,
    NativeServerOptions.HeartbeatOptions {}

/**
 * How a server speaks TLS: options of `Bun.serve`.
 *
 * @since 3.0.0
 * @category models
 */
export interface TlsOptions {
  /** The key of the certificate, as PEM. Required. */
  readonly key: string | Uint8Array
  /** The certificate, as PEM. Required. */
  readonly cert: string | Uint8Array
  /** The passphrase of the key. Default: none. */
  readonly passphrase?: string | undefined
}

/**
 * The options of a server that listens by itself, besides those of every server: on a port, or on a Unix domain socket.
 *
 * @since 3.0.0
 * @category models
 */
export interface ListenOptions extends ServerOptions {
  /** Certificate and key, for `wss:`; see `TlsOptions`. Default: none, so that the server speaks `ws:`. */
  readonly tls?: TlsOptions | undefined
  /** The port; 0 for one that the system chooses, which `WebSocketServer.address` returns. Default: none. Without a path it is required. */
  readonly port?: number | undefined
  /** The address to listen on. Only with a port. Default: all addresses, as Bun does. */
  readonly host?: string | undefined
  /** The path of a Unix domain socket, in place of a port. Default: none. */
  readonly socketPath?: string | undefined
}

/**
 * The options of `layer` and `make`: a port, or a path. Both or none of them is a defect.
 *
 * @since 3.0.0
 * @category models
 */
export type Options = ListenOptions

/**
 * What an app passes to its own `Bun.serve`.
 *
 * - `fetch`: answers a request to upgrade that is for this server. It returns `undefined` for every other request, which the app
 *   answers. A promise of `undefined` stands for a request that was upgraded.
 * - `websocket`: the handlers of all WebSockets of that server. It has no others.
 *
 * @since 3.0.0
 * @category models
 */
export interface Handlers {
  readonly fetch: (request: Request, server: BunServer) => Promise<Response | undefined> | undefined
  readonly websocket: BunHandlers
}

interface ServeOptions {
  readonly fetch: (request: Request, server: BunServer) => Response | Promise<Response | undefined>
  readonly websocket: BunHandlers
  readonly port?: number | undefined
  readonly hostname?: string | undefined
  readonly unix?: string | undefined
  readonly tls?: TlsOptions | undefined
  readonly idleTimeout: number
}

declare const Bun: { serve(options: ServeOptions): BunServer }

const abilities: NativeServer.Abilities = {
  options: new Set([...NativeServer.sendOptions, ...NativeServer.pauseOptions, ...NativeServer.heartbeatOptions]),
  pauses: true,
  limitsMessages: true
}

// Bun counts with 32 bits. What waits to be sent is bounded by the high-water mark.
const noLimit = 2 ** 31 - 1

const endOf = ({ data }: BunSocket): BunEnd | undefined => (data instanceof BunEnd ? data : undefined)

const websocketOf = (options: ServerOptions): BunHandlers => ({
  open: (socket) => endOf(socket)?.opened(socket),
  message: (socket, data) => endOf(socket)?.message(data),
  drain: (socket) => endOf(socket)?.drained(),
  ping: (socket, data) => endOf(socket)?.control("ping", data),
  pong: (socket, data) => endOf(socket)?.control("pong", data),
  close: (socket, code, reason) => endOf(socket)?.closed(code, reason),
  // The deadlines of the library count instead.
  idleTimeout: 0,
  sendPings: false,
  maxPayloadLength: options.limits?.maxMessageBytes ?? defaultLimits.maxMessageBytes,
  backpressureLimit: noLimit,
  closeOnBackpressureLimit: false,
  perMessageDeflate: false
})

/** Answers a request to upgrade. What the promise has is for Bun: nothing, once it has upgraded. */
const answer = (made: NativeServer.Made, request: Request, server: BunServer): Promise<Response | undefined> =>
  new Promise((resolve) => {
    const upgrade = ({ headers, protocol }: NativeAnswer): NativeUpgraded<undefined> => {
      const lines = new Headers(headerLines(headers))
      // Without it, Bun would select the first one that the client offers.
      lines.set("Sec-WebSocket-Protocol", protocol ?? "")
      const socket = new BunEnd()
      // Bun passes it on as it is.
      const data = socket as never
      if (!server.upgrade(request, { headers: lines, data })) throw new Error("Bun cannot upgrade the request")
      if (!socket.isOpen) throw new Error("The handlers of `websocket` are not those of this library")
      return { socket, answer: undefined }
    }
    made.answer<Response | undefined>(request, server.requestIP(request)?.address, { upgrade, respond }, resolve)
  })

const attachWith = (
  serve: (made: NativeServer.Made, websocket: BunHandlers) => BunServer,
  options: ServerOptions,
  own: ReadonlyArray<string>,
  address: (server: BunServer) => WebSocketServer.Address,
  end: (server: BunServer) => Promise<void>
): Effect.Effect<WebSocketServer.Service, IoError, Scope.Scope> =>
  NativeServer.attach({
    abilities,
    options,
    own,
    address,
    serve: (made) => serve(made, websocketOf(options)),
    stop: (server) => void server.stop(),
    end
  })

/**
 * A server on a server of the app. `serve` gets the handlers for `Bun.serve`, and returns the server that has them. It takes the
 * upgrades for its routes, and those for `accept` and `run` if they are used; the app answers all other requests. Fails with
 * `IoError` (`Listen`) if `serve` throws.
 *
 * The scope stops the server, so that it listens no more, and closes the connections with 1001, within one `closeTimeout`. Requests
 * that the app still answers go on. So does `stop`, without closing connections.
 *
 * @since 3.0.0
 * @category constructors
 */
export const attach = (
  serve: (handlers: Handlers) => BunServer,
  options: ServerOptions = {}
): Effect.Effect<WebSocketServer.Service, IoError, Scope.Scope> =>
  attachWith(
    (made, websocket) =>
      serve({
        websocket,
        fetch: (request, server) => (made.claims(request) ? answer(made, request, server) : undefined)
      }),
    options,
    [],
    ({ hostname, port, url }) => addressOf({ host: hostname, port }, url?.protocol === "https:"),
    () => Promise.resolve()
  )

/**
 * A server on a server of the app. See `attach`. Fails with `IoError` (`Listen`) if `serve` throws.
 *
 * @example
 * ```ts
 * import { WebSocketServer } from "@effect-websocket/platform"
 * import { BunWebSocketServer } from "@effect-websocket/platform/bun"
 * import { Layer } from "effect"
 *
 * // Bun has it.
 * declare const Bun: {
 *   serve(options: {
 *     port: number
 *     fetch: (request: Request, server: BunWebSocketServer.BunServer) => unknown
 *     websocket: BunWebSocketServer.BunHandlers
 *   }): BunWebSocketServer.BunServer
 * }
 *
 * const Server = BunWebSocketServer.layerAttached(({ fetch, websocket }) =>
 *   Bun.serve({
 *     port: 8080,
 *     fetch: (request, server) => fetch(request, server) ?? new Response("healthy"),
 *     websocket
 *   })
 * )
 *
 * const Main = WebSocketServer.layerRoute({
 *   path: "/echo",
 *   handler: (socket) => socket.run((message) => socket.send(message))
 * }).pipe(Layer.provide(Server))
 * ```
 *
 * @since 3.0.0
 * @category layers
 */
export const layerAttached = (
  serve: (handlers: Handlers) => BunServer,
  options?: ServerOptions
): Layer.Layer<WebSocketServer.WebSocketServer, IoError> =>
  layerEffect(WebSocketServer.WebSocketServer, attach(serve, options))

const own = ["port", "host", "socketPath", "tls"]
// Bun's longest time without traffic, in seconds. It ends a request that waits, so the library's own deadline must come first.
const maxIdleSeconds = 255
const idleMargin = 5

/**
 * A server with a server of Bun of its own, which answers 426 to every request that is not an upgrade. Fails with `IoError`
 * (`Listen`) if it cannot listen. Its scope stops listening, closes all connections with 1001, within one `closeTimeout`, and drops
 * those that are left. `stop` also closes the listener, so that the port is free.
 *
 * @since 3.0.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<WebSocketServer.Service, IoError, Scope.Scope> =>
  Effect.gen(function* () {
    const { host, port, socketPath, tls } = options
    const idle = yield* Effect.sync(() => {
      checkPlace(options)
      return Math.ceil(handshakeMillis(options.handshakeTimeout) / 1000) + idleMargin
    })
    return yield* attachWith(
      (made, websocket) =>
        Bun.serve({
          websocket,
          fetch: (request, server) => (meansUpgrade(request) ? answer(made, request, server) : notAnUpgrade()),
          ...(socketPath === undefined ? { port, hostname: host } : { unix: socketPath }),
          ...(tls === undefined ? {} : { tls }),
          idleTimeout: idle > maxIdleSeconds ? 0 : idle
        }),
      options,
      own,
      ({ hostname, port }) => addressOf({ host: hostname, port, socketPath }, tls !== undefined),
      async (server) => void (await server.stop(true))
    )
  })

/**
 * A server with a server of Bun of its own. See `make`. Fails with `IoError` (`Listen`) if it cannot listen on the port or the path.
 *
 * @example
 * ```ts
 * import { BunWebSocketServer } from "@effect-websocket/platform/bun"
 * import { Origin } from "@effect-websocket/protocol"
 *
 * const Server = BunWebSocketServer.layer({ port: 8080, origin: Origin.allowList(["https://example.com"]) })
 * ```
 *
 * @since 3.0.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<WebSocketServer.WebSocketServer, IoError> =>
  layerEffect(WebSocketServer.WebSocketServer, make(options))

/**
 * The same, with options from `Config`. An option that makes no sense is a `ConfigError` with its path.
 *
 * @since 3.0.0
 * @category layers
 */
export const layerConfig = (
  config: ConfigWrap<Options>
): Layer.Layer<WebSocketServer.WebSocketServer, ConfigError | IoError> =>
  layerEffect(WebSocketServer.WebSocketServer, fromConfig(Effect.flatMap(Config.unwrap(config), make)))
