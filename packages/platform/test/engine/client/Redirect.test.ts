import { isProtocolError } from "@effect-websocket/protocol/Errors"
import { assert, describe, it } from "@effect/vitest"
import { follow, locationOf, Visited } from "../../../src/engine/client/Redirect.js"

const from = (url: string) => ({
  url: new URL(url),
  headers: { "X-A": "1" },
  userAgent: "test",
  authorization: "Bearer secret",
  cookies: "a=1"
})

describe("locationOf", () => {
  it("is the one location of a redirect", () => {
    for (const status of [301, 302, 303, 307, 308]) assert.strictEqual(locationOf(status, { location: "/a" }), "/a")
    for (const status of [200, 300, 304, 305, 306, 401, 503]) assert.isUndefined(locationOf(status, { location: "/a" }))
    assert.isUndefined(locationOf(302, { location: ["/a", "/b"] }))
    assert.isUndefined(locationOf(302, {}))
  })
})

describe("follow", () => {
  for (const [start, location, end] of [
    ["ws://test/a?b", "/c", "ws://test/c"],
    ["ws://test/a", "http://test/c#d", "ws://test/c"],
    ["wss://test/a", "https://user:pass@test:443/c", "wss://test/c"],
    ["ws+unix:///a.sock:/b", "/c?d", "ws+unix:///a.sock:/c?d"],
    ["ws+unix:///a.sock:/b/x", "ws://localhost/b/c", "ws+unix:///a.sock:/b/c"]
  ] as const) {
    it(`keeps everything within an origin: from ${start} to ${location}`, () => {
      assert.deepStrictEqual(follow(from(start), location), { ...from(start), url: new URL(end) })
    })
  }

  for (const [start, location] of [
    ["ws://test/", "ws://other/"],
    ["ws://test/", "ws://test:81/"],
    ["ws://test/", "wss://test/"],
    ["ws+unix:///a.sock:/", "ws://test/"]
  ] as const) {
    it(`takes no secret to another origin: from ${start} to ${location}`, () => {
      const next = follow(from(start), location)
      assert.deepStrictEqual(next, {
        url: new URL(location),
        headers: {},
        userAgent: "test",
        authorization: undefined,
        cookies: ""
      })
    })
  }

  for (const [start, location] of [
    ["wss://test/", "ws://test/"],
    ["ws://test/", "ftp://test/"],
    ["ws://test/", "http://[/"]
  ] as const) {
    it(`does not lead from ${start} to ${location}`, () => {
      const error = follow(from(start), location)
      assert(isProtocolError(error))
      assert.strictEqual(error.origin, "remote")
    })
  }
})

describe("Visited", () => {
  it("finds a request that was sent before, with the same cookies", () => {
    const visited = new Visited()
    const url = new URL("ws://test/")
    assert.isUndefined(visited.add(url, {}))
    assert.isUndefined(visited.add(url, { Cookie: "a=1" }))
    assert.isUndefined(visited.add(new URL("ws://test/a"), {}))
    assert.isTrue(isProtocolError(visited.add(url, { Cookie: "a=1" })))
  })
})
