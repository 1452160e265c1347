import { assert, describe, it } from "vitest"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as fc from "fast-check"
import * as arbitraries from "./arbitraries.js"
import { facts, remoteFacts } from "./support.js"

const malformed = remoteFacts("RFC 6455 §9.1")

/** A text that counts how often its characters are read, and throws once there are too many. */
class CountingString extends String {
  steps = 0
  private readonly limit: number
  constructor(text: string, limit: number) {
    super(text)
    this.limit = limit
  }
  override charCodeAt(index: number): number {
    this.count(1)
    return super.charCodeAt(index)
  }
  override slice(start: number, end: number): string {
    this.count(end - start)
    return super.slice(start, end)
  }
  private count(steps: number): void {
    this.steps += steps
    if (this.steps > this.limit) throw new Error(`More than ${this.limit} steps for ${this.length} characters`)
  }
}

const stepsOf = (f: (text: string) => unknown, text: string, limit = Infinity): number => {
  const counting = new CountingString(text, limit)
  f(counting as unknown as string)
  return counting.steps
}

const repeat = (unit: string, length: number): string => unit.repeat(Math.ceil(length / unit.length)).slice(0, length)

const hostile: ReadonlyArray<[name: string, make: (length: number) => string]> = [
  ["token characters", (n) => repeat("a", n)],
  ["quotes", (n) => repeat('"', n)],
  ["commas", (n) => repeat(",", n)],
  ["semicolons", (n) => repeat(";", n)],
  ["equals signs", (n) => repeat("=", n)],
  ["spaces", (n) => repeat(" ", n)],
  ["tabs and commas", (n) => repeat("\t,", n)],
  ["backslashes", (n) => repeat("\\", n)],
  ["spaces after a name", (n) => "a" + repeat(" ", n)],
  ["spaces around names", (n) => repeat("a  ,  ", n)],
  ["elements", (n) => repeat("a,", n)],
  ["parameters", (n) => "a" + repeat(";a", n)],
  ["parameters far apart", (n) => "a" + repeat("   ;   a   =   b", n)],
  ["quoted parameters", (n) => "a" + repeat(';a="b"', n)],
  ["an unclosed quote", (n) => 'a;b="' + repeat("c", n)],
  ["an unclosed quote of backslashes", (n) => 'a;b="' + repeat("\\", n)],
  ["unclosed quotes", (n) => "a" + repeat(';b="', n)],
  ["escapes", (n) => 'a;b="' + repeat("\\c", n) + '"'],
  ["elements without a name", (n) => repeat("a;", n)],
  ["what fails at its very end", (n) => repeat("a;b=c,", n) + ";"],
  ["letters outside Latin-1", (n) => repeat("\u0161", n)]
]

const parsers = [
  ["parseTokens", (text: string) => HeaderField.parseTokens([text])],
  ["parseElements", (text: string) => HeaderField.parseElements([text])],
  ["isToken", HeaderField.isToken],
  ["isValue", HeaderField.isValue]
] as const

