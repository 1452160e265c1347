import * as fc from "fast-check"
import type { StreamedMessage } from "@effect-websocket/platform/StreamingWebSocket"
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { Option } from "effect"
import { Effect, Exit, Fiber, Scheduler, Stream, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { property } from "./property.js"
import {
  alone,
  binary,
  close,
  closedError,
  concat,
  connected,
  continuation,
  fields,
  from,
  isDefect,
  isPending,
  latin1,
  other,
  outcome,
  ping,
  resetError,
  roles,
  type Role,
  sentTo,
  settled,
  text,
  utf8,
  wrote
} from "./support.js"

const streaming = (role: Role, options?: WebSocket.Options) => alone(role, { delivery: "streams", ...options })

type Parts = Stream.Stream<string | Uint8Array, ConnectionError>
const partsOf = ({ data }: StreamedMessage): Parts => data

const show = (part: string | Uint8Array): string => (typeof part === "string" ? part : latin1(part))
const collect = (message: StreamedMessage) =>
  Effect.map(Stream.runCollect(partsOf(message)), (parts) => Array.from(parts, show))
const whole = (message: StreamedMessage) => Effect.map(collect(message), (parts) => `${message._tag} ${parts.join("")}`)

/** Reads in the background, and tells what it has read so far. */
const watch = (message: StreamedMessage) =>
  Effect.gen(function* () {
    const read: Array<string> = []
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(partsOf(message), (part) => Effect.sync(() => void read.push(show(part))))
    )
    return { read, fiber }
  })

const part = (payload: string | Uint8Array, fin = false) =>
  Frame.make(Opcode.Continuation, { payload: typeof payload === "string" ? utf8(payload) : payload, fin })

