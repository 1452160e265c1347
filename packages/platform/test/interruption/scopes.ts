/**
 * What happens if a fiber yields before its `k`-th operation and is interrupted there: `accept`, `drain`, `connect`,
 * reconnecting, and what tests use. Each is a function of `k` that says whether the program came that far.
 */
import * as MockPeer from "@effect-websocket/platform/MockPeer"
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { assert } from "@effect/vitest"
import * as Frame from "@effect-websocket/protocol/Frame"
import { Schedule } from "effect"
import { Effect, Exit, Fiber, Layer, Logger, Scope } from "../effect/index.js"
import { interruptedAt, yieldingAt, yieldingOnce } from "../scheduling.js"
import { latin1, settled } from "../support.js"

export type Enumeration = (k: number) => Effect.Effect<boolean>

/** In the step in which the value comes; `Effect.map` would do it in the next one. */
const noted = <A>(log: Array<A>, value: A): Effect.Effect<void> => {
  log.push(value)
  return Effect.void
}

const quiet = Logger.withoutDefault

const withTest = <A, E>(
  test: Effect.Effect<
    A,
    E,
    WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer | WebSocketTest.WebSocketTest | Scope.Scope
  >
): Effect.Effect<A> =>
  test.pipe(Effect.scoped, Effect.provide(Layer.fresh(WebSocketTest.layer)), Effect.provide(quiet), Effect.orDie)

const url = "ws://test/"
const open = Effect.map(WebSocketServer.connections, (connections) => connections.length)

/** A request comes while two accept; the first of them is interrupted. */
const accept: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      const [mine, other] = [yield* Scope.make(), yield* Scope.make()]
      const first = yield* Effect.forkChild(interruptedAt(k, Scope.provide(WebSocketServer.accept(), mine)))
      yield* settled
      const second = yield* Effect.forkChild(Scope.provide(WebSocketServer.accept(), other))
      yield* settled
      // Nobody forgets the request.
      const client = yield* WebSocketClient.connect(url)
      yield* settled
      const isSecond = (yield* Fiber.poll(second))._tag === "Some"
      assert.strictEqual(yield* open, 1)
      // Nor is the connection without an owner.
      yield* Effect.forkChild(client.run(() => {}))
      yield* Scope.close(isSecond ? other : mine, Exit.void)
      assert.strictEqual(yield* open, 0)
      if (!isSecond) {
        yield* Fiber.interrupt(second)
        return (yield* Fiber.join(first)).isInterrupted
      }
      const { exit, isInterrupted } = yield* Fiber.join(first)
      assert.isTrue(Exit.hasInterrupts(exit))
      yield* Scope.close(mine, Exit.void)
      return isInterrupted
    })
  )

const drain: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => {})))
      const client = yield* WebSocketClient.connect(url)
      yield* Effect.forkChild(client.run(() => {}))
      const { isInterrupted } = yield* interruptedAt(k, WebSocketServer.drain())
      // Whether or not the first one began, there is a report, and only one.
      assert.deepStrictEqual(yield* WebSocketServer.drain(), { closed: 1, dropped: 0, interrupted: 0 })
      assert.strictEqual((yield* Effect.flip(WebSocketClient.connect(url)))._tag, "Handshake_rejected")
      return isInterrupted
    })
  )

const drainRoute: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      const route = yield* WebSocketServer.route({ path: "/" })
      yield* route.serve((socket) => socket.run(() => {}))
      const client = yield* WebSocketClient.connect(url)
      yield* Effect.forkChild(client.run(() => {}))
      const { isInterrupted } = yield* interruptedAt(k, route.drain())
      assert.deepStrictEqual(yield* route.drain(), { closed: 1, dropped: 0, interrupted: 0 })
      assert.deepStrictEqual(yield* WebSocketServer.drain(), { closed: 1, dropped: 0, interrupted: 0 })
      return isInterrupted
    })
  )

const connect: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => {})))
      const scope = yield* Scope.make()
      const { isInterrupted } = yield* interruptedAt(k, Scope.provide(WebSocketClient.connect(url), scope))
      yield* Scope.close(scope, Exit.void)
      yield* settled
      assert.strictEqual(yield* open, 0)
      return isInterrupted
    })
  )

