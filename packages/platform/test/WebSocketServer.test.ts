import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { NodeZlib } from "@effect-websocket/platform/node"
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Origin from "@effect-websocket/protocol/Origin"
import { Schedule } from "effect"
import {
  Cause,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Metric,
  Scope,
  Stream,
  TestClock
} from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { deafPeer, isInterrupted, isPending, outcome, settled, upgradeRequest, wrote } from "./support.js"

const echo = (socket: WebSocketServer.ServerWebSocket) => socket.run((message) => socket.send(message))

/** What is logged, with its level and whether it names the connection. */
const captured = Effect.sync(() => {
  const entries: Array<readonly [level: string, url: unknown, message: unknown]> = []
  const logger = Logger.make((entry) => {
    const { message } = entry
    entries.push([
      Logger.levelOf(entry),
      Logger.annotationsOf(entry)["websocket.url"],
      Array.isArray(message) ? message[0] : message
    ])
  })
  const layer = Layer.merge(Logger.layer([logger]), Logger.minimumLogLevel("Debug"))
  return { entries, layer }
})

const attemptOf = (version: string): Omit<WebSocketServer.UpgradeAttempt, "upgrade"> => ({
  request: { ...upgradeRequest, headers: { ...upgradeRequest.headers, "sec-websocket-version": version } },
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
        Effect.forkChild
      )
      const scope = yield* Scope.make()
      const socket = yield* Scope.provide(WebSocketServer.accept(), scope)
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

  it.effect("declines offers of compression that are illegal, and accepts the first that is not", () =>
    Effect.gen(function* () {
      const answers: Array<unknown> = []
      for (const offers of [
        "permessage-deflate; unknown, permessage-deflate; client_max_window_bits=11",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-bzip2"
      ]) {
        const pair = yield* MockTransport.make()
        const attempt = attemptOf("13")
        const socket = yield* WebSocketServer.acceptAttempt(
          {
            ...attempt,
            request: {
              ...attempt.request,
              headers: { ...attempt.request.headers, "sec-websocket-extensions": offers }
            },
            upgrade: (headers) => {
              answers.push(headers["Sec-WebSocket-Extensions"])
              return pair.server
            }
          },
          { compression: true, zlib: NodeZlib.zlib }
        )
        yield* Effect.addFinalizer(() => pair.reset)
        assert.lengthOf(socket.extensions, answers.at(-1) === undefined ? 0 : 1)
      }
      assert.deepStrictEqual(answers, ["permessage-deflate; client_max_window_bits=11", undefined, undefined])
    }).pipe(Effect.scoped)
  )

  it.effect("interrupted between its wake-up and its turn, leaves the request to the next one", () =>
    Effect.gen(function* () {
      const { offer, service } = yield* WebSocketServer.make({ hostname: "test", port: 80, url: "ws://test" })
      const pair = yield* MockTransport.make()
      yield* WebSocket.fromTransport(pair.client, { role: "client" })
      const first = yield* Effect.forkChild(Effect.scoped(service.accept()))
      const second = yield* Effect.forkChild(Effect.scoped(Effect.map(service.accept(), ({ url }) => url)))
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
      Fiber.interruptUnsafe(first)
      const exit = yield* Fiber.await(first)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      assert.strictEqual(yield* Fiber.join(second), "/")
      assert.strictEqual(upgrades, 1)
    }).pipe(Effect.scoped)
  )

  it.effect(
    "starts the handler in the step in which a request is ready, and watches for the client's end only if it waits",
    () =>
      Effect.gen(function* () {
        const { offer, service } = yield* WebSocketServer.make({ hostname: "test", port: 80, url: "ws://test" })
        const steps: Array<string> = []
        const offerOne = Effect.map(MockTransport.make(), (pair) => {
          offer({
            ...attemptOf("13"),
            onGone: () => void steps.push("watched"),
            upgrade: () => {
              steps.push("upgraded")
              return pair.server
            }
          })
          return { client: pair.client, steps: steps.splice(0) }
        })
        const handler = () => Effect.sync(() => void steps.push("handled"))
        yield* Effect.forkScoped(service.run(handler, { concurrency: 1 }))
        yield* settled
        const first = yield* offerOne
        // There is no room before the first connection is closed.
        const second = yield* offerOne
        const client = yield* WebSocket.fromTransport(first.client, { role: "client" })
        assert.strictEqual((yield* client.closeStatus).received?.code, 1000)
        yield* settled
        yield* WebSocket.fromTransport(second.client, { role: "client" })
        assert.deepStrictEqual(
          [first.steps, second.steps, steps],
          [["upgraded", "handled"], ["watched"], ["upgraded", "handled"]]
        )
      }).pipe(Effect.scoped)
  )

  it.effect.each(["handler", "onError"] as const)("is interrupted by the first step of a %s", (by) =>
    Effect.gen(function* () {
      const { offer, service } = yield* WebSocketServer.make({ hostname: "test", port: 80, url: "ws://test" })
      const pair = yield* MockTransport.make()
      const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
      let run: Fiber.Fiber<never, unknown> | undefined
      const interrupting = Effect.suspend(() => {
        if (run !== undefined) Fiber.interruptUnsafe(run)
        return Effect.never
      })
      const handler = () => (by === "handler" ? interrupting : Effect.fail("failed"))
      run = yield* Effect.forkChild(service.run(handler, { onError: () => interrupting }))
      yield* settled
      offer({ ...attemptOf("13"), upgrade: () => pair.server })
      assert.isTrue(isInterrupted(yield* Fiber.await(run)))
      assert.strictEqual((yield* client.closeStatus).received?.code, by === "handler" ? 1001 : 1011)
    }).pipe(Effect.scoped)
  )

  it.effect("closes the connection of a request whose 101 interrupts it", () =>
    Effect.gen(function* () {
      const { offer, service } = yield* WebSocketServer.make({ hostname: "test", port: 80, url: "ws://test" })
      const pair = yield* MockTransport.make()
      const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
      const steps: Array<string> = []
      const handler = () => Effect.onExit(Effect.never, () => Effect.sync(() => void steps.push("handler ended")))
      const run = yield* Effect.forkChild(
        Effect.onExit(service.run(handler), () => Effect.sync(() => void steps.push("run ended")))
      )
      yield* settled
      offer({
        ...attemptOf("13"),
        upgrade: () => {
          Fiber.interruptUnsafe(run)
          return pair.server
        }
      })
      assert.strictEqual((yield* client.closeStatus).received?.code, 1001)
      assert.isTrue(isInterrupted(yield* Fiber.await(run)))
      // In one Effect, the interruption comes before a handler could start; in the other, after that.
      assert.strictEqual(steps.at(-1), "run ended")
    }).pipe(Effect.scoped)
  )

  it.effect("ends with its server, also without room for another handler", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { offer, service } = yield* Scope.provide(
        WebSocketServer.make({ hostname: "test", port: 80, url: "ws://test" }),
        scope
      )
      const pair = yield* MockTransport.make()
      yield* WebSocket.fromTransport(pair.client, { role: "client" })
      // This handler does not notice that its connection is closed.
      const run = yield* Effect.forkChild(service.run(() => Effect.never, { concurrency: 1 }))
      yield* settled
      offer({ ...attemptOf("13"), upgrade: () => pair.server })
      yield* settled
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(isInterrupted(yield* Fiber.await(run)))
    }).pipe(Effect.scoped)
  )

  const throwing = (name: "isGone" | "onGone" | "reject" | "upgrade"): Partial<WebSocketServer.UpgradeAttempt> => ({
    [name]: () => {
      throw new Error(`bug in ${name}`)
    }
  })
  it.effect.each([
    ["isGone", throwing("isGone")],
    ["onGone", throwing("onGone")],
    ["upgrade", throwing("upgrade")],
    ["reject", { ...throwing("reject"), request: { ...upgradeRequest, method: "POST" } }]
  ] as const)("goes on with the next request where %s of an attempt throws", ([, bug]) =>
    Effect.gen(function* () {
      const { offer, service } = yield* WebSocketServer.make(
        { hostname: "test", port: 80, url: "ws://test" },
        { admission: { maxConnections: 1 } }
      )
      yield* Effect.forkScoped(service.run(echo))
      const pair = yield* MockTransport.make()
      offer({ ...attemptOf("13"), upgrade: () => pair.server, ...bug })
      yield* settled
      offer({ ...attemptOf("13"), upgrade: () => pair.server })
      const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
      yield* client.send("hello")
      assert.strictEqual((yield* client.receive).data, "hello")
      yield* client.close()
    }).pipe(Effect.provide(Logger.withoutDefault))
  )

  it.effect("answers 503 to a request that nobody takes in time", () =>
    Effect.gen(function* () {
      const client = yield* Effect.forkChild(Effect.flip(Effect.scoped(WebSocketClient.connect("ws://test"))))
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

  it.effect("logs a close of the peer at debug level, and a violation as a warning", () =>
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
      const running = yield* Effect.forkChild(
        WebSocketServer.run((socket) =>
          Effect.andThen(
            Effect.addFinalizer(() => Effect.ignore(socket.send("goodbye"))),
            Effect.andThen(socket.send("hello"), Effect.never)
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
  it.effect("when released, closes accepted connections with 1001 and answers waiting requests with 503", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(WebSocketTest.layer, scope)
      const outer = yield* Scope.make()
      const clients = yield* Effect.forkChild(
        Effect.all(
          [WebSocketClient.connect("ws://test/taken"), Effect.flip(WebSocketClient.connect("ws://test/waiting"))],
          {
            concurrency: "unbounded"
          }
        ).pipe(Effect.provide(context), Scope.provide(outer))
      )
      const accepted = yield* WebSocketServer.accept().pipe(Effect.provide(context), Scope.provide(outer))
      yield* settled
      const next = yield* Effect.forkChild(WebSocketServer.accept().pipe(Effect.provide(context), Scope.provide(outer)))
      yield* Fiber.interrupt(next)
      yield* Scope.close(scope, Exit.void)
      const [taken, refused] = yield* Fiber.join(clients).pipe(Effect.orDie, Effect.exit, Effect.flatten)
      assert.strictEqual((yield* accepted.closeStatus).sent?.code, 1001)
      assert.strictEqual((yield* taken.closeStatus).received?.code, 1001)
      assert.include(["Handshake_rejected"], refused._tag)
      const late = yield* Effect.exit(WebSocketServer.accept().pipe(Effect.provide(context), Scope.provide(outer)))
      assert.isTrue(Exit.isFailure(late) && Cause.hasInterruptsOnly(late.cause))
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

  it.effect("is refused with 500 if the server's selector chooses a subprotocol that was not offered", () =>
    Effect.gen(function* () {
      const { entries, layer } = yield* captured
      const [error] = yield* Effect.all(
        [
          Effect.flip(WebSocketClient.connect("ws://test/x", { protocols: ["a"] })),
          Effect.forkScoped(WebSocketServer.run(echo))
        ],
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
      assert.deepInclude({ ...error }, { _tag: "Protocol_error", origin: "remote" })
      const origin = () => {
        throw new Error("bug")
      }
      const exit = yield* Effect.exit(WebSocketServer.acceptAttempt(attempt("13"), { origin }))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.deepStrictEqual(answers, [101, 426, 500])
      yield* socket.abort
    }).pipe(Effect.scoped)
  )

  it.effect("is not answered by a server with subprotocols that nobody can ask for", () =>
    Effect.gen(function* () {
      for (const protocols of [["a b"], [""], ["a", "a"]]) {
        const exit = yield* Effect.exit(Effect.scoped(WebSocketServer.make(listening, { protocols })))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), JSON.stringify(protocols))
      }
    })
  )

  it.effect("with options that make no sense is a defect", () =>
    Effect.gen(function* () {
      for (const options of [
        { handshakeTimeout: 0 },
        { closeTimeout: Infinity },
        { sendHighWaterMark: 0 },
        { maxFrameSize: 0 },
        { limits: { maxFragments: 0 } }
      ]) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(WebSocketTest.layerWith(options))))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), JSON.stringify(options))
      }
    })
  )
})

