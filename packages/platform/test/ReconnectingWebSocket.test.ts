import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import {
  ConnectionClosed,
  HandshakeRejected,
  IoError,
  PayloadTooLarge,
  ProtocolError
} from "@effect-websocket/protocol/Errors"
import { Option, Random, Redacted } from "effect"
import type * as MockPeer from "@effect-websocket/platform/MockPeer"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import {
  Cause,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Schedule,
  Scope,
  Stream,
  TestClock
} from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { fields, finalizersIn, isDefect, isPending, latin1, mistakes, settled, utf8 } from "./support.js"

const url = "ws://test/feed"

/** Every test has a network of its own. */
const withTest = <A, E>(
  test: Effect.Effect<
    A,
    E,
    WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer | WebSocketTest.WebSocketTest | Scope.Scope
  >
) => test.pipe(Effect.scoped, Effect.provide(Layer.fresh(WebSocketTest.layer)))

const everySecond = { schedule: Schedule.spaced("1 second") }

/** A logical connection whose first peer is there. */
const opened = <E = never, R = never>(options: ReconnectingWebSocket.Options<E, R> = {}) =>
  Effect.gen(function* () {
    const socket = yield* ReconnectingWebSocket.make<E, R>(url, { ...everySecond, ...options })
    const peer = yield* WebSocketTest.acceptPeer()
    yield* socket.awaitOpen
    return { socket, peer }
  })

const textFrom = (peer: MockPeer.MockPeer) => Effect.map(peer.receive, ({ payload }) => latin1(payload))

/** The peer performs the closing handshake. */
const closeBy = (peer: MockPeer.MockPeer, code: number) =>
  Effect.gen(function* () {
    yield* peer.sendClose(code)
    yield* peer.expectClose({ code })
    yield* peer.end
    yield* settled
  })

const stateOf = <E>(socket: ReconnectingWebSocket.ReconnectingWebSocket<E>) =>
  Effect.map(Effect.andThen(settled, socket.state.get), (state) => state._tag)

const collect = <E>(socket: ReconnectingWebSocket.ReconnectingWebSocket<E>) =>
  Effect.forkChild(Effect.exit(Stream.runCollect(Stream.map(socket.messages, ({ data }) => data))))

describe("the request of each attempt", () => {
  it.effect("has cookies by name, and a key from the app's source of randomness", () =>
    withTest(
      Effect.gen(function* () {
        let next = 0
        const random = { getRandomValues: (bytes: Uint8Array) => void bytes.fill(next++) }
        yield* ReconnectingWebSocket.make(url, { ...everySecond, random, cookies: { theme: "dark & light" } })
        for (const value of [0, 1]) {
          const { reject, request } = yield* WebSocketTest.nextAttempt
          assert.strictEqual(request.key, Handshake.makeKey(new Uint8Array(16).fill(value)))
          assert.strictEqual(request.headers["cookie"], "theme=dark%20%26%20light")
          yield* reject(503)
          yield* settled
          yield* TestClock.adjust("1 second")
        }
      })
    )
  )
})

describe("classify", () => {
  const closed = (code: number) => new ConnectionClosed({ code, reason: "", initiator: "remote", clean: true })
  const rejected = (status: number) =>
    new HandshakeRejected({ status, headers: {}, body: new Uint8Array(0), bodyTruncated: false })
  const protocol = (origin: "local" | "remote") =>
    new ProtocolError({ origin, description: "", section: "", closeCode: undefined })
  const tooLarge = (limit: "message" | "budget") =>
    new PayloadTooLarge({ limit, max: 1, size: undefined, direction: "inbound" })

  const codes = ".rffrrffffrrrrrr"
  const statuses = "ffffffrrfrrrr"

  it("ends after 1000, fails for failures that stay, and reconnects after any other", () => {
    const decisions = [
      ...[1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4000].map(closed),
      ...[200, 302, 400, 401, 403, 404, 408, 425, 426, 429, 500, 502, 503].map(rejected),
      protocol("local"),
      protocol("remote"),
      tooLarge("message"),
      tooLarge("budget"),
      ...(["Resolve", "Connect", "Tls", "Reset", "Timeout", "Budget"] as const).map(
        (reason) => new IoError({ reason, operation: "" })
      ),
      "the app's own"
    ].map(ReconnectingWebSocket.classify)
    const short = { end: ".", reconnect: "r", fail: "f" }
    assert.strictEqual(
      decisions.map((decision) => short[decision]).join(""),
      `${codes}${statuses}fffr${"r".repeat(6)}f`
    )
  })
})

