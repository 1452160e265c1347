import { assert, describe, it } from "vitest"
import { Compressor, type DeflateOptions, type InflateOptions, type Zlib } from "@effect-websocket/protocol/Compressor"
import type { Violation } from "@effect-websocket/protocol/FrameDecoder"
import * as Message from "@effect-websocket/protocol/Message"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as fc from "fast-check"
import { deflateRawSync } from "node:zlib"
import * as arbitraries from "./arbitraries.js"
import { concat, facts, fromHex, hex, remoteFacts, tooLargeFacts, utf8 } from "./support.js"
import { deflated, livePeer, zlib } from "./zlib.js"

const mebibyte = 1024 * 1024

interface Setup {
  readonly outbound?: PermessageDeflate.Direction
  readonly inbound?: PermessageDeflate.Direction
  readonly options?: PermessageDeflate.Options
  readonly zlib?: Zlib
}

const takeover = (windowBits: number, contextTakeover = true) => ({ windowBits, contextTakeover })

const make = (setup: Setup = {}) =>
  new Compressor({
    zlib: setup.zlib ?? zlib,
    settings: PermessageDeflate.resolve(setup.options),
    agreement: {
      extension: PermessageDeflate.format({}),
      outbound: setup.outbound ?? takeover(12),
      inbound: setup.inbound ?? takeover(12)
    }
  })

/** The payload that a message is sent as; `undefined` if it is not deflated. */
const deflate = (compressor: Compressor, message: Message.Message, compress?: boolean): Uint8Array | undefined => {
  const deflation = compressor.deflation(message, compress)
  return deflation && compressor.deflate(deflation)
}

const inflate = (compressor: Compressor, payload: Uint8Array, maxBytes = mebibyte): Uint8Array | Violation => {
  // Inside something larger, so that offsets count, and for one call only.
  const padded = concat([Uint8Array.of(1, 2, 3), payload, Uint8Array.of(4)])
  const result = compressor.inflate(padded, 3, 3 + payload.length, maxBytes)
  padded.fill(0xee)
  return result
}

const textOf = (result: Uint8Array | Violation | undefined): string =>
  result instanceof Uint8Array ? Buffer.from(result).toString() : assert.fail(String(result))

const corrupt = remoteFacts("RFC 7692 §7.2.2", 1007)

/** Texts that share a lot with each other. */
const talk = (count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, i) =>
    JSON.stringify({ id: i, kind: "update", values: Array.from({ length: 90 }, (_, k) => `value ${i} of ${k}`) })
  )

describe("deflation", () => {
  const long = Message.text("x".repeat(1024))
  const short = Message.text("x".repeat(1023))

  it("deflates messages of at least the threshold, in bytes", () => {
    const compressor = make()
    assert.isDefined(compressor.deflation(long, undefined))
    assert.isUndefined(compressor.deflation(short, undefined))
    assert.isDefined(compressor.deflation(Message.text("é".repeat(512)), undefined))
    assert.isDefined(compressor.deflation(Message.binary(new Uint8Array(1024)), undefined))
    assert.isUndefined(compressor.deflation(Message.binary(new Uint8Array(1023)), undefined))
    assert.isDefined(make({ options: { threshold: 0 } }).deflation(Message.text(""), undefined))
  })

  it("deflates messages that pass the filter", () => {
    const compressor = make({ options: { filter: Message.isBinary } })
    assert.isUndefined(compressor.deflation(long, undefined))
    assert.isDefined(compressor.deflation(Message.binary(new Uint8Array(1024)), undefined))
  })

  it("follows the call, whatever the threshold and the filter say", () => {
    const compressor = make({ options: { filter: () => false } })
    assert.isDefined(compressor.deflation(short, true))
    assert.isUndefined(make().deflation(long, false))
  })

  it("does not deflate messages that would not become smaller, and never refers back to them", () => {
    const compressor = make()
    const peer = make()
    const data = arbitraries.noise(2000, 1)
    assert.isUndefined(deflate(compressor, Message.binary(data)))
    assert.isUndefined(deflate(compressor, Message.text(""), true))
    const payload = deflate(compressor, Message.binary(concat([data, new Uint8Array(500)])))
    assert.strictEqual(hex(inflate(peer, payload!) as Uint8Array), hex(concat([data, new Uint8Array(500)])))
  })

  it("does not deflate messages for which zlib returns undefined", () => {
    assert.isUndefined(deflate(make({ zlib: { ...zlib, deflate: () => undefined } }), long))
  })
})

