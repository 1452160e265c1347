import { Serialization } from "@effect-websocket/platform"
import * as fc from "fast-check"
import * as msgpackr from "msgpackr"
import { codePoint } from "./codePoint.js"
import { assert, describe, it } from "./effect/vitest.js"

const parse = (text: string): unknown => Serialization.json.decode(text)[0]

describe("json", () => {
  it("is JSON: what it encodes, it decodes", () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: codePoint }), (value) => {
        const text = Serialization.json.encode([value])
        assert.strictEqual(text, JSON.stringify(value))
        if (!text.includes(`"__proto__":`)) assert.deepStrictEqual(parse(text), JSON.parse(text))
      })
    )
  })

  it("parses any text as JSON.parse does, or refuses it", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        let expected: unknown
        try {
          expected = JSON.parse(text)
        } catch {
          assert.throws(() => parse(text))
          return
        }
        if (!text.includes("__proto__")) assert.deepStrictEqual(parse(text), expected)
      })
    )
  })

  it("refuses the key __proto__ at any depth, however it is written, but not the text", () => {
    for (const key of ["__proto__", "\\u005f_proto__", "__\\u0070roto__", "__proto_\\u005F"]) {
      for (const text of [`{"${key}":{}}`, `[[{"a":{"${key}":1}}]]`, `{"a":1,"b":[{"${key}":null}]}`]) {
        assert.throws(() => parse(text), SyntaxError)
      }
    }
    assert.deepStrictEqual(parse(`["__proto__",{"a":"__proto__","constructor":1,"\\u00e9":2}]`), [
      "__proto__",
      { a: "__proto__", constructor: 1, é: 2 }
    ])
    const depth = 100_000
    assert.throws(() => parse(`${"[".repeat(depth)}{"__proto__":1}${"]".repeat(depth)}`), SyntaxError)
  })

  it("keeps numbers as JSON.parse does", () => {
    assert.deepStrictEqual(parse("[1e999,-1e999,1e-999,9007199254740993]"), [
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      0,
      9007199254740992
    ])
  })
})

describe("ndjson", () => {
  it("is a line for each value, and empty lines mean nothing", () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.constantFrom("\n", "\r\n", "\n\n", " \n"), (values, end) => {
        const texts = values.map((value) => JSON.stringify(value))
        if (texts.some((text) => text.includes("__proto__"))) return
        assert.strictEqual(Serialization.ndjson.encode(values), texts.map((text) => `${text}\n`).join(""))
        const decoded = Serialization.ndjson.decode(texts.map((text) => text + end).join(""))
        assert.deepStrictEqual(
          decoded,
          texts.map((text): unknown => JSON.parse(text))
        )
      })
    )
  })
})

describe("messagePack", () => {
  it("is the library's", () => {
    const packed = Serialization.messagePack(msgpackr)
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.deepStrictEqual(packed.decode(packed.encode([value])), [msgpackr.decode(msgpackr.encode(value))])
      })
    )
  })

  it("refuses bytes as the library does, and passes its results on", () => {
    const packed = Serialization.messagePack(msgpackr)
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        let expected: unknown
        try {
          expected = msgpackr.decode(bytes)
        } catch {
          assert.throws(() => packed.decode(bytes))
          return
        }
        assert.deepStrictEqual(packed.decode(bytes), [expected])
      })
    )
  })
})

describe("text and binary", () => {
  it("carry one value in a message", () => {
    const words = Serialization.text({ name: "words", encode: String, decode: (text) => text.split(" ") })
    assert.deepStrictEqual([words.joins, words.encode(["a"]), words.decode("a b")], [false, "a", [["a", "b"]]])
    const bytes = Serialization.binary({
      name: "bytes",
      encode: () => new Uint8Array([1]),
      decode: (data) => data.length
    })
    assert.deepStrictEqual(
      [bytes.joins, bytes.encode([0]), bytes.decode(new Uint8Array(3))],
      [false, new Uint8Array([1]), [3]]
    )
  })
})