describe("ReconnectingWebSocket", () => {
  it.effect("is one stream of messages over several connections, and reports its state", () =>
    withTest(
      Effect.gen(function* () {
        const states: Array<string> = []
        const socket = yield* ReconnectingWebSocket.make(url, everySecond)
        yield* Effect.forkScoped(
          Stream.runForEach(socket.state.changes, (state) =>
            Effect.sync(() => {
              const { _tag, ...rest } = state
              states.push(_tag === "Waiting" ? `Waiting ${JSON.stringify(rest)}` : _tag)
            })
          )
        )
        const collected = yield* collect(socket)
        yield* settled
        for (const text of ["a", "b"]) {
          const peer = yield* WebSocketTest.acceptPeer()
          yield* peer.send(Frame.text(text))
          yield* settled
          yield* closeBy(peer, 1001)
          yield* TestClock.adjust("1 second")
        }
        const last = yield* WebSocketTest.acceptPeer()
        yield* last.send(Frame.text("c"))
        yield* closeBy(last, 1000)
        assert.deepStrictEqual(
          Exit.map(yield* Fiber.join(collected), (chunk) => [...chunk]),
          Exit.succeed(["a", "b", "c"])
        )
        assert.strictEqual(yield* stateOf(socket), "Closed")
        assert.deepStrictEqual(
          states.map((state) => state.split(" ")[0]),
          ["Connecting", "Open", "Waiting", "Connecting", "Open", "Waiting", "Connecting", "Open", "Closed"]
        )
        const waiting = JSON.parse(states[2]!.slice("Waiting ".length))
        assert.deepInclude(waiting, { attempt: 2 })
        assert.deepInclude(waiting.failure, { _tag: "Connection_closed", code: 1001 })
      })
    )
  )

  it.effect("reports its last state, and then no other", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        const states = yield* Effect.forkChild(Stream.runCollect(Stream.map(socket.state.changes, ({ _tag }) => _tag)))
        yield* collect(socket)
        yield* settled
        yield* closeBy(peer, 1000)
        assert.deepStrictEqual([...(yield* Fiber.join(states))], ["Open", "Closed"])
        assert.deepStrictEqual([...(yield* Stream.runCollect(socket.state.changes))].length, 1)
      })
    )
  )

  it.effect("gives each message to one reader", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        const readers = [yield* collect(socket), yield* collect(socket)]
        const sent = Array.from({ length: 50 }, (_, i) => String(i))
        for (const text of sent) {
          yield* peer.send(Frame.text(text))
          yield* settled
        }
        yield* closeBy(peer, 1000)
        const read = yield* Effect.forEach(readers, (reader) => Effect.flatten(Fiber.join(reader)))
        assert.sameMembers(
          read.flatMap((chunk) => [...chunk]),
          sent
        )
      })
    )
  )

  it.effect("fails with a final failure, and so does awaitOpen", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(url, everySecond)
        const collected = yield* collect(socket)
        const opening = yield* Effect.forkChild(Effect.flip(socket.awaitOpen))
        const attempt = yield* WebSocketTest.nextAttempt
        yield* attempt.reject(401)
        assert.deepInclude(fields(yield* Fiber.join(opening)), { _tag: "Handshake_rejected", status: 401 })
        const failure = Option.getOrThrow(
          Exit.getCause(yield* Fiber.join(collected)).pipe(Option.flatMap(Cause.findErrorOption))
        )
        assert.deepInclude(fields(failure), { _tag: "Handshake_rejected", status: 401 })
        const state = yield* socket.state.get
        assert.strictEqual(state._tag === "Closed" ? state.failure : undefined, failure)
        assert.strictEqual(yield* socket.send("late"), "dropped")
      })
    )
  )

  it.effect("waits as its schedule says, and restarts the schedule after a stable connection", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(url, {
          schedule: Schedule.exponential("1 second"),
          stableAfter: "10 seconds"
        })
        yield* collect(socket)
        const refuse = Effect.gen(function* () {
          const attempt = yield* WebSocketTest.nextAttempt
          yield* attempt.unreachable
          yield* settled
          const state = yield* socket.state.get
          return state._tag === "Waiting" ? [state.attempt, state.delay.toString()] : []
        })
        const delays: Array<unknown> = []
        for (const seconds of [1, 2, 4]) {
          delays.push(yield* refuse)
          yield* TestClock.adjust(`${seconds} seconds`)
        }
        const peer = yield* WebSocketTest.acceptPeer()
        yield* settled
        yield* TestClock.adjust("9 seconds")
        yield* closeBy(peer, 1001)
        const unstable = yield* socket.state.get
        assert.deepInclude(unstable, { _tag: "Waiting", attempt: 5 })
        yield* TestClock.adjust("8 seconds")
        const stable = yield* WebSocketTest.acceptPeer()
        yield* settled
        yield* TestClock.adjust("10 seconds")
        yield* closeBy(stable, 1001)
        assert.deepInclude(yield* socket.state.get, { _tag: "Waiting", attempt: 2 })
        assert.deepStrictEqual(
          delays.map((delay) => (delay as Array<unknown>)[0]),
          [2, 3, 4]
        )
      })
    )
  )

  it.effect("fails with the last failure when its schedule is done", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(url, { schedule: Schedule.recurs(1) })
        const opening = yield* Effect.forkChild(Effect.flip(socket.awaitOpen))
        for (let i = 0; i < 2; i++) {
          const attempt = yield* WebSocketTest.nextAttempt
          yield* attempt.unreachable
          yield* settled
          yield* TestClock.adjust("1 second")
        }
        assert.deepInclude(fields(yield* Fiber.join(opening)), { _tag: "Io_error", reason: "Connect" })
      })
    )
  )

  it.effect("waits as long as Retry-After says", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(url, everySecond)
        const attempt = yield* WebSocketTest.nextAttempt
        yield* attempt.reject(503, { headers: { "retry-after": "60" } })
        yield* settled
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual(yield* stateOf(socket), "Waiting")
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* stateOf(socket), "Connecting")
      })
    )
  )

  it.effect("runs the effect of the URL at each attempt", () =>
    withTest(
      Effect.gen(function* () {
        let token = 0
        yield* ReconnectingWebSocket.make(
          Effect.sync(() => `${url}?token=${++token}`),
          everySecond
        )
        for (const expected of [1, 2]) {
          const attempt = yield* WebSocketTest.nextAttempt
          assert.strictEqual(attempt.request.url, `/feed?token=${expected}`)
          yield* attempt.unreachable
          yield* settled
          yield* TestClock.adjust("1 second")
        }
      })
    )
  )

  describe("onConnect", () => {
    it.effect("runs before anything else on each connection, and takes the messages that it receives", () =>
      withTest(
        Effect.gen(function* () {
          const { peer, socket } = yield* Effect.gen(function* () {
            const socket = yield* ReconnectingWebSocket.make(url, {
              ...everySecond,
              onConnect: (connection, number) =>
                Effect.andThen(connection.send(`login ${number}`), Effect.asVoid(connection.receive))
            })
            yield* Effect.forkScoped(socket.send("queued"))
            return { socket, peer: yield* WebSocketTest.acceptPeer() }
          })
          const collected = yield* collect(socket)
          assert.strictEqual(yield* textFrom(peer), "login 1")
          assert.strictEqual(yield* stateOf(socket), "Connecting")
          yield* peer.send(Frame.text("welcome"))
          assert.strictEqual(yield* textFrom(peer), "queued")
          yield* peer.send(Frame.text("news"))
          yield* settled
          yield* closeBy(peer, 1012)
          yield* TestClock.adjust("1 second")
          const again = yield* WebSocketTest.acceptPeer()
          assert.strictEqual(yield* textFrom(again), "login 2")
          yield* again.send(Frame.text("welcome"))
          yield* closeBy(again, 1000)
          assert.deepStrictEqual(
            Exit.map(yield* Fiber.join(collected), (chunk) => [...chunk]),
            Exit.succeed(["news"])
          )
        })
      )
    )

    it.effect("closes with 1011 if it fails, which is final unless it is classified otherwise", () =>
      withTest(
        Effect.gen(function* () {
          let attempts = 0
          const socket = yield* ReconnectingWebSocket.make(url, {
            ...everySecond,
            onConnect: () => Effect.fail(++attempts === 1 ? "again" : "final"),
            classify: (failure) => (failure === "again" ? "reconnect" : "fail")
          })
          const opening = yield* Effect.forkChild(Effect.flip(socket.awaitOpen))
          for (let i = 0; i < 2; i++) {
            const peer = yield* WebSocketTest.acceptPeer()
            yield* peer.answerClose({ code: 1011 })
            yield* settled
            yield* TestClock.adjust("1 second")
          }
          assert.strictEqual(yield* Fiber.join(opening), "final")
        })
      )
    )

    it.effect("makes readers and awaitOpen die of its defect", () =>
      withTest(
        Effect.gen(function* () {
          const socket = yield* ReconnectingWebSocket.make(url, { onConnect: () => Effect.die("oops") })
          const opening = yield* Effect.forkChild(Effect.exit(socket.awaitOpen))
          const collected = yield* collect(socket)
          const peer = yield* WebSocketTest.acceptPeer()
          yield* peer.answerClose({ code: 1011 })
          assert.isTrue(isDefect(yield* Fiber.join(collected)))
          assert.isTrue(isDefect(yield* Fiber.join(opening)))
          assert.isTrue(isDefect(yield* Effect.exit(socket.awaitOpen)))
          assert.strictEqual(yield* stateOf(socket), "Closed")
        })
      )
    )
  })

  it.effect("dies of the defect of a reader that onConnect left behind, and closes with 1011", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(url, {
          onConnect: (connection) => Effect.forkDetach(connection.run(() => {})).pipe(Effect.tap(settled))
        })
        const collected = yield* collect(socket)
        const peer = yield* WebSocketTest.acceptPeer()
        yield* peer.answerClose({ code: 1011 })
        assert.isTrue(isDefect(yield* Fiber.join(collected)))
      })
    )
  )

  // As from a queue that was shut down, or a fiber that another one interrupted.
  it.effect.each<[string, Effect.Effect<string>, ReconnectingWebSocket.Options<"no">]>([
    ["the URL", Effect.interrupt, {}],
    ["the headers", Effect.succeed(url), { headers: Effect.interrupt }],
    ["onConnect", Effect.succeed(url), { onConnect: () => Effect.interrupt }],
    [
      "the schedule",
      Effect.succeed(url),
      {
        onConnect: () => Effect.fail("no"),
        classify: () => "reconnect",
        schedule: Schedule.tap(Schedule.forever, () => Effect.interrupt)
      }
    ]
  ])(
    "shows a defect to whoever reads, or waits for it to open, where %s ends with an interruption",
    ([, from, options]) =>
      withTest(
        Effect.gen(function* () {
          yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => {})))
          const socket = yield* ReconnectingWebSocket.make(from, options)
          const opening = yield* Effect.forkChild(Effect.exit(socket.awaitOpen))
          const receiving = yield* Effect.forkChild(Effect.exit(socket.receive))
          const collected = yield* collect(socket)
          assert.isTrue(isDefect(yield* Fiber.join(collected)))
          assert.isTrue(isDefect(yield* Fiber.join(opening)))
          assert.isTrue(isDefect(yield* Fiber.join(receiving)))
          assert.strictEqual(yield* stateOf(socket), "Closed")
          assert.strictEqual(yield* socket.send("late"), "dropped")
        })
      )
  )

  describe("the outbox", () => {
    it.effect("keeps messages for the next connection, in order, and reports when they were delivered", () =>
      withTest(
        Effect.gen(function* () {
          const socket = yield* ReconnectingWebSocket.make(url, everySecond)
          const outcomes = yield* Effect.forEach(["a", "b", "c"], (text) => Effect.forkChild(socket.send(text)))
          assert.isTrue(yield* isPending(outcomes[0]!))
          assert.strictEqual(yield* socket.waitingMessages, 3)
          const peer = yield* WebSocketTest.acceptPeer()
          for (const text of ["a", "b", "c"]) assert.strictEqual(yield* textFrom(peer), text)
          assert.deepStrictEqual(yield* Fiber.joinAll(outcomes), ["delivered", "delivered", "delivered"])
          assert.strictEqual(yield* socket.waitingMessages, 0)
        })
      )
    )

    it.effect("takes back a message whose sender is interrupted", () =>
      withTest(
        Effect.gen(function* () {
          const socket = yield* ReconnectingWebSocket.make(url, { ...everySecond, outboxCapacity: 1 })
          const first = yield* Effect.forkChild(socket.send("first"))
          const second = yield* Effect.forkChild(socket.send("second"))
          const third = yield* Effect.forkChild(socket.send("third"))
          yield* settled
          yield* Fiber.interrupt(first)
          yield* Fiber.interrupt(third)
          const peer = yield* WebSocketTest.acceptPeer()
          assert.strictEqual(yield* textFrom(peer), "second")
          assert.strictEqual(yield* Fiber.join(second), "delivered")
          yield* socket.close().pipe(Effect.forkChild)
          yield* peer.answerClose({ code: 1000 })
        })
      )
    )

    for (const [strategy, expected] of [
      ["dropping", ["a", "b"]],
      ["sliding", ["b", "c"]],
      ["suspend", ["a", "b", "c"]]
    ] as const) {
      it.effect(`keeps at most outboxCapacity messages, with "${strategy}"`, () =>
        withTest(
          Effect.gen(function* () {
            const socket = yield* ReconnectingWebSocket.make(url, {
              ...everySecond,
              outboxCapacity: 2,
              outboxStrategy: strategy
            })
            const offers = yield* Effect.forEach(["a", "b", "c"], (text) => Effect.forkChild(socket.offer(text)))
            yield* settled
            assert.strictEqual(yield* socket.waitingMessages, 2)
            const peer = yield* WebSocketTest.acceptPeer()
            for (const text of expected) assert.strictEqual(yield* textFrom(peer), text)
            const outcomes = yield* Effect.forEach(offers, (fiber) => Effect.flatten(Fiber.join(fiber)))
            assert.deepStrictEqual(
              outcomes,
              ["a", "b", "c"].map((text) =>
                (expected as ReadonlyArray<string>).includes(text) ? "delivered" : "dropped"
              )
            )
          })
        )
      )
    }

    for (const sendStrategy of ["dropping", "sliding", "close", "abort"] as const) {
      it.effect(`waits for a slow peer if its client has "${sendStrategy}"`, () =>
        withTest(
          Effect.gen(function* () {
            const { connect } = yield* WebSocketClient.WebSocketClient
            const { peer, socket } = yield* opened({ sendHighWaterMark: 1, sendLowWaterMark: 1 }).pipe(
              Effect.provideService(WebSocketClient.WebSocketClient, {
                connect: (url, options) => connect(url, { sendStrategy, ...options })
              })
            )
            const network = yield* WebSocketTest.network(peer)
            yield* network.clientToServer.stall
            const texts = ["a", "b", "c"]
            const sending = yield* Effect.forEach(texts, (text) => Effect.forkChild(socket.send(text)))
            yield* settled
            yield* network.clientToServer.unstall
            for (const text of texts) assert.strictEqual(yield* textFrom(peer), text)
            const outcomes = yield* Effect.forEach(sending, (fiber) => Fiber.join(fiber))
            assert.deepStrictEqual(outcomes, ["delivered", "delivered", "delivered"])
          })
        )
      )
    }

    it.effect('reports "unknown" for a message whose connection broke, and does not send it again', () =>
      withTest(
        Effect.gen(function* () {
          const { peer, socket } = yield* opened({ sendHighWaterMark: 1, sendLowWaterMark: 1 })
          yield* collect(socket)
          const network = yield* WebSocketTest.network(peer)
          yield* network.clientToServer.stall
          const sending = yield* Effect.forkChild(socket.send("lost?"))
          const waiting = yield* Effect.forkChild(socket.send("kept"))
          assert.isTrue(yield* isPending(sending))
          yield* network.reset
          assert.strictEqual(yield* Fiber.join(sending), "unknown")
          yield* TestClock.adjust("1 second")
          const again = yield* WebSocketTest.acceptPeer()
          assert.strictEqual(yield* textFrom(again), "kept")
          assert.strictEqual(yield* Fiber.join(waiting), "delivered")
        })
      )
    )
  })

  describe("its end", () => {
    it.effect("close performs the handshake, drops the messages that wait, and ends messages", () =>
      withTest(
        Effect.gen(function* () {
          const { peer, socket } = yield* opened()
          const collected = yield* collect(socket)
          const closing = yield* Effect.forkChild(socket.close(4000, "done"))
          yield* peer.answerClose({ code: 4000, reason: "done" })
          yield* Fiber.join(closing)
          assert.isTrue(Exit.isSuccess(yield* Fiber.join(collected)))
          assert.strictEqual(yield* socket.send("late"), "dropped")
          assert.strictEqual(yield* stateOf(socket), "Closed")
          yield* socket.close()
        })
      )
    )

    it.effect("close fails for a code that may not be sent, and changes nothing", () =>
      withTest(
        Effect.gen(function* () {
          const { socket } = yield* opened()
          assert.strictEqual((yield* Effect.flip(socket.close(1006)))._tag, "Protocol_error")
          assert.strictEqual(yield* stateOf(socket), "Open")
        })
      )
    )

    it.effect("close succeeds at once while it waits or connects", () =>
      withTest(
        Effect.gen(function* () {
          const connecting = yield* ReconnectingWebSocket.make(url, everySecond)
          yield* settled
          const sending = yield* Effect.forkChild(connecting.send("dropped"))
          yield* settled
          yield* connecting.close()
          assert.strictEqual(yield* Fiber.join(sending), "dropped")
          const waiting = yield* ReconnectingWebSocket.make(url, everySecond)
          const attempt = yield* WebSocketTest.nextAttempt
          yield* attempt.unreachable
          yield* settled
          yield* waiting.close()
          assert.strictEqual(yield* stateOf(waiting), "Closed")
        })
      )
    )

    for (const [how, exit, code] of [
      ["success", Exit.void, 1000],
      ["failure", Exit.fail("no"), 1011],
      ["interruption", Exit.interrupt(), 1001]
    ] as const) {
      it.effect(`of the scope, by ${how}, closes the connection with ${code}, and makes no other`, () =>
        withTest(
          Effect.gen(function* () {
            const scope = yield* Scope.make()
            const socket = yield* Scope.provide(ReconnectingWebSocket.make(url, everySecond), scope)
            const peer = yield* WebSocketTest.acceptPeer()
            const sending = yield* Effect.forkChild(socket.send("delivered"))
            yield* peer.receive
            const closing = yield* Effect.forkChild(Scope.close(scope, exit))
            yield* peer.answerClose({ code })
            yield* Fiber.join(closing)
            assert.strictEqual(yield* Fiber.join(sending), "delivered")
            yield* TestClock.adjust("1 hour")
            assert.strictEqual(yield* stateOf(socket), "Closed")
          })
        )
      )
    }

    it.effect("of the scope does not wait for a peer that does not read", () =>
      withTest(
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const marks = { sendHighWaterMark: 1, sendLowWaterMark: 1 }
          const socket = yield* Scope.provide(ReconnectingWebSocket.make(url, { ...everySecond, ...marks }), scope)
          const peer = yield* WebSocketTest.acceptPeer()
          const network = yield* WebSocketTest.network(peer)
          yield* network.clientToServer.stall
          const sending = yield* Effect.forkChild(socket.send("unknown"))
          yield* settled
          const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
          assert.strictEqual(yield* Fiber.join(sending), "unknown")
          yield* TestClock.adjust("5 seconds")
          yield* Fiber.join(closing)
        })
      )
    )
  })

  it.effect("options that make no sense are defects", () =>
    withTest(
      Effect.gen(function* () {
        for (const options of [{ outboxCapacity: 0 }, { stableAfter: 0 }]) {
          assert.isTrue(isDefect(yield* Effect.exit(ReconnectingWebSocket.make(url, options))))
        }
      })
    )
  )

  it.effect("send dies for a message that cannot be encoded, and the messages behind it are sent", () =>
    Effect.gen(function* () {
      const fails = () => {
        throw new Error("no")
      }
      const client = yield* WebSocketClient.WebSocketClient
      // A connection whose `send` dies for one message, as if the app's `compression.filter` threw.
      const failing = WebSocketClient.WebSocketClient.of({
        connect: (url, options) =>
          Effect.map(client.connect(url, options), (socket) => {
            const sends = Object.getPrototypeOf(socket).send
            return Object.assign(socket, {
              send: (data: string) =>
                data === "now" ? fails() : data === "later" ? Effect.sync(fails) : sends.call(socket, data)
            })
          })
      })
      const socket = yield* Effect.provideService(
        ReconnectingWebSocket.make(url, everySecond),
        WebSocketClient.WebSocketClient,
        failing
      )
      const peer = yield* WebSocketTest.acceptPeer()
      const outcomes = yield* Effect.forEach(["a", "now", "b", "later", "c"], (text) => socket.offer(text))
      const exits = yield* Effect.forEach(outcomes, Effect.exit)
      assert.deepStrictEqual(
        exits.map((exit) => (isDefect(exit) ? "defect" : Exit.isSuccess(exit) && exit.value)),
        ["delivered", "defect", "delivered", "defect", "delivered"]
      )
      assert.isTrue(isDefect(yield* Effect.exit(socket.send("now"))))
      assert.deepStrictEqual([yield* textFrom(peer), yield* textFrom(peer), yield* textFrom(peer)], ["a", "b", "c"])
      assert.strictEqual(yield* stateOf(socket), "Open")
    }).pipe(withTest)
  )

  it.effect("send fails for a message above maxSendBytes, and the messages behind it are sent", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(url, { ...everySecond, maxSendBytes: 5 })
        const outcomes = yield* Effect.forEach(["a", "larger", "b"], (text) => socket.offer(text))
        const peer = yield* WebSocketTest.acceptPeer()
        const ends = yield* Effect.forEach(
          outcomes,
          Effect.match({ onFailure: ({ limit }) => limit, onSuccess: (delivered) => delivered })
        )
        assert.deepStrictEqual(ends, ["delivered", "message", "delivered"])
        const refused = yield* Effect.flip(socket.send("€€"))
        assert.deepStrictEqual(fields(refused), {
          _tag: "Payload_too_large",
          limit: "message",
          max: 5,
          size: 6,
          direction: "outbound"
        })
        assert.strictEqual(yield* socket.send("c"), "delivered")
        assert.deepStrictEqual(yield* Effect.replicateEffect(textFrom(peer), 3), ["a", "b", "c"])
        assert.strictEqual(yield* stateOf(socket), "Open")
      })
    )
  )

  it.effect("send dies at once of anything but data, and of a maxFrameSize that makes no sense", () =>
    withTest(
      Effect.gen(function* () {
        // Without a connection.
        const socket = yield* ReconnectingWebSocket.make(url, everySecond)
        for (const [name, mistake] of mistakes) {
          assert.isTrue(isDefect(yield* Effect.exit(socket.send(mistake as never))), name)
          assert.isTrue(isDefect(yield* Effect.exit(socket.offer(mistake as never))), name)
        }
        assert.isTrue(isDefect(yield* Effect.exit(socket.send("x", { maxFrameSize: 0 }))))
        assert.isTrue(isDefect(yield* Effect.exit(socket.close("Kicked" as never))))
        assert.strictEqual(yield* socket.waitingMessages, 0)
        const peer = yield* WebSocketTest.acceptPeer()
        assert.strictEqual(yield* socket.send(utf8("bytes").buffer as never), "delivered")
        assert.strictEqual(yield* socket.send("abc", { maxFrameSize: 2 }), "delivered")
        assert.deepStrictEqual(yield* Effect.replicateEffect(textFrom(peer), 3), ["bytes", "ab", "c"])
      })
    )
  )

  it.effect("a message that finds its connection closing is sent on the next one", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        yield* peer.sendClose(1012)
        yield* peer.expectClose({ code: 1012 })
        const sending = yield* Effect.forkChild(socket.send("a"))
        yield* settled
        assert.isTrue(yield* isPending(sending))
        yield* peer.end
        yield* settled
        yield* TestClock.adjust("1 second")
        const next = yield* WebSocketTest.acceptPeer()
        assert.strictEqual(yield* textFrom(next), "a")
        assert.strictEqual(yield* Fiber.join(sending), "delivered")
      })
    )
  )

  it.effect("receive takes one message of any connection, and fails as the last connection ended", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        const next = Effect.map(socket.receive, ({ data }) => data)
        yield* peer.send(Frame.text("a"), Frame.text("b"))
        assert.strictEqual(yield* next, "a")
        yield* closeBy(peer, 1001)
        yield* TestClock.adjust("1 second")
        const again = yield* WebSocketTest.acceptPeer()
        assert.strictEqual(yield* next, "b")
        const waiting = yield* Effect.forkChild(Effect.all([next, next], { concurrency: "unbounded" }))
        yield* settled
        yield* again.send(Frame.text("c"), Frame.text("d"))
        assert.sameMembers(yield* Fiber.join(waiting), ["c", "d"])
        yield* again.send(Frame.text("e"))
        yield* closeBy(again, 1000)
        assert.strictEqual(yield* next, "e")
        assert.deepInclude(yield* Effect.flip(socket.receive), {
          _tag: "Connection_closed",
          code: 1000,
          initiator: "remote"
        })
      })
    )
  )

  it.effect("receiveOption takes one message, and is None if messages would end", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        const next = Effect.map(
          socket.receiveOption,
          Option.map(({ data }) => data)
        )
        yield* peer.send(Frame.text("a"))
        yield* closeBy(peer, 1001)
        yield* TestClock.adjust("1 second")
        const again = yield* WebSocketTest.acceptPeer()
        assert.deepStrictEqual(yield* next, Option.some("a"))
        const waiting = yield* Effect.forkChild(Effect.all([next, next], { concurrency: "unbounded" }))
        yield* settled
        yield* again.send(Frame.text("b"))
        yield* closeBy(again, 1000)
        assert.sameDeepMembers(yield* Fiber.join(waiting), [Option.some("b"), Option.none()])
        assert.deepStrictEqual(yield* next, Option.none())
      })
    )
  )

  it.effect("receiveOption fails with the final failure, and is None after close", () =>
    withTest(
      Effect.gen(function* () {
        const first = yield* opened()
        const closing = yield* Effect.forkChild(first.socket.close())
        yield* first.peer.answerClose()
        yield* Fiber.join(closing)
        assert.deepStrictEqual(yield* first.socket.receiveOption, Option.none())
        const second = yield* opened()
        yield* closeBy(second.peer, 1008)
        assert.deepInclude(yield* Effect.flip(second.socket.receiveOption), { _tag: "Connection_closed", code: 1008 })
      })
    )
  )

  it.effect("receive fails after close, and with the final failure", () =>
    withTest(
      Effect.gen(function* () {
        const first = yield* opened()
        const closing = yield* Effect.forkChild(first.socket.close())
        yield* first.peer.answerClose()
        yield* Fiber.join(closing)
        assert.deepInclude(yield* Effect.flip(first.socket.receive), { _tag: "Connection_closed", initiator: "local" })
        const second = yield* opened()
        yield* closeBy(second.peer, 1008)
        assert.deepInclude(yield* Effect.flip(second.socket.receive), { _tag: "Connection_closed", code: 1008 })
      })
    )
  )

  it.effect("cuts the delay that a server asks for to maxRetryAfter", () =>
    withTest(
      Effect.gen(function* () {
        const delays: Array<number> = []
        for (const [maxRetryAfter, asked] of [
          [undefined, "86400"],
          ["2 minutes", "86400"],
          ["2 minutes", "60"],
          ["2 minutes", "Fri, 31 Dec 9999 23:59:59 GMT"]
        ] as const) {
          const socket = yield* ReconnectingWebSocket.make(url, { ...everySecond, maxRetryAfter })
          const attempt = yield* WebSocketTest.nextAttempt
          yield* attempt.reject(503, { headers: { "Retry-After": asked } })
          yield* settled
          const state = yield* socket.state.get
          assert(state._tag === "Waiting")
          delays.push(Duration.toSeconds(state.delay))
        }
        assert.deepStrictEqual(delays, [300, 120, 60, 120])
      })
    )
  )

  it.effect("is closed at its own place in the scope, with the connection that it has then", () =>
    withTest(
      Effect.gen(function* () {
        const log: Array<string> = []
        const outer = yield* Effect.scope
        const scope = yield* Scope.make()
        const acceptPeer = Scope.provide(WebSocketTest.acceptPeer(), outer)
        const { peer, socket } = yield* Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("before")))
          const made = yield* ReconnectingWebSocket.make(url, everySecond)
          const first = yield* acceptPeer
          yield* made.awaitOpen
          // It can still send, on a connection that was made later than this.
          yield* Effect.addFinalizer(() => Effect.map(Effect.orDie(made.send("bye")), (outcome) => log.push(outcome)))
          yield* closeBy(first, 1001)
          yield* TestClock.adjust("1 second")
          return { peer: yield* acceptPeer, socket: made }
        }).pipe(Scope.provide(scope))
        yield* socket.awaitOpen
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        assert.strictEqual(yield* textFrom(peer), "bye")
        yield* settled
        assert.deepStrictEqual(log, ["delivered"])
        yield* peer.answerClose({ code: 1000 })
        yield* Fiber.join(closing)
        assert.deepStrictEqual(log, ["delivered", "before"])
      })
    )
  )

  it.effect("leaves nothing in a scope that lives on", () =>
    withTest(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        for (const code of [1000, 1008]) {
          const { peer } = yield* Scope.provide(opened(), scope)
          yield* closeBy(peer, code)
        }
        assert.strictEqual(finalizersIn(scope), 0)
      })
    )
  )

  it.effect(
    "in 100 random outages, loses nothing silently and sends nothing twice",
    () =>
      withTest(
        Effect.gen(function* () {
          const received: Array<number> = []
          yield* Effect.forkScoped(
            WebSocketServer.run((socket) =>
              socket.run((message) =>
                Effect.gen(function* () {
                  received.push(Number(message.data))
                  yield* socket.send(message)
                })
              )
            )
          )
          const outages = 100
          const messages = 750
          const socket = yield* ReconnectingWebSocket.make(url, {
            schedule: Schedule.spaced("200 millis"),
            sendHighWaterMark: 64,
            sendLowWaterMark: 16,
            outboxCapacity: 8,
            onConnect: (connection, number) =>
              Effect.gen(function* () {
                if (number > outages) return
                const network = yield* WebSocketTest.network(connection)
                const outage = Effect.gen(function* () {
                  const fault = yield* Random.nextIntBetween(0, 5)
                  const millis = yield* Random.nextIntBetween(1, 1500)
                  if (fault === 0) yield* network.clientToServer.stall
                  if (fault === 1) yield* network.delay(`${millis} millis`)
                  if (fault === 2) yield* network.split(1)
                  yield* Effect.sleep(`${millis} millis`)
                  if (fault === 3) yield* connection.close(1012)
                  else yield* network.reset
                })
                yield* Effect.forkDetach(outage)
              }).pipe(Effect.scoped)
          })
          yield* Effect.forkScoped(Stream.runDrain(socket.messages))
          const outcomes: Array<ReconnectingWebSocket.Outcome> = []
          const finished = yield* Deferred.make<void>()
          yield* Effect.gen(function* () {
            for (let i = 0; i < messages; i++) {
              // One in ten fills the buffer alone, so that it waits for room after it was sent.
              const outcome = yield* socket.offer(String(i).padEnd(i % 10 === 0 ? 64 : 0))
              yield* Effect.forkScoped(Effect.map(outcome, (result) => (outcomes[i] = result)))
              yield* Effect.sleep(`${yield* Random.nextIntBetween(0, 300)} millis`)
            }
            yield* Deferred.succeed(finished, undefined)
          }).pipe(Effect.forkScoped)
          while (!(yield* Deferred.isDone(finished))) {
            yield* TestClock.adjust("500 millis")
            yield* settled
          }
          yield* TestClock.adjust("10 seconds")
          yield* settled

          assert.lengthOf(outcomes, messages)
          assert.deepStrictEqual(
            [...received].sort((a, b) => a - b),
            received,
            "in order"
          )
          assert.strictEqual(new Set(received).size, received.length, "doubled")
          const state = yield* socket.state.get
          assert.strictEqual(state._tag, "Open")
          assert.deepInclude(state, { connection: outages + 1 })
          const unknown = outcomes.filter((outcome) => outcome === "unknown").length
          assert.notInclude(outcomes, "dropped")
          assert.isAbove(unknown, 0)
          // Nothing was lost after the last outage, and what was said to be unknown may have come.
          assert.strictEqual(received.at(-1), messages - 1)
        })
      ),
    120_000
  )
})

