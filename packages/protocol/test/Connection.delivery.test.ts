/** The deliveries "streams" and "frames", and sending frames. */
import { assert, describe, it } from "vitest"
import type * as Connection from "@effect-websocket/protocol/Connection"
import { IoError } from "@effect-websocket/protocol/Errors"
import * as Frame from "@effect-websocket/protocol/Frame"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import * as Message from "@effect-websocket/protocol/Message"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as fc from "fast-check"
import * as Any from "./arbitraries.js"
import {
  binary,
  close,
  continuation,
  drain,
  endpoint,
  latin1,
  owned,
  peerOf,
  ping,
  plainError,
  plainEvent,
  pong,
  roles,
  sentTo,
  show,
  text,
  unfinished,
  violated,
  type Endpoint,
  type Ownership,
  type Role
} from "./endpoints.js"
import { concat, facts, localFacts, tooLargeFacts, utf8 } from "./support.js"
import { zlib } from "./zlib.js"

const receive = (connection: Connection.Connection, ...input: ReadonlyArray<Frame.Frame>) =>
  connection.receive(sentTo(connection.role, ...input)).map(plainEvent)

const euro = utf8("€")

/** All events of some chunks. Chunks that are not owned are overwritten afterwards. */
const play = (role: Role, chunks: ReadonlyArray<Uint8Array>, ownership: Ownership, options: Endpoint) => {
  const connection = endpoint(role, options)
  const events: Array<Connection.Event> = []
  for (const chunk of chunks) {
    const bytes = chunk.slice()
    events.push(...connection.receive(bytes, ...ownership))
    if (ownership !== owned || !connection.keepsChunk) bytes.fill(0xaa)
    events.push(...connection.settle())
  }
  return [...events, ...connection.receiveEof()]
}

const messageFrames = fc
  .record({
    message: fc.oneof(Any.text.map(Message.text), Any.payload.map(Message.binary)),
    cuts: fc.array(fc.nat(), { maxLength: 4 })
  })
  .map(({ cuts, message }) => {
    const bytes = message._tag === "Text" ? utf8(message.data) : message.data
    const parts = Any.split(bytes, cuts)
    return parts.map((part, i) =>
      (i > 0 ? continuation : message._tag === "Text" ? text : binary)(part, { fin: i === parts.length - 1 })
    )
  })

const input = fc
  .array(fc.oneof({ weight: 4, arbitrary: messageFrames }, { weight: 1, arbitrary: fc.constant([ping("p")]) }), {
    maxLength: 8
  })
  .map((parts) => parts.flat())

/** Joins parts into messages. An unfinished message is left out. */
const join = (events: ReadonlyArray<Connection.Event>) => {
  const joined: Array<unknown> = []
  let held: Array<string> | undefined
  for (const event of events) {
    if (event._tag !== "TextPart" && event._tag !== "BinaryPart") {
      joined.push(plainEvent(event))
      continue
    }
    assert.strictEqual(event.first, held === undefined)
    if (!event.final) assert.isAbove(event.data.length, 0, "a part without a meaning")
    held = [...(held ?? []), typeof event.data === "string" ? event.data : latin1(event.data)]
    if (!event.final) continue
    joined.push(`${event._tag === "TextPart" ? "Text" : "Binary"} ${held.join("")}`)
    held = undefined
  }
  return joined
}