/** Everything yields at every `k`-th operation: nothing is lost, and everything ends. */
const echo: Enumeration = (k) =>
  Effect.gen(function* () {
    yield* Effect.forkScoped(
      WebSocketServer.run((socket) => socket.run((message) => socket.send(message)), { concurrency: 1 })
    )
    for (let i = 0; i < 2; i++) {
      const socket = yield* WebSocketClient.connect(url)
      for (const text of ["a", "b", "c"]) yield* socket.send(text)
      const received = []
      for (let j = 0; j < 3; j++) received.push((yield* socket.receive).data)
      assert.deepStrictEqual(received, ["a", "b", "c"])
      yield* socket.close()
    }
    yield* WebSocketServer.drain()
  }).pipe(withTest, Effect.withScheduler(yieldingAt(k)), Effect.as(true))

const options = { schedule: Schedule.spaced("1 second") }

const opened = Effect.gen(function* () {
  const socket = yield* ReconnectingWebSocket.make(url, options)
  const peer = yield* WebSocketTest.acceptPeer()
  yield* socket.awaitOpen
  return { socket, peer }
})

const textFrom = (peer: MockPeer.MockPeer) => Effect.map(peer.receive, ({ payload }) => latin1(payload))

/** All texts up to `last`. */
const textsUntil = (peer: MockPeer.MockPeer, last: string) =>
  Effect.gen(function* () {
    const texts = []
    do texts.push(yield* textFrom(peer))
    while (texts.at(-1) !== last)
    return texts
  })

const send: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      const { peer, socket } = yield* opened
      const { exit, isInterrupted } = yield* interruptedAt(k, socket.send("it"))
      assert.strictEqual(yield* socket.send("after"), "delivered")
      const texts = yield* textsUntil(peer, "after")
      // At most once; for certain where it is said to be delivered.
      assert.include([1, ...(isInterrupted ? [0] : [])], texts.length - 1)
      if (Exit.isSuccess(exit)) assert.deepStrictEqual([exit.value, texts], ["delivered", ["it", "after"]])
      return isInterrupted
    })
  )

/** It waits for a place, gets one, and is interrupted: it does not keep the place. */
const offer: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      const socket = yield* ReconnectingWebSocket.make(url, { ...options, outboxCapacity: 1 })
      const before = yield* socket.offer("before")
      const offering = yield* Effect.forkChild(interruptedAt(k, Effect.flatten(socket.offer("it"))))
      yield* settled
      const peer = yield* WebSocketTest.acceptPeer()
      const after = yield* socket.send("after")
      const { exit, isInterrupted } = yield* Fiber.join(offering)
      assert.deepStrictEqual([yield* before, after, yield* socket.waitingMessages], ["delivered", "delivered", 0])
      const texts = yield* textsUntil(peer, "after")
      if (Exit.isSuccess(exit)) assert.deepStrictEqual([exit.value, texts], ["delivered", ["before", "it", "after"]])
      return isInterrupted
    })
  )

/** There is a place at once: where `offer` is interrupted, nothing is left in it. */
const offerAtOnce: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      const socket = yield* ReconnectingWebSocket.make(url, options)
      const offered: Array<unknown> = []
      const offering = Effect.flatMap(socket.offer("it"), (outcome) => noted(offered, outcome))
      const { isInterrupted } = yield* interruptedAt(k, offering)
      assert.strictEqual(yield* socket.waitingMessages, offered.length)
      return isInterrupted
    })
  )

const receive: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      const { peer, socket } = yield* opened
      const texts: Array<unknown> = []
      const receiving = Effect.flatMap(socket.receive, ({ data }) => noted(texts, data))
      // One is there, the other one wakes.
      yield* peer.send(Frame.text("a"))
      yield* settled
      const fiber = yield* Effect.forkChild(interruptedAt(k, Effect.andThen(receiving, receiving)))
      yield* settled
      yield* peer.send(Frame.text("b"))
      const { isInterrupted } = yield* Fiber.join(fiber)
      while (texts.length < 2) yield* receiving
      assert.deepStrictEqual(texts, ["a", "b"])
      return isInterrupted
    })
  )

