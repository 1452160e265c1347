/**
 * `WebSocketServer` over Node's own `http`, `https` and `http2`.
 *
 * @since 0.1.0
 */
import type { Delivery } from "@effect-websocket/protocol/Connection"
import { localProtocolError, IoError, ProtocolError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Extension from "@effect-websocket/protocol/Extension"
import { checkRequest } from "@effect-websocket/protocol/Handshake"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import { BlockList, isIP, type Server, type Socket } from "node:net"
import { resolve as resolvePath } from "node:path"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { annotations } from "../internal/annotations.js"
import { timers } from "../internal/timers.js"
import { resolveMode } from "../internal/deliveries.js"
import { canonical } from "../engine/server/ipAddress.js"
import { answer } from "../engine/server/Upgrade.js"
import { connectorOf } from "../internal/accept.js"
import {
  awaitCallback,
  callback,
  layerEffect,
  runForkWith,
  runtime as inheritedRuntime,
  type ConfigError,
  type ConfigWrap
} from "../internal/effect.js"
import { placeIn } from "../internal/scopes.js"
import { unixUrl } from "../engine/client/Url.js"
import { addressOf, checkPlace } from "../internal/listening.js"
import { defaults, fromConfig, resolve, timeout } from "../internal/settings.js"
import type { Transport } from "../Transport.js"
import type * as WebSocket from "../WebSocket.js"
import * as WebSocketServer from "../WebSocketServer.js"
import { asksForWebSocket, Attachment, memberOf, type HttpServer, type Member } from "./internal/attachment.js"
import { Http2Attachment, isHttp2Server, type Http2Member, type Http2Server } from "./internal/http2Attachment.js"
import { Http2ServerSessions } from "./internal/http2ServerSessions.js"
import { isTaken } from "./internal/taken.js"
import { headerRecord } from "./internal/headerRecord.js"
import { afterResponses, pendingResponse } from "./internal/pipelining.js"
import { checkTls } from "./internal/tls.js"
import { PendingSockets } from "./internal/pendingSockets.js"
import type { DuplexOptions, PortOptions, ServerOptions, SocketPathOptions } from "./NodeOptions.js"
import { zlib } from "./NodeZlib.js"
import {
  destroyOnError,
  hasEnded,
  overflowingAttempt,
  takeOver,
  upgradeAttempt,
  withOptions,
  type NodeAttempt
} from "./internal/upgradeAttempt.js"

/**
 * The options of servers that listen by themselves, and of `fromDuplex`; see `NodeOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export type {
  DuplexOptions,
  ListenOptions,
  PortOptions,
  ServerOptions,
  SocketPathOptions,
  ZlibOptions
} from "./NodeOptions.js"

/**
 * The options of a server that listens by itself: on a port, or on a Unix domain socket.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = PortOptions | SocketPathOptions

/**
 * A server with an HTTP or HTTPS server of its own, which answers 426 to every request that is not an upgrade, and 404 over
 * HTTP/2. Fails with `IoError` (`Listen`) if it cannot listen on the port or the path. Its scope stops listening, closes all connections with
 * 1001, within one `closeTimeout`, and drops those that are left. `stop` also closes the listener, so that the port is free.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<WebSocketServer.Service, IoError, Scope.Scope> =>
  Effect.gen(function* () {
    const handshakeTimeout = yield* Effect.sync(() => {
      checkPlace(options, checkPath)
      checkTls(options.tls)
      // Node counts in whole milliseconds.
      return Math.ceil(timeout("handshakeTimeout", options.handshakeTimeout ?? defaults.handshakeTimeout))
    })
    const pending = new PendingSockets(options.admission?.maxHandshakes ?? defaults.maxHandshakes)
    const { server, sessions } = yield* listen(options, pending, {
      headersTimeout: handshakeTimeout,
      requestTimeout: handshakeTimeout,
      connectionsCheckingInterval: Math.min(handshakeTimeout, 1000)
    })
    const { offer, service } = yield* WebSocketServer.make(addressOfServer(server, options.tls !== undefined), {
      ...options,
      zlib: options.zlib ?? zlib
    })
    // Finalizers run from last to first: stop listening, close the connections, drop what is left.
    yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
    const runtime = yield* inheritedRuntime<never>()
    server.on("request", (request: unknown, response: Http.ServerResponse | Http2.Http2ServerResponse) => {
      if (response instanceof Http2.Http2ServerResponse) return refuseHttp2(response)
      if (!(request instanceof Http.IncomingMessage)) return
      const error = refuse(request, response)
      if (error !== undefined) runForkWith(runtime)(logRefusal(request, error))
    })
    const member = memberOf(options)
    const claims = (): boolean => true
    Attachment.of(server).add({
      ...member,
      claims,
      offer: (attempt) => {
        pending.delete(attempt.socket)
        offer(withOptions(attempt, options))
      },
      onReject: (socket) => pending.add(socket),
      onOverflow: (socket) => offer(overflowingAttempt(socket))
    })
    if (sessions !== undefined && isHttp2Server(server)) {
      const onRequest = (stream: Http2.ServerHttp2Stream): void => sessions.hold(stream)
      const onReject = (stream: Http2.ServerHttp2Stream): void => sessions.release(stream)
      Http2Attachment.of(server).add({ claims, offer, onRequest, onReject, retryAfter: member.retryAfter })
    }
    return {
      ...service,
      // The clients of HTTP/2 must not send more requests to a server that refuses them.
      drain: (options) =>
        Effect.andThen(
          Effect.sync(() => sessions?.retire()),
          service.drain(options)
        ),
      stop: Effect.uninterruptible(
        Effect.andThen(
          service.stop,
          Effect.sync(() => {
            server.close()
            sessions?.retire()
          })
        )
      )
    }
  })

/**
 * A server on an HTTP, HTTPS or HTTP/2 server of the app, which listens and ends by itself. It takes the upgrades for its routes, and
 * those for `accept` and `run` if they are used; other listeners do not see them. Other upgrades are left to other listeners.
 * If nobody takes one, it gets 404: at once if there are no other listeners, or else after `handshakeTimeout`.
 * Requests for another protocol than `websocket` are ordinary requests, unless there are other listeners.
 *
 * An HTTP/2 server announces WebSockets (RFC 8441) to the sessions that begin from then on. It answers 501 to an extended `CONNECT`
 * for another protocol, and 404 to one that nobody takes, unless the app has a listener for `connect`. The other options of its
 * sessions, such as the number of streams, are the app's.
 *
 * After `stop` it answers 503 to the upgrades that are its own; the HTTP server goes on.
 *
 * The scope stops it and closes its connections with 1001, within one `closeTimeout`. If the HTTP server has no listener for
 * requests by then, as when `NodeHttpServer` ends, requests get 503; and `closeTimeout` after the release, sockets that are
 * left are dropped as soon as the HTTP server is closed. `address` is a defect while the server does not listen.
 *
 * @since 0.1.0
 * @category constructors
 */
export const attach = (
  server: Http.Server | Http2.Http2Server | Http2.Http2SecureServer,
  options: ServerOptions = {}
): Effect.Effect<WebSocketServer.Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    let detach = (): void => {}
    // Finalizers run from last to first: it still answers 503 while the connections are closed.
    yield* Effect.addFinalizer(() => Effect.sync(() => detach()))
    const { claims, offer, service } = yield* WebSocketServer.make(
      () => addressOfServer(server, server instanceof Tls.Server),
      {
        ...options,
        zlib: options.zlib ?? zlib
      }
    )
    const member: Member = { ...memberOf(options), claims, offer: (attempt) => offer(withOptions(attempt, options)) }
    const http2: Http2Member = { claims, offer, retryAfter: member.retryAfter }
    // In clear text, a server of HTTP/2 does not speak HTTP/1.1.
    const http1 = isHttp2Server(server) && !(server instanceof Tls.Server) ? undefined : Attachment.of(server)
    http1?.add(member)
    if (isHttp2Server(server)) Http2Attachment.of(server).add(http2)
    detach = () => {
      http1?.remove(member)
      if (isHttp2Server(server)) Http2Attachment.of(server).remove(http2)
    }
    return service
  })

