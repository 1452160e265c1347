/**
 * `WebSocketServer` over `Deno.serve`.
 *
 * The connections, their errors and their limits are those of every server. Deno does the framing. So options that it cannot follow
 * are refused, and so are the deliveries `"streams"` and `"frames"`, `ping`, `pong` and `sendStream`. Deno cannot stop reading:
 * `maxUnreadBytes` bounds what nobody reads. It cannot drop a connection whose peer does not answer a Close.
 *
 * @since 3.0.0
 */
import type { IoError } from "@effect-websocket/protocol/Errors"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { layerEffect, type ConfigError, type ConfigWrap, type DurationInput } from "../internal/effect.js"
import { defaults, fromConfig, timeout } from "../internal/settings.js"
import { addressOf, checkPlace, type Place } from "../internal/listening.js"
import { headerLines, meansUpgrade, type NativeAnswer, type NativeUpgraded } from "../native/nativeAttempt.js"
import * as NativeServer from "../native/NativeServer.js"
import type * as NativeServerOptions from "../native/NativeServerOptions.js"
import { notAnUpgrade, respond } from "../native/respond.js"
import * as WebSocketServer from "../WebSocketServer.js"
import type { DenoAddress, DenoInfo, DenoServer } from "./DenoHost.js"
import { DenoEnd, type DenoSocket } from "./internal/DenoEnd.js"

/**
 * The part of Deno that a server needs; see `DenoHost`.
 *
 * @since 3.0.0
 * @category models
 */
export type { DenoAddress, DenoInfo, DenoServer } from "./DenoHost.js"

/**
 * The options of a server on Deno: what it can follow, of those of every server.
 *
 * @since 3.0.0
 * @category models
 */
export interface ServerOptions
  extends NativeServerOptions.ServerOptions, NativeServerOptions.SendOptions, NativeServerOptions.UnreadOptions {
  /**
   * The time after which Deno sends a ping, and again the time within which the peer must answer it. Afterwards the connection ends
   * with 1006. Default: 25 seconds. An infinite duration switches it off.
   */
  readonly heartbeatInterval?: DurationInput | undefined
}

/**
 * The options of a server that listens by itself, besides those of every server: on a port, or on a Unix domain socket.
 *
 * @since 3.0.0
 * @category models
 */
export interface ListenOptions extends ServerOptions {
  /** Certificate and key, for `wss:`. Default: none, so that the server speaks `ws:`. */
  readonly tls?: TlsOptions | undefined
  /** The port; 0 for one that the system chooses, which `WebSocketServer.address` returns. Default: none. Without a path it is required. */
  readonly port?: number | undefined
  /** The address to listen on. Only with a port. Default: all addresses, as Deno does. */
  readonly host?: string | undefined
  /** The path of a Unix domain socket, in place of a port. Default: none. */
  readonly socketPath?: string | undefined
}

/**
 * How a server speaks TLS: options of `Deno.serve`.
 *
 * @since 3.0.0
 * @category models
 */
export interface TlsOptions {
  /** The key of the certificate, as PEM. Required. */
  readonly key: string
  /** The certificate, as PEM. Required. */
  readonly cert: string
}

/**
 * The options of `layer` and `make`: a port, or a path. Both or none of them is a defect.
 *
 * @since 3.0.0
 * @category models
 */
export type Options = ListenOptions

/**
 * Answers a request to upgrade that is for this server. It returns `undefined` for every other request, which the app answers.
 *
 * @since 3.0.0
 * @category models
 */
export type Fetch = (request: Request, info: DenoInfo) => Promise<Response> | undefined

interface ServeOptions {
  readonly port?: number | undefined
  readonly hostname?: string | undefined
  readonly path?: string | undefined
  readonly key?: string | undefined
  readonly cert?: string | undefined
  readonly signal: AbortSignal
  readonly onListen: () => void
}

declare const Deno: {
  serve(options: ServeOptions, handler: (request: Request, info: DenoInfo) => Response | Promise<Response>): DenoServer
  upgradeWebSocket(
    request: Request,
    options: { readonly protocol?: string; readonly idleTimeout: number }
  ): { readonly socket: DenoSocket; readonly response: Response }
}

const abilities: NativeServer.Abilities = {
  options: new Set(NativeServer.sendOptions),
  pauses: false,
  limitsMessages: false
}

/** An address of TCP, or none. */
const tcpAddress = (address: unknown): DenoAddress | undefined =>
  isAddress(address) && address.transport === "tcp" ? address : undefined

const isAddress = (address: unknown): address is DenoAddress =>
  typeof address === "object" && address !== null && "transport" in address

/** Answers a request to upgrade. `idleTimeout` is that of Deno, in seconds; 0 switches it off. */
const answer = (made: NativeServer.Made, request: Request, info: DenoInfo, idleTimeout: number): Promise<Response> =>
  new Promise((resolve) => {
    const upgrade = ({ headers, protocol }: NativeAnswer): NativeUpgraded<Response> => {
      const { response, socket } = Deno.upgradeWebSocket(request, {
        idleTimeout,
        ...(protocol === undefined ? {} : { protocol })
      })
      for (const [name, value] of headerLines(headers)) response.headers.append(name, value)
      return { socket: new DenoEnd(socket), answer: response }
    }
    made.answer(request, tcpAddress(info.remoteAddr)?.hostname, { upgrade, respond }, resolve)
  })

const ownOptions = ["heartbeatInterval"]