const closeReconnecting: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => {})))
      const socket = yield* ReconnectingWebSocket.make(url, options)
      yield* socket.awaitOpen
      const { isInterrupted } = yield* interruptedAt(k, socket.close())
      yield* socket.close()
      yield* settled
      assert.deepStrictEqual([(yield* socket.state.get)._tag, yield* open], ["Closed", 0])
      assert.strictEqual(yield* socket.send("late"), "dropped")
      return isInterrupted
    })
  )

const makeReconnecting: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => {})))
      const scope = yield* Scope.make()
      const making = Effect.flatMap(ReconnectingWebSocket.make(url, options), (socket) => socket.awaitOpen)
      const { isInterrupted } = yield* interruptedAt(k, Scope.provide(making, scope))
      yield* Scope.close(scope, Exit.void)
      yield* settled
      assert.strictEqual(yield* open, 0)
      return isInterrupted
    })
  )

/** It is closed when its own fiber, which connects and sends, yields: each message has the outcome that it had. */
const closeWhileSending: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      const received: Array<unknown> = []
      yield* Effect.forkScoped(
        WebSocketServer.run((socket) => socket.run((message) => void received.push(message.data)))
      )
      const state: { socket: ReconnectingWebSocket.ReconnectingWebSocket | undefined; closing: boolean } = {
        socket: undefined,
        closing: false
      }
      const closing = Effect.suspend(() => state.socket?.close() ?? Effect.void)
      const scheduler = yieldingOnce(k, () => {
        state.closing = true
        Effect.runFork(closing)
      })
      state.socket = yield* Effect.withScheduler(ReconnectingWebSocket.make(url, options), scheduler)
      const socket = state.socket
      const sending = yield* Effect.forEach(["a", "b", "c"], (text) => Effect.forkChild(socket.send(text)))
      for (let turn = 0; turn < 5; turn++) yield* settled
      yield* closing
      const outcomes = yield* Fiber.joinAll(sending)
      yield* settled
      const texts = ["a", "b", "c"].filter((_, i) => received.includes(["a", "b", "c"][i]))
      assert.deepStrictEqual(received, texts)
      outcomes.forEach((outcome, i) => {
        if (outcome !== "unknown") assert.strictEqual(texts.includes("abc"[i]!), outcome === "delivered", outcome)
      })
      assert.strictEqual(yield* open, 0)
      return state.closing
    })
  )

/** What a test asked for is for the next one that asks, or for the server. */
const nextAttempt: Enumeration = (k) =>
  withTest(
    Effect.gen(function* () {
      const got: Array<WebSocketTest.ConnectionAttempt> = []
      const next = Effect.flatMap(WebSocketTest.nextAttempt, (attempt) => noted(got, attempt))
      const first = yield* Effect.forkChild(interruptedAt(k, next))
      yield* settled
      const connecting = yield* Effect.forkChild(Effect.flip(WebSocketClient.connect(url)))
      yield* settled
      const { isInterrupted } = yield* Fiber.join(first)
      if (got.length === 0) yield* next
      yield* got[0]!.reject(401)
      assert.strictEqual((yield* Fiber.join(connecting))._tag, "Handshake_rejected")
      assert.strictEqual(got.length, 1)
      return isInterrupted
    })
  )

const peerReceive: Enumeration = (k) =>
  Effect.gen(function* () {
    const pair = yield* MockTransport.make()
    const [peer, other] = [
      yield* MockPeer.fromTransport(pair.client, { role: "client" }),
      yield* MockPeer.fromTransport(pair.server, { role: "server" })
    ]
    const texts: Array<string> = []
    const receiving = Effect.flatMap(peer.receive, ({ payload }) => noted(texts, latin1(payload)))
    yield* other.send(Frame.text("a"))
    yield* settled
    const fiber = yield* Effect.forkChild(interruptedAt(k, Effect.andThen(receiving, receiving)))
    yield* settled
    yield* other.send(Frame.text("b"))
    const { isInterrupted } = yield* Fiber.join(fiber)
    while (texts.length < 2) yield* receiving
    assert.deepStrictEqual(texts, ["a", "b"])
    return isInterrupted
  }).pipe(Effect.scoped)

export const enumerations: Readonly<Record<string, Enumeration>> = {
  accept,
  closeReconnecting,
  closeWhileSending,
  connect,
  drain,
  drainRoute,
  echo,
  makeReconnecting,
  nextAttempt,
  offer,
  offerAtOnce,
  peerReceive,
  receive,
  send
}
