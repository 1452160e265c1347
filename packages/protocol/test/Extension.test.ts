import { assert, describe, it } from "vitest"
import * as Extension from "@effect-websocket/protocol/Extension"
import * as fc from "fast-check"
import * as arbitraries from "./arbitraries.js"
import { facts, localFacts, remoteFacts } from "./support.js"

describe("Extension", () => {
  it("makes an extension with and without parameters", () => {
    assert.deepStrictEqual(Extension.make("x"), { name: "x", parameters: [] })
    assert.deepStrictEqual(Extension.make("x", [["a", true]]), { name: "x", parameters: [["a", true]] })
  })

  it("finds a parameter, the first of several", () => {
    const extension = Extension.make("x", [
      ["a", "1"],
      ["b", true],
      ["a", "2"]
    ])
    assert.deepStrictEqual(
      ["a", "b", "A", "toString"].map((name) => Extension.get(extension, name)),
      ["1", true, undefined, undefined]
    )
    assert.deepStrictEqual(
      ["a", "b", "A", "toString"].map((name) => Extension.has(extension, name)),
      [true, true, false, false]
    )
  })

  it("finds extensions by name, the first of several", () => {
    const extensions = [Extension.make("x", [["a", "1"]]), Extension.make("y"), Extension.make("x")]
    assert.strictEqual(Extension.find(extensions, "x"), extensions[0])
    assert.deepStrictEqual(Extension.find(extensions, "y")?.parameters, [])
    assert.deepStrictEqual(
      ["x", "y", "X", "toString"].map((name) => Extension.find(extensions, name) !== undefined),
      [true, true, false, false]
    )
    assert.deepStrictEqual(
      ["x", "y", "X", "toString"].map((name) => Extension.includes(extensions, name)),
      [true, true, false, false]
    )
  })

  it("parses one value", () => {
    assert.deepStrictEqual(Extension.parse("permessage-deflate; client_max_window_bits"), [
      Extension.make("permessage-deflate", [["client_max_window_bits", true]])
    ])
  })

  it("parses several lines", () => {
    assert.deepStrictEqual(Extension.parse(['x; a=1; b="2", y', "x"]), [
      Extension.make("x", [
        ["a", "1"],
        ["b", "2"]
      ]),
      Extension.make("y"),
      Extension.make("x")
    ])
  })

  it.each([[["x;"]], [["x", 'y; a="b']], [["x; a="]]])("refuses to parse %j", (lines) => {
    assert.deepStrictEqual(facts(Extension.parse(lines)), remoteFacts("RFC 6455 §9.1"))
  })

  it("formats names, parameters and values", () => {
    assert.strictEqual(Extension.format([]), "")
    assert.strictEqual(
      Extension.format([
        Extension.make("x", [
          ["a", "1"],
          ["b", true]
        ]),
        Extension.make("y")
      ]),
      "x; a=1; b, y"
    )
  })

  it.each([
    Extension.make(""),
    Extension.make("x y"),
    Extension.make("x\r\nEvil: 1"),
    Extension.make("x", [["", true]]),
    Extension.make("x", [["a b", true]]),
    Extension.make("x", [["a", ""]]),
    Extension.make("x", [["a", "1; b"]]),
    Extension.make("x", [["a", "1\n"]])
  ])("refuses to format %j", (extension) => {
    assert.deepStrictEqual(facts(Extension.format([Extension.make("fine"), extension])), localFacts("RFC 6455 §9.1"))
  })

  it("parses what it formats", () => {
    fc.assert(
      fc.property(arbitraries.elements, (extensions) => {
        const text = Extension.format(extensions)
        assert.isString(text)
        assert.deepStrictEqual(Extension.parse([String(text)]), extensions)
      })
    )
  })
})