for (const role of roles) {
  describe(`the delivery "streams", as ${role}`, () => {
    const streams = (options?: Endpoint) => endpoint(role, { ...options, delivery: "streams" })
    const parts = (connection: Connection.Connection, ...chunks: ReadonlyArray<Uint8Array>) =>
      chunks.flatMap((chunk) => connection.receive(chunk)).map((event): Record<string, unknown> => ({ ...event }))

    it("delivers each part of a message as it arrives", () => {
      const connection = streams()
      const bytes = sentTo(role, binary("abcdef", unfinished), continuation("gh"))
      const end = bytes.length - 8 - (role === "server" ? 4 : 0)
      assert.deepStrictEqual(parts(connection, bytes.slice(0, end + 2)), [
        { _tag: "BinaryPart", data: utf8("abcd"), first: true, final: false }
      ])
      // A part that has arrived is not held.
      assert.strictEqual(connection.heldBytes, 0)
      assert.deepStrictEqual(parts(connection, bytes.slice(end + 2)), [
        { _tag: "BinaryPart", data: utf8("ef"), first: false, final: false },
        { _tag: "BinaryPart", data: utf8("gh"), first: false, final: true }
      ])
      assert.strictEqual(connection.heldBytes, 0)
    })

    it("never cuts a character in two, and fails within the chunk that has an invalid one", () => {
      const connection = streams()
      assert.deepStrictEqual(receive(connection, text(euro.subarray(0, 2), unfinished)), [])
      assert.isTrue(connection.receiving)
      assert.deepStrictEqual(receive(connection, continuation(euro.subarray(2), unfinished)), ["TextPart €"])
      const end = violated(1007, "8.1", "A text message is not UTF-8")
      assert.deepStrictEqual(receive(connection, continuation(Uint8Array.of(0xe0, 0x9f), unfinished)), [end.error])
      assert.deepStrictEqual(drain(connection), [show(end.close)])
    })

    it("refuses a text that ends inside a character", () => {
      const connection = streams()
      assert.deepStrictEqual(receive(connection, text(euro.subarray(0, 2))), [
        violated(1007, "8.1", "A text message is not UTF-8").error
      ])
    })

    it("delivers empty messages, and nothing for empty fragments", () => {
      const connection = streams()
      assert.deepStrictEqual(parts(connection, sentTo(role, text(""), binary(""))), [
        { _tag: "TextPart", data: "", first: true, final: true },
        { _tag: "BinaryPart", data: new Uint8Array(0), first: true, final: true }
      ])
      const empties = Array.from({ length: 5000 }, () => continuation("", unfinished))
      assert.deepStrictEqual(parts(connection, sentTo(role, binary("", unfinished), ...empties, continuation(""))), [
        { _tag: "BinaryPart", data: new Uint8Array(0), first: true, final: true }
      ])
    })

    it("applies the limit of frames, but not that of messages", () => {
      const connection = streams({ limits: { maxMessageBytes: 4, maxFragments: 1, maxFrameBytes: 8 } })
      assert.deepStrictEqual(receive(connection, binary("12345678", unfinished), continuation("12345678")), [
        "BinaryPart 12345678",
        "BinaryPart 12345678"
      ])
      const [error] = receive(connection, binary("123456789"))
      assert.deepInclude(error, { _tag: "Payload_too_large", limit: "frame", max: 8, size: 9 })
    })

    it("inflates a message as a whole, within the limits, as one part", () => {
      const settings = PermessageDeflate.resolve({ threshold: 0 })
      const direction = { contextTakeover: true, windowBits: 15 }
      const compression = {
        zlib,
        settings,
        agreement: {
          extension: { name: "permessage-deflate", parameters: [] },
          outbound: direction,
          inbound: direction
        }
      }
      const peer = endpoint(peerOf(role), { compression, maxFrameSize: 4 })
      const connection = streams({ compression, limits: { maxMessageBytes: 100 } })
      const feed = () => concat(peer.takeOutput())
      peer.send(Message.text("€".repeat(30)), true)
      const first = feed()
      assert.deepStrictEqual(parts(connection, ...Any.split(first, [...first.keys()])), [
        { _tag: "TextPart", data: "€".repeat(30), first: true, final: true }
      ])
      peer.send(Message.binary(utf8("plain")), false)
      assert.deepStrictEqual(join(connection.receive(feed())), ["Binary plain"])
      peer.send(Message.binary(new Uint8Array(90)), true)
      assert.deepStrictEqual(parts(connection, feed()), [
        { _tag: "BinaryPart", data: new Uint8Array(90), first: true, final: true }
      ])
      peer.send(Message.text("x".repeat(101)), true)
      const [ended] = connection.receive(feed())
      assert.deepInclude(plainEvent(ended!), { _tag: "Payload_too_large", limit: "message", max: 100 })
    })

    it("refuses RSV1 on a continuation, even of a message that is not compressed", () => {
      const direction = { contextTakeover: false, windowBits: 15 }
      const compression = {
        zlib,
        settings: PermessageDeflate.resolve({}),
        agreement: {
          extension: { name: "permessage-deflate", parameters: [] },
          outbound: direction,
          inbound: direction
        }
      }
      const connection = streams({ compression })
      receive(connection, text("a", unfinished), continuation("b", { rsv: 4 }))
      assert.deepInclude(connection.settle().map(plainEvent)[0], {
        _tag: "Protocol_error",
        section: "RFC 7692 §6.1",
        closeCode: 1002
      })
    })
  })

  describe(`the delivery "frames", as ${role}`, () => {
    const framed = (options?: Endpoint) => endpoint(role, { ...options, delivery: "frames" })

    it("delivers frames unchanged, including control frames, and answers them", () => {
      const connection = framed()
      assert.deepStrictEqual(
        receive(connection, text("a", unfinished), ping("p"), continuation("b"), pong("q"), close(1001, "bye")),
        [
          "Frame Text unfinished a",
          "Frame Ping p",
          "Ping p",
          "Frame Continuation b",
          "Frame Pong q",
          "Pong q",
          `Frame ${show(close(1001, "bye"))}`
        ]
      )
      assert.isTrue(connection.unsettled)
      assert.deepStrictEqual(connection.settle().map(plainEvent), [
        { _tag: "Connection_closed", code: 1001, reason: "bye", initiator: "remote", clean: true }
      ])
      assert.deepStrictEqual(drain(connection), [show(pong("p")), show(close(1001))])
    })

    it("unmasks frames, and tells whether they were masked", () => {
      const events = framed().receive(sentTo(role, ping("p"), binary("b")))
      const masked = role === "server"
      assert.deepStrictEqual(
        events.filter(({ _tag }) => _tag === "Frame"),
        [Opcode.Ping, Opcode.Binary].map(
          (opcode) =>
            new Frame.FrameReceived(Frame.make(opcode, { payload: utf8(opcode === Opcode.Ping ? "p" : "b"), masked }))
        )
      )
    })

    it("refuses frames out of order, and text that is not UTF-8", () => {
      for (const [input, section] of [
        [[continuation("x")], "RFC 6455 §5.4"],
        [[text("x", unfinished), text("y")], "RFC 6455 §5.4"],
        [[text(euro.subarray(0, 2))], "RFC 6455 §8.1"],
        [[text(euro.subarray(0, 2), unfinished), continuation("x")], "RFC 6455 §8.1"]
      ] as const) {
        const connection = framed()
        const events = receive(connection, ...input)
        assert.deepInclude([...events, ...connection.settle().map(plainEvent)].at(-1), {
          _tag: "Protocol_error",
          section
        })
      }
    })

    it("applies the limit of messages to a frame too, but no limit of fragments", () => {
      const limits = { maxMessageBytes: 8, maxFragments: 1 }
      const connection = framed({ limits })
      assert.lengthOf(receive(connection, binary("12345678", unfinished), continuation("12345678")), 2)
      const [error] = receive(connection, binary("123456789"))
      assert.deepInclude(error, { _tag: "Payload_too_large", limit: "frame", max: 8, size: 9 })
    })

    it("holds the bytes of an unfinished frame, and reports how many", () => {
      const connection = framed()
      const bytes = sentTo(role, binary(new Uint8Array(1000)))
      connection.receive(bytes.slice(0, 500))
      assert.isAtLeast(connection.heldBytes, 400)
      connection.receive(bytes.slice(500))
      assert.strictEqual(connection.heldBytes, 0)
    })

    it("does not answer pings if answerPings is false", () => {
      const connection = framed({ answerPings: false })
      assert.deepStrictEqual(receive(connection, ping("p")), ["Frame Ping p", "Ping p"])
      assert.deepStrictEqual(drain(connection), [])
    })

    describe("if the app answers a Close", () => {
      const closedByPeer = () => {
        const connection = framed({ answerClose: false })
        assert.deepStrictEqual(receive(connection, close(1001, "bye")), [`Frame ${show(close(1001, "bye"))}`])
        return connection
      }
      const closedError = (clean: boolean) => ({
        _tag: "Connection_closed",
        code: 1001,
        reason: "bye",
        initiator: "remote",
        clean
      })

      it("waits for the answer, and sends messages before it", () => {
        const connection = closedByPeer()
        assert.isFalse(connection.unsettled)
        assert.deepStrictEqual(connection.settle(), [])
        assert.strictEqual(connection.phase, "Open")
        assert.deepStrictEqual(receive(connection, text("too late")), [])
        assert.isUndefined(connection.sendFrame(text("last")))
        assert.isUndefined(connection.sendFrame(close(1000, "so be it")))
        assert.isTrue(connection.unsettled)
        assert.deepStrictEqual(connection.settle().map(plainEvent), [closedError(true)])
        assert.deepStrictEqual(drain(connection), ["Text last", show(close(1000, "so be it"))])
        assert.isTrue(connection.closeStatus.clean)
      })

      it("ends without an answer if the input ends", () => {
        const connection = closedByPeer()
        assert.deepStrictEqual(connection.receiveEof().map(plainEvent), [closedError(false)])
        assert.deepStrictEqual(drain(connection), [])
        assert.deepInclude(connection.closeStatus, { sent: undefined, initiator: "remote", clean: false })
      })

      it("closes with the code of a failure", () => {
        const connection = closedByPeer()
        const events = connection.fail(1011, new IoError({ reason: "Timeout", operation: "heartbeat" }))
        assert.deepStrictEqual(events.map(plainEvent), [closedError(false)])
        assert.deepStrictEqual(drain(connection), [show(close(1011))])
        assert.strictEqual(connection.closeStatus.initiator, "remote")
      })

      it("completes a closing handshake that it began itself", () => {
        const connection = framed({ answerClose: false })
        assert.isUndefined(connection.sendFrame(close(1000)))
        const events = [...receive(connection, close(1000)), ...connection.settle().map(plainEvent)]
        assert.deepInclude(events.at(-1), { _tag: "Connection_closed", initiator: "local", clean: true })
      })

      it("fails at once for a violation", () => {
        const connection = framed({ answerClose: false })
        assert.deepInclude(receive(connection, continuation("x")).at(-1), { _tag: "Protocol_error", closeCode: 1002 })
      })
    })
  })

  describe(`sending frames, as ${role}`, () => {
    const written = (connection: Connection.Connection) => drain(connection)

    it.each([
      ["a reserved bit", [], text("x", { rsv: 4 }), localFacts("RFC 6455 §5.2")],
      ["a reserved opcode", [], Frame.make(3), localFacts("RFC 6455 §5.2")],
      ["no opcode", [], Frame.make(-1), localFacts("RFC 6455 §5.2")],
      ["a fragmented control frame", [], ping("", unfinished), localFacts("RFC 6455 §5.5")],
      ["a long ping", [], ping(new Uint8Array(126)), tooLargeFacts("controlPayload", 125, 126, "outbound")],
      ["a continuation of nothing", [], continuation("x"), localFacts("RFC 6455 §5.4")],
      ["a message inside another", [text(euro.subarray(0, 2), unfinished)], binary("x"), localFacts("RFC 6455 §5.4")],
      ["a text that is not UTF-8", [], text(Uint8Array.of(0xff)), localFacts("RFC 6455 §8.1")],
      ["a text that ends inside a character", [], text(euro.subarray(0, 2)), localFacts("RFC 6455 §8.1")],
      [
        "half a character too few",
        [text(euro.subarray(0, 2), unfinished)],
        continuation(""),
        localFacts("RFC 6455 §8.1")
      ],
      [
        "a Close of one octet",
        [],
        Frame.make(Opcode.Close, { payload: Uint8Array.of(3) }),
        localFacts("RFC 6455 §5.5.1")
      ],
      ["a Close that may not travel", [], close(1006), localFacts("RFC 6455 §7.4")]
    ] as const)("refuses %s, sends nothing, and stays open", (_, before, frame, expected) => {
      const connection = endpoint(role)
      for (const sent of before) assert.isUndefined(connection.sendFrame(sent))
      drain(connection)
      const refused = connection.sendFrame(frame)
      assert.deepStrictEqual(facts(refused), expected)
      // First the broken rule, then its section.
      assert.match(refused?.message ?? "", /^[A-Z].{10,}/)
      assert.strictEqual(connection.outputBytes, 0)
      assert.isUndefined(connection.sendFrame(before.length > 0 ? continuation(euro.subarray(2)) : text("on")))
      assert.lengthOf(written(connection), 1)
    })

    it("does not mix frames with parts inside one message", () => {
      const connection = endpoint(role)
      connection.sendFrame(text(euro.subarray(0, 2), unfinished))
      assert.deepStrictEqual(facts(connection.sendFragment("x", true)), localFacts("RFC 6455 §5.4"))
      assert.isUndefined(connection.sendFrame(continuation(euro.subarray(2))))
      connection.sendFragment("\ud83c", false)
      assert.deepStrictEqual(facts(connection.sendFrame(continuation("x"))), localFacts("RFC 6455 §5.4"))
      assert.isUndefined(connection.sendFragment("\udf89", true))
      assert.isUndefined(connection.sendFrame(text("on")))
      assert.deepStrictEqual(written(connection).slice(-2), [show(continuation("🎉")), "Text on"])
    })

    it("allows any bytes in a binary message", () => {
      const connection = endpoint(role)
      assert.isUndefined(connection.sendFrame(binary(Uint8Array.of(0xff), unfinished)))
      assert.isUndefined(connection.sendFrame(continuation(Uint8Array.of(0xc0))))
      assert.deepStrictEqual(written(connection), ["Binary unfinished \xff", "Continuation \xc0"])
    })

    it("does not affect parts of messages before and after", () => {
      const connection = endpoint(role)
      assert.isUndefined(connection.sendFrame(text("a")))
      assert.isUndefined(connection.sendFragment("b", false))
      assert.isUndefined(connection.sendFragment("c", true))
      assert.isUndefined(connection.sendFrame(text("d")))
      assert.deepStrictEqual(written(connection), ["Text a", "Text unfinished b", "Continuation c", "Text d"])
    })

    it("masks frames according to its role, whatever the frame says", () => {
      const connection = endpoint(role)
      connection.sendFrame({ ...text("x"), masked: role === "server" })
      assert.deepStrictEqual(written(connection), ["Text x"])
    })

    it("sends a Close without a code", () => {
      const connection = endpoint(role)
      assert.isUndefined(connection.sendFrame(close()))
      assert.deepStrictEqual(drain(connection), [show(close())])
    })

    it("refuses frames while closing, with the code and reason of the Close that it sent", () => {
      const connection = endpoint(role)
      assert.isUndefined(connection.sendFrame(close(1000, "bye")))
      assert.strictEqual(connection.sendFrame(text("x"))?._tag, "Connection_closed")
      assert.deepStrictEqual(plainError(connection.refusal!), {
        _tag: "Connection_closed",
        code: 1000,
        reason: "bye",
        initiator: "local",
        clean: false
      })
    })
  })
}

