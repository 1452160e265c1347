import * as fc from "fast-check"
import * as CookieJar from "@effect-websocket/platform/CookieJar"
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { HandshakeRejected, isHandshakeRejected, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import { Inspectable, Redacted } from "effect"
import { Cause, Deferred, Effect, Exit, Fiber, Schema, Scope, TestClock } from "./effect/index.js"
import * as Cookies from "./effect/Cookies.js"
import { assert, describe, it } from "./effect/vitest.js"
import { codePoint } from "./codePoint.js"
import { fields, finalizersIn, isInterrupted, isPending, settled, utf8 } from "./support.js"

interface Asked {
  readonly url: string
  readonly headers: HeaderRecord
}

type Answer = { readonly status: number; readonly headers?: HeaderRecord } | "accept"

/** A network of servers: a test gives the answer to each request. */
const network = (answer: (asked: Asked) => Answer, options?: WebSocketClient.MakeOptions) =>
  Effect.gen(function* () {
    const asked: Array<Asked> = []
    const dropped: Array<string> = []
    const dial: WebSocketClient.Dial = (url, headers, done) => {
      const request = { url: url.href, headers }
      const pair = Effect.runSync(MockTransport.make())
      asked.push(request)
      const given = answer(request)
      queueMicrotask(() =>
        done(
          given === "accept"
            ? {
                _tag: "Upgraded",
                headers: {
                  upgrade: "websocket",
                  connection: "upgrade",
                  "sec-websocket-accept": Handshake.acceptValue(String(headers["Sec-WebSocket-Key"])),
                  "set-cookie": "opened=1"
                },
                transport: pair.client
              }
            : {
                _tag: "Rejected",
                status: given.status,
                headers: given.headers ?? {},
                body: {
                  read: (_onPart, onEnd) => queueMicrotask(() => onEnd(true)),
                  drop: () => void dropped.push(url.href)
                }
              }
        )
      )
      return () => assert.fail("nothing was to be dropped")
    }
    const { connect } = WebSocketClient.make(dial, options)
    return {
      asked,
      dropped,
      client: {
        connect: (url: string | URL, options?: WebSocketClient.ConnectOptions) =>
          Effect.tap(connect(url, options), (socket) => Effect.addFinalizer(() => socket.abort))
      }
    }
  })

/** What one `connect` asks for. */
const request = (
  url: string | URL,
  options?: WebSocketClient.ConnectOptions,
  clientOptions?: WebSocketClient.MakeOptions
) =>
  Effect.gen(function* () {
    const { asked, client } = yield* network(() => ({ status: 404 }), clientOptions)
    yield* Effect.flip(client.connect(url, options))
    assert.strictEqual(asked.length, 1)
    return asked[0]!
  }).pipe(Effect.scoped)

const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`
const password = Redacted.make("pass:wörd")
const token = Redacted.make("to.ken")

describe("credentials", () => {
  const cases: ReadonlyArray<
    readonly [
      name: string,
      url: string,
      options: WebSocketClient.ConnectOptions,
      clientOptions: WebSocketClient.MakeOptions,
      expected: string | undefined
    ]
  > = [
    ["none", "ws://test", {}, {}, undefined],
    ["a name and a password", "ws://test", { auth: { username: "us er", password } }, {}, basic("us er:pass:wörd")],
    ["a token", "ws://test", { auth: { token } }, {}, "Bearer to.ken"],
    ["those of the URL", "ws://us%20er:p%40ss@test", {}, {}, basic("us er:p@ss")],
    ["a name in the URL", "ws://user@test", {}, {}, basic("user:")],
    ["those of the client", "ws://test", {}, { auth: { token } }, "Bearer to.ken"],
    ["the client's header", "ws://test", {}, { headers: { authorization: "Digest a" } }, "Digest a"],
    ["the nearest, of the URL", "ws://a:b@test", {}, { auth: { token } }, basic("a:b")],
    ["the nearest, a header", "ws://test", { headers: { authorization: "X" } }, { auth: { token } }, "X"],
    ["the nearest, auth", "ws://test", { auth: { token } }, { headers: { Authorization: "X" } }, "Bearer to.ken"],
    ["those of the base", "/", {}, { baseUrl: "ws://a:b@test/chat" }, basic("a:b")],
    ["those of the base, for its origin", "ws://test", {}, { baseUrl: "ws://a:b@test" }, basic("a:b")],
    ["none for another origin", "ws://test", {}, { baseUrl: "ws://a:b@test:81" }, undefined],
    ["the nearest, before the base", "/", { auth: { token } }, { baseUrl: "ws://a:b@test" }, "Bearer to.ken"]
  ]
  for (const [name, url, options, clientOptions, expected] of cases) {
    it.effect(`are ${name}`, () =>
      Effect.gen(function* () {
        const asked = yield* request(url, options, clientOptions)
        assert.strictEqual(asked.url, "ws://test/")
        assert.strictEqual(asked.headers["Authorization"], expected)
        assert.notProperty(asked.headers, "authorization")
      })
    )
  }

  it.effect("in the URL are not in the URL of the connection", () =>
    Effect.gen(function* () {
      const { client } = yield* network(() => "accept")
      const socket = yield* client.connect("ws://user:secret@test/chat")
      assert.strictEqual(socket.url, "ws://test/chat")
    }).pipe(Effect.scoped)
  )

  const secret = "s3cr\u0007et"
  const refused: ReadonlyArray<readonly [name: string, url: string, options: WebSocketClient.ConnectOptions]> = [
    ["a control character in the password", "ws://test", { auth: { username: "a", password: Redacted.make(secret) } }],
    ["a control character in the name", "ws://test", { auth: { username: secret, password } }],
    ["a colon in the name", "ws://test", { auth: { username: "s3cr:et", password } }],
    ["a line break in the token", "ws://test", { auth: { token: Redacted.make("s3cr\r\net") } }],
    ["a space in the token", "ws://test", { auth: { token: Redacted.make("s3cr et") } }],
    ["a token as a subprotocol", "ws://test", { protocols: ["bearer", "s3cr=="] }],
    ["no token", "ws://test", { auth: { token: Redacted.make("") } }],
    ["a control character in the URL's password", "ws://a:s3cr%00et@test", {}],
    ["a malformed password in the URL", "ws://a:s3cr%et@test", {}],
    ["two sets", "ws://a:s3cret@test", { auth: { token } }],
    ["a header besides", "ws://test", { auth: { token }, headers: { authorization: "s3cret" } }],
    ["a control character in a cookie", "ws://test", { headers: { cookie: secret } }],
    ["a line break in a cookie of a record", "ws://test", { cookies: { a: "s3cr\r\net" } }],
    ["half of a surrogate pair in a cookie", "ws://test", { cookies: { a: "s3cr\ud800et" } }],
    ["a name of a cookie that ends it", "ws://test", { cookies: { "s3cr;et": "1" } }],
    ["a name of a cookie with a space", "ws://test", { cookies: { "s3cr et": "1" } }],
    ["a name of a cookie with a line break", "ws://test", { cookies: { "s3cr\r\net": "1" } }],
    ["a name of a cookie that is not ASCII", "ws://test", { cookies: { s3crét: "1" } }],
    ["no name of a cookie", "ws://test", { cookies: { "": "s3cret" } }],
    ["a control character in the user agent", "ws://test", { userAgent: secret }],
    ["two user agents", "ws://test", { userAgent: "a", headers: { "user-agent": "s3cret" } }],
    ["a control character in the query", "ws://test", { query: { a: secret } }],
    ["a line break in a name of the query", "ws://test", { query: { "s3cr\r\net": "" } }],
    ["a control character in a header", "ws://test", { headers: { "X-Key": secret } }]
  ]
  for (const [name, url, options] of refused) {
    it.effect(`that no header can carry are neither sent nor shown: ${name}`, () =>
      Effect.gen(function* () {
        const { asked, client } = yield* network(() => assert.fail("asked"))
        const error = yield* Effect.flip(client.connect(url, options))
        assert.deepInclude(fields(error), { _tag: "Protocol_error", origin: "local" })
        assert.notInclude(`${Inspectable.toStringUnknown(error)} ${error.message} ${JSON.stringify(error)}`, "s3cr")
        assert.deepStrictEqual(asked, [])
      }).pipe(Effect.scoped)
    )
  }

  it.effect("and other values of an app never become another header", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.string({ unit: codePoint }), fc.integer({ min: 0, max: 7 }), (text, place) => {
          const places: ReadonlyArray<WebSocketClient.ConnectOptions> = [
            { auth: { username: text, password } },
            { auth: { username: "a", password: Redacted.make(text) } },
            { auth: { token: Redacted.make(text) } },
            { userAgent: text },
            { query: { a: text } },
            { cookies: Cookies.fromIterable([]).pipe(Cookies.setUnsafe("a", text)) },
            { cookies: { a: text } },
            { cookies: { [text]: "1" } }
          ]
          return Effect.runPromise(
            Effect.gen(function* () {
              const { asked, client } = yield* network(() => ({ status: 404 }))
              yield* Effect.flip(client.connect("ws://test", places[place]))
              for (const { headers, url } of asked) {
                // eslint-disable-next-line no-control-regex
                assert.notMatch(`${url}${Object.values(headers).join()}`, /[\u0000-\u001f\u007f]/)
                assert.isAtMost(Object.keys(headers).length, 5)
              }
            }).pipe(Effect.scoped)
          )
        })
      )
    )
  )
})

describe("the request", () => {
  it.effect("has the query of the options behind the query of the URL", () =>
    Effect.gen(function* () {
      const query = { room: "a b&c", tags: ["1", "2"], none: undefined }
      const expected = "room=a+b%26c&tags=1&tags=2"
      assert.strictEqual((yield* request("ws://test/x", { query })).url, `ws://test/x?${expected}`)
      assert.strictEqual((yield* request("ws://test/x?y=%20", { query })).url, `ws://test/x?y=%20&${expected}`)
      assert.strictEqual((yield* request("ws://test/x?", { query: {} })).url, "ws://test/x?")
    })
  )

  it.effect("is relative to the client's base", () =>
    Effect.gen(function* () {
      for (const baseUrl of ["wss://test/api/v1?a=1", Redacted.make("wss://test/api/v1"), new URL("wss://test/api/")]) {
        for (const [url, expected] of [
          ["chat?room=1", "wss://test/api/chat?room=1"],
          ["/chat", "wss://test/chat"],
          ["ws://other/chat", "ws://other/chat"],
          ["//other/chat", "wss://other/chat"],
          [new URL("ws://other"), "ws://other/"]
        ] as const) {
          assert.strictEqual((yield* request(url, {}, { baseUrl })).url, expected)
        }
      }
      assert.strictEqual((yield* request("", {}, { baseUrl: "ws://test/chat?a=1" })).url, "ws://test/chat?a=1")
    })
  )

  it.effect("dies for a base that makes no sense", () =>
    Effect.gen(function* () {
      for (const baseUrl of ["/MARK", "http://user:MARK@test", Redacted.make("ws://test/#MARK")]) {
        const exit = yield* Effect.exit(request("/chat", {}, { baseUrl }))
        assert(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.notInclude(Cause.pretty(exit.cause), "MARK")
      }
    })
  )

  it.effect("does not change the app's URL", () =>
    Effect.gen(function* () {
      const url = new URL("ws://user:secret@test/")
      yield* request(url, { query: { a: "b" } })
      assert.strictEqual(url.href, "ws://user:secret@test/")
    })
  )

  it.effect("has the cookies, in one header", () =>
    Effect.gen(function* () {
      const cookies = Cookies.fromIterable([]).pipe(Cookies.setUnsafe("a", "1 2"), Cookies.setUnsafe("b", "ü"))
      const asked = yield* request("ws://test", { cookies, headers: { cookie: "c=3" } })
      assert.strictEqual(asked.headers["Cookie"], "c=3; a=1%202; b=%C3%BC")
      assert.notProperty(asked.headers, "cookie")
    })
  )

  it.effect("encodes the cookies of a record as Cookies does, and prefers those of the connection", () =>
    Effect.gen(function* () {
      const record = { a: "1 2", b: "ü", c: "" }
      for (const [cookies, ofClient, expected] of [
        [record, undefined, "a=1%202; b=%C3%BC; c="],
        [undefined, record, "a=1%202; b=%C3%BC; c="],
        [{ d: "4" }, record, "d=4"],
        [{ d: "4" }, Cookies.fromIterable([]).pipe(Cookies.setUnsafe("a", "1")), "d=4"],
        [{}, record, undefined]
      ] as const) {
        const { headers } = yield* request("ws://test", { cookies }, { cookies: ofClient })
        assert.strictEqual(headers["Cookie"], expected)
      }
      assert.strictEqual(
        (yield* request("ws://test", { cookies: record, headers: { cookie: "d=4" } })).headers["Cookie"],
        "d=4; a=1%202; b=%C3%BC; c="
      )
    })
  )

  it.effect("dies for cookies that are not a record", () =>
    Effect.gen(function* () {
      const { asked, client } = yield* network(() => assert.fail("asked"))
      for (const cookies of ["a=b", ["a=b"], new Map([["a", "b"]]), 3]) {
        const options: WebSocketClient.ConnectOptions = {}
        const exit = yield* Effect.exit(Effect.scoped(client.connect("ws://test", Object.assign(options, { cookies }))))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      }
      assert.deepStrictEqual(asked, [])
    })
  )

  it.effect("has cookies of a record that a server decodes to the same values", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(fc.array(fc.string({ unit: "grapheme", maxLength: 8 }), { maxLength: 3 }), (values) => {
          const cookies = Object.fromEntries(["100%", 'a="b"; c,d\\', ...values].map((value, i) => [`a-${i}`, value]))
          return Effect.runPromise(
            Effect.map(request("ws://test", { cookies }), ({ headers }) => {
              assert.deepStrictEqual(Cookies.parseHeader(String(headers["Cookie"])), cookies)
            })
          )
        })
      )
    )
  )

  it.effect("has a key from the app's source of randomness, another one each time", () =>
    Effect.gen(function* () {
      const counting = (first: number) => {
        let next = first
        return { getRandomValues: (bytes: Uint8Array) => void bytes.forEach((_, i) => (bytes[i] = next++)) }
      }
      const key = (first: number) => Handshake.makeKey(Uint8Array.from({ length: 16 }, (_, i) => first + i))
      const keyOf = (options?: WebSocketClient.ConnectOptions, clientOptions?: WebSocketClient.MakeOptions) =>
        Effect.map(request("ws://test", options, clientOptions), ({ headers }) => headers["Sec-WebSocket-Key"])
      const random = counting(0)
      assert.strictEqual(yield* keyOf({ random }), key(0))
      assert.strictEqual(yield* keyOf({}, { random }), key(16))
      assert.strictEqual(yield* keyOf({ random: counting(100) }, { random }), key(100))
      assert.notStrictEqual(yield* keyOf(), yield* keyOf())
    })
  )

  it.effect("has an unpredictable key if the source of randomness throws", () =>
    Effect.gen(function* () {
      const random = {
        getRandomValues: () => {
          throw new Error("no entropy")
        }
      }
      const keys = yield* Effect.forEach([1, 2], () =>
        Effect.map(request("ws://test", { random }), ({ headers }) => String(headers["Sec-WebSocket-Key"]))
      )
      assert(keys.every(Handshake.isKey))
      assert.notStrictEqual(keys[0], keys[1])
    })
  )

  it.effect("has the headers of client and connection, and prefers those of the connection one by one", () =>
    Effect.gen(function* () {
      const { headers } = yield* request(
        "ws://test",
        { headers: { "x-a": "own" } },
        {
          headers: { "X-A": "client", "X-B": "client" },
          userAgent: "agent/1",
          origin: "https://example.com",
          protocols: ["chat"]
        }
      )
      assert.deepInclude(headers, {
        "x-a": "own",
        "X-B": "client",
        "User-Agent": "agent/1",
        Origin: "https://example.com",
        "Sec-WebSocket-Protocol": "chat"
      })
      assert.notProperty(headers, "X-A")
    })
  )
})