describe("deflating", () => {
  it("passes the options and the earlier messages to zlib", () => {
    const seen: Array<DeflateOptions> = []
    const compressor = make({
      outbound: takeover(9),
      options: { level: 3, memLevel: 7 },
      zlib: {
        ...zlib,
        deflate: (data, options) => {
          seen.push({ ...options, dictionary: options.dictionary.slice() })
          return zlib.deflate(data, options)
        }
      }
    })
    const text = talk(1)[0]!
    deflate(compressor, Message.text(text))
    deflate(compressor, Message.text(text))
    assert.deepStrictEqual(
      seen.map(({ dictionary, ...rest }) => ({ ...rest, dictionary: Buffer.from(dictionary).toString() })),
      [
        { windowBits: 9, level: 3, memLevel: 7, dictionary: "" },
        { windowBits: 9, level: 3, memLevel: 7, dictionary: text.slice(-512) }
      ]
    )
  })

  it("does not refer back without context takeover", () => {
    const compressor = make({ outbound: takeover(15, false) })
    const message = Message.text(talk(1)[0]!)
    const first = deflate(compressor, message)
    assert.strictEqual(hex(deflate(compressor, message)!), hex(first!))
    assert.isBelow(deflate(make(), message)!.length, message.data.length)
  })

  it("accepts a message that was deflated elsewhere", () => {
    const compressor = make()
    const reference = make()
    for (const text of talk(3)) {
      const deflation = compressor.deflation(Message.text(text), undefined)!
      const elsewhere = zlib.deflate(deflation.data, deflation.options)
      assert.strictEqual(hex(compressor.finish(deflation, elsewhere)!), hex(deflate(reference, Message.text(text))!))
    }
  })
})

