import { assert, describe, it } from "vitest"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { facts, fromHex, hex, localFacts, tooLargeFacts } from "./support.js"

describe("Frame", () => {
  it("makes a final frame without options", () => {
    assert.deepStrictEqual({ ...Frame.make(Opcode.Ping) } as unknown, {
      fin: true,
      rsv: 0,
      opcode: 9,
      masked: false,
      payload: new Uint8Array(0)
    })
  })

  it("makes a frame with all options", () => {
    const parts = { fin: false, rsv: 5, masked: true, payload: new Uint8Array([7]) }
    const frame = Frame.make(Opcode.Binary, parts)
    assert.deepStrictEqual({ ...frame } as unknown, { ...parts, opcode: 2 })
    assert.strictEqual(frame.payload, parts.payload)
  })

  it.each<[string, Frame.Frame, Frame.Frame]>([
    ["text", Frame.text("é"), Frame.make(1, { payload: Uint8Array.of(0xc3, 0xa9) })],
    [
      "a first fragment of text",
      Frame.text("a", { fin: false }),
      Frame.make(1, { fin: false, payload: fromHex("61") })
    ],
    ["binary", Frame.binary(fromHex("01ff")), Frame.make(2, { payload: fromHex("01ff") })],
    [
      "a first binary fragment",
      Frame.binary(fromHex("01"), { fin: false }),
      Frame.make(2, { fin: false, payload: fromHex("01") })
    ],
    ["a last fragment of text", Frame.continuation("b"), Frame.make(0, { payload: fromHex("62") })],
    [
      "a fragment",
      Frame.continuation(fromHex("02"), { fin: false }),
      Frame.make(0, { fin: false, payload: fromHex("02") })
    ],
    ["an empty ping", Frame.ping(), Frame.make(9)],
    ["a ping", Frame.ping("b"), Frame.make(9, { payload: fromHex("62") })],
    ["an empty pong", Frame.pong(), Frame.make(10)],
    ["a pong", Frame.pong(fromHex("03")), Frame.make(10, { payload: fromHex("03") })]
  ])("makes %s", (_, frame, expected) => {
    assert.deepStrictEqual(frame, expected)
  })

  it.each<[number | undefined, string | undefined, string]>([
    [undefined, undefined, ""],
    [1000, undefined, "03e8"],
    [1001, "bye", "03e9627965"]
  ])("makes a Close with %s %s", (code, reason, payload) => {
    const frame = Frame.close(code, reason)
    assert.isFalse("_tag" in frame)
    if ("_tag" in frame) return
    assert.deepStrictEqual(
      { ...frame, payload: hex(frame.payload) },
      { fin: true, rsv: 0, opcode: 8, masked: false, payload }
    )
  })

  it("refuses a Close that may not be sent", () => {
    assert.deepStrictEqual(facts(Frame.close(1006)), localFacts("RFC 6455 §7.4"))
    assert.deepStrictEqual(facts(Frame.close(undefined, "why")), localFacts("RFC 6455 §5.5.1"))
    assert.deepStrictEqual(
      facts(Frame.close(1000, "a".repeat(200))),
      tooLargeFacts("closeReason", 123, 200, "outbound")
    )
  })

  it("names the reserved bits as the RFC does", () => {
    for (let rsv = 0; rsv < 8; rsv++) {
      const frame = Frame.make(Opcode.Text, { rsv })
      assert.deepStrictEqual(
        ([1, 2, 3] as const).map((bit) => Frame.hasRsv(frame, bit)),
        [rsv >= 4, (rsv & 2) === 2, rsv % 2 === 1]
      )
    }
  })

  it.each([0, 1, 2, 8, 9, 10])("knows whether opcode %i is a control frame", (opcode) => {
    assert.strictEqual(Frame.isControl(Frame.make(opcode)), opcode >= 8)
  })

  it.each<[string, Frame.Frame]>([
    ["Ping fin 2 bytes 01 02", Frame.make(Opcode.Ping, { payload: new Uint8Array([1, 2]) })],
    ["Continuation 0 bytes", Frame.make(Opcode.Continuation, { fin: false })],
    ["Text fin rsv1 rsv3 masked 0 bytes", Frame.make(Opcode.Text, { rsv: 5, masked: true })],
    ["Reserved(0xb) fin rsv2 1 bytes ff", Frame.make(0xb, { rsv: 2, payload: new Uint8Array([255]) })],
    [`Binary fin 16 bytes${" 0a".repeat(16)}`, Frame.make(Opcode.Binary, { payload: new Uint8Array(16).fill(10) })],
    [`Binary fin 17 bytes${" 0a".repeat(16)} …`, Frame.make(Opcode.Binary, { payload: new Uint8Array(17).fill(10) })]
  ])("prints %s", (text, frame) => {
    assert.strictEqual(Frame.format(frame), text)
  })

  it.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014] as const)(
    "makes a Close with %i that needs no narrowing",
    (code) => {
      const frame: Frame.Frame = Frame.close(code)
      assert.strictEqual(hex(frame.payload), code.toString(16).padStart(4, "0"))
    }
  )

  it("is recognised by its TypeId", () => {
    for (const frame of [Frame.make(3), Frame.text("a"), Frame.close()]) assert.isTrue(Frame.isFrame(frame))
    for (const other of [undefined, null, 1, {}, { ...Frame.text("a") }]) assert.isFalse(Frame.isFrame(other))
  })

  it("numbers the reserved bits in their order in the first octet", () => {
    assert.deepStrictEqual(
      ([1, 2, 3] as const).map((bit) =>
        Frame.hasRsv(Frame.make(1, { rsv: [Frame.rsv1, Frame.rsv2, Frame.rsv3][bit - 1]! }), bit)
      ),
      [true, true, true]
    )
    assert.deepStrictEqual([Frame.rsv1, Frame.rsv2, Frame.rsv3], [4, 2, 1])
  })

  it.each<[string, Frame.Frame, string]>([
    ["text", Frame.text("10 €"), "10 €"],
    ["bytes that are UTF-8", Frame.binary(fromHex("6162")), "ab"],
    ["a fragment", Frame.continuation("lo", { fin: false }), "lo"],
    ["a ping", Frame.ping("x"), "x"],
    ["an empty frame", Frame.make(Opcode.Text), ""],
    ["an empty Close", Frame.close(), ""],
    ["a Close", Frame.close(1000, "bye") as Frame.Frame, "bye"]
  ])("has text: %s", (_, frame, text) => {
    assert.strictEqual(Frame.toText(frame), text)
  })

  it.each<[string, Frame.Frame, number]>([
    ["bytes", Frame.binary(fromHex("ff")), 1007],
    ["half of a character", Frame.continuation(fromHex("e282")), 1007],
    ["a Close without a whole code", Frame.make(Opcode.Close, { payload: fromHex("03") }), 1002],
    ["a Close whose reason is not UTF-8", Frame.make(Opcode.Close, { payload: fromHex("03e8ff") }), 1007]
  ])("has no text: %s", (_, frame, code) => {
    assert.strictEqual(facts(Frame.toText(frame))["closeCode"], code)
  })

  it("accepts bytes in any buffer or view, and nothing else", () => {
    assert.deepStrictEqual(
      Frame.make(2, { payload: new DataView(fromHex("0102").buffer) as never }).payload,
      fromHex("0102")
    )
    for (const payload of [3, {}, null, new Blob([])] as ReadonlyArray<unknown> as ReadonlyArray<never>) {
      assert.throws(() => Frame.make(2, { payload }), TypeError, "The payload of a frame")
      assert.throws(() => Frame.binary(payload), TypeError)
      assert.throws(() => Frame.ping(payload), TypeError)
    }
  })
})
