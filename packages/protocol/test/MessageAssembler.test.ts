import { constants, deflateRawSync, inflateRawSync } from "node:zlib"
import { assert, describe, it } from "vitest"
import { PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import type { Violation } from "@effect-websocket/protocol/FrameDecoder"
import { Binary, Text, type Message } from "@effect-websocket/protocol/Message"
import { MessageAssembler } from "@effect-websocket/protocol/MessageAssembler"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as fc from "fast-check"
import * as arbitraries from "./arbitraries.js"
import { concat, facts, fatalDecode, fromHex, hex, remoteFacts, tooLargeFacts, utf8 } from "./support.js"

const make = (options?: { readonly maxMessageBytes?: number; readonly maxFragments?: number }) =>
  new MessageAssembler({ maxMessageBytes: 1024 * 1024, maxFragments: 1024, ...options })

const header = (opcode: number, length: number, fin = true) => ({ fin, rsv: 0, opcode, length })

/** Sends a message as fragments, each of which arrives in some chunks. */
const assemble = (
  assembler: MessageAssembler,
  opcode: number,
  fragments: ReadonlyArray<ReadonlyArray<Uint8Array>>
): Message | Violation | undefined => {
  let result: Message | Violation | undefined = undefined
  for (const [i, chunks] of fragments.entries()) {
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    const refused = assembler.begin(header(i === 0 ? opcode : Opcode.Continuation, length, i === fragments.length - 1))
    if (refused !== undefined) return refused
    for (const [j, chunk] of chunks.entries()) {
      // Inside something larger, so that offsets count.
      const padded = concat([Uint8Array.of(0xff, 0xff), chunk, Uint8Array.of(0xff)])
      result = assembler.append(padded, 2, 2 + chunk.length, j === chunks.length - 1)
      padded.fill(0xee)
      const last = i === fragments.length - 1 && j === chunks.length - 1
      if (result !== undefined && !last) {
        assert.notInstanceOf(result, Text)
        assert.notInstanceOf(result, Binary)
        return result
      }
    }
  }
  return result
}

const dataOf = (result: Message | Violation | undefined): string | Uint8Array => {
  assert(result instanceof Text || result instanceof Binary, `no message: ${String(result)}`)
  return result.data
}

const invalidUtf8 = remoteFacts("RFC 6455 §8.1", 1007)

describe("MessageAssembler", () => {
  describe("order", () => {
    it("refuses a continuation of nothing, at the start and after a message", () => {
      const assembler = make()
      assert.strictEqual(dataOf(assemble(assembler, Opcode.Text, [[utf8("a")], [utf8("b")]])), "ab")
      for (const one of [assembler, make()]) {
        assert.deepStrictEqual(facts(one.begin(header(Opcode.Continuation, 0))), remoteFacts("RFC 6455 §5.4", 1002))
      }
    })

    it.each([Opcode.Text, Opcode.Binary])("refuses opcode %i inside a fragmented message", (opcode) => {
      const assembler = make()
      assert.isUndefined(assembler.begin(header(Opcode.Binary, 1, false)))
      assert.isUndefined(assembler.append(Uint8Array.of(1), 0, 1, true))
      assert.deepStrictEqual(facts(assembler.begin(header(opcode, 0))), remoteFacts("RFC 6455 §5.4", 1002))
    })

    it("accepts one message after another, of any kind", () => {
      const assembler = make()
      const texts = ["", "one", "two"].map((text) =>
        dataOf(assemble(assembler, Opcode.Text, [[utf8(text)], [utf8("")]]))
      )
      assert.deepStrictEqual(texts, ["", "one", "two"])
      assert.deepStrictEqual(dataOf(assemble(assembler, Opcode.Binary, [[Uint8Array.of(0xff)]])), Uint8Array.of(0xff))
      assert.isUndefined(assembler.begin(header(Opcode.Binary, 2)))
      assert.deepStrictEqual(dataOf(assembler.whole(Uint8Array.of(1, 2), 0, 2, false)), Uint8Array.of(1, 2))
      assert.strictEqual(dataOf(assemble(assembler, Opcode.Text, [[utf8("th")], [utf8("ree")]])), "three")
    })

    it("recognises a frame that is a message by itself", () => {
      const assembler = make()
      const seen: Array<boolean> = []
      for (const [opcode, fin] of [
        [Opcode.Text, true],
        [Opcode.Text, false],
        [Opcode.Continuation, false],
        [Opcode.Continuation, true],
        [Opcode.Binary, true]
      ] as const) {
        assert.isUndefined(assembler.begin(header(opcode, 0, fin)))
        seen.push(assembler.unfragmented)
        assembler.append(new Uint8Array(0), 0, 0, true)
      }
      assert.deepStrictEqual(seen, [true, false, false, false, true])
    })
  })

  describe("limits", () => {
    it("accepts a message of exactly the limit and refuses a larger one on its header", () => {
      assert.deepStrictEqual(
        dataOf(assemble(make({ maxMessageBytes: 3 }), Opcode.Binary, [[fromHex("01")], [fromHex("0203")]])),
        fromHex("010203")
      )
      assert.deepStrictEqual(
        facts(make({ maxMessageBytes: 3 }).begin(header(Opcode.Text, 4))),
        tooLargeFacts("message", 3, 4, "inbound")
      )
      assert.deepStrictEqual(
        facts(make({ maxMessageBytes: 3 }).begin(header(Opcode.Text, 2 ** 53 - 1, false))),
        tooLargeFacts("message", 3, 2 ** 53 - 1, "inbound")
      )
    })

    it("adds the fragments up", () => {
      const assembler = make({ maxMessageBytes: 3 })
      assert.isUndefined(assemble(assembler, Opcode.Binary, [[fromHex("0102")], []]))
      assert.deepStrictEqual(
        facts(assembler.begin(header(Opcode.Continuation, 2, false))),
        tooLargeFacts("message", 3, 4, "inbound")
      )
    })

    it("counts each message by itself", () => {
      const assembler = make({ maxMessageBytes: 2, maxFragments: 2 })
      for (let i = 0; i < 3; i++) {
        assert.deepStrictEqual(
          dataOf(assemble(assembler, Opcode.Binary, [[Uint8Array.of(i)], [Uint8Array.of(i)]])),
          Uint8Array.of(i, i)
        )
      }
    })

    it("counts fragments, empty ones too", () => {
      const assembler = make({ maxFragments: 3 })
      const none = new Uint8Array(0)
      assert.strictEqual(dataOf(assemble(assembler, Opcode.Text, [[none], [none], [none]])), "")
      assert.deepStrictEqual(
        facts(assemble(assembler, Opcode.Text, [[none], [none], [none], [none]])),
        tooLargeFacts("fragments", 3, 4, "inbound")
      )
    })

    it("allocates memory for the bytes that arrived, not for those that a header announces", () => {
      const assembler = make({ maxMessageBytes: 2 ** 41 })
      assert.isUndefined(assembler.begin(header(Opcode.Binary, 2 ** 40)))
      assert.isUndefined(assembler.append(Uint8Array.of(1), 0, 1, false))
      assert.isUndefined(assembler.append(new Uint8Array(1000), 0, 1000, false))
    })

    it("never holds more for a message than the limit, or four times the message", () => {
      const fragments = fc.array(fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 4 }), {
        minLength: 1,
        maxLength: 20
      })
      fc.assert(
        fc.property(fragments, fc.nat(3000), (lengths, spare) => {
          const chunks = lengths.map((parts) => parts.map((length) => arbitraries.noise(length, length)))
          const bytes = concat(chunks.flat())
          const limit = bytes.length + spare
          const data = dataOf(assemble(make({ maxMessageBytes: limit }), Opcode.Binary, chunks))
          assert.instanceOf(data, Uint8Array)
          assert.strictEqual(hex(data), hex(bytes))
          assert.isAtMost(data.buffer.byteLength, Math.min(limit, 4 * bytes.length))
        })
      )
    })

    it.each<[what: string, lengths: ReadonlyArray<ReadonlyArray<number>>]>([
      ["one frame in parts", [[10, 990]]],
      ["the last fragment, which tells the size", [[256], [100]]],
      ["fragments too small for the first buffer", [[1], [1]]]
    ])("holds exactly the bytes of the message for %s", (_, lengths) => {
      const chunks = lengths.map((parts) => parts.map((length) => arbitraries.noise(length, length)))
      const data = dataOf(assemble(make(), Opcode.Binary, chunks))
      assert.instanceOf(data, Uint8Array)
      assert.strictEqual(hex(data), hex(concat(chunks.flat())))
      assert.strictEqual(data.buffer.byteLength, data.length)
    })

    it("grows for tiny fragments without exceeding the limit", () => {
      const count = 1000
      const chunks = Array.from({ length: count }, (_, i) => [Uint8Array.of(i)])
      const data = dataOf(assemble(make({ maxMessageBytes: count }), Opcode.Binary, chunks))
      assert.instanceOf(data, Uint8Array)
      assert.strictEqual(hex(data), hex(concat(chunks.flat())))
      assert.strictEqual(data.buffer.byteLength, count)
    })
  })

  describe("text", () => {
    it.each([
      ["a byte order mark", "\ufeffa\ufeff"],
      ["U+FFFD", "\ufffd"],
      ["NUL", "\0"],
      ["all lengths", "aü€🌍"]
    ])("keeps %s", (_, text) => {
      const bytes = utf8(text)
      assert.strictEqual(dataOf(assemble(make(), Opcode.Text, [[bytes]])), text)
      assert.strictEqual(
        dataOf(
          assemble(
            make(),
            Opcode.Text,
            Array.from(bytes, (byte) => [Uint8Array.of(byte)])
          )
        ),
        text
      )
      const assembler = make()
      assembler.begin(header(Opcode.Text, bytes.length))
      assert.strictEqual(dataOf(assembler.whole(concat([bytes, bytes]), bytes.length, 2 * bytes.length, true)), text)
    })

    it.each(["ff", "c080", "eda080", "f4908080", "80", "61e282", "f0", "e28261"])("refuses %s", (bytes) => {
      const chunk = fromHex(bytes)
      const assembler = make()
      assembler.begin(header(Opcode.Text, chunk.length))
      assert.deepStrictEqual(facts(assembler.whole(chunk, 0, chunk.length, true)), invalidUtf8)
      assert.deepStrictEqual(facts(assemble(make(), Opcode.Text, [[chunk]])), invalidUtf8)
      assert.deepStrictEqual(facts(assemble(make(), Opcode.Text, [[chunk], [new Uint8Array(0)]])), invalidUtf8)
    })

    it("fails within the part that has an invalid byte, before the message ends", () => {
      const assembler = make()
      assert.isUndefined(assembler.begin(header(Opcode.Text, 1000, false)))
      assert.isUndefined(assembler.append(fromHex("61 f0"), 0, 2, false))
      assert.deepStrictEqual(facts(assembler.append(fromHex("8f"), 0, 1, false)), invalidUtf8)
    })

    it("fails if a message, but not if a fragment, ends inside a character", () => {
      const assembler = make()
      assert.isUndefined(assembler.begin(header(Opcode.Text, 1, false)))
      assert.isUndefined(assembler.append(fromHex("c3"), 0, 1, true))
      assert.isUndefined(assembler.begin(header(Opcode.Continuation, 0)))
      assert.deepStrictEqual(facts(assembler.append(new Uint8Array(0), 0, 0, true)), invalidUtf8)
    })

    it("does not check binary messages", () => {
      assert.deepStrictEqual(
        dataOf(assemble(make(), Opcode.Binary, [[fromHex("ff")], [fromHex("c0")]])),
        fromHex("ffc0")
      )
    })

    it("gives the same result as a fatal TextDecoder, however the bytes are split", () => {
      fc.assert(
        fc.property(
          arbitraries.almostUtf8,
          arbitraries.cuts,
          fc.array(fc.nat(), { maxLength: 4 }),
          (bytes, outer, inner) => {
            const fragments = arbitraries.split(bytes, outer).map((fragment) => arbitraries.split(fragment, inner))
            const expected = fatalDecode(bytes)
            const result = assemble(make(), Opcode.Text, fragments)
            if (expected === undefined) assert.deepStrictEqual(facts(result), invalidUtf8)
            else assert.strictEqual(dataOf(result), expected)
          }
        ),
        { numRuns: 500 }
      )
    })
  })

  describe("compression", () => {
    const calls: Array<readonly [compressed: string, maxBytes: number]> = []
    const inflating = (result: Uint8Array | Violation) => {
      calls.length = 0
      return new MessageAssembler({
        maxMessageBytes: 100,
        maxFragments: 10,
        inflate: (bytes, start, end, maxBytes) => {
          calls.push([hex(bytes.subarray(start, end)), maxBytes])
          return result
        }
      })
    }
    const first = (opcode: number, length: number, fin: boolean) => ({ fin, rsv: 4, opcode, length })

    it("inflates a whole message, and later ones only if they have RSV1", () => {
      const assembler = inflating(utf8("inflated"))
      for (const opcode of [Opcode.Text, Opcode.Binary]) {
        assert.isUndefined(assembler.begin(first(opcode, 2, true)))
        const data = dataOf(assembler.whole(fromHex("aaff00bb"), 1, 3, true))
        assert.deepStrictEqual(data, opcode === Opcode.Text ? "inflated" : utf8("inflated"))
        assert.strictEqual(dataOf(assemble(assembler, Opcode.Text, [[utf8("pl")], [utf8("ain")]])), "plain")
      }
      assert.deepStrictEqual(calls, [
        ["ff00", 100],
        ["ff00", 100]
      ])
    })

    it("accepts the overhead of deflating a message of exactly the limit, and measures it inflated", () => {
      const size = 100_000
      const random = new Uint8Array(size)
      for (let i = 0, seed = 1; i < size; i++) random[i] = (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 16
      for (const memLevel of [1, 5, 9]) {
        const deflated = deflateRawSync(random, { finishFlush: constants.Z_SYNC_FLUSH, memLevel })
        assert.isAbove(deflated.length, size)
        const assembler = new MessageAssembler({
          maxMessageBytes: size,
          maxFragments: 10,
          inflate: (bytes, start, end) =>
            inflateRawSync(bytes.subarray(start, end), { finishFlush: constants.Z_SYNC_FLUSH })
        })
        assert.isUndefined(assembler.begin(first(Opcode.Binary, 10, false)))
        assert.isUndefined(assembler.append(deflated, 0, 10, true))
        assert.isUndefined(assembler.begin(header(Opcode.Continuation, deflated.length - 10)))
        assert.deepStrictEqual(dataOf(assembler.append(deflated, 10, deflated.length, true)), random)
        // Not compressed, it is measured as it arrives.
        const tooLarge = facts(assembler.begin(header(Opcode.Binary, size + 1)))
        assert.deepInclude(tooLarge, { _tag: "Payload_too_large", limit: "message", max: size, size: size + 1 })
      }
      const assembler = inflating(utf8(""))
      assert.isUndefined(assembler.begin(first(Opcode.Binary, 171, true)))
      const refused = facts(inflating(utf8("")).begin(first(Opcode.Binary, 172, true)))
      assert.deepInclude(refused, { _tag: "Payload_too_large", limit: "message", max: 100, size: 172 })
    })

    it("inflates fragments once all have arrived, and only then checks UTF-8", () => {
      const assembler = inflating(fromHex("c3"))
      assert.isUndefined(assembler.begin(first(Opcode.Text, 2, false)))
      assert.isUndefined(assembler.append(fromHex("ff80"), 0, 2, true))
      assert.isUndefined(assembler.begin(header(Opcode.Continuation, 1)))
      assert.deepStrictEqual(facts(assembler.append(fromHex("c0"), 0, 1, true)), invalidUtf8)
      assert.deepStrictEqual(calls, [["ff80c0", 100]])
    })

    it("reports why inflating failed", () => {
      const failure = new PayloadTooLarge({ limit: "message", max: 100, size: undefined, direction: "inbound" })
      const assembler = inflating(failure)
      assert.isUndefined(assembler.begin(first(Opcode.Binary, 1, true)))
      assert.strictEqual(assembler.whole(fromHex("00"), 0, 1, false), failure)
    })

    it("refuses RSV1 on a continuation", () => {
      for (const rsv of [0, 4]) {
        const assembler = inflating(new Uint8Array(0))
        assert.isUndefined(assembler.begin({ fin: false, rsv, opcode: Opcode.Text, length: 0 }))
        assert.deepStrictEqual(
          facts(assembler.begin(first(Opcode.Continuation, 0, true))),
          remoteFacts("RFC 7692 §6.1", 1002)
        )
      }
    })

    it("ignores RSV1 without inflate", () => {
      const assembler = make()
      assert.isUndefined(assembler.begin(first(Opcode.Text, 1, true)))
      assert.strictEqual(dataOf(assembler.append(utf8("a"), 0, 1, true)), "a")
    })
  })

  describe("ownership", () => {
    const whole = (chunk: Uint8Array, start: number, end: number, owned: boolean): Uint8Array => {
      const assembler = make()
      assert.isUndefined(assembler.begin(header(Opcode.Binary, end - start)))
      const data = dataOf(assembler.whole(chunk, start, end, owned))
      assert.instanceOf(data, Uint8Array)
      assert.strictEqual(hex(data), hex(chunk.subarray(start, end)))
      return data
    }
    const chunk = arbitraries.noise(400, 1)

    it.each<[number, number, boolean]>([
      [0, 400, true],
      [10, 110, true],
      // Less than a quarter of the chunk would pin all of it.
      [10, 109, false],
      [400, 400, false]
    ])("of an owned chunk %i to %i: a view is %s", (start, end, isView) => {
      const data = whole(chunk, start, end, true)
      assert.strictEqual(data.buffer === chunk.buffer, isView)
      if (!isView) assert.strictEqual(data.buffer.byteLength, end - start)
    })

    it.each([
      [0, 400],
      [10, 20],
      [7, 7]
    ])("of a borrowed chunk %i to %i: always a copy", (start, end) => {
      const data = whole(chunk, start, end, false)
      assert.notStrictEqual(data.buffer, chunk.buffer)
      assert.strictEqual(data.buffer.byteLength, end - start)
    })

    it("measures a view by the buffer that it keeps alive, not by the chunk", () => {
      const small = chunk.subarray(100, 150)
      assert.notStrictEqual(whole(small, 0, 50, true).buffer, chunk.buffer)
    })

    it("never rewrites a delivered message", () => {
      const assembler = make()
      const chunks = [[arbitraries.noise(100, 1)], [arbitraries.noise(300, 2)]]
      const first = dataOf(assemble(assembler, Opcode.Binary, chunks))
      assert.instanceOf(first, Uint8Array)
      const before = hex(first)
      dataOf(assemble(assembler, Opcode.Binary, [[arbitraries.noise(400, 3)], [arbitraries.noise(100, 4)]]))
      assert.strictEqual(hex(first), before)
    })
  })
})