// ---------------------------------------------------------------------------------------------------------------------
// Over requests that are made by hand
// ---------------------------------------------------------------------------------------------------------------------

const listening = { hostname: "test", port: 80, url: "ws://test" }

/** A request, and what became of it. */
const requested = (url: string, headers: HeaderRecord = {}, isGone = () => false) =>
  Effect.map(MockTransport.make(), (pair) => {
    const answers: Array<number> = []
    const made = attemptOf("13")
    const attempt: WebSocketServer.UpgradeAttempt = {
      ...made,
      request: { ...made.request, url, headers: { ...made.request.headers, ...headers } },
      remoteAddress: "192.0.2.1",
      isGone,
      upgrade: () => {
        answers.push(101)
        return pair.server
      },
      reject: (status) => answers.push(status)
    }
    return { pair, attempt, answers }
  })

describe("offer", () => {
  it.effect("hands requests out in their order, and answers each when it is taken", () =>
    Effect.gen(function* () {
      const { offer, service } = yield* WebSocketServer.make(listening)
      const early = yield* Effect.forkChild(service.accept())
      yield* settled
      const requests = yield* Effect.forEach(["/0", "/1", "/2"], (url) => requested(url))
      for (const { attempt } of requests) offer(attempt)
      assert.deepStrictEqual(
        requests.map(({ answers }) => answers),
        [[], [], []]
      )
      const sockets = [yield* Fiber.join(early), yield* service.accept()]
      assert.deepStrictEqual(
        requests.map(({ answers }) => answers),
        [[101], [101], []]
      )
      sockets.push(yield* service.accept())
      assert.deepStrictEqual(
        sockets.map(({ url }) => url),
        ["/0", "/1", "/2"]
      )
      assert.strictEqual(service.address, listening)
      yield* Effect.forEach(requests, ({ pair }) => pair.reset)
    }).pipe(Effect.scoped)
  )

  it.effect("passes over a client that went away while it waited", () =>
    Effect.gen(function* () {
      const { offer, service } = yield* WebSocketServer.make(listening)
      const gone = yield* requested("/gone", {}, () => true)
      const here = yield* requested("/here")
      offer(gone.attempt)
      offer(here.attempt)
      assert.strictEqual((yield* service.accept()).url, "/here")
      assert.deepStrictEqual([gone.answers, here.answers], [[], [101]])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([gone.answers, here.answers], [[], [101]])
      yield* here.pair.reset
    }).pipe(Effect.scoped)
  )

  it.effect("keeps a request for the next accept if the one that waited was interrupted", () =>
    Effect.gen(function* () {
      const { offer, service } = yield* WebSocketServer.make(listening)
      const waiting = yield* Effect.forkChild(service.accept())
      yield* settled
      yield* Fiber.interrupt(waiting)
      const { answers, attempt, pair } = yield* requested("/")
      offer(attempt)
      yield* settled
      assert.deepStrictEqual(answers, [])
      assert.strictEqual((yield* service.accept()).url, "/")
      yield* pair.reset
    }).pipe(Effect.scoped)
  )

  it.effect("answers each request once: 503 at the deadline or when the server stops, and after that at once", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { offer, service } = yield* WebSocketServer.make(listening, { handshakeTimeout: "4 seconds" }).pipe(
        Scope.provide(scope)
      )
      const waiting = yield* Effect.forkChild(Effect.scoped(service.accept()))
      yield* settled
      yield* Fiber.interrupt(waiting)
      const [first, second, third] = [yield* requested("/"), yield* requested("/"), yield* requested("/")]
      offer(first.attempt)
      yield* settled
      yield* TestClock.adjust("3 seconds")
      offer(second.attempt)
      yield* settled
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual([first.answers, second.answers], [[503], []])
      const accepting = yield* Effect.forkChild(Effect.scoped(Effect.uninterruptible(service.accept())))
      yield* settled
      assert.deepStrictEqual(second.answers, [101])
      yield* second.pair.reset
      yield* Fiber.join(accepting)
      offer(third.attempt)
      yield* Scope.close(scope, Exit.void)
      const late = yield* requested("/")
      offer(late.attempt)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(
        [first, second, third, late].map(({ answers }) => answers),
        [[503], [101], [503], [503]]
      )
    })
  )

  for (const [name, headers, status] of [
    ["another version", { "sec-websocket-version": "8" }, 426],
    ["a malformed key", { "sec-websocket-key": "x" }, 400],
    ["a duplicate key", { "sec-websocket-key": ["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="] }, 400],
    ["a missing token", { upgrade: "h2c" }, 400],
    ["a foreign origin", { origin: "https://evil.example" }, 403]
  ] satisfies ReadonlyArray<readonly [string, HeaderRecord, number]>) {
    it.effect(`answers ${status} to ${name}, and logs a warning that names the client`, () =>
      Effect.gen(function* () {
        const { entries, layer } = yield* captured
        const { answers, attempt } = yield* requested("/bad", headers)
        yield* Effect.gen(function* () {
          const { offer } = yield* WebSocketServer.make(listening)
          offer(attempt)
          yield* settled
        }).pipe(Effect.scoped, Effect.provide(layer))
        assert.deepStrictEqual(answers, [status])
        assert.deepStrictEqual(entries, [["WARN", "/bad", "Refused an upgrade request"]])

        const direct = yield* requested("/bad", headers)
        const error = yield* Effect.flip(Effect.scoped(WebSocketServer.acceptAttempt(direct.attempt)))
        assert.deepInclude({ ...error }, { _tag: "Protocol_error", origin: "remote" })
        assert.deepStrictEqual(direct.answers, [status])
      })
    )
  }

  it.effect("selects by the server's preference, by a function, or nothing", () =>
    Effect.gen(function* () {
      for (const [protocols, expected] of [
        [["b", "a"], "b"],
        [["c"], undefined],
        [undefined, undefined],
        [(offered: ReadonlyArray<string>) => offered.at(-1), "b"],
        [() => undefined, undefined]
      ] as const) {
        const { attempt, pair } = yield* requested("/", { "sec-websocket-protocol": "a, b" })
        const socket = yield* WebSocketServer.acceptAttempt(attempt, { protocols })
        assert.strictEqual(socket.protocol, expected)
        yield* pair.reset
      }
      const { answers, attempt } = yield* requested("/", { "sec-websocket-protocol": "a" })
      const error = yield* Effect.flip(WebSocketServer.acceptAttempt(attempt, { protocols: () => "unoffered" }))
      assert.deepInclude({ ...error }, { _tag: "Protocol_error", origin: "local" })
      assert.deepStrictEqual(answers, [500])
    }).pipe(Effect.scoped)
  )

  it.effect("asks no selector for a client that offers no subprotocol", () =>
    Effect.gen(function* () {
      const { answers, attempt, pair } = yield* requested("/")
      const socket = yield* WebSocketServer.acceptAttempt(attempt, { protocols: () => assert.fail("called") })
      yield* pair.reset
      assert.isUndefined(socket.protocol)
      assert.deepStrictEqual(answers, [101])
    }).pipe(Effect.scoped)
  )

  it.effect("an accepted connection is closed by its scope as that ends", () =>
    Effect.gen(function* () {
      for (const [exit, code] of [
        [Exit.void, 1000],
        [Exit.interrupt(), 1001],
        [Exit.fail("no"), 1011]
      ] as const) {
        const { attempt, pair } = yield* requested("/")
        const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
        const scope = yield* Scope.make()
        const { offer, service } = yield* WebSocketServer.make(listening)
        offer(attempt)
        yield* Scope.provide(service.accept(), scope)
        yield* Scope.close(scope, exit)
        assert.deepStrictEqual(outcome(yield* client.closeStatus), [code, code, "remote", true])
      }
    }).pipe(Effect.scoped)
  )

  it.effect("stops within one closeTimeout, however many clients are silent", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { offer, service } = yield* WebSocketServer.make(listening, { closeTimeout: "1 seconds" }).pipe(
        Scope.provide(scope)
      )
      const requests = yield* Effect.replicateEffect(requested("/"), 5)
      const outer = yield* Scope.make()
      for (const { attempt, pair } of requests) {
        deafPeer(pair, "client")
        offer(attempt)
        yield* Scope.provide(service.accept(), outer)
      }
      const stopping = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settled
      for (const { pair } of requests) assert.deepStrictEqual(yield* wrote(pair, "server"), ["Close 1001"])
      yield* TestClock.adjust("999 millis")
      assert.isTrue(yield* isPending(stopping))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(stopping)
      yield* Scope.close(outer, Exit.void)
    })
  )
})

