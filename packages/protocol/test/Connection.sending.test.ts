/** Sending: the limit of one call, the size of frames, arguments of a wrong type, and recorded frames. */
import { assert, describe, it } from "vitest"
import * as Connection from "@effect-websocket/protocol/Connection"
import * as Extension from "@effect-websocket/protocol/Extension"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Message from "@effect-websocket/protocol/Message"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import { runInNewContext } from "node:vm"
import { drain, endpoint, mutable, peerOf, plainEvent, roles } from "./endpoints.js"
import { concat, facts, tooLargeFacts, utf8 } from "./support.js"
import { zlib } from "./zlib.js"

const direction = { contextTakeover: true, windowBits: 15 }
const compression = {
  zlib,
  agreement: { extension: Extension.make("permessage-deflate"), inbound: direction, outbound: direction },
  settings: PermessageDeflate.resolve({ threshold: 0 })
}

const tooLarge = (limit: string, max: number, size: number) => tooLargeFacts(limit, max, size, "outbound")

for (const role of roles) {
  describe(`maxSendBytes, as ${role}`, () => {
    it.each<[Message.Message, number]>([
      [Message.text("abcde"), 5],
      [Message.text("€€"), 6],
      [Message.binary(new Uint8Array(5)), 5]
    ])("%j of exactly the limit is sent, and one of one more byte is refused", (message, size) => {
      const exact = endpoint(role, { maxSendBytes: size })
      assert.strictEqual(exact.maxSendBytes, size)
      assert.isUndefined(exact.send(message))
      assert.strictEqual(drain(exact).length, 1)
      const small = endpoint(role, { maxSendBytes: size - 1 })
      assert.deepStrictEqual(facts(small.send(message)), tooLarge("message", size - 1, size))
      assert.strictEqual(small.outputBytes, 0)
      assert.strictEqual(small.phase, "Open")
      assert.isUndefined(small.send(Message.text("on")))
      assert.deepStrictEqual(drain(small), ["Text on"])
    })

    it("counts bytes before compression, wherever the compression happens", () => {
      const message = Message.text("a".repeat(100))
      const connection = endpoint(role, { maxSendBytes: 99, compression })
      assert.deepStrictEqual(facts(connection.send(message)), tooLarge("message", 99, 100))
      const deflation = connection.deflation(message)!
      const deflated = zlib.deflate(deflation.data, deflation.options)
      assert.deepStrictEqual(facts(connection.sendDeflated(deflation, deflated)), tooLarge("message", 99, 100))
      assert.strictEqual(connection.outputBytes, 0)
    })

    it("sends a message as it is that was deflated for another connection, without compression of its own", () => {
      const message = Message.text("a".repeat(100))
      const deflation = endpoint(role, { compression }).deflation(message)!
      const connection = endpoint(role)
      assert.isUndefined(connection.sendDeflated(deflation, zlib.deflate(deflation.data, deflation.options)))
      assert.deepStrictEqual(drain(connection), [`Text ${message.data}`])
      connection.close()
      assert.strictEqual(connection.sendDeflated(deflation, undefined)?._tag, "Connection_closed")
    })

    it("tells in advance whether a message would be compressed", () => {
      const message = Message.text("a")
      assert.isFalse(endpoint(role, {}).compresses(message))
      const connection = endpoint(role, { compression })
      assert.isTrue(connection.compresses(message))
      assert.isFalse(connection.compresses(message, false))
      // As `send` does, it takes bytes of another kind.
      assert.isTrue(
        connection.compresses(Object.assign(Object.create(null), { _tag: "Binary", data: new ArrayBuffer(1) }))
      )
    })

    it("applies to each part and each data frame", () => {
      const connection = endpoint(role, { maxSendBytes: 3 })
      assert.isUndefined(connection.sendFragment("abc", false))
      assert.deepStrictEqual(facts(connection.sendFragment("abcd", true)), tooLarge("frame", 3, 4))
      assert.isUndefined(connection.sendFragment("d", true))
      assert.deepStrictEqual(facts(connection.sendFrame(Frame.binary(new Uint8Array(4)))), tooLarge("frame", 3, 4))
      assert.isUndefined(connection.sendFrame(Frame.text("abc")))
      assert.isUndefined(connection.sendFrame(Frame.ping("long enough")))
      assert.deepStrictEqual(drain(connection), [
        "Text unfinished abc",
        "Continuation d",
        "Text abc",
        "Ping long enough"
      ])
    })

    it("is unlimited by default", () => {
      assert.strictEqual(endpoint(role).maxSendBytes, Number.MAX_SAFE_INTEGER)
      assert.throws(() => endpoint(role, { maxSendBytes: 0 }), RangeError)
    })
  })

  describe(`the fragment size of one message, as ${role}`, () => {
    it("replaces that of the connection", () => {
      const connection = endpoint(role, { maxFrameSize: 4 })
      assert.strictEqual(connection.maxFrameSize, 4)
      connection.send(Message.text("abcdef"), undefined, 2)
      connection.send(Message.binary(utf8("abcdef")), undefined, 3)
      connection.send(Message.text("abcdef"), undefined, 100)
      connection.send(Message.text("abcdef"))
      assert.deepStrictEqual(drain(connection), [
        "Text unfinished ab",
        "Continuation unfinished cd",
        "Continuation ef",
        "Binary unfinished abc",
        "Continuation def",
        "Text abcdef",
        "Text unfinished abcd",
        "Continuation ef"
      ])
    })

    it("applies to compressed messages too", () => {
      const connection = endpoint(role, { compression })
      const peer = endpoint(peerOf(role), { compression, recordFrames: true })
      const message = Message.text("abcdefghijklmnopqrstuvwxyz".repeat(4))
      connection.send(message, true, 8)
      const deflation = connection.deflation(message)!
      connection.sendDeflated(deflation, zlib.deflate(deflation.data, deflation.options), 3)
      const events = peer.receive(concat(connection.takeOutput()))
      assert.deepStrictEqual(
        events.map((event) => {
          assert(Message.isMessage(event))
          assert.strictEqual(event.data, message.data)
          return Message.frames(event)?.[0]?.payload.length
        }),
        [8, 3]
      )
    })

    it.each([0, -1, 1.5, NaN])("cannot be %d", (size) => {
      const connection = endpoint(role)
      assert.throws(() => connection.send(Message.text("a"), undefined, size), RangeError)
      const compressing = endpoint(role, { compression })
      const deflation = compressing.deflation(Message.text("aaaaaaaaaaaaaaaa"))!
      assert.throws(() => compressing.sendDeflated(deflation, undefined, size), RangeError)
      assert.strictEqual(connection.outputBytes + compressing.outputBytes, 0)
    })
  })

  describe(`arguments of a wrong type, as ${role}`, () => {
    const mistakes: ReadonlyArray<[string, unknown]> = [
      ["nothing", undefined],
      ["null", null],
      ["a string", "hello"],
      ["a number", 3],
      ["bytes", new Uint8Array(2)],
      ["an object", {}],
      ["data alone", { data: 3 }],
      ["text alone", { data: "hello" }],
      ["a text message of a number", { _tag: "Text", data: 3 }],
      ["a text message of bytes", { _tag: "Text", data: new Uint8Array(2) }],
      ["a binary message of nothing", { _tag: "Binary" }],
      ["a binary message of text", { _tag: "Binary", data: "hello" }],
      ["a binary message of a list", { _tag: "Binary", data: [1, 2] }],
      ["a binary message of a Blob", { _tag: "Binary", data: new Blob(["hello"]) }],
      ["a message of another kind", { _tag: "TextPart", data: "hello", first: true, final: true }]
    ]

    it.each(mistakes)("%s is not a message", (_, mistake) => {
      const connection = endpoint(role, { compression })
      const message = mistake as Message.Message
      assert.throws(() => connection.send(message), TypeError, "message")
      assert.throws(() => connection.deflation(message), TypeError, "message")
      assert.strictEqual(connection.outputBytes, 0)
      assert.isUndefined(connection.send(Message.text("on")))
    })

    const bytes = Uint8Array.of(0x61, 0x62, 0x63)
    const wider = Uint8Array.of(0, 0x61, 0x62, 0x63, 0)
    const holders: ReadonlyArray<[string, unknown]> = [
      ["an ArrayBuffer", bytes.buffer],
      ["a SharedArrayBuffer", Object.assign(new Uint8Array(new SharedArrayBuffer(3)), { ...bytes }).buffer],
      ["a DataView", new DataView(wider.buffer, 1, 3)],
      ["a view of other numbers", new Int8Array(wider.buffer, 1, 3)],
      ["a Buffer", Buffer.from(bytes)],
      ["bytes of another realm", runInNewContext("Uint8Array.of(0x61, 0x62, 0x63)")],
      ["a buffer of another realm", runInNewContext("Uint8Array.of(0x61, 0x62, 0x63).buffer")]
    ]

    it.each(holders)("the bytes of %s are sent", (_, holder) => {
      const data = holder as Uint8Array
      const connection = endpoint(role)
      assert.isUndefined(connection.send({ _tag: "Binary", data } as Message.Message))
      assert.isUndefined(connection.send(Message.binary(data)))
      assert.isUndefined(connection.send(Message.make(data)))
      assert.isUndefined(connection.sendFragment(data, true))
      assert.isUndefined(connection.sendFrame(Frame.binary(data)))
      assert.isUndefined(connection.sendFrame({ ...Frame.binary(bytes), payload: data } as Frame.Frame))
      assert.isUndefined(connection.ping(data))
      assert.isUndefined(connection.pong(data))
      assert.deepStrictEqual(drain(connection), [...Array(6).fill("Binary abc"), "Ping abc", "Pong abc"])
    })

    it("are refused if bytes are required", () => {
      const connection = endpoint(role)
      for (const mistake of [
        null,
        "text",
        3,
        {},
        [1],
        new Blob(["hello"])
      ] as ReadonlyArray<unknown> as ReadonlyArray<never>) {
        if (typeof mistake !== "string") assert.throws(() => connection.sendFragment(mistake, true), TypeError)
        assert.throws(() => connection.sendFrame({ ...Frame.ping(), payload: mistake } as Frame.Frame), TypeError)
        assert.throws(() => connection.ping(mistake), TypeError)
        assert.throws(() => connection.pong(mistake), TypeError)
        assert.throws(() => connection.receive(mistake), TypeError)
      }
      assert.strictEqual(connection.outputBytes, 0)
      assert.strictEqual(connection.phase, "Open")
    })

    it("are accepted if they have bytes", () => {
      const peer = endpoint(peerOf(role))
      peer.send(Message.text("hello"))
      const chunk = concat(peer.takeOutput())
      const received = endpoint(role).receive(chunk.buffer as unknown as Uint8Array)
      assert.deepStrictEqual(received.map(plainEvent), ["Text hello"])
    })
  })

  describe(`recordFrames, as ${role}`, () => {
    it("returns the data frames of a message, without control frames, however the input is split", () => {
      const peer = endpoint(peerOf(role))
      peer.sendFragment("he", false)
      peer.ping()
      peer.sendFragment("llo", true)
      peer.send(Message.binary(Uint8Array.of(1)))
      peer.send(Message.text(""))
      const chunk = concat(peer.takeOutput())
      for (const size of [1, 3, chunk.length]) {
        const connection = endpoint(role, { recordFrames: true })
        const events: Array<Connection.Event> = []
        const buffer = new Uint8Array(size)
        for (let at = 0; at < chunk.length; at += size) {
          buffer.set(chunk.subarray(at, at + size))
          events.push(...connection.receive(buffer.subarray(0, Math.min(size, chunk.length - at)), ...mutable))
          buffer.fill(0xaa)
        }
        const messages = events.filter(Message.isMessage)
        const masked = role === "server"
        assert.deepStrictEqual(messages.map(Message.frames), [
          [
            Frame.make(Opcode.Text, { fin: false, masked, payload: utf8("he") }),
            Frame.make(Opcode.Continuation, { masked, payload: utf8("llo") })
          ],
          [Frame.make(Opcode.Binary, { masked, payload: Uint8Array.of(1) })],
          [Frame.make(Opcode.Text, { masked })]
        ])
        assert.strictEqual(connection.heldBytes, 0)
        assert.isFalse(connection.receiving)
      }
    })

    it("keeps copies of payloads, and counts the bytes that it holds", () => {
      const peer = endpoint(peerOf(role))
      peer.sendFragment(utf8("hel"), false)
      const chunk = concat(peer.takeOutput())
      const connection = endpoint(role, { recordFrames: true })
      connection.receive(chunk, true)
      assert.isTrue(connection.receiving)
      assert.isAtLeast(connection.heldBytes, 6)
      chunk.fill(0)
      peer.sendFragment(utf8("lo"), true)
      const [message] = connection.receive(concat(peer.takeOutput()))
      assert(message !== undefined && Message.isMessage(message))
      assert.deepStrictEqual(
        Message.frames(message)?.map(({ payload }) => payload),
        [utf8("hel"), utf8("lo")]
      )
    })

    it("is off by default, and throws for other deliveries than messages", () => {
      const peer = endpoint(peerOf(role))
      peer.send(Message.text("hello"))
      const [message] = endpoint(role).receive(concat(peer.takeOutput()))
      assert(message !== undefined && Message.isMessage(message))
      assert.isUndefined(Message.frames(message))
      for (const delivery of ["streams", "frames"] as const) {
        assert.throws(() => endpoint(role, { delivery, recordFrames: true }), RangeError)
      }
    })

    it("ends the connection for a violation as usual", () => {
      const connection = endpoint(role, { recordFrames: true, limits: { maxMessageBytes: 3 } })
      const peer = endpoint(peerOf(role))
      peer.send(Message.text("hello"))
      const [ended] = connection.receive(concat(peer.takeOutput()))
      assert.strictEqual(ended?._tag, "Ended")
      assert.strictEqual(connection.closeStatus.sent?.code, 1009)
    })
  })
}