/**
 * A server on an HTTP, HTTPS or HTTP/2 server of the app. See `attach`.
 *
 * @example
 * ```ts
 * import { WebSocketServer } from "@effect-websocket/platform"
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Layer } from "effect"
 * import { createServer } from "node:http"
 *
 * const server = createServer((_, response) => response.end("healthy"))
 * server.listen(8080)
 *
 * const Main = WebSocketServer.layerRoute({
 *   path: "/echo",
 *   handler: (socket) => socket.run((message) => socket.send(message))
 * }).pipe(Layer.provide(NodeWebSocketServer.layerAttached(server)))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerAttached = (
  server: Http.Server | Http2.Http2Server | Http2.Http2SecureServer,
  options?: ServerOptions
): Layer.Layer<WebSocketServer.WebSocketServer> => layerEffect(WebSocketServer.WebSocketServer, attach(server, options))

/**
 * The addresses and networks (`"10.0.0.0/8"`) of trusted proxies, for `proxies`. Throws a `RangeError` for anything else.
 *
 * @example
 * ```ts
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 *
 * const Server = NodeWebSocketServer.layer({
 *   port: 8080,
 *   proxies: { trusted: NodeWebSocketServer.networks(["127.0.0.1", "10.0.0.0/8", "fd00::/8"]) },
 *   admission: { maxConnectionsPerKey: 20 }
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const networks = (ranges: ReadonlyArray<string>): ((address: string) => boolean) => {
  const list = new BlockList()
  for (const range of ranges) {
    const [text = "", prefix, ...rest] = range.split("/")
    const address = canonical(text)
    const bits = address === undefined || rest.length > 0 ? undefined : bitsOf(prefix, isIP(text), isIP(address))
    if (address === undefined || bits === undefined) {
      throw new RangeError(`${JSON.stringify(range)} must be an IP address or a network, such as "10.0.0.0/8"`)
    }
    list.addSubnet(address, bits, isIP(address) === 4 ? "ipv4" : "ipv6")
  }
  return (text) => {
    const address = canonical(text)
    return address !== undefined && list.check(address, isIP(address) === 4 ? "ipv4" : "ipv6")
  }
}

/** The number of bits of an address that name its network. A mapped IPv4 address is written with 96 more of them. */
const bitsOf = (prefix: string | undefined, written: number, family: number): number | undefined => {
  const length = family === 4 ? 32 : 128
  if (prefix === undefined) return length
  const bits = /^[0-9]{1,3}$/.test(prefix) ? Number(prefix) - (written === family ? 0 : 96) : -1
  return bits >= 0 && bits <= length ? bits : undefined
}

