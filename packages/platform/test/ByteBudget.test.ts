import * as fc from "fast-check"
import * as ByteBudget from "@effect-websocket/platform/ByteBudget"
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import type { Transport } from "@effect-websocket/platform/Transport"
import { Deferred, Effect, Exit, Fiber, Layer, Stream, TestClock } from "./effect/index.js"
import { assert, describe, it, vi } from "./effect/vitest.js"
import { property } from "./property.js"
import {
  alone,
  binary,
  fields,
  from,
  isDefect,
  isPending,
  type Role,
  roles,
  sentTo,
  settled,
  text,
  utf8
} from "./support.js"

const kibibyte = 1024

describe("ByteBudget", () => {
  it.effect("is a positive integer of bytes, anything else is a defect", () =>
    Effect.gen(function* () {
      for (const bytes of [0, -1, 1.5, NaN, Infinity]) {
        assert.isTrue(isDefect(yield* Effect.exit(ByteBudget.make(bytes))), `${bytes}`)
        assert.throws(() => ByteBudget.unsafeMake(bytes), RangeError, "maxBytes")
      }
      assert.strictEqual((yield* ByteBudget.make(1)).maxBytes, 1)
    })
  )

  it.effect("that the library did not make is a defect", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const budget = { maxBytes: 1, usage: Effect.die("no") } as unknown as ByteBudget.ByteBudget
      const exit = yield* Effect.exit(WebSocket.fromTransport(pair.client, { role: "client", budget }))
      assert.isTrue(isDefect(exit))
    })
  )

  it.effect("may come from another copy of the package", () =>
    Effect.gen(function* () {
      vi.resetModules()
      const other: typeof ByteBudget = yield* Effect.promise(() => import("@effect-websocket/platform/ByteBudget"))
      assert.notStrictEqual(other.unsafeMake, ByteBudget.unsafeMake)
      const budget = yield* other.make(kibibyte)
      const { socket } = yield* alone("server", { budget })
      assert.strictEqual((yield* budget.usage).connections, 1)
      yield* socket.abort
    })
  )

  it("is recognised by its mark", () => {
    assert.isTrue(ByteBudget.isByteBudget(ByteBudget.unsafeMake(1)))
    assert.isTrue(ByteBudget.isByteBudget({ [Symbol.for("@effect-websocket/platform/ByteBudget")]: 0 }))
    for (const other of [undefined, null, 1, {}, { maxBytes: 1, usage: Effect.void }]) {
      assert.isFalse(ByteBudget.isByteBudget(other))
    }
  })

  for (const role of roles) {
    describe(`of connections, as ${role}`, () => {
      it.effect("counts unread, unfinished and unsent bytes until they are gone", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(1024 * kibibyte)
          const { inject, injectBytes, pair, socket } = yield* alone(role, { budget })
          assert.deepInclude(yield* budget.usage, { usedBytes: 0, connections: 1 })

          yield* inject(text("unread"))
          yield* settled
          assert.deepInclude(yield* budget.usage, { unreadBytes: 70, unfinishedBytes: 0, unsentBytes: 0 })
          yield* socket.receive
          assert.deepInclude(yield* budget.usage, { usedBytes: 0 })

          yield* injectBytes(sentTo(role, binary(new Uint8Array(10 * kibibyte))).subarray(0, 5 * kibibyte))
          yield* settled
          assert.isAtLeast((yield* budget.usage).unfinishedBytes, 5 * kibibyte - 14)

          yield* (role === "client" ? pair.clientToServer : pair.serverToClient).stall
          yield* socket.send("x".repeat(1000))
          yield* settled
          assert.isAtLeast((yield* budget.usage).unsentBytes, 1000)
          assert.isAbove((yield* budget.usage).usedBytes, 6 * kibibyte)

          yield* pair.reset
          yield* socket.closeStatus
          assert.deepInclude(yield* budget.usage, { usedBytes: 0, connections: 0 })
        })
      )

      it.effect("above half of it reads only connections without unread messages, until half of that is free", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(20 * kibibyte)
          const [a, b] = [yield* alone(role, { budget }), yield* alone(role, { budget })]
          yield* a.inject(binary(new Uint8Array(10 * kibibyte)))
          yield* settled
          assert.isTrue((yield* budget.usage).isExhausted)
          assert.deepStrictEqual([a.spied.calls, b.spied.calls], [["pause"], []])
          yield* b.inject(text("now"))
          assert.strictEqual((yield* b.socket.receive).data, "now")
          yield* a.inject(text("later"))
          yield* settled
          assert.deepInclude(yield* budget.usage, { unreadBytes: 10 * kibibyte + 64 })
          yield* a.socket.receive
          assert.strictEqual(a.spied.calls.at(-1), "resume")
          assert.strictEqual((yield* a.socket.receive).data, "later")
        })
      )

      it.effect("does not read less because of unsent bytes", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(20 * kibibyte)
          const { inject, pair, socket, spied } = yield* alone(role, { budget })
          yield* from(pair, role).stall
          yield* socket.send("x".repeat(30 * kibibyte)).pipe(Effect.forkChild)
          yield* settled
          assert.isTrue((yield* budget.usage).isExhausted)
          for (let i = 0; i < 3; i++) yield* inject(text(`${i}`))
          yield* settled
          assert.deepStrictEqual(spied.calls, [])
          assert.strictEqual((yield* socket.receive).data, "0")
        })
      )

      it.effect("makes send wait above half of it, if more than the low-water mark of its connection is unsent", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(20 * kibibyte)
          const slow = yield* alone(role, { budget, sendLowWaterMark: kibibyte })
          const idle = yield* alone(role, { budget })
          yield* from(slow.pair, role).stall
          // Less than the high-water mark of the transport waits.
          const filling = yield* Effect.forkChild(slow.socket.send("x".repeat(11 * kibibyte)))
          yield* settled
          assert.isTrue((yield* budget.usage).isExhausted)
          const sent: Array<string> = []
          const sendAs = (name: string) =>
            Effect.tap(
              Effect.forkChild(Effect.tap(slow.socket.send(name), () => Effect.sync(() => sent.push(name)))),
              settled
            )
          const [, second] = [yield* sendAs("first"), yield* sendAs("second"), yield* sendAs("third")]
          const pong = yield* Effect.forkChild(slow.socket.pong(utf8("not for the budget")))
          yield* settled
          assert.isFalse(yield* isPending(pong))
          assert.deepStrictEqual(sent, [])
          yield* Fiber.interrupt(second)
          yield* idle.socket.send("while others wait")
          yield* from(slow.pair, role).unstall
          yield* settled
          // Bytes leave a transport below its high-water mark without notice.
          yield* TestClock.adjust("50 millis")
          yield* settled
          yield* Fiber.join(filling)
          assert.deepStrictEqual(sent, ["first", "third"])
          assert.deepStrictEqual((yield* slow.wrote).slice(-3), ["Pong not for the budget", "Text first", "Text third"])
          assert.deepInclude(yield* budget.usage, { unsentBytes: 0, isExhausted: false })
        })
      )

      it.effect("fails a send that waits for it when the connection ends", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(2 * kibibyte)
          const { pair, socket } = yield* alone(role, { budget, sendLowWaterMark: 1 })
          yield* from(pair, role).stall
          yield* Effect.forkChild(socket.send("x".repeat(2 * kibibyte)))
          yield* settled
          const waiting = yield* Effect.forkChild(Effect.exit(socket.send("waits")))
          assert.isTrue(yield* isPending(waiting))
          yield* pair.reset
          assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)))
          assert.deepInclude(yield* budget.usage, { usedBytes: 0, isExhausted: false })
        })
      )

      for (const [sendStrategy, expected] of [
        ["dropping", ["Text last"]],
        ["sliding", ["Text kept", "Text last"]],
        ["close", ["Close 1008 too slow"]],
        ["abort", []]
      ] satisfies ReadonlyArray<readonly [WebSocket.SendStrategy, Array<string>]>) {
        it.effect(`does what the strategy ${sendStrategy} says instead of making send wait for it`, () =>
          Effect.gen(function* () {
            const budget = yield* ByteBudget.make(8 * kibibyte)
            const { pair, socket, wrote } = yield* alone(role, { budget, sendStrategy, sendLowWaterMark: 100 })
            yield* from(pair, role).stall
            yield* socket.send("x".repeat(5 * kibibyte))
            yield* settled
            yield* Effect.ignore(socket.send("kept"))
            yield* from(pair, role).unstall
            yield* settled
            yield* TestClock.adjust("50 millis")
            yield* Effect.ignore(socket.send("last"))
            yield* settled
            assert.deepStrictEqual((yield* wrote).slice(1), expected)
          })
        )
      }

      it.effect("bounds frames and streams by the same rules", () =>
        Effect.gen(function* () {
          for (const delivery of ["frames", "streams"] as const) {
            const budget = yield* ByteBudget.make(2 * kibibyte)
            const { inject, pair, socket, spied } = yield* alone(role, { budget, delivery, sendLowWaterMark: 1 })
            yield* inject(binary(new Uint8Array(2 * kibibyte)))
            yield* settled
            assert.deepStrictEqual(spied.calls, ["pause"])
            yield* socket.receive
            assert.deepStrictEqual(spied.calls, ["pause", "resume"])
            yield* from(pair, role).stall
            const send = (bytes: number): Effect.Effect<void, unknown> =>
              "frames" in socket ? socket.send(binary(new Uint8Array(bytes))) : socket.send(new Uint8Array(bytes))
            yield* Effect.forkChild(send(2 * kibibyte))
            yield* settled
            const waiting = yield* Effect.forkChild(send(1))
            assert.isTrue(yield* isPending(waiting))
            yield* from(pair, role).unstall
            yield* settled
            yield* TestClock.adjust("50 millis")
            yield* Fiber.join(waiting)
          }
        })
      )

      it.effect("is paused as long as there is a reason, of two", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(20 * kibibyte)
          const a = yield* alone(role, { budget, receiveHighWaterMark: 100 })
          const b = yield* alone(role, { budget })
          yield* a.inject(binary(new Uint8Array(200)))
          yield* settled
          assert.deepStrictEqual(a.spied.calls, ["pause"])
          yield* b.inject(binary(new Uint8Array(10 * kibibyte)))
          yield* settled
          yield* b.socket.receive
          assert.deepStrictEqual(a.spied.calls, ["pause"])
          yield* a.socket.receive
          assert.deepStrictEqual(a.spied.calls, ["pause", "resume"])
        })
      )

      it.effect("closes the connections with the largest unfinished messages with 1013 if these do not end", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(20 * kibibyte)
          const [most, less, idle] = [
            yield* alone(role, { budget }),
            yield* alone(role, { budget }),
            yield* alone(role, { budget })
          ]
          const begin = (bytes: number) => sentTo(role, binary(new Uint8Array(bytes))).subarray(0, bytes)
          yield* most.injectBytes(begin(4 * kibibyte))
          yield* settled
          yield* less.injectBytes(begin(2 * kibibyte))
          yield* settled
          assert.deepStrictEqual(
            [most, less, idle].map(({ spied }) => spied.calls),
            [[], [], ["pause"]]
          )
          yield* TestClock.adjust("2 seconds")
          const error = yield* Effect.flip(most.socket.receive)
          assert.deepStrictEqual(fields(error), {
            _tag: "Payload_too_large",
            limit: "budget",
            max: 20 * kibibyte,
            size: undefined,
            direction: "inbound"
          })
          assert.match(
            (yield* most.wrote)[0] ?? "",
            /^Close 1013 The connections hold more than their `budget` allows: 20,480 bytes; this one held the most$/
          )
          assert.isTrue(yield* less.socket.isOpen)
          assert.isFalse((yield* budget.usage).isExhausted)
          assert.strictEqual(idle.spied.calls.at(-1), "resume")
        })
      )

      it.effect("does not keep a closing from reading the peer's Close", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(10)
          const pair = yield* MockTransport.make()
          const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
          const server = yield* WebSocket.fromTransport(pair.server, { role: "server", budget })
          yield* client.send("more than the budget")
          yield* settled
          assert.isTrue((yield* budget.usage).isExhausted)
          yield* Effect.forkChild(client.run(() => {}))
          yield* server.close()
          assert.isTrue((yield* server.closeStatus).clean)
        })
      )
    })
  }

  it.effect("refuses new connections while it is exhausted: a server with 503, a client before it dials", () =>
    Effect.gen(function* () {
      const budget = yield* ByteBudget.make(10)
      yield* Effect.gen(function* () {
        yield* Effect.forkScoped(WebSocketServer.run((socket) => Effect.andThen(socket.closeStatus, Effect.void)))
        const first = yield* WebSocketClient.connect("ws://test")
        yield* first.send("more than the budget")
        yield* settled
        const refused = yield* Effect.flip(WebSocketClient.connect("ws://test"))
        assert.deepInclude({ ...refused }, { _tag: "Handshake_rejected", status: 503 })
        const own = yield* Effect.flip(WebSocketClient.connect("ws://test", { budget }))
        assert.deepStrictEqual(fields(own), { _tag: "Io_error", reason: "Budget", operation: "connect" })
        yield* first.abort
        yield* settled
        assert.isTrue(Exit.isSuccess(yield* Effect.exit(WebSocketClient.connect("ws://test"))))
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(WebSocketTest.layerWith({ budget }))))
    })
  )

  // Where one direction could use up what the other needs, there would be a state in which only time passes, or one in which
  // somebody is closed with 1013.
  const sizes = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 12, size: "max" })
  const readers = fc.constantFrom(...(["run", "receive", "stream"] as const))
  property(
    "never comes to a state in which nothing can move",
    {
      budgets: fc.constantFrom(...(["none", "shared", "each"] as const)),
      scale: fc.constantFrom(1, 2),
      echoes: fc.boolean(),
      split: fc.constantFrom(64, 1000),
      delay: fc.constantFrom(...(["0 millis", "7 millis"] as const)),
      client: fc.record({ sizes, reads: readers }),
      server: fc.record({ sizes, reads: readers })
    },
    ({ budgets, client, delay, echoes, scale, server, split }) =>
      Effect.scoped(
        Effect.gen(function* () {
          // Half of it is more than a message for each end that shares it, and less than all that they send in a turn.
          const maxBytes = scale * (budgets === "shared" ? 4000 : 2000)
          const one = yield* ByteBudget.make(maxBytes)
          const two = budgets === "shared" ? one : yield* ByteBudget.make(maxBytes)
          const marks = { sendHighWaterMark: 1500, sendLowWaterMark: 100, receiveHighWaterMark: 400 }
          const open = (transport: Transport, role: Role, budget: ByteBudget.ByteBudget) =>
            WebSocket.fromTransport(transport, { role, ...marks, ...(budgets === "none" ? {} : { budget }) })
          const working: Array<Fiber.Fiber<unknown, unknown>> = []
          const work = (effect: Effect.Effect<unknown, unknown>) =>
            Effect.map(Effect.forkChild(effect), (fiber) => working.push(fiber))
          for (let pairs = 0; pairs < 3; pairs++) {
            const pair = yield* MockTransport.make()
            yield* pair.split(split)
            yield* pair.delay(delay)
            const left = yield* open(pair.client, "client", one)
            const right = yield* open(pair.server, "server", two)
            yield* Effect.addFinalizer(() => pair.reset)
            yield* work(sendAll(left, client.sizes))
            yield* work(read(left, echoes ? client.sizes : server.sizes, client.reads))
            if (echoes) yield* Effect.forkChild(right.run((message) => right.send(message)))
            else {
              yield* work(sendAll(right, server.sizes))
              yield* work(read(right, client.sizes, server.reads))
            }
          }
          for (let steps = 0; steps < 600 && working.some((fiber) => Fiber.pollUnsafe(fiber) === undefined); steps++) {
            yield* settled
            yield* TestClock.adjust("10 millis")
          }
          for (const fiber of working) assert.deepStrictEqual(Fiber.pollUnsafe(fiber), Exit.void)
          yield* settled
          yield* TestClock.adjust("50 millis")
          for (const budget of [one, two]) assert.deepInclude(yield* budget.usage, { usedBytes: 0, isExhausted: false })
        })
      ),
    { numRuns: 15, endOnFailure: true }
  )
})

const sendAll = (socket: WebSocket.WebSocket, sizes: ReadonlyArray<number>) =>
  Effect.forEach(sizes, (size) => socket.send("x".repeat(size)), { discard: true })

/** Reads as many messages, and checks their sizes. */
const read = (socket: WebSocket.WebSocket, sizes: ReadonlyArray<number>, how: "run" | "receive" | "stream") =>
  Effect.gen(function* () {
    const seen: Array<number> = []
    if (how === "run") {
      const done = yield* Deferred.make<void>()
      const all = socket.run(({ data }) =>
        seen.push(data.length) === sizes.length ? Deferred.succeed(done, undefined) : undefined
      )
      yield* Effect.raceFirst(all, Deferred.await(done))
    } else if (how === "receive") {
      while (seen.length < sizes.length) seen.push((yield* socket.receive).data.length)
    } else {
      yield* socket.messages.pipe(
        Stream.take(sizes.length),
        Stream.runForEach(({ data }) => Effect.sync(() => seen.push(data.length)))
      )
    }
    assert.deepStrictEqual(seen, sizes)
  })