describe("effects around a handler", () => {
  const clients = Metric.gauge("what is done for each client")
  const counted =
    <A, E, R>(handler: (socket: WebSocketServer.ServerWebSocket) => Effect.Effect<A, E, R>) =>
    (socket: WebSocketServer.ServerWebSocket) =>
      Effect.acquireUseRelease(
        Metric.modify(clients, 1),
        () => handler(socket),
        () => Metric.modify(clients, -1)
      )

  it.effect("run beside it and around it, and end before the Close", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const note = (event: string) => Effect.sync(() => void order.push(event))
      const ticker = WebSocketServer.layerHandler(
        counted((socket) =>
          Effect.gen(function* () {
            yield* Effect.addFinalizer(() => note("first finalizer"))
            yield* Effect.repeat(socket.send("tick"), Schedule.spaced("1 seconds")).pipe(
              Effect.onInterrupt(() => note("ticker")),
              Effect.forkScoped
            )
            yield* Effect.addFinalizer(() => Effect.andThen(note("last finalizer"), Effect.ignore(socket.send("bye"))))
            yield* socket.run(({ data }) => (data === "fail" ? Effect.fail("no") : socket.send(data)))
          })
        ),
        { onError: () => note("onError") }
      )
      yield* Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(ticker, scope)
        const failing = yield* WebSocketClient.connect("ws://test/")
        const other = yield* WebSocketClient.connect("ws://test/")
        for (const socket of [failing, other]) {
          yield* WebSocketTest.expectMessage(socket, "tick")
          yield* TestClock.adjust("1 seconds")
          yield* WebSocketTest.expectMessage(socket, "tick")
        }
        assert.strictEqual((yield* Metric.value(clients)).value, 2)

        yield* failing.send("fail")
        yield* Stream.runDrain(Stream.takeUntil(failing.messages, ({ data }) => data === "bye"))
        assert.strictEqual((yield* failing.closeStatus).received?.code, 1011)
        assert.deepStrictEqual(order, ["onError", "last finalizer", "ticker", "first finalizer"])
        assert.strictEqual((yield* Metric.value(clients)).value, 1)

        // The other one goes on, until the server stops.
        yield* other.send("hello")
        yield* Stream.runDrain(Stream.takeUntil(other.messages, ({ data }) => data === "hello"))
        const stopping = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* WebSocketTest.expectMessage(other, "bye")
        assert.strictEqual((yield* other.closeStatus).received?.code, 1001)
        yield* Fiber.join(stopping)
        assert.strictEqual((yield* Metric.value(clients)).value, 0)
      }).pipe(Effect.scoped, Effect.provide(WebSocketTest.layer))
    })
  )
})

