import * as fc from "fast-check"
import { NodeZlib } from "@effect-websocket/platform/node"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import type { StreamData } from "@effect-websocket/platform/StreamingWebSocket"
import type { Zlib } from "@effect-websocket/platform/Zlib"
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import type { Transport, TransportSink } from "@effect-websocket/platform/Transport"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import { Text } from "@effect-websocket/protocol/Message"
import { Option } from "effect"
import { Cause, Effect, Exit, Fiber, Queue, Stream, Supervisor, TestClock } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { timers } from "../../src/internal/timers.js"
import { makeWebSocket } from "../../src/internal/deliveries.js"
import { SendingWebSocket } from "../../src/internal/SendingWebSocket.js"
import { sentEffect } from "../../src/internal/sending.js"
import { placeIn } from "../../src/internal/scopes.js"
import { resolve } from "../../src/internal/settings.js"
import { property } from "../property.js"
import {
  alone,
  close,
  closedError,
  concat,
  connected,
  fields,
  from,
  isDefect,
  isInterrupted,
  isPending,
  latin1,
  other,
  outcome,
  ping,
  resetError,
  type Role,
  roles,
  settled,
  utf8,
  wrote
} from "../support.js"

const sender = (socket: WebSocket.WebSocket) => {
  if (socket instanceof SendingWebSocket) return socket
  throw new Error("It sends no messages")
}

/** Nothing is left of what was sent. */
const assertAtRest = (socket: WebSocket.WebSocket) => {
  const { link, sender: messages } = sender(socket)
  assert.isUndefined(messages["underWay"])
  assert.strictEqual(messages["turns"].size, 0)
  assert.strictEqual(messages["waits"].size, 0)
  assert.strictEqual(link["pings"]?.["listeners"].size ?? 0, 0)
}

/** A stream that the test feeds; `null` ends it. */
const source = <A extends string | Uint8Array>() =>
  Effect.map(Queue.unbounded<A | null>(), (queue) => {
    const state = { pulled: 0, finalized: 0 }
    const stream = Stream.fromEffectRepeat(Queue.take(queue)).pipe(
      Stream.takeWhile((part): part is A => part !== null),
      Stream.tap(() => Effect.sync(() => state.pulled++)),
      Stream.ensuring(Effect.sync(() => state.finalized++))
    )
    const feed = (...parts: ReadonlyArray<A | null>) => Effect.andThen(Queue.offerAll(queue, parts), settled)
    return { state, stream, feed }
  })