describe("properties", () => {
  it("parts join to the same messages and fail with the same errors as whole messages, however the input is split", () => {
    const bad = fc.constantFrom<ReadonlyArray<Frame.Frame>>(
      [],
      [continuation("x")],
      [text(Uint8Array.of(0xed, 0xa0))],
      [text(euro.subarray(0, 1), unfinished), continuation("x")],
      [close(1001, "bye")]
    )
    fc.assert(
      fc.property(
        fc.constantFrom(...roles),
        input,
        bad,
        Any.cuts,
        Any.ownership,
        (role, input, bad, cuts, ownership) => {
          const bytes = sentTo(role, ...input, ...bad)
          const whole = play(role, [bytes], owned, {}).map(plainEvent)
          assert.deepStrictEqual(join(play(role, Any.split(bytes, cuts), ownership, { delivery: "streams" })), whole)
        }
      ),
      { numRuns: 300 }
    )
  })

  it("the frames are those that were sent, however the input is split", () => {
    fc.assert(
      fc.property(fc.constantFrom(...roles), input, Any.cuts, Any.ownership, (role, input, cuts, ownership) => {
        const events = play(role, Any.split(sentTo(role, ...input), cuts), ownership, { delivery: "frames" })
        const found = events.flatMap((event) => (event._tag === "Frame" ? [show(event.frame)] : []))
        assert.deepStrictEqual(found, input.map(show))
      }),
      { numRuns: 300 }
    )
  })

  it("any sequence of sendFrame puts out only legal frames: those that were not refused", () => {
    const frame = fc.oneof(
      fc
        .record({
          fin: fc.boolean(),
          rsv: fc.constantFrom(0, 0, 0, 0, 4),
          opcode: fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 9, 10),
          masked: fc.boolean(),
          payload: fc.oneof(Any.almostUtf8, Any.controlPayload)
        })
        .map(({ opcode, ...parts }) => Frame.make(opcode, parts)),
      fc.constantFrom(close(1000), close(1005))
    )
    fc.assert(
      fc.property(fc.constantFrom(...roles), fc.array(frame, { maxLength: 30 }), (role, all) => {
        const connection = endpoint(role)
        const sent = all.filter((frame) => connection.sendFrame(frame) === undefined)
        const bytes = concat(connection.takeOutput())
        assert.deepStrictEqual(frames({ role: peerOf(role) })(bytes).frames.map(show), sent.map(show))
        const peer = endpoint(peerOf(role), { limits: { maxBufferedControlFrames: 100 } })
        const events = [...peer.receive(bytes), ...peer.settle()]
        const errors = events.flatMap((event) => (event._tag === "Ended" ? [event.error._tag] : []))
        assert.deepStrictEqual(errors, sent.at(-1)?.opcode === Opcode.Close ? ["Connection_closed"] : [])
      }),
      { numRuns: 500 }
    )
  })
})

