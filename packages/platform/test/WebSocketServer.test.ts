import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { assert, describe, it } from "@effect/vitest"
import * as Origin from "@effect-websocket/protocol/Origin"
import { Cause, Effect, Exit, Fiber, FiberId, HashMap, Layer, Logger, LogLevel, Scope, TestClock } from "effect"

const settled = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

const echo = (socket: WebSocketServer.ServerWebSocket) => socket.run((message) => socket.send(message))

/** What is logged, with its level and whether it names the connection. */
const captured = Effect.sync(() => {
  const entries: Array<readonly [level: string, url: unknown, message: unknown]> = []
  const logger = Logger.make(({ annotations, logLevel, message }) => {
    const url = HashMap.get(annotations, "websocket.url")
    entries.push([
      logLevel.label,
      url._tag === "Some" ? url.value : undefined,
      Array.isArray(message) ? message[0] : message
    ])
  })
  const layer = Layer.merge(Logger.replace(Logger.defaultLogger, logger), Logger.minimumLogLevel(LogLevel.Debug))
  return { entries, layer }
})

const attemptOf = (version: string): Omit<WebSocketServer.UpgradeAttempt, "upgrade"> => ({
  request: {
    method: "GET",
    url: "/",
    httpVersion: "1.1",
    headers: {
      host: "test",
      upgrade: "websocket",
      connection: "upgrade",
      "sec-websocket-version": version,
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="
    }
  },
  remoteAddress: undefined,
  isGone: () => false,
  reject: () => {}
})

const refusal = (options: WebSocketServer.Options, connect: WebSocketClient.ConnectOptions) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(WebSocketClient.connect("ws://test/", connect))
    assert(error._tag === "Handshake_rejected")
    return [error.status, new TextDecoder().decode(error.body)]
  }).pipe(Effect.scoped, Effect.provide(WebSocketTest.layerWith(options)))

describe("accept", () => {
  it.effect("hands over a connection with its request, which its scope closes", () =>
    Effect.gen(function* () {
      const client = yield* WebSocketClient.connect("ws://test/chat?room=1", { protocols: ["b", "a"] }).pipe(
        Effect.fork
      )
      const scope = yield* Scope.make()
      const socket = yield* Scope.extend(WebSocketServer.accept, scope)
      assert.strictEqual(socket.request.url, "/chat?room=1")
      assert.strictEqual(socket.url, "/chat?room=1")
      assert.deepStrictEqual(socket.request.protocols, ["b", "a"])
      assert.strictEqual(socket.protocol, "a")
      const connected = yield* Fiber.join(client)
      assert.strictEqual(connected.protocol, "a")
      yield* Scope.close(scope, Exit.void)
      const status = yield* connected.closeStatus
      assert.deepStrictEqual([status.received?.code, status.initiator, status.clean], [1000, "remote", true])
    }).pipe(Effect.scoped, Effect.provide(WebSocketTest.layerWith({ protocols: ["a", "b"] })))
  )

  it.effect("interrupted between its wake-up and its turn, leaves the request to the next one", () =>
    Effect.gen(function* () {
      const { offer, service } = yield* WebSocketServer.make({ hostname: "test", port: 80, url: "ws://test" })
      const pair = yield* MockTransport.make()
      yield* WebSocket.fromTransport(pair.client, { role: "client" })
      const first = yield* Effect.fork(Effect.scoped(service.accept))
      const second = yield* Effect.fork(Effect.scoped(Effect.map(service.accept, ({ url }) => url)))
      yield* settled
      let upgrades = 0
      offer({
        ...attemptOf("13"),
        upgrade: () => {
          upgrades++
          return pair.server
        }
      })
      // The first has been woken, but has not run yet.
      first.unsafeInterruptAsFork(FiberId.none)
      const exit = yield* Fiber.await(first)
      assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
      assert.strictEqual(yield* Fiber.join(second), "/")
      assert.strictEqual(upgrades, 1)
    }).pipe(Effect.scoped)
  )

  it.effect("answers 503 to a request that nobody takes in time", () =>
    Effect.gen(function* () {
      const client = yield* Effect.fork(Effect.flip(Effect.scoped(WebSocketClient.connect("ws://test"))))
      yield* TestClock.adjust("3999 millis")
      assert.strictEqual((yield* Fiber.poll(client))._tag, "None")
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(client)
      assert(error._tag === "Handshake_rejected")
      assert.strictEqual(error.status, 503)
    }).pipe(Effect.provide(WebSocketTest.layerWith({ handshakeTimeout: "4 seconds" })))
  )
})

