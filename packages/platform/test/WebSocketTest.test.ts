import {
  type WebSocket,
  WebSocketChannel,
  WebSocketClient,
  WebSocketServer,
  WebSocketTest
} from "@effect-websocket/platform"
import { NodeZlib } from "@effect-websocket/platform/node"
import { CloseCode, Frame, Message } from "@effect-websocket/protocol"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Schema, Scope, TestClock } from "./effect/index.js"
import { assert, describe, it, layer } from "./effect/vitest.js"
import { connected, facts, fields, isDefect, isPending, outcome, settled, utf8 } from "./support.js"

const echo = WebSocketServer.run((socket) => socket.run((message) => socket.send(message)))

describe("the layer", () => {
  layer(WebSocketTest.layer)((it) => {
    it.effect("joins a client and a server for every URL", () =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(echo)
        for (const url of [(yield* WebSocketServer.address).url, "wss://example.com/chat?room=1"]) {
          const socket = yield* WebSocketClient.connect(url)
          yield* socket.send("hello")
          assert.strictEqual((yield* socket.receive).data, "hello")
        }
      })
    )

    it.effect("negotiates: the server gets the request, and agrees to no subprotocol that it lacks", () =>
      Effect.gen(function* () {
        const connecting = yield* Effect.forkChild(
          WebSocketClient.connect("ws://test/path", { protocols: ["a"], headers: { "X-Name": "value" } })
        )
        const { request } = yield* WebSocketServer.accept()
        assert.deepStrictEqual(
          [request.url, request.host, request.protocols, request.headers["x-name"]],
          ["/path", "test", ["a"], "value"]
        )
        assert.isUndefined((yield* Fiber.join(connecting)).protocol)
      })
    )

    it.effect("interrupts the check of a client that goes away", () =>
      Effect.gen(function* () {
        const checking = yield* Deferred.make<void>()
        const interrupted = yield* Deferred.make<void>()
        yield* WebSocketServer.route({
          path: "/slow",
          check: () =>
            Effect.andThen(
              Deferred.succeed(checking, undefined),
              Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
            )
        })
        const connecting = yield* Effect.forkChild(WebSocketClient.connect("ws://test/slow"))
        yield* Deferred.await(checking)
        yield* Fiber.interrupt(connecting)
        yield* Deferred.await(interrupted)
      })
    )

    it.effect("closes with a handshake, in both directions", () =>
      Effect.gen(function* () {
        const scopes = { client: yield* Scope.make(), server: yield* Scope.make() }
        for (const [closing, other] of [
          ["client", "server"],
          ["server", "client"]
        ] as const) {
          const [client, server] = yield* Effect.all(
            [
              WebSocketClient.connect("ws://test").pipe(Scope.provide(scopes.client)),
              WebSocketServer.accept().pipe(Scope.provide(scopes.server))
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
        const slow = yield* Effect.forkChild(
          Effect.flip(Effect.scoped(WebSocketClient.connect("ws://test/slow", { openTimeout: "1 seconds" })))
        )
        const interrupted = yield* Effect.forkChild(Effect.scoped(WebSocketClient.connect("ws://test/interrupted")))
        assert.isTrue(yield* isPending(slow))
        yield* Fiber.interrupt(interrupted)
        yield* TestClock.adjust("1 seconds")
        const error = yield* Fiber.join(slow)
        assert(error._tag === "Io_error")
        assert.strictEqual(error.reason, "Timeout")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const connecting = yield* Effect.forkChild(WebSocketClient.connect("ws://test/here"))
            assert.strictEqual((yield* WebSocketServer.accept()).url, "/here")
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

  const negotiated = (offers: boolean, options: WebSocketServer.MakeOptions) =>
    Effect.gen(function* () {
      const accepting = yield* Effect.forkChild(WebSocketServer.accept())
      const client = yield* WebSocketClient.connect("ws://test", { compression: offers })
      const server = yield* Fiber.join(accepting)
      const text = "a text that is long enough to be compressed. ".repeat(5000)
      for (const [from, to] of [
        [client, server],
        [server, client]
      ] as const) {
        yield* from.send(text)
        yield* from.send(text.slice(0, 2000), { compress: true })
        assert.strictEqual((yield* to.receive).data, text)
        assert.strictEqual((yield* to.receive).data, text.slice(0, 2000))
      }
      const lists = [client.extensions, server.extensions, server.request.extensions]
      return lists.map((extensions) => extensions.map(({ name }) => name))
    }).pipe(Effect.scoped, Effect.provide(WebSocketTest.layerWith(options)))

  it.effect("negotiates compression if both sides ask for it and zlib is provided", () =>
    Effect.gen(function* () {
      const { zlib } = NodeZlib
      const name = "permessage-deflate"
      assert.deepStrictEqual(yield* negotiated(true, { compression: true, zlib }), [[name], [name], [name, name]])
      assert.deepStrictEqual(yield* negotiated(true, { zlib }), [[], [], [name, name]])
      assert.deepStrictEqual(yield* negotiated(false, { compression: true, zlib }), [[], [], []])
      assert.deepStrictEqual(yield* negotiated(true, { compression: true }), [[], [], []])
    })
  )

  it.effect("is separate each time it is built, and refuses connections once it is released", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const [first, second] = yield* Effect.all([
        Layer.buildWithScope(WebSocketTest.layer, scope),
        Layer.buildWithScope(WebSocketTest.layer, scope)
      ])
      const waiting = yield* Effect.forkChild(WebSocketServer.accept().pipe(Effect.provide(second), Effect.scoped))
      const connecting = yield* Effect.forkChild(
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

/** The message of an expectation that fails. Its stack begins in this file. */
const failure = (effect: Effect.Effect<unknown>) =>
  Effect.map(Effect.flip(Effect.sandbox(effect)), (cause) => {
    const defect = Cause.squash(cause)
    assert.instanceOf(defect, WebSocketTest.ExpectationFailed)
    assert.include(String(defect.stack).split("\n")[1], "WebSocketTest.test.ts")
    return defect.message
  })

describe("expectMessage", () => {
  it.effect("returns the expected message: a text, bytes, or one that a predicate accepts", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      for (const data of ["a", Uint8Array.of(1, 2), "b", "c", ""]) yield* client.send(data)
      const text: Message.Text = yield* WebSocketTest.expectMessage(server, "a")
      assert.strictEqual(text.data, "a")
      const binary: Message.Binary = yield* WebSocketTest.expectMessage(server, Uint8Array.of(1, 2))
      assert.deepStrictEqual(binary.data, Uint8Array.of(1, 2))
      const refined: Message.Text = yield* WebSocketTest.expectMessage(server, Message.isText)
      assert.strictEqual(refined.data, "b")
      const any: Message.Message = yield* WebSocketTest.expectMessage(server, ({ data }) => data === "c")
      assert.strictEqual(any.data, "c")
      yield* WebSocketTest.expectMessage(server, "")
    })
  )

  it.effect("waits", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      const expecting = yield* Effect.forkChild(WebSocketTest.expectMessage(server, "late"))
      assert.isTrue(yield* isPending(expecting))
      yield* client.send("late")
      yield* Fiber.join(expecting)
    })
  )

  it.effect("reports what came instead", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      const isGreeting = ({ data }: Message.Message) => data === "hello"
      const cases: ReadonlyArray<[string | Uint8Array, Effect.Effect<unknown>, string]> = [
        ["b", WebSocketTest.expectMessage(server, "a"), 'the text "a", but got the text "b"'],
        [Uint8Array.of(97), WebSocketTest.expectMessage(server, "a"), 'the text "a", but got the bytes [61]'],
        ["a", WebSocketTest.expectMessage(server, utf8("a")), 'the bytes [61], but got the text "a"'],
        [utf8("ab"), WebSocketTest.expectMessage(server, utf8("aa")), "the bytes [61 61], but got the bytes [61 62]"],
        [
          "a",
          WebSocketTest.expectMessage(server, isGreeting),
          'a message that isGreeting accepts, but got the text "a"'
        ]
      ]
      for (const [sent, expectation, message] of cases) {
        yield* client.send(sent)
        assert.strictEqual(yield* failure(expectation), `Expected ${message}`)
      }
      yield* client.close("PolicyViolation", "no")
      assert.strictEqual(
        yield* failure(WebSocketTest.expectMessage(server, "a")),
        'Expected the text "a", but got the end of the connection with 1008 "no" (remote, clean)'
      )
    })
  )
})

describe("expectNoMessage", () => {
  it.effect("holds while nothing comes, and takes no message that comes later", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      yield* WebSocketTest.expectNoMessage(server)
      yield* Effect.forkScoped(Effect.delay(client.send("later"), "1 seconds"))
      yield* WebSocketTest.expectNoMessage(server)
      yield* TestClock.adjust("1 seconds")
      yield* WebSocketTest.expectMessage(server, "later")
    })
  )

  it.effect("reports what came, also a message on its way and the end", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* connected()
      yield* pair.split(1)
      yield* Effect.forkScoped(Effect.forEach(["a", "b"], (data) => Effect.andThen(Effect.yieldNow, client.send(data))))
      assert.strictEqual(
        yield* failure(WebSocketTest.expectNoMessage(server)),
        'Expected no message, but got the text "a"'
      )
      yield* WebSocketTest.expectMessage(server, "b")
      yield* client.abort
      assert.strictEqual(
        yield* failure(WebSocketTest.expectNoMessage(server)),
        "Expected no message, but got the end of the connection by Io_error: Reset during read: the connection broke"
      )
    })
  )
})

