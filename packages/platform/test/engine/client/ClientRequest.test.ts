import { isProtocolError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import { assert, describe, it } from "@effect/vitest"
import { headersOf, make, type RequestParts } from "../../../src/engine/client/ClientRequest.js"
import { parseBase } from "../../../src/engine/client/Url.js"

const none = { headers: undefined, credentials: undefined }
const parts: RequestParts = {
  client: none,
  connection: none,
  base: undefined,
  schemes: ["ws:", "wss:"],
  query: [],
  origin: undefined,
  userAgent: undefined,
  cookies: ""
}

const made = (input: string, own: Partial<RequestParts>) => {
  const request = make(input, { ...parts, ...own })
  assert(!isProtocolError(request))
  return request
}

const rejected = (own: Partial<RequestParts>, input = "ws://test/") => {
  const error = make(input, { ...parts, ...own })
  assert(isProtocolError(error))
  return error.description
}

describe("make", () => {
  it("appends the query to the URL's, which stays as it was written", () => {
    assert.strictEqual(
      made("ws://test/?a=%41", {
        query: [
          ["b", "x y"],
          ["c", "&"]
        ]
      }).url.search,
      "?a=%41&b=x+y&c=%26"
    )
    assert.strictEqual(rejected({ query: [["a", "\n"]] }), "The query has a control character")
  })

  it("takes the credentials of the connection before those of the client", () => {
    const token = (of: string) => ({ headers: undefined, credentials: { token: of } })
    const basic = { headers: undefined, credentials: { username: "ü", password: "p" } }
    const header = { headers: { AUTHORIZATION: "Custom" }, credentials: undefined }
    assert.strictEqual(made("ws://test/", { client: token("a"), connection: token("b") }).authorization, "Bearer b")
    assert.strictEqual(made("ws://u:p@test/", { client: token("a") }).authorization, "Basic dTpw")
    assert.strictEqual(made("ws://test/", { client: basic }).authorization, "Basic w7w6cA==")
    const ofHeader = made("ws://test/", { client: token("a"), connection: header })
    assert.strictEqual(ofHeader.authorization, "Custom")
    assert.deepStrictEqual(ofHeader.headers, {})
    assert.match(rejected({ connection: token("a") }, "ws://u@test/"), /more than one set of credentials/)
  })

  it("sends the user name and password of the base to its origin only", () => {
    const base = parseBase("ws://u:p@test/", parts.schemes)
    assert.strictEqual(made("chat", { base }).authorization, "Basic dTpw")
    assert.isUndefined(made("ws://other/", { base }).authorization)
  })

  it("rejects credentials that no header can carry, and does not show them", () => {
    for (const credentials of [
      { token: "" },
      { token: "SECRET token" },
      { username: "SECRET:", password: "" },
      { username: "", password: "SECRET\n" }
    ]) {
      assert.notInclude(rejected({ connection: { headers: undefined, credentials } }), "SECRET")
    }
  })

  it("joins the cookies of headers and options", () => {
    const request = made("ws://test/", {
      client: { headers: { Cookie: "a=1" }, credentials: undefined },
      cookies: { b: "ü;" }
    })
    assert.strictEqual(request.cookies, "a=1; b=%C3%BC%3B")
    assert.strictEqual(made("ws://test/", { cookies: "c=2" }).cookies, "c=2")
    for (const cookies of [{ "a b": "" }, { a: "\u007f" }, { a: "\ud800" }]) rejected({ cookies })
  })
})

describe("headersOf", () => {
  const headers = (own: Partial<RequestParts>, jarCookies = ""): HeaderRecord => {
    const all = headersOf(made("ws://test/", own), jarCookies)
    assert(!isProtocolError(all))
    return all
  }

  it("has the jar's cookies before the others", () => {
    assert.deepStrictEqual(headers({ cookies: "b=2", userAgent: "test" }, "a=1"), {
      "User-Agent": "test",
      Cookie: "a=1; b=2"
    })
    assert.deepStrictEqual(headers({}), {})
  })

  it("replaces a header of the client whatever its case", () => {
    const source = (of: HeaderRecord) => ({ headers: of, credentials: undefined })
    assert.deepStrictEqual(
      headers({ client: source({ "x-a": "1", "x-b": "1" }), connection: source({ "X-A": ["2", "3"] }) }),
      { "x-b": "1", "X-A": ["2", "3"] }
    )
  })

  it("rejects control characters and a second user agent", () => {
    const request = (of: HeaderRecord) =>
      headersOf(made("ws://test/", { userAgent: "test", connection: { headers: of, credentials: undefined } }), "")
    assert.isTrue(isProtocolError(request({ "X-A": "\t" })))
    assert.isTrue(isProtocolError(request({ "USER-AGENT": "x" })))
  })
})