describe("HeaderField", () => {
  it("recognises every token character", () => {
    for (let unit = 0; unit < 0x180; unit++) {
      // RFC 9110 §5.6.2: visible ASCII, except the delimiters.
      const expected = unit > 0x20 && unit < 0x7f && !'"(),/:;<=>?@[\\]{}'.includes(String.fromCharCode(unit))
      for (const text of [String.fromCharCode(unit), `a${String.fromCharCode(unit)}`]) {
        assert.strictEqual(HeaderField.isToken(text), expected, `0x${unit.toString(16)}`)
      }
    }
    assert.isFalse(HeaderField.isToken(""))
    assert.isFalse(HeaderField.isToken("\u{1f30d}"))
    // A low byte that is a letter does not make a letter.
    assert.isFalse(HeaderField.isToken("\u0161"))
  })

  it("recognises every character of a value", () => {
    for (let unit = 0; unit < 0x180; unit++) {
      const expected = unit === 0x09 || (unit >= 0x20 && unit <= 0xff && unit !== 0x7f)
      assert.strictEqual(HeaderField.isValue(`a${String.fromCharCode(unit)}b`), expected, `0x${unit.toString(16)}`)
    }
    assert.isTrue(HeaderField.isValue(""))
    assert.isFalse(HeaderField.isValue("\u010a"))
  })

  it("finds all values of a header", () => {
    const headers = { one: "a, b", many: ["a", "b"], none: undefined, empty: "" }
    assert.deepStrictEqual(
      ["one", "many", "none", "missing", "empty"].map((name) => HeaderField.values(headers, name)),
      [["a, b"], ["a", "b"], [], [], [""]]
    )
  })

  describe("parseTokens", () => {
    it.each<[ReadonlyArray<string>, ReadonlyArray<string>]>([
      [[], []],
      [[""], []],
      [[" \t,, ,\t"], []],
      [["a"], ["a"]],
      [["a,b"], ["a", "b"]],
      [[" \ta \t,\t b "], ["a", "b"]],
      [[",a,,b,"], ["a", "b"]],
      [
        ["Upgrade", "keep-alive, x"],
        ["Upgrade", "keep-alive", "x"]
      ],
      [
        ["a", "", "a"],
        ["a", "a"]
      ],
      [[arbitraries.tokenUnits], [arbitraries.tokenUnits]]
    ])("%j", (lines, tokens) => {
      assert.deepStrictEqual(HeaderField.parseTokens(lines), tokens)
    })

    it.each(["a b", "a;b", "a=b", '"a"', "a/b", "a, b c", "a\nb", "\n", "a\r\n", "a\0", "ü", "a\u00a0", "a,\u0161"])(
      "refuses %j",
      (line) => {
        assert.deepStrictEqual(facts(HeaderField.parseTokens([line])), malformed)
        assert.deepStrictEqual(facts(HeaderField.parseTokens(["fine", line, "fine"])), malformed)
      }
    )

    it("does not join a token over two lines", () => {
      assert.deepStrictEqual(facts(HeaderField.parseTokens(["a, b c", "d"])), malformed)
      assert.deepStrictEqual(HeaderField.parseTokens(["a", "b"]), ["a", "b"])
    })
  })

  describe("parseElements", () => {
    const element = (name: string, ...parameters: ReadonlyArray<HeaderField.Parameter>) => ({ name, parameters })

    it.each<[ReadonlyArray<string>, ReadonlyArray<HeaderField.Element>]>([
      [[], []],
      [[" , ,"], []],
      [["a"], [element("a")]],
      [["a; b"], [element("a", ["b", true])]],
      [["a;b=c;d"], [element("a", ["b", "c"], ["d", true])]],
      [["a;b=c, a;b=d"], [element("a", ["b", "c"]), element("a", ["b", "d"])]],
      [
        ["a", "b;c"],
        [element("a"), element("b", ["c", true])]
      ],
      [[' a\t; b = "c" ,d '], [element("a", ["b", "c"]), element("d")]],
      [['a;b="\\c\\d"'], [element("a", ["b", "cd"])]],
      [["a;b=1;b=2;b"], [element("a", ["b", "1"], ["b", "2"], ["b", true])]],
      [["__proto__;constructor=toString"], [element("__proto__", ["constructor", "toString"])]],
      [
        ["permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate"],
        [
          element("permessage-deflate", ["client_max_window_bits", true], ["server_max_window_bits", "10"]),
          element("permessage-deflate")
        ]
      ]
    ])("%j", (lines, elements) => {
      assert.deepStrictEqual(HeaderField.parseElements(lines), elements)
    })

    it.each([
      ";",
      ";a",
      "a;",
      "a;;b",
      "a;b=",
      "a;b=,c",
      "a;=b",
      "a=b",
      "a b",
      "a;b c",
      "a;b=c d",
      "a;b==c",
      'a;b="',
      'a;b="c',
      'a;b="c\\',
      'a;b="c\\"',
      'a;b=""',
      'a;b="c d"',
      'a;b="c,d"',
      'a;b="\\""',
      'a;b="\\\\"',
      'a;b="c"d',
      'a;b="c""d"',
      'a;"b"=c',
      '"a"',
      "a;b=c\n",
      "a;b=ü",
      "a, ü"
    ])("refuses %j", (line) => {
      assert.deepStrictEqual(facts(HeaderField.parseElements([line])), malformed)
      assert.deepStrictEqual(facts(HeaderField.parseElements(["fine", line])), malformed)
    })
  })

  describe("round trips", () => {
    it("parses the tokens that were joined", () => {
      fc.assert(
        fc.property(fc.array(arbitraries.token), (tokens) => {
          assert.deepStrictEqual(HeaderField.parseTokens([tokens.join(", ")]), tokens)
          assert.deepStrictEqual(HeaderField.parseTokens(tokens), tokens)
        })
      )
    })

    it("parses the elements that it formats", () => {
      fc.assert(
        fc.property(arbitraries.elements, (elements) => {
          assert.deepStrictEqual(HeaderField.parseElements([HeaderField.formatElements(elements)]), elements)
        })
      )
    })

    it("parses elements with any spacing and quoting", () => {
      const gap = fc.array(fc.constantFrom(" ", "\t"), { maxLength: 2 }).map((units) => units.join(""))
      const style = fc.record({ gap, quoted: fc.boolean(), escaped: fc.boolean(), empty: fc.boolean() })
      fc.assert(
        fc.property(arbitraries.elements, style, (elements, { empty, escaped, gap, quoted }) => {
          const value = (text: string) =>
            quoted ? `"${escaped ? Array.from(text, (unit) => `\\${unit}`).join("") : text}"` : text
          const lines = elements.map(({ name, parameters }) => {
            const parts = parameters.map(([key, text]) => (text === true ? key : `${key}${gap}=${gap}${value(text)}`))
            return (empty ? `${gap},` : "") + gap + [name, ...parts].join(`${gap};${gap}`) + gap
          })
          assert.deepStrictEqual(HeaderField.parseElements(lines), elements)
          assert.deepStrictEqual(HeaderField.parseElements([lines.join(",")]), elements)
        })
      )
    })

    it("never throws", () => {
      const line = fc.array(fc.constantFrom("a", "b", '"', "\\", ",", ";", "=", " ", "\t", "\n", "ü"), {
        maxLength: 16
      })
      fc.assert(
        fc.property(fc.array(line, { maxLength: 3 }), (lines) => {
          const texts = lines.map((units) => units.join(""))
          const elements = HeaderField.parseElements(texts)
          if ("_tag" in elements) return assert.deepStrictEqual(facts(elements), malformed)
          // Whatever it accepts means the same once it is formatted.
          assert.deepStrictEqual(HeaderField.parseElements([HeaderField.formatElements(elements)]), elements)
          const tokens = HeaderField.parseTokens(texts)
          if ("_tag" in tokens) assert.isTrue(elements.some(({ parameters }) => parameters.length > 0))
          else
            assert.deepStrictEqual(
              elements,
              tokens.map((name) => ({ name, parameters: [] }))
            )
        }),
        { numRuns: 1000 }
      )
    })
  })

  describe("the number of steps grows only with the length", () => {
    const maxStepsPerCharacter = 8
    it.each(hostile)("%s", (_, make) => {
      for (const length of [25_000, 50_000, 100_000]) {
        const text = make(length)
        for (const [, parse] of parsers) stepsOf(parse, text, maxStepsPerCharacter * text.length)
      }
    })

    it("the test counts steps", () => {
      for (const [name, parse] of parsers) assert.isAtLeast(stepsOf(parse, "a".repeat(1000)), 1000, name)
    })
  })

  const kinds: ReadonlyArray<[string, HeaderField.Input]> = [
    ["a record", { A: "1", b: ["2", "3"], a: "4", none: undefined, nothing: [] }],
    [
      "a list",
      [
        ["A", "1"],
        ["b", "2"],
        ["b", "3"],
        ["a", "4"]
      ]
    ]
  ]

  it.each(kinds)("finds values in %s, ignoring case", (_, headers) => {
    assert.deepStrictEqual(HeaderField.entries(headers), [
      ["A", "1"],
      ["b", "2"],
      ["b", "3"],
      ["a", "4"]
    ])
    for (const name of ["a", "A"]) {
      assert.deepStrictEqual(HeaderField.values(headers, name), ["1", "4"])
      assert.strictEqual(HeaderField.get(headers, name), "1, 4")
    }
    assert.deepStrictEqual(HeaderField.values(headers, "B"), ["2", "3"])
    for (const name of ["c", "none", "nothing", "constructor"]) {
      assert.deepStrictEqual(HeaderField.values(headers, name), [])
      assert.isUndefined(HeaderField.get(headers, name))
    }
  })

  it("reads the web's Headers without a copy", () => {
    const headers = new Headers([
      ["Connection", "keep-alive"],
      ["connection", "Upgrade"]
    ])
    assert.strictEqual(HeaderField.get(headers, "Connection"), headers.get("Connection"))
    assert.strictEqual(HeaderField.get({ x: "1" }, "X"), "1")
  })

  it.each<[string | ReadonlyArray<string>, boolean]>([
    ["Upgrade", true],
    ["keep-alive, uPGRADE", true],
    [["keep-alive", "upgrade"], true],
    ["", false],
    [[], false],
    ["upgraded", false],
    ["upgrade; x", false],
    ["upgrade, a b", false]
  ])("%j has the token upgrade: %s", (lines, expected) => {
    assert.strictEqual(HeaderField.hasToken(lines, "Upgrade"), expected)
  })

  it("parses one value as it parses one line", () => {
    assert.deepStrictEqual(HeaderField.parseTokens("a, b"), ["a", "b"])
    assert.deepStrictEqual(HeaderField.parseElements("a; b=1"), [{ name: "a", parameters: [["b", "1"]] }])
  })
})