describe("sendStream", () => {
  for (const role of roles) {
    const cases: ReadonlyArray<readonly [string, StreamData<never, never>, ReadonlyArray<string>]> = [
      ["a text", Stream.make("one", "two"), ["Text… one", "Continuation… two", "Continuation"]],
      ["bytes", Stream.make(utf8("one"), utf8("two")), ["Binary… one", "Continuation… two", "Continuation"]],
      ["a text message", { _tag: "Text", data: Stream.make("one") }, ["Text… one", "Continuation"]],
      ["a binary message", { _tag: "Binary", data: Stream.make(utf8("one")) }, ["Binary… one", "Continuation"]],
      ["nothing", Stream.empty, ["Binary"]],
      ["a text message without a part", { _tag: "Text", data: Stream.empty }, ["Text"]],
      ["a binary message without a part", { _tag: "Binary", data: Stream.empty }, ["Binary"]],
      ["an empty text", Stream.make(""), ["Text"]],
      ["empty bytes", Stream.make(new Uint8Array(0)), ["Binary"]],
      ["empty parts among others", Stream.make("", "a", "", "b", ""), ["Text… a", "Continuation… b", "Continuation"]],
      ...Stream.alsoStreams.map(([name, data]) => [name, data, ["Text… one", "Continuation"]] as const)
    ]
    for (const [name, data, expected] of cases) {
      it.effect(`sends ${name}, as ${role}`, () =>
        Effect.gen(function* () {
          const { socket, wrote } = yield* alone(role)
          yield* socket.sendStream(data)
          yield* settled
          assert.deepStrictEqual(yield* wrote, expected)
          assertAtRest(socket)
        })
      )
    }

    it.effect(`fragments larger parts by maxFrameSize, as ${role}`, () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role, { maxFrameSize: 4 })
        yield* socket.sendStream(Stream.make("abcdefghi", "jklm"))
        yield* settled
        assert.deepStrictEqual(yield* wrote, [
          "Text… abcd",
          "Continuation… efgh",
          "Continuation… i",
          "Continuation… jklm",
          "Continuation"
        ])
      })
    )

    it.effect(`sends parts as they come, as ${role}`, () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role)
        const { feed, stream } = yield* source<string>()
        yield* Effect.forkChild(socket.sendStream(stream))
        yield* feed("one")
        assert.deepStrictEqual(yield* wrote, ["Text… one"])
        yield* feed("two")
        assert.deepStrictEqual(yield* wrote, ["Text… one", "Continuation… two"])
      })
    )

    it.effect(`lets other messages wait for its end, in order, and nothing else, as ${role}`, () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* alone(role)
        const { feed, stream } = yield* source<string>()
        yield* Effect.forkChild(socket.sendStream(stream))
        yield* feed("one")
        const later = yield* Effect.forEach(
          [
            socket.send("first"),
            socket.sendStream(Stream.make("second")),
            Stream.run(Stream.make("third", "fourth"), socket.sink),
            socket.send("fifth")
          ],
          (sending) => Effect.tap(Effect.forkChild(sending), settled)
        )
        yield* socket.pong(utf8("pong"))
        yield* Effect.forkChild(socket.ping(utf8("ping")))
        yield* settled
        yield* inject(ping("answered"))
        for (const fiber of later) assert.isTrue(yield* isPending(fiber))
        assert.deepStrictEqual(yield* wrote, ["Text… one", "Pong pong", "Ping ping", "Pong answered"])
        yield* feed("two", null)
        yield* Effect.forEach(later, Fiber.join)
        yield* settled
        assert.deepStrictEqual((yield* wrote).slice(4), [
          "Continuation… two",
          "Continuation",
          "Text first",
          "Text… second",
          "Continuation",
          "Text third",
          "Text fifth",
          "Text fourth"
        ])
        assertAtRest(socket)
      })
    )

    it.effect(`takes its turn in the order of the calls, as ${role}`, () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role)
        yield* Effect.all(
          [socket.sendStream(Stream.make("one")), socket.send("two"), socket.sendStream(Stream.make("three"))],
          { concurrency: "unbounded" }
        )
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text… one", "Continuation", "Text two", "Text… three", "Continuation"])
      })
    )

    it.effect(`suspends above the high-water mark, and resumes, as ${role}`, () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected({ sendHighWaterMark: 1000, sendLowWaterMark: 10 })
        const socket = sockets[role]
        let pulled = 0
        const parts = Stream.tap(Stream.range(0, 99, 1), () => Effect.sync(() => pulled++))
        yield* from(pair, role).stall
        const sending = yield* Effect.forkChild(socket.sendStream(Stream.map(parts, (i) => `${i} `.padEnd(100, "x"))))
        assert.isTrue(yield* isPending(sending))
        assert.isAtLeast(pulled, 8)
        assert.isAtMost(pulled, 11)
        assert.isBelow(yield* socket.bufferedBytes, 1300)
        yield* from(pair, role).unstall
        yield* Fiber.join(sending)
        const expected = Array.from({ length: 100 }, (_, i) => `${i} `.padEnd(100, "x")).join("")
        assert.strictEqual((yield* sockets[other(role)].receive).data, expected)
        assertAtRest(socket)
      })
    )

    for (const sendStrategy of ["suspend", "dropping", "sliding", "close", "abort"] as const) {
      it.effect(`drops no part and closes nothing with the strategy ${sendStrategy}, as ${role}`, () =>
        Effect.gen(function* () {
          const { pair, ...sockets } = yield* connected({ sendHighWaterMark: 10, sendLowWaterMark: 1, sendStrategy })
          const socket = sockets[role]
          yield* from(pair, role).stall
          // What it finds no room for does not even begin.
          const filling = yield* Effect.forkChild(socket.send("0123456789"))
          yield* settled
          const sending = yield* Effect.forkChild(socket.sendStream(Stream.make("0123456789", "0123456789", "0")))
          assert.isTrue(yield* isPending(sending))
          assert.deepStrictEqual(yield* wrote(pair, role), ["Text 0123456789"])
          assert.isBelow(yield* socket.bufferedBytes, 20)
          yield* from(pair, role).unstall
          yield* Fiber.join(filling)
          yield* Fiber.join(sending)
          yield* sockets[other(role)].receive
          assert.strictEqual((yield* sockets[other(role)].receive).data, "012345678901234567890")
          assertAtRest(socket)
        })
      )
    }

    it.effect(`keeps its turn while the strategy sliding drops messages, as ${role}`, () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected({
          sendHighWaterMark: 200,
          sendLowWaterMark: 1,
          sendStrategy: "sliding"
        })
        const socket = sockets[role]
        yield* from(pair, role).stall
        yield* socket.send("0".repeat(200))
        yield* settled
        yield* socket.send("dropped")
        const sending = yield* Effect.forkChild(socket.sendStream(Stream.make("kept")))
        yield* settled
        for (let i = 0; i < 9; i++) yield* socket.send(`${i}`)
        yield* from(pair, role).unstall
        yield* Fiber.join(sending)
        yield* settled
        assert.deepStrictEqual((yield* wrote(pair, role)).slice(1), [
          "Text… kept",
          "Continuation",
          "Text 6",
          "Text 7",
          "Text 8"
        ])
        assertAtRest(socket)
      })
    )

    const failures: ReadonlyArray<
      readonly [
        name: string,
        last: Stream.Stream<string, string>,
        code: number,
        check: (exit: Exit.Exit<unknown, unknown>) => boolean
      ]
    > = [
      [
        "fails",
        Stream.fail("broken"),
        1011,
        (exit) => Exit.isFailure(exit) && Option.isSome(Cause.findErrorOption(exit.cause))
      ],
      ["dies", Stream.die("broken"), 1011, isDefect],
      ["interrupts itself", Stream.fromEffect(Effect.interrupt), 1001, isInterrupted]
    ]
    for (const [name, last, code, check] of failures) {
      it.effect(`closes with ${code} if the stream ${name} behind its first part, as ${role}`, () =>
        Effect.gen(function* () {
          const { inject, socket, wrote } = yield* alone(role)
          const sending = yield* Effect.forkChild(socket.sendStream(Stream.concat(Stream.make("one"), last)))
          const behind = yield* Effect.forkChild(Effect.flip(Effect.andThen(Effect.yieldNow, socket.send("behind"))))
          assert.isTrue(check(yield* Fiber.await(sending)))
          assert.deepStrictEqual(fields(yield* Fiber.join(behind)), closedError(code, "local", false))
          yield* settled
          assert.deepStrictEqual(yield* wrote, ["Text… one", `Close ${code}`])
          yield* inject(close(code))
          yield* settled
          assertAtRest(socket)
        })
      )

      it.effect(`sends nothing, and the connection continues, if the stream ${name} at once, as ${role}`, () =>
        Effect.gen(function* () {
          const { socket, wrote } = yield* alone(role)
          assert.isTrue(check(yield* Effect.exit(socket.sendStream(Stream.concat(Stream.make(""), last)))))
          assertAtRest(socket)
          yield* socket.send("on")
          yield* settled
          assert.deepStrictEqual(yield* wrote, ["Text on"])
        })
      )
    }

    it.effect(
      `interrupted, closes with 1001 where something was sent, and waits for the stream's finalizers, as ${role}`,
      () =>
        Effect.gen(function* () {
          const { socket, wrote } = yield* alone(role)
          const { feed, state, stream } = yield* source<string>()
          const slow = Stream.ensuring(stream, Effect.sleep("1 seconds"))
          const sending = yield* Effect.forkChild(socket.sendStream(slow))
          yield* feed("one")
          const interrupting = yield* Effect.forkChild(Effect.andThen(Fiber.interrupt(sending), Fiber.await(sending)))
          assert.isTrue(yield* isPending(interrupting))
          assert.strictEqual(state.finalized, 1)
          yield* TestClock.adjust("1 seconds")
          assert.isTrue(isInterrupted(yield* Fiber.join(interrupting)))
          yield* settled
          assert.deepStrictEqual(yield* wrote, ["Text… one", "Close 1001"])
          assertAtRest(socket)
        })
    )

    it.effect(`interrupted before its first part, sends nothing, and the connection goes on, as ${role}`, () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role)
        const { feed, state, stream } = yield* source<string>()
        const sending = yield* Effect.forkChild(socket.sendStream(stream))
        const later = yield* Effect.andThen(settled, Effect.forkChild(socket.send("later")))
        yield* feed("")
        assert.isTrue(yield* isPending(later))
        yield* Fiber.interrupt(sending)
        assert.strictEqual(state.finalized, 1)
        yield* Fiber.join(later)
        yield* feed("too late")
        assert.deepStrictEqual(yield* wrote, ["Text later"])
        assertAtRest(socket)
      })
    )

    it.effect(`interrupted while it waits for its turn, leaves nothing behind, as ${role}`, () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role)
        const { feed, stream } = yield* source<string>()
        const first = yield* Effect.forkChild(socket.sendStream(stream))
        yield* feed("one")
        let ran = false
        const second = yield* Effect.forkChild(
          socket.sendStream(
            Stream.suspend(() => {
              ran = true
              return Stream.make("never")
            })
          )
        )
        const third = yield* Effect.andThen(settled, Effect.forkChild(socket.send("third")))
        yield* settled
        yield* Fiber.interrupt(second)
        yield* feed(null)
        yield* Fiber.join(first)
        yield* Fiber.join(third)
        yield* settled
        assert.isFalse(ran)
        assert.deepStrictEqual(yield* wrote, ["Text… one", "Continuation", "Text third"])
        assertAtRest(socket)
      })
    )

    it.effect(`interrupted between the end of its wait and its turn, leaves nothing behind, as ${role}`, () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role)
        const { feed, stream } = yield* source<string>()
        // In one step the second is interrupted and told that it is its turn.
        const last = Effect.suspend(() => Fiber.interruptFork(second))
        yield* Effect.forkChild(socket.sendStream(Stream.concat(stream, Stream.drain(Stream.fromEffect(last)))))
        yield* feed("one")
        const second: Fiber.Fiber<void, unknown> = yield* Effect.forkChild(socket.sendStream(Stream.make("never")))
        yield* settled
        yield* feed(null)
        yield* Fiber.await(second)
        yield* socket.send("on")
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text… one", "Continuation", "Text on"])
        assertAtRest(socket)
      })
    )

    it.effect(`interrupted behind its last part, while it waits for room, closes nothing, as ${role}`, () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected({ sendHighWaterMark: 12, sendLowWaterMark: 1 })
        const socket = sockets[role]
        yield* from(pair, role).stall
        const sending = yield* Effect.forkChild(socket.sendStream(Stream.make("0")))
        yield* settled
        const filling = yield* Effect.forkChild(
          Effect.andThen(socket.sendStream(Stream.make("0123456789")), Effect.never)
        )
        assert.isTrue(yield* isPending(sending).pipe(Effect.andThen(isPending(filling))))
        yield* Fiber.interrupt(sending)
        yield* from(pair, role).unstall
        yield* settled
        yield* settled
        assert.strictEqual((yield* sockets[other(role)].receive).data, "0")
        assert.strictEqual((yield* sockets[other(role)].receive).data, "0123456789")
        assert.isTrue(yield* socket.isOpen)
        assertAtRest(socket)
      })
    )

    it.effect(`interrupted in the middle while it waits for room, closes with 1001, as ${role}`, () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected({ sendHighWaterMark: 10, sendLowWaterMark: 1 })
        const socket = sockets[role]
        yield* from(pair, role).stall
        const sending = yield* Effect.forkChild(socket.sendStream(Stream.make("0123456789", "not sent")))
        assert.isTrue(yield* isPending(sending))
        yield* Fiber.interrupt(sending)
        yield* from(pair, role).unstall
        assert.deepStrictEqual(
          fields(yield* Effect.flip(sockets[other(role)].receive)),
          closedError(1001, "remote", true)
        )
        assert.deepStrictEqual(yield* wrote(pair, role), [
          role === "client" ? "Text… 0123456789" : "Text… 0123456789",
          "Close 1001"
        ])
        assertAtRest(socket)
      })
    )

    type Alone = Effect.Success<ReturnType<typeof alone<"messages">>>
    const endings: ReadonlyArray<
      readonly [name: string, end: (alone: Alone) => Effect.Effect<unknown, unknown>, expected: Record<string, unknown>]
    > = [
      ["the peer's Close", ({ inject }) => inject(close(4001, "bye")), closedError(4001, "remote", true, "bye")],
      ["a Close of ours", ({ socket }) => Effect.forkChild(socket.close(4000)), closedError(4000, "local", false)],
      ["an abort", ({ socket }) => Effect.forkChild(socket.abort), closedError(1006, "local", false)],
      ["a reset", ({ pair }) => pair.reset, resetError],
      ["the end of the peer's input", ({ eof }) => eof, closedError(1006, "remote", false)],
      [
        "the end of the scope",
        ({ socket }) => Effect.sync(() => sender(socket).link.beginClose(1000)),
        closedError(1000, "local", false)
      ]
    ]
    for (const [name, end, expected] of endings) {
      for (const region of ["interruptible", "uninterruptible"] as const) {
        it.effect(`fails at once at ${name}, while its stream has nothing, in an ${region} region, as ${role}`, () =>
          Effect.gen(function* () {
            const ends = yield* alone(role)
            const { feed, state, stream } = yield* source<string>()
            const sending = yield* Effect.forkChild(Effect[region](Effect.flip(ends.socket.sendStream(stream))))
            yield* feed("one")
            const waiting = yield* Effect.forkChild(Effect[region](Effect.flip(ends.socket.sendStream(Stream.never))))
            assert.isTrue(yield* isPending(waiting))
            yield* end(ends)
            assert.deepStrictEqual(fields(yield* Fiber.join(sending)), expected)
            assert.deepStrictEqual(fields(yield* Fiber.join(waiting)), expected)
            assert.strictEqual(state.finalized, 1)
            assertAtRest(ends.socket)
            // Nothing of it comes behind.
            yield* feed("two", null)
            assert.deepStrictEqual(
              (yield* ends.wrote).filter((frame) => !frame.startsWith("Close")),
              ["Text… one"]
            )
          })
        )
      }
    }

    it.effect(`is not interrupted in an uninterruptible region, as ${role}`, () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role)
        const { feed, stream } = yield* source<string>()
        const exits: Array<Exit.Exit<unknown, unknown>> = []
        const sending = yield* Effect.forkChild(
          Effect.uninterruptible(
            Effect.map(Effect.exit(socket.sendStream(stream)), (exit) => {
              exits.push(exit)
            })
          )
        )
        yield* feed("one")
        const interrupting = yield* Effect.forkChild(Fiber.interrupt(sending))
        assert.isTrue(yield* isPending(interrupting))
        yield* feed("two", null)
        yield* Fiber.join(interrupting)
        yield* settled
        assert.deepStrictEqual(exits, [Exit.void])
        assert.deepStrictEqual(yield* wrote, ["Text… one", "Continuation… two", "Continuation"])
        assert.isTrue(yield* socket.isOpen)
      })
    )

    it.effect(`fails at once on a connection that is closing or over, and does not run the stream, as ${role}`, () =>
      Effect.gen(function* () {
        const { inject, pair, socket } = yield* alone(role)
        let runs = 0
        const sending = Effect.flip(
          socket.sendStream(
            Stream.suspend(() => {
              runs++
              return Stream.never
            })
          )
        )
        yield* Effect.forkChild(socket.close(4000))
        yield* settled
        assert.deepStrictEqual(fields(yield* sending), closedError(4000, "local", false))
        yield* inject(close(4000))
        yield* settled
        assert.deepStrictEqual(fields(yield* sending), closedError(4000, "local", true))
        yield* pair.reset
        yield* socket.closeStatus
        assert.deepStrictEqual(fields(yield* sending), closedError(4000, "local", true))
        assert.strictEqual(runs, 0)
        assertAtRest(socket)
      })
    )

    it.effect(`fails at once on a connection that is closing above the high-water mark, as ${role}`, () =>
      Effect.gen(function* () {
        const { pair, socket } = yield* alone(role, { sendHighWaterMark: 1, sendLowWaterMark: 1 })
        yield* from(pair, role).stall
        yield* Effect.forkChild(socket.send("full"))
        yield* Effect.andThen(settled, Effect.forkChild(socket.close(4000)))
        yield* settled
        const late = [socket.sendStream(Stream.never), socket.send("late"), socket.pong()]
        for (const sending of late) {
          assert.deepStrictEqual(fields(yield* Effect.flip(sending)), closedError(4000, "local", false))
        }
      })
    )

    it.effect(`may close the connection from within its stream, as ${role}`, () =>
      Effect.gen(function* () {
        const ends = yield* connected()
        const closing = Stream.concat(Stream.make("one"), Stream.drain(Stream.fromEffect(ends[role].close(4000))))
        yield* Effect.forkChild(Effect.exit(ends[other(role)].receive))
        const error = yield* Effect.flip(ends[role].sendStream(closing))
        assert.deepStrictEqual(fields(error), closedError(4000, "local", false))
        assert.deepStrictEqual(outcome(yield* ends[role].closeStatus), [4000, 4000, "local", true])
      })
    )

    it.effect(`keeps the connection from being idle, and does not wait for heartbeats, as ${role}`, () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* alone(role, {
          idleTimeout: "10 seconds",
          heartbeatInterval: "4 seconds"
        })
        const { feed, stream } = yield* source<string>()
        const sending = yield* Effect.forkChild(Effect.flip(socket.sendStream(stream)))
        for (let i = 0; i < 3; i++) {
          yield* feed(`${i}`)
          yield* TestClock.adjust("9 seconds")
          yield* inject(ping(""))
          yield* settled
        }
        assert.isTrue(yield* isPending(sending))
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(fields(yield* Fiber.join(sending)), closedError(1001, "local", false, "idle"))
        const frames = (yield* wrote).map((frame) => frame.split(" ")[0])
        assert.includeMembers(frames, ["Ping"])
        assert.deepStrictEqual(
          frames.filter((name) => name !== "Ping" && name !== "Pong"),
          ["Text…", "Continuation…", "Continuation…", "Close"]
        )
      })
    )

    it.effect(`fails with writeTimeout if the peer does not read, as ${role}`, () =>
      Effect.gen(function* () {
        const { pair, socket } = yield* alone(role, {
          sendHighWaterMark: 10,
          sendLowWaterMark: 1,
          writeTimeout: "1 seconds"
        })
        yield* from(pair, role).stall
        const sending = yield* Effect.forkChild(Effect.flip(socket.sendStream(Stream.make("0123456789", "never"))))
        assert.isTrue(yield* isPending(sending))
        yield* TestClock.adjust("1 seconds")
        const error = yield* Fiber.join(sending)
        assert.deepInclude(error, { _tag: "Io_error", reason: "Timeout", operation: "write" })
        assertAtRest(socket)
      })
    )
  }

  property(
    "any text, cut anywhere, arrives as it was",
    {
      role: fc.constantFrom(...roles),
      texts: fc.array(fc.string({ unit: fc.constantFrom("a", "é", "€", "😀", "\u{10ffff}"), maxLength: 9 }), {
        maxLength: 9
      }),
      maxFrameSize: fc.integer({ min: 1, max: 9 }),
      cut: fc.integer({ min: 1, max: 5 })
    },
    ({ cut, maxFrameSize, role, texts }) =>
      Effect.gen(function* () {
        const { pair, ...ends } = yield* connected({ maxFrameSize })
        yield* from(pair, role).split(cut)
        for (const text of texts) {
          const units = text.split("")
          const parts = Array.from({ length: Math.ceil(units.length / cut) }, (_, i) =>
            units.slice(i * cut, i * cut + cut).join("")
          )
          yield* ends[role].sendStream({ _tag: "Text", data: Stream.fromIterable(parts) })
          const message = yield* ends[other(role)].receive
          assert.deepStrictEqual([message._tag, message.data], ["Text", text])
        }
      }),
    { numRuns: 50 }
  )

  it.effect("needs what its stream needs", () =>
    Effect.gen(function* () {
      const { socket, wrote } = yield* alone("client")
      const scoped = Stream.unwrap(
        Effect.as(
          Effect.addFinalizer(() => Effect.ignore(socket.pong(utf8("finalized")))),
          Stream.make("one")
        )
      )
      yield* socket.sendStream(Stream.concat(scoped, Stream.fromEffect(Effect.map(Effect.clock, () => "two"))))
      yield* settled
      assert.deepStrictEqual(yield* wrote, ["Text… one", "Pong finalized", "Continuation… two", "Continuation"])
    })
  )

  it.effect("leaves no fiber behind, however it ends", () =>
    Effect.gen(function* () {
      const supervisor = yield* Supervisor.track
      for (const end of ["success", "failure", "interruption", "the end of the connection"] as const) {
        const { pair, socket } = yield* alone("client", { heartbeatInterval: Infinity })
        const last = end === "success" ? Stream.empty : end === "failure" ? Stream.fail(end) : Stream.never
        const sending = yield* Effect.supervised(
          Effect.forkChild(socket.sendStream(Stream.concat(Stream.make("one"), last))),
          supervisor
        )
        yield* settled
        if (end === "interruption") yield* Fiber.interrupt(sending)
        yield* pair.reset
        yield* Fiber.await(sending)
        yield* socket.closeStatus
      }
      yield* settled
      assert.lengthOf(yield* supervisor.value, 0)
    })
  )

  it.effect("by many fibers at once, each message arrives whole", () =>
    Effect.gen(function* () {
      for (const role of roles) {
        const { pair, ...ends } = yield* connected({ sendHighWaterMark: 50, sendLowWaterMark: 10 })
        yield* from(pair, role).split(7)
        const sending = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: 200 }, (_, i) => i),
            (i) =>
              i % 3 === 0
                ? ends[role].send(`${i} ${"x".repeat(20)}`)
                : ends[role].sendStream(
                    Stream.make(`${i} `, "x".repeat(10), "x".repeat(10)).pipe(
                      Stream.tap(() => (i % 2 === 0 ? Effect.yieldNow : Effect.void))
                    )
                  ),
            { concurrency: "unbounded", discard: true }
          )
        )
        const received = yield* Effect.replicateEffect(ends[other(role)].receive, 200)
        yield* Fiber.join(sending)
        const expected = Array.from({ length: 200 }, (_, i) => `${i} ${"x".repeat(20)}`)
        assert.deepStrictEqual(
          received.map(({ data }) => data),
          expected
        )
        assertAtRest(ends[role])
      }
    })
  )
})

