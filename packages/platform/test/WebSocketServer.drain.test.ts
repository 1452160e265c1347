/** Stopping gracefully. */
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Logger, Scope, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { isDefect, isPending, settled } from "./support.js"

const connect = (path: string) => WebSocketClient.connect(`ws://test${path}`)

const echo = (socket: WebSocketServer.ServerWebSocket) => socket.run((message) => socket.send(message))

const quiet = Logger.withoutDefault

/** A server in a scope that a test may close, with clients in another. */
const started = <A>(
  handlers: Layer.Layer<A, never, WebSocketServer.WebSocketServer>,
  options: WebSocketServer.Options = {},
  logger: Layer.Layer<never> = quiet
) =>
  Effect.gen(function* () {
    const outer = yield* Scope.make()
    const inner = yield* Scope.make()
    // The client is released after the server.
    const services = yield* Layer.buildWithScope(Layer.provideMerge(WebSocketTest.layerWith(options), logger), outer)
    yield* Layer.buildWithScope(Layer.provide(handlers, Layer.succeedContext(services)), inner)
    yield* Effect.addFinalizer(() => Scope.close(outer, Exit.void))
    yield* settled
    return {
      connect: (path: string) => connect(path).pipe(Effect.provide(services), Scope.provide(outer)),
      drain: (options?: WebSocketServer.DrainOptions) => Effect.provide(WebSocketServer.drain(options), services),
      release: Scope.close(inner, Exit.void),
      services: Context.get(services, WebSocketServer.WebSocketServer)
    }
  })

const received = (socket: { readonly closeStatus: Effect.Effect<{ readonly received: unknown }> }) =>
  Effect.map(socket.closeStatus, (status) => status.received)

