/** What becomes of requests that are not for a WebSocket, or for nobody, on an HTTP server that others use, too. */
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketUpgrade from "@effect-websocket/platform/WebSocketUpgrade"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import * as NodeWebSocketUpgrade from "@effect-websocket/platform/node/NodeWebSocketUpgrade"
import { NodeHttpServer } from "@effect/platform-node"
import * as Http from "node:http"
import * as Https from "node:https"
import type { AddressInfo } from "node:net"
import * as Tls from "node:tls"
import { HttpServerRequest, HttpServerResponse, listening, serveRoutes } from "../../effect/http.js"
import { Effect, Exit, Fiber, Layer, Logger, Scope } from "../../effect/index.js"
import { afterEach, assert, describe, it } from "../../effect/vitest.js"
import {
  childScope,
  eventually,
  first,
  frame,
  listen,
  noHandlesLeft,
  Peer,
  rawClient,
  readResponse,
  tls,
  upgradeRequest
} from "../support.js"

afterEach(noHandlesLeft)

const quiet = Logger.withoutDefault

const attach = (server: Http.Server, path: string, options: WebSocketServer.Options = {}) =>
  Layer.build(
    WebSocketServer.layerRoute({ path, handler: (socket) => socket.run((message) => socket.send(message)) }).pipe(
      Layer.provide(NodeWebSocketServer.layerAttached(server, options)),
      Layer.provideMerge(quiet)
    )
  )