describe("compression on another thread", () => {
  const direction = { windowBits: 12, contextTakeover: true }
  const negotiated = {
    url: "",
    agreement: { protocol: undefined, extensions: [] },
    deflate: { extension: { name: "permessage-deflate", parameters: [] }, outbound: direction, inbound: direction }
  }
  const large = "large ".repeat(11_000)

  /** An endpoint whose large messages are deflated when the test says so. */
  const deflating = (role: Role, options?: WebSocket.Options, own?: Partial<Zlib>) =>
    Effect.gen(function* () {
      const jobs: Array<() => void> = []
      const zlib: Zlib = {
        ...NodeZlib.zlib,
        deflateLater: (data, options, done) => {
          let cancelled = false
          jobs.push(() => {
            if (!cancelled) done(NodeZlib.zlib.deflate(data, options))
          })
          return () => {
            cancelled = true
          }
        },
        ...own
      }
      const pair = yield* MockTransport.make()
      const scope = yield* Effect.scope
      const settings = resolve({ compression: true, ...options }, zlib)
      const services = yield* timers
      const make = (side: Role) =>
        makeWebSocket(side, pair[side], settings, services, negotiated, { delivery: "messages" }, undefined)
      const socket = make(role)
      const peer = make(other(role))
      socket.link.start(placeIn(scope))
      peer.link.start(placeIn(scope))
      yield* Effect.addFinalizer(() => pair.reset)
      const sent = Effect.map(from(pair, role).written, (bytes) =>
        frames({ role: other(role), rsv: 4 })(bytes).frames.map(
          ({ fin, opcode, payload, rsv }) => `${opcode}${fin ? "" : "…"} ${rsv === 0 ? latin1(payload) : "deflated"}`
        )
      )
      return { pair, jobs, socket, peer, sent }
    })

  for (const role of roles) {
    it.effect(`waits for the end of a stream, and a stream for its end, as ${role}`, () =>
      Effect.gen(function* () {
        const { jobs, peer, sent, socket } = yield* deflating(role)
        const { feed, stream } = yield* source<string>()
        const first = yield* Effect.forkChild(socket.sendStream(stream))
        yield* feed("one")
        const second = yield* Effect.andThen(settled, Effect.forkChild(socket.send(large)))
        const third = yield* Effect.andThen(settled, Effect.forkChild(socket.sendStream(Stream.make("three"))))
        yield* settled
        assert.lengthOf(jobs, 0)
        yield* feed(null)
        yield* Fiber.join(first)
        assert.lengthOf(jobs, 1)
        assert.isTrue(yield* isPending(third))
        jobs[0]!()
        yield* Fiber.join(second)
        yield* Fiber.join(third)
        yield* settled
        // Parts are not compressed.
        assert.deepStrictEqual(yield* sent, ["1… one", "0 ", "1 deflated", "1… three", "0 "])
        const received = yield* Effect.replicateEffect(peer.receive, 3)
        assert.deepStrictEqual(
          received.map(({ data }) => data),
          ["one", large, "three"]
        )
        assertAtRest(socket)
      })
    )

    it.effect(`is sent in fragments of its own size, also as it is, as ${role}`, () =>
      Effect.gen(function* () {
        const { jobs, peer, sent, socket } = yield* deflating(role, { maxFrameSize: 100_000 })
        const sending = yield* Effect.forkChild(socket.send(large, { maxFrameSize: 50 }))
        const behind = yield* Effect.forkChild(socket.send("behind", { maxFrameSize: 4 }))
        yield* settled
        jobs[0]!()
        yield* Effect.forEach([sending, behind], Fiber.join)
        yield* settled
        const fragments = yield* sent
        assert.deepStrictEqual(fragments.slice(-2), ["1… behi", "0 nd"])
        assert.isAbove(fragments.length, 3)
        assert.strictEqual(fragments[0], "1… deflated")
        assert.strictEqual((yield* peer.receive).data, large)
        yield* peer.receive
        yield* socket.send("x".repeat(2000), { maxFrameSize: 10, compress: true })
        assert.strictEqual((yield* peer.receive).data, "x".repeat(2000))
        yield* socket.send(large, { maxFrameSize: large.length - 1, compress: false })
        yield* settled
        assert.strictEqual((yield* sent).at(-1), "0  ")
      })
    )

    it.effect(`above maxSendBytes is refused before anything is deflated or queued, as ${role}`, () =>
      Effect.gen(function* () {
        let filtered = 0
        const filter = () => {
          filtered++
          return true
        }
        for (const sendStrategy of ["suspend", "dropping", "sliding", "close", "abort"] as const) {
          const { jobs, sent, socket } = yield* deflating(role, {
            maxSendBytes: large.length,
            sendStrategy,
            compression: { filter }
          })
          // One is under way, behind which the others would wait.
          yield* Effect.forkChild(socket.send(large))
          yield* settled
          filtered = 0
          for (const data of [`${large}x`, "€".repeat(large.length / 2), new Uint8Array(large.length + 1)]) {
            const error = yield* Effect.flip(socket.send(data))
            assert.deepInclude(fields(error), {
              _tag: "Payload_too_large",
              limit: "message",
              max: large.length,
              direction: "outbound"
            })
          }
          for (const mistake of [3, {}, { data: 3 }]) {
            assert.isTrue(isDefect(yield* Effect.exit(socket.send(mistake as never))))
          }
          assert.strictEqual(filtered, 0)
          assert.lengthOf(jobs, 1)
          jobs[0]!()
          yield* settled
          assert.deepStrictEqual(yield* sent, ["1 deflated"])
          assert.isTrue(yield* socket.isOpen)
          assertAtRest(socket)
        }
      })
    )

    it.effect(`is not dropped by the strategy sliding, as ${role}`, () =>
      Effect.gen(function* () {
        const { jobs, peer, socket } = yield* deflating(role, { sendStrategy: "sliding", sendHighWaterMark: 200 })
        const sending = yield* Effect.forkChild(socket.send(large))
        yield* settled
        for (let i = 0; i < 9; i++) yield* socket.send(`${i}`)
        yield* Effect.forkChild(socket.close(4000))
        yield* Effect.forkChild(peer.run(() => {}))
        assert.deepStrictEqual(fields(yield* Effect.flip(Fiber.join(sending))), closedError(4000, "local", false))
        assert.lengthOf(jobs, 1)
        assertAtRest(socket)
      })
    )

    it.effect(`does not keep a Close from sending the accepted messages behind it, as ${role}`, () =>
      Effect.gen(function* () {
        const { jobs, peer, sent, socket } = yield* deflating(role, { sendStrategy: "sliding" })
        const waits = yield* Effect.forkChild(Effect.exit(socket.send(large)))
        yield* settled
        yield* socket.send("accepted")
        yield* socket.send("accepted, too")
        yield* Effect.forkChild(socket.close(4000))
        yield* Effect.forkChild(peer.run(() => {}))
        yield* settled
        assert.lengthOf(jobs, 1)
        // It was not done yet, so its `send` says that it was not sent.
        assert.isTrue(Exit.isFailure(yield* Fiber.join(waits)))
        assert.deepStrictEqual((yield* sent).slice(0, 2), ["1 accepted", "1 accepted, too"])
      })
    )

    it.effect(`is sent uncompressed by a Close if it was accepted, as ${role}`, () =>
      Effect.gen(function* () {
        const options = { sendStrategy: "sliding", sendHighWaterMark: 100_000, sendLowWaterMark: 50_000 } as const
        const { jobs, pair, peer, socket } = yield* deflating(role, options)
        yield* from(pair, role).stall
        // Nothing has room, so both are accepted at once and wait.
        yield* Effect.forkChild(socket.send(new Uint8Array(100_000), { compress: false }))
        yield* settled
        yield* socket.send(large)
        yield* socket.send("behind it")
        yield* from(pair, role).unstall
        const received: Array<number> = []
        yield* Effect.forkChild(peer.run(({ data }) => void received.push(data.length)))
        yield* settled
        assert.lengthOf(jobs, 1)
        yield* socket.close()
        assert.deepStrictEqual(received, [100_000, large.length, 9])
      })
    )

    it.effect(`may report its end more than once, and at once, as ${role}`, () =>
      Effect.gen(function* () {
        const deflateLater: Zlib["deflateLater"] = (data, options, done) => {
          done(NodeZlib.zlib.deflate(data, options))
          done(undefined)
          return () => {}
        }
        const { peer, sent, socket } = yield* deflating(role, {}, { deflateLater })
        yield* socket.send(large)
        yield* socket.send("after")
        yield* settled
        assert.deepStrictEqual(yield* sent, ["1 deflated", "1 after"])
        assert.strictEqual((yield* peer.receive).data, large)
        assertAtRest(socket)
      })
    )

    it.effect(`may call back and then throw, which has no effect, as ${role}`, () =>
      Effect.gen(function* () {
        const deflateLater: Zlib["deflateLater"] = (data, options, done) => {
          done(NodeZlib.zlib.deflate(data, options))
          throw new Error("too late")
        }
        const { pair, peer, sent, socket } = yield* deflating(role, { sendStrategy: "sliding" }, { deflateLater })
        yield* Effect.forkScoped(peer.run(() => {}))
        yield* socket.send(large)
        // Nobody waits for one that slides.
        yield* from(pair, role).stall
        yield* socket.send(new Uint8Array(70_000), { compress: false })
        yield* settled
        yield* socket.send(large)
        yield* from(pair, role).unstall
        yield* settled
        yield* socket.send("after")
        yield* settled
        assert.deepStrictEqual(
          (yield* sent).map((frame) => frame.slice(0, 10)),
          ["1 deflated", `2 ${"\0".repeat(8)}`, "1 deflated", "1 after"]
        )
        assertAtRest(socket)
      })
    )

    it.effect(`may return nothing to give up with, as ${role}`, () =>
      Effect.gen(function* () {
        // As it may be in JavaScript.
        const deflateLater = (() => undefined) as unknown as Zlib["deflateLater"]
        const { sent, socket } = yield* deflating(role, {}, { deflateLater })
        const first = yield* Effect.forkChild(socket.send(large))
        const second = yield* Effect.forkChild(socket.send("after"))
        assert.isTrue(yield* isPending(second))
        yield* Fiber.interrupt(first)
        yield* Fiber.join(second)
        yield* settled
        assert.deepStrictEqual(yield* sent, ["1 after"])
        assertAtRest(socket)
      })
    )

    const bug = new Error("bug")
    const throws = () => {
      throw bug
    }
    const bugs: ReadonlyArray<readonly [string, WebSocket.Options, Partial<Zlib>, string]> = [
      ["a filter", { compression: { threshold: 0, filter: ({ data }) => data !== "boom" || throws() } }, {}, "boom"],
      [
        "deflate",
        { compression: { threshold: 0, filter: ({ data }) => data === "boom" } },
        { deflate: throws },
        "boom"
      ],
      ["deflateLater", {}, { deflateLater: throws }, large],
      [
        "deflateLater, with what is no result",
        {},
        { deflateLater: (_, __, done) => (done(7 as never), () => {}) },
        large
      ]
    ]
    for (const [name, options, own, data] of bugs) {
      it.effect(`is a defect of its send if ${name} throws, also behind another message, as ${role}`, () =>
        Effect.gen(function* () {
          const { pair, peer, socket } = yield* deflating(role, options, own)
          yield* from(pair, role).stall
          const first = yield* Effect.forkChild(socket.send(new Uint8Array(70_000), { compress: false }))
          yield* settled
          const second = yield* Effect.forkChild(Effect.exit(socket.send(data)))
          const third = yield* Effect.forkChild(socket.send("after", { compress: false }))
          yield* settled
          yield* from(pair, role).unstall
          yield* Fiber.join(first)
          const exit = yield* Fiber.join(second)
          yield* Fiber.join(third)
          // A result that is none is sent as if there were none.
          assert.isTrue(isDefect(exit), String(exit))
          assert.isTrue(isDefect(yield* Effect.exit(socket.send(data))))
          yield* peer.receive
          assert.strictEqual((yield* peer.receive).data, "after")
          assertAtRest(socket)
        })
      )
    }

    it.effect(`ends the connection if deflate throws for an accepted message, as ${role}`, () =>
      Effect.gen(function* () {
        const options = { sendStrategy: "sliding", compression: { threshold: 0 } } as const
        const { pair, socket } = yield* deflating(role, options, { deflate: throws })
        yield* from(pair, role).stall
        yield* socket.send(new Uint8Array(70_000), { compress: false })
        yield* settled
        yield* socket.send("accepted")
        yield* from(pair, role).unstall
        const error = yield* Effect.flip(socket.receive)
        assert.deepInclude(fields(error), { _tag: "Protocol_error", origin: "local", closeCode: 1011 })
        assert.include(error.message, "bug")
        assertAtRest(socket)
      })
    )

    it.effect(`fails with 1011 if inflate throws, as ${role}`, () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* deflating(role, {}, { inflate: throws })
        yield* peer.send("x".repeat(2000), { compress: true })
        const error = yield* Effect.flip(socket.receive)
        assert.deepInclude(fields(error), { _tag: "Protocol_error", origin: "local", closeCode: 1011 })
        // The peer is told no more than the code.
        assert.deepInclude(fields(yield* Effect.flip(peer.receive)), { code: 1011, reason: "" })
      })
    )
  }
})

