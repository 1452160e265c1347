import * as ByteBudget from "@effect-websocket/platform/ByteBudget"
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import type { Budget } from "../src/internal/budget.js"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, TestClock } from "effect"
import { alone, binary, fields, isDefect, roles, sentTo, settled, text } from "./support.js"

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

  it.scoped("of somebody else is a defect", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const budget = { maxBytes: 1, usage: Effect.die("no") }
      const exit = yield* Effect.exit(WebSocket.fromTransport(pair.client, { role: "client", budget }))
      assert.isTrue(isDefect(exit))
    })
  )

  for (const role of roles) {
    describe(`of connections, as ${role}`, () => {
      it.scoped("counts what waits to be read, what has not ended, and what waits to be sent, until it is gone", () =>
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
          assert.isAbove((budget as Budget)["usedBytes"], 6 * kibibyte)

          yield* pair.reset
          yield* socket.closeStatus
          assert.deepInclude(yield* budget.usage, { usedBytes: 0, connections: 0 })
          assert.strictEqual((budget as Budget)["usedBytes"], 0)
        })
      )

      it.scoped("pauses all of them above it, and resumes them when half of it is free", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(10 * kibibyte)
          const [a, b] = [yield* alone(role, { budget }), yield* alone(role, { budget })]
          yield* a.inject(binary(new Uint8Array(10 * kibibyte)))
          yield* settled
          assert.isTrue((yield* budget.usage).isExhausted)
          assert.deepStrictEqual([a.spied.calls, b.spied.calls], [["pause"], ["pause"]])
          yield* b.inject(text("later"))
          const receiving = yield* Effect.fork(b.socket.receive)
          yield* settled
          assert.strictEqual(b.spied.state.received, 0)
          yield* a.socket.receive
          assert.deepStrictEqual(
            [a.spied.calls, b.spied.calls],
            [
              ["pause", "resume"],
              ["pause", "resume"]
            ]
          )
          assert.strictEqual((yield* Fiber.join(receiving)).data, "later")
        })
      )

      it.scoped("is paused as long as there is a reason, of two", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(10 * kibibyte)
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

      it.scoped("closes who holds most of unfinished messages with 1013, where pausing would not end", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(10 * kibibyte)
          const [most, less, least] = [
            yield* alone(role, { budget }),
            yield* alone(role, { budget }),
            yield* alone(role, { budget })
          ]
          const begin = (bytes: number) => sentTo(role, binary(new Uint8Array(bytes))).subarray(0, bytes)
          yield* most.injectBytes(begin(6 * kibibyte))
          yield* less.injectBytes(begin(3 * kibibyte))
          yield* settled
          yield* least.injectBytes(begin(2 * kibibyte))
          yield* settled
          const error = yield* Effect.flip(most.socket.receive)
          assert.deepStrictEqual(fields(error), {
            _tag: "Payload_too_large",
            limit: "budget",
            max: 10 * kibibyte,
            size: undefined,
            direction: "inbound"
          })
          assert.match(
            (yield* most.wrote)[0] ?? "",
            /^Close 1013 The connections hold more than their `budget` allows: 10,240 bytes; this one held the most$/
          )
          assert.isTrue(yield* less.socket.isOpen)
          assert.isTrue(yield* least.socket.isOpen)
          // The Close has left by then.
          yield* TestClock.adjust("50 millis")
          assert.isFalse((yield* budget.usage).isExhausted)
          assert.strictEqual(least.spied.calls.at(-1), "resume")
        })
      )

      it.scoped("does not keep a closing from reading the peer's Close", () =>
        Effect.gen(function* () {
          const budget = yield* ByteBudget.make(10)
          const pair = yield* MockTransport.make()
          const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
          const server = yield* WebSocket.fromTransport(pair.server, { role: "server", budget })
          yield* client.send("more than the budget")
          yield* settled
          assert.isTrue((yield* budget.usage).isExhausted)
          yield* Effect.fork(client.run(() => {}))
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
        yield* Effect.forkScoped(WebSocketServer.run((socket) => Effect.zipRight(socket.closeStatus, Effect.void)))
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
})