for (const role of roles) {
  describe(`receive, as ${role}`, () => {
    it.effect("as an option ends after a normal end, and fails after another", () =>
      Effect.gen(function* () {
        for (const code of [1000, 4000]) {
          const { eof, inject, socket } = yield* streaming(role)
          yield* inject(text("one"), text("sk", false), continuation("ipped"), close(code))
          yield* eof
          assert.strictEqual(yield* whole(Option.getOrThrow(yield* socket.receiveOption)), "Text one")
          yield* socket.receiveOption
          const { error } = yield* socket.closeStatus
          assert.deepStrictEqual(
            yield* Effect.exit(socket.receiveOption),
            code === 1000 ? Exit.succeed(Option.none()) : Exit.fail(error)
          )
        }
      })
    )

    it.effect("gives a message as soon as something of it has arrived, and its parts as they come", () =>
      Effect.gen(function* () {
        const { inject, injectBytes, socket } = yield* streaming(role)
        const receiving = yield* Effect.forkChild(socket.receive)
        const frame = sentTo(role, text("hello", false))
        yield* injectBytes(frame.slice(0, -3))
        const message = yield* Fiber.join(receiving)
        assert.strictEqual(message._tag, "Text")
        const { fiber, read } = yield* watch(message)
        yield* settled
        assert.deepStrictEqual(read, ["he"])
        yield* injectBytes(frame.slice(-3))
        yield* inject(ping("between"), part(""), part(" world"))
        yield* settled
        assert.deepStrictEqual(read, ["he", "llo", " world"])
        assert.isTrue(yield* isPending(fiber))
        yield* inject(part("", true))
        yield* Fiber.join(fiber)
        assert.strictEqual(read.join(""), "hello world")
      })
    )

    it.effect("gives messages of both kinds, empty ones too", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* streaming(role)
        yield* inject(text(""), binary(utf8("bytes")), binary(new Uint8Array(0)), text("te", false), continuation("xt"))
        const read: Array<string> = []
        for (let i = 0; i < 4; i++) read.push(yield* whole(yield* socket.receive))
        assert.deepStrictEqual(read, ["Text ", "Binary bytes", "Binary ", "Text text"])
      })
    )

    it.effect("does not give a message of which nothing has arrived", () =>
      Effect.gen(function* () {
        const { inject, injectBytes, socket } = yield* streaming(role)
        const receiving = yield* Effect.forkChild(socket.receive)
        const frame = sentTo(role, text("€", false))
        yield* injectBytes(frame.slice(0, -1))
        assert.isTrue(yield* isPending(receiving))
        yield* injectBytes(frame.slice(-1))
        yield* Fiber.join(receiving)
        yield* inject(part("", true))
      })
    )

    it.effect("skips the unread rest of the previous message, even if it has not arrived yet", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* streaming(role)
        yield* inject(text("one", false), part("two"))
        const first = yield* socket.receive
        const read = yield* Stream.runCollect(Stream.take(partsOf(first), 1))
        assert.deepStrictEqual([...read], ["one"])
        const receiving = yield* Effect.forkChild(socket.receive)
        yield* inject(part("three"), part("", true))
        assert.isTrue(yield* isPending(receiving))
        yield* inject(text("next"))
        assert.strictEqual(yield* whole(yield* Fiber.join(receiving)), "Text next")
      })
    )

    it.effect("makes the stream of the message before a defect", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* streaming(role)
        yield* inject(text("one", false), part("two", true), text("next"))
        const first = yield* socket.receive
        const next = yield* socket.receive
        assert.isTrue(isDefect(yield* Effect.exit(collect(first))))
        assert.strictEqual(yield* whole(next), "Text next")
      })
    )

    it.effect("makes it a defect even while it was being read", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* streaming(role)
        yield* inject(text("one", false))
        const first = yield* socket.receive
        const reading = yield* Effect.forkChild(
          Stream.runForEach(partsOf(first), () =>
            Effect.andThen(inject(part("two", true), text("next")), Effect.andThen(settled, socket.receive))
          )
        )
        assert.isTrue(isDefect(yield* Fiber.await(reading)))
      })
    )

    it.effect("gives a stream that runs once: a second time is a defect, and no empty message", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* streaming(role)
        yield* inject(text("one"), text("two", false))
        for (const _ of ["read to its end", "read in part"]) {
          const message = yield* socket.receive
          yield* Stream.runDrain(Stream.take(partsOf(message), 1))
          assert.isTrue(isDefect(yield* Effect.exit(collect(message))))
        }
      })
    )

    it.effect("by two fibers at once is a defect, and the first goes on", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* streaming(role)
        const receiving = yield* Effect.forkChild(socket.receive)
        assert.isTrue(yield* isPending(receiving))
        assert.isTrue(isDefect(yield* Effect.exit(socket.receive)))
        assert.isTrue(isDefect(yield* Effect.exit(Stream.runDrain(socket.messages))))
        yield* inject(text("one", false))
        const { fiber, read } = yield* watch(yield* Fiber.join(receiving))
        assert.isTrue(yield* isPending(fiber))
        assert.isTrue(isDefect(yield* Effect.exit(socket.receive)))
        yield* inject(part("two", true))
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(read, ["one", "two"])
      })
    )

    it.effect("interrupted between its wake-up and its turn, loses no message", () =>
      Effect.gen(function* () {
        const { inject, socket, spied } = yield* streaming(role)
        const receiving = yield* Effect.forkChild(socket.receive)
        yield* settled
        spied.state.afterChunk = () => Fiber.interruptUnsafe(receiving)
        yield* inject(text("first", false))
        const exit = yield* Fiber.await(receiving)
        // A reader that goes on in place has received the message.
        assert.strictEqual(Exit.isSuccess(exit), Scheduler.turnsToResume === 0)
        spied.state.afterChunk = () => {}
        yield* inject(part(" and last", true))
        const message = Exit.isSuccess(exit) ? exit.value : yield* socket.receive
        assert.strictEqual(yield* whole(message), "Text first and last")
      })
    )

    it.effect("interrupted while a message is read, leaves the next one whole", () =>
      Effect.gen(function* () {
        const { inject, socket, spied } = yield* streaming(role)
        yield* inject(text("first", false))
        const { fiber } = yield* watch(yield* socket.receive)
        yield* settled
        spied.state.afterChunk = () => Fiber.interruptUnsafe(fiber)
        yield* inject(part("", true), text("second"))
        // A reader that goes on in place has read its message.
        assert.strictEqual(Exit.isSuccess(yield* Fiber.await(fiber)), Scheduler.turnsToResume === 0)
        assert.strictEqual(yield* whole(yield* socket.receive), "Text second")
      })
    )

    it.effect("holds no more than receiveHighWaterMark of a message, while the transport is paused", () =>
      Effect.gen(function* () {
        const { inject, socket, spied } = yield* streaming(role, { receiveHighWaterMark: 1000 })
        const frame = sentTo(role, part("x".repeat(100))).length
        yield* inject(binary(utf8("first")))
        yield* inject(Frame.make(Opcode.Binary, { payload: utf8("start"), fin: false }))
        for (let i = 0; i < 100; i++) yield* inject(part("x".repeat(100)))
        yield* inject(part("end", true))
        yield* inject(text("behind"))
        yield* settled
        assert.deepStrictEqual(spied.calls, ["pause"])
        assert.isBelow(spied.state.received, 8 * frame)
        assert.strictEqual(yield* whole(yield* socket.receive), "Binary first")
        const read = yield* whole(yield* socket.receive)
        assert.strictEqual(read, `Binary start${"x".repeat(10_000)}end`)
        assert.include(spied.calls, "resume")
        assert.strictEqual(yield* whole(yield* socket.receive), "Text behind")
      })
    )

    it.effect("skips a message that is larger than the inbox", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* streaming(role, { receiveHighWaterMark: 1000 })
        yield* inject(Frame.make(Opcode.Binary, { payload: utf8("start"), fin: false }))
        for (let i = 0; i < 100; i++) yield* inject(part("x".repeat(100)))
        yield* inject(part("end", true))
        yield* inject(text("behind"))
        yield* socket.receive
        assert.strictEqual(yield* whole(yield* socket.receive), "Text behind")
      })
    )

    it.effect("has no limit of messages, but one of frames", () =>
      Effect.gen(function* () {
        const limits = { maxMessageBytes: 4, maxFragments: 2, maxFrameBytes: 5 }
        const { inject, socket } = yield* streaming(role, { limits })
        yield* inject(text("12345", false), part("6"), part("7"), part("8", true), text("123456"))
        assert.strictEqual(yield* whole(yield* socket.receive), "Text 12345678")
        const error = yield* Effect.flip(socket.receive)
        assert.deepInclude(fields(error), { _tag: "Payload_too_large", limit: "frame", max: 5 })
      })
    )

    it.effect("reads a frame whose length takes 64 bits, before its end", () =>
      Effect.gen(function* () {
        const { injectBytes, pair, socket } = yield* streaming(role)
        const length = 2 ** 40
        const masked = role === "server"
        const header = new Uint8Array(masked ? 14 : 10)
        header[0] = 0x82
        header[1] = masked ? 0xff : 0x7f
        new DataView(header.buffer).setBigUint64(2, BigInt(length))
        yield* injectBytes(concat(header, utf8("begins")))
        const { fiber, read } = yield* watch(yield* socket.receive)
        for (let i = 0; i < 100; i++) yield* injectBytes(new Uint8Array(64 * 1024))
        yield* settled
        assert.strictEqual(read.join("").length, 6 + 100 * 64 * 1024)
        yield* pair.reset
        assert.deepStrictEqual(fields(yield* Effect.flip(Fiber.join(fiber))), resetError)
      })
    )

    const endings: ReadonlyArray<
      readonly [
        name: string,
        end: (alone: Effect.Success<ReturnType<typeof streaming>>) => Effect.Effect<unknown, unknown>,
        expected: Record<string, unknown>
      ]
    > = [
      ["a normal Close", ({ inject }) => inject(close(1000)), closedError(1000, "remote", true)],
      ["another Close", ({ inject }) => inject(close(4001, "bye")), closedError(4001, "remote", true, "bye")],
      [
        "a Close of ours",
        ({ inject, socket }) =>
          Effect.andThen(Effect.forkChild(socket.close(4000)), Effect.andThen(settled, inject(close(4000)))),
        closedError(4000, "local", true)
      ],
      ["an abort", ({ socket }) => Effect.forkChild(socket.abort), closedError(1006, "local", false)],
      ["a reset", ({ pair }) => pair.reset, resetError],
      ["the end of the input", ({ eof }) => eof, closedError(1006, "remote", false)]
    ]
    for (const [name, end, expected] of endings) {
      it.effect(`${name} inside a message fails its stream, with what arrived before`, () =>
        Effect.gen(function* () {
          for (const reads of [true, false]) {
            const ends = yield* streaming(role)
            yield* ends.inject(text("one", false), part("two"))
            const message = yield* ends.socket.receive
            const early = reads ? yield* watch(message) : undefined
            yield* settled
            yield* end(ends)
            yield* settled
            const { fiber, read } = early ?? (yield* watch(message))
            assert.deepStrictEqual(fields(yield* Effect.flip(Fiber.join(fiber))), expected)
            assert.deepStrictEqual(read, ["one", "two"])
            assert.deepStrictEqual(fields(yield* Effect.flip(ends.socket.receive)), expected)
          }
        })
      )
    }

    it.effect("a violation inside a message fails its stream, behind what arrived before", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* streaming(role)
        yield* inject(text("one", false), part(Uint8Array.of(0x61, 0xff)))
        const { fiber, read } = yield* watch(yield* socket.receive)
        assert.deepInclude(yield* Effect.flip(Fiber.join(fiber)), { _tag: "Protocol_error", section: "RFC 6455 §8.1" })
        assert.deepStrictEqual(read, ["one"])
        assert.match((yield* wrote).join(), /^Close 1007/)
      })
    )

    it.effect("the end of the scope fails a stream that is being read", () =>
      Effect.gen(function* () {
        const reading = yield* Effect.scoped(
          Effect.gen(function* () {
            const { inject, socket } = yield* streaming(role)
            yield* inject(text("one", false))
            return yield* watch(yield* socket.receive)
          })
        )
        assert.isTrue(Exit.isFailure(yield* Fiber.await(reading.fiber)))
        assert.deepStrictEqual(reading.read, ["one"])
      })
    )

    it.effect("after close, dropped parts leave no gap", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* streaming(role, { receiveHighWaterMark: 500 })
        yield* inject(text("start", false))
        const message = yield* socket.receive
        yield* Effect.forkChild(socket.close())
        yield* settled
        for (let i = 0; i < 9; i++) yield* inject(part(`${i}`.repeat(100)))
        yield* settled
        // Reading makes room again, for what comes behind the hole.
        const { fiber, read } = yield* watch(message)
        yield* settled
        yield* inject(part("end", true), text("next"))
        yield* settled
        assert.isTrue(yield* isPending(fiber))
        yield* inject(close(1000))
        assert.deepStrictEqual(fields(yield* Effect.flip(Fiber.join(fiber))), closedError(1000, "local", true))
        assert.deepStrictEqual(read.slice(0, 3), ["start", "0".repeat(100), "1".repeat(100)])
        assert.notInclude(read, "end")
        assert.notInclude(read, "8".repeat(100))
        assert.deepStrictEqual(fields(yield* Effect.flip(socket.receive)), closedError(1000, "local", true))
      })
    )

    it.effect("has no messageTimeout, but an idleTimeout", () =>
      Effect.gen(function* () {
        const options = {
          messageTimeout: "1 seconds",
          idleTimeout: "10 seconds",
          heartbeatInterval: "1 hours"
        } as const
        const { inject, socket } = yield* streaming(role, options)
        yield* inject(text("0", false))
        const { fiber, read } = yield* watch(yield* socket.receive)
        for (let i = 1; i < 5; i++) {
          yield* TestClock.adjust("9 seconds")
          yield* inject(part(`${i}`))
          yield* settled
        }
        assert.deepStrictEqual(read, ["0", "1", "2", "3", "4"])
        yield* TestClock.adjust("10 seconds")
        assert.isFalse(yield* socket.isOpen)
        yield* inject(close(1001))
        assert.deepStrictEqual(fields(yield* Effect.flip(Fiber.join(fiber))), closedError(1001, "local", true, "idle"))
      })
    )

    it.effect("a message that does not go on fails with the heartbeat", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* streaming(role)
        yield* inject(text("0", false))
        const { fiber } = yield* watch(yield* socket.receive)
        yield* TestClock.adjust("25 seconds")
        assert.lengthOf(yield* wrote, 1)
        yield* inject(part("1"))
        yield* settled
        yield* TestClock.adjust("25 seconds")
        assert.lengthOf(yield* wrote, 2)
        yield* TestClock.adjust("20 seconds")
        const error = yield* Effect.flip(Fiber.join(fiber))
        assert.deepInclude(fields(error), { _tag: "Io_error", reason: "Timeout", operation: "heartbeat" })
      })
    )
  })

  describe(`messages, as ${role}`, () => {
    it.effect("are all messages, of which none need be read", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* streaming(role)
        yield* inject(text("1"), text("2", false), continuation("2"), text("3"), text("4"), close(1000))
        let count = 0
        const read: Array<string> = []
        yield* Stream.runForEach(socket.messages, (message) =>
          Effect.gen(function* () {
            if (count++ % 2 === 0) read.push(yield* whole(message))
          })
        )
        assert.strictEqual(count, 4)
        assert.deepStrictEqual(read, ["Text 1", "Text 3"])
      })
    )

    for (const code of [1000, 1001, undefined, 4000, 1011]) {
      it.effect(`end or fail with the Close ${code} as those of WebSocket`, () =>
        Effect.gen(function* () {
          const streams = yield* streaming(role)
          const messages = yield* alone(role)
          yield* streams.inject(text("one"), close(code))
          yield* messages.inject(text("one"), close(code))
          const exit = yield* Effect.exit(Stream.runDrain(streams.socket.messages))
          assert.strictEqual(Exit.isFailure(exit), code === 4000 || code === 1011)
          assert.deepStrictEqual(exit, yield* Effect.exit(Stream.runDrain(messages.socket.messages)))
          assert.deepStrictEqual(
            fields(yield* Effect.flip(streams.socket.receive)),
            closedError(code ?? 1005, "remote", true)
          )
        })
      )
    }

    it.effect("are answered before the Close behind them", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* streaming(role)
        yield* Effect.forkChild(Stream.runForEach(socket.messages, (message) => socket.sendStream(message)))
        yield* settled
        yield* inject(text("one"), close(1000))
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text… one", "Continuation", "Close 1000"])
      })
    )
  })

  describe(`sending, as ${role}`, () => {
    it.effect("is that of WebSocket", () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* streaming(role)
        yield* socket.send("text")
        yield* socket.send(utf8("bytes"), { compress: true })
        yield* socket.sendStream({ _tag: "Text", data: Stream.make("a", "b") })
        yield* Stream.run(Stream.make("c"), socket.sink)
        yield* settled
        assert.deepStrictEqual(yield* wrote, [
          "Text text",
          "Binary bytes",
          "Text… a",
          "Continuation… b",
          "Continuation",
          "Text c"
        ])
      })
    )

    it.effect("echoes a message while it still arrives, and fails if the message does not end", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* streaming(role)
        const echo = yield* Effect.forkChild(
          Effect.flip(Effect.forever(Effect.flatMap(socket.receive, (message) => socket.sendStream(message))))
        )
        yield* inject(text("one", false))
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text… one"])
        yield* inject(part("two", true), text("three", false))
        yield* settled
        yield* inject(close(1000))
        yield* settled
        assert.deepStrictEqual(yield* wrote, [
          "Text… one",
          "Continuation… two",
          "Continuation",
          "Text… three",
          "Close 1000"
        ])
        assert.deepStrictEqual(fields(yield* Fiber.join(echo)), closedError(1000, "remote", true))
      })
    )
  })
}