describe("a message that waited for its turn", () => {
  /** A transport whose buffer the test fills and drains. */
  const manual = () => {
    const written: Array<Uint8Array> = []
    const control = { belowHighWater: true, sink: undefined as TransportSink | undefined }
    const transport: Transport = {
      remoteAddress: undefined,
      bufferedBytes: 1,
      start: (sink) => {
        control.sink = sink
      },
      pause: () => {},
      resume: () => {},
      write: (chunks) => {
        written.push(...chunks)
        return { taken: false, belowHighWater: control.belowHighWater }
      },
      end: () => {},
      abort: () => queueMicrotask(() => control.sink?.onClose())
    }
    return { transport, written, control }
  }

  it.effect("is done when there is room behind it, since until then its bytes are not copied", () =>
    Effect.gen(function* () {
      const { control, transport, written } = manual()
      const socket = yield* WebSocket.fromTransport(transport, { role: "server", sendHighWaterMark: 10 })
      control.belowHighWater = false
      yield* Effect.forkChild(socket.send("0123456789"))
      yield* settled
      const bytes = new Uint8Array(1000).fill(65)
      const sending = yield* Effect.forkChild(socket.send(bytes))
      assert.isTrue(yield* isPending(sending))
      control.sink?.onDrain()
      assert.isTrue(yield* isPending(sending))
      control.belowHighWater = true
      control.sink?.onDrain()
      yield* Fiber.join(sending)
      assert.strictEqual(concat(...written).length, 12 + 4 + 1000)
      control.sink?.onClose()
    })
  )

  it.effect("finds room that came before it began to wait", () =>
    Effect.gen(function* () {
      const { control, transport } = manual()
      const socket = yield* WebSocket.fromTransport(transport, { role: "server", sendHighWaterMark: 10 })
      control.belowHighWater = false
      // The first step of each; the next one is put off, as where the fiber yields.
      const waiting = sentEffect(sender(socket).sender.sendNow(new Text("0123456789"), undefined))
      const pong = yield* Effect.sync(() => socket.pong())
      control.belowHighWater = true
      control.sink?.onDrain()
      yield* waiting
      yield* pong
      control.sink?.onClose()
    })
  )
})

