/**
 * `WebSocketClient` over Node's own `http`, `net` and `tls`.
 *
 * @since 0.1.0
 */
import type { Delivery } from "@effect-websocket/protocol/Connection"
import { IoError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { httpUrl, resolveBase, splitUnix, unixScheme } from "../internal/request.js"
import { checkProtocols, fromConfig, resolveClient, shown } from "../internal/settings.js"
import type * as WebSocket from "../WebSocket.js"
import * as WebSocketClient from "../WebSocketClient.js"
import { headerRecord } from "./internal/headerRecord.js"
import { toIoError, type Stage } from "./internal/ioError.js"
import { hostOf, ignore, letGo, overDuplex, parseProxy, throughProxy, type Route } from "./internal/route.js"
import { resolveTls, serverName } from "./internal/tls.js"
import type { ClientOptions, ConnectOptions } from "./NodeOptions.js"
import * as NodeTransport from "./NodeTransport.js"
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
 * A client with options, which are checked before there is a connection to make.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Context.Tag.Service<WebSocketClient.WebSocketClient>> =>
  Effect.gen(function* () {
    const schemes = ["ws:", "wss:", unixScheme]
    const dial = yield* Effect.sync(() => {
      resolveClient(options)
      resolveBase(options.baseUrl, schemes)
      checkProtocols(options.protocols)
      return dialWith(options)
    })
    return WebSocketClient.make(yield* dial, { ...options, zlib, schemes })
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
 * A client with options that come from `Config`. What makes no sense in them is a `ConfigError` with the path of the
 * option.
 *
 * @example
 * ```ts
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Config } from "effect"
 *
 * const Client = NodeWebSocketClient.layerConfig({
 *   baseUrl: Config.redacted("WEBSOCKET_URL"),
 *   openTimeout: Config.duration("OPEN_TIMEOUT").pipe(Config.withDefault("10 seconds")),
 *   limits: { maxMessageBytes: Config.integer("MAX_MESSAGE_BYTES") }
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: Config.Config.Wrap<Options>
): Layer.Layer<WebSocketClient.WebSocketClient, ConfigError> =>
  Layer.effect(WebSocketClient.WebSocketClient, fromConfig(Effect.flatMap(Config.unwrap(config), make)))

/**
 * A client for `ws:` and `wss:` URLs.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<WebSocketClient.WebSocketClient> = layerWith({})

/**
 * Connects with TLS options and a route of its own, and needs no `WebSocketClient`. Otherwise it does what
 * `WebSocketClient.connect` does: the same errors, the same closing at the end of the scope, and the `CookieJar` of the program
 * if there is one. Options that make no sense are a defect.
 *
 * It knows nothing of the options of a client. Options that both have are a value that both take, as `shared` here. Where many
 * connections have the same TLS options, a client is cheaper: it reads the certificates once.
 *
 * @example
 * ```ts
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Config, Effect } from "effect"
 * import { readFileSync } from "node:fs"
 *
 * const shared = { openTimeout: "3 seconds", tls: { ca: readFileSync("ca.pem") } } as const
 * const Client = NodeWebSocketClient.layerWith(shared)
 *
 * // One connection with a certificate of the client's own, in a program that uses `Client` for all others.
 * const program = Effect.gen(function* () {
 *   const key = yield* Config.redacted("KEY")
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
 * // The endpoint apart from the URL: what the URL names is asked for, and verified, at 10.0.0.7.
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
  // The others are those of `WebSocketClient.connect`, so that what fails there typed does so here.
  const { autoSelectFamily, baseUrl, createConnection, family, localAddress, proxy, proxyTls, socketPath, tls } =
    options
  const route = { autoSelectFamily, createConnection, family, localAddress, proxy, proxyTls, socketPath, tls }
  return Effect.flatMap(make({ ...route, baseUrl }), (client) => client.connect(url, options))
}

/** How each server is reached. `undefined`: as Node does it. */
const routing = (options: Options): Effect.Effect<(url: URL) => Route | IoError | undefined> => {
  const { createConnection, proxy, proxyTls, socketPath } = options
  if ([createConnection, proxy, socketPath].filter((route) => route !== undefined).length > 1) {
    throw new RangeError("Only one of socketPath, createConnection and proxy can be the route")
  }
  if (socketPath === "") throw new RangeError("socketPath must not be empty")
  const tcp = tcpOptions(options)
  const tls = resolveTls("proxyTls", proxyTls)
  if (createConnection !== undefined) {
    return Effect.succeed((url) => overDuplex(() => createConnection(url)))
  }
  if (proxy === undefined) return Effect.succeed(() => undefined)
  const named = Redacted.isRedacted(proxy) ? Redacted.value(proxy) : proxy
  if (named === "environment") {
    return Effect.map(
      Effect.promise(() => import("proxy-from-env")),
      ({ getProxyForUrl }) =>
        (url) => {
          const found = getProxyForUrl(httpUrl(url)?.href ?? "")
          if (found === "") return undefined
          // To a proxy without a scheme it gives that of the request; to everyone else that is an HTTP proxy.
          const isVerbatim = Object.values(process.env).includes(found)
          const parsed = parseProxy(isVerbatim ? found : found.replace(/^https:/, "http:"))
          return parsed === undefined
            ? toIoError("proxy", new Error("The environment does not name a proxy that can be used"))
            : throughProxy(parsed, tcp, tls)
        }
    )
  }
  const parsed = parseProxy(named)
  if (parsed === undefined) throw new RangeError("proxy must be the URL of an HTTP or SOCKS proxy")
  const route = throughProxy(parsed, tcp, tls)
  return Effect.succeed(() => route)
}

const tcpOptions = ({ autoSelectFamily, family, localAddress }: Options) => {
  if (localAddress !== undefined && Net.isIP(localAddress) === 0) {
    throw new RangeError("localAddress must be an IP address")
  }
  if (family !== undefined && family !== 4 && family !== 6) {
    throw new RangeError(`family must be 4 or 6, but is ${shown(family)}`)
  }
  return {
    ...(autoSelectFamily === undefined ? {} : { autoSelectFamily }),
    ...(family === undefined ? {} : { family }),
    ...(localAddress === undefined ? {} : { localAddress })
  }
}

const dialWith = (options: Options): Effect.Effect<WebSocketClient.Dial> => {
  const tcp = tcpOptions(options)
  const tls = resolveTls("tls", options.tls)
  return Effect.map(routing(options), (routeTo) => (url, headers, done) => {
    const unix = url.protocol === unixScheme ? splitUnix(url) : undefined
    const secure = url.protocol === "wss:"
    const target = {
      host: unix === undefined ? hostOf(url) : "localhost",
      port: url.port === "" ? (secure ? 443 : 80) : Number(url.port)
    }
    const request = {
      path: unix === undefined ? url.pathname + url.search : unix.path,
      headers: { Host: unix === undefined ? url.host : "localhost", ...headers }
    }
    const verified = { ...serverName(target.host), ...tls }
    const route = unix === undefined ? routeTo(url) : undefined
    if (route === undefined) {
      const path = unix?.socketPath ?? options.socketPath
      const at = path === undefined ? { ...tcp, ...target } : { path }
      const socket = secure ? Tls.connect({ ...verified, ...at }) : Net.connect(at)
      return ask(socket, request, "connect", secure, done)
    }
    const fail = (error: IoError) => done({ _tag: "Failed", error })
    if (route instanceof IoError) {
      queueMicrotask(() => fail(route))
      return ignore
    }
    let drop = route(
      target,
      (opened) => {
        const socket = secure ? Tls.connect({ ...verified, socket: opened }) : opened
        const dropRequest = ask(socket, request, secure ? "tls" : "handshake", secure, done)
        drop = () => {
          dropRequest()
          opened.destroy()
        }
      },
      fail
    )
    return () => drop()
  })
}

/** Asks for the upgrade, over a stream that may still be connecting. */
const ask = (
  socket: Duplex,
  { headers, path }: { readonly headers: HeaderRecord; readonly path: string },
  initial: Stage,
  secure: boolean,
  done: (dialed: WebSocketClient.Dialed) => void
): (() => void) => {
  let stage = initial
  if (socket instanceof Net.Socket) socket.setNoDelay(true)
  const connected = () => {
    stage = secure ? "tls" : "handshake"
  }
  const secured = () => {
    stage = "handshake"
  }
  if (stage === "connect") socket.once("connect", connected)
  if (secure) socket.once("secureConnect", secured)
  const request = Http.request({
    method: "GET",
    path,
    headers: outgoing(headers),
    setHost: false,
    createConnection: () => socket
  })
  const finish = () => {
    socket.off("connect", connected).off("secureConnect", secured)
    letGo(request, socket)
  }
  request.once("error", (cause) => {
    finish()
    socket.destroy()
    done({ _tag: "Failed", error: toIoError(stage, cause) })
  })
  request.once("upgrade", (response, upgraded, head) => {
    finish()
    done({ _tag: "Upgraded", headers: headerRecord(response), transport: NodeTransport.make(upgraded, head) })
  })
  request.once("response", (response) => {
    finish()
    // A 101 without the tokens of an upgrade is an answer like any other to Node; here it breaks the handshake.
    done(
      response.statusCode === 101
        ? { _tag: "Upgraded", headers: headerRecord(response), transport: NodeTransport.make(socket) }
        : {
            _tag: "Rejected",
            status: response.statusCode ?? 0,
            headers: headerRecord(response),
            body: rejectedBody(response, socket)
          }
    )
  })
  request.end()
  return () => {
    finish()
    request.destroy()
    socket.destroy()
  }
}

const rejectedBody = (response: Http.IncomingMessage, socket: Duplex): WebSocketClient.RejectedBody => {
  response.on("error", ignore)
  return {
    read: (onPart, onEnd) => {
      const end = () => onEnd(response.complete)
      response.on("data", onPart)
      response.once("end", end)
      response.once("close", end)
      if (response.closed) queueMicrotask(end)
    },
    drop: () => {
      response.removeAllListeners()
      response.on("error", ignore)
      socket.destroy()
    }
  }
}

const outgoing = (headers: HeaderRecord): Http.OutgoingHttpHeaders =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, typeof value === "string" ? value : [...value]]]
    )
  )
