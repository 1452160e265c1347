import { WebSocketClient, WebSocketServer, WebSocketTest } from "@effect-websocket/platform"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope, TestClock } from "effect"
import { isPending, outcome, settled } from "./support.js"

const echo = WebSocketServer.run((socket) => socket.run((message) => socket.send(message)))

describe("the layer", () => {
  layer(WebSocketTest.layer)((it) => {
    it.scoped("joins a client and a server, whatever the URL", () =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(echo)
        for (const url of [(yield* WebSocketServer.address).url, "wss://example.com/chat?room=1"]) {
          const socket = yield* WebSocketClient.connect(url)
          yield* socket.send("hello")
          assert.strictEqual((yield* socket.receive).data, "hello")
        }
      })
    )

    it.scoped("negotiates: the server sees what the client sends, and agrees on nothing that it does not speak", () =>
      Effect.gen(function* () {
        const connecting = yield* Effect.fork(
          WebSocketClient.connect("ws://test/path", { protocols: ["a"], headers: { "X-Name": "value" } })
        )
        const { request } = yield* WebSocketServer.accept
        assert.deepStrictEqual(
          [request.url, request.host, request.protocols, request.headers["x-name"]],
          ["/path", "test", ["a"], ["value"]]
        )
        assert.isUndefined((yield* connecting).protocol)
      })
    )

    it.scoped("closes with a handshake, in both directions", () =>
      Effect.gen(function* () {
        const scopes = { client: yield* Scope.make(), server: yield* Scope.make() }
        for (const [closing, other] of [
          ["client", "server"],
          ["server", "client"]
        ] as const) {
          const [client, server] = yield* Effect.all(
            [
              WebSocketClient.connect("ws://test").pipe(Scope.extend(scopes.client)),
              WebSocketServer.accept.pipe(Scope.extend(scopes.server))
            ],
            { concurrency: "unbounded" }
          )
          const sockets = { client, server }
          yield* sockets[closing].close("PolicyViolation", "no")
          assert.deepStrictEqual(outcome(yield* sockets[closing].closeStatus), [1008, 1008, "local", true])
          assert.deepStrictEqual(outcome(yield* sockets[other].closeStatus), [1008, 1008, "remote", true])
        }
        yield* Scope.close(scopes.client, Exit.void)
        yield* Scope.close(scopes.server, Exit.void)
      })
    )

    it.effect("drops an attempt that times out or is interrupted: the server never sees it", () =>
      Effect.gen(function* () {
        const slow = yield* Effect.fork(
          Effect.flip(Effect.scoped(WebSocketClient.connect("ws://test/slow", { openTimeout: "1 seconds" })))
        )
        const interrupted = yield* Effect.fork(Effect.scoped(WebSocketClient.connect("ws://test/interrupted")))
        assert.isTrue(yield* isPending(slow))
        yield* Fiber.interrupt(interrupted)
        yield* TestClock.adjust("1 seconds")
        const error = yield* Fiber.join(slow)
        assert(error._tag === "Io_error")
        assert.strictEqual(error.reason, "Timeout")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const connecting = yield* Effect.fork(WebSocketClient.connect("ws://test/here"))
            assert.strictEqual((yield* WebSocketServer.accept).url, "/here")
            yield* Fiber.join(connecting)
          })
        )
      })
    )
  })

  it.effect("takes the options of a server", () =>
    Effect.gen(function* () {
      yield* Effect.forkScoped(echo)
      const socket = yield* WebSocketClient.connect("ws://test", { protocols: ["a", "b"], origin: "https://a.example" })
      assert.strictEqual(socket.protocol, "b")
      yield* socket.send("four")
      const status = yield* socket.closeStatus
      assert.strictEqual(status.received?.code, 1009)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        WebSocketTest.layerWith({ protocols: ["b"], origin: () => undefined, limits: { maxMessageBytes: 3 } })
      )
    )
  )

  it.effect("is a world of its own each time it is built, and refuses connections once released", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const [first, second] = yield* Effect.all([
        Layer.buildWithScope(WebSocketTest.layer, scope),
        Layer.buildWithScope(WebSocketTest.layer, scope)
      ])
      const waiting = yield* Effect.fork(WebSocketServer.accept.pipe(Effect.provide(second), Effect.scoped))
      const connecting = yield* Effect.fork(
        WebSocketClient.connect("ws://test").pipe(Effect.provide(first), Effect.scoped, Effect.flip)
      )
      assert.isTrue(yield* isPending(waiting))
      yield* Scope.close(scope, Exit.void)
      yield* settled
      for (const refused of [
        yield* Fiber.join(connecting),
        yield* WebSocketClient.connect("ws://test").pipe(Effect.provide(first), Effect.scoped, Effect.flip)
      ]) {
        assert(refused._tag === "Handshake_rejected")
        assert.strictEqual(refused.status, 503)
        assert.strictEqual(new TextDecoder().decode(refused.body), "The server is stopping")
        assert.isFalse(refused.bodyTruncated)
      }
    })
  )
})
