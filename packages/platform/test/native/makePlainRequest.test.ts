import { assert, describe, it } from "@effect/vitest"
import { parseBase } from "../../src/engine/client/Url.js"
import { makePlainRequest } from "../../src/native/makePlainRequest.js"

describe("makePlainRequest", () => {
  it("has the URL, and no headers", () => {
    const base = parseBase("wss://test/path", ["wss:"])
    assert.deepStrictEqual(makePlainRequest("other", base, {}, {}), { url: new URL("wss://test/other"), headers: {} })
  })

  it("refuses a URL that is not valid or has credentials", () => {
    for (const url of ["http://test", "ws://user@test"]) {
      assert.propertyVal(makePlainRequest(url, undefined, {}, {}), "_tag", "Protocol_error")
    }
  })
})
