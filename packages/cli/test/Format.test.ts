import * as Message from "@effect-websocket/protocol/Message"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Failure } from "../src/Failure.js"
import * as Format from "../src/Format.js"

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array))
const lines = fc.string({ unit: "grapheme", maxLength: 40 }).filter((text) => !text.includes("\n"))

/** What is printed of the message that a record stands for. */
const roundTrip = (format: Format.Format, record: Uint8Array): Buffer => {
  const message = Format.parse(format, record)
  assert(!(message instanceof Failure))
  const printed = Format.raw(format, "\n", message)
  assert(!(printed instanceof Failure))
  return Buffer.from(printed)
}

const failureOf = (value: unknown): string =>
  value instanceof Failure ? `${value.exitCode}: ${value.message}` : "none"

describe("Format", () => {
  it("prints what was parsed", () => {
    fc.assert(
      fc.property(lines, bytes, (text, data) => {
        assert.deepStrictEqual(roundTrip("text", Buffer.from(text)).toString(), `${Buffer.from(text).toString()}\n`)
        assert.deepStrictEqual(roundTrip("binary", data), data)
        const base64 = data.toString("base64")
        assert.deepStrictEqual(roundTrip("base64", Buffer.from(base64)).toString(), `${base64}\n`)
      })
    )
  })

  it("prints JSON on one line, with the same values", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const printed = roundTrip("json", Buffer.from(JSON.stringify(value, null, 2))).toString()
        assert.match(printed, /^[^\r\n]+\n$/)
        assert.strictEqual(JSON.stringify(JSON.parse(printed)), JSON.stringify(value))
      })
    )
    const large = '{ "b": 12345678901234567890,\r\n\t"a": " \\n " }'
    assert.strictEqual(roundTrip("json", Buffer.from(large)).toString(), '{ "b": 12345678901234567890,"a": " \\n " }\n')
  })

  it("makes texts of lines, and binary messages of bytes", () => {
    const tags = Format.formats.map((format) => {
      const message = Format.parse(format, Buffer.from("1234"))
      return message instanceof Failure ? "" : message._tag
    })
    assert.deepStrictEqual(tags, ["Text", "Binary", "Binary", "Text"])
  })

  it("refuses what is not in the format", () => {
    assert.strictEqual(failureOf(Format.parse("json", Buffer.from("{"))), "112: The input is not JSON")
    assert.strictEqual(failureOf(Format.parse("base64", Buffer.from("a*"))), "112: The input is not base64")
    assert.match(failureOf(Format.parse("text", Buffer.from([0xff]))), /^112: The input is not UTF-8/)
    assert.match(failureOf(Format.raw("json", "\n", Message.text("{"))), /^112: The peer sent .* not JSON$/)
    assert.match(failureOf(Format.raw("json", "\n", Message.binary(Buffer.from([0xff])))), /^112: The peer sent/)
  })

  it("shows messages to people without control characters", () => {
    const cases = [
      ["text", Message.text("\u001b[2J"), "\\e[2J"],
      ["text", Message.binary(Buffer.from("hi")), "[2 bytes] 68 69"],
      ["text", Message.binary(Buffer.alloc(0)), "[0 bytes]"],
      [
        "binary",
        Message.binary(Buffer.alloc(100)),
        `[100 bytes] ${Array.from({ length: 64 }, () => "00").join(" ")} …`
      ],
      ["base64", Message.text("hi"), "aGk="],
      ["json", Message.text('{\n "a": "\u009b" }'), '{"a": "\\x9b" }'],
      ["json", Message.text("\u0007"), "\\x07"]
    ] as const
    for (const [format, message, expected] of cases) assert.strictEqual(Format.shown(format, message), expected)
  })

  it("shows payloads of control frames as text or as bytes", () => {
    assert.strictEqual(Format.shownPayload(Buffer.from("hi")), '"hi"')
    assert.strictEqual(Format.shownPayload(Buffer.from("\n")), "[1 byte] 0a")
    assert.strictEqual(Format.shownPayload(Buffer.from([0xff])), "[1 byte] ff")
  })
})
