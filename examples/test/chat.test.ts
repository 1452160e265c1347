import { WebSocketClient, WebSocketServer, WebSocketTest } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Frame, Opcode } from "@effect-websocket/protocol"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, TestClock } from "effect"
import { ChatServer, hear, idleCode, slowTime } from "../src/chat.js"

const Chat = ChatServer.pipe(Layer.provideMerge(WebSocketTest.layer))

layer(Chat)("the server", (it) => {
  it.scoped("sends a line to everybody in its room, and to no other room", () =>
    Effect.gen(function* () {
      const ada = yield* WebSocketClient.connect("ws://test/tea?name=ada")
      yield* WebSocketTest.expectMessage(ada, "ada joined")
      const bob = yield* WebSocketClient.connect("ws://test/tea?name=bob")
      yield* WebSocketTest.expectMessage(bob, "bob joined")
      const eve = yield* WebSocketClient.connect("ws://test/coffee?name=eve")
      yield* WebSocketTest.expectMessage(eve, "eve joined")

      yield* ada.send("hello")
      yield* WebSocketTest.expectMessage(bob, "ada: hello")
      yield* WebSocketTest.expectNoMessage(eve)
    })
  )

  it.scoped("closes a connection without a name", () =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect("ws://test/tea")
      yield* WebSocketTest.expectClose(socket, { code: "PolicyViolation", reason: "a name is needed", clean: true })
    })
  )

  it.scoped("closes a connection that is idle", () =>
    Effect.gen(function* () {
      const ada = yield* WebSocketClient.connect("ws://test/idle?name=ada")
      yield* WebSocketTest.expectMessage(ada, "ada joined")
      yield* TestClock.adjust("59 seconds")
      yield* ada.send("still here")
      yield* WebSocketTest.expectMessage(ada, "ada: still here")
      yield* TestClock.adjust("59 seconds")
      yield* WebSocketTest.expectNoMessage(ada)
      yield* TestClock.adjust("1 seconds")
      yield* WebSocketTest.expectClose(ada, { code: idleCode, reason: "idle", initiator: "remote", clean: true })
    })
  )

  it.scoped("announces who left, also when the connection breaks", () =>
    Effect.gen(function* () {
      const ada = yield* WebSocketClient.connect("ws://test/leave?name=ada")
      const bob = yield* WebSocketClient.connect("ws://test/leave?name=bob")
      const eve = yield* WebSocketClient.connect("ws://test/leave?name=eve")
      for (const line of ["ada joined", "bob joined", "eve joined"]) yield* WebSocketTest.expectMessage(ada, line)

      yield* bob.close()
      yield* WebSocketTest.expectMessage(ada, "bob left")

      const network = yield* WebSocketTest.network(eve)
      yield* network.reset
      yield* WebSocketTest.expectMessage(ada, "eve left")
    })
  )

  it.scoped("drops a member who does not read", () =>
    Effect.gen(function* () {
      const ada = yield* WebSocketClient.connect("ws://test/slow?name=ada")
      const bob = yield* WebSocketClient.connect("ws://test/slow?name=bob")
      yield* WebSocketTest.expectMessage(ada, "ada joined")
      yield* WebSocketTest.expectMessage(ada, "bob joined")
      yield* WebSocketTest.expectMessage(bob, "bob joined")

      const network = yield* WebSocketTest.network(bob)
      yield* network.serverToClient.stall
      const long = "x".repeat(100_000)
      yield* ada.send(long)
      yield* WebSocketTest.expectMessage(ada, `ada: ${long}`)
      yield* TestClock.adjust(slowTime)
      yield* WebSocketTest.expectMessage(ada, "bob left")
      yield* WebSocketTest.expectClose(bob, { clean: false })
    })
  )

  it.scoped("closes a connection that breaks the protocol, and no other", () =>
    Effect.gen(function* () {
      const ada = yield* WebSocketClient.connect("ws://test/rules?name=ada")
      yield* WebSocketTest.expectMessage(ada, "ada joined")

      const peer = yield* WebSocketTest.connectPeer("ws://test/rules?name=eve")
      yield* peer.expectFrame(Frame.text("eve joined"))
      yield* peer.send(Frame.text("hel", { fin: false }), Frame.ping("?"), Frame.continuation("lo"))
      yield* peer.expectFrame(Frame.pong("?"))
      yield* peer.expectFrame(Frame.text("eve: hello"))
      yield* peer.send(Frame.continuation("of nothing"))
      yield* peer.answerClose({ code: "ProtocolError" })

      for (const line of ["eve joined", "eve: hello", "eve left"]) yield* WebSocketTest.expectMessage(ada, line)
    })
  )

  it.scoped("drops a peer that answers neither the ping nor the Close", () =>
    Effect.gen(function* () {
      const peer = yield* WebSocketTest.connectPeer("ws://test/silent?name=eve")
      yield* peer.expectFrame(Frame.text("eve joined"))
      yield* TestClock.adjust("25 seconds") // heartbeatInterval
      yield* peer.expectFrame((frame) => frame.opcode === Opcode.Ping)
      yield* TestClock.adjust("20 seconds") // heartbeatTimeout
      yield* peer.expectClose({ code: "InternalError" })
      yield* peer.expectEnd
      yield* TestClock.adjust("5 seconds") // closeTimeout
      yield* peer.expectReset
    })
  )
})

