/** RPC over WebSockets: what Effect's own tests expect of a protocol, over this library and over what Effect has. */
import { assert, describe, it } from "../effect/vitest.js"
import { Option } from "effect"
import { Cause, Effect, Exit, Fiber, Queue, Stream } from "../effect/index.js"
import { calling, serializations } from "../effect/rpc.js"
import { app, builtIn, Calls, callerOf, inRoute, ours, quietly, type Transport } from "./app.js"
import { noHandlesLeft } from "../node/support.js"
import { afterEach } from "vitest"

afterEach(noHandlesLeft)

const started = (transport: Transport, options?: { readonly concurrency: number }) =>
  Effect.gen(function* () {
    const calls = new Calls()
    const port = yield* transport.serve(app(calls, options))
    return { calls, port, caller: yield* callerOf(transport.client(port)) }
  })

const transports: ReadonlyArray<readonly [string, Transport]> = [
  ["this library", ours],
  ["this library in a route", inRoute],
  ["Effect", builtIn]
]

describe.each(transports)("RPC over %s", (_, transport) => {
  for (const [name, serialization] of Object.entries(serializations)) {
    it.live(`calls, streams and fails in ${name}`, () =>
      Effect.gen(function* () {
        const { caller } = yield* started(transport)
        assert.strictEqual(yield* caller.echo({ text: "grüße 🙂" }), "grüße 🙂")
        const echoes = yield* Effect.all(
          Array.from({ length: 50 }, (_, index) => caller.echo({ text: String(index) })),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(
          echoes,
          Array.from({ length: 50 }, (_, index) => String(index))
        )
        assert.strictEqual(yield* Effect.flip(caller.fail()), "failed")
        const died = yield* Effect.exit(caller.die())
        assert(Exit.isFailure(died))
        assert.isTrue(Cause.hasDies(died.cause))
        const counted: Array<number> = []
        yield* Stream.runForEach(caller.count({ to: 60 }), (n) => Effect.sync(() => void counted.push(n)))
        assert.deepStrictEqual(
          counted,
          Array.from({ length: 60 }, (_, index) => index + 1)
        )
        let last = 0
        const failure = yield* Effect.flip(
          Stream.runForEach(caller.count({ to: 100 }), (n) => Effect.sync(() => void (last = n)))
        )
        assert.deepStrictEqual([failure, last], ["too many", 100])
        assert.strictEqual(yield* caller.echo({ text: "still" }), "still")
      }).pipe(Effect.provide(serialization), quietly)
    )
  }

  it.live("passes the headers of a call to middleware", () =>
    Effect.gen(function* () {
      const { caller } = yield* started(transport)
      assert.strictEqual(yield* calling(caller.name(), { "x-name": "bob" }), "bob")
    }).pipe(Effect.provide(serializations["NDJSON"]!), quietly)
  )

  it.live("interrupts a call on the server that is interrupted by the client", () =>
    Effect.gen(function* () {
      const { caller, calls } = yield* started(transport)
      const hanging = yield* Effect.forkScoped(caller.hang())
      assert.strictEqual(yield* Queue.take(calls.started), "hang")
      yield* Fiber.interrupt(hanging)
      assert.strictEqual(yield* Queue.take(calls.interrupted), "hang")
      yield* Stream.runDrain(Stream.take(caller.endless(), 3))
      assert.strictEqual(yield* Queue.take(calls.interrupted), "endless")
      assert.strictEqual(yield* caller.echo({ text: "still" }), "still")
    }).pipe(Effect.provide(serializations["NDJSON"]!), quietly)
  )

  it.live("lets a stream wait for its reader: the server is ahead by no more than the acknowledged chunks", () =>
    Effect.gen(function* () {
      const { caller, calls } = yield* started(transport)
      const first = yield* Stream.runHead(Stream.tap(caller.endless(), () => untilStable(() => calls.produced)))
      assert.deepStrictEqual(first, Option.some(1))
      assert.isBelow(calls.produced, 64)
    }).pipe(Effect.provide(serializations["NDJSON"]!), quietly)
  )

  it.live("interrupts the calls of a client whose scope ends", () =>
    Effect.gen(function* () {
      const calls = new Calls()
      const port = yield* transport.serve(app(calls))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const caller = yield* callerOf(transport.client(port))
          yield* Effect.forkScoped(caller.hang())
          assert.strictEqual(yield* Queue.take(calls.started), "hang")
        })
      )
      assert.strictEqual(yield* Queue.take(calls.interrupted), "hang")
    }).pipe(Effect.provide(serializations["NDJSON"]!), quietly)
  )
})

describe.each(transports.slice(0, 2))("the headers of the request, over %s", (_, transport) => {
  it.live("are headers of each call, unless the call has its own", () =>
    Effect.gen(function* () {
      const { caller } = yield* started(transport)
      assert.strictEqual(yield* caller.name(), "ann")
      assert.strictEqual(yield* calling(caller.name(), { "x-name": "bob" }), "bob")
      assert.strictEqual(yield* caller.name(), "ann")
    }).pipe(Effect.provide(serializations["NDJSON"]!), quietly)
  )
})

/** Waits until a number has not changed for many turns of the event loop. */
const untilStable = (read: () => number): Effect.Effect<void> =>
  Effect.promise(async () => {
    for (let last = -1, turns = 0; turns < 200; turns++) {
      await new Promise((resolve) => setImmediate(resolve))
      const now = read()
      if (now !== last) turns = 0
      last = now
    }
  })
