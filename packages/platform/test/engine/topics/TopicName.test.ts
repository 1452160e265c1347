import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { refuseName, TopicPattern } from "../../../src/engine/topics/TopicName.js"

describe("the name of a topic", () => {
  it.each(["a", "rooms/lobby", "räume/größte", "a".repeat(255), "rooms/1/members", "a.b:c#d", " ", "😀", "\ufffd"])(
    "may be %j",
    (name) => {
      assert.isUndefined(refuseName(name))
    }
  )

  it.each([
    ["", "it is empty"],
    ["a".repeat(256), "it has more than 255 characters"],
    ["rooms/*", "it has an asterisk, which is for patterns"],
    ["a\nb", "it has a control character"],
    ["a\0b", "it has a control character"],
    ["a\u007f", "it has a control character"],
    ["a\ud800", "it has a lone surrogate"],
    ["\udc00\ud800", "it has a lone surrogate"],
    ["/a", "it has an empty segment"],
    ["a/", "it has an empty segment"],
    ["a//b", "it has an empty segment"]
  ])("may not be %j", (name, reason) => {
    assert.strictEqual(refuseName(name), reason)
  })
})

describe("a pattern", () => {
  const cases: ReadonlyArray<readonly [string, string, ReadonlyArray<string> | undefined]> = [
    ["rooms", "rooms", []],
    ["rooms", "rooms/1", undefined],
    ["rooms/*", "rooms/1", ["1"]],
    ["rooms/*", "rooms", undefined],
    ["rooms/*", "rooms/1/2", undefined],
    ["rooms/*", "other/1", undefined],
    ["*/members", "1/members", ["1"]],
    ["*/*", "1/2", ["1", "2"]],
    ["rooms/**", "rooms/1", ["1"]],
    ["rooms/**", "rooms/1/2/3", ["1/2/3"]],
    ["rooms/**", "rooms", undefined],
    ["rooms/*/**", "rooms/1", undefined],
    ["rooms/*/**", "rooms/1/2/3", ["1", "2/3"]],
    ["**", "a/b", ["a/b"]]
  ]
  it.each(cases)("%s and %s: %j", (pattern, name, matched) => {
    assert.deepStrictEqual(new TopicPattern(pattern).match(name), matched)
  })

  it.each(["", "/", "a//b", "a*", "**/a", "a/**b", "a/***"])("%j is refused", (pattern) => {
    assert.throws(() => new TopicPattern(pattern), RangeError)
  })

  it("matches what the corresponding regular expression matches", () => {
    const segment = fc.constantFrom("a", "b", "c.d", "+")
    const pattern = fc.tuple(
      fc.array(fc.oneof(segment, fc.constant("*")), { minLength: 1, maxLength: 4 }),
      fc.boolean()
    )
    const name = fc.array(segment, { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(pattern, name, ([segments, rest], name) => {
        const all = rest ? [...segments, "**"] : segments
        const source = all
          .map((each) => (each === "**" ? "(.+)" : each === "*" ? "([^/]+)" : each.replace(/[.+]/g, "\\$&")))
          .join("/")
        const expected = new RegExp(`^${source}$`).exec(name.join("/"))?.slice(1)
        assert.deepStrictEqual(new TopicPattern(all.join("/")).match(name.join("/")), expected)
      })
    )
  })
})
