import { assert, describe, it } from "vitest"
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Extension from "@effect-websocket/protocol/Extension"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as fc from "fast-check"
import { createHash } from "node:crypto"
import * as arbitraries from "./arbitraries.js"
import { facts, localFacts, remoteFacts } from "./support.js"

// The example of RFC 6455 §1.3.
const key = "dGhlIHNhbXBsZSBub25jZQ=="
const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

const requestHeaders: HeaderRecord = {
  host: "example.com",
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-key": key,
  "sec-websocket-version": "13"
}

const request = (headers: HeaderRecord = {}, parts?: Partial<Omit<Handshake.HttpRequest, "headers">>) => ({
  method: "GET",
  url: "/chat?room=1",
  httpVersion: "1.1",
  headers: { ...requestHeaders, ...headers },
  ...parts
})

const responseHeaders: HeaderRecord = {
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-accept": accept
}

const answer = (headers: HeaderRecord): Handshake.HttpResponse => ({
  status: 101,
  headers: { ...responseHeaders, ...headers }
})

const accepted = (checked: Handshake.UpgradeRequest | Handshake.RefusedRequest): Handshake.UpgradeRequest => {
  assert.strictEqual(checked._tag, "UpgradeRequest")
  return checked as Handshake.UpgradeRequest
}

const refused = (checked: Handshake.UpgradeRequest | Handshake.RefusedRequest): Handshake.RefusedRequest => {
  assert.strictEqual(checked._tag, "RefusedRequest")
  return checked as Handshake.RefusedRequest
}

/** The facts of an error, whose description must name what it is about. */
const factsAbout = (error: unknown, about: string) => {
  assert.include(String((error as { readonly description: unknown }).description).toLowerCase(), about.toLowerCase())
  return facts(error)
}

