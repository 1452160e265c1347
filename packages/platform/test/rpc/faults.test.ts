/**
 * RPC with faults: who survives what, over this library and over what Effect has. `docs/rpc.md` has the table of the results.
 */
import { Schedule } from "effect"
import { Cause, Deferred, Effect, Exit, Fiber, Queue, Scope, Stream, TestClock } from "../effect/index.js"
import {
  builtInDropsSlowReaders,
  builtInLosses,
  closeCodeOf,
  serializations,
  streamsDoNotBlock,
  type ClientError
} from "../effect/rpc.js"
import { assert, afterEach, describe, it } from "../effect/vitest.js"
import * as TcpProxy from "../faults/TcpProxy.js"
import { noHandlesLeft, rawServer } from "../node/support.js"
import { isInterrupted, isPending } from "../support.js"
import { app, builtIn, Calls, callerOf, inRoute, ours, quietly, reconnecting, type Transport } from "./app.js"

afterEach(noHandlesLeft)

const transports: ReadonlyArray<readonly [string, Transport]> = [
  ["this library", ours],
  ["this library, reconnecting", reconnecting],
  ["this library in a route", inRoute],
  ["Effect", builtIn]
]

type Caller = Effect.Success<ReturnType<typeof callerOf>>

/** How a call was lost: the code with which its connection was closed, or its interruption by the server. */
type Loss = number | "interrupted" | "other"

const lossOf = (exit: Exit.Exit<unknown, ClientError>): Loss => {
  if (isInterrupted(exit)) return "interrupted"
  assert(Exit.isFailure(exit))
  const error = Cause.findErrorOption(exit.cause)
  assert(error._tag === "Some")
  assert.strictEqual(error.value._tag, "RpcClientError")
  return closeCodeOf(error.value) ?? "other"
}

/** Calls that are under way, one that hangs, and a stream: how they end. */
const underWay = (caller: Caller, calls: Calls) =>
  Effect.gen(function* () {
    const hanging = yield* Effect.forkScoped(Effect.exit(caller.hang()))
    const received = yield* Deferred.make<void>()
    const streaming = yield* Effect.forkScoped(
      Effect.exit(Stream.runForEach(caller.endless(), () => Deferred.succeed(received, undefined)))
    )
    const names = [yield* Queue.take(calls.started), yield* Queue.take(calls.started)]
    assert.sameMembers(names, ["hang", "endless"])
    yield* Deferred.await(received)
    return Effect.gen(function* () {
      return [lossOf(yield* Fiber.join(hanging)), lossOf(yield* Fiber.join(streaming))]
    })
  })

/** Calls again until it works. */
const recovered = (caller: Caller) =>
  Effect.map(Effect.retry(caller.echo({ text: "again" }), Schedule.spaced("10 millis")), (text) =>
    assert.strictEqual(text, "again")
  )

const withNdjson = Effect.provide(serializations["NDJSON"]!)

