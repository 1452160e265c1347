/** The exact answers on the wire, wherever a server is attached. */
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketUpgrade from "@effect-websocket/platform/WebSocketUpgrade"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import * as Http from "node:http"
import * as Https from "node:https"
import { Readable } from "node:stream"
import * as Tls from "node:tls"
import { HttpServerRequest, HttpServerResponse, serveApi, serveRoutes, type Route } from "../effect/http.js"
import { Context, Effect, Fiber, Layer, Logger, type Scope } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { serve, type App } from "./httpApps.js"
import {
  acceptOfKey,
  closing,
  eventually,
  first,
  frame,
  listen,
  mebibyte,
  noHandlesLeft,
  Peer,
  rawClient,
  tls,
  upgradeRequest
} from "./support.js"

afterEach(noHandlesLeft)

const options: WebSocketServer.Options = { admission: { maxConnections: 2 }, retryAfter: "7 seconds" }

interface Attached {
  readonly port: number
  readonly secure: boolean
  readonly connections: Effect.Effect<ReadonlyArray<WebSocketServer.ConnectionHandle>>
}

const routes = Layer.mergeAll(
  WebSocketServer.layerRoute({
    path: "/echo",
    check: (request) =>
      Effect.succeed(
        request.cookies["name"] === undefined
          ? UpgradeCheck.reject(401, { body: "Who are you?", headers: { "WWW-Authenticate": "Cookie" } })
          : UpgradeCheck.accept(request.cookies["name"], { headers: { "X-Greeting": "hello" } })
      ),
    handler: (socket) => socket.run((message) => socket.send(`${socket.value}: ${String(message.data)}`))
  }),
  WebSocketServer.layerRoute({ path: "/files/*", handler: (socket) => socket.send(socket.request.path) }),
  WebSocketServer.layerRoute({ path: "/undecided", check: () => Effect.never, handler: () => Effect.void })
)

const quiet = Logger.withoutDefault

const withRoutes = (
  server: Layer.Layer<WebSocketServer.WebSocketServer, unknown>,
  secure: boolean
): Effect.Effect<Attached, unknown, Scope.Scope> =>
  Effect.map(Layer.build(Layer.provideMerge(Layer.provideMerge(routes, server), quiet)), (context) => {
    const { address, connections } = Context.get(context, WebSocketServer.WebSocketServer)
    return { port: address.port, secure, connections }
  })

const own = (options: WebSocketServer.Options) =>
  withRoutes(NodeWebSocketServer.layer({ ...options, port: 0, host: "127.0.0.1" }), false)
const ownTls = (options: WebSocketServer.Options) =>
  withRoutes(NodeWebSocketServer.layer({ ...options, port: 0, host: "127.0.0.1", tls }), true)

const attached = (options: WebSocketServer.Options) =>
  Effect.gen(function* () {
    const server = Http.createServer((_, response) => response.end("plain"))
    yield* listen(server)
    return yield* withRoutes(NodeWebSocketServer.layerAttached(server, options), false)
  })

const attachedTls = (options: WebSocketServer.Options) =>
  Effect.gen(function* () {
    const server = Https.createServer(tls, (_, response) => response.end("plain"))
    yield* listen(server)
    return yield* withRoutes(NodeWebSocketServer.layerAttached(server, options), true)
  })

const contentType = "text/plain; charset=utf-8"

const echo = Effect.gen(function* () {
  const { cookies } = yield* HttpServerRequest.HttpServerRequest
  const name = cookies["name"]
  if (name === undefined) {
    return HttpServerResponse.text("Who are you?\n", {
      status: 401,
      contentType,
      headers: { "www-authenticate": "Cookie", connection: "close" }
    })
  }
  return yield* WebSocketUpgrade.upgrade(
    (socket) => socket.run((message) => socket.send(`${name}: ${String(message.data)}`)),
    { headers: { "X-Greeting": "hello" } }
  )
})

const nothing = HttpServerResponse.text("There is no WebSocket at this path\n", {
  status: 404,
  contentType,
  headers: { connection: "close" }
})

