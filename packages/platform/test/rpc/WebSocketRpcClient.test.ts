/** The protocol of an RPC client, in memory. */
import { WebSocketRpcClient, WebSocketRpcServer } from "@effect-websocket/platform/rpc"
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Scope, TestClock } from "../effect/index.js"
import { clientPings, closeCodeOf, learnsOfEndLate, pings, serializations, soon } from "../effect/rpc.js"
import { assert, describe, it } from "../effect/vitest.js"
import { isPending, settled } from "../support.js"
import { app, Calls, callerOf } from "./app.js"

const inMemory = Effect.provide(Layer.merge(WebSocketTest.layer, serializations["NDJSON"]!))

const serve = (options?: WebSocketServer.RouteOptions) =>
  Effect.asVoid(Layer.build(Layer.provide(app(new Calls()), WebSocketRpcServer.layerProtocol(options))))

describe("layerProtocol", () => {
  it.effect("runs the effect of the URL before each attempt, and calls wait for the first connection", () =>
    Effect.gen(function* () {
      let attempts = 0
      const url = Effect.sync(() => `/rpc?attempt=${++attempts}`)
      const caller = yield* callerOf(WebSocketRpcClient.layerProtocol(url, { rpc: soon }))
      const waiting = yield* Effect.forkScoped(caller.echo({ text: "early" }))
      assert.isTrue(yield* isPending(waiting))
      const first = yield* Scope.make()
      yield* Effect.provideService(serve(), Scope.Scope, first)
      assert.strictEqual(yield* Fiber.join(waiting), "early")
      const closing = yield* Effect.forkScoped(Scope.close(first, Exit.void))
      yield* Fiber.join(closing)
      yield* settled
      yield* serve()
      yield* TestClock.adjust("10 millis")
      yield* settled
      assert.strictEqual(yield* caller.echo({ text: "again" }), "again")
      assert.strictEqual(attempts, 2)
    }).pipe(inMemory)
  )

  it.effect("fails calls with the refusal of the server", () =>
    Effect.gen(function* () {
      yield* serve({ check: () => Effect.succeed(UpgradeCheck.reject(401)) })
      const caller = yield* callerOf(WebSocketRpcClient.layerProtocol("/rpc"))
      const error = yield* Effect.flip(caller.echo({ text: "a" }))
      assert.strictEqual(error._tag, "RpcClientError")
    }).pipe(inMemory)
  )

  it.effect("waits at most a second for a connection to interrupt a call, and not while the peer closes it", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      yield* Effect.gen(function* () {
        const caller = yield* callerOf(WebSocketRpcClient.layerProtocol("/rpc"))
        yield* Effect.forkScoped(caller.hang())
        // Its scope ends first, and then the call is interrupted while the client reads the Close.
        const peer = yield* WebSocketServer.accept()
        yield* peer.receive
        yield* Effect.forkScoped(peer.run(() => {}))
        yield* settled
      }).pipe(Effect.provideService(Scope.Scope, scope))
      const closing = yield* Effect.forkScoped(Scope.close(scope, Exit.void))
      assert.strictEqual(yield* isPending(closing), learnsOfEndLate)
      if (learnsOfEndLate) yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(closing)
    }).pipe(inMemory)
  )

  it.effect("fails calls as soon as the heartbeat has ended the connection", () =>
    Effect.gen(function* () {
      const options = { heartbeatInterval: "2 seconds", heartbeatTimeout: "1 seconds", closeTimeout: "1 hour" } as const
      const caller = yield* callerOf(WebSocketRpcClient.layerProtocol("/rpc", options))
      const call = yield* Effect.forkScoped(Effect.flip(caller.hang()))
      const peer = yield* WebSocketServer.accept()
      yield* peer.receive
      yield* (yield* WebSocketTest.network(peer)).serverToClient.stall
      yield* TestClock.adjust("2 seconds")
      yield* settled
      assert.isTrue(yield* isPending(call))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual(closeCodeOf(yield* Fiber.join(call)), 1006)
    }).pipe(inMemory)
  )

  it.effect("makes a defect of a call above `maxSendBytes`, and stays connected", () =>
    Effect.gen(function* () {
      yield* serve()
      const caller = yield* callerOf(WebSocketRpcClient.layerProtocol("/rpc", { maxSendBytes: 1000 }))
      const exit = yield* Effect.exit(caller.echo({ text: "x".repeat(1000) }))
      assert(Exit.isFailure(exit))
      assert.isTrue(Cause.hasDies(exit.cause))
      assert.strictEqual(yield* caller.echo({ text: "a" }), "a")
      assert.strictEqual((yield* WebSocketServer.connections).length, 1)
    }).pipe(inMemory)
  )

  it.effect("does not ping on top of the heartbeat, where Effect allows it", () =>
    Effect.gen(function* () {
      yield* serve()
      const caller = yield* callerOf(WebSocketRpcClient.layerProtocol("/rpc"))
      yield* caller.echo({ text: "a" })
      for (let seconds = 0; seconds < 60; seconds += 5) {
        yield* TestClock.adjust("5 seconds")
        yield* settled
      }
      const [connection] = yield* WebSocketServer.connections
      assert.strictEqual(connection?.receivedMessages, 1 + clientPings)
      assert.strictEqual(yield* caller.echo({ text: "still" }), "still")
    }).pipe(inMemory)
  )
})

describe("layerProtocolReconnecting", () => {
  it.effect("lets calls wait while attempts fail, and fails them after the failure that is final", () =>
    Effect.gen(function* () {
      const caller = yield* callerOf(WebSocketRpcClient.layerProtocolReconnecting("/rpc"))
      const waiting = yield* Effect.forkScoped(Effect.flip(caller.echo({ text: "a" })))
      yield* Effect.flatMap(WebSocketTest.nextAttempt, ({ unreachable }) => unreachable)
      assert.isTrue(yield* isPending(waiting))
      yield* TestClock.adjust("1 seconds")
      yield* Effect.flatMap(WebSocketTest.nextAttempt, ({ reject }) => reject(401))
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "RpcClientError")
      assert.strictEqual((yield* Effect.flip(caller.echo({ text: "b" })))._tag, "RpcClientError")
    }).pipe(inMemory)
  )

  it.effect("goes on with the next connection after its pings had no answer", () =>
    Effect.gen(function* () {
      const caller = yield* callerOf(WebSocketRpcClient.layerProtocolReconnecting("/rpc", { rpc: pings }))
      const lost = yield* Effect.forkScoped(Effect.flip(caller.hang()))
      const silent = yield* WebSocketServer.accept()
      yield* Effect.forkScoped(silent.run(() => {}))
      for (let sent = 0; sent < 2; sent++) {
        yield* settled
        yield* TestClock.adjust("10 seconds")
      }
      assert.strictEqual((yield* Fiber.join(lost))._tag, "RpcClientError")
      yield* settled
      yield* TestClock.adjust("1 seconds")
      const next = yield* WebSocketServer.accept()
      yield* settled
      const call = yield* Effect.forkScoped(Effect.flip(caller.echo({ text: "again" })))
      assert.isTrue(yield* isPending(call))
      const asked = yield* Deferred.make<void>()
      yield* Effect.forkScoped(
        next.run(({ data }) =>
          String(data).includes("again") ? Effect.asVoid(Deferred.succeed(asked, undefined)) : undefined
        )
      )
      yield* Deferred.await(asked)
      yield* next.abort
      assert.strictEqual((yield* Fiber.join(call))._tag, "RpcClientError")
    }).pipe(inMemory)
  )
})
