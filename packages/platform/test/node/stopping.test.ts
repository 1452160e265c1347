/** `WebSocketServer.stop` over sockets: requests and ports. */
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import * as Http from "node:http"
import * as Net from "node:net"
import { Context, Deferred, Effect, Layer, Logger } from "../effect/index.js"
import { afterEach, assert, it } from "../effect/vitest.js"
import {
  first,
  frame,
  header,
  listen,
  noHandlesLeft,
  type Peer,
  rawClient,
  rawWebSocket,
  readResponse,
  serve,
  serveEcho,
  upgradeRequest
} from "./support.js"

afterEach(noHandlesLeft)

const assertRefused = (peer: Peer) =>
  Effect.gen(function* () {
    const { head, status } = yield* readResponse(peer)
    assert.strictEqual(status, 503)
    assert.strictEqual(header(head, "Connection"), "close")
    assert.strictEqual(header(head, "Retry-After"), "5")
  })

const assertEchoes = (peer: Peer) =>
  Effect.gen(function* () {
    peer.write(frame(first.text, "still there", true))
    assert.strictEqual((yield* peer.frame).payload.toString(), "still there")
  })

const isRefused = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ host: "127.0.0.1", port }, () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.on("error", () => resume(Effect.succeed(true)))
  })

it.live("a server of its own frees its port, answers clients that are connected, and keeps its WebSockets", () =>
  Effect.gen(function* () {
    const server = yield* serveEcho()
    const { port } = server.address
    const talking = yield* rawWebSocket(port)
    const silent = yield* rawClient(port)
    const half = yield* rawClient(port)
    half.write(upgradeRequest().slice(0, 20))
    yield* assertEchoes(talking)
    yield* server.stop
    yield* server.stop
    assert.isTrue(yield* isRefused(port))
    // Another takes its place, and is not disturbed.
    const next = yield* serveEcho({ port })
    assert.strictEqual(next.address.port, port)
    silent.write(upgradeRequest())
    yield* assertRefused(silent)
    half.write(upgradeRequest().slice(20))
    yield* assertRefused(half)
    yield* assertEchoes(talking)
    yield* assertEchoes(yield* rawWebSocket(port))
    assert.strictEqual(server.address.port, port)
    yield* Effect.forkDetach(talking.farewell)
    assert.deepStrictEqual(yield* server.drain(), { closed: 1, dropped: 0, interrupted: 0 })
  })
)

it.live("a server of its own refuses requests that wait for an accept", () =>
  Effect.gen(function* () {
    const server = yield* serve()
    const waiting = yield* rawClient(server.address.port)
    waiting.write(upgradeRequest())
    // Another request that came later has been answered.
    const later = yield* rawClient(server.address.port)
    later.write(upgradeRequest({ "Sec-WebSocket-Key": undefined }))
    assert.strictEqual((yield* readResponse(later)).status, 400)
    yield* server.stop
    yield* assertRefused(waiting)
  })
)

it.live("an attached server refuses the requests for its routes, and HTTP continues", () =>
  Effect.gen(function* () {
    const checking = yield* Deferred.make<void>()
    const http = Http.createServer((_, response) => response.end("mine"))
    const port = yield* listen(http)
    const routes = Layer.merge(
      WebSocketServer.layerRoute({
        path: "/echo",
        handler: (socket) => socket.run((message) => socket.send(message))
      }),
      WebSocketServer.layerRoute({
        path: "/slow",
        check: () =>
          Effect.as(Effect.andThen(Deferred.succeed(checking, undefined), Effect.never), UpgradeCheck.accept()),
        handler: () => Effect.void
      })
    )
    const services = yield* Layer.build(
      Layer.provideMerge(routes, NodeWebSocketServer.layerAttached(http)).pipe(
        Layer.provideMerge(Logger.withoutDefault)
      )
    )
    const server = Context.get(services, WebSocketServer.WebSocketServer)
    const talking = yield* rawWebSocket(port, "/echo")
    const slow = yield* rawClient(port)
    slow.write(upgradeRequest({}, "GET /slow HTTP/1.1"))
    yield* Deferred.await(checking)
    yield* server.stop
    yield* assertRefused(slow)
    const late = yield* rawClient(port)
    late.write(upgradeRequest({}, "GET /echo HTTP/1.1"))
    yield* assertRefused(late)
    const plain = yield* rawClient(port)
    plain.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert.strictEqual((yield* readResponse(plain)).body, "mine")
    assert.strictEqual(server.address.port, port)
    yield* assertEchoes(talking)
    yield* Effect.forkDetach(talking.farewell)
    yield* server.drain()
  })
)