/**
 * A server with an HTTP or HTTPS server of its own. See `make`. Fails with `IoError` (`Listen`) if it cannot listen on the
 * port or the path.
 *
 * @example
 * ```ts
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Origin } from "@effect-websocket/protocol"
 *
 * const Server = NodeWebSocketServer.layer({ port: 8080, origin: Origin.allowList(["https://example.com"]) })
 *
 * // Behind a proxy on the same machine.
 * const Behind = NodeWebSocketServer.layer({
 *   socketPath: "/run/app/app.sock",
 *   proxies: { trusted: () => false, trustUnixSocket: true }
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<WebSocketServer.WebSocketServer, IoError> =>
  layerEffect(WebSocketServer.WebSocketServer, make(options))

/**
 * The same, with options from `Config`. An option that makes no sense is a `ConfigError` with its path. An origin policy is a
 * function, so a `Config` makes it from data.
 *
 * The example is for Effect 4. Effect 3 has `Config.integer`, `string` and `duration` in place of `Config.Int`, `String` and
 * `Duration`, and `Config.array(Config.string(), "ORIGINS")` for a list.
 *
 * @example
 * ```ts effect-4
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Origin } from "@effect-websocket/protocol"
 * import { Config, Schema } from "effect"
 *
 * const Server = NodeWebSocketServer.layerConfig({
 *   port: Config.Int("PORT"),
 *   host: Config.String("HOST").pipe(Config.withDefault("127.0.0.1")),
 *   origin: Config.Array(Schema.String, "ORIGINS").pipe(Config.map(Origin.allowList)),
 *   closeTimeout: Config.Duration("CLOSE_TIMEOUT").pipe(Config.withDefault("5 seconds"))
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: ConfigWrap<Options>
): Layer.Layer<WebSocketServer.WebSocketServer, ConfigError | IoError> =>
  layerEffect(WebSocketServer.WebSocketServer, fromConfig(Effect.flatMap(Config.unwrap(config), make)))

/**
 * Accepts the arguments of Node's `upgrade` event, for an HTTP server of the app: the request, its socket, and the
 * bytes that came behind the request. The connection belongs to the scope. It fails after it has answered the request:
 * with a remote `ProtocolError` if the request breaks the handshake or its origin is not allowed, and with `IoError`
 * (`Budget`) if the `budget` is exhausted. It fails with `IoError` (`Reset`) if the client has gone. Call it in the
 * listener: from then on a reset does not end the process, and the client's end is noticed. Responses to earlier
 * requests of the socket come first. A socket that carries a WebSocket already is a defect.
 *
 * @example
 * ```ts
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Effect } from "effect"
 * import { createServer } from "node:http"
 *
 * const server = createServer((_, response) => response.end("healthy"))
 * server.on("upgrade", (request, socket, head) => {
 *   const echo = Effect.gen(function* () {
 *     const webSocket = yield* NodeWebSocketServer.fromUpgrade(request, socket, head)
 *     yield* webSocket.run((message) => webSocket.send(message))
 *   }).pipe(Effect.scoped)
 *   Effect.runFork(echo)
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromUpgrade = <D extends Delivery = "messages">(
  request: Http.IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  options?: ServerOptions & WebSocket.DeliveryOptions<D>
): Effect.Effect<WebSocketServer.ServerWebSocket<D>, ProtocolError | IoError, Scope.Scope> => {
  // Checked before anything listens to the socket, and again when its turn has come.
  if (isTaken(socket)) return takenTwice
  const accepted = acceptInTurn(request, withOptions(upgradeAttempt(request, socket, head), options), {
    ...options,
    zlib: options?.zlib ?? zlib
  })
  return Effect.suspend(() => (isTaken(socket) ? takenTwice : accepted))
}

/**
 * A server's connection over any stream of bytes, for an app that has read the request itself and knows the client's key:
 * over TCP, TLS, the stream of a tunnel, or a pair in memory. It writes the 101 and takes the stream over in one step. The
 * connection belongs to the scope. Nothing else may read from the stream or write to it from then on. A stream that is paused
 * is resumed.
 *
 * Fails with a local `ProtocolError` for a malformed key, a `protocol` that is not a token, and `extensions` that cannot be
 * parsed; with `IoError` (`Reset`) if the stream has ended, failed, or was destroyed; with `IoError` (`Budget`) if the
 * `budget` is exhausted. Nothing was written then, so the app can still answer. A stream in object mode, or with an encoding
 * (`setEncoding`), does not carry bytes, which is a defect. So is a stream that carries a WebSocket already.
 *
 * The app decides about the rest of the handshake, such as version, `Host` and origin: see `Handshake.checkRequest` and
 * `Origin.check`. From the call on, an error of the stream does not end the process.
 *
 * @example
 * ```ts
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Handshake } from "@effect-websocket/protocol"
 * import { Effect } from "effect"
 * import { createServer } from "node:net"
 *
 * const server = createServer((duplex) => {
 *   duplex.once("data", (bytes) => {
 *     duplex.pause()
 *     // A request in one read; a real app waits for the empty line and parses all of it.
 *     const end = bytes.indexOf("\r\n\r\n") + 4
 *     const key = /^Sec-WebSocket-Key: *(.*)\r$/im.exec(bytes.toString("latin1", 0, end))?.[1] ?? ""
 *     if (!Handshake.isKey(key)) return void duplex.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
 *     const echo = Effect.gen(function* () {
 *       const socket = yield* NodeWebSocketServer.fromDuplex(duplex, { key, head: bytes.subarray(end) })
 *       yield* socket.run((message) => socket.send(message))
 *     }).pipe(Effect.scoped)
 *     Effect.runFork(echo)
 *   })
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromDuplex = <D extends Delivery = "messages">(
  duplex: Duplex,
  options: DuplexOptions<D>
): Effect.Effect<WebSocket.Deliveries[D], ProtocolError | IoError, Scope.Scope> => {
  destroyOnError(duplex)
  return Effect.uninterruptible(
    Effect.gen(function* () {
      const mode = yield* Effect.sync(() => resolveMode(options))
      const settings = yield* Effect.sync(() => {
        checkStream(duplex)
        return resolve(options, options.zlib ?? zlib)
      })
      const { head, key, protocol, url = "" } = options
      const protocols = protocol === undefined ? [] : [protocol]
      const named = Subprotocol.format(protocols)
      if (named instanceof ProtocolError) return yield* Effect.fail(named)
      const offered = offeredBy(options.extensions ?? [])
      if (offered instanceof ProtocolError) return yield* Effect.fail(offered)
      const scope = yield* Effect.scope
      const services = yield* timers
      if (hasEnded(duplex)) return yield* Effect.fail(new IoError({ reason: "Reset", operation: "handshake" }))
      if (settings.budget?.isExhausted === true) {
        return yield* Effect.fail(new IoError({ reason: "Budget", operation: "accept" }))
      }
      // Without types, it may be the value of a header that is missing.
      const offer = { key: typeof key === "string" ? key : "", protocols, extensions: offered }
      const upgrade = (headers: HeaderRecord): Transport => takeOver(duplex, head, headers, options.unsafeReadBuffer)
      const connector = connectorOf<D, undefined>(mode, services)
      const socket = answer({ offer, protocol, url, request: undefined, upgrade }, settings, connector)
      if (socket instanceof ProtocolError) return yield* Effect.fail(socket)
      socket.link.start(placeIn(scope))
      return socket
    })
  )
}

// Another 101 would come between the frames of that connection.
const taken = "The stream carries a WebSocket already"
const takenTwice = Effect.suspend(() => Effect.die(new TypeError(taken)))

/** Throws for a stream that carries a WebSocket already, or anything but bytes. */
const checkStream = (duplex: Duplex): void => {
  if (isTaken(duplex)) throw new TypeError(taken)
  if (duplex.readableObjectMode || duplex.writableObjectMode) {
    throw new TypeError("The duplex is in object mode, but a WebSocket needs a stream of bytes")
  }
  if (typeof duplex.readableEncoding === "string") {
    throw new TypeError(
      `The duplex has the encoding ${duplex.readableEncoding}, but a WebSocket needs a stream of bytes`
    )
  }
}

