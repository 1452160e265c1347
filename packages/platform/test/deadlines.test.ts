import type { WebSocket } from "@effect-websocket/platform"
import { Duration, Effect, Fiber, Stream, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { timersOf } from "../src/internal/timers.js"
import {
  alone,
  connected,
  continuation,
  fields,
  from,
  other,
  outcome,
  ping,
  pong,
  roles,
  sentTo,
  settled,
  settledLate,
  text
} from "./support.js"

const timedOut = (operation: string) => ({ _tag: "Io_error", reason: "Timeout", operation })

/** The names of the frames that were written: pings have a payload of chance. */
const names = (frames: ReadonlyArray<string>) => frames.map((frame) => /^\w+( \d{4})?/.exec(frame)![0])

const brisk = { heartbeatInterval: "5 seconds", heartbeatTimeout: "4 seconds" } as const

/** Lets time pass, and all that happens in each second happen in it. */
const seconds = (count: number) =>
  Effect.forEach(Array.from({ length: count }), () => Effect.andThen(TestClock.adjust("1 seconds"), settled), {
    discard: true
  })

const quiet = { heartbeatInterval: Duration.infinity } as const

for (const role of roles) {
  describe(`heartbeat, as ${role}`, () => {
    it.effect("pings after 25 seconds without a frame, and fails 20 seconds later", () =>
      Effect.gen(function* () {
        const { seen, socket, wrote } = yield* alone(role)
        const reading = yield* Effect.forkChild(Effect.flip(socket.receive))
        yield* TestClock.adjust("24999 millis")
        assert.deepStrictEqual(yield* wrote, [])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(names(yield* wrote), ["Ping"])
        yield* TestClock.adjust("19999 millis")
        yield* settledLate
        assert.isTrue(yield* socket.isOpen)
        yield* TestClock.adjust("1 millis")
        yield* settledLate
        const error = yield* Fiber.join(reading)
        assert.deepStrictEqual(fields(error), timedOut("heartbeat"))
        assert.deepStrictEqual(names(yield* wrote), ["Ping", "Close 1011"])
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* socket.closeStatus).error, error)
        assert.deepStrictEqual(seen, ["eof", "error", "close"])
      })
    )

    for (const [name, sign] of [
      ["its pong", undefined],
      ["another pong", pong("")],
      ["a ping", ping("")],
      ["a message", text("hello")],
      ["a part of one", text("hel", false)]
    ] as const) {
      it.effect(`takes ${name} for a sign of life, and counts anew from it`, () =>
        Effect.gen(function* () {
          const { inject, pair, socket, wrote } = yield* alone(role)
          yield* TestClock.adjust("44 seconds")
          const payload = (yield* from(pair, role).written).slice(role === "client" ? 6 : 2)
          yield* inject(sign ?? pong(payload))
          yield* settled
          yield* TestClock.adjust("24999 millis")
          assert.deepStrictEqual(
            names(yield* wrote).filter((frame) => frame === "Ping"),
            ["Ping"]
          )
          yield* TestClock.adjust("1 millis")
          assert.deepStrictEqual(
            names(yield* wrote).filter((frame) => frame === "Ping"),
            ["Ping", "Ping"]
          )
          assert.isTrue(yield* socket.isOpen)
        })
      )
    }

    it.effect("sends no ping while frames come", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* alone(role)
        for (let i = 0; i < 10; i++) {
          yield* TestClock.adjust("20 seconds")
          yield* inject(text("hello"))
          yield* settled
          yield* socket.receive
        }
        assert.deepStrictEqual(yield* wrote, [])
        yield* TestClock.adjust("25 seconds")
        assert.deepStrictEqual(names(yield* wrote), ["Ping"])
      })
    )

    it.effect("has payloads that cannot be guessed", () =>
      Effect.gen(function* () {
        const { pings, socket } = yield* Effect.map(connected(), (ends) => ({
          socket: ends[role],
          pings: from(ends.pair, role).written
        }))
        yield* Effect.forkChild(socket.run(() => {}))
        yield* TestClock.adjust("60 seconds")
        const bytes = yield* pings
        assert.isAbove(new Set(bytes).size, 10)
      })
    )

    it.effect("looks again if the sign waits to be read because this process was busy", () =>
      Effect.gen(function* () {
        const { inject, pair, socket, wrote } = yield* alone(role)
        yield* from(pair, other(role)).stall
        yield* inject(pong(""))
        yield* TestClock.adjust("44 seconds")
        const [alarm] = timersOf(yield* Effect.clock)["heap"]
        const fire = alarm!.fire.bind(alarm)
        alarm!.fire = () => {
          fire()
          // As an event loop does, which reads before it lets the next timer fire.
          Effect.runSync(from(pair, other(role)).unstall)
        }
        yield* TestClock.adjust("1 seconds")
        yield* settledLate
        assert.isTrue(yield* socket.isOpen)
        assert.deepStrictEqual(names(yield* wrote), ["Ping"])
      })
    )

    it.effect("expects no sign of life while the app does not read", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* alone(role, { receiveHighWaterMark: 1 })
        yield* inject(text("one"), text("two"))
        yield* settled
        yield* TestClock.adjust("1 hours")
        yield* settledLate
        assert.isTrue(yield* socket.isOpen)
        assert.strictEqual((yield* socket.receive).data, "one")
      })
    )

    it.effect("finds a peer that neither reads nor sends, and adds nothing to its unread output", () =>
      Effect.gen(function* () {
        const { pair, socket, wrote } = yield* alone(role, { sendHighWaterMark: 10 })
        yield* from(pair, role).stall
        yield* Effect.forkChild(socket.send("0123456789"))
        yield* settled
        yield* TestClock.adjust("45 seconds")
        yield* settledLate
        assert.isFalse(yield* socket.isOpen)
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(fields((yield* socket.closeStatus).error), timedOut("heartbeat"))
        assert.deepStrictEqual(yield* wrote, ["Text 0123456789", "Close 1011"])
      })
    )

    for (const [name, send] of [
      ["one message", (socket: WebSocket.WebSocket) => socket.send(new Uint8Array(1_000_000))],
      [
        "a stream",
        (socket: WebSocket.WebSocket) =>
          socket.sendStream(Stream.take(Stream.fromEffectRepeat(Effect.succeed(new Uint8Array(10_000))), 100))
      ]
    ] as const) {
      it.effect(`leaves alone a peer that is slow to read ${name}`, () =>
        Effect.gen(function* () {
          const { pair, socket, wrote } = yield* alone(role, brisk)
          yield* from(pair, role).throttle(50_000)
          const sending = yield* Effect.forkChild(send(socket))
          yield* seconds(18)
          assert.isTrue(yield* socket.isOpen)
          yield* seconds(3)
          yield* Fiber.join(sending)
          // Now it is silent.
          yield* seconds(40)
          yield* settledLate
          assert.deepStrictEqual(names(yield* wrote).slice(-2), ["Ping", "Close 1011"])
        })
      )
    }

    it.effect("finds a peer that is gone in the middle of a transfer, at most one interval later than others", () =>
      Effect.gen(function* () {
        const { pair, socket } = yield* alone(role, brisk)
        const outbound = from(pair, role)
        yield* outbound.throttle(50_000)
        yield* Effect.forkChild(socket.send(new Uint8Array(1_000_000)))
        yield* seconds(11)
        yield* outbound.stall
        yield* seconds(14)
        yield* settledLate
        assert.isFalse(yield* socket.isOpen)
        yield* seconds(5)
        assert.deepStrictEqual(fields((yield* socket.closeStatus).error), timedOut("heartbeat"))
      })
    )

    it.effect("does not count bytes that the transport takes at once as a sign of life", () =>
      Effect.gen(function* () {
        const { pair, socket } = yield* alone(role, brisk)
        yield* from(pair, role).drop
        for (let second = 0; second < 9; second++) {
          yield* socket.send("hello")
          yield* seconds(1)
        }
        yield* settledLate
        assert.isFalse(yield* socket.isOpen)
      })
    )

    it.effect(
      "waits longer for the answer to a ping behind a slow transfer, up to the time that the transfer took",
      () =>
        Effect.gen(function* () {
          const { inject, pair, socket } = yield* alone(role, brisk)
          yield* from(pair, role).throttle(50_000)
          yield* Effect.forkChild(socket.send(new Uint8Array(1_000_000)))
          yield* seconds(20)
          // An idle peer is given nine.
          yield* seconds(20)
          yield* settledLate
          assert.isTrue(yield* socket.isOpen)
          yield* inject(pong(""))
          yield* seconds(9)
          yield* settledLate
          assert.isFalse(yield* socket.isOpen)
        })
    )

    it.effect("counts the bytes of a message that arrives slowly as signs of life", () =>
      Effect.gen(function* () {
        const ends = yield* connected(brisk)
        yield* from(ends.pair, role).throttle(50_000)
        yield* Effect.forkChild(ends[role].send(new Uint8Array(1_000_000)))
        const receiving = yield* Effect.forkChild(ends[other(role)].receive)
        yield* seconds(20)
        assert.strictEqual((yield* Fiber.join(receiving)).data.length, 1_000_000)
      })
    )

    it.effect("can be off, or of other times", () =>
      Effect.gen(function* () {
        const off = yield* alone(role, quiet)
        const quick = yield* alone(role, { heartbeatInterval: "1 seconds", heartbeatTimeout: "2 seconds" })
        yield* TestClock.adjust("2999 millis")
        yield* settledLate
        assert.isTrue(yield* quick.socket.isOpen)
        yield* TestClock.adjust("1 millis")
        yield* settledLate
        assert.isFalse(yield* quick.socket.isOpen)
        yield* TestClock.adjust("1 days")
        assert.deepStrictEqual(yield* off.wrote, [])
        assert.isTrue(yield* off.socket.isOpen)
      })
    )
  })

  describe(`the other deadlines, as ${role}`, () => {
    it.effect("are none unless asked for", () =>
      Effect.gen(function* () {
        const { inject, pair, socket } = yield* alone(role, { ...quiet, sendHighWaterMark: 10 })
        yield* inject(text("hel", false))
        yield* from(pair, role).stall
        yield* Effect.forkChild(socket.send("0123456789"))
        yield* settled
        yield* TestClock.adjust("365 days")
        assert.isTrue(yield* socket.isOpen)
      })
    )

    it.effect("maxLifetime closes with 1001, however busy the connection is", () =>
      Effect.gen(function* () {
        const ends = yield* connected({ ...quiet, maxLifetime: "1 minutes" })
        const [socket, peer] = [ends[role], ends[other(role)]]
        yield* Effect.forkChild(peer.run(() => {}))
        const reading = yield* Effect.forkChild(socket.run(() => {}))
        for (let second = 1; second < 60; second++) {
          yield* TestClock.adjust("1 seconds")
          yield* peer.send("hello")
        }
        assert.isTrue(yield* socket.isOpen)
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.join(reading)
        assert.deepStrictEqual((yield* socket.closeStatus).sent, { code: 1001, reason: "maximum lifetime" })
      }).pipe(Effect.scoped)
    )

    it.effect("idleTimeout closes with 1001 after a time without a message in either direction", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* alone(role, { ...quiet, idleTimeout: "10 seconds" })
        yield* TestClock.adjust("9 seconds")
        yield* inject(text("hello"))
        yield* settled
        yield* TestClock.adjust("9 seconds")
        yield* socket.send("hello")
        yield* TestClock.adjust("5 seconds")
        // Neither is a message.
        yield* inject(ping(""))
        yield* socket.pong()
        yield* TestClock.adjust("4999 millis")
        assert.isTrue(yield* socket.isOpen)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual((yield* wrote).at(-1), "Close 1001 idle")
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1001, undefined, "local", false])
      })
    )

    it.effect("messageTimeout fails with 1008 if a message that has begun does not end", () =>
      Effect.gen(function* () {
        const { inject, injectBytes, socket, wrote } = yield* alone(role, { ...quiet, messageTimeout: "10 seconds" })
        yield* inject(text("whole"))
        yield* TestClock.adjust("1 minutes")
        const [first, ...rest] = sentTo(role, text("split"))
        yield* injectBytes(Uint8Array.of(first!))
        yield* settled
        yield* TestClock.adjust("9 seconds")
        yield* injectBytes(Uint8Array.from(rest))
        yield* inject(text("begun ", false))
        yield* settled
        yield* TestClock.adjust("9 seconds")
        // Another fragment, or a ping, is not the end.
        yield* inject(continuation("still", false), ping(""))
        yield* settled
        yield* TestClock.adjust("999 millis")
        assert.isTrue(yield* socket.isOpen)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual((yield* wrote).at(-1), "Close 1008")
        assert.strictEqual((yield* socket.receive).data, "whole")
        assert.strictEqual((yield* socket.receive).data, "split")
        assert.deepStrictEqual(fields(yield* Effect.flip(socket.receive)), timedOut("message"))
      })
    )

    it.effect("writeTimeout drops a peer that reads none of the bytes that wait for it", () =>
      Effect.gen(function* () {
        const { pair, seen, socket } = yield* alone(role, {
          ...quiet,
          sendHighWaterMark: 10,
          sendLowWaterMark: 1,
          writeTimeout: "10 seconds"
        })
        const outbound = from(pair, role)
        yield* outbound.split(1)
        yield* outbound.delay("3 seconds")
        const slow = yield* Effect.forkChild(socket.send("0123456789"))
        yield* TestClock.adjust("9 seconds")
        yield* Fiber.join(slow)
        yield* outbound.delay(0)
        yield* TestClock.adjust("1 minutes")
        assert.isTrue(yield* socket.isOpen)

        yield* outbound.stall
        const stuck = yield* Effect.forkChild(Effect.flip(socket.send("0123456789")))
        yield* settled
        yield* TestClock.adjust("9999 millis")
        assert.isTrue(yield* socket.isOpen)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(fields(yield* Fiber.join(stuck)), timedOut("write"))
        assert.strictEqual((yield* socket.closeStatus).error, yield* Effect.flip(socket.receive))
        yield* settled
        assert.deepStrictEqual(seen, ["error", "close"])
      })
    )

    it.effect("writeTimeout and idleTimeout do not end the connection of a peer that reads one message slowly", () =>
      Effect.gen(function* () {
        const { pair, socket } = yield* alone(role, { ...quiet, idleTimeout: "3 seconds", writeTimeout: "2 seconds" })
        const outbound = from(pair, role)
        yield* outbound.throttle(100_000)
        const sending = yield* Effect.forkChild(socket.send(new Uint8Array(1_000_000)))
        yield* seconds(8)
        assert.isTrue(yield* socket.isOpen)
        yield* seconds(2)
        yield* Fiber.join(sending)
      })
    )

    it.effect("writeTimeout counts what the peer has read, whatever else has to wait meanwhile", () =>
      Effect.gen(function* () {
        const { inject, pair, socket } = yield* alone(role, {
          ...quiet,
          sendHighWaterMark: 100,
          sendLowWaterMark: 1,
          writeTimeout: "2 seconds"
        })
        const outbound = from(pair, role)
        yield* outbound.throttle(10)
        const sending = yield* Effect.forkChild(socket.send(new Uint8Array(100)))
        yield* settled
        for (let second = 0; second < 8; second++) {
          // Their answers are larger than what leaves.
          yield* inject(ping("0123456789"), ping("0123456789"))
          yield* seconds(1)
        }
        assert.isTrue(yield* socket.isOpen)
        yield* outbound.throttle(undefined)
        yield* Fiber.join(sending)
      })
    )

    it.effect("writeTimeout does not drop a peer that reads slowly", () =>
      Effect.gen(function* () {
        const { pair, socket } = yield* alone(role, {
          ...quiet,
          sendHighWaterMark: 10,
          sendLowWaterMark: 1,
          writeTimeout: "10 seconds"
        })
        const outbound = from(pair, role)
        yield* outbound.stall
        yield* outbound.split(1)
        const slow = yield* Effect.forkChild(socket.send("0123456789"))
        yield* settled
        for (let i = 0; i < 5; i++) {
          yield* TestClock.adjust("8 seconds")
          // A byte or two get through.
          yield* outbound.unstall
          yield* Effect.promise(() => Promise.resolve())
          yield* outbound.stall
        }
        assert.isTrue(yield* socket.isOpen)
        yield* outbound.unstall
        yield* Fiber.join(slow)
      })
    )
  })
}