describe("an effect of the app's that the supervisor runs", () => {
  const closing = (where: "onConnect" | "url") =>
    withTest(
      Effect.gen(function* () {
        const made = yield* Deferred.make<ReconnectingWebSocket.ReconnectingWebSocket<unknown>>()
        const close = Effect.flatMap(Deferred.await(made), (socket) => Effect.ignore(socket.close()))
        const socket = yield* ReconnectingWebSocket.make<never, never>(
          where === "url" ? Effect.as(close, url) : url,
          where === "url" ? {} : { onConnect: () => close }
        )
        if (where === "onConnect") {
          const peer = yield* WebSocketTest.acceptPeer()
          yield* Deferred.succeed(made, socket)
          yield* peer.expectClose({ code: 1000 })
          yield* peer.sendClose(1000)
        } else yield* Deferred.succeed(made, socket)
        const last = yield* Stream.runLast(socket.state.changes)
        assert.deepStrictEqual(last, Option.some({ _tag: "Closed", failure: undefined }))
      })
    )

  it.effect("may close it: onConnect", () => closing("onConnect"))
  it.effect("may close it: the URL", () => closing("url"))

  it.effect("may be interrupted by another fiber: the connection ends", () =>
    withTest(
      Effect.gen(function* () {
        const interrupted = Effect.flatMap(Effect.forkChild(Effect.never), (fiber) =>
          Effect.andThen(Fiber.interrupt(fiber), Fiber.join(fiber))
        )
        const socket = yield* ReconnectingWebSocket.make(url, { onConnect: () => interrupted })
        const peer = yield* WebSocketTest.acceptPeer()
        yield* peer.expectClose({ code: 1001 })
        yield* peer.sendClose(1001)
        yield* peer.end
        assert.strictEqual(yield* stateOf(socket), "Closed")
      })
    )
  )
})

