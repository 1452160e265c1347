import { assert, describe, it } from "vitest"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import * as fc from "fast-check"
import * as arbitraries from "./arbitraries.js"
import { facts, localFacts, remoteFacts } from "./support.js"

describe("Subprotocol", () => {
  it.each<[ReadonlyArray<string>, ReadonlyArray<string>]>([
    [[], []],
    [[""], []],
    [["chat.v2, chat.v1"], ["chat.v2", "chat.v1"]],
    [
      ["chat.v2", "chat.v1 ,x"],
      ["chat.v2", "chat.v1", "x"]
    ],
    [["Chat, chat"], ["Chat", "chat"]]
  ])("parses %j", (lines, protocols) => {
    assert.deepStrictEqual(Subprotocol.parse(lines), protocols)
  })

  it.each<[ReadonlyArray<string>, string]>([
    [["a b"], "RFC 6455 §9.1"],
    [["a;b"], "RFC 6455 §9.1"],
    [["a", '"b"'], "RFC 6455 §9.1"],
    [["a, b, a"], "RFC 6455 §4.1"],
    [["a", "a"], "RFC 6455 §4.1"]
  ])("refuses to parse %j", (lines, section) => {
    assert.deepStrictEqual(facts(Subprotocol.parse(lines)), remoteFacts(section))
  })

  it.each<[ReadonlyArray<string>, string]>([
    [[], ""],
    [["a"], "a"],
    [["b", "a"], "b, a"],
    [["a", "A"], "a, A"]
  ])("formats %j", (protocols, text) => {
    assert.strictEqual(Subprotocol.format(protocols), text)
  })

  it.each([[["a", ""]], [["a b"]], [["a,b"]], [["a\r\nX: y"]], [["ü"]], [["a", "b", "a"]]])(
    "refuses to format %j",
    (protocols) => {
      assert.deepStrictEqual(facts(Subprotocol.format(protocols)), localFacts("RFC 6455 §4.1"))
    }
  )

  it("parses what it formats", () => {
    fc.assert(
      fc.property(fc.uniqueArray(arbitraries.token), (protocols) => {
        const text = Subprotocol.format(protocols)
        assert.isString(text)
        assert.deepStrictEqual(Subprotocol.parse([String(text)]), protocols)
      })
    )
  })

  it("parses one value as it parses one line", () => {
    assert.deepStrictEqual(Subprotocol.parse("graphql-ws, graphql-transport-ws"), [
      "graphql-ws",
      "graphql-transport-ws"
    ])
    assert.deepStrictEqual(facts(Subprotocol.parse("a, a")), remoteFacts("RFC 6455 §4.1"))
  })

  it("selects with a list or a function", () => {
    assert.strictEqual(Subprotocol.select(["b", "a"], ["a", "b"]), "b")
    assert.isUndefined(Subprotocol.select(["c"], ["a", "b"]))
    assert.strictEqual(
      Subprotocol.select((offered) => offered.at(-1), ["a", "b"]),
      "b"
    )
  })

  it("does not call the selector for a client that offers nothing", () => {
    assert.isUndefined(Subprotocol.select(() => assert.fail("called"), []))
    assert.isUndefined(Subprotocol.select(["a"], []))
  })

  it.each<[ReadonlyArray<string>, ReadonlyArray<string>, string | undefined]>([
    [["b", "a"], ["a", "b"], "b"],
    [["c", "a"], ["a", "b"], "a"],
    [["A"], ["a"], undefined],
    [["a"], [], undefined],
    [[], ["a"], undefined]
  ])("of %j, for the offers %j, selects %s", (supported, offered, selected) => {
    assert.strictEqual(Subprotocol.byServerPreference(supported)(offered), selected)
  })
})