describe("expectClose", () => {
  it.effect("compares the expected fields, with the code as a name or a number, at both sides", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      yield* Effect.forkScoped(client.close(1008, "no"))
      const status = yield* WebSocketTest.expectClose(server, {
        code: "PolicyViolation",
        reason: "no",
        initiator: "remote",
        clean: true
      })
      assert.deepStrictEqual(outcome(status), [1008, 1008, "remote", true])
      yield* WebSocketTest.expectClose(server)
      yield* WebSocketTest.expectClose(client, { code: 1008, initiator: "local" })
      const end = 'the end of the connection with 1008 "no" (remote, clean)'
      for (const [expected, text] of [
        [{ code: 1000 }, "with code 1000"],
        [{ code: "GoingAway", reason: "no" }, 'with code 1001 and reason "no"'],
        [{ reason: "" }, 'with reason ""'],
        [{ initiator: "local" }, "(local)"],
        [{ clean: false }, "(not clean)"],
        [{ code: 1000, initiator: "remote", clean: true }, "with code 1000 (remote, clean)"]
      ] as const) {
        assert.strictEqual(
          yield* failure(WebSocketTest.expectClose(server, expected)),
          `Expected the end of the connection ${text}, but got ${end}`
        )
      }
    })
  )

  it.effect("waits until the connection is over, not only closing", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* connected()
      yield* pair.serverToClient.stall
      yield* Effect.forkScoped(client.close())
      const expecting = yield* Effect.forkChild(WebSocketTest.expectClose(server, { code: 1000 }))
      assert.isTrue(yield* isPending(expecting))
      assert.isFalse(yield* server.isOpen)
      yield* pair.serverToClient.unstall
      yield* Fiber.join(expecting)
    })
  )

  it.effect("compares the code of a violation, and 1006 if there was no Close", () =>
    Effect.gen(function* () {
      const violated = yield* connected()
      yield* violated.pair.clientToServer.inject(Uint8Array.of(0x83, 0x80, 0, 0, 0, 0))
      yield* WebSocketTest.expectClose(violated.server, { code: "ProtocolError", initiator: "local" })
      const broken = yield* connected()
      yield* broken.pair.reset
      yield* WebSocketTest.expectClose(broken.server, { code: 1006, reason: "", clean: false })
      assert.strictEqual(
        yield* failure(WebSocketTest.expectClose(broken.server, { code: 1000 })),
        "Expected the end of the connection with code 1000, but got the end of the connection with 1006 (not clean) by Io_error: Reset during read: the connection broke"
      )
    })
  )

  it.effect("fails if there is an unread message before the end", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      yield* client.send("unread")
      yield* client.close()
      assert.strictEqual(
        yield* failure(WebSocketTest.expectClose(server)),
        'Expected the end of the connection, but got the text "unread"'
      )
      yield* WebSocketTest.expectClose(server)
    })
  )
})