describe("reconnect", () => {
  it.effect("closes the connection with 1000, makes another, and keeps the messages that wait", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        const network = yield* WebSocketTest.network(peer)
        yield* network.clientToServer.stall
        yield* socket.offer(new Uint8Array(100_000))
        const waiting = yield* socket.offer("waits")
        yield* settled
        const reconnecting = yield* Effect.forkScoped(socket.reconnect)
        yield* settled
        yield* network.clientToServer.unstall
        yield* peer.expectFrame((frame) => frame.payload.length === 100_000)
        assert.deepStrictEqual(yield* peer.answerClose(), { code: 1000, reason: "" })
        const next = yield* WebSocketTest.acceptPeer()
        yield* Fiber.join(reconnecting)
        yield* socket.awaitOpen
        assert.strictEqual(yield* textFrom(next), "waits")
        assert.strictEqual(yield* waiting, "delivered")
        assert.deepStrictEqual(yield* socket.state.get, { _tag: "Open", connection: 2 })
      })
    )
  )

  it.effect("gives up a delay, and restarts the schedule", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(url, { schedule: Schedule.exponential("1 minutes") })
        yield* Effect.flatMap(WebSocketTest.nextAttempt, (attempt) => attempt.unreachable)
        yield* settled
        assert.strictEqual((yield* socket.state.get)._tag, "Waiting")
        yield* socket.reconnect
        assert.deepStrictEqual(yield* socket.state.get, { _tag: "Connecting", attempt: 1 })
        yield* Effect.flatMap(WebSocketTest.nextAttempt, (attempt) => attempt.unreachable)
        yield* settled
        const state = yield* socket.state.get
        assert(state._tag === "Waiting")
        assert.strictEqual(Duration.toMillis(state.delay), 60_000)
      })
    )
  )

  it.effect("gives up a schedule that hangs", () =>
    withTest(
      Effect.gen(function* () {
        const schedule = Schedule.tap(Schedule.forever, () => Effect.never)
        const socket = yield* ReconnectingWebSocket.make(url, { schedule })
        yield* Effect.flatMap(WebSocketTest.nextAttempt, (attempt) => attempt.unreachable)
        yield* settled
        yield* socket.reconnect
        yield* WebSocketTest.acceptPeer()
        yield* socket.awaitOpen
      })
    )
  )

  it.effect("gives up an attempt, and an `onConnect` that hangs", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(url, {
          ...everySecond,
          onConnect: (_, connection) => (connection === 1 ? Effect.never : Effect.void)
        })
        // Nobody answers the first attempt.
        yield* WebSocketTest.nextAttempt
        yield* socket.reconnect
        const peer = yield* WebSocketTest.acceptPeer()
        yield* settled
        const reconnecting = yield* Effect.forkScoped(socket.reconnect)
        yield* peer.answerClose({ code: 1000 })
        yield* WebSocketTest.acceptPeer()
        yield* Fiber.join(reconnecting)
        yield* socket.awaitOpen
        assert.deepStrictEqual(yield* socket.state.get, { _tag: "Open", connection: 2 })
      })
    )
  )

  it.effect("does nothing after the end", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        yield* closeBy(peer, 1000)
        yield* settled
        yield* socket.reconnect
        assert.deepStrictEqual(yield* socket.state.get, { _tag: "Closed", failure: undefined })
      })
    )
  )

  it.effect("ends with `close`", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        const reconnecting = yield* Effect.forkScoped(socket.reconnect)
        yield* peer.expectClose({ code: 1000 })
        const closing = yield* Effect.forkScoped(socket.close())
        yield* Fiber.join(reconnecting)
        yield* peer.sendClose(1000)
        yield* peer.end
        yield* Fiber.join(closing)
        assert.deepStrictEqual(yield* socket.state.get, { _tag: "Closed", failure: undefined })
      })
    )
  )
})

