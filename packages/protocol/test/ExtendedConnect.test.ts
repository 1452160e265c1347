import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as ExtendedConnect from "@effect-websocket/protocol/ExtendedConnect"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import * as arbitraries from "./arbitraries.js"
import { facts, localFacts, remoteFacts } from "./support.js"

const key = "dGhlIHNhbXBsZSBub25jZQ=="
const target = { scheme: "https", authority: "server.example.com", path: "/chat?room=1" } as const

// The example of RFC 8441 §5.1.
const connect: HeaderRecord = {
  ":method": "CONNECT",
  ":protocol": "websocket",
  ":scheme": "https",
  ":path": "/chat?room=1",
  ":authority": "server.example.com",
  "sec-websocket-protocol": "chat, superchat",
  "sec-websocket-extensions": "permessage-deflate",
  "sec-websocket-version": "13",
  origin: "http://www.example.com"
}

const check = (changes: HeaderRecord = {}) => ExtendedConnect.checkRequest({ ...connect, ...changes })

const accepted = (checked: ReturnType<typeof check>): ExtendedConnect.ConnectRequest => {
  assert.strictEqual(checked._tag, "UpgradeRequest")
  return checked as ExtendedConnect.ConnectRequest
}

const refused = (checked: ReturnType<typeof check>): ExtendedConnect.RefusedRequest => {
  assert.strictEqual(checked._tag, "RefusedRequest")
  return checked as ExtendedConnect.RefusedRequest
}

const upgradeHeaders = (offer: Omit<Handshake.Offer, "key">): HeaderRecord => {
  const headers = Handshake.requestHeaders({ key, ...offer })
  assert.notProperty(headers, "_tag")
  return headers as HeaderRecord
}