describe("run, over requests made by hand", () => {
  class Greeting extends Context.Service<Greeting, string>()("Greeting") {}

  it.effect("gives handlers their services, and does not wait for one to take the next connection", () =>
    Effect.gen(function* () {
      const { offer, service } = yield* WebSocketServer.make(listening)
      const requests = yield* Effect.replicateEffect(requested("/"), 3)
      const clients = yield* Effect.forEach(requests, ({ pair }) =>
        WebSocket.fromTransport(pair.client, { role: "client" })
      )
      const running = yield* service
        .run((socket) =>
          Effect.andThen(
            Effect.flatMap(Greeting, (greeting) => socket.send(greeting)),
            Effect.never
          )
        )
        .pipe(Effect.provideService(Greeting, "hi"), Effect.forkChild)
      for (const { attempt } of requests) offer(attempt)
      for (const client of clients) assert.strictEqual((yield* client.receive).data, "hi")
      yield* Fiber.interrupt(running)
      for (const client of clients) {
        assert.deepStrictEqual(outcome(yield* client.closeStatus), [1001, 1001, "remote", true])
      }
    }).pipe(Effect.scoped)
  )

  for (const [name, handler, code, level] of [
    [
      "throws",
      () => {
        throw new Error("no")
      },
      1011,
      "ERROR"
    ],
    ["interrupts itself", () => Effect.interrupt, 1001, undefined],
    ["fails in a finalizer of its scope only", () => Effect.addFinalizer(() => Effect.die("no")), 1000, undefined]
  ] satisfies ReadonlyArray<
    readonly [string, () => Effect.Effect<void, never, Scope.Scope>, number, string | undefined]
  >) {
    it.effect(`closes with ${code} if the handler ${name}`, () =>
      Effect.gen(function* () {
        const { entries, layer } = yield* captured
        const { attempt, pair } = yield* requested("/x")
        const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
        yield* Effect.gen(function* () {
          const { offer, service } = yield* WebSocketServer.make(listening)
          yield* Effect.forkScoped(service.run(handler))
          offer(attempt)
          assert.deepStrictEqual(outcome(yield* client.closeStatus), [code, code, "remote", true])
          yield* settled
        }).pipe(Effect.scoped, Effect.provide(layer))
        assert.deepStrictEqual(
          entries.map(([logged, url]) => [logged, url]),
          level === undefined ? [] : [[level, "/x"]]
        )
      }).pipe(Effect.scoped)
    )
  }

  it.effect("interrupted, waits for silent peers together, within one closeTimeout", () =>
    Effect.gen(function* () {
      const { offer, service } = yield* WebSocketServer.make(listening, { closeTimeout: "1 seconds" })
      const requests = yield* Effect.replicateEffect(requested("/"), 3)
      const running = yield* Effect.forkChild(service.run(() => Effect.never))
      for (const { attempt, pair } of requests) {
        deafPeer(pair, "client")
        offer(attempt)
      }
      yield* settled
      yield* Fiber.interruptFork(running)
      yield* settled
      for (const { pair } of requests) assert.deepStrictEqual(yield* wrote(pair, "server"), ["Close 1001"])
      yield* TestClock.adjust("999 millis")
      assert.isTrue(yield* isPending(running))
      yield* TestClock.adjust("1 millis")
      assert.isTrue(isInterrupted(yield* Fiber.await(running)))
    }).pipe(Effect.scoped)
  )

  it.effect("layerHandler runs until it is released, and closes with 1001 then", () =>
    Effect.gen(function* () {
      const { offer, service } = yield* WebSocketServer.make(listening)
      const scope = yield* Scope.make()
      yield* WebSocketServer.layerHandler(echo).pipe(
        Layer.provide(Layer.succeed(WebSocketServer.WebSocketServer, service)),
        Layer.buildWithScope(scope)
      )
      const { attempt, pair } = yield* requested("/")
      const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
      offer(attempt)
      yield* client.send("hello")
      assert.strictEqual((yield* client.receive).data, "hello")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(outcome(yield* client.closeStatus), [1001, 1001, "remote", true])
    }).pipe(Effect.scoped)
  )
})

