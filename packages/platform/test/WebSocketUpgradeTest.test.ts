/** Apps whose routes upgrade, in memory. */
import { connect } from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import * as WebSocketUpgrade from "@effect-websocket/platform/WebSocketUpgrade"
import * as WebSocketUpgradeTest from "@effect-websocket/platform/WebSocketUpgradeTest"
import { Deferred, Effect, Exit, Fiber, Scope, Stream } from "./effect/index.js"
import { HttpServerRequest, HttpServerResponse, routesInMemory } from "./effect/http.js"
import { assert, describe, it } from "./effect/vitest.js"

const echo = WebSocketUpgrade.upgrade((socket) => socket.run((message) => socket.send(message)))

const rejected = (path: string) =>
  Effect.map(Effect.flip(Effect.scoped(connect(path))), (error) => {
    assert(error._tag === "Handshake_rejected")
    return { status: error.status, headers: error.headers, text: error.text }
  })

describe("an app in memory", () => {
  it.effect("upgrades in its routes, behind their middleware", () =>
    Effect.gen(function* () {
      yield* WebSocketUpgradeTest.serve(
        yield* routesInMemory(
          [
            ["GET", "/echo", echo],
            [
              "GET",
              "/name",
              Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
                WebSocketUpgrade.upgrade((socket) => socket.send(`${headers["x-name"]} ${socket.protocol}`), {
                  protocol: "v2",
                  headers: { "x-served": "yes" }
                })
              )
            ],
            ["GET", "/page", Effect.succeed(HttpServerResponse.text("a page", { status: 200 }))]
          ],
          (answer) => Effect.map(answer, HttpServerResponse.setHeader("x-seen", "yes"))
        )
      )
      const socket = yield* connect("/echo")
      yield* socket.send("hello")
      yield* WebSocketTest.expectMessage(socket, "hello")
      const named = yield* connect("ws://elsewhere/name", { protocols: ["v1", "v2"], headers: { "x-name": "ann" } })
      yield* WebSocketTest.expectMessage(named, "ann v2")
      yield* WebSocketTest.expectClose(named, { code: 1000, initiator: "remote", clean: true })
      const page = yield* rejected("/page")
      assert.deepStrictEqual([page.status, page.text, page.headers["x-seen"]], [200, "a page", "yes"])
      assert.strictEqual((yield* rejected("/other")).status, 404)
      assert.strictEqual((yield* rejected("ws://test//")).status, 404)
    }).pipe(Effect.provide(WebSocketUpgradeTest.layer))
  )

  it.effect("interrupts the request of a client that leaves before the answer", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const slow = Effect.andThen(Deferred.succeed(begun, undefined), Effect.never).pipe(
        Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
      )
      yield* WebSocketUpgradeTest.serve(yield* routesInMemory([["GET", "/slow", slow]]))
      const connecting = yield* Effect.forkScoped(connect("/slow"))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(connecting)
      yield* Deferred.await(interrupted)
    }).pipe(Effect.provide(WebSocketUpgradeTest.layer))
  )

  it.effect("answers with the part of a body that came before its stream failed", () =>
    Effect.gen(function* () {
      const body = Stream.concat(Stream.make(new TextEncoder().encode("half")), Stream.fail("lost"))
      const page = Effect.succeed(HttpServerResponse.stream(body, { status: 200 }))
      yield* WebSocketUpgradeTest.serve(yield* routesInMemory([["GET", "/page", page]]))
      const error = yield* Effect.flip(Effect.scoped(connect("/page")))
      assert(error._tag === "Handshake_rejected")
      assert.deepStrictEqual([error.status, error.text, error.bodyTruncated], [200, "half", true])
    }).pipe(Effect.provide(WebSocketUpgradeTest.layer))
  )

  it.effect("is served for as long as the scope, and keeps the limits of the options", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* rejected("/echo")).status, 503)
      const scope = yield* Scope.make()
      yield* Effect.provideService(
        Effect.flatMap(routesInMemory([["GET", "/echo", echo]]), WebSocketUpgradeTest.serve),
        Scope.Scope,
        scope
      )
      const socket = yield* connect("/echo")
      yield* socket.send("too large")
      yield* WebSocketTest.expectClose(socket, { code: 1009 })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* rejected("/echo")).status, 503)
    }).pipe(Effect.provide(WebSocketUpgradeTest.layerWith({ limits: { maxMessageBytes: 4 } })))
  )
})