const redirectTo =
  (routes: Readonly<Record<string, Answer | string>>) =>
  ({ url }: Asked): Answer => {
    const found = routes[url]
    if (found === undefined) return assert.fail(`nobody expects ${url}`)
    return typeof found === "string" && found !== "accept"
      ? { status: 302, headers: { location: found } }
      : (found as Answer)
  }

/** Everything that an app may say about itself. */
const secrets: WebSocketClient.ConnectOptions = {
  auth: { token },
  headers: { "X-Api-Key": "secret" },
  cookies: Cookies.fromIterable([]).pipe(Cookies.setUnsafe("session", "secret")),
  userAgent: "agent/1",
  protocols: []
}

describe("redirects", () => {
  it.effect("are not followed by default", () =>
    Effect.gen(function* () {
      const { client } = yield* network(redirectTo({ "ws://test/": "/b" }))
      const error = yield* Effect.flip(client.connect("ws://test"))
      assert(isHandshakeRejected(error))
      assert.deepStrictEqual([error.status, error.reason, error.headers["location"]], [302, "Redirect", "/b"])
    }).pipe(Effect.scoped)
  )

  for (const status of [301, 302, 303, 307, 308]) {
    it.effect(`with status ${status} are followed`, () =>
      Effect.gen(function* () {
        const { asked, client, dropped } = yield* network(
          redirectTo({ "ws://test/a/b?c": { status, headers: { location: ["../d?e#f"] } }, "ws://test/d?e": "accept" })
        )
        const socket = yield* client.connect("ws://test/a/b?c", { ...secrets, maxRedirects: 1 })
        assert.strictEqual(socket.url, "ws://test/d?e")
        assert.deepStrictEqual(dropped, ["ws://test/a/b?c"])
        const [first, second] = asked.map(({ headers }) => headers)
        assert.notStrictEqual(first?.["Sec-WebSocket-Key"], second?.["Sec-WebSocket-Key"])
        // The same origin learns nothing new.
        assert.deepStrictEqual({ ...second, "Sec-WebSocket-Key": "" }, { ...first, "Sec-WebSocket-Key": "" })
        assert.strictEqual(second?.["Authorization"], "Bearer to.ken")
      }).pipe(Effect.scoped)
    )
  }

  for (const [from, to, location] of [
    ["ws://test/", "ws://other/", "http://other"],
    ["ws://test/", "ws://test:81/", "ws://test:81"],
    ["ws://test/", "wss://test/", "https://test:443/"],
    ["wss://test/", "wss://other/", "//other"],
    ["ws://test/", "ws://other/", "http://user:word@other"]
  ] as const) {
    it.effect(`take no secret to another origin: from ${from} to ${location}`, () =>
      Effect.gen(function* () {
        const { asked, client } = yield* network(
          redirectTo({
            [from]: location,
            [to]: `${from.replace(/^ws:/, new URL(to).protocol)}back`,
            [`${from.replace(/^ws:/, new URL(to).protocol)}back`]: "accept"
          })
        )
        yield* client.connect(from, { ...secrets, maxRedirects: 2 })
        assert.deepStrictEqual(asked[1]?.url, to)
        for (const { headers } of asked.slice(1)) {
          assert.notProperty(headers, "Authorization")
          assert.notProperty(headers, "Cookie")
          assert.notProperty(headers, "X-Api-Key")
          assert.strictEqual(headers["User-Agent"], "agent/1")
        }
        assert.strictEqual(asked.length, 3)
      }).pipe(Effect.scoped)
    )
  }

  it.effect("above maxRedirects are rejections", () =>
    Effect.gen(function* () {
      const { asked, client } = yield* network(({ url }) => ({ status: 307, headers: { location: `${url}a` } }))
      const error = yield* Effect.flip(client.connect("ws://test", { maxRedirects: 3 }))
      assert(isHandshakeRejected(error))
      assert.deepStrictEqual([error.status, error.headers["location"]], [307, "ws://test/aaaa"])
      assert.strictEqual(asked.length, 4)
    }).pipe(Effect.scoped)
  )

  for (const [name, routes, asks] of [
    ["in a circle", { "ws://test/": "/b", "ws://test/b": "http://test/" }, 2],
    ["to themselves", { "ws://test/": "ws://test" }, 1],
    ["from wss: to ws:", { "ws://test/": "wss://test", "wss://test/": "ws://other" }, 2],
    ["from wss: to http:", { "ws://test/": "https://test", "wss://test/": "http://test/" }, 2],
    ["to another scheme", { "ws://test/": "ftp://test/" }, 1],
    ["to a Unix socket", { "ws://test/": "ws+unix:///var/run/secret.sock:/" }, 1],
    ["to no URL", { "ws://test/": "http://" }, 1]
  ] as const) {
    it.effect(`${name} fail`, () =>
      Effect.gen(function* () {
        const { asked, client } = yield* network(redirectTo(routes))
        const error = yield* Effect.flip(client.connect("ws://test", { maxRedirects: 20 }))
        assert.deepInclude(fields(error), { _tag: "Protocol_error", origin: "remote" })
        assert.strictEqual(asked.length, asks)
      }).pipe(Effect.scoped)
    )
  }

  it.effect("without exactly one location, and with other statuses, are rejections", () =>
    Effect.gen(function* () {
      for (const answer of [
        { status: 302 },
        { status: 302, headers: { location: ["/a", "/b"] } },
        { status: 300, headers: { location: "/a" } },
        { status: 304, headers: { location: "/a" } },
        { status: 401, headers: { location: "/a" } }
      ]) {
        const { client } = yield* network(() => answer)
        const error = yield* Effect.flip(client.connect("ws://test", { maxRedirects: 3 }))
        assert(isHandshakeRejected(error))
        assert.strictEqual(error.status, answer.status)
      }
    }).pipe(Effect.scoped)
  )

  it.effect("within a Unix domain socket stay there", () =>
    Effect.gen(function* () {
      const { asked, client } = yield* network(
        redirectTo({
          "ws+unix:///tmp/a.sock:/b/c?d": "./e:f",
          "ws+unix:///tmp/a.sock:/b/e:f": "ws://localhost/g",
          "ws+unix:///tmp/a.sock:/g": "ws://localhost:80/h",
          "ws+unix:///tmp/a.sock:/h": "ws://test/",
          "ws://test/": "accept"
        }),
        { schemes: ["ws:", "ws+unix:"] }
      )
      yield* client.connect("ws+unix:///tmp/a.sock:/b/c?d", { ...secrets, maxRedirects: 4 })
      assert.deepStrictEqual(
        asked.map(({ headers }) => headers["Authorization"]),
        [...Array.from({ length: 4 }, () => "Bearer to.ken"), undefined]
      )
    }).pipe(Effect.scoped)
  )

  it.effect("are a defect if their number makes no sense", () =>
    Effect.gen(function* () {
      const { client } = yield* network(() => "accept")
      for (const maxRedirects of [-1, 1.5, Number.NaN, Infinity]) {
        const exit = yield* Effect.exit(client.connect("ws://test", { maxRedirects }))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      }
    }).pipe(Effect.scoped)
  )
})

