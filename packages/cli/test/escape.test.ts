import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { escape } from "../src/escape.js"

describe("escape", () => {
  it("shows what a terminal would act on", () => {
    const cases = [
      ["plain text, ünïcödé 👩‍👩‍👧 \\n", "plain text, ünïcödé 👩‍👩‍👧 \\n"],
      ["a\tb\nc\r", "a\\tb\\nc\\r"],
      ["\u001b]52;c;aGk=\u0007", "\\e]52;c;aGk=\\x07"],
      ["\u0000\u007f\u009b31m", "\\x00\\x7f\\x9b31m"],
      ["\u202egnp.exe\u2066", "\\u{202e}gnp.exe\\u{2066}"],
      ["\u2028\u2029\ud800\u{e0041}", "\\u{2028}\\u{2029}\\u{d800}\\u{e0041}"]
    ] as const
    for (const [text, expected] of cases) assert.strictEqual(escape(text), expected)
  })

  it("leaves no control character and no line break, and everything else as it is", () => {
    const units = fc.oneof(
      fc.integer({ min: 0, max: 0xa0 }),
      fc.integer({ min: 0x2000, max: 0x2070 }),
      fc.nat(0x10ffff)
    )
    const texts = fc.array(units).map((codes) => codes.map((code) => String.fromCodePoint(code)).join(""))
    fc.assert(
      fc.property(texts, (text) => {
        const escaped = escape(text)
        assert.notMatch(escaped, /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\p{Bidi_Control}]/u)
        assert.strictEqual(escape(escaped), escaped)
        if (!/[^\p{L}\p{N}\p{P}\p{Zs}]/u.test(text)) assert.strictEqual(escaped, text)
      })
    )
  })
})
