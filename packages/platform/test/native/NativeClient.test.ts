import { Option, Redacted } from "effect"
import type { NativeRequest } from "../../src/engine/native/NativeSocket.js"
import type * as WebSocketClient from "../../src/WebSocketClient.js"
import * as WebSocketMetrics from "../../src/WebSocketMetrics.js"
import * as WebSocketTracing from "../../src/WebSocketTracing.js"
import { makeHeaderRequest } from "../../src/native/makeHeaderRequest.js"
import * as NativeClient from "../../src/native/NativeClient.js"
import { Effect, Exit, Fiber, Layer, Metric, Scope, Tracer } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { FakeSocket } from "../engine/native/FakeSocket.js"
import { interruptedAt } from "../scheduling.js"
import { makePlatform } from "./FakePlatform.js"

const settled = Effect.repeat(Effect.yieldNow, { times: 20 })

/** A connection that is about to open, in a scope of its own. */
const connecting = (options?: Parameters<typeof NativeClient.make>[1]) =>
  Effect.gen(function* () {
    const { platform, sockets } = makePlatform()
    const client = yield* NativeClient.make(platform, options)
    const scope = yield* Scope.make()
    const fiber = yield* Effect.forkChild(Scope.provide(client.connect("ws://test/path"), scope))
    yield* settled
    const [socket] = sockets
    if (socket === undefined) return yield* Effect.die("no socket was made")
    return { fiber, scope, socket }
  })

const refusal = (
  options: WebSocketClient.ConnectOptions,
  url = "ws://test",
  clientOptions: Parameters<typeof NativeClient.make>[1] = {}
) =>
  Effect.gen(function* () {
    const { platform, sockets } = makePlatform()
    const client = yield* NativeClient.make(platform, clientOptions)
    const error = yield* Effect.flip(Effect.asVoid(Effect.scoped(client.connect(url, options))))
    assert.deepStrictEqual(sockets, [])
    return error
  })

