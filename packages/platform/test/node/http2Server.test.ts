/** WebSocket over HTTP/2 at the server (RFC 8441), with bare streams of Node as peers. */
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import * as Origin from "@effect-websocket/protocol/Origin"
import * as Http2 from "node:http2"
import * as Tls from "node:tls"
import { Deferred, Effect, Exit, Fiber, Logger, Scope } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { Agent, Client } from "undici"
import { connectHeaders, http2Client, http2Session, request, type Headers } from "./http2.js"
import {
  childScope,
  closing,
  eventually,
  facts,
  first,
  frame,
  ioFacts,
  listen,
  mebibyte,
  noHandlesLeft,
  Peer,
  rawClient,
  serve,
  serveEcho,
  settled,
  tls
} from "./support.js"

afterEach(noHandlesLeft)

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

const quietly = Effect.provide(Logger.withoutDefault)

/** Sends a request that is refused, and reads the whole answer. */
const refusal = (session: Http2.ClientHttp2Session, changes: Headers = {}) =>
  Effect.gen(function* () {
    const { answer, peer } = yield* request(session, connectHeaders(changes))
    const body = String(yield* peer.rest)
    yield* peer.closed
    assert.strictEqual(peer.code, 0)
    assert.strictEqual(Number(answer.headers["content-length"]), Buffer.byteLength(body))
    return { status: answer.status, headers: answer.headers, body: body.trim() }
  })

const echo = (peer: Pick<Peer, "frame" | "write">, text: string) =>
  Effect.gen(function* () {
    peer.write(frame(first.text, text, true))
    assert.strictEqual(String((yield* peer.frame).payload), text)
  })

