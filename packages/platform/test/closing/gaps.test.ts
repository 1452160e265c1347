/**
 * Two things at the same moment: two sides or scopes that close, or one that closes in the same step as another event.
 * docs/closing.md lists these, and says where the others are tested.
 */
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { Clock, Effect, Exit, Fiber, Layer, Logger, Scope, TestClock } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { alone, close, from, other, outcome, roles, settled, shown, upgradeRequest, wrote } from "../support.js"
import { closeTimeout } from "./cells.js"

const ways: ReadonlyArray<readonly [name: string, exit: Exit.Exit<void, string>, code: number]> = [
  ["success", Exit.void, 1000],
  ["interruption", Exit.interrupt(), 1001],
  ["failure", Exit.fail("no"), 1011]
]

describe("two scopes at the same moment", () => {
  for (const [first, firstExit, code] of ways) {
    for (const [second, secondExit] of ways) {
      it.effect(
        `the accepted connection's (${first}) and the server's layer (${second}): one Close, one deadline`,
        () =>
          Effect.gen(function* () {
            const pair = yield* MockTransport.make()
            const layerScope = yield* Scope.make()
            const { offer, service } = yield* WebSocketServer.make(
              { hostname: "test", port: 80, url: "ws://test" },
              { closeTimeout }
            ).pipe(Scope.provide(layerScope))
            offer({
              request: upgradeRequest,
              remoteAddress: undefined,
              isGone: () => false,
              upgrade: () => pair.server,
              reject: () => {}
            })
            const scope = yield* Scope.make()
            const socket = yield* service.accept().pipe(Scope.provide(scope))
            const closed = yield* Effect.all(
              [Scope.close(scope, firstExit), Scope.close(layerScope, secondExit)].map((closing) =>
                Effect.andThen(closing, Clock.currentTimeMillis)
              ),
              { concurrency: "unbounded" }
            ).pipe(Effect.forkChild)
            yield* TestClock.adjust(closeTimeout)
            assert.deepStrictEqual(yield* Fiber.join(closed), [closeTimeout, closeTimeout])
            assert.deepStrictEqual(yield* wrote(pair, "server"), [`Close ${code}`])
            assert.deepStrictEqual(outcome(yield* socket.closeStatus), [code, undefined, "local", false])
          })
      )
    }
  }
})

for (const role of roles) {
  describe(`in one step, as ${role}`, () => {
    for (const [order, sent, initiator] of [
      ["our Close is sent and the peer's arrives: each keeps its code", "Close 4000 ours", "local"],
      ["the peer's Close arrives just before ours is sent: the peer's code is sent back", "Close 4001", "remote"]
    ] as const) {
      it.effect(`${order}; clean`, () =>
        Effect.gen(function* () {
          const { eof, inject, pair, socket } = yield* alone(role)
          const closing = yield* Effect.forkChild(socket.close(4000, "ours"))
          if (initiator === "local") yield* Effect.yieldNow
          yield* inject(close(4001, "theirs"))
          yield* settled
          yield* eof
          yield* Fiber.join(closing)
          assert.deepStrictEqual(yield* wrote(pair, role), [sent])
          const code = initiator === "local" ? 4000 : 4001
          assert.deepStrictEqual(outcome(yield* socket.closeStatus), [code, 4001, initiator, true])
        })
      )
    }

    it.effect("finds the peer's Close behind more unread messages than the inbox holds, and keeps nothing", () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const scope = yield* Scope.make()
        const socket = yield* WebSocket.fromTransport(pair[role], { role, receiveHighWaterMark: 1000 }).pipe(
          Scope.provide(scope)
        )
        const peer = yield* WebSocket.fromTransport(pair[other(role)], { role: other(role) }).pipe(
          Scope.provide(yield* Scope.make())
        )
        yield* Effect.forkChild(peer.run(() => {}))
        const flooding = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 100 }), () => peer.send(new Uint8Array(10_000)), { discard: true })
        )
        yield* settled
        // The transport is paused, and the peer waits to send more.
        assert.strictEqual((yield* Fiber.poll(flooding))._tag, "None")
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1000, 1000, "local", true])
        assert.strictEqual(yield* Clock.currentTimeMillis, 0)
        assert.deepStrictEqual(yield* Effect.flip(socket.receive), (yield* socket.closeStatus).error)
      })
    )

    it.effect("ends at the deadline, not clean, if both Closes are sent and ours is never read", () =>
      Effect.gen(function* () {
        const { inject, pair, socket } = yield* alone(role)
        yield* from(pair, role).stall
        const closing = yield* Effect.forkChild(socket.close(4000))
        yield* settled
        yield* inject(close(4000))
        yield* TestClock.adjust(closeTimeout)
        yield* Fiber.join(closing)
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [4000, 4000, "local", false])
      })
    )

    it.effect("ends at once, not clean, if abort is called during the closing handshake", () =>
      Effect.gen(function* () {
        const { pair, seen, socket } = yield* alone(role)
        const closing = yield* Effect.forkChild(socket.close(4000))
        yield* settled
        yield* Effect.all([socket.abort, socket.abort, socket.close()], { concurrency: "unbounded" })
        yield* Fiber.join(closing)
        assert.strictEqual(yield* Clock.currentTimeMillis, 0)
        assert.deepStrictEqual(yield* wrote(pair, role), ["Close 4000"])
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [4000, undefined, "local", false])
        yield* settled
        assert.deepStrictEqual(seen, ["error", "close"])
      })
    )

    it.effect(
      "sends waiting messages and the Close of an ending scope in their order, to a peer that does not read",
      () =>
        Effect.gen(function* () {
          const pair = yield* MockTransport.make()
          const outbound = from(pair, role)
          const scope = yield* Scope.make()
          const socket = yield* WebSocket.fromTransport(pair[role], { role, sendHighWaterMark: 10 }).pipe(
            Scope.provide(scope)
          )
          yield* outbound.stall
          const sending = yield* Effect.forkChild(socket.send("x".repeat(100)))
          yield* Effect.forkChild(socket.send("never"))
          yield* settled
          const closing = yield* Effect.forkChild(Scope.close(scope, Exit.interrupt()))
          yield* settled
          assert.deepStrictEqual(shown(other(role), yield* outbound.written), [`Text ${"x".repeat(100)}`, "Close 1001"])
          yield* pair.reset
          yield* Fiber.join(closing)
          yield* Fiber.await(sending)
        })
    )
  })
}

describe("the release of a server's layer while handlers run", () => {
  it.effect("interrupts the handlers, whose finalizers still send, then closes with 1001, within one deadline", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const handlers = WebSocketServer.layerHandler((socket) =>
        Effect.andThen(
          Effect.addFinalizer(() => Effect.ignore(socket.send("bye"))),
          socket.run(() => Effect.never)
        )
      )
      const test = yield* Layer.buildWithScope(WebSocketTest.layer, yield* Scope.make())
      yield* Layer.buildWithScope(Layer.provide(handlers, Layer.succeedContext(test)), scope)
      const clients = yield* Effect.forEach(Array.from({ length: 3 }), () =>
        WebSocketClient.connect("ws://test").pipe(Effect.provide(test))
      ).pipe(Scope.provide(yield* Scope.make()))
      yield* Effect.forEach(clients, (client) => client.send("go"))
      yield* settled
      yield* Scope.close(scope, Exit.void)
      for (const client of clients) {
        assert.strictEqual((yield* client.receive).data, "bye")
        assert.deepStrictEqual(outcome(yield* client.closeStatus), [1001, 1001, "remote", true])
      }
    }).pipe(Effect.provide(Logger.withoutDefault))
  )
})