const attachWith = (
  serve: (answering: (request: Request, info: DenoInfo) => Promise<Response>, made: NativeServer.Made) => DenoServer,
  { heartbeatInterval, ...options }: ServerOptions,
  own: ReadonlyArray<string>,
  address: (server: DenoServer) => WebSocketServer.Address,
  end: (server: DenoServer) => Promise<void>
): Effect.Effect<WebSocketServer.Service, IoError, Scope.Scope> =>
  Effect.gen(function* () {
    const idleTimeout = yield* Effect.sync(() => idleSeconds(heartbeatInterval ?? defaults.heartbeatInterval))
    return yield* NativeServer.attach({
      abilities,
      options,
      own: [...ownOptions, ...own],
      address,
      serve: (made) => serve((request, info) => answer(made, request, info, idleTimeout), made),
      // There is no `stop`: a shutdown would close the WebSockets.
      end
    })
  })

// Deno sends a ping after half of its `idleTimeout`, and waits the other half for the answer.
const idleSeconds = (interval: DurationInput): number =>
  Duration.toMillis(interval) === Number.POSITIVE_INFINITY ? 0 : (2 * timeout("heartbeatInterval", interval)) / 1000

/**
 * A server on a server of the app. `serve` gets the handler for requests to upgrade, and returns the server of Deno. It takes the
 * upgrades for its routes, and those for `accept` and `run` if they are used; the app answers all other requests. Fails with
 * `IoError` (`Listen`) if `serve` throws.
 *
 * The scope closes the connections with 1001, within one `closeTimeout`, and then shuts the server down. Requests that the app
 * still answers go on. After `stop` the server goes on, and answers 503 to the upgrades that are for this server.
 *
 * @since 3.0.0
 * @category constructors
 */
export const attach = (
  serve: (fetch: Fetch) => DenoServer,
  options: ServerOptions = {}
): Effect.Effect<WebSocketServer.Service, IoError, Scope.Scope> =>
  attachWith(
    (answering, made) => serve((request, info) => (made.claims(request) ? answering(request, info) : undefined)),
    options,
    [],
    // Deno does not tell whether it speaks TLS.
    ({ addr }) => addressOf(placeOf(addr), false),
    // It ends once the app has answered its requests.
    (server) => (server.shutdown().catch(() => {}), Promise.resolve())
  )

const placeOf = (address: unknown): Place =>
  isAddress(address) ? { host: address.hostname, port: address.port, socketPath: address.path } : {}

/**
 * A server on a server of the app. See `attach`. Fails with `IoError` (`Listen`) if `serve` throws.
 *
 * @example
 * ```ts
 * import { WebSocketServer } from "@effect-websocket/platform"
 * import { DenoWebSocketServer } from "@effect-websocket/platform/deno"
 * import { Layer } from "effect"
 *
 * // Deno has it.
 * declare const Deno: {
 *   serve(
 *     options: { port: number },
 *     handler: (request: Request, info: DenoWebSocketServer.DenoInfo) => Response | Promise<Response>
 *   ): DenoWebSocketServer.DenoServer
 * }
 *
 * const Server = DenoWebSocketServer.layerAttached((fetch) =>
 *   Deno.serve({ port: 8080 }, (request, info) => fetch(request, info) ?? new Response("healthy"))
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
  serve: (fetch: Fetch) => DenoServer,
  options?: ServerOptions
): Layer.Layer<WebSocketServer.WebSocketServer, IoError> =>
  layerEffect(WebSocketServer.WebSocketServer, attach(serve, options))

const own = ["port", "host", "socketPath", "tls"]

// A server that is stopped waits for requests that have not arrived whole.
const patienceMillis = 500

/** Stops a server, and drops what it still waits for. Once it has finished, an abort would be an error that nobody can catch. */
const end = async (server: DenoServer, controller: AbortController): Promise<void> => {
  const timer = setTimeout(() => controller.abort(), patienceMillis)
  try {
    await Promise.all([server.shutdown(), server.finished])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * A server with a server of Deno of its own, which answers 426 to every request that is not an upgrade. Fails with `IoError`
 * (`Listen`) if it cannot listen. Its scope closes all connections with 1001, within one `closeTimeout`, and then stops listening and
 * drops the requests that are left. After `stop` it still listens, and answers 503: Deno cannot stop listening without closing
 * its WebSockets.
 *
 * @since 3.0.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<WebSocketServer.Service, IoError, Scope.Scope> =>
  Effect.gen(function* () {
    const { host, port, socketPath, tls } = options
    yield* Effect.sync(() => checkPlace(options))
    const controller = new AbortController()
    return yield* attachWith(
      (answering) =>
        Deno.serve(
          {
            ...(socketPath === undefined
              ? { port, ...(host === undefined ? {} : { hostname: host }) }
              : { path: socketPath }),
            ...(tls === undefined ? {} : { key: tls.key, cert: tls.cert }),
            signal: controller.signal,
            // It would print where it listens.
            onListen: () => {}
          },
          (request, info) => (meansUpgrade(request) ? answering(request, info) : notAnUpgrade())
        ),
      options,
      own,
      ({ addr }) => addressOf({ ...placeOf(addr), socketPath }, tls !== undefined),
      (server) => end(server, controller)
    )
  })

/**
 * A server with a server of Deno of its own. See `make`. Fails with `IoError` (`Listen`) if it cannot listen on the port or the path.
 *
 * @example
 * ```ts
 * import { DenoWebSocketServer } from "@effect-websocket/platform/deno"
 * import { Origin } from "@effect-websocket/protocol"
 *
 * const Server = DenoWebSocketServer.layer({ port: 8080, origin: Origin.allowList(["https://example.com"]) })
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