describe("ExtendedConnect", () => {
  it("names the setting and the protocol of RFC 8441", () => {
    assert.strictEqual(ExtendedConnect.enableConnectProtocol, 8)
    assert.strictEqual(ExtendedConnect.protocol, "websocket")
  })

  describe("requestHeaders", () => {
    it("makes the RFC's request of an upgrade request", () => {
      const upgrade = upgradeHeaders({
        protocols: ["chat", "superchat"],
        extensions: [{ name: "permessage-deflate", parameters: [] }],
        origin: "http://www.example.com"
      })
      assert.deepStrictEqual(ExtendedConnect.requestHeaders(target, { Host: "x", ...upgrade }), connect)
    })

    it("keeps the headers of the app, in lower case", () => {
      const sent = ExtendedConnect.requestHeaders(target, { "X-Trace": ["1", "2"], TE: "trailers" })
      assert.deepInclude(sent, { "x-trace": ["1", "2"], te: "trailers" })
    })

    it("fails for a header that HTTP/2 cannot carry", () => {
      for (const [name, value] of [
        ["Keep-Alive", "timeout=5"],
        ["Proxy-Connection", "keep-alive"],
        ["HTTP2-Settings", ""],
        ["Transfer-Encoding", "chunked"],
        ["TE", "gzip"],
        ["TE", ["trailers", "gzip"]]
      ] as const) {
        assert.deepStrictEqual(
          facts(ExtendedConnect.requestHeaders(target, { [name]: value })),
          localFacts("RFC 9113 §8.2.2"),
          name
        )
      }
    })

    it("is read by checkRequest as Handshake reads the upgrade request, but for the key", () => {
      const token = arbitraries.token
      fc.assert(
        fc.property(
          fc.uniqueArray(token, { maxLength: 3 }),
          fc.array(
            fc.record({
              name: token,
              parameters: fc.array(fc.tuple(token, fc.constant(true as const)), { maxLength: 2 })
            }),
            { maxLength: 3 }
          ),
          fc.constantFrom(undefined, "https://example.com", "null"),
          fc.option(fc.stringMatching(/^[!-~]+$/), { nil: undefined }),
          (protocols, extensions, origin, cookie) => {
            const headers = cookie === undefined ? {} : { Cookie: cookie }
            const upgrade = { Host: target.authority, ...upgradeHeaders({ protocols, extensions, origin, headers }) }
            const url = target.path
            const over1 = Handshake.checkRequest({ method: "GET", url, httpVersion: "1.1", headers: upgrade })
            const sent = ExtendedConnect.requestHeaders(target, upgrade)
            assert.notProperty(sent, "_tag")
            const over2 = accepted(ExtendedConnect.checkRequest(sent as HeaderRecord))
            assert.strictEqual(over1._tag, "UpgradeRequest")
            const { connection, upgrade: _, "sec-websocket-key": __, ...rest } = over1.headers as HeaderRecord
            assert.isDefined(connection)
            assert.deepStrictEqual(over2, { ...over1, key: undefined, headers: rest } as never)
          }
        )
      )
    })
  })

  describe("checkRequest", () => {
    it("accepts the RFC's request", () => {
      assert.deepStrictEqual(accepted(check()), {
        _tag: "UpgradeRequest",
        url: "/chat?room=1",
        headers: {
          host: "server.example.com",
          "sec-websocket-protocol": "chat, superchat",
          "sec-websocket-extensions": "permessage-deflate",
          "sec-websocket-version": "13",
          origin: "http://www.example.com"
        },
        key: undefined,
        protocols: ["chat", "superchat"],
        extensions: [{ name: "permessage-deflate", parameters: [] }],
        origin: "http://www.example.com",
        host: "server.example.com"
      })
    })

    it("accepts clear text, headers of the web, and a Host that repeats the authority", () => {
      const pairs = Object.entries({ ...connect, ":scheme": "http", host: "Server.Example.com", "content-length": "0" })
      assert.strictEqual(
        accepted(ExtendedConnect.checkRequest(pairs as Array<[string, string]>)).host,
        "server.example.com"
      )
    })

    it("joins the cookies, which may come in several fields", () => {
      assert.strictEqual(accepted(check({ cookie: ["a=1", "b=2"] })).headers["cookie"], "a=1; b=2")
      assert.strictEqual(accepted(check({ cookie: "a=1" })).headers["cookie"], "a=1")
    })

    it("ignores a key, as RFC 8441 §5 says", () => {
      assert.isUndefined(accepted(check({ "sec-websocket-key": "no key" })).key)
    })

    it("keeps a record without a prototype free of other names", () => {
      const fields: Record<string, string> = Object.assign(Object.create(null), connect)
      assert.isUndefined(accepted(ExtendedConnect.checkRequest(fields)).headers["constructor"])
    })

    it("refuses another protocol with 501", () => {
      for (const other of ["connect-udp", "WebSocket", undefined]) {
        const { error, headers, status } = refused(check({ ":protocol": other }))
        assert.deepStrictEqual([status, headers], [501, {}])
        assert.deepStrictEqual(facts(error), remoteFacts("RFC 8441 §5"))
      }
    })

    it("refuses with 400 what breaks the handshake", () => {
      const cases: ReadonlyArray<readonly [HeaderRecord, string]> = [
        [{ ":method": "GET" }, "RFC 8441 §4"],
        [{ ":scheme": undefined }, "RFC 8441 §4"],
        [{ ":scheme": "wss" }, "RFC 8441 §5"],
        [{ ":path": undefined }, "RFC 8441 §4"],
        [{ ":path": "*" }, "RFC 8441 §4"],
        [{ ":authority": undefined }, "RFC 8441 §5"],
        [{ ":authority": "" }, "RFC 8441 §5"],
        [{ host: "other.example.com" }, "RFC 9113 §8.3.1"],
        [{ host: ["a", "b"] }, "RFC 6455 §4.1"],
        [{ connection: "Upgrade" }, "RFC 9113 §8.2.2"],
        [{ upgrade: "websocket" }, "RFC 9113 §8.2.2"],
        [{ "content-length": "1" }, "RFC 9110 §9.3.6"],
        [{ "sec-websocket-version": undefined }, "RFC 8441 §5"],
        [{ "sec-websocket-version": ["13", "13"] }, "RFC 6455 §4.1"],
        [{ "sec-websocket-protocol": "a b" }, "RFC 6455 §9.1"],
        [{ "sec-websocket-extensions": ";" }, "RFC 6455 §9.1"],
        [{ origin: ["a", "b"] }, "RFC 6455 §4.1"]
      ]
      for (const [changes, section] of cases) {
        const { error, headers, status } = refused(check(changes))
        assert.deepStrictEqual([status, headers], [400, {}], JSON.stringify(changes))
        assert.deepStrictEqual(facts(error), remoteFacts(section), JSON.stringify(changes))
      }
    })

    it("names the version that it supports", () => {
      const { error, headers, status } = refused(check({ "sec-websocket-version": "8" }))
      assert.deepStrictEqual([status, headers], [400, { "Sec-WebSocket-Version": "13" }])
      assert.deepStrictEqual(facts(error), remoteFacts("RFC 6455 §4.4"))
    })
  })

  describe("responseHeaders", () => {
    const offered = { protocols: ["chat"], extensions: [{ name: "x", parameters: [] }] }

    it("makes the RFC's answer", () => {
      assert.deepStrictEqual(ExtendedConnect.responseHeaders(offered), { ":status": "200" })
      assert.deepStrictEqual(
        ExtendedConnect.responseHeaders(
          offered,
          { protocol: "chat", extensions: [{ name: "x", parameters: [] }] },
          { "X-Trace": "1" }
        ),
        { ":status": "200", "x-trace": "1", "sec-websocket-protocol": "chat", "sec-websocket-extensions": "x" }
      )
    })

    it("fails for what was not offered, and for headers that cannot be sent", () => {
      const cases: ReadonlyArray<readonly [Partial<Handshake.Agreement>, HeaderRecord, string]> = [
        [{ protocol: "other" }, {}, "RFC 6455 §4.2.2"],
        [{ extensions: [{ name: "y", parameters: [] }] }, {}, "RFC 6455 §4.2.2"],
        [{}, { Upgrade: "websocket" }, "RFC 6455 §4.1"],
        [{}, { ":path": "/" }, "RFC 9110 §5.1"],
        [{}, { "Keep-Alive": "timeout=5" }, "RFC 9113 §8.2.2"]
      ]
      for (const [agreement, headers, section] of cases) {
        assert.deepStrictEqual(
          facts(ExtendedConnect.responseHeaders(offered, agreement, headers)),
          localFacts(section),
          section
        )
      }
    })
  })

  describe("checkResponse", () => {
    const offer = { protocols: ["chat"], extensions: [{ name: "x", parameters: [] }] }

    it("returns the agreement", () => {
      assert.deepStrictEqual(ExtendedConnect.checkResponse({ status: 200, headers: {} }, {}), {
        protocol: undefined,
        extensions: []
      })
      assert.deepStrictEqual(
        ExtendedConnect.checkResponse(
          { status: 200, headers: { "Sec-WebSocket-Protocol": "chat", "sec-websocket-extensions": "x" } },
          offer
        ),
        { protocol: "chat", extensions: [{ name: "x", parameters: [] }] }
      )
    })

    it("fails for another status, and for a choice that was not offered", () => {
      const cases: ReadonlyArray<readonly [number, HeaderRecord, string]> = [
        [101, {}, "RFC 8441 §5"],
        [200, { "sec-websocket-protocol": "other" }, "RFC 6455 §4.1"],
        [200, { "sec-websocket-extensions": "y" }, "RFC 6455 §4.1"]
      ]
      for (const [status, headers, section] of cases) {
        assert.deepStrictEqual(facts(ExtendedConnect.checkResponse({ status, headers }, offer)), remoteFacts(section))
      }
    })
  })

  it("knows the headers of HTTP/1.1 connections in any case", () => {
    assert.isTrue(ExtendedConnect.isConnectionSpecific("Keep-Alive"))
    assert.isTrue(ExtendedConnect.isConnectionSpecific("TE"))
    assert.isFalse(ExtendedConnect.isConnectionSpecific("te", "trailers"))
    assert.isFalse(ExtendedConnect.isConnectionSpecific("cookie"))
  })
})