it("isConnection recognises a connection by its TypeId, and nothing else", () => {
  assert.isTrue(Connection.isConnection(endpoint("server")))
  for (const other of [undefined, null, {}, "text", Message.text("a"), Frame.ping()]) {
    assert.isFalse(Connection.isConnection(other))
  }
})

describe("a shared message", () => {
  const messages: ReadonlyArray<Message.Message> = [
    Message.text(""),
    Message.text("plain"),
    Message.text("größer €"),
    Message.text("x".repeat(70_000)),
    Message.binary(Uint8Array.of(1, 2, 3)),
    Message.binary(new Uint8Array(70_000).fill(7))
  ]

  it("is sent as it would be alone, by every role, in one frame or in several", () => {
    for (const role of roles) {
      for (const maxFrameSize of [undefined, 2]) {
        for (const message of messages) {
          if (maxFrameSize !== undefined && Message.size(message) > 100) continue
          const shared = Message.share(message)
          const alone = endpoint(role, { maxFrameSize })
          alone.send(message)
          const expected = drain(alone)
          for (let n = 0; n < 2; n++) {
            const connection = endpoint(role, { maxFrameSize })
            assert.isUndefined(connection.send(shared))
            assert.deepStrictEqual(drain(connection), expected)
          }
        }
      }
    }
  })

  it("is not copied if it is alone, and is joined with what follows at once", () => {
    const shared = Message.share(Message.text("hello"))
    const large = Message.share(Message.binary(new Uint8Array(5000)))
    const [one, other] = [endpoint("server"), endpoint("server")]
    for (const connection of [one, other]) connection.send(shared)
    const [[first], [second]] = [one.takeOutput(), other.takeOutput()]
    assert.strictEqual(first, second)
    for (const connection of [one, other]) connection.recycleOutput()
    for (const message of [shared, shared, shared]) one.send(message)
    assert.deepStrictEqual(
      one.takeOutput().map(({ length }) => length),
      [21]
    )
    one.recycleOutput()
    // To copy it would cost more than another write.
    for (const message of [large, shared]) one.send(message)
    assert.deepStrictEqual(
      one.takeOutput().map(({ length }) => length),
      [5004, 7]
    )
  })

  it("is shared once, and is a message of its kind", () => {
    for (const message of messages) {
      const shared = Message.share(message)
      assert.strictEqual(Message.share(shared), shared)
      assert.isTrue(Message.isMessage(shared))
      assert.deepStrictEqual([shared._tag, shared.data], [message._tag, message.data])
    }
  })

  it("is deflated once for all connections with the same parameters and no context takeover", () => {
    let runs = 0
    const counted = {
      ...zlib,
      deflate: (...args: Parameters<typeof zlib.deflate>) => {
        runs++
        return zlib.deflate(...args)
      }
    }
    const sentBy = (message: Message.Message, contextTakeover: boolean, windowBits: number, level: number) => {
      const own = { contextTakeover, windowBits }
      const connection = Connection.make({
        role: "server",
        compression: {
          zlib: counted,
          agreement: { extension: Extension.make("permessage-deflate"), inbound: own, outbound: own },
          settings: PermessageDeflate.resolve({ threshold: 0, level })
        }
      })
      connection.send(message)
      return concat(connection.takeOutput())
    }
    const text = "to compress ".repeat(20)
    const shared = Message.share(Message.text(text))
    const expected = sentBy(Message.text(text), false, 12, 1)
    runs = 0
    for (let n = 0; n < 3; n++) assert.deepStrictEqual(sentBy(shared, false, 12, 1), expected)
    assert.strictEqual(runs, 1)
    sentBy(shared, false, 13, 1)
    sentBy(shared, false, 12, 9)
    sentBy(shared, false, 12, 9)
    assert.strictEqual(runs, 3)
    // Each of these has a dictionary of its own.
    sentBy(shared, true, 12, 1)
    sentBy(shared, true, 12, 1)
    assert.strictEqual(runs, 5)
    // A result that is not smaller is remembered, too.
    runs = 0
    const short = Message.share(Message.text("a"))
    sentBy(short, false, 12, 1)
    sentBy(short, false, 12, 1)
    assert.strictEqual(runs, 1)
  })
})