const others: ReadonlyArray<Route> = [
  ["GET", "/files/*", WebSocketUpgrade.upgrade((socket) => socket.send(socket.request.path))],
  [
    "GET",
    "/undecided",
    Effect.tap(
      WebSocketUpgrade.upgrade(() => Effect.void),
      Effect.never
    )
  ],
  ["*", "*", Effect.succeed(nothing)]
]

const served = (app: App) => (options: WebSocketServer.Options) =>
  Effect.map(serve(app, options), ({ port, service }) => ({ port, secure: false, connections: service.connections }))

const client = ({ port, secure }: Attached): Effect.Effect<Peer, never, Scope.Scope> =>
  secure
    ? Effect.flatMap(rawClient(port), ({ socket }) =>
        Effect.acquireRelease(
          Effect.callback<Peer>((resume) => {
            const peer = new Peer(Tls.connect({ socket, ca: tls.cert }, () => resume(Effect.succeed(peer))))
            // TLS cannot send a RST; what carries it can.
            peer.reset = () => void socket.resetAndDestroy()
          }),
          (peer) =>
            Effect.suspend(() => {
              peer.socket.destroy()
              return peer.closed
            })
        )
      )
    : rawClient(port)

/** What a server answers, as it is, besides the date and the order of the headers. */
const answer = (text: string) => {
  const [head = "", body = ""] = text.split("\r\n\r\n")
  const [status, ...headers] = head.split("\r\n")
  const named = headers
    .filter((line) => !/^date:/i.test(line))
    .map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase()))
  return [status, ...named.sort(), body]
}

const text = (status: string, body: string, ...headers: ReadonlyArray<string>) => [
  `HTTP/1.1 ${status}`,
  ...["connection: close", `content-length: ${body.length + 1}`, ...headers].sort(),
  `${body}\n`
]

const plain = `content-type: ${contentType}`
const greeted = [
  "HTTP/1.1 101 Switching Protocols",
  "connection: Upgrade",
  `sec-websocket-accept: ${acceptOfKey}`,
  "upgrade: websocket",
  "x-greeting: hello",
  ""
]

const get = (path: string, changes: Parameters<typeof upgradeRequest>[0] = {}) =>
  upgradeRequest(changes, `GET ${path} HTTP/1.1`)
const ada = { Cookie: "name=Ada" }

/** One that speaks, with the first frame right behind its request. */
const greet = (server: Attached) =>
  Effect.gen(function* () {
    const peer = yield* client(server)
    peer.write(Buffer.concat([Buffer.from(get("/echo", ada)), frame(first.text, "early", true)]))
    assert.deepStrictEqual(answer(yield* peer.until("\r\n\r\n")), greeted)
    assert.strictEqual((yield* peer.frame).payload.toString(), "Ada: early")
    return peer
  })

const open = (server: Attached) => Effect.map(server.connections, (connections) => connections.length)

const modes: ReadonlyArray<
  readonly [string, (options: WebSocketServer.Options) => Effect.Effect<Attached, unknown, Scope.Scope>]
> = [
  ["a server of its own", own],
  ["a server of its own with TLS", ownTls],
  ["an http.Server", attached],
  ["an https.Server", attachedTls],
  ["an HttpRouter", served(serveRoutes([["GET", "/echo", echo], ...others]))],
  ["an HttpApi", served(serveApi("/echo", echo, others))]
]