it.effect("a message flows through an echo that holds only what the water marks allow", () =>
  Effect.gen(function* () {
    const marks = { sendHighWaterMark: 1000, sendLowWaterMark: 100, receiveHighWaterMark: 1000 }
    const { client, pair, server } = yield* connected({ delivery: "streams", ...marks })
    yield* Effect.forkChild(Effect.flatMap(server.receive, (message) => server.sendStream(message)))
    let sent = 0
    const parts = Stream.map(Stream.rechunk(Stream.range(0, 999), 1), (i) => {
      sent++
      return new Uint8Array(100).fill(i)
    })
    const sending = yield* Effect.forkChild(client.sendStream(parts))
    assert.isTrue(yield* isPending(sending))
    // Nobody reads the echo.
    assert.isBelow(sent, 100)
    const message = yield* client.receive
    const size = yield* Stream.runFold(
      partsOf(message),
      () => 0,
      (sum, { length }) => sum + length
    )
    yield* Fiber.join(sending)
    assert.strictEqual(size, 100_000)
    assert.strictEqual((yield* wrote(pair, "client")).length, 1001)
  })
)

property(
  "any messages, however they are cut, are those that were sent",
  {
    role: fc.constantFrom(...roles),
    messages: fc.array(
      fc.oneof(
        fc.string({ unit: fc.constantFrom("a", "é", "€", "😀"), maxLength: 20 }),
        fc.uint8Array({ maxLength: 40 })
      ),
      { maxLength: 6 }
    ),
    maxFrameSize: fc.integer({ min: 1, max: 20 }),
    split: fc.integer({ min: 1, max: 20 }),
    skips: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 })
  },
  ({ maxFrameSize, messages, role, skips, split }) =>
    Effect.gen(function* () {
      const { pair, ...ends } = yield* connected({ delivery: "streams", maxFrameSize, receiveHighWaterMark: 100 })
      yield* from(pair, role).split(split)
      const sending = yield* Effect.forkChild(
        Effect.andThen(
          Effect.forEach(messages, (data) => ends[role].send(data)),
          ends[role].close(1000)
        )
      )
      const peer = ends[other(role)]
      for (const [i, data] of messages.entries()) {
        const message = yield* peer.receive
        assert.strictEqual(message._tag, typeof data === "string" ? "Text" : "Binary")
        if (skips[i] === true) continue
        const parts = Array.from(yield* Stream.runCollect(partsOf(message)))
        for (const each of parts) if (typeof each === "string") assert.strictEqual(Buffer.from(each).toString(), each)
        if (typeof data === "string") assert.strictEqual(parts.join(""), data)
        else assert.deepStrictEqual(concat(...parts.map((each) => each as Uint8Array)), data)
      }
      yield* Effect.flip(peer.receive)
      yield* Fiber.join(sending)
      assert.deepStrictEqual(outcome(yield* peer.closeStatus), [1000, 1000, "remote", true])
    }),
  { numRuns: 100 }
)