describe.each(transports)("RPC over %s", (_, transport) => {
  const isOurs = transport !== builtIn

  it.live("fails the calls under way when the server stops, and goes on with the next server", () =>
    Effect.gen(function* () {
      const calls = new Calls()
      const first = yield* Scope.make()
      const port = yield* Effect.provideService(transport.serve(app(calls)), Scope.Scope, first)
      const caller = yield* callerOf(transport.client(port))
      const ends = yield* underWay(caller, calls)
      const stopping = yield* Effect.forkScoped(Scope.close(first, Exit.void))
      const losses = yield* ends
      // The server of RPC interrupts its calls before the connections close.
      if (transport === ours || transport === reconnecting)
        assert.deepStrictEqual(losses, ["interrupted", "interrupted"])
      else if (transport === inRoute) for (const loss of losses) assert.include(["interrupted", 1001], loss)
      else assert.deepStrictEqual(losses, [builtInLosses.stopped, builtInLosses.stopped])
      yield* Fiber.join(stopping)
      assert.strictEqual((yield* Effect.flip(caller.echo({ text: "down" })))._tag, "RpcClientError")
      yield* transport.serve(app(calls), port)
      yield* recovered(caller)
    }).pipe(withNdjson, quietly)
  )

  it.live("fails the calls under way when the network breaks, and interrupts them on the server", () =>
    Effect.gen(function* () {
      const calls = new Calls()
      const proxy = yield* TcpProxy.make(yield* transport.serve(app(calls)))
      const caller = yield* callerOf(transport.client(proxy.port))
      const link = yield* proxy.nextLink
      const ends = yield* underWay(caller, calls)
      link.reset()
      const losses = yield* ends
      const expected = isOurs ? 1006 : builtInLosses.broken
      assert.deepStrictEqual(losses, [expected, expected])
      const names = [yield* Queue.take(calls.interrupted), yield* Queue.take(calls.interrupted)]
      assert.sameMembers(names, ["hang", "endless"])
      yield* recovered(caller)
    }).pipe(withNdjson, quietly)
  )

  it.effect("keeps a connection with a stream that nobody reads", () =>
    Effect.gen(function* () {
      const calls = new Calls()
      const caller = yield* callerOf(transport.client(yield* transport.serve(app(calls))))
      const goOn = yield* Deferred.make<void>()
      let count = 0
      const streaming = yield* Effect.forkScoped(
        Effect.exit(
          Stream.runForEach(Stream.take(caller.endless(), 200), () =>
            count++ === 0 ? Deferred.await(goOn) : Effect.void
          )
        )
      )
      yield* Queue.take(calls.started)
      yield* turns
      const other = yield* Effect.forkScoped(Effect.exit(caller.echo({ text: "other" })))
      yield* turns
      assert.strictEqual(yield* isPending(other), !streamsDoNotBlock)
      // Longer than any heartbeat.
      for (let seconds = 0; seconds < 60; seconds += 5) {
        yield* TestClock.adjust("5 seconds")
        yield* turns
      }
      yield* Deferred.succeed(goOn, undefined)
      const dropped = !isOurs && builtInDropsSlowReaders
      assert.strictEqual(Exit.isFailure(yield* Fiber.join(streaming)), dropped)
      assert.strictEqual(Exit.isFailure(yield* Fiber.join(other)), dropped)
      if (!dropped) assert.strictEqual(count, 200)
    }).pipe(withNdjson, quietly)
  )

  it.live("lets replies to a client that does not read wait, so that `concurrency` bounds them", () =>
    Effect.gen(function* () {
      const calls = new Calls()
      const proxy = yield* TcpProxy.make(yield* transport.serve(app(calls, { concurrency: 1 })))
      const caller = yield* callerOf(transport.client(proxy.port))
      const link = yield* proxy.nextLink
      yield* caller.echo({ text: "ready" })
      link.change("server", { stalled: true })
      const asking = yield* Effect.forkScoped(
        Effect.all(
          Array.from({ length: many }, () => caller.large()),
          { concurrency: "unbounded", discard: true }
        )
      )
      yield* Effect.repeat(turns, { until: () => calls.large > 0 })
      let before = -1
      while (before !== calls.large) {
        before = calls.large
        yield* turns
      }
      if (isOurs) assert.isBelow(calls.large, many)
      else assert.strictEqual(calls.large, many)
      link.change("server", { stalled: false })
      yield* Fiber.join(asking)
      assert.strictEqual(calls.large, many)
    }).pipe(withNdjson, quietly)
  )

  it.live("ends while it connects", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const scope = yield* Scope.make()
      yield* Effect.provideService(callerOf(transport.client(server.port)), Scope.Scope, scope)
      const peer = yield* server.next
      yield* peer.until("\r\n\r\n")
      yield* Scope.close(scope, Exit.void)
      yield* peer.left
      peer.end()
    }).pipe(withNdjson, quietly)
  )

  if (isOurs) {
    it.live("closes with 1009 after a request above `limits.maxMessageBytes`, and goes on", () =>
      Effect.gen(function* () {
        const calls = new Calls()
        const caller = yield* callerOf(transport.client(yield* transport.serve(app(calls))))
        const error = yield* Effect.flip(caller.echo({ text: "x".repeat(2 * 1024 * 1024) }))
        assert.strictEqual(closeCodeOf(error), 1009)
        yield* recovered(caller)
      }).pipe(withNdjson, quietly)
    )
  }
})

const many = 160

/** Time for what is on its way over sockets. */
const turns = Effect.promise(async () => {
  for (let turn = 0; turn < 300; turn++) await new Promise((resolve) => setImmediate(resolve))
})