describe("inflating", () => {
  it.each([
    ["one block (§7.2.3.1)", "f248cdc9c90700"],
    ["two blocks (§7.2.3.5)", "f24805000000ffffcac9c90700"],
    ["a block without compression (§7.2.3.3)", "000500faff48656c6c6f00"],
    ["a final block (§7.2.3.4)", "f348cdc9c9070000"],
    ["a final block, without the octet behind it", "f348cdc9c90700"]
  ])("reads the RFC's %s", (_, payload) => {
    assert.strictEqual(textOf(inflate(make(), fromHex(payload))), "Hello")
  })

  it.each([
    ["one octet (§7.2.3.6)", "00"],
    ["a final block", "030000"],
    ["no octet", ""]
  ])("reads an empty message of %s", (_, payload) => {
    assert.strictEqual(textOf(inflate(make(), fromHex(payload))), "")
  })

  it("refers back to the messages before (§7.2.3.2)", () => {
    const compressor = make()
    assert.strictEqual(textOf(inflate(compressor, fromHex("f248cdc9c90700"))), "Hello")
    assert.strictEqual(textOf(inflate(compressor, fromHex("f200110000"))), "Hello")
    assert.deepStrictEqual(facts(inflate(make({ inbound: takeover(12, false) }), fromHex("f200110000"))), corrupt)
  })

  it("continues after final blocks, within a message and after it", () => {
    for (const contextTakeover of [true, false]) {
      const compressor = make({ inbound: takeover(15, contextTakeover) })
      const [first, second, third] = talk(3) as [string, string, string]
      // The second block refers back to the first one, and the last message to both.
      const message = concat([finalBlock(first, ""), finalBlock(second, first), fromHex("00")])
      assert.strictEqual(textOf(inflate(compressor, message)), first + second)
      const next = deflated(third, contextTakeover ? { dictionary: utf8(first + second) } : {})
      assert.strictEqual(textOf(inflate(compressor, next)), third)
    }
  })

  it("refuses more than 1,024 final blocks", () => {
    const blocks = (count: number) => concat(Array.from({ length: count }, () => fromHex("0300")))
    assert.strictEqual(textOf(inflate(make(), blocks(1024))), "")
    assert.deepStrictEqual(facts(inflate(make(), blocks(1025))), corrupt)
  })

  const whole = deflated("a message to break, ".repeat(20) + hex(arbitraries.noise(40, 1)))

  it.each([
    ["a reserved kind of block", fromHex("0700")],
    ["a block that is cut off", whole.subarray(0, whole.length - 8)],
    ["a block without compression that is cut off", fromHex("002000dfff48656c6c6f")],
    ["lengths that contradict each other", fromHex("000500fa0048656c6c6f00")],
    ["a code that cannot be", fromHex("04c0810800000000")],
    ["a reference to before the beginning", fromHex("f200110000")],
    ["what is no DEFLATE behind a final block", concat([fromHex("f348cdc9c90700"), fromHex("07ffffff")])],
    ["noise", arbitraries.noise(300, 5)]
  ])("refuses %s", (_, payload) => {
    assert.deepStrictEqual(facts(inflate(make(), payload)), corrupt)
  })

  it("refuses a reference to before the agreed window", () => {
    const data = arbitraries.noise(2000, 9)
    const again = deflated(data.subarray(0, 200), { dictionary: data })
    for (const [bits, expected] of [
      [12, undefined],
      [9, corrupt]
    ] as const) {
      const compressor = make({ inbound: takeover(bits) })
      inflate(compressor, deflated(data))
      const result = inflate(compressor, again)
      assert.deepStrictEqual(result instanceof Uint8Array ? undefined : facts(result), expected)
    }
  })

  it.each([new Error("out of memory"), "out of memory"])("fails with 1011 if zlib throws: %s", (thrown) => {
    const compressor = make({
      zlib: {
        ...zlib,
        inflate: () => {
          throw thrown
        }
      }
    })
    const failed = inflate(compressor, deflated(utf8("anything")))
    assert.deepInclude(failed, { _tag: "Protocol_error", origin: "local", section: "RFC 7692 §7.2.2", closeCode: 1011 })
    assert.include(String(failed), "out of memory")
  })

  it("stops at the limit", () => {
    const bomb = deflated(new Uint8Array(mebibyte))
    assert.strictEqual((inflate(make(), bomb) as Uint8Array).length, mebibyte)
    const tooLarge = (max: number) => tooLargeFacts("message", max, undefined, "inbound")
    assert.deepStrictEqual(facts(inflate(make(), bomb, mebibyte - 1)), tooLarge(mebibyte - 1))
    // The parts of a message count together.
    const parts = concat([finalBlock("a".repeat(600), ""), finalBlock("b".repeat(600), ""), fromHex("00")])
    assert.deepStrictEqual(facts(inflate(make(), parts, 1199)), tooLarge(1199))
    assert.strictEqual(textOf(inflate(make(), parts, 1200)).length, 1200)
  })

  it("passes zlib the rest of the limit, and the window of the peer", () => {
    const seen: Array<InflateOptions> = []
    const compressor = make({
      inbound: takeover(9),
      zlib: {
        ...zlib,
        inflate: (data, options) => {
          seen.push({ ...options, dictionary: options.dictionary.slice() })
          return zlib.inflate(data, options)
        }
      }
    })
    inflate(compressor, concat([finalBlock("hello ", ""), deflated("world")]), 100)
    inflate(compressor, deflated("!"), 50)
    assert.deepStrictEqual(
      seen.map(({ dictionary, ...rest }) => ({ ...rest, dictionary: Buffer.from(dictionary).toString() })),
      [
        { windowBits: 9, maxBytes: 100, dictionary: "" },
        { windowBits: 9, maxBytes: 94, dictionary: "hello " },
        { windowBits: 9, maxBytes: 50, dictionary: "hello world" }
      ]
    )
  })

  it("refuses messages above 64 KiB that grow more than the ratio allows", () => {
    const setup = { options: { maxRatio: 100 } }
    const small = deflated(new Uint8Array(64 * 1024))
    assert.isAbove((64 * 1024) / small.length, 500)
    assert.strictEqual((inflate(make(setup), small) as Uint8Array).length, 64 * 1024)
    const large = deflated(new Uint8Array(64 * 1024 + 1))
    assert.deepStrictEqual(facts(inflate(make(setup), large)), tooLargeFacts("ratio", 100, undefined, "inbound"))
    const text = utf8(hex(arbitraries.noise(100_000, 3)))
    assert.strictEqual((inflate(make(setup), deflated(text, { windowBits: 12 })) as Uint8Array).length, text.length)
  })
})

