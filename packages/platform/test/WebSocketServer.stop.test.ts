/** Accepting no more, while connections go on. */
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Scope, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { interruptedAt } from "./scheduling.js"
import { isPending, settled } from "./support.js"

const connect = (path: string) => WebSocketClient.connect(`ws://test${path}`)

const quiet = Logger.withoutDefault

const server = (options: WebSocketServer.Options = {}) => Layer.merge(WebSocketTest.layerWith(options), quiet)

const Echo = WebSocketServer.layerRoute({
  path: "/echo",
  handler: (socket) => socket.run((message) => socket.send(message))
})

/** How a client is refused. */
const refusal = (path: string) =>
  Effect.map(Effect.flip(connect(path)), (error) => {
    assert(error._tag === "Handshake_rejected")
    return [error.status, error.headers["retry-after"]]
  })

const refused = [503, "7"]

describe("stop", () => {
  it.effect("refuses new requests, keeps open connections, and leaves closing them to drain", () =>
    Effect.gen(function* () {
      yield* Layer.build(Echo)
      const client = yield* connect("/echo")
      yield* WebSocketServer.stop
      // Again, by anybody, also where it cannot be interrupted.
      yield* Effect.all([WebSocketServer.stop, Effect.uninterruptible(WebSocketServer.stop)], { concurrency: 2 })
      assert.deepStrictEqual(yield* refusal("/echo"), refused)
      assert.deepStrictEqual(yield* refusal("/nowhere"), refused)
      yield* client.send("still there")
      assert.strictEqual((yield* client.receive).data, "still there")
      assert.strictEqual((yield* WebSocketServer.connections).length, 1)
      const report = yield* WebSocketServer.drain({ code: 1012 })
      assert.deepStrictEqual(report, { closed: 1, dropped: 0, interrupted: 0 })
      assert.deepStrictEqual((yield* client.closeStatus).received, { code: 1012, reason: "" })
      yield* WebSocketServer.stop
    }).pipe(Effect.provide(server({ retryAfter: "7 seconds" })))
  )

  it.effect("refuses requests whose check is under way, and interrupts the check", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      let interrupted = 0
      yield* Layer.build(
        WebSocketServer.layerRoute({
          path: "/slow",
          check: () =>
            Deferred.succeed(begun, undefined).pipe(
              Effect.andThen(Effect.sleep("5 seconds")),
              Effect.as(UpgradeCheck.accept()),
              Effect.onInterrupt(() => Effect.sync(() => interrupted++))
            ),
          handler: () => Effect.never
        })
      )
      const waiting = yield* Effect.forkChild(refusal("/slow"))
      yield* Deferred.await(begun)
      yield* WebSocketServer.stop
      assert.deepStrictEqual(yield* Fiber.join(waiting), refused)
      yield* settled
      assert.strictEqual(interrupted, 1)
      assert.deepStrictEqual(yield* WebSocketServer.connections, [])
    }).pipe(Effect.provide(server({ retryAfter: "7 seconds" })))
  )

  it.effect("refuses requests that wait for an accept; an accept that waits gets no request", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.forkChild(refusal("/a"))
      yield* settled
      yield* WebSocketServer.stop
      assert.deepStrictEqual(yield* Fiber.join(waiting), refused)
      const accepting = yield* Effect.forkChild(Effect.scoped(WebSocketServer.accept()))
      assert.deepStrictEqual(yield* refusal("/b"), refused)
      assert.isTrue(yield* isPending(accepting))
      // A route that comes later is as stopped as the others.
      yield* Layer.build(Echo)
      assert.deepStrictEqual(yield* refusal("/echo"), refused)
      yield* Fiber.interrupt(accepting)
    }).pipe(Effect.provide(server({ retryAfter: "7 seconds" })))
  )

  it.effect("refuses requests that wait for a handler to end, and lets the handlers continue", () =>
    Effect.gen(function* () {
      const handle = (socket: WebSocketServer.ServerWebSocket) => socket.run((message) => socket.send(message))
      yield* Layer.build(WebSocketServer.layerHandler(handle, { concurrency: 1 }))
      const client = yield* connect("/first")
      const waiting = yield* Effect.forkChild(refusal("/second"))
      yield* settled
      yield* WebSocketServer.stop
      assert.deepStrictEqual(yield* Fiber.join(waiting), refused)
      yield* TestClock.adjust("1 minutes")
      yield* client.send("hello")
      assert.strictEqual((yield* client.receive).data, "hello")
    }).pipe(Effect.provide(server({ retryAfter: "7 seconds", heartbeatInterval: "10 minutes" })))
  )

  it.effect("interrupted between any two operations, has stopped or has not begun", () =>
    Effect.gen(function* () {
      const outcomes = new Set<boolean>()
      for (let k = 1; ; k++) {
        const scope = yield* Scope.make()
        const context = yield* Layer.buildWithScope(server(), scope)
        const accepting = yield* Effect.forkChild(Effect.provide(Effect.scoped(WebSocketServer.accept()), context))
        const { isInterrupted } = yield* interruptedAt(k, Effect.provide(WebSocketServer.stop, context))
        const connected = yield* Effect.isSuccess(connect("/")).pipe(Effect.provide(context), Scope.provide(scope))
        outcomes.add(connected)
        yield* Fiber.interrupt(accepting)
        yield* Scope.close(scope, Exit.interrupt())
        if (isInterrupted) continue
        assert.isFalse(connected)
        break
      }
      assert.deepStrictEqual([...outcomes], [true, false])
    })
  )
})
