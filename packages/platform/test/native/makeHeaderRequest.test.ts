import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { makeHeaderRequest } from "../../src/native/makeHeaderRequest.js"

describe("makeHeaderRequest", () => {
  it("joins the headers of a client, of a connection and of the URL", () => {
    const request = makeHeaderRequest(
      "ws://user:password@test/path",
      undefined,
      { headers: { a: "1", b: "1" }, userAgent: "agent" },
      { headers: { b: "2" } }
    )
    assert.deepStrictEqual(request, {
      url: new URL("ws://test/path"),
      headers: { a: "1", b: "2", "User-Agent": "agent", Authorization: "Basic dXNlcjpwYXNzd29yZA==" }
    })
  })

  it("refuses headers that are not valid", () => {
    const twice = makeHeaderRequest("ws://user:password@test", undefined, {}, { auth: { token: Redacted.make("t") } })
    const control = makeHeaderRequest("ws://test", undefined, {}, { headers: { a: "\n" } })
    for (const error of [twice, control]) assert.propertyVal(error, "_tag", "Protocol_error")
  })
})