const offeredBy = (
  input: string | ReadonlyArray<string> | ReadonlyArray<Extension.Extension>
): ReadonlyArray<Extension.Extension> | ProtocolError => {
  if (isLines(input)) {
    const parsed = Extension.parse(input)
    return parsed instanceof ProtocolError ? localOf(parsed) : parsed
  }
  const formatted = Extension.format(input)
  return formatted instanceof ProtocolError ? formatted : input
}

const isLines = (
  input: string | ReadonlyArray<string> | ReadonlyArray<Extension.Extension>
): input is string | ReadonlyArray<string> => typeof input === "string" || typeof input[0] === "string"

/** The peer sent this value, but the app passed it on, so the error is local. */
const localOf = ({ description, section }: ProtocolError): ProtocolError => localProtocolError(description, section)

/** Responses keep the order of requests, so earlier responses come first. */
const acceptInTurn = <D extends Delivery>(
  { socket }: Http.IncomingMessage,
  attempt: NodeAttempt,
  options: WebSocketServer.MakeOptions & WebSocket.DeliveryOptions<D>
): Effect.Effect<WebSocketServer.ServerWebSocket<D>, ProtocolError | IoError, Scope.Scope> => {
  // An end before its turn is noticed, too.
  attempt.onGone?.(() => {})
  const inTurn = awaitCallback<void>((resume) => {
    const stop = afterResponses(socket, () => resume(Effect.void))
    return () => {
      stop()
      // Nobody here answers it any more.
      attempt.abandon()
    }
  })
  return Effect.andThen(
    Effect.suspend(() => (pendingResponse(socket) === undefined ? Effect.void : inTurn)),
    WebSocketServer.acceptAttempt(attempt, options)
  )
}