describe("CookieJar", () => {
  it.effect("keeps the cookies of redirects, rejections and connections for the servers that they are for", () =>
    Effect.gen(function* () {
      const { asked, client } = yield* network(({ headers, url }) => {
        if (url === "ws://a.test/login") {
          return headers["Cookie"] === undefined
            ? {
                status: 302,
                headers: { location: "/login", "set-cookie": ["session=1; HttpOnly", "tls=1; Secure", "="] }
              }
            : { status: 401, headers: { "set-cookie": "path=1; Path=/chat" } }
        }
        return "accept"
      })
      // A cookie makes the second visit another one, so this is no circle.
      yield* Effect.flip(client.connect("ws://a.test/login", { maxRedirects: 5 }))
      yield* client.connect("ws://a.test/chat", { headers: { Cookie: "own=1" } })
      yield* client.connect("ws://a.test/")
      yield* client.connect("wss://a.test/")
      yield* client.connect("ws://b.test/")
      assert.deepStrictEqual(
        asked.map(({ headers }) => headers["Cookie"]),
        [undefined, "session=1", "path=1; session=1; own=1", "session=1; opened=1", "session=1; opened=1", undefined]
      )
    }).pipe(Effect.scoped, Effect.provide(CookieJar.layer))
  )

  it.effect("counts into openTimeout", () =>
    Effect.gen(function* () {
      const { client } = yield* network(() => "accept")
      const connecting = yield* Effect.forkChild(Effect.flip(client.connect("ws://test", { openTimeout: "1 second" })))
      yield* TestClock.adjust("1 second")
      assert.deepInclude(fields(yield* Fiber.join(connecting)), { _tag: "Io_error", reason: "Timeout" })
    }).pipe(
      Effect.scoped,
      Effect.provideService(CookieJar.CookieJar, { cookieHeader: () => Effect.never, setCookies: () => Effect.void })
    )
  )

  it.effect("is interrupted with connect, which awaits its finalizers", () =>
    Effect.gen(function* () {
      const { asked, client } = yield* network(() => "accept")
      const finalizing = yield* Deferred.make<void>()
      const calls: Array<string> = []
      const jar: CookieJar.Service = {
        cookieHeader: () =>
          Effect.onInterrupt(Effect.never, () =>
            Effect.andThen(
              Deferred.await(finalizing),
              Effect.sync(() => calls.push("finalizer"))
            )
          ),
        setCookies: () => Effect.void
      }
      const connecting = yield* Effect.forkChild(
        Effect.provideService(client.connect("ws://test"), CookieJar.CookieJar, jar)
      )
      yield* settled
      const interrupting = yield* Effect.forkChild(
        Effect.andThen(
          Fiber.interrupt(connecting),
          Effect.sync(() => calls.push("interrupted"))
        )
      )
      yield* settled
      assert.deepStrictEqual(calls, [])
      yield* Deferred.succeed(finalizing, undefined)
      yield* Fiber.join(interrupting)
      assert.deepStrictEqual(calls, ["finalizer", "interrupted"])
      assert.deepStrictEqual(asked, [])
    }).pipe(Effect.scoped)
  )

  it.effect("is awaited by connect, also if its first step resumes a fiber that interrupts connect", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const finalizing = yield* Deferred.make<void>()
      const { client } = yield* network(() => ({ status: 401, headers: { "set-cookie": "a=1" } }))
      const jar: CookieJar.Service = {
        cookieHeader: () => Effect.succeed(""),
        setCookies: () =>
          Effect.andThen(Deferred.succeed(begun, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.await(finalizing))
          )
      }
      const connecting = yield* Effect.forkChild(
        Effect.provideService(client.connect("ws://test"), CookieJar.CookieJar, jar)
      )
      yield* Deferred.await(begun)
      Fiber.interruptUnsafe(connecting)
      assert.isTrue(yield* isPending(connecting))
      yield* Deferred.succeed(finalizing, undefined)
      assert.isTrue(isInterrupted(yield* Fiber.await(connecting)))
    }).pipe(Effect.scoped)
  )

  it.effect("that dies before or after the answer is a defect of connect, which leaves nothing open", () =>
    Effect.gen(function* () {
      const dying = Effect.die(new Error("the jar is broken"))
      for (const jar of [
        { cookieHeader: () => dying, setCookies: () => Effect.void },
        { cookieHeader: () => Effect.succeed(""), setCookies: () => dying },
        { cookieHeader: () => Effect.andThen(Effect.yieldNow, dying), setCookies: () => Effect.void }
      ]) {
        const scope = yield* Scope.make()
        const { client } = yield* network(() => "accept", { closeTimeout: "1 second" })
        const connecting = yield* client
          .connect("ws://test")
          .pipe(Effect.provideService(CookieJar.CookieJar, jar), Scope.provide(scope), Effect.exit, Effect.forkChild)
        yield* TestClock.adjust("1 second")
        const exit = yield* Fiber.join(connecting)
        assert(Exit.isFailure(exit))
        assert.include(Cause.pretty(exit.cause), "the jar is broken")
        assert.strictEqual(finalizersIn(scope), 0)
      }
    }).pipe(Effect.scoped)
  )
})