const get = (path: string, headers = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers}\r\n`
const upgrade = (path: string, changes: Parameters<typeof upgradeRequest>[0] = {}) =>
  upgradeRequest(changes, `GET ${path} HTTP/1.1`)

/** What `curl --http2` and the client of Java send. */
const h2c = (method: string, path: string, body: string | undefined, ...headers: ReadonlyArray<string>) =>
  [
    `${method} ${path} HTTP/1.1`,
    "Host: a",
    "Connection: Upgrade, HTTP2-Settings",
    "Upgrade: h2c",
    "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    ...headers,
    ...(body === undefined ? [] : [`Content-Length: ${body.length}`]),
    "",
    body ?? ""
  ].join("\r\n")

const describeRequest = (request: Http.IncomingMessage, response: Http.ServerResponse): void => {
  let body = ""
  request.on("data", (chunk) => (body += String(chunk)))
  request.on("end", () => response.end(`<${request.method} ${request.url} ${body}>`))
}

const echoes = (peer: Peer) =>
  Effect.gen(function* () {
    assert.match(yield* peer.until("\r\n\r\n"), /^HTTP\/1\.1 101 /)
    peer.write(frame(first.text, "hello", true))
    assert.strictEqual((yield* peer.frame).payload.toString(), "hello")
  })

const tlsClient = (port: number) =>
  Effect.flatMap(rawClient(port), ({ socket }) =>
    Effect.callback<Peer>((resume) => {
      const peer = new Peer(Tls.connect({ socket, ca: tls.cert }, () => resume(Effect.succeed(peer))))
    })
  )

describe("another protocol than websocket", () => {
  it.live.each([false, true])("reaches the app, with its body, again and again (TLS: %s)", (secure) =>
    Effect.gen(function* () {
      const server = secure ? Https.createServer(tls, describeRequest) : Http.createServer(describeRequest)
      const warnings: Array<Error> = []
      const onWarning = (warning: Error) => warnings.push(warning)
      process.on("warning", onWarning)
      const port = yield* listen(server)
      yield* attach(server, "/echo")
      const peer = yield* secure ? tlsClient(port) : rawClient(port)
      for (let i = 0; i < 12; i++) {
        peer.write(h2c("POST", `/${i}`, "body"))
        yield* peer.until(`<POST /${i} body>`)
      }
      const chunked = h2c("POST", "/chunked", undefined, "Transfer-Encoding: chunked")
      // Node itself loses what is pipelined behind such a request.
      peer.write(`${get("/plain")}${chunked}3\r\nabc\r\n0\r\n\r\n`)
      yield* peer.until("<GET /plain >")
      yield* peer.until("<POST /chunked abc>")
      peer.write(h2c("GET", "/last", undefined))
      yield* peer.until("<GET /last >")
      peer.write(upgrade("/echo"))
      yield* echoes(peer)
      process.off("warning", onWarning)
      assert.deepStrictEqual(warnings, [])
    })
  )

  it.live("is for other listeners, if there are any", () =>
    Effect.gen(function* () {
      const server = Http.createServer(describeRequest)
      server.on("upgrade", (request, socket) => socket.end(`HTTP/1.1 418 ${request.headers.upgrade}\r\n\r\n`))
      const port = yield* listen(server)
      yield* attach(server, "/echo")
      const peer = yield* rawClient(port)
      peer.write(h2c("GET", "/", undefined))
      assert.strictEqual(yield* peer.until("\r\n"), "HTTP/1.1 418 h2c\r\n")
    })
  )

  it.live("reaches the routes of an HttpRouter, with its body", () =>
    Effect.gen(function* () {
      const { port } = yield* router()
      const peer = yield* rawClient(port)
      for (const method of ["GET", "POST"]) {
        peer.write(h2c(method, "/plain", method === "POST" ? "body" : undefined))
        yield* peer.until(method === "POST" ? "<body>" : "<>")
      }
      peer.write(upgrade("/plain"))
      yield* peer.until("<>")
    })
  )
})

/** A router beside an attached server, on one port. */
const router = (options: WebSocketServer.Options = {}) =>
  Effect.gen(function* () {
    const server = Http.createServer()
    const plain = Effect.gen(function* () {
      const { text } = yield* HttpServerRequest.HttpServerRequest
      return HttpServerResponse.text(`<${yield* Effect.orDie(text)}>`)
    })
    const socket = WebSocketUpgrade.upgrade(() => Effect.never)
    const app = serveRoutes([
      ["*", "/plain", plain],
      ["GET", "/socket", socket]
    ])
    yield* Layer.build(
      Layer.mergeAll(
        app.pipe(Layer.provide(NodeWebSocketUpgrade.layer(server, options))),
        WebSocketServer.layerRoute({
          path: "/echo",
          handler: (socket) => socket.run((message) => socket.send(message))
        }).pipe(Layer.provide(NodeWebSocketServer.layerAttached(server, options)))
      ).pipe(Layer.provide(NodeHttpServer.layer(() => server, listening)), Layer.provideMerge(quiet))
    )
    return { server, port: (server.address() as AddressInfo).port }
  })

describe("several listeners", () => {
  it.live("share a server: each takes its own, and a path that nobody takes gets 404", () =>
    Effect.gen(function* () {
      const server = Http.createServer(describeRequest)
      const port = yield* listen(server)
      yield* attach(server, "/a")
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* attach(server, "/b")
          for (const path of ["/a", "/b"]) {
            const peer = yield* rawClient(port)
            peer.write(upgrade(path))
            yield* echoes(peer)
          }
          const lost = yield* rawClient(port)
          lost.write(upgrade("/c"))
          assert.strictEqual((yield* readResponse(lost)).status, 404)
        })
      )
      const late = yield* rawClient(port)
      late.write(upgrade("/b"))
      assert.strictEqual((yield* readResponse(late)).status, 404)
      assert.strictEqual(server.listenerCount("upgrade"), 1)
    })
  )

  it.live(
    "keep the requests that they take, and have handshakeTimeout to take one; a reset does not end the process",
    () =>
      Effect.gen(function* () {
        const server = Http.createServer(describeRequest)
        const theirs: Array<() => void> = []
        let asked = 0
        server.on("upgrade", (request, socket) => {
          asked++
          if (request.url === "/theirs") theirs.push(() => socket.write("HTTP/1.1 101 Theirs\r\n\r\n"))
        })
        const port = yield* listen(server)
        yield* attach(server, "/echo", { handshakeTimeout: "200 millis" })
        const resetting = yield* rawClient(port)
        resetting.write(upgrade("/nobody"))
        yield* eventually(() => asked === 1)
        resetting.reset()
        const peer = yield* rawClient(port)
        peer.write(upgrade("/theirs"))
        yield* eventually(() => theirs.length === 1)
        theirs[0]?.()
        assert.strictEqual(yield* peer.until("\r\n\r\n"), "HTTP/1.1 101 Theirs\r\n\r\n")
        const lost = yield* rawClient(port)
        lost.write(upgrade("/nobody"))
        assert.strictEqual((yield* readResponse(lost)).status, 404)
        assert.strictEqual(peer.unread, 0)
        const ours = yield* rawClient(port)
        ours.write(upgrade("/echo"))
        yield* echoes(ours)
        // Ours is not shown to others.
        assert.strictEqual(asked, 3)
      })
  )

  it.live("take nothing: a client that has ended is dropped at handshakeTimeout", () =>
    Effect.gen(function* () {
      const server = Http.createServer(describeRequest)
      server.on("upgrade", () => {})
      const port = yield* listen(server)
      yield* attach(server, "/echo", { handshakeTimeout: "100 millis" })
      const peer = yield* rawClient(port)
      peer.write(upgrade("/nobody"))
      peer.socket.end()
      yield* peer.closed
    })
  )

  it.live("do not keep the process alive while they have time", () =>
    Effect.gen(function* () {
      const server = Http.createServer(describeRequest)
      let asked = 0
      server.on("upgrade", () => asked++)
      const port = yield* listen(server)
      yield* attach(server, "/echo")
      const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
      const peer = yield* rawClient(port)
      const before = timers()
      peer.write(upgrade("/nobody"))
      yield* eventually(() => asked === 1)
      assert.strictEqual(timers(), before)
    })
  )

  it.live("leave a connection to one of them: an attached server beside an HttpRouter", () =>
    Effect.gen(function* () {
      const { port } = yield* router()
      const peer = yield* rawClient(port)
      peer.write(upgrade("/echo"))
      yield* echoes(peer)
      const request = yield* rawClient(port)
      request.write(get("/plain", "Connection: close\r\n"))
      assert.strictEqual((yield* readResponse(request)).body, "<>")
      // Nothing of the router's has come meanwhile.
      assert.strictEqual(peer.unread, 0)
    })
  )
})

describe("a request with more headers than Node keeps", () => {
  const many = "a:\r\n".repeat(2100)
  const request = (path: string) => upgrade(path).replace("\r\n\r\n", `\r\n${many}Content-Length: 8\r\n\r\n`)

  it.live("is refused with 431 on a server of the app's", () =>
    Effect.gen(function* () {
      const server = Http.createServer(describeRequest)
      const port = yield* listen(server)
      yield* attach(server, "/echo")
      const peer = yield* rawClient(port)
      peer.write(request("/echo"))
      assert.match(yield* peer.until("\r\n\r\n"), /^HTTP\/1\.1 431 /)
    })
  )

  it.live("is refused with 431 in a route of an HttpRouter", () =>
    Effect.gen(function* () {
      const { port } = yield* router()
      const peer = yield* rawClient(port)
      peer.write(request("/socket"))
      assert.match(yield* peer.until("\r\n\r\n"), /^HTTP\/1\.1 431 /)
    })
  )

  it.live("is read whole on a server of our own, and refused for its body", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(
        Layer.provideMerge(quiet, NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" }))
      )
      const { port } = yield* Effect.provide(WebSocketServer.address, context)
      const peer = yield* rawClient(port)
      peer.write(request("/"))
      assert.strictEqual((yield* readResponse(peer)).status, 400)
    })
  )
})

describe("an upgrade behind a request that is not answered yet", () => {
  it.live("is answered 503 when its server has gone meanwhile", () =>
    Effect.gen(function* () {
      const responses: Array<Http.ServerResponse> = []
      const server = Http.createServer((_, response) => void responses.push(response))
      const port = yield* listen(server)
      const scope = yield* childScope
      yield* Scope.provide(attach(server, "/echo"), scope)
      const peer = yield* rawClient(port)
      peer.write(get("/slow") + upgrade("/echo"))
      yield* eventually(() => responses.length === 1)
      yield* Scope.close(scope, Exit.void)
      responses[0]?.end("late")
      yield* peer.until("\r\n\r\nlate")
      assert.strictEqual((yield* readResponse(peer)).status, 503)
    })
  )
})

describe("while an app on one port stops", () => {
  it.live("answers 503 to requests without a listener, and drops requests and responses that never end", () =>
    Effect.gen(function* () {
      const scope = yield* childScope
      const options = { closeTimeout: "500 millis" } as const
      const { port, server } = yield* Scope.provide(router(options), scope)
      const talking = yield* rawClient(port)
      talking.write(upgrade("/echo"))
      yield* echoes(talking)
      const [keepAlive, half, halfUpgrade, silent, body] = yield* Effect.all(
        Array.from({ length: 5 }, () => rawClient(port))
      )
      assert(keepAlive && half && halfUpgrade && silent && body)
      keepAlive.write(get("/plain"))
      yield* keepAlive.until("<>")
      half.write("GET /pl")
      halfUpgrade.write(upgrade("/echo").slice(0, -2))
      body.write("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
      yield* body.until("HTTP/1.1 404 ")
      const left = yield* Effect.forkChild(
        Effect.forEach([half, halfUpgrade, silent, body], (peer) => peer.left, { concurrency: "unbounded" })
      )
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* eventually(() => server.listenerCount("request") === 0)
      keepAlive.write(get("/plain"))
      const response = yield* readResponse(keepAlive)
      assert.strictEqual(response.status, 503)
      assert.match(response.head, /connection: close/i)
      yield* Fiber.join(closing)
      yield* Fiber.join(left)
      assert.isFalse(server.listening)
      assert.strictEqual(server.listenerCount("upgrade"), 0)
    })
  )
})
