import { assert, describe, it } from "vitest"
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import * as fc from "fast-check"
import * as arbitraries from "./arbitraries.js"
import {
  facts,
  fatalDecode,
  fromHex,
  hex,
  localFacts,
  remoteFacts,
  tooLargeFacts,
  utf8,
  wellFormed
} from "./support.js"

const registry: Record<CloseCode.Name, number> = {
  NormalClosure: 1000,
  GoingAway: 1001,
  ProtocolError: 1002,
  UnsupportedData: 1003,
  Reserved: 1004,
  NoStatusReceived: 1005,
  AbnormalClosure: 1006,
  InvalidPayloadData: 1007,
  PolicyViolation: 1008,
  MessageTooBig: 1009,
  MandatoryExtension: 1010,
  InternalError: 1011,
  ServiceRestart: 1012,
  TryAgainLater: 1013,
  BadGateway: 1014,
  TlsHandshake: 1015
}

const sendable = (code: number) =>
  [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].includes(code) ||
  (code >= 3000 && code < 5000)

const payloadOf = (code: number, reason: Uint8Array): Uint8Array =>
  Uint8Array.from([code >>> 8, code & 0xff, ...Array.from(reason)])

describe("CloseCode", () => {
  it.each(Object.entries(registry) as Array<[CloseCode.Name, number]>)("%s is %i", (name, code) => {
    assert.strictEqual(CloseCode.fromName(name), code)
    assert.strictEqual(CloseCode.toName(code), name)
  })

  it.each([0, 999, 1016, 2999, 3000, 4999, 1000.5, NaN])("%d has no name", (code) => {
    assert.isUndefined(CloseCode.toName(code))
  })

  it("classifies every code", () => {
    for (let code = 0; code <= 0xffff; code++) {
      if (CloseCode.isSendable(code) !== sendable(code)) assert.fail(`isSendable(${code})`)
      if (CloseCode.isRegistered(code) !== (code >= 3000 && code < 4000)) assert.fail(`isRegistered(${code})`)
      if (CloseCode.isPrivate(code) !== (code >= 4000 && code < 5000)) assert.fail(`isPrivate(${code})`)
    }
  })

  it.each([1000.5, NaN, -1000, Infinity, 66536])("%d may not be sent", (code) => {
    assert.isFalse(CloseCode.isSendable(code))
    assert.deepStrictEqual(facts(CloseCode.encodePayload(code, "")), localFacts("RFC 6455 §7.4"))
  })

  describe("encodePayload", () => {
    it.each<[number | undefined, string, string]>([
      [undefined, "", ""],
      [1000, "", "03e8"],
      [4999, "bye", "1387 627965"],
      [1001, "Grüße 🌍", "03e9 4772c3bcc39f6520f09f8c8d"]
    ])("%s %j", (code, reason, expected) => {
      const payload = CloseCode.encodePayload(code, reason)
      assert.instanceOf(payload, Uint8Array)
      assert.strictEqual(hex(payload), expected.replaceAll(" ", ""))
    })

    it.each([1004, 1005, 1006, 1015, 999, 2999, 5000])("refuses the code %i", (code) => {
      assert.deepStrictEqual(facts(CloseCode.encodePayload(code, "")), localFacts("RFC 6455 §7.4"))
    })

    it("refuses a reason without a code", () => {
      assert.deepStrictEqual(facts(CloseCode.encodePayload(undefined, "why")), localFacts("RFC 6455 §5.5.1"))
    })

    it.each([
      ["a".repeat(123), 123],
      ["a".repeat(124), 124],
      ["ü".repeat(61) + "a", 123],
      ["ü".repeat(62), 124],
      ["🌍".repeat(31), 124]
    ])("measures a reason in bytes: %s", (reason, size) => {
      const payload = CloseCode.encodePayload(1000, reason)
      if (size <= CloseCode.maxReasonBytes) {
        assert.deepStrictEqual(payload, payloadOf(1000, utf8(reason)))
      } else {
        assert.deepStrictEqual(facts(payload), tooLargeFacts("closeReason", 123, size, "outbound"))
      }
    })
  })

  describe("decodePayload", () => {
    it("reads an empty payload as 1005", () => {
      assert.deepStrictEqual(CloseCode.decodePayload(new Uint8Array(0)), { code: 1005, reason: "" })
    })

    it.each(["00", "03", "ff"])("refuses the one byte %s", (payload) => {
      assert.deepStrictEqual(facts(CloseCode.decodePayload(fromHex(payload))), remoteFacts("RFC 6455 §5.5.1", 1002))
    })

    it("refuses exactly the codes that may not be sent", () => {
      for (const code of [...Array.from({ length: 5002 }, (_, code) => code), 0x83e8, 0xffff]) {
        const decoded = CloseCode.decodePayload(payloadOf(code, new Uint8Array(0)))
        if (sendable(code) ? "_tag" in decoded || decoded.code !== code : !("_tag" in decoded)) assert.fail(`${code}`)
      }
      assert.deepStrictEqual(facts(CloseCode.decodePayload(fromHex("03ee 6869"))), remoteFacts("RFC 6455 §7.4", 1002))
    })

    it.each(["03e8 ff", "03e8 68c3", "03e8 eda080", "03e8 c080"])(
      "refuses a reason that is not UTF-8: %s",
      (payload) => {
        assert.deepStrictEqual(facts(CloseCode.decodePayload(fromHex(payload))), remoteFacts("RFC 6455 §8.1", 1007))
      }
    )

    it("keeps a byte order mark and U+FFFD", () => {
      assert.deepStrictEqual(CloseCode.decodePayload(fromHex("0fa0 efbbbf efbfbd")), {
        code: 4000,
        reason: "\ufeff\ufffd"
      })
    })
  })

  it("decodes what it encodes", () => {
    const code = fc.integer({ min: 1000, max: 4999 }).filter(sendable)
    fc.assert(
      fc.property(code, arbitraries.text, (code, text) => {
        const reason = wellFormed(text.slice(0, 41))
        const payload = CloseCode.encodePayload(code, reason)
        assert.instanceOf(payload, Uint8Array)
        assert.deepStrictEqual(CloseCode.decodePayload(payload), { code, reason })
      })
    )
  })

  it("never throws on a payload, and accepts it if and only if code and reason are valid", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), arbitraries.almostUtf8, (code, reason) => {
        const valid = sendable(code) && fatalDecode(reason) !== undefined
        assert.strictEqual("_tag" in CloseCode.decodePayload(payloadOf(code, reason)), !valid)
      })
    )
  })

  it("encodes a code alone without an error in its type", () => {
    const payload: Uint8Array = CloseCode.encodePayload(1000)
    assert.strictEqual(hex(payload), "03e8")
    assert.strictEqual(hex(CloseCode.encodePayload()), "")
  })

  it("gives names to the codes of an app", () => {
    const codes = CloseCode.makeRegistry({ Kicked: 4001, Registered: 3000, constructor: 4999 })
    assert.strictEqual(codes.fromName("Kicked"), 4001)
    assert.strictEqual(codes.fromName("constructor"), 4999)
    assert.strictEqual(codes.fromName("GoingAway"), 1001)
    assert.strictEqual(codes.toName(3000), "Registered")
    assert.strictEqual(codes.toName(1001), "GoingAway")
    assert.isUndefined(codes.toName(4002))
    assert.isUndefined(CloseCode.toName(4001))
  })

  it.each<[Record<string, number>, string]>([
    [{ A: 2999 }, "A"],
    [{ A: 5000 }, "A"],
    [{ A: 1000 }, "A"],
    [{ A: 4000.5 }, "A"],
    [{ A: NaN }, "A"],
    [{ GoingAway: 4000 }, "GoingAway"],
    [{ A: 4000, B: 4000 }, "4000"]
  ])("refuses the names %j", (codes, about) => {
    assert.throws(() => CloseCode.makeRegistry(codes), RangeError, about)
  })
})