const checkPath = (path: string): void => {
  const size = Buffer.byteLength(path)
  // Node would cut it off, and leave the file behind.
  if (size === 0 || size > maxPathBytes) {
    throw new RangeError(`socketPath must have from 1 to ${maxPathBytes} bytes, but has ${size}`)
  }
}

const maxPathBytes = process.platform === "win32" ? Number.POSITIVE_INFINITY : process.platform === "linux" ? 107 : 103

/** Listens until the scope ends, and then drops the sockets that are pending. By then all connections are closed. */
const listen = (
  options: Options,
  pending: PendingSockets,
  httpOptions: HttpOptions
): Effect.Effect<Listening, IoError, Scope.Scope> =>
  Effect.gen(function* () {
    const { server, sessions } =
      options.http2 === true ? http2Server(options, pending, httpOptions) : http1Server(options, httpOptions)
    // Node's limit of a head bounds them. Of more than 1,000 it would drop the rest, which may say that there is a body.
    server.maxHeadersCount = 0
    let closed = false
    server.once("close", () => {
      closed = true
    })
    // Without TLS, HTTP/2 begins at once, and its sessions are pending instead.
    if (sessions === undefined || options.tls !== undefined) {
      server.on("connection", (socket: Socket) => pending.add(socket))
    }
    yield* Effect.addFinalizer(() =>
      callback<void>((resume) => {
        // Not the callback of `close`: it is called at once if `close` was called before.
        if (closed) resume(Effect.void)
        else server.once("close", () => resume(Effect.void))
        server.close()
        sessions?.dropAll()
        pending.destroyAll()
      })
    )
    yield* callback<void, IoError>((resume) => {
      server.once("error", (cause) =>
        resume(Effect.fail(new IoError({ reason: "Listen", operation: "listen", cause })))
      )
      const { host, port, socketPath } = options
      if (socketPath === undefined) server.listen(port, host, () => resume(Effect.void))
      else server.listen(socketPath, () => resume(Effect.void))
    })
    // Node has reported it to the client already, or there is no client; a server goes on.
    server.on("error", () => {})
    return { server, sessions }
  })