describe("a stream of zlib", () => {
  /** A stream that deflates as zlib does, and writes down what it is told. */
  const streaming = () => {
    const seen: Array<string> = []
    const name = (dictionary: Uint8Array) => Buffer.from(dictionary).toString()
    const withStreams: Zlib = {
      ...zlib,
      deflateStream: () => ({
        deflate: (data, options) => {
          seen.push(`deflate behind ${name(options.dictionary)}`)
          return zlib.deflate(data, options)
        },
        sent: (dictionary) => void seen.push(`sent ${name(dictionary)}`)
      })
    }
    return { seen, zlib: withStreams }
  }
  const a = utf8("a".repeat(30))
  const b = utf8("b".repeat(30))

  it("learns which output was sent, and the dictionary after it", () => {
    const { seen, zlib: withStreams } = streaming()
    const compressor = make({ zlib: withStreams, outbound: takeover(9) })
    deflate(compressor, Message.binary(a), true)
    deflate(compressor, Message.binary(b), true)
    const [first, second] = [Buffer.from(a).toString(), Buffer.from(b).toString()]
    assert.deepStrictEqual(seen, [
      "deflate behind ",
      `sent ${first}`,
      `deflate behind ${first}`,
      `sent ${first}${second}`
    ])
  })

  it("does not learn of messages that were not sent, or were deflated elsewhere", () => {
    const { seen, zlib: withStreams } = streaming()
    const compressor = make({ zlib: withStreams })
    deflate(compressor, Message.binary(arbitraries.noise(30, 1)), true)
    const early = compressor.deflation(Message.binary(a), true)!
    const output = compressor.run(early)
    const later = compressor.deflation(Message.binary(b), true)!
    assert.isDefined(compressor.finish(later, zlib.deflate(b, later.options)))
    assert.isUndefined(compressor.finish(early, output))
    assert.deepStrictEqual(seen, ["deflate behind ", "deflate behind "])
  })

  it("is not made without context takeover", () => {
    const { seen, zlib: withStreams } = streaming()
    assert.isDefined(deflate(make({ zlib: withStreams, outbound: takeover(9, false) }), Message.binary(a), true))
    assert.isEmpty(seen)
  })
})

describe("with a peer that keeps live streams", () => {
  for (const windowBits of [9, 12, 15]) {
    for (const contextTakeover of [true, false]) {
      it(`both ways with ${windowBits} bits, ${contextTakeover ? "with" : "without"} context takeover`, async () => {
        const direction = takeover(windowBits, contextTakeover)
        const compressor = make({ outbound: direction, inbound: direction })
        const peer = livePeer(direction, direction)
        for (const text of [...talk(8), "x".repeat(40_000), talk(40).join(), ...talk(2)]) {
          const payload = deflate(compressor, Message.text(text))
          assert.strictEqual(textOf(await peer.decompress(payload!)), text)
          assert.strictEqual(textOf(inflate(compressor, await peer.compress(utf8(text)))), text)
        }
      })
    }
  }
})

describe("properties", () => {
  const bits = fc.integer({ min: 9, max: 15 })
  const chunk = fc.oneof(
    fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 3 })).map(([length, seed]) => arbitraries.noise(length, seed)),
    fc.integer({ min: 0, max: 5000 }).map((length) => new Uint8Array(length).fill(7))
  )
  const messages = fc.array(fc.array(chunk, { maxLength: 4 }).map(concat), { maxLength: 8 })

  it("one side inflates what the other one deflates", () => {
    fc.assert(
      fc.property(bits, fc.boolean(), messages, (windowBits, contextTakeover, all) => {
        const outbound = { windowBits, contextTakeover }
        const sender = make({ outbound })
        const receiver = make({ inbound: outbound })
        for (const data of all) {
          const payload = deflate(sender, Message.binary(data), true)
          if (payload === undefined) continue
          assert.isBelow(payload.length, data.length)
          assert.strictEqual(hex(inflate(receiver, payload) as Uint8Array), hex(data))
        }
      })
    )
  })

  it("no payload makes it throw or exceed the limit", () => {
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(chunk, fc.nat(), fc.nat({ max: 255 })).map(([data, place, byte]) => {
        const bytes = deflated(data)
        bytes[place % bytes.length] = byte
        return bytes
      })
    )
    fc.assert(
      fc.property(fc.array(payload, { maxLength: 4 }), fc.nat({ max: 3000 }), (payloads, maxBytes) => {
        const compressor = make()
        for (const one of payloads) {
          const result = inflate(compressor, one, maxBytes)
          if (!(result instanceof Uint8Array)) return
          assert.isAtMost(result.length, maxBytes)
        }
      })
    )
  })
})

/** A block that is marked as final, and padded to a whole octet. */
const finalBlock = (text: string, dictionary: string): Uint8Array =>
  Uint8Array.from(deflateRawSync(text, dictionary === "" ? {} : { dictionary: utf8(dictionary) }))