describe("effects of an attempt", () => {
  it.effect("make headers, credentials and subprotocols anew each time", () =>
    withTest(
      Effect.gen(function* () {
        let attempts = 0
        yield* ReconnectingWebSocket.make(url, {
          ...everySecond,
          headers: Effect.sync(() => ({ "X-Attempt": String(++attempts) })),
          auth: Effect.sync(() => ({ token: Redacted.make(`token${attempts}`) })),
          protocols: Effect.sync(() => [`v${attempts}`])
        })
        for (const number of [1, 2]) {
          const attempt = yield* WebSocketTest.nextAttempt
          assert.deepInclude(attempt.request.headers, {
            "x-attempt": String(number),
            authorization: `Bearer token${number}`,
            "sec-websocket-protocol": `v${number}`
          })
          yield* attempt.unreachable
          yield* settled
          yield* TestClock.adjust("1 seconds")
        }
      })
    )
  )

  it.effect("are classified if they fail", () =>
    withTest(
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const socket = yield* ReconnectingWebSocket.make(url, {
          auth: Effect.fail("no token" as const),
          classify: (failure) => {
            seen.push(failure)
            return "fail"
          }
        })
        const exit = yield* Effect.exit(socket.awaitOpen)
        assert.deepStrictEqual(exit, Exit.fail("no token"))
        assert.deepStrictEqual(seen, ["no token"])
      })
    )
  )
})

