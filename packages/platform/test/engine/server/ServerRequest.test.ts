import { assert, describe, it } from "@effect/vitest"
import { pathOf } from "../../../src/engine/server/ServerRequest.js"
import { requestOf } from "./fakes.js"

describe("ServerRequest", () => {
  it("has the path of a target, which may be a whole URL", () => {
    for (const [url, path] of [
      ["/a/b?c=/d", "/a/b"],
      ["/a%2Fb", "/a%2Fb"],
      ["http://test/a?b", "/a"],
      ["http://test", "/"],
      ["*", "/"],
      ["", "/"]
    ] as const) {
      assert.strictEqual(pathOf(url), path)
      assert.strictEqual(requestOf(url).path, path)
    }
  })

  it("has the parameters of the query, as a list if a name comes more than once", () => {
    const { query } = requestOf("/a?one=1&two=2&two=%C3%BC&__proto__=x")
    assert.deepStrictEqual(Object.entries(query), [
      ["one", "1"],
      ["two", ["2", "ü"]],
      ["__proto__", "x"]
    ])
    assert.deepStrictEqual(requestOf("/a").query, {})
  })
})
