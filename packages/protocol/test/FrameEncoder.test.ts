import { assert, describe, it } from "vitest"
import * as Frame from "@effect-websocket/protocol/Frame"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import * as FrameEncoder from "@effect-websocket/protocol/FrameEncoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as fc from "fast-check"
import * as arbitraries from "./arbitraries.js"
import { concat, hex, utf8 } from "./support.js"

const shown = (frame: Frame.Frame) => ({ ...frame, payload: hex(frame.payload) })

const headers: ReadonlyArray<[payloadBytes: number, header: string]> = [
  [0, "00"],
  [1, "01"],
  [125, "7d"],
  [126, "7e 007e"],
  [127, "7e 007f"],
  [65535, "7e ffff"],
  [65536, "7f 0000000000010000"],
  [2 ** 32 - 1, "7f 00000000ffffffff"],
  [2 ** 32, "7f 0000000100000000"],
  [2 ** 53 - 1, "7f 001fffffffffffff"]
]

describe("FrameEncoder", () => {
  // The examples of RFC 6455 §5.7.
  it.each<[string, Frame.Frame, number | undefined, string]>([
    ["text", Frame.make(Opcode.Text, { payload: utf8("Hello") }), undefined, "810548656c6c6f"],
    ["masked text", Frame.make(Opcode.Text, { payload: utf8("Hello") }), 0x37fa213d, "818537fa213d7f9f4d5158"],
    ["first fragment", Frame.make(Opcode.Text, { fin: false, payload: utf8("Hel") }), undefined, "010348656c"],
    ["last fragment", Frame.make(Opcode.Continuation, { payload: utf8("lo") }), undefined, "80026c6f"],
    ["ping", Frame.make(Opcode.Ping, { payload: utf8("Hello") }), undefined, "890548656c6c6f"],
    ["masked pong", Frame.make(Opcode.Pong, { payload: utf8("Hello") }), 0x37fa213d, "8a8537fa213d7f9f4d5158"],
    [
      "a key with its top bit set",
      Frame.make(Opcode.Binary, { payload: utf8("\0\0") }),
      0xfedcba98,
      "8282fedcba98fedc"
    ],
    ["a key of zero", Frame.make(Opcode.Binary, { payload: utf8("ab") }), 0, "8282000000006162"]
  ])("encodes %s", (_, frame, key, expected) => {
    assert.strictEqual(hex(FrameEncoder.encode(frame, key)), expected)
  })

  it.each(headers)("writes the length %i in its shortest form", (payloadBytes, header) => {
    const unmasked = `82${header.replaceAll(" ", "")}`
    const target = new Uint8Array(20).fill(0xee)
    const end = FrameEncoder.writeHeader(target, 3, 0x82, payloadBytes, undefined)
    assert.strictEqual(hex(target), `eeeeee${unmasked}`.padEnd(40, "ee"))
    assert.strictEqual(end, 3 + unmasked.length / 2)
    assert.strictEqual(FrameEncoder.headerBytes(payloadBytes, false), unmasked.length / 2)

    const masked = new Uint8Array(20).fill(0xee)
    const maskedEnd = FrameEncoder.writeHeader(masked, 0, 0x82, payloadBytes, 0x01020304)
    assert.strictEqual(masked[1]! >>> 7, 1)
    masked[1]! &= 0x7f
    assert.strictEqual(hex(masked), `${unmasked}01020304`.padEnd(40, "ee"))
    assert.strictEqual(maskedEnd, unmasked.length / 2 + 4)
    assert.strictEqual(FrameEncoder.headerBytes(payloadBytes, true), unmasked.length / 2 + 4)
  })

  it("puts FIN, the reserved bits and the opcode in the first byte", () => {
    const seen = new Set<number>()
    for (const fin of [true, false]) {
      for (let rsv = 0; rsv < 8; rsv++) {
        for (let opcode = 0; opcode < 16; opcode++) {
          const byte = FrameEncoder.firstByte(fin, rsv, opcode)
          assert.deepStrictEqual([byte >= 0x80, (byte >>> 4) & 7, byte & 15], [fin, rsv, opcode])
          seen.add(byte)
        }
      }
    }
    assert.strictEqual(seen.size, 256)
  })

  it("masks if a key is given, whatever the frame says", () => {
    const frame = Frame.make(Opcode.Binary, { masked: true, payload: utf8("x") })
    assert.strictEqual(hex(FrameEncoder.encode(frame)), "820178")
    assert.strictEqual(hex(FrameEncoder.encode({ ...frame, masked: false }, 0)), "82810000000078")
  })

  it("encodes frames that a decoder reads back, at the edges of every length", () => {
    for (const length of arbitraries.edgeLengths) {
      for (const opcode of [0, 1, 2, 8, 9, 10]) {
        if (opcode >= 8 && length > 125) continue
        for (const masked of [false, true]) {
          const frame = Frame.make(opcode, { masked, payload: arbitraries.noise(length, length + opcode) })
          const bytes = FrameEncoder.encode(frame, masked ? 0x89abcdef : undefined)
          const decoded = frames({ role: masked ? "server" : "client" })(bytes)
          assert.isUndefined(decoded.violation)
          assert.deepStrictEqual(decoded.frames.map(shown), [shown(frame)])
        }
      }
    }
  })

  it("encodes frames that a decoder reads back, for any frames", () => {
    const masked = fc
      .boolean()
      .chain((masked) =>
        fc.tuple(
          fc.constant(masked),
          fc.array(fc.tuple(arbitraries.frame(masked), arbitraries.maskKey), { maxLength: 4 })
        )
      )
    fc.assert(
      fc.property(masked, ([masked, cases]) => {
        const bytes = concat(cases.map(([frame, key]) => FrameEncoder.encode(frame, masked ? key : undefined)))
        const decoded = frames({ role: masked ? "server" : "client", rsv: 7 })(bytes)
        assert.isUndefined(decoded.violation)
        assert.deepStrictEqual(
          decoded.frames.map(shown),
          cases.map(([frame]) => shown(frame))
        )
      })
    )
  })

  it("never changes or returns the caller's payload", () => {
    fc.assert(
      fc.property(arbitraries.frame(true), fc.option(arbitraries.maskKey, { nil: undefined }), (frame, key) => {
        const before = hex(frame.payload)
        const bytes = FrameEncoder.encode(frame, key)
        bytes.fill(0)
        assert.strictEqual(hex(frame.payload), before)
        assert.strictEqual(
          bytes.length,
          FrameEncoder.headerBytes(frame.payload.length, key !== undefined) + frame.payload.length
        )
      })
    )
  })

  it("accepts a payload that is a view", () => {
    const whole = Uint8Array.from([1, 2, 3, 4])
    const bytes = FrameEncoder.encode(Frame.make(Opcode.Binary, { payload: whole.subarray(1, 3) }))
    assert.strictEqual(hex(bytes), "82020203")
  })
})