describe("the opening handshake", () => {
  it.live("answers 200 without END_STREAM, without a key, and shows the app the same request", () =>
    Effect.gen(function* () {
      const server = yield* serve({ tls, http2: true, origin: Origin.sameOrigin() })
      const seen = yield* Deferred.make<UpgradeCheck.Request>()
      const route = yield* server.route({
        path: "/chat",
        protocols: ["v2", "v1"],
        check: (request) =>
          Effect.as(Deferred.succeed(seen, request), UpgradeCheck.accept(7, { headers: { "X-Trace": "1" } }))
      })
      yield* Effect.forkScoped(route.run((socket) => socket.send(`${socket.value}`)))
      const session = yield* http2Session(server.address.port)
      assert.strictEqual(session.remoteSettings.enableConnectProtocol, true)
      assert.strictEqual(session.remoteSettings.maxConcurrentStreams, 100)
      const host = `127.0.0.1:${server.address.port}`
      const { answer, peer } = yield* request(
        session,
        connectHeaders({
          ":authority": host,
          origin: `https://${host}`,
          "sec-websocket-protocol": "v1, v2",
          cookie: ["a=1", "b=2"]
        })
      )
      assert.deepStrictEqual([answer.status, answer.ended], [200, false])
      assert.deepInclude(answer.headers, { "sec-websocket-protocol": "v2", "x-trace": "1" })
      assert.notProperty(answer.headers, "sec-websocket-accept")
      assert.strictEqual(String((yield* peer.frame).payload), "7")
      yield* peer.farewell
      assert.strictEqual(peer.code, 0)
      const {
        clientAddress,
        cookies,
        headers,
        host: named,
        key,
        path,
        protocols,
        query,
        url
      } = yield* Deferred.await(seen)
      assert.deepStrictEqual(
        { clientAddress, cookies, host: named, key, path, protocols, query, url },
        {
          clientAddress: "127.0.0.1",
          cookies: { a: "1", b: "2" },
          host,
          key: undefined,
          path: "/chat",
          protocols: ["v1", "v2"],
          query: { room: "1" },
          url: "/chat?room=1"
        }
      )
      assert.deepStrictEqual([headers["host"], headers["cookie"]], [host, "a=1; b=2"])
      assert.notProperty(headers, ":path")
    })
  )

  it.live("refuses as HTTP/1.1 does, and the session goes on", () =>
    Effect.gen(function* () {
      const server = yield* serve({ tls, http2: true })
      const check = (request: UpgradeCheck.Request) =>
        Effect.succeed(
          request.headers["authorization"] === undefined
            ? UpgradeCheck.reject(401, { headers: { "WWW-Authenticate": "Basic", "Keep-Alive": "no" }, body: "log in" })
            : UpgradeCheck.accept(undefined)
        )
      const route = yield* server.route({ path: "/chat", check })
      yield* Effect.forkScoped(route.run((socket) => socket.run((message) => socket.send(message))))
      const session = yield* http2Session(server.address.port)
      const cases: ReadonlyArray<readonly [Headers, number]> = [
        [{ ":protocol": "connect-udp" }, 501],
        [{ "sec-websocket-version": undefined }, 400],
        [{ host: "other" }, 400],
        [{ "sec-websocket-protocol": "a b" }, 400],
        [{ origin: "https://other.example.com" }, 403],
        [{ ":path": "/other" }, 404],
        [{}, 401]
      ]
      for (const [changes, status] of cases) {
        assert.strictEqual((yield* refusal(session, changes)).status, status, JSON.stringify(changes))
      }
      const version = yield* refusal(session, { "sec-websocket-version": "8" })
      assert.deepStrictEqual([version.status, version.headers["sec-websocket-version"]], [400, "13"])
      const login = yield* refusal(session)
      assert.deepStrictEqual([login.headers["www-authenticate"], login.body], ["Basic", "log in"])
      assert.notProperty(login.headers, "keep-alive")
      const { peer } = yield* request(session, connectHeaders({ authorization: "Basic x" }))
      yield* echo(peer, "in")
      peer.reset()
    }).pipe(quietly)
  )

  it.live("drops a request that ends with its headers", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls, http2: true })
      const session = yield* http2Session(server.address.port)
      const stream = session.request(connectHeaders(), { endStream: true })
      stream.on("error", () => {})
      yield* eventually(() => stream.destroyed)
      assert.strictEqual(stream.rstCode, Http2.constants.NGHTTP2_CANCEL)
    })
  )

  it.live("interrupts the check of a client that goes away", () =>
    Effect.gen(function* () {
      const server = yield* serve({ tls, http2: true })
      const begun = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const check = () =>
        Effect.onInterrupt(Effect.andThen(Deferred.succeed(begun, undefined), Effect.never), () =>
          Deferred.succeed(interrupted, undefined)
        )
      yield* server.route({ check })
      const session = yield* http2Session(server.address.port)
      const stream = session.request(connectHeaders(), { endStream: false })
      stream.on("error", () => {})
      yield* Deferred.await(begun)
      stream.close(Http2.constants.NGHTTP2_CANCEL)
      yield* Deferred.await(interrupted)
    })
  )

  it.live("a header that Node does not send ends the stream", () =>
    Effect.gen(function* () {
      const server = yield* serve({ tls, http2: true })
      yield* server.route({
        check: () => Effect.succeed(UpgradeCheck.reject(403, { headers: { "Content-Type": ["a/b", "c/d"] } }))
      })
      const session = yield* http2Session(server.address.port)
      const stream = session.request(connectHeaders(), { endStream: false })
      stream.on("error", () => {})
      yield* eventually(() => stream.destroyed)
      assert.strictEqual(stream.rstCode, Http2.constants.NGHTTP2_INTERNAL_ERROR)
    }).pipe(quietly)
  )
})