describe("Handshake", () => {
  describe("keys", () => {
    it("makes the accept value of the RFC's key", () => {
      assert.strictEqual(Handshake.acceptValue(key), accept)
      assert.isTrue(Handshake.isAcceptValue(key, accept))
    })

    it.each(["", key, accept.toLowerCase(), accept.slice(0, -1), `${accept} `])(
      "%j is not the accept value of that key",
      (text) => {
        assert.isFalse(Handshake.isAcceptValue(key, text))
      }
    )

    it("makes keys of 16 bytes, and accept values with SHA-1", () => {
      assert.strictEqual(Handshake.makeKey(new TextEncoder().encode("the sample nonce")), key)
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (random) => {
          const key = Handshake.makeKey(random)
          assert.isTrue(Handshake.isKey(key))
          assert.strictEqual(key, Buffer.from(random).toString("base64"))
          const expected = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
          assert.strictEqual(Handshake.acceptValue(key), expected)
        })
      )
    })

    it.each([0, 15, 17])("throws for a key of %i bytes", (length) => {
      assert.throws(() => Handshake.makeKey(new Uint8Array(length)), RangeError)
    })
  })

  describe("requestHeaders", () => {
    it("sends only the required headers by default", () => {
      assert.deepStrictEqual(Handshake.requestHeaders({ key }), {
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13"
      })
      assert.deepStrictEqual(
        Handshake.requestHeaders({ key, protocols: [], extensions: [], headers: {} }),
        Handshake.requestHeaders({ key })
      )
    })

    it("sends everything in the offer", () => {
      assert.deepStrictEqual(
        Handshake.requestHeaders({
          key,
          protocols: ["chat.v2", "chat.v1"],
          extensions: [Extension.make("permessage-deflate", [["client_max_window_bits", true]]), Extension.make("x")],
          origin: "https://example.com",
          headers: { Authorization: "Bearer \u00fc\t1", cookie: ["a=1", "b=2"], "x-none": undefined }
        }),
        {
          Authorization: "Bearer \u00fc\t1",
          cookie: ["a=1", "b=2"],
          "x-none": undefined,
          Upgrade: "websocket",
          Connection: "Upgrade",
          "Sec-WebSocket-Key": key,
          "Sec-WebSocket-Version": "13",
          "Sec-WebSocket-Protocol": "chat.v2, chat.v1",
          "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits, x",
          Origin: "https://example.com"
        }
      )
    })

    const evil = ["a\r\nEvil: 1", "a\nb", "a\rb", "a\0b", "a\x7f", "a\x1b", "\u010d\u010a", "🌍"]

    it.each(evil)("refuses %j in any header", (text) => {
      const offer = (parts: Partial<Handshake.Offer>) => facts(Handshake.requestHeaders({ key, ...parts }))
      assert.deepStrictEqual(offer({ headers: { [text]: "1" } }), localFacts("RFC 9110 §5.1"))
      assert.deepStrictEqual(offer({ headers: { "x-a": text } }), localFacts("RFC 9110 §5.5"))
      assert.deepStrictEqual(offer({ headers: { "x-a": ["fine", text] } }), localFacts("RFC 9110 §5.5"))
      assert.deepStrictEqual(offer({ origin: text }), localFacts("RFC 9110 §5.5"))
      assert.deepStrictEqual(offer({ protocols: ["fine", text] }), localFacts("RFC 6455 §4.1"))
      assert.deepStrictEqual(offer({ extensions: [Extension.make(text)] }), localFacts("RFC 6455 §9.1"))
      assert.deepStrictEqual(offer({ extensions: [Extension.make("x", [["a", text]])] }), localFacts("RFC 6455 §9.1"))
    })

    it.each(["", "a b", "a:", "a(b)", "ü"])("refuses the header name %j", (name) => {
      assert.deepStrictEqual(
        facts(Handshake.requestHeaders({ key, headers: { [name]: "1" } })),
        localFacts("RFC 9110 §5.1")
      )
    })

    it.each(["", "a", key.slice(1), `${key}=`])("refuses the key %j", (malformed) => {
      assert.deepStrictEqual(facts(Handshake.requestHeaders({ key: malformed })), localFacts("RFC 6455 §4.1"))
    })

    it("refuses a subprotocol that comes twice", () => {
      assert.deepStrictEqual(
        facts(Handshake.requestHeaders({ key, protocols: ["a", "a"] })),
        localFacts("RFC 6455 §4.1")
      )
    })
  })

  const reserved = [
    "Upgrade",
    "connection",
    "Content-Length",
    "Trailer",
    "TRANSFER-ENCODING",
    "Sec-WebSocket-Key",
    "sec-websocket-version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Accept",
    "sec-websocket-anything"
  ]

  it.each(reserved)("does not let an app set %s", (name) => {
    const headers = { "X-Fine": "1", [name]: "1" }
    assert.deepStrictEqual(factsAbout(Handshake.requestHeaders({ key, headers }), name), localFacts("RFC 6455 §4.1"))
    const upgrade = accepted(Handshake.checkRequest(request()))
    const agreement = { protocol: undefined, extensions: [] }
    assert.deepStrictEqual(
      factsAbout(Handshake.responseHeaders(upgrade, agreement, headers), name),
      localFacts("RFC 6455 §4.1")
    )
  })

  describe("checkRequest", () => {
    it("accepts the smallest request", () => {
      const minimal = request()
      assert.deepStrictEqual(Handshake.checkRequest(minimal), {
        _tag: "UpgradeRequest",
        url: "/chat?room=1",
        headers: minimal.headers,
        key,
        protocols: [],
        extensions: [],
        origin: undefined,
        host: "example.com"
      })
    })

    it("accepts everything that a client may offer", () => {
      const checked = accepted(
        Handshake.checkRequest(
          request({
            origin: "https://example.com",
            "sec-websocket-protocol": ["chat.v2, chat.v1", "x"],
            "sec-websocket-extensions": ["a; b=1", 'a; b="2", c']
          })
        )
      )
      assert.strictEqual(checked.origin, "https://example.com")
      assert.deepStrictEqual(checked.protocols, ["chat.v2", "chat.v1", "x"])
      assert.deepStrictEqual(checked.extensions, [
        Extension.make("a", [["b", "1"]]),
        Extension.make("a", [["b", "2"]]),
        Extension.make("c")
      ])
    })

    it.each<HeaderRecord>([
      { upgrade: "WebSocket", connection: "upgrade" },
      { upgrade: "WEBSOCKET", connection: "UPGRADE" },
      { connection: "keep-alive, Upgrade" },
      { connection: ["keep-alive", "Upgrade"] },
      { connection: "\tkeep-alive ,, uPgRaDe , x" },
      { upgrade: "h2c, websocket" },
      { upgrade: ["h2c", "websocket"] }
    ])("accepts %j", (headers) => {
      assert.strictEqual(Handshake.checkRequest(request(headers))._tag, "UpgradeRequest")
    })

    it.each(["1.1", "1.2", "2.0", "3"])("accepts HTTP %s", (httpVersion) => {
      accepted(Handshake.checkRequest(request({}, { httpVersion })))
    })

    it.each<[about: string, section: string, headers: HeaderRecord, parts?: Partial<Handshake.HttpRequest>]>([
      ["POST", "§4.2.1", {}, { method: "POST" }],
      ["get", "§4.2.1", {}, { method: "get" }],
      ["1.0", "§4.2.1", {}, { httpVersion: "1.0" }],
      ["0.9", "§4.2.1", {}, { httpVersion: "0.9" }],
      ["nonsense", "§4.2.1", {}, { httpVersion: "nonsense" }],
      ["HTTP  ", "§4.2.1", {}, { httpVersion: "" }],
      ["host", "§4.1", { host: ["example.com", "example.com"] }],
      ["Host", "§4.2.1", { host: undefined }],
      ["upgrade", "§4.1", { upgrade: undefined }],
      ["upgrade", "§4.1", { upgrade: "" }],
      ["upgrade", "§4.1", { upgrade: "h2c" }],
      ["upgrade", "§4.1", { upgrade: "websockets" }],
      ["malformed", "§9.1", { upgrade: "websocket/13" }],
      ["malformed", "§9.1", { upgrade: "websocket h2c" }],
      ["connection", "§4.1", { connection: undefined }],
      ["connection", "§4.1", { connection: "keep-alive" }],
      ["connection", "§4.1", { connection: ["keep-alive", "close"] }],
      ["malformed", "§9.1", { connection: "keep-alive Upgrade" }],
      ["malformed", "§9.1", { connection: "Upgrade, \u0001" }],
      ["sec-websocket-version", "§4.2.1", { "sec-websocket-version": undefined }],
      ["sec-websocket-version", "§4.1", { "sec-websocket-version": ["13", "13"] }],
      ["sec-websocket-version", "§4.1", { "sec-websocket-version": ["13", "8"] }],
      ["sec-websocket-key", "§4.2.1", { "sec-websocket-key": undefined }],
      ["sec-websocket-key", "§4.1", { "sec-websocket-key": [key, key] }],
      ["sec-websocket-key", "§4.2.1", { "sec-websocket-key": "" }],
      ["sec-websocket-key", "§4.2.1", { "sec-websocket-key": key.slice(0, -2) }],
      ["sec-websocket-key", "§4.2.1", { "sec-websocket-key": `${key}=` }],
      ["sec-websocket-key", "§4.2.1", { "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZTE=" }],
      ["sec-websocket-key", "§4.2.1", { "sec-websocket-key": "dGhlIHNhbXBsZSBub25j!Q==" }],
      ["sec-websocket-key", "§4.2.1", { "sec-websocket-key": "dGhlIHNhbXBsZSBub25_-Q==" }],
      ["malformed", "§9.1", { "sec-websocket-protocol": "chat v1" }],
      ["malformed", "§9.1", { "sec-websocket-protocol": ["fine", "a;b"] }],
      ["subprotocol", "§4.1", { "sec-websocket-protocol": "a, b, a" }],
      ["subprotocol", "§4.1", { "sec-websocket-protocol": ["a", "a"] }],
      ["malformed", "§9.1", { "sec-websocket-extensions": "permessage-deflate;" }],
      ["malformed", "§9.1", { "sec-websocket-extensions": ["fine", 'x; a="'] }],
      ["origin", "§4.1", { origin: ["https://example.com", "https://example.com"] }]
    ])("answers 400 about %s (%s): %j %j", (about, section, headers, parts) => {
      const checked = refused(Handshake.checkRequest(request(headers, parts)))
      assert.strictEqual(checked.status, 400)
      assert.deepStrictEqual(checked.headers, {})
      assert.deepStrictEqual(factsAbout(checked.error, about), remoteFacts(`RFC 6455 ${section}`))
    })

    it.each<HeaderRecord>([
      { "content-length": "1" },
      { "content-length": "007" },
      { "content-length": "" },
      { "content-length": ["0", "1"] },
      { "transfer-encoding": "chunked" },
      { "transfer-encoding": "identity" }
    ])("refuses a body with 400: %j", (headers) => {
      const checked = refused(Handshake.checkRequest(request(headers)))
      assert.strictEqual(checked.status, 400)
      assert.deepStrictEqual(factsAbout(checked.error, "body"), remoteFacts("RFC 6455 §4.2.1"))
    })

    it("accepts a body of no bytes", () => {
      accepted(Handshake.checkRequest(request({ "content-length": "0" })))
    })

    it.each(["8", "7", "0", "14", "013", "13, 8", "", "thirteen"])("answers 426 to version %j", (version) => {
      const checked = refused(Handshake.checkRequest(request({ "sec-websocket-version": version })))
      assert.strictEqual(checked.status, 426)
      assert.deepStrictEqual(checked.headers, { Upgrade: "websocket", "Sec-WebSocket-Version": "13" })
      assert.deepStrictEqual(factsAbout(checked.error, JSON.stringify(version)), remoteFacts("RFC 6455 §4.4"))
    })

    it("never throws", () => {
      const value = fc.oneof(
        fc.string(),
        fc.constantFrom("websocket", "Upgrade", "13", key),
        fc.array(fc.string(), { maxLength: 2 }),
        fc.constant(undefined)
      )
      const headers = fc.dictionary(
        fc.constantFrom(...Object.keys(requestHeaders), "origin", "sec-websocket-protocol", "sec-websocket-extensions"),
        value,
        { noNullPrototype: true }
      )
      fc.assert(
        fc.property(headers, (headers) => {
          const checked = Handshake.checkRequest(request(headers))
          assert.include(["UpgradeRequest", "RefusedRequest"], checked._tag)
          const response = Handshake.checkResponse(answer(headers), { key })
          if ("_tag" in response) assert.strictEqual(facts(response)["origin"], "remote")
          else assert.isUndefined(response.protocol)
        })
      )
    })
  })

  describe("responseHeaders", () => {
    const upgrade = accepted(
      Handshake.checkRequest(request({ "sec-websocket-protocol": "a, b", "sec-websocket-extensions": "x" }))
    )

    it("answers without and with an agreement", () => {
      assert.deepStrictEqual(Handshake.responseHeaders(upgrade, { protocol: undefined, extensions: [] }), {
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Accept": accept
      })
      assert.deepStrictEqual(
        Handshake.responseHeaders(
          upgrade,
          { protocol: "b", extensions: [Extension.make("x", [["y", "1"]])] },
          { "Set-Cookie": ["a=1", "b=2"] }
        ),
        {
          "Set-Cookie": ["a=1", "b=2"],
          Upgrade: "websocket",
          Connection: "Upgrade",
          "Sec-WebSocket-Accept": accept,
          "Sec-WebSocket-Protocol": "b",
          "Sec-WebSocket-Extensions": "x; y=1"
        }
      )
    })

    it.each<[string, Handshake.Agreement, HeaderRecord]>([
      ["RFC 6455 §4.2.2", { protocol: "c", extensions: [] }, {}],
      ["RFC 6455 §4.2.2", { protocol: "A", extensions: [] }, {}],
      ["RFC 6455 §4.2.2", { protocol: "a", extensions: [Extension.make("y")] }, {}],
      ["RFC 6455 §9.1", { protocol: "a", extensions: [Extension.make("x", [["\r\n", true]])] }, {}],
      ["RFC 9110 §5.1", { protocol: "a", extensions: [] }, { "a b": "1" }],
      ["RFC 9110 §5.5", { protocol: "a", extensions: [] }, { a: "1\r\nSet-Cookie: evil" }]
    ])("refuses an answer that breaks %s", (section, agreement, headers) => {
      assert.deepStrictEqual(facts(Handshake.responseHeaders(upgrade, agreement, headers)), localFacts(section))
    })
  })

  describe("headers of any kind", () => {
    /** The same headers in the types of other runtimes and libraries. */
    const kinds: ReadonlyArray<[string, (headers: HeaderRecord) => HeaderField.Input]> = [
      ["a record", (headers) => headers],
      ["a record with capitals", (headers) => mapNames(headers, (name) => name.toUpperCase())],
      ["a record that has each value in an array", (headers) => mapValues(headers, (value) => [value])],
      ["the Headers of the web", (headers) => new Headers(HeaderField.entries(headers).map(([n, v]) => [n, v]))],
      ["a list of names and values", (headers) => HeaderField.entries(headers)],
      ["a map", (headers) => new Map(HeaderField.entries(headers))],
      [
        "the Headers of Effect, which have a prototype",
        (headers) =>
          Object.assign(
            Object.create({ [Symbol.for("@effect/platform/Headers")]: true, origin: "https://evil" }),
            headers
          )
      ]
    ]
    const mapNames = (headers: HeaderRecord, f: (name: string) => string): HeaderRecord =>
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [f(name), value]))
    const mapValues = (headers: HeaderRecord, f: (value: string) => ReadonlyArray<string>): HeaderRecord =>
      Object.fromEntries(HeaderField.entries(headers).map(([name, value]) => [name, f(value)]))

    const offers = { "sec-websocket-protocol": "a, b", "sec-websocket-extensions": "x; y=1", origin: "https://a" }

    it.each(kinds)("%s in a request", (_, kind) => {
      const all = { ...requestHeaders, ...offers }
      const { headers, ...checked } = accepted(Handshake.checkRequest({ ...request(), headers: kind(all) }))
      assert.deepStrictEqual(checked, {
        _tag: "UpgradeRequest",
        url: "/chat?room=1",
        key,
        protocols: ["a", "b"],
        extensions: [Extension.make("x", [["y", "1"]])],
        origin: "https://a",
        host: "example.com"
      })
      assert.strictEqual(HeaderField.get(headers, "host"), "example.com")
      assert.strictEqual(Handshake.isUpgradeRequest(kind(all)), true)
    })

    it.each(kinds)("%s in a response", (_, kind) => {
      const headers = kind({ ...responseHeaders, "sec-websocket-protocol": "b", "sec-websocket-extensions": "x" })
      const offer = { key, protocols: ["a", "b"], extensions: [Extension.make("x")] }
      assert.deepStrictEqual(Handshake.checkResponse({ status: 101, headers }, offer), {
        protocol: "b",
        extensions: [Extension.make("x")]
      })
    })

    it.each(kinds)("%s that an app adds", (_, kind) => {
      const headers = kind({ "x-a": "1", "x-b": "2" })
      for (const made of [
        Handshake.requestHeaders({ key, headers }),
        Handshake.responseHeaders({ key }, {}, headers)
      ]) {
        assert.deepStrictEqual(
          ["x-a", "x-b", "upgrade"].map((name) => HeaderField.get(made as HeaderRecord, name)),
          ["1", "2", "websocket"]
        )
      }
      assert.deepStrictEqual(
        facts(Handshake.requestHeaders({ key, headers: kind({ connection: "close" }) })),
        localFacts("RFC 6455 §4.1")
      )
    })

    it("refuses a repeated header, ignoring case", () => {
      for (const [name, value] of HeaderField.entries(requestHeaders).filter(([name]) =>
        /key|version|host/.test(name)
      )) {
        const headers = { ...requestHeaders, [name.toUpperCase()]: value }
        assert.strictEqual(Handshake.checkRequest({ ...request(), headers })._tag, "RefusedRequest", name)
      }
      const headers = { ...responseHeaders, "Sec-WebSocket-Accept": accept }
      assert.deepStrictEqual(
        facts(Handshake.checkResponse({ status: 101, headers }, { key })),
        remoteFacts("RFC 6455 §4.1")
      )
    })
  })

  it.each([
    [{}, false],
    [{ upgrade: "websocket" }, false],
    [{ connection: "upgrade" }, false],
    [{ upgrade: "websocket", connection: "close" }, false],
    [{ upgrade: "h2c", connection: "upgrade" }, false],
    [{ upgrade: "web socket", connection: "upgrade" }, false],
    [{ Upgrade: "h2c, WebSocket", CONNECTION: ["keep-alive", "Upgrade"] }, true]
  ] satisfies ReadonlyArray<[HeaderRecord, boolean]>)("%j asks for an upgrade: %s", (headers, expected) => {
    assert.strictEqual(Handshake.isUpgradeRequest(headers), expected)
  })

  it("answers a key alone", () => {
    assert.deepStrictEqual(Handshake.responseHeaders({ key }), {
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Accept": accept
    })
    assert.deepStrictEqual(facts(Handshake.responseHeaders({ key: "short" })), localFacts("RFC 6455 §4.2.2"))
    assert.deepStrictEqual(facts(Handshake.responseHeaders({ key }, { protocol: "a" })), localFacts("RFC 6455 §4.2.2"))
    assert.deepStrictEqual(
      facts(Handshake.responseHeaders({ key }, { extensions: [Extension.make("x")] })),
      localFacts("RFC 6455 §4.2.2")
    )
  })

  it("never answers with a subprotocol that is not a token, even if it was offered", () => {
    for (const protocol of ["a\r\nX-Other: b", "a b", ""]) {
      const answered = Handshake.responseHeaders({ key, protocols: [protocol] }, { protocol })
      assert.deepStrictEqual(facts(answered), localFacts("RFC 6455 §4.1"))
    }
  })

  it("generates keys from the bytes of a source", () => {
    const bytes = Uint8Array.from(Buffer.from(key, "base64"))
    const source = { getRandomValues: (array: Uint8Array) => array.set(bytes) }
    assert.strictEqual(Handshake.generateKey(source), key)
    const keys = [Handshake.generateKey(globalThis.crypto), Handshake.generateKey(globalThis.crypto)]
    assert.isTrue(keys.every(Handshake.isKey))
    assert.notStrictEqual(keys[0], keys[1])
  })

  describe("checkResponse", () => {
    it.each([200, 100, 301, 426, 0, NaN])("refuses the status %d, whatever the headers", (status) => {
      const error = Handshake.checkResponse({ status, headers: responseHeaders }, { key })
      assert.deepStrictEqual(factsAbout(error, String(status)), remoteFacts("RFC 6455 §4.1"))
    })

    const offer: Handshake.Offer = {
      key,
      protocols: ["a", "b"],
      extensions: [Extension.make("x"), Extension.make("x", [["y", "1"]])]
    }

    it.each<[HeaderRecord, Handshake.Agreement]>([
      [{}, { protocol: undefined, extensions: [] }],
      [
        { upgrade: "WebSocket", connection: ["keep-alive", "uPGRADE"] },
        { protocol: undefined, extensions: [] }
      ],
      [{ "sec-websocket-accept": ` ${accept}\t` }, { protocol: undefined, extensions: [] }],
      [
        { "sec-websocket-protocol": "b", "sec-websocket-extensions": "x; y=1" },
        { protocol: "b", extensions: [Extension.make("x", [["y", "1"]])] }
      ],
      [{ "sec-websocket-extensions": "" }, { protocol: undefined, extensions: [] }]
    ])("accepts %j", (headers, agreement) => {
      assert.deepStrictEqual(Handshake.checkResponse(answer(headers), offer), agreement)
    })

    it.each<[about: string, section: string, headers: HeaderRecord]>([
      ["upgrade", "§4.1", { upgrade: undefined }],
      ["upgrade", "§4.1", { upgrade: "h2c" }],
      ["malformed", "§9.1", { upgrade: "web socket" }],
      ["connection", "§4.1", { connection: undefined }],
      ["connection", "§4.1", { connection: "close" }],
      ["malformed", "§9.1", { connection: '"Upgrade"' }],
      ["sec-websocket-accept", "§4.1", { "sec-websocket-accept": undefined }],
      ["sec-websocket-accept", "§4.1", { "sec-websocket-accept": "" }],
      ["sec-websocket-accept", "§4.1", { "sec-websocket-accept": key }],
      ["sec-websocket-accept", "§4.1", { "sec-websocket-accept": accept.toUpperCase() }],
      ["sec-websocket-accept", "§4.1", { "sec-websocket-accept": [accept, accept] }],
      ['subprotocol "c"', "§4.1", { "sec-websocket-protocol": "c" }],
      ['subprotocol "A"', "§4.1", { "sec-websocket-protocol": "A" }],
      ['subprotocol "a, b"', "§4.1", { "sec-websocket-protocol": "a, b" }],
      ['subprotocol ""', "§4.1", { "sec-websocket-protocol": "" }],
      ["sec-websocket-protocol", "§4.1", { "sec-websocket-protocol": ["a", "a"] }],
      ['extension "z"', "§4.1", { "sec-websocket-extensions": "z" }],
      ['extension "X"', "§4.1", { "sec-websocket-extensions": "x, X" }],
      ['extension "z"', "§4.1", { "sec-websocket-extensions": ["x", "z; y=1"] }],
      ["malformed", "§9.1", { "sec-websocket-extensions": "x;" }]
    ])("refuses for its %s (%s): %j", (about, section, headers) => {
      const error = Handshake.checkResponse(answer(headers), offer)
      assert.deepStrictEqual(factsAbout(error, about), remoteFacts(`RFC 6455 ${section}`))
    })

    it("refuses any subprotocol or extension if none was offered", () => {
      for (const headers of [{ "sec-websocket-protocol": "a" }, { "sec-websocket-extensions": "x" }]) {
        const error = Handshake.checkResponse(answer(headers), { key })
        assert.deepStrictEqual(facts(error), remoteFacts("RFC 6455 §4.1"))
      }
    })
  })

  it("brings a client and a server to the same agreement", () => {
    const offer = fc.record({
      key: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(Handshake.makeKey),
      protocols: fc.uniqueArray(arbitraries.token, { maxLength: 4 }),
      extensions: arbitraries.elements,
      origin: fc.constantFrom(undefined, "https://example.com")
    })
    fc.assert(
      fc.property(offer, fc.nat(), (offer, choice) => {
        const sent = Handshake.requestHeaders(offer)
        assert.isUndefined((sent as { readonly _tag?: unknown })._tag)
        const headers = { ...(sent as HeaderRecord), Host: "example.com" }
        const upgrade = accepted(Handshake.checkRequest({ method: "GET", url: "/", httpVersion: "1.1", headers }))
        assert.deepStrictEqual(
          { ...offer },
          { key: upgrade.key, protocols: upgrade.protocols, extensions: upgrade.extensions, origin: upgrade.origin }
        )
        const agreement = {
          protocol: upgrade.protocols[choice % (upgrade.protocols.length + 1)],
          extensions: upgrade.extensions.filter((_, i) => ((choice >> i) & 1) === 1)
        }
        const answered = Handshake.responseHeaders(upgrade, agreement)
        const response = { status: 101, headers: answered as HeaderRecord }
        assert.deepStrictEqual(Handshake.checkResponse(response, offer), agreement)
      })
    )
  })

  it("lowers the case of names that plain objects inherit", () => {
    const headers = { Constructor: "a", constructor: "b", toString: "c", ["__proto__"]: "d", __PROTO__: "e" }
    assert.deepStrictEqual(Object.entries(Handshake.lowerCaseNames(headers)), [
      ["constructor", ["a", "b"]],
      ["tostring", "c"],
      ["__proto__", ["d", "e"]]
    ])
  })

  it("lowers the case of names only, and keeps repeated headers as an array", () => {
    assert.deepStrictEqual(Handshake.lowerCaseNames({ "X-Y": "A", Z: ["B", "C"], z: "D", None: undefined }), {
      "x-y": "A",
      z: ["B", "C", "D"]
    })
  })
})