describe("validFor", () => {
  it.effect("drops a message after a time without a connection", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(url, everySecond)
        const attempt = yield* WebSocketTest.nextAttempt
        const order = yield* socket.offer("order", { validFor: "5 seconds" })
        yield* socket.offer("later")
        const sending = yield* Effect.forkScoped(socket.send("order", { validFor: "5 seconds" }))
        yield* settled
        yield* TestClock.adjust("4999 millis")
        assert.strictEqual(yield* socket.waitingMessages, 3)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* order, "dropped")
        assert.strictEqual(yield* Fiber.join(sending), "dropped")
        assert.strictEqual(yield* socket.waitingMessages, 1)
        const peer = yield* attempt.accept()
        assert.strictEqual(yield* textFrom(peer), "later")
      })
    )
  )

  it.effect("delivers a message in time, also on a later connection", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        yield* peer.abort
        yield* settled
        const order = yield* socket.offer("order", { validFor: "5 seconds" })
        yield* TestClock.adjust("1 seconds")
        const next = yield* WebSocketTest.acceptPeer()
        assert.strictEqual(yield* textFrom(next), "order")
        assert.strictEqual(yield* order, "delivered")
        yield* TestClock.adjust("1 hours")
      })
    )
  )

  it.effect("drops a message that waits for a slow peer", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened({ heartbeatInterval: Duration.infinity })
        const network = yield* WebSocketTest.network(peer)
        yield* network.clientToServer.stall
        yield* socket.offer(new Uint8Array(100_000))
        const order = yield* socket.offer("order", { validFor: "5 seconds" })
        const behind = yield* socket.offer("behind it")
        yield* settled
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* order, "dropped")
        yield* network.clientToServer.unstall
        yield* peer.expectFrame((frame) => frame.payload.length === 100_000)
        assert.strictEqual(yield* textFrom(peer), "behind it")
        assert.strictEqual(yield* behind, "delivered")
      })
    )
  )

  it.effect("drops a message that waits for a place", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(url, { ...everySecond, outboxCapacity: 1 })
        yield* socket.offer("first")
        const offering = yield* Effect.forkScoped(socket.offer("order", { validFor: "5 seconds" }))
        yield* settled
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(yield* yield* Fiber.join(offering), "dropped")
        assert.strictEqual(yield* socket.waitingMessages, 1)
      })
    )
  )

  it.live("leaves no timers for messages that are taken back while they wait for a place", () =>
    withTest(
      Effect.gen(function* () {
        const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length
        const socket = yield* ReconnectingWebSocket.make(url, { outboxCapacity: 1 })
        yield* WebSocketTest.nextAttempt
        yield* socket.offer("first")
        const before = timers()
        // Many more than the timers of everything else in this process that may end meanwhile.
        const offering = yield* Effect.forEach(Array.from({ length: 200 }), () =>
          Effect.forkScoped(socket.offer("order", { validFor: "1 hours" }))
        )
        yield* settled
        assert.isAtLeast(timers() - before, 150)
        for (const fiber of offering) yield* Fiber.interrupt(fiber)
        yield* settled
        assert.isBelow(timers() - before, 50)
        assert.strictEqual(yield* socket.waitingMessages, 1)
      })
    )
  )

  it.effect("binds a message to the connection that is open", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        assert.strictEqual(yield* socket.send("now", { validFor: "connection" }), "delivered")
        assert.strictEqual(yield* textFrom(peer), "now")
        const network = yield* WebSocketTest.network(peer)
        yield* network.clientToServer.stall
        yield* socket.offer(new Uint8Array(100_000))
        const [begun, behind] = [
          yield* socket.offer("begun", { validFor: "connection" }),
          yield* socket.offer("behind", { validFor: "connection" })
        ]
        const any = yield* socket.offer("any")
        yield* settled
        yield* network.reset
        assert.strictEqual(yield* begun, "dropped")
        assert.strictEqual(yield* behind, "dropped")
        yield* settled
        // None is open.
        assert.strictEqual(yield* socket.send("none", { validFor: "connection" }), "dropped")
        yield* TestClock.adjust("1 seconds")
        const next = yield* WebSocketTest.acceptPeer()
        assert.strictEqual(yield* textFrom(next), "any")
        assert.strictEqual(yield* any, "delivered")
      })
    )
  )

  it.effect("drops messages of a connection that ends while nobody reads", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened({ sendHighWaterMark: 10 })
        const network = yield* WebSocketTest.network(peer)
        yield* network.clientToServer.stall
        yield* socket.offer("more than ten bytes")
        const kept = yield* socket.offer("kept")
        const bound = yield* socket.offer("bound", { validFor: "connection" })
        // More than the logical connection holds for its readers.
        yield* peer.send(...Array.from({ length: 40 }, () => Frame.text("x")))
        yield* settled
        yield* peer.abort
        assert.strictEqual(yield* bound, "dropped")
        assert.strictEqual(yield* socket.send("late", { validFor: "connection" }), "dropped")
        for (let i = 0; i < 40; i++) yield* socket.receive
        yield* settled
        yield* TestClock.adjust("1 seconds")
        const next = yield* WebSocketTest.acceptPeer()
        assert.strictEqual(yield* textFrom(next), "kept")
        assert.strictEqual(yield* kept, "delivered")
      })
    )
  )

  it.effect("must be a duration that makes sense", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(url, everySecond)
        assert.isTrue(isDefect(yield* Effect.exit(socket.send("order", { validFor: -1 }))))
      })
    )
  )
})