/** A server that answers 403, and a body that a test writes. */
const refusing = (options?: WebSocketClient.ConnectOptions) =>
  Effect.gen(function* () {
    let part: (part: Uint8Array) => void = () => assert.fail("nobody reads")
    let end: (complete: boolean) => void = () => assert.fail("nobody reads")
    const calls: Array<string> = []
    const client = WebSocketClient.make((_url, _headers, done) => {
      queueMicrotask(() =>
        done({
          _tag: "Rejected",
          status: 403,
          headers: {},
          body: {
            read: (onPart, onEnd) => {
              part = onPart
              end = onEnd
            },
            drop: () => void calls.push("drop body")
          }
        })
      )
      return () => calls.push("drop request")
    })
    const scope = yield* Scope.make()
    const fiber = yield* Effect.forkChild(Scope.provide(client.connect("ws://test", options), scope))
    yield* TestClock.adjust(0)
    return {
      calls,
      fiber,
      scope,
      rejected: Effect.map(Effect.flip(Fiber.join(fiber)), (error) => {
        assert(isHandshakeRejected(error))
        return error
      }),
      part: (bytes: Uint8Array) => part(bytes),
      end: (complete: boolean) => end(complete)
    }
  })

describe("the body of a rejection", () => {
  it.effect("is read to its end", () =>
    Effect.gen(function* () {
      const { calls, end, part, rejected } = yield* refusing()
      part(utf8("no, "))
      part(utf8("and why"))
      end(true)
      const error = yield* rejected
      assert.deepStrictEqual([error.text, error.bodyTruncated], ["no, and why", false])
      assert.deepStrictEqual(calls, ["drop body"])
    })
  )

  it.effect("is cut off at 64 KiB", () =>
    Effect.gen(function* () {
      const { calls, part, rejected } = yield* refusing()
      part(new Uint8Array(65_000))
      part(new Uint8Array(65_000))
      const error = yield* rejected
      assert.deepStrictEqual([error.body.length, error.bodyTruncated], [65_536, true])
      assert.deepStrictEqual(calls, ["drop body"])
    })
  )

  for (const [openTimeout, millis] of [
    ["10 seconds", 2000],
    ["1500 millis", 1500]
  ] as const) {
    it.effect(`is awaited for ${millis} milliseconds if openTimeout is ${openTimeout}`, () =>
      Effect.gen(function* () {
        const { calls, part, rejected, fiber } = yield* refusing({ openTimeout })
        part(utf8("slow"))
        yield* TestClock.adjust(millis - 1)
        assert.isUndefined(Fiber.pollUnsafe(fiber))
        yield* TestClock.adjust(1)
        const error = yield* rejected
        assert.deepStrictEqual([error.status, error.text, error.bodyTruncated], [403, "slow", true])
        assert.deepStrictEqual(calls, ["drop body"])
      })
    )
  }

  it.effect("is dropped if connect is interrupted or its scope ends", () =>
    Effect.gen(function* () {
      const interrupted = yield* refusing()
      yield* Fiber.interrupt(interrupted.fiber)
      assert.deepStrictEqual(interrupted.calls, ["drop body"])
      const released = yield* refusing()
      yield* Scope.close(released.scope, Exit.void)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(released.fiber)))
      assert.deepStrictEqual(released.calls, ["drop body"])
    })
  )

  const Problem = Schema.Struct({ title: Schema.String, code: Schema.NumberFromString })
  it.effect("is decoded with a schema", () =>
    Effect.gen(function* () {
      const decode = (body: string) =>
        WebSocketClient.schemaBodyJson(Problem)(
          new HandshakeRejected({ status: 403, headers: {}, body: utf8(body), bodyTruncated: false })
        )
      assert.deepStrictEqual(yield* decode('{"title":"✗","code":"7"}'), { title: "✗", code: 7 })
      for (const body of ["", '{"title":"a', '{"title":1,"code":"7"}', "<html>"]) {
        assert.strictEqual((yield* Effect.flip(decode(body)))._tag, Schema.errorTag)
      }
    })
  )
})
