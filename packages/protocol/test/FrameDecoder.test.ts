import { assert, describe, it } from "vitest"
import { ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Frame from "@effect-websocket/protocol/Frame"
import {
  FrameDecoder,
  frames,
  type DecodedFrames,
  type FrameHeader,
  type FrameVisitor,
  type Options,
  type Role
} from "@effect-websocket/protocol/FrameDecoder"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as fc from "fast-check"
import * as arbitraries from "./arbitraries.js"
import { concat, facts, fromHex, hex, remoteFacts, tooLargeFacts } from "./support.js"

const maxSafe = Number.MAX_SAFE_INTEGER
const key = 0x37fa213d

/** All that was decoded from chunks, in a shape that is easy to compare and to read. */
const decodeAll = (options: Options, chunks: ReadonlyArray<Uint8Array>) => {
  const decode = frames(options)
  const results: ReadonlyArray<DecodedFrames> = chunks.map((chunk) => decode(chunk))
  return {
    frames: results.flatMap(({ frames }) => frames.map((frame) => ({ ...frame, payload: hex(frame.payload) }))),
    violations: results.flatMap(({ violation }) => (violation === undefined ? [] : [{ ...violation }]))
  }
}

const bytewise = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => Array.from(bytes, (byte) => Uint8Array.of(byte))

interface Fault {
  readonly name: string
  readonly role: Role
  /** Up to the byte that shows the fault. */
  readonly bytes: string
  readonly violation: Record<string, unknown>
  readonly options?: Omit<Options, "role">
}

const roles = ["client", "server"] as const
const octet = (value: number): string => value.toString(16).padStart(2, "0")
/** The second byte of a header as it should be for the role that decodes. */
const second = (role: Role, length: number): string => octet(role === "server" ? 0x80 | length : length)

const faults: ReadonlyArray<Fault> = [
  { name: "an unmasked client frame", role: "server", bytes: "81 00", violation: remoteFacts("RFC 6455 §5.1", 1002) },
  { name: "a masked server frame", role: "client", bytes: "81 80", violation: remoteFacts("RFC 6455 §5.1", 1002) },
  ...roles.flatMap((role): ReadonlyArray<Fault> => [
    ...[1, 2, 3, 4, 5, 6, 7].flatMap((rsv) =>
      [Opcode.Continuation, Opcode.Text, Opcode.Binary, Opcode.Ping].map((opcode) => ({
        name: `RSV ${rsv} on ${Opcode.toName(opcode)} (${role})`,
        role,
        bytes: octet(0x80 | (rsv << 4) | opcode),
        violation: remoteFacts("RFC 6455 §5.2", 1002)
      }))
    ),
    ...[3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf].flatMap((opcode) =>
      [0x80, 0].map((fin) => ({
        name: `the opcode ${opcode}, FIN ${fin} (${role})`,
        role,
        bytes: octet(fin | opcode),
        violation: remoteFacts("RFC 6455 §5.2", 1002)
      }))
    ),
    ...[Opcode.Close, Opcode.Ping, Opcode.Pong].flatMap((opcode): ReadonlyArray<Fault> => {
      const name = `${Opcode.toName(opcode)} (${role})`
      return [
        { name: `a fragmented ${name}`, role, bytes: octet(opcode), violation: remoteFacts("RFC 6455 §5.5", 1002) },
        {
          name: `a compressed ${name}`,
          role,
          bytes: octet(0xc0 | opcode),
          violation: remoteFacts("RFC 7692 §6.1", 1002),
          options: { rsv: 4 }
        },
        ...[126, 127].map((length) => ({
          name: `the length ${length} in a ${name}`,
          role,
          bytes: octet(0x80 | opcode) + second(role, length),
          violation: remoteFacts("RFC 6455 §5.5", 1002)
        }))
      ]
    }),
    ...[0, 1, 125].map((length) => ({
      name: `${length} in 16 bits (${role})`,
      role,
      bytes: `82 ${second(role, 126)} 00${octet(length)}`,
      violation: remoteFacts("RFC 6455 §5.2", 1002)
    })),
    ...["00000000", "0000007d", "0000007e", "0000ffff"].map((length) => ({
      name: `${length} in 64 bits (${role})`,
      role,
      bytes: `82 ${second(role, 127)} 00000000 ${length}`,
      violation: remoteFacts("RFC 6455 §5.2", 1002)
    })),
    ...["0020000000000000", "0020000000000001", "00ffffffffffffff", "8000000000000000", "ffffffffffffffff"].map(
      (length) => ({
        name: `the length ${length} (${role})`,
        role,
        bytes: `82 ${second(role, 127)} ${length}`,
        violation: tooLargeFacts("frame", maxSafe, undefined, "inbound")
      })
    ),
    {
      name: `2^53 above a limit (${role})`,
      role,
      bytes: `82 ${second(role, 127)} 0020000000000000`,
      violation: tooLargeFacts("frame", 1000, undefined, "inbound"),
      options: { maxFrameBytes: 1000 }
    },
    {
      name: `2^53 - 1 above a limit (${role})`,
      role,
      bytes: `82 ${second(role, 127)} 001fffffffffffff`,
      violation: tooLargeFacts("frame", 2 ** 40, maxSafe, "inbound"),
      options: { maxFrameBytes: 2 ** 40 }
    },
    // Only the high half tells that this is too much.
    {
      name: `2^32 above a limit (${role})`,
      role,
      bytes: `82 ${second(role, 127)} 0000000100000000`,
      violation: tooLargeFacts("frame", 70000, 2 ** 32, "inbound"),
      options: { maxFrameBytes: 70000 }
    },
    ...(
      [
        [125, 124, ""],
        [126, 125, "007e"],
        [65535, 65534, "ffff"],
        [65536, 65535, "0000000000010000"]
      ] as const
    ).map(([size, maxFrameBytes, extended]) => ({
      name: `${size} bytes where ${maxFrameBytes} are allowed (${role})`,
      role,
      bytes: `82 ${second(role, size < 126 ? size : size < 65536 ? 126 : 127)} ${extended}`,
      violation: tooLargeFacts("frame", maxFrameBytes, size, "inbound"),
      options: { maxFrameBytes }
    })),
    {
      name: `a control frame above a limit (${role})`,
      role,
      bytes: `89 ${second(role, 11)}`,
      violation: tooLargeFacts("frame", 10, 11, "inbound"),
      options: { maxFrameBytes: 10 }
    }
  ])
]

describe("FrameDecoder", () => {
  describe("frames", () => {
    it.each(faults)("refuses $name", ({ bytes, options, role, violation }) => {
      const fault = fromHex(bytes)
      const valid = Frame.make(Opcode.Binary, { masked: role === "server", payload: Uint8Array.of(1, 2, 3) })
      const before = encode(valid, role === "server" ? key : undefined)
      const decode = frames({ role, ...options })

      const whole = decode(concat([before, before, fault, before]))
      assert.deepStrictEqual(whole.frames, [valid, valid])
      assert.deepStrictEqual(facts(whole.violation), violation)
      assert.deepStrictEqual(decode(before), { frames: [], violation: undefined }, "later input is ignored")

      // A byte at a time, the violation shows at the byte that makes it one, and not before.
      const dribble = frames({ role, ...options })
      const results = bytewise(concat([before, fault])).map((byte) => dribble(byte))
      assert.deepStrictEqual(facts(results.at(-1)?.violation), violation)
      assert.isTrue(results.slice(0, -1).every((result) => result.violation === undefined))
      assert.deepStrictEqual(
        results.flatMap(({ frames }) => frames),
        [valid]
      )
      assert.deepStrictEqual(dribble(before), { frames: [], violation: undefined })
    })

    it("allows exactly the reserved bits that have a meaning", () => {
      for (let allowed = 0; allowed < 8; allowed++) {
        for (let rsv = 0; rsv < 8; rsv++) {
          const bytes = encode(Frame.make(Opcode.Text, { rsv }))
          const decoded = decodeAll({ role: "client", rsv: allowed }, [bytes])
          const refused = (rsv & ~allowed) !== 0
          assert.strictEqual(decoded.violations.length, refused ? 1 : 0, `${rsv} of ${allowed}`)
          assert.deepStrictEqual(
            decoded.frames.map((frame) => frame.rsv),
            refused ? [] : [rsv]
          )
        }
      }
    })

    it.each(arbitraries.edgeLengths)("accepts %i bytes if that is the limit", (length) => {
      for (const role of roles) {
        const frame = Frame.make(Opcode.Binary, { masked: role === "server", payload: arbitraries.noise(length, 1) })
        const bytes = encode(frame, role === "server" ? key : undefined)
        assert.deepStrictEqual(decodeAll({ role, maxFrameBytes: length }, [bytes]), {
          frames: [{ ...frame, payload: hex(frame.payload) }],
          violations: []
        })
      }
    })

    it("returns a frame with the chunk that completes it", () => {
      const masked = encode(Frame.make(Opcode.Text, { payload: Uint8Array.of(1, 2) }), key)
      const decode = frames({ role: "server" })
      const counts = bytewise(concat([masked, encode(Frame.make(Opcode.Ping), key)])).map(
        (byte) => decode(byte).frames.length
      )
      assert.deepStrictEqual(counts, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1])
    })

    it("holds memory for the bytes that arrived, not for those that a header announces", () => {
      for (const [role, secondByte] of [
        ["client", "7f"],
        ["server", "ff"]
      ] as const) {
        // 1 TiB: more than can be allocated.
        const decode = frames({ role })
        assert.deepStrictEqual(decode(fromHex(`82${secondByte}0000010000000000 00000000 0102`)), {
          frames: [],
          violation: undefined
        })
        assert.deepStrictEqual(decode(new Uint8Array(100)), { frames: [], violation: undefined })
      }
    })

    it("gives every frame a payload that keeps no other memory alive", () => {
      const payloads = [0, 3, 300, 70000].map((length) => arbitraries.noise(length, length))
      const bytes = concat(payloads.map((payload) => encode(Frame.make(Opcode.Binary, { payload }))))
      const found = frames({ role: "client" })(bytes).frames
      assert.deepStrictEqual(
        found.map(({ payload }) => payload.buffer.byteLength),
        [0, 3, 300, 70000]
      )
    })

    it("never changes or keeps a chunk", () => {
      const stream = fc.array(fc.tuple(arbitraries.shortFrame(true), arbitraries.maskKey), { maxLength: 4 })
      fc.assert(
        fc.property(stream, arbitraries.cuts, (cases, cuts) => {
          const bytes = concat(cases.map(([frame, key]) => encode(frame, key)))
          const decode = frames({ role: "server", rsv: 7 })
          const decoded = arbitraries.split(bytes, cuts).flatMap((chunk) => {
            const before = hex(chunk)
            const { frames } = decode(chunk)
            assert.strictEqual(hex(chunk), before)
            chunk.fill(0xaa)
            return frames
          })
          assert.deepStrictEqual(
            decoded.map(({ payload }) => hex(payload)),
            cases.map(([frame]) => hex(frame.payload))
          )
        })
      )
    })

    const limits = fc.record({
      role: fc.constantFrom(...roles),
      rsv: fc.integer({ min: 0, max: 7 }),
      maxFrameBytes: fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined })
    })
    const mutatedFrames = fc
      .tuple(
        fc.array(fc.tuple(fc.boolean().chain(arbitraries.shortFrame), arbitraries.maskKey), { maxLength: 5 }),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 })
      )
      .map(([cases, mutations]) => {
        const bytes = concat(cases.map(([frame, key]) => encode(frame, frame.masked ? key : undefined)))
        for (const [place, value] of mutations) if (bytes.length > 0) bytes[place % bytes.length] = value
        return bytes
      })
    const hostile = fc.oneof(
      mutatedFrames,
      fc.uint8Array({ maxLength: 60 }),
      // Headers that are mostly right, so that the decoder comes past the first one.
      fc
        .array(fc.constantFrom(0x00, 0x01, 0x02, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x88, 0x89, 0xfe, 0xff), {
          maxLength: 60
        })
        .map((bytes) => Uint8Array.from(bytes))
    )

    it("decodes any input the same however it is split, and never throws", () => {
      fc.assert(
        fc.property(limits, hostile, arbitraries.cuts, (options, bytes, cuts) => {
          const whole = decodeAll(options, [bytes])
          assert.isAtMost(whole.violations.length, 1)
          assert.deepStrictEqual(decodeAll(options, arbitraries.split(bytes, cuts)), whole)
          assert.deepStrictEqual(decodeAll(options, bytewise(bytes)), whole)
        }),
        { numRuns: 1000 }
      )
    })

    it("decodes valid input the same however it is split", () => {
      const streams = fc
        .constantFrom(...roles)
        .chain((role) =>
          fc.tuple(
            fc.constant(role),
            fc.array(fc.tuple(arbitraries.frame(role === "server"), arbitraries.maskKey), { maxLength: 5 })
          )
        )
      fc.assert(
        fc.property(streams, arbitraries.cuts, ([role, cases], cuts) => {
          const bytes = concat(cases.map(([frame, key]) => encode(frame, role === "server" ? key : undefined)))
          assert.deepStrictEqual(decodeAll({ role, rsv: 7 }, arbitraries.split(bytes, cuts)), {
            frames: cases.map(([frame]) => ({ ...frame, payload: hex(frame.payload) })),
            violations: []
          })
        })
      )
    })
  })

  describe("with a visitor", () => {
    type Call =
      | (FrameHeader & { readonly call: "header" })
      | { readonly call: "payload"; readonly bytes: string; readonly final: boolean }

    /** Records all calls; `react` may answer one or stop the decoder. */
    const record = (
      options: Options,
      react: (call: Call, decoder: FrameDecoder) => ProtocolError | undefined = () => undefined
    ) => {
      const calls: Array<Call> = []
      const take = (call: Call) => {
        calls.push(call)
        return react(call, decoder)
      }
      const visitor: FrameVisitor = {
        onHeader: ({ fin, length, opcode, rsv }) => take({ call: "header", fin, rsv, opcode, length }),
        onPayload: (chunk, start, end, final) =>
          take({ call: "payload", bytes: hex(chunk.subarray(start, end)), final })
      }
      const decoder = new FrameDecoder(options, visitor)
      return { calls, decoder }
    }
    const header = (opcode: number, length: number): Call => ({ call: "header", fin: true, rsv: 0, opcode, length })
    const payload = (bytes: string, final: boolean): Call => ({ call: "payload", bytes, final })
    const refusal = new ProtocolError({ origin: "remote", description: "no", section: "here", closeCode: 1002 })
    const twoFrames = fromHex("8203010203 8100")

    it("reports a header before its payload, and a payload in the parts that arrive", () => {
      const { calls, decoder } = record({ role: "client" })
      for (const chunk of ["8203", "01", "0203 8100 89", "00"]) assert.isUndefined(decoder.decode(fromHex(chunk)))
      assert.deepStrictEqual(calls, [
        header(Opcode.Binary, 3),
        payload("", false),
        payload("01", false),
        payload("0203", true),
        header(Opcode.Text, 0),
        payload("", true),
        header(Opcode.Ping, 0),
        payload("", true)
      ])
    })

    it("knows whether a frame has begun and has not ended", () => {
      for (const role of ["client", "server"] as const) {
        const { decoder } = record({ role })
        assert.isFalse(decoder.started)
        const frame = role === "client" ? fromHex("8202 0102") : fromHex("8282 37fa213d 0102")
        for (const [i, octet] of frame.entries()) {
          assert.isUndefined(decoder.decode(Uint8Array.of(octet)))
          assert.strictEqual(decoder.started, i < frame.length - 1, `${role}, octet ${i}`)
        }
        // An empty one ends with its header; a header may come in one piece, without its payload.
        assert.isUndefined(decoder.decode(role === "client" ? fromHex("8200") : fromHex("8280 37fa213d")))
        assert.isFalse(decoder.started)
        assert.isUndefined(decoder.decode(frame.slice(0, -2)))
        assert.isTrue(decoder.started)
      }
    })

    it("unmasks each part in place, with the right octet of the key", () => {
      const { calls, decoder } = record({ role: "server" })
      const chunks = ["828537fa", "213d7f", "9f4d", "5158"].map(fromHex)
      for (const chunk of chunks) assert.isUndefined(decoder.decode(chunk))
      assert.deepStrictEqual(calls, [
        header(Opcode.Binary, 5),
        payload("48", false),
        payload("656c", false),
        payload("6c6f", true)
      ])
      assert.deepStrictEqual(chunks.map(hex), ["828537fa", "213d48", "656c", "6c6f"])
    })

    it("changes no byte of a client's chunk, nor of the next frame", () => {
      const chunk = fromHex("8203010203 8100")
      record({ role: "client" }).decoder.decode(chunk)
      assert.strictEqual(hex(chunk), "82030102038100")
      const masked = fromHex("828101020304ff 8281000000")
      record({ role: "server" }).decoder.decode(masked)
      assert.strictEqual(hex(masked), "828101020304fe8281000000")
    })

    it("accepts lengths up to 2^53 - 1", () => {
      const { calls, decoder } = record({ role: "client" })
      decoder.decode(fromHex("827f001fffffffffffff"))
      decoder.decode(fromHex("00"))
      assert.deepStrictEqual(calls, [header(Opcode.Binary, maxSafe), payload("", false), payload("00", false)])
    })

    it("ends when a header is refused", () => {
      const { calls, decoder } = record({ role: "client" }, ({ call }) => (call === "header" ? refusal : undefined))
      assert.strictEqual(decoder.decode(twoFrames), refusal)
      assert.isUndefined(decoder.decode(twoFrames))
      assert.deepStrictEqual(calls, [header(Opcode.Binary, 3)])
    })

    it("ends when a part of a payload is refused", () => {
      const { calls, decoder } = record({ role: "client" }, ({ call }) => (call === "payload" ? refusal : undefined))
      assert.strictEqual(decoder.decode(twoFrames), refusal)
      assert.isUndefined(decoder.decode(twoFrames))
      assert.deepStrictEqual(calls, [header(Opcode.Binary, 3), payload("010203", true)])
    })

    it.each(["header", "payload"] as const)("ignores all input after a stop in a %s", (where) => {
      const { calls, decoder } = record({ role: "client" }, ({ call }, decoder) => {
        if (call === where) decoder.stop()
        return undefined
      })
      assert.isUndefined(decoder.decode(twoFrames))
      assert.isUndefined(decoder.decode(twoFrames))
      // Not even a violation.
      assert.isUndefined(decoder.decode(fromHex("ffff")))
      assert.deepStrictEqual(
        calls,
        [header(Opcode.Binary, 3), payload("010203", true)].filter(
          ({ call }) => where === "payload" || call === "header"
        )
      )
    })

    it("ignores all input after a stop between two chunks", () => {
      const { calls, decoder } = record({ role: "client" })
      assert.isUndefined(decoder.decode(fromHex("820301")))
      decoder.stop()
      assert.isUndefined(decoder.decode(fromHex("0203")))
      assert.deepStrictEqual(calls, [header(Opcode.Binary, 3), payload("01", false)])
    })
  })

  it("accepts the reserved opcodes of its options, each with the rules of its kind", () => {
    const options = { role: "client", opcodes: [0x3, 0xb], rsv: 2 } as const
    const decodeOne = (first: number, size = 0, options_: Options = options) =>
      frames(options_)(concat([Uint8Array.of(first, size), new Uint8Array(size)]))
    for (let opcode = 0; opcode < 16; opcode++) {
      const known = Opcode.isOpcode(opcode) || opcode === 0x3 || opcode === 0xb
      const { frames: found, violation } = decodeOne(0x80 | opcode)
      assert.deepStrictEqual(
        found.map((frame) => frame.opcode),
        known ? [opcode] : []
      )
      if (!known) assert.deepStrictEqual(facts(violation), remoteFacts("RFC 6455 §5.2", 1002))
    }
    assert.deepStrictEqual(decodeOne(0xa3).frames, [Frame.make(0x3, { rsv: 2 })])
    assert.deepStrictEqual(decodeOne(0x03).frames, [Frame.make(0x3, { fin: false })])
    assert.deepStrictEqual(facts(decodeOne(0xc3).violation), remoteFacts("RFC 6455 §5.2", 1002))
    assert.deepStrictEqual(facts(decodeOne(0xab).violation), remoteFacts("RFC 7692 §6.1", 1002))
    assert.deepStrictEqual(facts(decodeOne(0x0b).violation), remoteFacts("RFC 6455 §5.5", 1002))
    assert.deepStrictEqual(facts(decodeOne(0x8b, 126).violation), remoteFacts("RFC 6455 §5.5", 1002))
    assert.deepStrictEqual(decodeOne(0x8b, 125).frames.length, 1)
  })

  it.each<[Partial<Options>]>([
    [{ opcodes: [1] }],
    [{ opcodes: [3, 8] }],
    [{ opcodes: [16] }],
    [{ opcodes: [3.5] }],
    [{ rsv: 8 }],
    [{ rsv: -1 }],
    [{ rsv: 1.5 }]
  ])("throws for %j", (options) => {
    assert.throws(() => frames({ role: "client", ...options }), RangeError)
  })
})