describe("drain", () => {
  it.effect("closes all connections within the window, refuses others with 503, awaits handlers, and reports", () =>
    Effect.gen(function* () {
      const saved = yield* Deferred.make<void>()
      const handlers = WebSocketServer.layerHandler((socket) =>
        Effect.andThen(echo(socket), socket.url === "/slow" ? Deferred.await(saved) : Effect.void)
      )
      const server = yield* started(handlers, { retryAfter: "9 seconds" })
      const clients = yield* Effect.forEach(["/slow", ...Array.from({ length: 19 }, (_, i) => `/${i}`)], server.connect)
      const drained = yield* Effect.forkChild(server.drain({ code: 1012, reason: "restart", window: "10 seconds" }))
      const again = yield* Effect.forkChild(server.drain())
      yield* settled
      const late = yield* Effect.flip(server.connect("/late"))
      assert(late._tag === "Handshake_rejected")
      assert.deepStrictEqual([late.status, late.headers["retry-after"]], [503, "9"])
      const open = () => Effect.map(server.services.connections, (connections) => connections.length)
      const counts: Array<number> = []
      for (let second = 0; second < 10; second++) {
        counts.push(yield* open())
        yield* TestClock.adjust("1 seconds")
        yield* settled
      }
      // Spread, neither all at the beginning nor all at the end.
      assert.isAbove(new Set(counts).size, 4)
      assert.strictEqual(yield* open(), 0)
      for (const client of clients) {
        assert.deepStrictEqual(yield* received(client), { code: 1012, reason: "restart" })
      }
      assert.isTrue(yield* isPending(drained))
      yield* Deferred.succeed(saved, undefined)
      const report = { closed: 20, dropped: 0, interrupted: 0 }
      assert.deepStrictEqual(yield* Fiber.join(drained), report)
      assert.deepStrictEqual(yield* Fiber.join(again), report)
    })
  )

  it.effect("interrupts the remaining handlers and drops the remaining connections at the deadline", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const handlers = WebSocketServer.layerHandler((socket) =>
        socket.url === "/stuck"
          ? Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
          : echo(socket)
      )
      const server = yield* started(handlers)
      const stuck = yield* server.connect("/stuck")
      yield* server.connect("/fine")
      const drained = yield* Effect.forkChild(server.drain({ timeout: "3 seconds" }))
      assert.deepStrictEqual(yield* received(stuck), { code: 1001, reason: "" })
      yield* TestClock.adjust("2999 millis")
      assert.isTrue(yield* isPending(drained))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(drained), { closed: 2, dropped: 0, interrupted: 1 })
      yield* settled
      assert.strictEqual(interrupted, 1)
    })
  )

  it.effect("also ends for handlers that cannot be interrupted, and in fibers that cannot be", () =>
    Effect.gen(function* () {
      const never = yield* Deferred.make<void>()
      const server = yield* started(WebSocketServer.layerHandler(() => Effect.uninterruptible(Deferred.await(never))))
      yield* server.connect("/")
      const drained = yield* Effect.forkChild(Effect.uninterruptible(server.drain({ timeout: "3 seconds" })))
      yield* settled
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* Fiber.join(drained), { closed: 1, dropped: 0, interrupted: 1 })
      yield* Deferred.succeed(never, undefined)
    })
  )

  it.effect("loses nothing that was accepted for sending", () =>
    Effect.gen(function* () {
      const server = yield* started(
        WebSocketServer.layerHandler((socket) =>
          Effect.andThen(
            Effect.forEach([1, 2, 3], (n) => socket.send(String(n)), { discard: true }),
            Effect.andThen(socket.receive, Effect.never)
          )
        )
      )
      const client = yield* server.connect("/")
      yield* Effect.forkChild(server.drain({ timeout: "1 seconds" }))
      const data: Array<unknown> = []
      yield* client.run((message) => void data.push(message.data))
      assert.deepStrictEqual(data, ["1", "2", "3"])
      yield* TestClock.adjust("1 seconds")
    })
  )

  it.effect("of a route leaves others alone", () =>
    Effect.gen(function* () {
      const server = yield* started(WebSocketServer.layerRoute({ path: "/stays", handler: echo }))
      const scope = yield* Effect.scope
      const route = yield* Scope.provide(server.services.route({ path: "/goes" }), scope)
      yield* Effect.forkIn(route.run(echo), scope)
      const goes = yield* server.connect("/goes")
      const stays = yield* server.connect("/stays")
      assert.deepStrictEqual(yield* route.drain(), { closed: 1, dropped: 0, interrupted: 0 })
      assert.deepStrictEqual(yield* received(goes), { code: 1001, reason: "" })
      const late = yield* Effect.flip(server.connect("/goes"))
      assert(late._tag === "Handshake_rejected")
      assert.strictEqual(late.status, 503)
      yield* stays.send("hello")
      assert.strictEqual((yield* stays.receive).data, "hello")
    })
  )

  for (const [name, options] of [
    ["a code that means something else", { code: 1000 }],
    ["a window longer than the deadline", { window: "2 seconds", timeout: "1 seconds" }],
    ["a window below zero", { window: "-1 seconds" }],
    ["a window of no number", { window: NaN }],
    ["a window that is no duration", { window: "soon" }],
    ["a window without end", { window: "Infinity" }],
    ["a deadline without end", { timeout: Infinity }],
    ["a reason of 124 bytes", { reason: "ü".repeat(62) }],
    ["a deadline of zero", { timeout: 0 }]
  ] as const) {
    it.effect(`with ${name} is a defect`, () =>
      Effect.gen(function* () {
        const made = Effect.scoped(
          WebSocketServer.make(
            { hostname: "test", port: 1, url: "ws://test:1" },
            { drain: options as WebSocketServer.DrainOptions }
          )
        )
        assert.isTrue(isDefect(yield* Effect.exit(made)))
        const server = yield* started(Layer.empty)
        // As an option that comes from elsewhere.
        const drain = server.drain(options as WebSocketServer.DrainOptions)
        assert.isTrue(isDefect(yield* Effect.exit(drain)))
      })
    )
  }
})

describe("the layer of a handler", () => {
  it.effect("with `drain`, lets its handlers end, and logs the report", () =>
    Effect.gen(function* () {
      const log: Array<unknown> = []
      const logger = Logger.layer([
        Logger.make(({ message }) => log.push(Array.isArray(message) ? message[0] : message))
      ])
      let saved = 0
      const handler = (socket: WebSocketServer.ServerWebSocket) =>
        Effect.andThen(
          echo(socket),
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => saved++)
          )
        )
      const server = yield* started(
        Layer.merge(WebSocketServer.layerHandler(handler), WebSocketServer.layerRoute({ path: "/a", handler })),
        { drain: {} },
        logger
      )
      const clients = yield* Effect.forEach(["/a", "/b", "/c"], server.connect)
      yield* server.release
      for (const client of clients) assert.deepStrictEqual(yield* received(client), { code: 1001, reason: "" })
      assert.strictEqual(saved, 3)
      assert.sameMembers(log, [
        "Drained connections (closed: 2, dropped: 0), interrupted handlers: 0",
        "Drained connections (closed: 1, dropped: 0), interrupted handlers: 0"
      ])
    })
  )

  it.effect("without it, interrupts them at once", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const server = yield* started(
        WebSocketServer.layerHandler(() => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)))
      )
      const client = yield* server.connect("/")
      yield* server.release
      assert.deepStrictEqual(yield* received(client), { code: 1001, reason: "" })
      assert.strictEqual(interrupted, 1)
    })
  )
})