describe("run", () => {
  for (const [name, body, code, logged] of [
    ["fails", Effect.fail("no"), 1011, ["WARN", "/bad", "The handler of a connection failed"]],
    ["dies", Effect.die("no"), 1011, ["ERROR", "/bad", "The handler of a connection died"]],
    ["ends", Effect.void, 1000, undefined]
  ] as const) {
    it.effect(`closes only the connection whose handler ${name}`, () =>
      Effect.gen(function* () {
        const { entries, layer } = yield* captured
        yield* Effect.gen(function* () {
          yield* Effect.forkScoped(
            WebSocketServer.run((socket) => (socket.url === "/bad" ? Effect.asVoid(body) : Effect.orDie(echo(socket))))
          )
          const good = yield* WebSocketClient.connect("ws://test/good")
          const bad = yield* WebSocketClient.connect("ws://test/bad")
          assert.strictEqual((yield* bad.closeStatus).received?.code, code)
          yield* good.send("still here")
          assert.strictEqual((yield* good.receive).data, "still here")
        }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(WebSocketTest.layer, layer)))
        assert.deepStrictEqual(
          entries.filter(([, url]) => url === "/bad"),
          logged === undefined ? [] : [logged]
        )
      })
    )
  }

  it.effect("logs what the peer does: a close at debug level, a violation as a warning", () =>
    Effect.gen(function* () {
      const { entries, layer } = yield* captured
      yield* Effect.gen(function* () {
        yield* Effect.forkScoped(WebSocketServer.run(echo))
        const leaving = yield* WebSocketClient.connect("ws://test/leaving")
        yield* leaving.close(4000, "bye")
        const large = yield* WebSocketClient.connect("ws://test/large")
        yield* large.send("x".repeat(11))
        assert.strictEqual((yield* large.closeStatus).received?.code, 1009)
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(WebSocketTest.layerWith({ limits: { maxMessageBytes: 10 } }), layer))
      )
      assert.deepStrictEqual(entries, [
        ["DEBUG", "/leaving", "The connection was closed"],
        ["WARN", "/large", "The connection failed"]
      ])
    })
  )

  it.effect("interrupted, closes all connections with 1001, after the finalizers of their handlers", () =>
    Effect.gen(function* () {
      const running = yield* Effect.fork(
        WebSocketServer.run((socket) =>
          Effect.zipRight(
            Effect.addFinalizer(() => Effect.ignore(socket.send("goodbye"))),
            Effect.zipRight(socket.send("hello"), Effect.never)
          )
        )
      )
      const sockets = yield* Effect.all(Array.from({ length: 5 }, (_, i) => WebSocketClient.connect(`ws://test/${i}`)))
      for (const socket of sockets) assert.strictEqual((yield* socket.receive).data, "hello")
      yield* Fiber.interrupt(running)
      for (const socket of sockets) {
        assert.strictEqual((yield* socket.receive).data, "goodbye")
        assert.strictEqual((yield* socket.closeStatus).received?.code, 1001)
      }
    }).pipe(Effect.scoped, Effect.provide(WebSocketTest.layer))
  )
})

describe("the layer", () => {
  it.effect("released, closes what was accepted with 1001 and refuses what waits with 503", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(WebSocketTest.layer, scope)
      const outer = yield* Scope.make()
      const clients = yield* Effect.fork(
        Effect.all(
          [WebSocketClient.connect("ws://test/taken"), Effect.flip(WebSocketClient.connect("ws://test/waiting"))],
          {
            concurrency: "unbounded"
          }
        ).pipe(Effect.provide(context), Scope.extend(outer))
      )
      const accepted = yield* WebSocketServer.accept.pipe(Effect.provide(context), Scope.extend(outer))
      yield* settled
      const next = yield* Effect.fork(WebSocketServer.accept.pipe(Effect.provide(context), Scope.extend(outer)))
      yield* Fiber.interrupt(next)
      yield* Scope.close(scope, Exit.void)
      const [taken, refused] = yield* Fiber.join(clients).pipe(Effect.orDie, Effect.exit, Effect.flatten)
      assert.strictEqual((yield* accepted.closeStatus).sent?.code, 1001)
      assert.strictEqual((yield* taken.closeStatus).received?.code, 1001)
      assert.include(["Handshake_rejected"], refused._tag)
      const late = yield* Effect.exit(WebSocketServer.accept.pipe(Effect.provide(context), Scope.extend(outer)))
      assert.isTrue(Exit.isFailure(late) && Cause.isInterruptedOnly(late.cause))
      yield* Scope.close(outer, Exit.void)
    })
  )
})

describe("a request", () => {
  it.effect("is refused with 403 from another origin", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* refusal({}, { origin: "https://evil.example" }), [
        403,
        'The origin "https://evil.example" is not allowed'
      ])
      assert.deepStrictEqual(
        yield* refusal({ origin: Origin.allowList(["https://a.example"]) }, { origin: "http://test" }),
        [403, 'The origin "http://test" is not allowed']
      )
    })
  )

  it.effect("is refused with 500 where the server's selector chooses what was not offered", () =>
    Effect.gen(function* () {
      const { entries, layer } = yield* captured
      const [error] = yield* Effect.all(
        [Effect.flip(WebSocketClient.connect("ws://test/x")), Effect.fork(WebSocketServer.run(echo))],
        { concurrency: "unbounded" }
      ).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(WebSocketTest.layerWith({ protocols: () => "unoffered" }), layer))
      )
      assert(error._tag === "Handshake_rejected")
      assert.strictEqual(error.status, 500)
      assert.deepStrictEqual(entries, [["ERROR", "/x", "Refused an upgrade request"]])
    })
  )

  it.effect("that came by another way is answered by acceptAttempt", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const answers: Array<number> = []
      const attempt = (version: string): WebSocketServer.UpgradeAttempt => ({
        ...attemptOf(version),
        upgrade: () => {
          answers.push(101)
          return pair.server
        },
        reject: (status) => answers.push(status)
      })
      const socket = yield* WebSocketServer.acceptAttempt(attempt("13"))
      assert.isTrue(yield* socket.isOpen)
      const error = yield* Effect.flip(WebSocketServer.acceptAttempt(attempt("8")))
      assert.deepStrictEqual([error._tag, error.origin], ["Protocol_error", "remote"])
      assert.deepStrictEqual(answers, [101, 426])
      yield* socket.abort
    }).pipe(Effect.scoped)
  )

  it.effect("with options that make no sense is a defect", () =>
    Effect.gen(function* () {
      for (const options of [{ handshakeTimeout: 0 }, { closeTimeout: Infinity }, { sendHighWaterMark: 0 }]) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(WebSocketTest.layerWith(options))))
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause), JSON.stringify(options))
      }
    })
  )
})