describe("network", () => {
  layer(WebSocketTest.layer)((it) => {
    it.effect("is the same from both sides of a connection", () =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(WebSocketClient.connect("ws://test"))
        const server = yield* WebSocketServer.accept()
        const network = yield* WebSocketTest.network(server)
        assert.strictEqual(network, yield* WebSocketTest.network(server))
        yield* network.reset
        yield* WebSocketTest.expectClose(server, { code: 1006 })

        const connecting = yield* Effect.forkChild(WebSocketClient.connect("ws://test"))
        const peer = yield* WebSocketTest.acceptPeer()
        const client = yield* Fiber.join(connecting)
        assert.strictEqual(yield* WebSocketTest.network(client), yield* WebSocketTest.network(peer))
        yield* (yield* WebSocketTest.network(client)).serverToClient.split(1)
        yield* peer.send(Frame.text("hello"))
        yield* WebSocketTest.expectMessage(client, "hello")
      })
    )

    for (const fault of ["stall", "drop", "delay"] as const) {
      it.effect(`is lifted at the end of the scope, so that a ${fault} does not delay it`, () =>
        Effect.gen(function* () {
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* Effect.forkScoped(echo)
              const socket = yield* WebSocketClient.connect("ws://test")
              const network = yield* WebSocketTest.network(socket)
              yield* fault === "delay" ? network.delay("1 hours") : network[fault]
              yield* socket.send("hello")
              yield* WebSocketTest.expectNoMessage(socket)
            })
          )
        })
      )
    }

    it.effect("can be lifted earlier, by a scope of its own", () =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(echo)
        const socket = yield* WebSocketClient.connect("ws://test")
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* (yield* WebSocketTest.network(socket)).stall
            yield* socket.send("hello")
            yield* WebSocketTest.expectNoMessage(socket)
          })
        )
        yield* WebSocketTest.expectMessage(socket, "hello")
      })
    )
  })

  it.effect("is a defect for a connection over another transport", () =>
    Effect.gen(function* () {
      const { client, pair } = yield* connected()
      assert.strictEqual(yield* WebSocketTest.network(client), pair)
      const wrapped: WebSocket.WebSocket = Object.create(client, { transport: { value: {} } })
      assert.isTrue(isDefect(yield* Effect.exit(WebSocketTest.network(wrapped))))
    })
  )
})