for (const role of roles) {
  describe(`reserved opcodes and bits that an app gave a meaning, as ${role}`, () => {
    const options: Endpoint = { delivery: "frames", rsv: Frame.rsv1 | Frame.rsv3, opcodes: [0x3, 0x7, 0xb] }
    const own = (opcode: number, payload = "", parts: { readonly fin?: boolean; readonly rsv?: number } = {}) =>
      Frame.make(opcode, { payload: utf8(payload), ...parts })

    const legal: ReadonlyArray<[string, ReadonlyArray<Frame.Frame>]> = [
      ["a data frame", [own(0x3, "a")]],
      [
        "a fragmented message around control frames",
        [own(0x7, "a", unfinished), own(0xb, "p"), ping(), continuation("b")]
      ],
      ["bits on each fragment", [own(1, "a", { fin: false, rsv: 4 }), own(0, "b", { rsv: 5 })]],
      ["text that only the app can read", [own(1, "", { rsv: 1 }), text("a")]],
      [
        "text that only the app can read from its second fragment on",
        [
          Frame.make(1, { fin: false, payload: utf8("a€").subarray(0, 2) }),
          Frame.make(0, { fin: false, rsv: 1, payload: Uint8Array.of(0xff) }),
          Frame.make(0, { payload: Uint8Array.of(0xff) }),
          text("€")
        ]
      ],
      ["text of bytes", [Frame.make(1, { rsv: 1, payload: Uint8Array.of(0xff) }), text("a")]],
      ["a control frame of 125 bytes", [own(0xb, "x".repeat(125))]]
    ]

    it.each(legal)("%s: received and sent", (_, input) => {
      const connection = endpoint(role, options)
      const events = [...sentTo(role, ...input)].flatMap((byte) => connection.receive(Uint8Array.of(byte)))
      const found = events.flatMap((event) => (event._tag === "Frame" ? [show(event.frame)] : []))
      assert.deepStrictEqual(found, input.map(show))
      assert.isUndefined(connection.error)
      assert.isFalse(connection.receiving)

      const sender = endpoint(role, options)
      assert.deepStrictEqual(
        input.map((frame) => sender.sendFrame(frame)),
        input.map(() => undefined)
      )
      const decode = frames({ role: peerOf(role), rsv: 5, opcodes: [0x3, 0x7, 0xb] })
      assert.deepStrictEqual(decode(concat(sender.takeOutput())).frames.map(show), input.map(show))
    })

    it("a reserved control frame is delivered as a frame only, and not answered", () => {
      const connection = endpoint(role, options)
      assert.deepStrictEqual(
        connection.receive(sentTo(role, own(0xb, "p"))).map((event) => event._tag),
        ["Frame"]
      )
      assert.strictEqual(connection.outputBytes, 0)
    })

    const illegal: ReadonlyArray<[string, Frame.Frame]> = [
      ["RFC 6455 §5.2", own(0x4)],
      ["RFC 6455 §5.2", own(0xc)],
      ["RFC 6455 §5.2", own(0x1, "", { rsv: Frame.rsv2 })],
      ["RFC 6455 §5.2", own(0x3, "", { rsv: 7 })],
      ["RFC 6455 §5.5", own(0xb, "", unfinished)],
      ["RFC 7692 §6.1", own(0xb, "", { rsv: 1 })],
      ["RFC 7692 §6.1", own(0x9, "", { rsv: 4 })],
      ["RFC 6455 §5.4", continuation("", { rsv: 1 })],
      ["RFC 6455 §8.1", Frame.make(1, { payload: Uint8Array.of(0xff) })]
    ]

    it.each(illegal)("a frame that breaks %s is still a violation", (section, frame) => {
      const [ended] = endpoint(role, options).receive(sentTo(role, frame))
      assert(ended?._tag === "Ended")
      assert.deepInclude(facts(ended.error), { origin: "remote", section })
      const sender = endpoint(role, options)
      assert.deepStrictEqual(facts(sender.sendFrame(frame)), localFacts(section))
      assert.strictEqual(sender.outputBytes, 0)
    })

    it.each([1.5, 3.5, 16, -1, NaN])("%d cannot be an opcode", (opcode) => {
      const sender = endpoint(role, options)
      assert.deepStrictEqual(facts(sender.sendFrame(own(opcode))), localFacts("RFC 6455 §5.2"))
      assert.strictEqual(sender.outputBytes, 0)
    })

    it.each([1.5, 4.5, 8, -1, NaN])("%d cannot be reserved bits", (rsv) => {
      const sender = endpoint(role, options)
      const bytes = Frame.make(1, { rsv, payload: Uint8Array.of(0xff) })
      assert.deepStrictEqual(facts(sender.sendFrame(bytes)), localFacts("RFC 6455 §5.2"))
      assert.strictEqual(sender.outputBytes, 0)
    })

    it("a reserved control frame of more than 125 bytes is refused", () => {
      const sender = endpoint(role, options)
      assert.deepStrictEqual(
        facts(sender.sendFrame(own(0xb, "x".repeat(126)))),
        tooLargeFacts("controlPayload", 125, 126, "outbound")
      )
    })

    it("other deliveries refuse the options", () => {
      for (const delivery of ["messages", "streams", undefined] as const) {
        assert.throws(() => endpoint(role, { delivery, rsv: 1 }), RangeError)
        assert.throws(() => endpoint(role, { delivery, opcodes: [3] }), RangeError)
      }
      assert.throws(() => endpoint(role, { delivery: "frames", opcodes: [9] }), RangeError)
    })
  })
}
