/** WebSockets in the routes of an HTTP router, behind its middleware. */
import * as WebSocketUpgrade from "@effect-websocket/platform/WebSocketUpgrade"
import type * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { HttpServerResponse, serveLayers, serveRoutes, type Middleware, type Route } from "../effect/http.js"
import { Deferred, Effect, Exit, Scope, Stream } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { serve } from "./httpApps.js"
import {
  childScope,
  connect,
  eventually,
  first,
  frame,
  header,
  noHandlesLeft,
  rawClient,
  rawWebSocket,
  readResponse,
  upgradeRequest
} from "./support.js"

afterEach(noHandlesLeft)

const serveRouter = (routes: ReadonlyArray<Route>, options?: WebSocketServer.Options, middleware?: Middleware) =>
  serve(serveRoutes(routes, middleware), options)

const echo = WebSocketUpgrade.upgrade((socket) => socket.run((message) => socket.send(message)))

describe("the subprotocol of an upgrade", () => {
  it.live("is one that the client offers, and none if it offers none", () =>
    Effect.gen(function* () {
      const { port } = yield* serveRouter([
        [
          "GET",
          "/",
          WebSocketUpgrade.upgrade((socket) => socket.send(String(socket.protocol)), { protocol: "chat.v2" })
        ]
      ])
      const said = (protocols?: ReadonlyArray<string>) =>
        Effect.scoped(
          Effect.flatMap(connect(`ws://127.0.0.1:${port}/`, { protocols }), (socket) =>
            Effect.map(socket.receive, ({ data }) => [socket.protocol, data])
          )
        )
      assert.deepStrictEqual(yield* said(["chat.v1", "chat.v2"]), ["chat.v2", "chat.v2"])
      assert.deepStrictEqual(yield* said(), [undefined, "undefined"])
      const error = yield* Effect.flip(said(["chat.v1"]))
      assert(error._tag === "Handshake_rejected")
      assert.strictEqual(error.status, 500)
    })
  )
})

describe("in a router of layers", () => {
  it.live("upgrades, with the service that the server is given", () =>
    Effect.gen(function* () {
      const { port } = yield* serve(serveLayers([["GET", "/echo", echo]]))
      const socket = yield* connect(`ws://127.0.0.1:${port}/echo`)
      yield* socket.send("hello")
      assert.strictEqual((yield* socket.receive).data, "hello")
    })
  )
})