/** Connects in a fiber, and returns how that ends. */
const connect = (url = "ws://test", options?: WebSocketClient.ConnectOptions) =>
  Effect.forkChild(Effect.exit(WebSocketClient.connect(url, options)))

describe("nextAttempt", () => {
  layer(WebSocketTest.layer)((it) => {
    it.effect("has the request, and accepts it with a subprotocol and headers", () =>
      Effect.gen(function* () {
        const connecting = yield* Effect.forkChild(
          WebSocketClient.connect("ws://test/room?a=b", { protocols: ["a", "b"], headers: { Cookie: "x" } })
        )
        const { accept, request } = yield* WebSocketTest.nextAttempt
        assert.deepStrictEqual(
          [request.url, request.protocols, request.headers["cookie"]],
          ["/room?a=b", ["a", "b"], "x"]
        )
        const peer = yield* accept({ protocol: "b", headers: { "X-Server": "1" } })
        const client = yield* Fiber.join(connecting)
        assert.strictEqual(client.protocol, "b")
        yield* peer.send(Frame.text("hello"))
        yield* WebSocketTest.expectMessage(client, "hello")
        yield* client.send("you")
        yield* peer.expectFrame(Frame.text("you"))
        yield* Effect.forkChild(client.close(4000))
        yield* peer.answerClose({ code: 4000 })
        yield* WebSocketTest.expectClose(client, { code: 4000, initiator: "local", clean: true })
      })
    )

    it.effect("rejects with a status, headers and a body", () =>
      Effect.gen(function* () {
        const connecting = yield* Effect.forkChild(Effect.flip(WebSocketClient.connect("ws://test")))
        yield* (yield* WebSocketTest.nextAttempt).reject(503, { headers: { "Retry-After": "2" }, body: "later" })
        assert.deepStrictEqual(fields(yield* Fiber.join(connecting)), {
          _tag: "Handshake_rejected",
          status: 503,
          headers: { "retry-after": "2" },
          body: utf8("later"),
          bodyTruncated: false
        })
        const bare = yield* Effect.forkChild(Effect.flip(WebSocketClient.connect("ws://test")))
        yield* (yield* WebSocketTest.nextAttempt).reject(401)
        assert.deepInclude(fields(yield* Fiber.join(bare)), { status: 401, headers: {}, body: new Uint8Array(0) })
      })
    )

    it.effect("is unreachable, or never answers", () =>
      Effect.gen(function* () {
        const nobody = yield* Effect.forkChild(Effect.flip(WebSocketClient.connect("ws://test")))
        yield* (yield* WebSocketTest.nextAttempt).unreachable
        assert.deepStrictEqual(facts(yield* Fiber.join(nobody)), {
          _tag: "Io_error",
          reason: "Connect",
          operation: "connect"
        })
        const silent = yield* Effect.forkChild(
          Effect.flip(WebSocketClient.connect("ws://test", { openTimeout: "3 seconds" }))
        )
        const attempt = yield* WebSocketTest.nextAttempt
        yield* TestClock.adjust("3 seconds")
        assert.deepInclude(facts(yield* Fiber.join(silent)), { _tag: "Io_error", reason: "Timeout" })
        // It is too late: the connection of the peer is over.
        const peer = yield* attempt.accept()
        yield* settled
        assert.isTrue(isDefect(yield* Effect.exit(peer.receive)))
      })
    )

    it.effect("takes an attempt that the server has not accepted, and the server gets the next", () =>
      Effect.gen(function* () {
        const first = yield* connect("ws://test/first")
        const second = yield* connect("ws://test/second")
        yield* settled
        const attempt = yield* WebSocketTest.nextAttempt
        assert.strictEqual(attempt.request.url, "/first")
        const accepted = yield* WebSocketServer.accept()
        assert.strictEqual(accepted.url, "/second")
        assert.strictEqual((yield* Fiber.join(second))._tag, "Success")
        // The server's `handshakeTimeout` does not apply to the test.
        yield* TestClock.adjust("9 seconds")
        assert.isTrue(yield* isPending(first))
        yield* attempt.reject(410)
        assert.strictEqual((yield* Fiber.join(first))._tag, "Failure")
      })
    )

    it.effect("comes before a server that runs, for one attempt each, in the order of asking", () =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(echo)
        const attempts = yield* Effect.forEach([1, 2], () => Effect.forkChild(WebSocketTest.nextAttempt))
        const sockets = []
        for (const path of ["/1", "/2", "/3"]) sockets.push(yield* connect(`ws://test${path}`))
        const taken = yield* Fiber.joinAll(attempts)
        assert.deepStrictEqual(
          taken.map(({ request }) => request.url),
          ["/1", "/2"]
        )
        const third = yield* Effect.flatten(Fiber.join(sockets[2]!))
        yield* third.send("served")
        yield* WebSocketTest.expectMessage(third, "served")
        for (const attempt of taken) yield* attempt.unreachable
      })
    )

    it.effect("gives an attempt back to the server", () =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(echo)
        const asked = yield* Effect.forkChild(WebSocketTest.nextAttempt)
        const connecting = yield* connect()
        const attempt = yield* Fiber.join(asked)
        assert.isTrue(yield* isPending(connecting))
        yield* attempt.forward
        const socket = yield* Effect.flatten(Fiber.join(connecting))
        yield* socket.send("served")
        yield* WebSocketTest.expectMessage(socket, "served")
        // The network of a connection whose two ends belong to the app.
        yield* (yield* WebSocketTest.network(attempt)).reset
        yield* WebSocketTest.expectClose(socket, { code: 1006 })
      })
    )

    it.effect("loses no attempt if it is interrupted, at any moment", () =>
      Effect.gen(function* () {
        const outcomes = new Set<string>()
        const run = Effect.runForkWith(yield* Effect.runtime<WebSocketClient.WebSocketClient | Scope.Scope>())
        for (let turns = 0; turns < 16; turns++) {
          const asked = yield* Effect.forkChild(WebSocketTest.nextAttempt)
          yield* settled
          // Dials now, so that only the turns decide how far the attempt gets.
          const connecting = run(Effect.exit(WebSocketClient.connect("ws://test")))
          for (let turn = 0; turn < turns; turn++) yield* Effect.promise(() => Promise.resolve())
          yield* Fiber.interrupt(asked)
          const exit = yield* Fiber.await(asked)
          if (Exit.isSuccess(exit)) yield* exit.value.reject(500)
          else yield* WebSocketServer.accept()
          outcomes.add(`${exit._tag}, ${(yield* Fiber.join(connecting))._tag}`)
        }
        assert.deepStrictEqual(outcomes, new Set(["Failure, Success", "Success, Failure"]))
      })
    )

    it.effect("can be answered once", () =>
      Effect.gen(function* () {
        const connecting = yield* connect()
        const attempt = yield* WebSocketTest.nextAttempt
        yield* attempt.reject(500)
        for (const again of [attempt.accept(), attempt.reject(500), attempt.unreachable, attempt.forward]) {
          assert.isTrue(isDefect(yield* Effect.exit(again)))
        }
        yield* Fiber.join(connecting)
      })
    )

    it.effect("is a defect if the answer is not legal", () =>
      Effect.gen(function* () {
        for (const options of [{ protocol: "unasked" }, { headers: { Upgrade: "other" } }]) {
          yield* connect()
          const attempt = yield* WebSocketTest.nextAttempt
          assert.isTrue(isDefect(yield* Effect.exit(attempt.accept(options))))
        }
      })
    )
  })
})