describe("a layer that is built in an uninterruptible region", () => {
  for (const drain of [undefined, { timeout: "1 second" as const }]) {
    for (const [name, layer] of [
      ["layerHandler", WebSocketServer.layerHandler(echo)],
      ["layerRoute", WebSocketServer.layerRoute({ path: "/", handler: echo })]
    ] as const) {
      it.effect(`${name} is released${drain ? ", and drains" : ""}`, () =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const app = Layer.provideMerge(layer, WebSocketTest.layerWith({ drain }))
          const context = yield* Effect.uninterruptible(Layer.buildWithScope(app, scope))
          const client = yield* Effect.provide(WebSocketClient.connect("ws://test/"), context)
          yield* client.send("hello")
          assert.strictEqual((yield* client.receive).data, "hello")
          yield* Scope.close(scope, Exit.void)
          assert.deepStrictEqual(outcome(yield* client.closeStatus), [1001, 1001, "remote", true])
        }).pipe(Effect.scoped, Effect.provide(Logger.withoutDefault))
      )
    }
  }

  it.effect("its checks are interrupted when time is up", () =>
    Effect.gen(function* () {
      const interrupted = yield* Deferred.make<void>()
      const route = WebSocketServer.layerRoute({
        path: "/",
        check: () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)),
        handler: echo
      })
      const app = Layer.provideMerge(route, WebSocketTest.layerWith({ handshakeTimeout: "1 second" }))
      const context = yield* Effect.uninterruptible(Layer.buildWithScope(app, yield* Effect.scope))
      const connecting = yield* WebSocketClient.connect("ws://test/").pipe(
        Effect.provide(context),
        Effect.flip,
        Effect.forkChild
      )
      yield* settled
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(connecting))._tag, "Handshake_rejected")
      yield* Deferred.await(interrupted)
    }).pipe(Effect.scoped)
  )
})