describe("in an HttpRouter", () => {
  it.live("answers 426 to a request that is not an upgrade", () =>
    Effect.gen(function* () {
      const { port } = yield* serveRouter([["GET", "/", echo]])
      const peer = yield* rawClient(port)
      peer.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      const response = yield* readResponse(peer)
      assert.deepStrictEqual([response.status, header(response.head, "Upgrade")], [426, "websocket"])
    })
  )

  it.live("upgrades nothing if middleware replaces the response of the route", () =>
    Effect.gen(function* () {
      let handled = false
      const route = WebSocketUpgrade.upgrade(() =>
        Effect.sync(() => {
          handled = true
        })
      )
      const { port, service } = yield* serveRouter([["GET", "/", route]], {}, (app) =>
        Effect.as(app, HttpServerResponse.text("closed today", { status: 403 }))
      )
      const second = yield* rawClient(port)
      second.write(upgradeRequest({}, "GET / HTTP/1.1"))
      const closed = yield* readResponse(second)
      assert.deepStrictEqual(
        [closed.status, closed.body, header(closed.head, "Connection")],
        [403, "closed today", "close"]
      )
      assert.isFalse(handled)
      assert.lengthOf(yield* service.connections, 0)
    })
  )

  it.live("is not ended by a peer that resets while middleware still decides", () =>
    Effect.gen(function* () {
      const decided = yield* Deferred.make<void>()
      const asked = yield* Deferred.make<void>()
      let interrupted = 0
      const deciding = Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(decided)).pipe(
        Effect.onInterrupt(() => Effect.sync(() => interrupted++))
      )
      const { port } = yield* serveRouter([
        ["GET", "/", Effect.andThen(deciding, echo)],
        ["GET", "/now", echo]
      ])
      const peer = yield* rawClient(port)
      peer.write(upgradeRequest({}, "GET / HTTP/1.1"))
      yield* Deferred.await(asked)
      peer.reset()
      yield* peer.closed
      yield* eventually(() => interrupted === 1)
      yield* Deferred.succeed(decided, undefined)
      const other = yield* rawWebSocket(port, "/now")
      other.write(frame(first.text, "alive", true))
      assert.strictEqual((yield* other.frame).payload.toString(), "alive")
    })
  )

  it.live("leaves no request waiting behind a refused handshake", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
      const { port } = yield* serveRouter([["GET", "/", Effect.onExit(echo, (exit) => Deferred.succeed(ended, exit))]])
      const peer = yield* rawClient(port)
      peer.write(upgradeRequest({ "Sec-WebSocket-Key": "short" }, "GET / HTTP/1.1"))
      assert.strictEqual((yield* readResponse(peer)).status, 400)
      assert.isTrue(Exit.isSuccess(yield* Deferred.await(ended)))
    })
  )

  it.live("opens nothing after a drain has reported, wherever the request is", () =>
    Effect.gen(function* () {
      for (const place of ["before the route", "behind the route"] as const) {
        const entered = yield* Deferred.make<void>()
        const decided = yield* Deferred.make<void>()
        const wait = Effect.andThen(Deferred.succeed(entered, undefined), Deferred.await(decided))
        const slow: Middleware = (app) =>
          place === "before the route" ? Effect.andThen(wait, app) : Effect.tap(app, wait)
        const { port, service } = yield* serveRouter([["GET", "/", echo]], { retryAfter: "7 seconds" }, slow)
        const peer = yield* rawClient(port)
        peer.write(upgradeRequest({}, "GET / HTTP/1.1"))
        yield* Deferred.await(entered)
        assert.deepStrictEqual(yield* service.drain(), { closed: 0, dropped: 0, interrupted: 0 })
        yield* Deferred.succeed(decided, undefined)
        const { head, status } = yield* readResponse(peer)
        assert.strictEqual(status, 503)
        assert.strictEqual(header(head, "Retry-After"), "7")
        assert.deepStrictEqual(yield* service.connections, [])
      }
    })
  )

  it.live("answers 503 at handshakeTimeout, wherever the request is, and interrupts it", () =>
    Effect.gen(function* () {
      for (const place of ["before the route", "behind the route"] as const) {
        const interrupted = yield* Deferred.make<void>()
        const wait = Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        const slow: Middleware = (app) =>
          place === "before the route" ? Effect.andThen(wait, app) : Effect.tap(app, wait)
        const options = { handshakeTimeout: "50 millis", retryAfter: "7 seconds" } as const
        const { port } = yield* serveRouter([["GET", "/", echo]], options, slow)
        const peer = yield* rawClient(port)
        peer.write(upgradeRequest({}, "GET / HTTP/1.1"))
        const { head, status } = yield* readResponse(peer)
        assert.strictEqual(status, 503)
        assert.strictEqual(header(head, "Retry-After"), "7")
        yield* Deferred.await(interrupted)
      }
    })
  )

  it.live("keeps a connection, and a long response, beyond handshakeTimeout", () =>
    Effect.gen(function* () {
      const response = Effect.as(Effect.sleep("150 millis"), "response")
      const long = Stream.encodeText(Stream.concat(Stream.make("long "), Stream.fromEffect(response)))
      const { port } = yield* serveRouter(
        [
          ["GET", "/", echo],
          ["GET", "/long", Effect.succeed(HttpServerResponse.stream(long))]
        ],
        { handshakeTimeout: "50 millis" }
      )
      const peer = yield* rawWebSocket(port, "/")
      const other = yield* rawClient(port)
      other.write(upgradeRequest({}, "GET /long HTTP/1.1"))
      assert.include((yield* other.rest).toString(), "response")
      peer.write(frame(first.text, "hello", true))
      assert.strictEqual((yield* peer.frame).payload.toString(), "hello")
    })
  )

  it.live("interrupts the middleware of a client that has ended", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const slow: Middleware = (app) =>
        Effect.andThen(
          Deferred.succeed(entered, undefined),
          Effect.andThen(
            Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)),
            app
          )
        )
      const { port } = yield* serveRouter([["GET", "/", echo]], {}, slow)
      const peer = yield* rawClient(port)
      peer.write(upgradeRequest({}, "GET / HTTP/1.1"))
      yield* Deferred.await(entered)
      peer.end()
      yield* Deferred.await(interrupted)
      yield* peer.left
    })
  )

  it.live("released, closes its connections with 1001 before the HTTP server waits for them", () =>
    Effect.gen(function* () {
      const scope = yield* childScope
      const { port, server } = yield* Scope.provide(serveRouter([["GET", "/", echo]]), scope)
      const client = yield* connect(`ws://127.0.0.1:${port}/`)
      yield* client.send("hello")
      assert.strictEqual((yield* client.receive).data, "hello")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* client.closeStatus).received?.code, 1001)
      assert.isFalse(server.listening)
    })
  )

  it.live("released with `drain`, lets its handlers end", () =>
    Effect.gen(function* () {
      const scope = yield* childScope
      let saved = false
      const route = WebSocketUpgrade.upgrade((socket) =>
        Effect.andThen(
          socket.run((message) => socket.send(message)),
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => {
              saved = true
            })
          )
        )
      )
      const app = serveRouter([["GET", "/", route]], {
        drain: { code: 1012, reason: "new version" }
      })
      const { port } = yield* Scope.provide(app, scope)
      const client = yield* connect(`ws://127.0.0.1:${port}/`)
      yield* client.send("hello")
      assert.strictEqual((yield* client.receive).data, "hello")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual((yield* client.closeStatus).received, { code: 1012, reason: "new version" })
      assert.isTrue(saved)
    })
  )
})