describe("connectPeer", () => {
  layer(WebSocketTest.layerWith({ protocols: ["chat"], limits: { maxMessageBytes: 4 } }))((it) => {
    it.effect("is a client of the app's server, through its negotiation", () =>
      Effect.gen(function* () {
        const connecting = yield* Effect.forkChild(
          WebSocketTest.connectPeer("ws://test/room", { protocols: ["chat"], headers: { "X-Name": "ada" } })
        )
        const server = yield* WebSocketServer.accept()
        const peer = yield* Fiber.join(connecting)
        assert.deepStrictEqual(
          [server.url, server.protocol, server.request.headers["x-name"]],
          ["/room", "chat", "ada"]
        )
        yield* peer.send(Frame.text("hi"))
        yield* WebSocketTest.expectMessage(server, "hi")
        yield* peer.send(Frame.text("too long"))
        yield* peer.answerClose({ code: "MessageTooBig" })
        assert.strictEqual(
          CloseCode.toName((yield* WebSocketTest.expectClose(server)).sent?.code ?? 0),
          "MessageTooBig"
        )
      })
    )

    it.effect("connects to the server without a URL", () =>
      Effect.gen(function* () {
        const connecting = yield* Effect.forkChild(WebSocketTest.connectPeer())
        assert.strictEqual((yield* WebSocketServer.accept()).request.host, "test")
        yield* Fiber.join(connecting)
      })
    )

    it.effect("fails as a client does", () =>
      Effect.gen(function* () {
        const rejected = yield* Effect.flip(WebSocketTest.connectPeer("ws://test", { origin: "https://evil.example" }))
        assert(rejected._tag === "Handshake_rejected")
        assert.strictEqual(rejected.status, 403)
        const invalid = yield* Effect.flip(WebSocketTest.connectPeer("ws://test", { headers: { Upgrade: "x" } }))
        assert(invalid._tag === "Protocol_error")
        assert.strictEqual(invalid.origin, "local")
        assert.isTrue(isDefect(yield* Effect.exit(WebSocketTest.connectPeer("nowhere"))))
      })
    )

    it.effect("is dropped when it is interrupted", () =>
      Effect.gen(function* () {
        const connecting = yield* Effect.forkChild(WebSocketTest.connectPeer("ws://test/gone"))
        assert.isTrue(yield* isPending(connecting))
        yield* Fiber.interrupt(connecting)
        const here = yield* Effect.forkChild(WebSocketTest.connectPeer("ws://test/here"))
        assert.strictEqual((yield* WebSocketServer.accept()).url, "/here")
        yield* Fiber.join(here)
      })
    )
  })
})