describe.each(modes)("on %s", (_, attachWith) => {
  const attach = attachWith(options)

  it.live("accepts, and loses nothing that came behind the request", () =>
    Effect.gen(function* () {
      const server = yield* attach
      const peer = yield* greet(server)
      peer.write(frame(first.close, closing(1000), true))
      assert.deepStrictEqual((yield* peer.frame).payload, closing(1000))
      // Nothing behind the Close.
      assert.strictEqual((yield* peer.rest).length, 0)
    })
  )

  it.live("takes the beginning of a path", () =>
    Effect.gen(function* () {
      const peer = yield* client(yield* attach)
      peer.write(get("/files/a/b?c"))
      assert.match(yield* peer.until("\r\n\r\n"), /^HTTP\/1\.1 101 /)
      assert.strictEqual((yield* peer.frame).payload.toString(), "/files/a/b")
      assert.deepStrictEqual((yield* peer.frame).payload, closing(1000))
    })
  )

  const refused: ReadonlyArray<readonly [name: string, request: string, response: ReadonlyArray<string>]> = [
    [
      "another origin",
      get("/echo", { ...ada, Origin: "http://evil.example" }),
      text("403 Forbidden", 'The origin "http://evil.example" is not allowed', plain)
    ],
    [
      "who does not pass the check",
      get("/echo"),
      text("401 Unauthorized", "Who are you?", plain, "www-authenticate: Cookie")
    ],
    ["an unknown path", get("/nowhere", ada), text("404 Not Found", "There is no WebSocket at this path", plain)],
    [
      "a malformed key",
      get("/echo", { ...ada, "Sec-WebSocket-Key": "short" }),
      text("400 Bad Request", "Sec-WebSocket-Key is not the base64 of 16 bytes (RFC 6455 §4.2.1)", plain)
    ],
    [
      "a duplicate version",
      get("/echo", { ...ada, "Sec-WebSocket-Version": ["13", "13"] }),
      text("400 Bad Request", "The header sec-websocket-version comes more than once (RFC 6455 §4.1)", plain)
    ],
    [
      "a body",
      get("/echo", { ...ada, "Content-Length": "7" }) + frame(first.text, "a", true).toString("latin1"),
      text("400 Bad Request", "An upgrade request has no body (RFC 6455 §4.2.1)", plain)
    ],
    [
      "a body in chunks",
      `${get("/echo", { ...ada, "Transfer-Encoding": "chunked" })}1\r\na\r\n0\r\n\r\n`,
      text("400 Bad Request", "An upgrade request has no body (RFC 6455 §4.2.1)", plain)
    ],
    [
      "another version",
      get("/echo", { ...ada, "Sec-WebSocket-Version": "12" }),
      text(
        "426 Upgrade Required",
        'The version is "12", not 13 (RFC 6455 §4.4)',
        plain,
        "sec-websocket-version: 13",
        "upgrade: websocket"
      )
    ]
  ]
  it.live.each(refused)("refuses %s, completely", ([, request, expected]) =>
    Effect.gen(function* () {
      const server = yield* attach
      const peer = yield* client(server)
      peer.write(request)
      const received = answer((yield* peer.rest).toString())
      assert.deepStrictEqual(received.slice(0, -1), expected.slice(0, -1).map(byteLength(expected)))
      assert.strictEqual(received.at(-1), expected.at(-1))
      yield* greet(server)
    })
  )

  it.live("refuses more than the limit, with 503, until there is room again", () =>
    Effect.gen(function* () {
      const server = yield* attach
      const leaving = yield* greet(server)
      yield* greet(server)
      const late = yield* client(server)
      late.write(get("/echo", ada))
      assert.deepStrictEqual(
        answer((yield* late.rest).toString()),
        text("503 Service Unavailable", "The server has all the connections that it may have", plain, "retry-after: 7")
      )
      leaving.reset()
      yield* Effect.repeat(Effect.andThen(Effect.yieldNow, Effect.andThen(turn, open(server))), {
        until: (count) => count === 1
      })
      yield* greet(server)
    })
  )

  it.live("refuses more than a client may have, and faster than it may, with 429", () =>
    Effect.gen(function* () {
      const many = yield* attachWith({ admission: { maxConnectionsPerKey: 1 }, retryAfter: "7 seconds" })
      yield* greet(many)
      const another = yield* client(many)
      another.write(get("/echo", ada))
      assert.deepStrictEqual(
        answer((yield* another.rest).toString()),
        text("429 Too Many Requests", "There are too many connections from this client", plain, "retry-after: 7")
      )
      const rate = { limit: 1, interval: "1 hours" } as const
      const fast = yield* attachWith({ admission: { handshakeRatePerKey: rate } })
      yield* greet(fast)
      const next = yield* client(fast)
      next.write(get("/echo", ada))
      const [status, ...lines] = answer((yield* next.rest).toString())
      assert.strictEqual(status, "HTTP/1.1 429 Too Many Requests")
      assert.strictEqual(lines.at(-1), "There are too many handshakes\n")
      assert.match(lines.join("\n"), /^retry-after: 3(600|59\d)$/m)
    })
  )

  it.live("answers 400 to anything that is not HTTP, and ends", () =>
    Effect.gen(function* () {
      const server = yield* attach
      const peer = yield* client(server)
      peer.write("What is this?\r\n\r\n")
      assert.deepStrictEqual(answer((yield* peer.rest).toString()), [
        "HTTP/1.1 400 Bad Request",
        "connection: close",
        ""
      ])
      yield* greet(server)
    })
  )

  it.live("drops a client that ends before it is answered, whatever it sent, and frees its place", () =>
    Effect.gen(function* () {
      const server = yield* attach
      for (const behind of ["", "one", "one and two"]) {
        const peers = yield* Effect.all([client(server), client(server)])
        for (const peer of peers) {
          peer.write(Buffer.concat([Buffer.from(get("/undecided", ada)), frame(first.text, behind, true)]))
          peer.end()
        }
        for (const peer of peers) yield* peer.left
      }
      yield* greet(server)
      yield* greet(server)
    })
  )

  it.live("sends 100 before 101 to a client that expects it", () =>
    Effect.gen(function* () {
      const peer = yield* client(yield* attach)
      peer.write(get("/echo", { ...ada, Expect: "100-continue" }))
      assert.strictEqual(yield* peer.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n")
      assert.deepStrictEqual(answer(yield* peer.until("\r\n\r\n")), greeted)
    })
  )

  it.live("outlives a reset in the middle of the handshake", () =>
    Effect.gen(function* () {
      const server = yield* attach
      for (const end of [20, undefined]) {
        const peer = yield* client(server)
        peer.write(get("/echo", ada).slice(0, end))
        yield* turn
        peer.reset()
        yield* peer.closed
      }
      yield* Effect.repeat(Effect.andThen(turn, open(server)), { until: (count) => count === 0 })
      yield* greet(server)
    })
  )
})

const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** The section sign has two bytes. */
const byteLength = (expected: ReadonlyArray<string>) => (line: string) =>
  line.startsWith("content-length:") ? `content-length: ${Buffer.byteLength(expected.at(-1) ?? "")}` : line

describe.each([
  ["HTTP", own],
  ["TLS", ownTls]
] as const)("listening by itself, over %s", (_, attach) => {
  it.live("drops the oldest of too many silent sockets, and no others", () =>
    Effect.gen(function* () {
      const server = yield* attach({ admission: { maxHandshakes: 1 } })
      const talking = yield* greet(server)
      const oldest = yield* client(server)
      const newer = yield* client(server)
      yield* oldest.left
      talking.write(frame(first.text, "hello", true))
      assert.strictEqual((yield* talking.frame).payload.toString(), "Ada: hello")
      newer.write(get("/echo", ada))
      assert.deepStrictEqual(answer(yield* newer.until("\r\n\r\n")), greeted)
    })
  )
})

describe("listening by itself", () => {
  it.live("over TLS, drops a client whose TCP ends alone, whatever it sent, and frees its place", () =>
    Effect.gen(function* () {
      const server = yield* ownTls({ admission: { maxConnections: 1 } })
      for (const behind of ["", "one"]) {
        const { socket } = yield* rawClient(server.port)
        const secure = yield* Effect.callback<Tls.TLSSocket>((resume) => {
          const secure: Tls.TLSSocket = Tls.connect({ socket, ca: tls.cert }, () => resume(Effect.succeed(secure)))
        })
        secure.on("error", () => {})
        const left = Effect.callback<void>((resume) => void secure.once("end", () => resume(Effect.void)).resume())
        const sent = Buffer.concat([Buffer.from(get("/undecided", ada)), frame(first.text, behind, true)])
        yield* Effect.callback<void>((resume) => void secure.write(sent, () => resume(Effect.void)))
        const leaving = yield* Effect.forkChild(left)
        yield* turn
        socket.end()
        yield* Fiber.join(leaving)
        secure.destroy()
      }
      yield* greet(server)
    })
  )

  it.live("answers 426 to another protocol, and takes no upgrade behind the end of a connection", () =>
    Effect.gen(function* () {
      const peer = yield* client(yield* own(options))
      peer.write(get("/echo", { "Sec-WebSocket-Key": undefined, Upgrade: "h2c" }) + get("/echo", ada))
      const received = answer((yield* peer.rest).toString())
      assert.strictEqual(received[0], "HTTP/1.1 426 Upgrade Required")
      assert.include(received, "connection: Upgrade, close")
      assert.isFalse(received.some((line) => line?.includes("101")))
    })
  )
})

describe("attached beside others", () => {
  it.live("answers pipelined requests in their order, a long response too", () =>
    Effect.gen(function* () {
      const answers: Array<Http.ServerResponse> = []
      const long = "x".repeat(4 * mebibyte)
      const server = Http.createServer((request, response) => {
        if (request.url === "/long") Readable.from([long.slice(0, mebibyte), long.slice(mebibyte)]).pipe(response)
        else answers.push(response)
      })
      const port = yield* listen(server)
      yield* withRoutes(NodeWebSocketServer.layerAttached(server), false)
      const peer = yield* rawClient(port)
      const plainGet = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
      peer.write(plainGet("/a") + plainGet("/long") + get("/echo", ada))
      peer.write(frame(first.text, "early", true))
      yield* eventually(() => answers.length === 1)
      answers[0]?.end("first")
      yield* peer.until("first")
      const response = yield* peer.until("HTTP/1.1 101 ")
      assert.isAbove(response.length, long.length)
      yield* peer.until("\r\n\r\n")
      assert.strictEqual((yield* peer.frame).payload.toString(), "Ada: early")
    })
  )

  it.live("leaves them the upgrades that are theirs, and all plain requests", () =>
    Effect.gen(function* () {
      const server = Http.createServer((_, response) => response.end("plain"))
      server.on("upgrade", (request, socket) => {
        if (request.url === "/other") socket.end("HTTP/1.1 418 I'm a teapot\r\nConnection: close\r\n\r\n")
      })
      yield* listen(server)
      const ours = yield* withRoutes(NodeWebSocketServer.layerAttached(server), false)
      const other = yield* client(ours)
      other.write(get("/other"))
      assert.match((yield* other.rest).toString(), /^HTTP\/1\.1 418 /)
      const request = yield* client(ours)
      request.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
      assert.match((yield* request.rest).toString(), /^HTTP\/1\.1 200 [^]*plain/)
      yield* greet(ours)
    })
  )

  it.live("answers 503 while it stops, and leaves the server as it was", () =>
    Effect.gen(function* () {
      const server = Http.createServer((_, response) => response.end("plain"))
      const port = yield* listen(server)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const context = yield* Layer.build(
            Layer.provideMerge(NodeWebSocketServer.layerAttached(server, options), quiet)
          )
          const service = Context.get(context, WebSocketServer.WebSocketServer)
          assert.deepStrictEqual(yield* service.drain(), { closed: 0, dropped: 0, interrupted: 0 })
          const peer = yield* rawClient(port)
          peer.write(get("/"))
          assert.deepStrictEqual(
            answer((yield* peer.rest).toString()),
            text("503 Service Unavailable", "The server is stopping", plain, "retry-after: 7")
          )
        })
      )
      assert.strictEqual(server.listenerCount("upgrade"), 0)
      assert.isTrue(server.listening)
    })
  )
})