describe("limits", () => {
  it.live("each stream counts as a connection", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls, http2: true, admission: { maxConnections: 3, maxConnectionsPerKey: 2 } })
      const session = yield* http2Session(server.address.port)
      const { peer } = yield* request(session)
      yield* request(session)
      const third = yield* refusal(session)
      assert.deepStrictEqual([third.status, third.headers["retry-after"] !== undefined], [429, true])
      peer.reset()
      yield* Effect.repeat(Effect.andThen(turn, server.connections), { until: (open) => open.length === 1 })
      const again = yield* request(session)
      yield* echo(again.peer, "again")
    })
  )

  // CVE-2023-44487
  it.live("streams that are reset at once leave nothing", () =>
    Effect.gen(function* () {
      const server = yield* serve({ tls, http2: true })
      let running = 0
      let begun = 0
      const check = () =>
        Effect.onInterrupt(
          Effect.suspend(() => {
            running++
            begun++
            return Effect.never
          }),
          () => Effect.sync(() => void running--)
        )
      yield* server.route({ check })
      const session = yield* http2Session(server.address.port)
      for (let round = 0; round < 4; round++) {
        const streams = []
        for (let i = 0; i < 50; i++) streams.push(session.request(connectHeaders(), { endStream: false }))
        for (const stream of streams) stream.on("error", () => {})
        yield* turn
        for (const stream of streams) stream.close(Http2.constants.NGHTTP2_CANCEL)
        yield* turn
      }
      yield* eventually(() => running === 0 && begun > 0)
      const again = yield* http2Session(server.address.port)
      const last = again.request(connectHeaders(), { endStream: false })
      last.on("error", () => {})
      yield* eventually(() => running === 1)
      last.close(Http2.constants.NGHTTP2_CANCEL)
    })
  )

  it.live("what the app does not read stays at the client, and other streams go on", () =>
    Effect.gen(function* () {
      const server = yield* serve({ tls, http2: true })
      yield* Effect.forkScoped(
        server.run((socket) => (socket.url === "/idle" ? Effect.never : socket.run((message) => socket.send(message))))
      )
      const session = yield* http2Session(server.address.port)
      const idle = yield* request(session, connectHeaders({ ":path": "/idle" }))
      const other = yield* request(session)
      const message = frame(first.binary, Buffer.alloc(65536), true)
      for (let sent = 0; sent < 8 * mebibyte; sent += message.length) idle.peer.write(message)
      const left = yield* settled(() => idle.peer.socket.writableLength)
      assert.isAbove(left, 7 * mebibyte)
      yield* echo(other.peer, "still here")
      idle.peer.reset()
      other.peer.reset()
    })
  )

  it.live("a session without a request is dropped in time, also if it had one", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls, http2: true, handshakeTimeout: "100 millis", origin: () => "no" })
      const silent = yield* http2Session(server.address.port)
      const refused = yield* http2Session(server.address.port)
      yield* refusal(refused)
      yield* eventually(() => silent.destroyed && refused.destroyed)
    }).pipe(quietly)
  )

  it.live("beyond `maxHandshakes`, the oldest session without a request is dropped", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls, http2: true, admission: { maxHandshakes: 1 } })
      const busy = yield* http2Client(server.address.port)
      const oldest = yield* http2Session(server.address.port)
      const newest = yield* http2Session(server.address.port)
      yield* eventually(() => oldest.destroyed)
      assert.isFalse(newest.destroyed)
      yield* echo(busy, "still here")
      busy.reset()
    })
  )
})

describe("the end", () => {
  it.live("of a session ends its connections", () =>
    Effect.gen(function* () {
      const server = yield* serve({ tls, http2: true })
      const socket = Tls.connect({ port: server.address.port, host: "127.0.0.1", ca: tls.cert, ALPNProtocols: ["h2"] })
      const session = yield* http2Session(server.address.port, { createConnection: () => socket })
      const connections = []
      for (let i = 0; i < 2; i++) {
        const { accepted } = yield* Effect.all(
          { accepted: server.accept(), peer: request(session) },
          { concurrency: "unbounded" }
        )
        connections.push(accepted)
      }
      socket.destroy()
      for (const connection of connections) {
        assert.deepStrictEqual(facts(yield* Effect.flip(connection.receive)), ioFacts("Reset", "read"))
        assert.isFalse((yield* connection.closeStatus).clean)
      }
    })
  )

  it.live("a drain sends GOAWAY and closes, and later requests get 503", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls, http2: true })
      const session = yield* http2Session(server.address.port)
      const { peer } = yield* request(session)
      const late = yield* http2Session(server.address.port)
      const codes: Array<number> = []
      session.once("goaway", (code: number) => codes.push(code))
      const draining = yield* Effect.forkChild(server.drain())
      assert.strictEqual((yield* peer.farewell).payload.readUInt16BE(0), 1001)
      assert.strictEqual(peer.code, 0)
      yield* Fiber.join(draining)
      yield* eventually(() => session.destroyed && late.destroyed)
      assert.deepStrictEqual(codes, [0])
      assert.strictEqual((yield* refusal(yield* http2Session(server.address.port))).status, 503)
    })
  )

  it.live("of the server does not wait for clients that never leave or never read", () =>
    Effect.gen(function* () {
      const scope = yield* childScope
      const server = yield* serveEcho({ tls, http2: true, closeTimeout: "100 millis" }).pipe(Scope.provide(scope))
      yield* http2Session(server.address.port)
      const peer = yield* http2Client(server.address.port)
      peer.write(Buffer.concat(Array.from({ length: 32 }, () => frame(first.binary, Buffer.alloc(65536), true))))
      yield* settled(() => peer.socket.writableLength)
      yield* Scope.close(scope, Exit.void)
    })
  )
})

