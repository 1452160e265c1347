import { isProtocolError } from "@effect-websocket/protocol/Errors"
import { assert, describe, it } from "@effect/vitest"
import { httpUrl, isSameOrigin, parse, parseBase, splitUnix, unixUrl } from "../../../src/engine/client/Url.js"

const schemes = ["ws:", "wss:", "ws+unix:"]

describe("parse", () => {
  it("takes the user name and password out of the URL, decoded", () => {
    const parsed = parse("ws://us%40er:p%20w@test/chat?a=1", schemes, undefined)
    assert(!isProtocolError(parsed))
    assert.strictEqual(parsed.url.href, "ws://test/chat?a=1")
    assert.deepStrictEqual(parsed.userInfo, { username: "us@er", password: "p w" })
  })

  it("leaves the URL of the caller as it is", () => {
    const url = new URL("ws://user@test/")
    parse(url, schemes, undefined)
    assert.strictEqual(url.href, "ws://user@test/")
  })

  for (const input of [
    "/relative",
    "http://test/",
    "ws://test/#",
    "ws://te\nst/",
    "ws://user:%ff@test/",
    "ws+unix://host/a.sock:/",
    "ws+unix:///%ff:/",
    "ws+unix:///a.sock:chat"
  ]) {
    it(`rejects ${JSON.stringify(input)}`, () => {
      const error = parse(input, schemes, undefined)
      assert(isProtocolError(error))
      assert.strictEqual(error.origin, "local")
    })
  }

  it("resolves a relative URL against a base", () => {
    const { url } = parseBase("wss://user@test/api/", schemes)
    const parsed = parse("chat", schemes, url)
    assert(!isProtocolError(parsed))
    assert.strictEqual(parsed.url.href, "wss://test/api/chat")
    assert.throws(() => parseBase("test", schemes), RangeError, "baseUrl cannot be used: The URL is malformed")
  })
})

describe("a Unix domain socket", () => {
  it("has a URL that leads back to its path and to the path of the request", () => {
    for (const path of ["/tmp/a.sock", "/tmp/a b:c?#.sock", "/tmp/ü%.sock"]) {
      const parsed = parse(`${unixUrl(path)}/chat:1?q=2`, schemes, undefined)
      assert(!isProtocolError(parsed))
      assert.deepStrictEqual(splitUnix(parsed.url), { socketPath: path, path: "/chat:1?q=2" })
      assert.isUndefined(httpUrl(parsed.url))
    }
    assert.strictEqual(splitUnix(new URL("ws+unix:///a.sock")).path, "/")
  })
})

describe("an origin", () => {
  it("is the scheme, the host and the port", () => {
    const same = (a: string, b: string) => isSameOrigin(new URL(a), new URL(b))
    assert.isTrue(same("ws://test/a", "ws://TEST:80/b"))
    assert.isFalse(same("ws://test/", "wss://test/"))
    assert.isFalse(same("ws://test/", "ws://test:8080/"))
  })

  it("has a scheme that cookies know", () => {
    assert.strictEqual(httpUrl(new URL("wss://test/a?b"))?.href, "https://test/a?b")
    assert.strictEqual(httpUrl(new URL("ws://test:81/"))?.href, "http://test:81/")
  })
})