interface HttpOptions {
  readonly headersTimeout: number
  readonly requestTimeout: number
  readonly connectionsCheckingInterval: number
}

interface Listening {
  readonly server: HttpServer
  readonly sessions: Http2ServerSessions | undefined
}

const http1Server = ({ tls }: Options, httpOptions: HttpOptions): Listening => ({
  server:
    tls === undefined
      ? Http.createServer(httpOptions)
      : Https.createServer({ handshakeTimeout: httpOptions.headersTimeout, ...tls, ...httpOptions }),
  sessions: undefined
})

// The smallest number that RFC 9113 §6.5.2 recommends. A client with more connections opens another session.
const maxConcurrentStreams = 100

const http2Server = ({ tls }: Options, pending: PendingSockets, httpOptions: HttpOptions): Listening => {
  const settings = { maxConcurrentStreams }
  const server: Http2Server =
    tls === undefined
      ? Http2.createServer({ settings })
      : Http2.createSecureServer({
          handshakeTimeout: httpOptions.headersTimeout,
          ...tls,
          ...httpOptions,
          settings,
          allowHTTP1: true
        })
  const connection = tls === undefined ? "connection" : "secureConnection"
  return { server, sessions: new Http2ServerSessions(server, connection, pending, httpOptions.headersTimeout) }
}

const addressOfServer = (server: Server, secure: boolean): WebSocketServer.Address => {
  const listening = server.address()
  if (listening === null) throw new Error("The server does not listen")
  if (typeof listening === "string") {
    // A name that begins with NUL is not a path.
    const url = unixUrl(listening.startsWith("\0") ? listening : resolvePath(listening))
    return { hostname: "localhost", port: 0, url: secure ? "wss://localhost" : url, socketPath: listening }
  }
  return addressOf({ host: listening.address, port: listening.port }, secure)
}

/**
 * Answers a request that is not an upgrade for Node: 400 if it was meant to be one, or else 426 (RFC 9110 §15.5.22). Returns
 * what it broke, if it was meant to be one.
 */
const refuse = (request: Http.IncomingMessage, response: Http.ServerResponse): ProtocolError | undefined => {
  const { headers } = request
  const meant = asksForWebSocket(request) || headers["sec-websocket-key"] !== undefined
  const checked = checkRequest({
    method: request.method ?? "",
    url: request.url ?? "",
    httpVersion: request.httpVersion,
    headers: headerRecord(request)
  })
  const error = meant && checked._tag === "RefusedRequest" ? checked.error : undefined
  response.writeHead(meant ? 400 : 426, {
    Connection: meant ? "close" : "Upgrade, close",
    ...(meant ? {} : { Upgrade: "websocket" }),
    "Content-Type": "text/plain; charset=utf-8"
  })
  response.end(`${error?.message ?? "This is a WebSocket server: upgrade to connect"}\n`)
  return error
}

/** HTTP/2 has no `Upgrade`, so that 426 would be of no use. */
const refuseHttp2 = (response: Http2.Http2ServerResponse): void => {
  response.writeHead(404, { "content-type": "text/plain; charset=utf-8" })
  response.end("This is a WebSocket server: send an extended CONNECT\n")
}

const logRefusal = ({ socket, url }: Http.IncomingMessage, error: ProtocolError): Effect.Effect<void> =>
  Effect.annotateLogs(
    Effect.logWarning("Refused an upgrade request", error.message),
    annotations(url ?? "", socket.remoteAddress)
  )