describe("one port", () => {
  it.live("also speaks HTTP/1.1, and answers other requests", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls, http2: true })
      const session = yield* http2Session(server.address.port)
      const { answer, peer } = yield* request(session, { ":path": "/", ":method": "GET" })
      assert.strictEqual(answer.status, 404)
      peer.reset()
      // The client of HTTP/1.1.
      const socket = yield* NodeWebSocketClient.connect(server.address.url, { tls: { ca: tls.cert } })
      yield* socket.send("hello")
      assert.strictEqual((yield* socket.receive).data, "hello")
    })
  )

  // Its `WebSocket` wants a `Sec-WebSocket-Accept` also over HTTP/2 (7.30.2), so this uses the stream of its request.
  it.live("answers the client of undici over HTTP/2", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls, http2: true })
      const client = new Client(`https://127.0.0.1:${server.address.port}`, {
        allowH2: true,
        connect: { ca: tls.cert }
      })
      const { socket } = yield* Effect.promise(() =>
        client.upgrade({ path: "/undici", protocol: "websocket", headers: { "sec-websocket-version": "13" } })
      )
      const peer = new Peer(socket)
      yield* echo(peer, "over undici")
      peer.write(frame(first.close, closing(1000), true))
      assert.strictEqual((yield* peer.frame).first, first.close)
      assert.strictEqual((yield* peer.rest).length, 0)
      peer.end()
      yield* peer.closed
      yield* Effect.promise(() => client.destroy())
    })
  )

  it.live("in clear text, too, if the client knows it", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ http2: true })
      assert.match(server.address.url, /^ws:/)
      const peer = yield* http2Client(server.address.port, "http")
      yield* echo(peer, "hello")
      yield* http2Session(server.address.port, {}, "http")
      peer.reset()
      const http1 = yield* rawClient(server.address.port)
      http1.write("GET / HTTP/1.1\r\n\r\n")
      yield* http1.left
    })
  )
})

describe("attached to an HTTP/2 server of the app", () => {
  const appServer = (scope?: Scope.Closeable) =>
    Effect.gen(function* () {
      const server = Http2.createSecureServer({ ...tls, allowHTTP1: true }, (_, response) => response.end("app"))
      const port = yield* listen(server)
      const attached = NodeWebSocketServer.attach(server)
      const webSockets = yield* scope === undefined ? attached : Scope.provide(attached, scope)
      yield* Effect.forkScoped(webSockets.run((socket) => socket.run((message) => socket.send(message))))
      return { server, port, webSockets }
    })

  it.live("announces WebSockets as long as it lives, and leaves other requests to the app", () =>
    Effect.gen(function* () {
      const scope = yield* childScope
      const { port } = yield* appServer(scope)
      const session = yield* http2Session(port)
      assert.strictEqual(session.remoteSettings.enableConnectProtocol, true)
      const { answer, peer: app } = yield* request(session, { ":path": "/", ":method": "GET" })
      assert.strictEqual(answer.status, 200)
      app.end()
      assert.strictEqual(String(yield* app.rest), "app")
      assert.strictEqual((yield* refusal(session, { ":protocol": "connect-udp" })).status, 501)
      const { peer } = yield* request(session)
      yield* echo(peer, "hello")
      peer.reset()
      const http1 = yield* Effect.acquireRelease(
        Effect.sync(() => new Agent({ allowH2: false, connect: { ca: tls.cert } })),
        (agent) => Effect.promise(() => agent.destroy())
      )
      const response = yield* Effect.promise(() =>
        http1.request({ origin: `https://127.0.0.1:${port}`, path: "/", method: "GET" })
      )
      assert.strictEqual(yield* Effect.promise(() => response.body.text()), "app")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* refusal(session)).status, 503)
      const later = yield* http2Session(port)
      assert.strictEqual(later.remoteSettings.enableConnectProtocol, false)
    }).pipe(quietly)
  )

  it.live("leaves to a listener for `connect` what is not for it", () =>
    Effect.gen(function* () {
      const { port, server, webSockets } = yield* appServer()
      server.on("connect", (_: unknown, response: Http2.Http2ServerResponse) => response.writeHead(418).end())
      yield* webSockets.route({ path: "/ours" })
      const session = yield* http2Session(port)
      for (const [changes, status] of [
        [{ ":protocol": "connect-udp" }, 418],
        [{}, 200]
      ] as const) {
        const { answer, peer } = yield* request(session, connectHeaders(changes))
        assert.strictEqual(answer.status, status)
        peer.reset()
      }
    })
  )

  it.live("in clear text", () =>
    Effect.gen(function* () {
      const server = Http2.createServer()
      const port = yield* listen(server)
      const webSockets = yield* NodeWebSocketServer.attach(server)
      yield* Effect.forkScoped(webSockets.run((socket) => socket.run((message) => socket.send(message))))
      const peer = yield* http2Client(port, "http")
      yield* echo(peer, "hello")
      peer.reset()
    })
  )
})