describe("a close by the app", () => {
  /** The app closes the connection that `onConnect` got with 1000. */
  const closedByApp = (options: ReconnectingWebSocket.Options = {}) =>
    Effect.gen(function* () {
      let close: Effect.Effect<void> = Effect.void
      const { peer, socket } = yield* opened({
        ...options,
        onConnect: (connection) => Effect.sync(() => (close = connection.close()))
      })
      const closing = yield* Effect.forkScoped(close)
      yield* peer.answerClose({ code: 1000 })
      yield* Fiber.join(closing)
      yield* settled
      return yield* socket.state.get
    })

  it.effect("ends the logical connection by default", () =>
    withTest(
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* closedByApp(), { _tag: "Closed", failure: undefined })
      })
    )
  )

  it.effect("is followed by another connection if `classify` says so", () =>
    withTest(
      Effect.gen(function* () {
        const state = yield* closedByApp({
          classify: (failure) =>
            failure._tag === "Connection_closed" && failure.initiator === "local"
              ? "reconnect"
              : ReconnectingWebSocket.classify(failure)
        })
        assert.strictEqual(state._tag, "Waiting")
      })
    )
  )
})

describe("idleTimeout", () => {
  it.effect("makes another connection if the feed is silent", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened({ idleTimeout: "10 seconds", heartbeatInterval: Duration.infinity })
        yield* TestClock.adjust("10 seconds")
        yield* peer.answerClose({ code: 1001 })
        yield* settled
        assert.strictEqual((yield* socket.state.get)._tag, "Waiting")
      })
    )
  )
})
