import * as MockPeer from "@effect-websocket/platform/MockPeer"
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as Frame from "@effect-websocket/protocol/Frame"
import { frames as decodeFrames } from "@effect-websocket/protocol/FrameDecoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { Option } from "effect"
import { Effect, Exit, Fiber, Scheduler, Stream, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import {
  alone,
  binary,
  close,
  closedError,
  connected,
  continuation,
  facts,
  fields,
  framesFrom,
  from,
  isDefect,
  isPending,
  latin1,
  mistakes,
  other,
  outcome,
  ping,
  pong,
  resetError,
  roles,
  type Role,
  sentTo,
  settled,
  text,
  utf8,
  wrote
} from "./support.js"

const framed = (role: Role, options?: WebSocket.Options & Omit<WebSocket.DeliveryOptions<"frames">, "delivery">) =>
  alone(role, { delivery: "frames", ...options })

const show = ({ fin, opcode, payload }: Frame.Frame): string =>
  `${Opcode.toName(opcode)}${fin ? "" : "…"} ${latin1(payload)}`.trim()

for (const role of roles) {
  describe(`receive, as ${role}`, () => {
    it.effect("gives every frame as it came, unmasked, and pings are answered", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* framed(role)
        yield* inject(text("hel", false), ping("p"), continuation("lo"), pong("q"), binary(utf8("bytes")))
        const read = yield* Effect.replicateEffect(socket.receive, 5)
        yield* settled
        assert.deepStrictEqual(read.map(show), ["Text… hel", "Ping p", "Continuation lo", "Pong q", "Binary bytes"])
        assert.deepStrictEqual(
          read[0],
          Frame.make(Opcode.Text, { payload: utf8("hel"), fin: false, masked: role === "server" })
        )
        assert.deepStrictEqual(yield* wrote, ["Pong p"])
      })
    )

    it.effect("as an option ends after a normal end, and fails after another", () =>
      Effect.gen(function* () {
        for (const code of [1000, 4000]) {
          const { eof, inject, socket } = yield* framed(role)
          yield* inject(text("a"), close(code))
          yield* eof
          assert.strictEqual(show(Option.getOrThrow(yield* socket.receiveOption)), "Text a")
          assert.strictEqual(Option.getOrThrow(yield* socket.receiveOption).opcode, Opcode.Close)
          const { error } = yield* socket.closeStatus
          assert.deepStrictEqual(
            yield* Effect.exit(socket.receiveOption),
            code === 1000 ? Exit.succeed(Option.none()) : Exit.fail(error)
          )
        }
      })
    )

    it.effect("gives the opcodes and reserved bits that the app gave a meaning; all others are violations", () =>
      Effect.gen(function* () {
        const own = [
          Frame.make(0x3, { payload: utf8("data") }),
          Frame.make(0xf, { payload: utf8("control") }),
          Frame.make(Opcode.Text, { rsv: 5, payload: Uint8Array.of(0xff) })
        ]
        const { inject, socket, wrote } = yield* framed(role, { opcodes: [0x3, 0xf], rsv: 5 })
        yield* inject(...own, text("plain"))
        const read = yield* Effect.replicateEffect(socket.receive, 4)
        assert.deepStrictEqual(
          read.map(({ opcode, rsv }) => [opcode, rsv]),
          [
            [0x3, 0],
            [0xf, 0],
            [Opcode.Text, 5],
            [Opcode.Text, 0]
          ]
        )
        assert.deepStrictEqual(yield* wrote, [])
        for (const frame of [...own, Frame.make(0x4), Frame.make(0xb)]) {
          const other = yield* framed(role, { opcodes: [0x7], rsv: 2 })
          yield* other.inject(frame)
          assert.deepInclude(facts(yield* Effect.flip(other.socket.receive)), {
            _tag: "Protocol_error",
            section: "RFC 6455 §5.2",
            closeCode: 1002
          })
        }
      })
    )

    it.effect("leaves pings unanswered if the options say so", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* framed(role, { answerPings: false })
        const seen = yield* Effect.forkChild(Stream.runHead(socket.pings))
        yield* settled
        yield* inject(ping("p"))
        yield* settled
        assert.strictEqual(show(yield* socket.receive), "Ping p")
        yield* Fiber.join(seen)
        assert.deepStrictEqual(yield* wrote, [])
        yield* socket.send(Frame.pong("of the app"))
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Pong of the app"])
      })
    )

    it.effect("sees the peer's Close, behind which nothing comes, and it is answered", () =>
      Effect.gen(function* () {
        const { inject, pair, socket, wrote } = yield* framed(role)
        yield* inject(text("last"), close(4001, "bye"), text("too late"))
        assert.strictEqual(show(yield* socket.receive), "Text last")
        // What is sent before the Close is read still goes out before the answer.
        yield* socket.send(Frame.text("answer"))
        const received = yield* socket.receive
        assert.deepStrictEqual(received.payload, close(4001, "bye").payload)
        assert.deepStrictEqual(fields(yield* Effect.flip(socket.receive)), closedError(4001, "remote", true, "bye"))
        assert.deepStrictEqual(yield* wrote, ["Text answer", "Close 4001"])
        yield* pair.reset
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [4001, 4001, "remote", true])
      })
    )

    it.effect("delivers a heartbeat's pong, and control frames do not keep the connection from being idle", () =>
      Effect.gen(function* () {
        const { inject, pair, socket } = yield* framed(role, { idleTimeout: "60 seconds" })
        yield* TestClock.adjust("25 seconds")
        const [beat] = yield* framesFrom(pair, role)
        assert.strictEqual(beat?.opcode, Opcode.Ping)
        assert.strictEqual(beat?.payload.length, 8)
        yield* inject(pong(beat!.payload))
        assert.deepStrictEqual((yield* socket.receive).payload, beat!.payload)
        yield* TestClock.adjust("25 seconds")
        yield* inject(ping("alive"))
        yield* TestClock.adjust("9999 millis")
        assert.isTrue(yield* socket.isOpen)
        yield* TestClock.adjust("1 millis")
        assert.isFalse(yield* socket.isOpen)
      })
    )

    it.effect("fails with a heartbeat that is not answered", () =>
      Effect.gen(function* () {
        const { socket } = yield* framed(role)
        const reading = yield* Effect.forkChild(Effect.flip(socket.receive))
        yield* TestClock.adjust("45 seconds")
        assert.deepInclude(fields(yield* Fiber.join(reading)), { _tag: "Io_error", operation: "heartbeat" })
      })
    )

    it.effect("has neither a messageTimeout nor a limit of fragments", () =>
      Effect.gen(function* () {
        const limits = { maxFragments: 1, maxMessageBytes: 10 }
        const { inject, socket } = yield* framed(role, { messageTimeout: "1 seconds", limits })
        yield* inject(text("0123456789", false), continuation("0123456789", false))
        yield* TestClock.adjust("10 seconds")
        yield* inject(continuation("0123456789"))
        const read = yield* Effect.replicateEffect(socket.receive, 3)
        assert.deepStrictEqual(
          read.map(({ payload }) => payload.length),
          [10, 10, 10]
        )
        yield* inject(text("01234567890"))
        const error = yield* Effect.flip(socket.receive)
        assert.deepInclude(fields(error), { _tag: "Payload_too_large", limit: "frame", max: 10, size: 11 })
      })
    )

    it.effect("fails for frames in no legal order, and for text that is not UTF-8", () =>
      Effect.gen(function* () {
        for (const [frames, code] of [
          [[continuation("x")], 1002],
          [[text("a", false), text("b")], 1002],
          [[Frame.make(Opcode.Text, { payload: Uint8Array.of(0xff) })], 1007],
          [[Frame.make(Opcode.Text, { payload: utf8("x"), rsv: 4 })], 1002]
        ] as const) {
          const { inject, socket, wrote } = yield* framed(role)
          yield* inject(...frames)
          const error = yield* Effect.flip(Effect.forever(socket.receive))
          assert.deepInclude(fields(error), { _tag: "Protocol_error", origin: "remote", closeCode: code })
          yield* settled
          assert.match((yield* wrote).join(), new RegExp(`^Close ${code}`))
        }
      })
    )

    it.effect("stops reading while nobody does, also for a flood of control frames", () =>
      Effect.gen(function* () {
        for (const frame of [ping("0123456789"), binary(utf8("0123456789"))]) {
          const { inject, socket, spied } = yield* framed(role, { receiveHighWaterMark: 1000 })
          const size = sentTo(role, frame).length
          for (let i = 0; i < 100; i++) yield* inject(frame)
          yield* settled
          assert.deepStrictEqual(spied.calls, ["pause"])
          assert.isBelow(spied.state.received, 20 * size)
          yield* Effect.replicateEffect(socket.receive, 100)
          assert.include(spied.calls, "resume")
        }
      })
    )

    it.effect("interrupted between its wake-up and its turn, loses no frame; two at once are a defect", () =>
      Effect.gen(function* () {
        const { inject, socket, spied } = yield* framed(role)
        const reading = yield* Effect.forkChild(socket.receive)
        assert.isTrue(yield* isPending(reading))
        assert.isTrue(isDefect(yield* Effect.exit(socket.receive)))
        assert.isTrue(isDefect(yield* Effect.exit(socket.run(() => {}))))
        spied.state.afterChunk = () => Fiber.interruptUnsafe(reading)
        yield* inject(text("first"))
        const exit = yield* Fiber.await(reading)
        // A reader that goes on in place has received the frame.
        assert.strictEqual(Exit.isSuccess(exit), Scheduler.turnsToResume === 0)
        assert.strictEqual(show(Exit.isSuccess(exit) ? exit.value : yield* socket.receive), "Text first")
      })
    )

    for (const code of [1000, 1001, undefined, 4000]) {
      it.effect(`run and frames end or fail with the Close ${code}, behind it`, () =>
        Effect.gen(function* () {
          for (const way of ["run", "frames"] as const) {
            const { inject, socket } = yield* framed(role)
            yield* inject(text("one"), close(code))
            const seen: Array<number> = []
            const see = ({ opcode }: Frame.Frame) => Effect.sync(() => void seen.push(opcode))
            const exit = yield* Effect.exit(way === "run" ? socket.run(see) : Stream.runForEach(socket.frames, see))
            assert.deepStrictEqual(seen, [Opcode.Text, Opcode.Close])
            assert.strictEqual(Exit.isFailure(exit), code === 4000)
          }
        })
      )
    }

    it.effect("run writes once for the replies to one read", () =>
      Effect.gen(function* () {
        const { inject, socket, spied, wrote } = yield* framed(role)
        yield* Effect.forkChild(socket.run((frame) => (frame.opcode === Opcode.Ping ? undefined : socket.send(frame))))
        yield* settled
        yield* inject(text("a", false), continuation("b", false), continuation("c"))
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text… a", "Continuation… b", "Continuation c"])
        assert.lengthOf(spied.writes, 1)
      })
    )
  })

  describe(`send, as ${role}`, () => {
    it.effect("sends frames as they are, masked as the role demands", () =>
      Effect.gen(function* () {
        const { pair, socket, wrote } = yield* framed(role, { maxFrameSize: 2 })
        yield* socket.send({ ...Frame.text("hel", { fin: false }), masked: role === "server" })
        yield* socket.send(Frame.ping("p"))
        yield* socket.send(Frame.continuation("lo"))
        yield* socket.send(Frame.binary(utf8("bytes")))
        yield* socket.send(Frame.pong())
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text… hel", "Ping p", "Continuation lo", "Binary bytes", "Pong"])
        const masks = (yield* framesFrom(pair, role)).map(({ masked }) => masked)
        assert.deepStrictEqual(
          masks,
          Array.from({ length: 5 }, () => role === "client")
        )
      })
    )

    const refused: ReadonlyArray<readonly [string, Frame.Frame, Record<string, unknown>]> = [
      ["a reserved bit", Frame.make(Opcode.Text, { rsv: 4 }), { section: "RFC 6455 §5.2" }],
      ["a reserved opcode", Frame.make(3), { section: "RFC 6455 §5.2" }],
      ["a fragmented ping", Frame.make(Opcode.Ping, { fin: false }), { section: "RFC 6455 §5.5" }],
      ["a new message", Frame.text("inside"), { section: "RFC 6455 §5.4" }],
      ["half a character", Frame.continuation(Uint8Array.of(0xe2)), { section: "RFC 6455 §8.1" }],
      ["the code of a Close", close(1005), { section: "RFC 6455 §7.4" }],
      ["a Close of one octet", Frame.make(Opcode.Close, { payload: Uint8Array.of(3) }), { section: "RFC 6455 §5.5.1" }]
    ]
    it.effect("sends the opcodes and reserved bits that the app gave a meaning, and refuses all others", () =>
      Effect.gen(function* () {
        const { pair, socket } = yield* framed(role, { opcodes: [0x3, 0xb], rsv: 6 })
        const payload = Uint8Array.of(0xff)
        yield* socket.send(Frame.make(0x3, { payload }))
        yield* socket.send(Frame.make(0xb, { payload }))
        // Not UTF-8, which the bit's meaning may allow.
        yield* socket.send(Frame.make(Opcode.Text, { rsv: 4, payload }))
        for (const frame of [Frame.make(0x4), Frame.make(0xc), Frame.make(Opcode.Text, { rsv: 1 })]) {
          const error = yield* Effect.flip(socket.send(frame))
          assert.deepInclude(facts(error), { _tag: "Protocol_error", origin: "local", section: "RFC 6455 §5.2" })
        }
        yield* settled
        const { frames } = decodeFrames({ role: other(role), opcodes: [0x3, 0xb], rsv: 6 })(
          yield* from(pair, role).written
        )
        assert.deepStrictEqual(
          frames.map(({ opcode, rsv }) => [opcode, rsv]),
          [
            [0x3, 0],
            [0xb, 0],
            [Opcode.Text, 4]
          ]
        )
      })
    )

    it.effect("refuses data above maxSendBytes at once, even if there is no room, and continues", () =>
      Effect.gen(function* () {
        const { pair, socket, wrote } = yield* framed(role, {
          maxSendBytes: 6,
          sendHighWaterMark: 5,
          sendLowWaterMark: 1
        })
        const expected = { _tag: "Payload_too_large", limit: "frame", max: 6, size: 7, direction: "outbound" }
        const tooLarge = Frame.binary(new Uint8Array(7))
        assert.deepStrictEqual(fields(yield* Effect.flip(socket.send(tooLarge))), expected)
        yield* from(pair, role).stall
        yield* Effect.forkChild(socket.send(Frame.text("123456")))
        yield* settled
        assert.isTrue(yield* isPending(yield* Effect.forkChild(socket.send(Frame.text("waits")))))
        const refused = yield* Effect.forkChild(Effect.flip(socket.send(tooLarge)))
        assert.isFalse(yield* isPending(refused))
        assert.deepStrictEqual(fields(yield* Fiber.join(refused)), expected)
        yield* from(pair, role).unstall
        yield* settled
        yield* socket.send(Frame.ping("a control frame"))
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text 123456", "Text waits", "Ping a control frame"])
      })
    )

    it.effect("of a value that is not a frame is a defect, even without room, and the connection continues", () =>
      Effect.gen(function* () {
        const { pair, socket, wrote } = yield* framed(role, { sendHighWaterMark: 10, sendLowWaterMark: 1 })
        const wrong = [...mistakes.map(([, mistake]) => mistake), "text", utf8("bytes"), { ...text("x"), payload: 3 }]
        for (const mistake of wrong) {
          assert.isTrue(isDefect(yield* Effect.exit(socket.send(mistake as never))), String(mistake))
        }
        yield* from(pair, role).stall
        yield* Effect.forkChild(socket.send(Frame.text("0123456789")))
        yield* settled
        const waiting = yield* Effect.forkChild(socket.send(Frame.text("waits")))
        for (const mistake of wrong) {
          const sending = yield* Effect.forkChild(Effect.exit(socket.send(mistake as never)))
          assert.isFalse(yield* isPending(sending))
          assert.isTrue(isDefect(yield* Fiber.join(sending)))
        }
        yield* from(pair, role).unstall
        yield* Fiber.join(waiting)
        yield* socket.send({ opcode: Opcode.Binary, payload: utf8("like one").buffer } as never)
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text 0123456789", "Text waits", "Binary like one"])
      })
    )

    it.effect("refuses frames that may not be sent, sends nothing, and continues", () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* framed(role)
        const orphan = yield* Effect.flip(socket.send(Frame.continuation("x")))
        assert.deepInclude(facts(orphan), { _tag: "Protocol_error", origin: "local", section: "RFC 6455 §5.4" })
        yield* socket.send(Frame.text("a", { fin: false }))
        for (const [name, frame, expected] of refused) {
          const error = yield* Effect.flip(socket.send(frame))
          assert.deepInclude(facts(error), { _tag: "Protocol_error", origin: "local", ...expected }, name)
        }
        const long = yield* Effect.flip(socket.send(Frame.ping(new Uint8Array(126))))
        assert.deepInclude(fields(long), { _tag: "Payload_too_large", limit: "controlPayload", direction: "outbound" })
        yield* socket.send(Frame.continuation("b"))
        yield* settled
        assert.isTrue(yield* socket.isOpen)
        assert.deepStrictEqual(yield* wrote, ["Text… a", "Continuation b"])
      })
    )

    it.effect("begins the closing handshake with a Close, within closeTimeout", () =>
      Effect.gen(function* () {
        const { inject, pair, socket, wrote } = yield* framed(role)
        yield* socket.send(Frame.text("a", { fin: false }))
        yield* socket.send(close(4000, "bye"))
        assert.deepStrictEqual(
          fields(yield* Effect.flip(socket.send(Frame.continuation("b")))),
          closedError(4000, "local", false, "bye")
        )
        yield* inject(text("still read"), close(4000))
        const read = yield* Effect.replicateEffect(socket.receive, 2)
        assert.deepStrictEqual(
          read.map(({ opcode }) => opcode),
          [Opcode.Text, Opcode.Close]
        )
        assert.deepStrictEqual(fields(yield* Effect.flip(socket.receive)), closedError(4000, "local", true, "bye"))
        const status = yield* Effect.forkChild(socket.closeStatus)
        assert.isTrue(yield* isPending(status))
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(outcome(yield* Fiber.join(status)), [4000, 4000, "local", true])
        assert.deepStrictEqual(yield* wrote, ["Text… a", "Close 4000 bye"])
        assert.deepStrictEqual(
          fields(yield* Effect.flip(socket.send(Frame.ping()))),
          closedError(4000, "local", true, "bye")
        )
        yield* pair.reset
      })
    )

    it.effect("suspends above the high-water mark, in order, whatever the strategy; a Close does not wait", () =>
      Effect.gen(function* () {
        for (const sendStrategy of ["suspend", "dropping", "sliding", "close", "abort"] as const) {
          const marks = { sendHighWaterMark: 20, sendLowWaterMark: 1, sendStrategy }
          const { pair, ...sockets } = yield* connected({ delivery: "frames", ...marks })
          const socket = sockets[role]
          yield* from(pair, role).stall
          const sending = yield* Effect.forEach([..."0123456789"], (data) =>
            Effect.forkChild(socket.send(Frame.text(data.repeat(10))))
          )
          for (const fiber of sending.slice(1)) assert.isTrue(yield* isPending(fiber), sendStrategy)
          assert.isBelow(yield* socket.bufferedBytes, 50)
          yield* Fiber.interrupt(sending[5]!)
          yield* from(pair, role).unstall
          for (const i of [0, 1, 2, 3, 4, 6, 7, 8, 9]) {
            assert.strictEqual(show(yield* sockets[other(role)].receive), `Text ${`${i}`.repeat(10)}`)
          }
          yield* from(pair, role).stall
          const late = yield* Effect.forEach(["a", "b", "c"], (data) =>
            Effect.forkChild(Effect.exit(socket.send(Frame.text(data.repeat(10)))))
          )
          yield* settled
          const closing = yield* Effect.forkChild(socket.send(close(4000)))
          assert.isTrue(yield* isPending(closing))
          yield* from(pair, role).unstall
          yield* settled
          yield* Effect.forkChild(sockets[other(role)].run(() => {}))
          yield* Fiber.join(closing)
          const exits = yield* Effect.forEach(late, Fiber.join)
          assert.isTrue(Exit.isFailure(exits[2]!))
          assert.deepStrictEqual(outcome(yield* socket.closeStatus), [4000, 4000, "local", true])
          assert.strictEqual((yield* wrote(pair, role)).at(-1), "Close 4000")
        }
      })
    )

    it.effect("fails with the connection's error if the connection ends while it waits", () =>
      Effect.gen(function* () {
        const { pair, socket } = yield* framed(role, { sendHighWaterMark: 10, sendLowWaterMark: 1 })
        yield* from(pair, role).stall
        const sending = yield* Effect.forEach(["0123456789", "a"], (data) =>
          Effect.forkChild(Effect.flip(socket.send(Frame.text(data))))
        )
        yield* settled
        yield* pair.reset
        for (const fiber of sending) assert.deepStrictEqual(fields(yield* Fiber.join(fiber)), resetError)
      })
    )
  })

  describe(`if the app answers a Close, as ${role}`, () => {
    const unanswered = Effect.gen(function* () {
      const ends = yield* framed(role, { answerClose: false })
      yield* ends.inject(close(4001, "bye"))
      yield* settled
      assert.strictEqual((yield* ends.socket.receive).opcode, Opcode.Close)
      assert.deepStrictEqual(yield* ends.wrote, [])
      assert.isTrue(yield* ends.socket.isOpen)
      return ends
    })

    it.effect("frames can be sent until it does, with a Close of its own", () =>
      Effect.gen(function* () {
        const { pair, socket, wrote } = yield* unanswered
        const reading = yield* Effect.forkChild(Effect.flip(socket.receive))
        yield* socket.send(Frame.text("last"))
        assert.isTrue(yield* isPending(reading))
        yield* socket.send(close(4002, "so be it"))
        assert.deepStrictEqual(fields(yield* Fiber.join(reading)), closedError(4001, "remote", true, "bye"))
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text last", "Close 4002 so be it"])
        yield* pair.reset
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [4002, 4001, "remote", true])
      })
    )

    it.effect("or with close", () =>
      Effect.gen(function* () {
        const { pair, socket, wrote } = yield* unanswered
        const closing = yield* Effect.forkChild(socket.close())
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Close 1000"])
        yield* pair.reset
        yield* Fiber.join(closing)
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1000, 4001, "remote", true])
      })
    )

    it.effect("the end of the scope answers, inside a fragmented message too, within closeTimeout", () =>
      Effect.gen(function* () {
        for (const began of [false, true]) {
          const pair = yield* MockTransport.make()
          const peer = yield* MockPeer.fromTransport(pair[other(role)], { role: other(role) })
          const fiber = yield* Effect.forkChild(
            Effect.scoped(
              Effect.gen(function* () {
                const options = { role, delivery: "frames", answerClose: false } as const
                const socket = yield* WebSocket.fromTransport(pair[role], options)
                yield* peer.sendClose(4001)
                yield* socket.receive
                if (began) yield* socket.send(Frame.text("begun", { fin: false }))
                return socket
              })
            )
          )
          yield* settled
          // It does not end what it sends; a server does not wait for that.
          assert.deepStrictEqual(yield* wrote(pair, role), [...(began ? ["Text… begun"] : []), "Close 1000"])
          yield* TestClock.adjust("5 seconds")
          const socket = yield* Fiber.join(fiber)
          assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1000, 4001, "remote", true])
        }
      })
    )

    it.effect("the end of the input ends the connection, not clean", () =>
      Effect.gen(function* () {
        const { eof, socket, wrote } = yield* unanswered
        const reading = yield* Effect.forkChild(Effect.flip(socket.receive))
        yield* eof
        assert.deepStrictEqual(fields(yield* Fiber.join(reading)), closedError(4001, "remote", false, "bye"))
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [undefined, 4001, "remote", false])
        assert.deepStrictEqual(yield* wrote, [])
      })
    )

    it.effect("a violation is answered all the same", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* framed(role, { answerClose: false })
        yield* inject(continuation("x"))
        assert.deepInclude(fields(yield* Effect.flip(socket.receive)), { _tag: "Protocol_error", closeCode: 1002 })
        yield* settled
        assert.match((yield* wrote).join(), /^Close 1002/)
      })
    )
  })

  it.effect(`the end of the scope closes in the middle of a fragmented message, as ${role}`, () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const delivery = "frames"
      const peer = yield* WebSocket.fromTransport(pair[other(role)], { role: other(role), delivery })
      yield* Effect.scoped(
        Effect.flatMap(WebSocket.fromTransport(pair[role], { role, delivery }), (socket) =>
          socket.send(Frame.text("begun", { fin: false }))
        )
      )
      assert.deepStrictEqual(yield* wrote(pair, role), ["Text… begun", "Close 1000"])
      assert.deepStrictEqual(outcome(yield* peer.closeStatus), [1000, 1000, "remote", true])
    })
  )

  it.effect(`two of them speak with each other, as ${role}`, () =>
    Effect.gen(function* () {
      const { pair: _, ...ends } = yield* connected({ delivery: "frames" })
      const peer = ends[other(role)]
      yield* Effect.forkChild(peer.run((frame) => (Frame.isControl(frame) ? undefined : peer.send(frame))))
      yield* ends[role].send(Frame.text("a", { fin: false }))
      yield* ends[role].send(Frame.continuation("b"))
      const read = yield* Effect.replicateEffect(ends[role].receive, 2)
      assert.deepStrictEqual(read.map(show), ["Text… a", "Continuation b"])
      yield* ends[role].ping(utf8("p"))
      assert.strictEqual(show(yield* ends[role].receive), "Pong p")
    })
  )
}