describe("NativeClient", () => {
  it.effect("opens, reads, sends and closes with its scope", () =>
    Effect.gen(function* () {
      const { fiber, scope, socket } = yield* connecting({ protocols: ["chat"] })
      socket.protocol = "chat"
      socket.extensions = "permessage-deflate; client_max_window_bits=12"
      socket.emit("open")
      const connection = yield* Fiber.join(fiber)
      assert.strictEqual(connection.url, "ws://test/path")
      assert.strictEqual(connection.role, "client")
      assert.strictEqual(connection.protocol, "chat")
      assert.deepStrictEqual(
        connection.extensions.map(({ name }) => name),
        ["permessage-deflate"]
      )
      socket.receive("hello")
      assert.strictEqual((yield* connection.receive).data, "hello")
      yield* connection.send("answer")
      assert.deepStrictEqual(socket.sent, ["answer"])
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settled
      assert.deepStrictEqual(socket.closes, [[1000, ""]])
      socket.emit("close", { code: 1000, reason: "", wasClean: true })
      yield* Fiber.join(closing)
      assert.isTrue((yield* connection.closeStatus).clean)
    })
  )

  it.effect("drops the attempt if it is interrupted", () =>
    Effect.gen(function* () {
      const { fiber, socket } = yield* connecting()
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(socket.closes, [[]])
      assert.strictEqual(socket.listening, 0)
    })
  )

  it.effect("drops the attempt if its scope ends", () =>
    Effect.gen(function* () {
      const { fiber, scope, socket } = yield* connecting()
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      assert.deepStrictEqual(socket.closes, [[]])
    })
  )

  it.effect("fails if the platform cannot connect", () =>
    Effect.gen(function* () {
      const { fiber, socket } = yield* connecting()
      socket.emit("error")
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude({ ...error }, { _tag: "Io_error", reason: "Connect" })
    })
  )

  it.effect("refuses what the platform cannot do, before it connects", () =>
    Effect.gen(function* () {
      const options: ReadonlyArray<WebSocketClient.ConnectOptions> = [
        { headers: { a: "b" } },
        { auth: { token: Redacted.make("secret") } },
        { compression: true },
        { limits: { maxFragments: 1 } },
        { delivery: "messages", recordFrames: true }
      ]
      for (const each of options) {
        assert.deepInclude({ ...(yield* refusal(each)) }, { _tag: "Protocol_error", origin: "local" })
      }
      const credentials = yield* refusal({}, "ws://user:password@test")
      assert.include(credentials.message, "user name and password")
      assert.notInclude(credentials.message, "password@")
    })
  )

  it.effect("refuses URLs and subprotocols that are not valid", () =>
    Effect.gen(function* () {
      for (const error of [
        yield* refusal({}, "http://test"),
        yield* refusal({}, "/relative"),
        yield* refusal({ protocols: ["not a token"] })
      ]) {
        assert.deepInclude({ ...error }, { _tag: "Protocol_error", origin: "local" })
      }
    })
  )

  it.effect("takes options that ask for what the platform does anyway", () =>
    Effect.gen(function* () {
      const { platform, sockets } = makePlatform({ options: new Set() })
      const client = yield* NativeClient.make(platform, { baseUrl: "ws://base/path" })
      const options: WebSocketClient.ConnectOptions = {
        delivery: "messages",
        headers: undefined,
        sendStrategy: "suspend",
        limits: { maxMessageBytes: 10 }
      }
      const fiber = yield* Effect.forkChild(Effect.scoped(client.connect("other", options)))
      yield* settled
      assert.strictEqual(sockets.length, 1)
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("refuses options that make no sense as a defect", () =>
    Effect.gen(function* () {
      const { platform } = makePlatform({ options: new Set() })
      for (const options of [
        { maxUnreadBytes: 0 },
        { openTimeout: -1 },
        { protocols: ["not a token"] },
        { baseUrl: "http://test" },
        { sendHighWaterMark: 1 }
      ]) {
        const exit = yield* Effect.exit(NativeClient.make(platform, options))
        assert.include(String(Exit.isFailure(exit) ? exit.cause : ""), Object.keys(options)[0]!)
      }
    })
  )
})

/** The metrics of clients that are not zero. */
const clientNumbers = Effect.gen(function* () {
  yield* WebSocketMetrics.sample
  const numbers = yield* Metric.numbersOf("websocket.")
  return Object.fromEntries([...numbers].filter(([key, value]) => key.includes("role=client") && value !== 0))
})

/** What the metrics of clients have changed by since, without the role. */
const changesOf = Effect.gen(function* () {
  const before = yield* clientNumbers
  return Effect.map(clientNumbers, (after) =>
    Object.fromEntries(
      Object.entries(after).flatMap(([key, value]) => {
        const by = value - (before[key] ?? 0)
        return by === 0 ? [] : [[key.replace(/^websocket\.|,?websocket\.role=client/g, ""), by]]
      })
    )
  )
})

describe("with metrics", () => {
  it.effect("counts handshakes, connections, messages, payloads and closes", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      const { fiber, scope, socket } = yield* connecting()
      assert.deepStrictEqual(yield* changes, { "handshake.active{}": 1 })
      socket.emit("open")
      const connection = yield* Fiber.join(fiber)
      const accepted = { "handshake.duration{websocket.handshake.outcome=accepted}": 1 }
      assert.deepStrictEqual(yield* changes, { "connection.active{}": 1, ...accepted })
      socket.receive("hello", "world")
      yield* connection.receive
      yield* connection.send(new Uint8Array(3))
      yield* settled
      socket.bufferedAmount = 2
      const counts = {
        "io{network.io.direction=receive}": 10,
        "io{network.io.direction=transmit}": 3,
        "messages{network.io.direction=receive}": 2,
        "messages{network.io.direction=transmit}": 1
      }
      assert.deepStrictEqual(yield* changes, {
        "connection.active{}": 1,
        ...accepted,
        ...counts,
        // A message counts 64 bytes more than it has.
        "unread.size{}": 69,
        "unsent.size{}": 2
      })
      socket.bufferedAmount = 0
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settled
      socket.emit("close", { code: 1000, reason: "", wasClean: true })
      yield* Fiber.join(closing)
      assert.deepStrictEqual(yield* changes, {
        ...accepted,
        ...counts,
        "connection.closed{websocket.close.clean=true,websocket.close.code=1000,websocket.close.initiator=local}": 1
      })
    }).pipe(Effect.provide(Layer.fresh(WebSocketMetrics.layer)))
  )

  it.effect("counts handshakes that fail, and connections that break or overflow", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      const failing = yield* connecting()
      failing.socket.emit("error")
      yield* Effect.flip(Fiber.join(failing.fiber))
      yield* Fiber.interrupt((yield* connecting()).fiber)
      yield* refusal({ headers: { a: "b" } })
      const breaking = yield* connecting()
      breaking.socket.emit("open")
      yield* Fiber.join(breaking.fiber)
      breaking.socket.emit("close", { code: 1006, wasClean: false })
      const overflowing = yield* connecting({ maxUnreadBytes: 100 })
      overflowing.socket.emit("open")
      yield* Fiber.join(overflowing.fiber)
      overflowing.socket.receive("x".repeat(100))
      yield* settled
      overflowing.socket.emit("close", { code: 1009, wasClean: true })
      assert.deepInclude(yield* changes, {
        "handshake.duration{error.type=Connect,websocket.handshake.outcome=refused}": 1,
        "handshake.duration{error.type=interrupted,websocket.handshake.outcome=refused}": 1,
        "handshake.duration{websocket.handshake.outcome=accepted}": 2,
        "connection.closed{websocket.close.clean=false,websocket.close.code=1006,websocket.close.initiator=remote}": 1,
        "connection.closed{websocket.close.clean=true,websocket.close.code=4xxx,websocket.close.initiator=local}": 1,
        "read.pauses{websocket.pause.reason=inbox}": 1
      })
      assert.notProperty(yield* changes, "connection.active{}")
    }).pipe(Effect.provide(Layer.fresh(WebSocketMetrics.layer)))
  )
})