describe("expectValue", () => {
  const Chat = WebSocketChannel.make({ fromClient: Schema.Unknown, fromServer: Schema.Unknown, onInvalid: "fail" })
  const opened = Effect.gen(function* () {
    const { client, server } = yield* connected()
    return { client, server: yield* WebSocketChannel.server(Chat, server as WebSocketServer.ServerWebSocket) }
  })
  const message = <A>(exit: Exit.Exit<A, unknown>): string =>
    Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "a success"

  it.effect("compares what values hold, or asks a predicate", () =>
    Effect.gen(function* () {
      const { client, server } = yield* opened
      const value = { a: [1, { b: null }], c: "text" }
      yield* client.sendAll([value, value].map((value) => JSON.stringify(value)))
      assert.deepStrictEqual(yield* WebSocketTest.expectValue(server, { c: "text", a: [1, { b: null }] }), value)
      yield* WebSocketTest.expectValue(server, (value) => typeof value === "object")
    })
  )

  it.effect("says what came instead", () =>
    Effect.gen(function* () {
      const { client, server } = yield* opened
      const cases: ReadonlyArray<readonly [unknown, string, string]> = [
        [{ a: 1 }, `{"a":2}`, `Expected the value {"a":1}, but got the value {"a":2}`],
        [{ a: 1 }, `{"a":1,"b":1}`, `Expected the value {"a":1}, but got the value {"a":1,"b":1}`],
        [[1], "[1,2]", "Expected the value [1], but got the value [1,2]"],
        [1n, "1", "Expected a value of the type bigint, but got the value 1"],
        [1, "no JSON", "Expected the value 1, but got The message is not JSON"]
      ]
      for (const [expected, sent, described] of cases) {
        yield* client.send(sent)
        assert.include(message(yield* Effect.exit(WebSocketTest.expectValue(server, expected))), described)
      }
      yield* Effect.forkChild(client.close())
      assert.include(
        message(yield* Effect.exit(WebSocketTest.expectValue(server, 1))),
        "but got the end of the connection with 1000"
      )
    })
  )
})