layer(WebSocketTest.layer)("the client", (it) => {
  /** Runs the client, and collects the lines that it receives. */
  const hearing = Effect.gen(function* () {
    const lines: Array<string> = []
    const fiber = yield* Effect.fork(hear("ws://test/tea", "ada", (line) => Effect.sync(() => lines.push(line))))
    return { lines, fiber }
  })

  it.scoped("receives the lines of a room until the server closes", () =>
    Effect.gen(function* () {
      const { fiber, lines } = yield* hearing
      const server = yield* WebSocketServer.accept()
      assert.strictEqual(server.url, "/tea?name=ada")
      yield* server.send("hello")
      yield* server.close(idleCode, "idle")
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude({ ...error }, { _tag: "Connection_closed", code: idleCode, reason: "idle" })
      assert.deepStrictEqual(lines, ["hello"])
    })
  )

  it.scoped("tries again, with a longer delay each time", () =>
    Effect.gen(function* () {
      const { fiber, lines } = yield* hearing
      const first = yield* WebSocketTest.nextAttempt
      assert.strictEqual(first.request.url, "/tea?name=ada")
      yield* first.unreachable

      yield* TestClock.adjust("1 seconds")
      const second = yield* WebSocketTest.nextAttempt
      yield* second.reject(503, { headers: { "Retry-After": "2" } })

      yield* TestClock.adjust("2 seconds")
      yield* WebSocketTest.nextAttempt // never answered: `openTimeout` passes
      yield* TestClock.adjust("10 seconds")

      yield* TestClock.adjust("4 seconds")
      const peer = yield* WebSocketTest.acceptPeer()
      yield* peer.send(Frame.text("at last"))
      yield* peer.sendClose(1000)
      yield* peer.expectClose({ code: 1000 })
      yield* peer.end
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(lines, ["at last"])
    })
  )

  it.scoped("reconnects after each restart of the server, with the first delay again", () =>
    Effect.gen(function* () {
      const { fiber, lines } = yield* hearing
      for (let restarts = 0; restarts < 5; restarts++) {
        const server = yield* WebSocketServer.accept()
        yield* server.send(`${restarts}`)
        yield* server.close("GoingAway")
        yield* TestClock.adjust("1 seconds")
      }
      const server = yield* WebSocketServer.accept()
      yield* server.close()
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(lines, ["0", "1", "2", "3", "4"])
    })
  )

  it.scoped("fails if the server rejects it", () =>
    Effect.gen(function* () {
      const { fiber } = yield* hearing
      yield* (yield* WebSocketTest.nextAttempt).reject(403)
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.strictEqual(error._tag, "Handshake_rejected")
    })
  )

  it.scoped("reconnects if the server vanishes", () =>
    Effect.gen(function* () {
      const { fiber, lines } = yield* hearing
      const server = yield* WebSocketServer.accept()
      yield* TestClock.adjust("1 hours") // the client answers every ping
      assert.isTrue(yield* server.isOpen)

      const network = yield* WebSocketTest.network(server)
      yield* network.drop
      // The time to the next ping, for its pong, for the answer to the Close, and before the next attempt.
      yield* TestClock.adjust("51 seconds")
      const again = yield* WebSocketServer.accept()
      yield* again.send("back")
      yield* again.close()
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(lines, ["back"])
    })
  )
})

/** The same test runs in memory and over Node's sockets. Only the layer differs. */
const conversation = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const ada = yield* WebSocketClient.connect(`${url}/tea?name=ada`)
  yield* WebSocketTest.expectMessage(ada, "ada joined")
  const bob = yield* WebSocketClient.connect(`${url}/tea?name=bob`)
  yield* WebSocketTest.expectMessage(ada, "bob joined")
  yield* bob.send("hello")
  yield* WebSocketTest.expectMessage(ada, "bob: hello")
  yield* bob.close()
  yield* WebSocketTest.expectMessage(ada, "bob left")
  yield* ada.close()
  yield* WebSocketTest.expectClose(ada, { code: 1000, initiator: "local", clean: true })
}).pipe(Effect.scoped)

const Node = ChatServer.pipe(
  Layer.provideMerge(Layer.merge(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" }), NodeWebSocketClient.layer))
)

describe("a conversation", () => {
  it.effect("in memory", () => Effect.provide(conversation, Chat))
  it.live("over TCP", () => Effect.provide(conversation, Node))
})