/** Headers with which an app names a context itself. Another one beside it would win at some servers. */
const ownContexts = [{ TraceParent: "own" }, { B3: "own" }, { "X-B3-TraceId": "own", "X-B3-SpanId": "own" }]

describe("with spans", () => {
  it.effect("makes a span that is found again, and sends its context with the headers of the app", () => {
    const spans: Array<Tracer.Recorded> = []
    return Effect.gen(function* () {
      const sent: Array<NativeRequest> = []
      const { platform } = makePlatform({
        makeRequest: makeHeaderRequest,
        options: new Set(NativeClient.headerOptions)
      })
      const client = yield* NativeClient.make({
        ...platform,
        dial: (request, done) => {
          sent.push(request)
          queueMicrotask(() =>
            done({ _tag: "Opened", opened: { socket: new FakeSocket(), protocol: "", extensions: "" } })
          )
          return () => {}
        }
      })
      const scope = yield* Scope.make()
      const connect = (options: WebSocketClient.ConnectOptions) =>
        Scope.provide(client.connect("ws://test/path?token=secret", options), scope)
      const socket = yield* Effect.withSpan(connect({ headers: { a: "b" } }), "app")
      for (const headers of ownContexts) yield* connect({ headers })
      const [app, span] = spans
      assert.deepInclude(span, { name: "websocket.client.handshake", kind: "client", ended: "success" })
      assert.strictEqual(span?.parent, app?.spanId)
      assert.strictEqual(Option.getOrThrow(WebSocketTracing.handshakeSpan(socket)).spanId, span?.spanId)
      const { spanId, traceId } = span!
      assert.deepStrictEqual(
        sent.map(({ headers }) => headers),
        [{ a: "b", traceparent: `00-${traceId}-${spanId}-01`, b3: `${traceId}-${spanId}-1` }, ...ownContexts]
      )
      assert.notInclude(JSON.stringify(spans), "secret")
    }).pipe(
      Effect.provide(
        Layer.merge(
          WebSocketTracing.layer,
          Tracer.recording((span) => spans.push(span))
        )
      )
    )
  })
})

describe("with metrics and spans", () => {
  it.effect("tells once how an attempt ends, wherever it is interrupted", () => {
    const spans: Array<Tracer.Recorded> = []
    return Effect.gen(function* () {
      const changes = yield* changesOf
      const { platform } = makePlatform({
        dial: (_, done) => {
          const socket = new FakeSocket()
          const close = socket.close.bind(socket)
          socket.close = (...reason) => {
            close(...reason)
            queueMicrotask(() => socket.emit("close", { code: 1000, wasClean: true }))
          }
          queueMicrotask(() => done({ _tag: "Opened", opened: { socket, protocol: "", extensions: "" } }))
          return () => {}
        }
      })
      const client = yield* NativeClient.make(platform)
      const outcomes = new Set<string | undefined>()
      for (let k = 1, interrupted = true; interrupted; k++) {
        const { isInterrupted } = yield* interruptedAt(k, Effect.scoped(client.connect("ws://test")))
        interrupted = isInterrupted
        outcomes.add(spans.at(-1)?.ended)
      }
      yield* settled
      const counted = yield* changes
      const handshakes = Object.entries(counted).filter(([key]) => key.startsWith("handshake.duration"))
      assert.strictEqual(
        handshakes.reduce((sum, [, count]) => sum + count, 0),
        spans.length
      )
      assert.notProperty(counted, "handshake.active{}")
      assert.notProperty(counted, "connection.active{}")
      assert.notInclude(
        spans.map(({ ended }) => ended),
        undefined
      )
      assert.isAbove(outcomes.size, 1)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          Layer.fresh(WebSocketMetrics.layer),
          WebSocketTracing.layer,
          Tracer.recording((span) => spans.push(span))
        )
      )
    )
  })
})
