import { assert, describe, it } from "@effect/vitest"
import { joinedHeaders } from "../../../src/engine/native/joinedHeaders.js"

describe("joinedHeaders", () => {
  it("joins the values of a name", () => {
    assert.deepStrictEqual(joinedHeaders({ a: "1", b: ["2", "3"], c: undefined }), { a: "1", b: "2, 3" })
  })
})