describe("the iterator of the messages that sendAll sends", () => {
  /** Messages, and how often their `finally` ran. */
  const messages = (data: ReadonlyArray<string>, fails = false) => {
    const state = { closed: 0 }
    const make = function* () {
      try {
        yield* data
      } finally {
        state.closed++
        // eslint-disable-next-line no-unsafe-finally
        if (fails) throw new Error("finally")
      }
    }
    return { state, all: { [Symbol.iterator]: make } }
  }
  const tooLong = "x".repeat(20)

  it.effect("is closed once if a message is refused, is none, or if all are sent", () =>
    Effect.gen(function* () {
      const { socket } = yield* alone("client", { maxSendBytes: 10 })
      const mistake = 3 as never
      for (const data of [["a", tooLong, "b"], ["a", mistake, "b"], [tooLong], ["a", "b"], []]) {
        const { all, state } = messages(data)
        const exit = yield* Effect.exit(socket.sendAll(all))
        assert.strictEqual(Exit.isSuccess(exit), data.length !== 3 && data[0] !== tooLong)
        assert.strictEqual(isDefect(exit), data.includes(mistake))
        assert.strictEqual(state.closed, 1)
      }
    })
  )

  it.effect("is closed once if sendAll is interrupted while a message waits", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* connected({ sendHighWaterMark: 10, sendLowWaterMark: 1 })
      yield* from(pair, "server").stall
      const { all, state } = messages(["a".repeat(10), "b"])
      const sending = yield* Effect.forkChild(server.sendAll(all))
      assert.isTrue(yield* isPending(sending))
      assert.strictEqual(state.closed, 0)
      yield* Fiber.interrupt(sending)
      assert.isTrue(isInterrupted(yield* Fiber.await(sending)))
      assert.strictEqual(state.closed, 1)
    })
  )

  it.effect("adds a defect to the error if closing it throws", () =>
    Effect.gen(function* () {
      const { socket } = yield* alone("client", { maxSendBytes: 10 })
      const exit = yield* Effect.exit(socket.sendAll(messages(["a", tooLong], true).all))
      if (Exit.isSuccess(exit)) return assert.fail("succeeded")
      const shown = Cause.pretty(exit.cause)
      assert.include(shown, "finally")
      assert.include(shown, "maxSendBytes")
    })
  )
})
