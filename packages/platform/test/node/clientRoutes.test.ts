import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { Redacted } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { Cause, Config, ConfigProvider, Effect, Exit, Fiber, Layer, Scope } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { certificates, type Certificate } from "./certificates.js"
import { httpProxy, socks4Proxy, socksProxy } from "./proxies.js"
import {
  answer101,
  childScope,
  facts,
  header,
  ioFacts,
  listen,
  mebibyte,
  noHandlesLeft,
  rawServer,
  serveEcho
} from "./support.js"

afterEach(noHandlesLeft)

const tls = { ca: certificates.ca.cert }

const connectWith = (
  url: string,
  options: NodeWebSocketClient.Options,
  connectOptions?: WebSocketClient.ConnectOptions
) => Effect.provide(WebSocketClient.connect(url, connectOptions), NodeWebSocketClient.layerWith({ tls, ...options }))

/** A connection that echoes and closes well. */
const echoes = (url: string, options: NodeWebSocketClient.Options) =>
  Effect.gen(function* () {
    const socket = yield* connectWith(url, options)
    yield* socket.send("hello")
    assert.strictEqual((yield* socket.receive).data, "hello")
    yield* socket.close()
    assert.isTrue((yield* socket.closeStatus).clean)
  }).pipe(Effect.scoped)

/** Why there is no connection. */
const refusal = (url: string, options: NodeWebSocketClient.Options) =>
  Effect.flip(Effect.scoped(connectWith(url, options)))

/** Echo servers, one plain and one with TLS, for `localhost`. */
const servers = Effect.gen(function* () {
  const plain = yield* serveEcho()
  const secure = yield* serveEcho({ tls: certificates.good })
  return [`ws://localhost:${plain.address.port}`, `wss://localhost:${secure.address.port}`] as const
})

const account = { username: "us er", password: "p@ss:word" }
const withAccount = (url: string, { password, username } = account) =>
  url.replace("://", `://${encodeURIComponent(username)}:${encodeURIComponent(password)}@`)

const unixFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "web socket-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

/** Answers 101, and tells the requests. */
const unixServer = (path: string, certificate?: Certificate) =>
  Effect.gen(function* () {
    const requests: Array<string> = []
    const accept = (socket: Net.Socket) => {
      socket.on("error", () => {})
      socket.once("data", (bytes: Buffer) => {
        const request = bytes.toString("latin1")
        requests.push(request)
        if (request.startsWith("GET /old ")) socket.end("HTTP/1.1 302 Found\r\nLocation: new\r\n\r\n")
        else {
          socket.write(answer101(request))
          socket.once("data", () => socket.end())
        }
      })
    }
    const server = certificate === undefined ? Net.createServer(accept) : Tls.createServer(certificate, accept)
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(path, () => resume(Effect.void))),
      () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
    )
    return requests
  })

describe("a Unix domain socket", () => {
  it.live("is in the URL, or an option", () =>
    Effect.gen(function* () {
      const path = join(yield* unixFolder, "a.sock")
      const requests = yield* unixServer(path)
      const open = (url: string, options: NodeWebSocketClient.Options = {}) =>
        Effect.scoped(Effect.map(connectWith(url, options), (socket) => socket.url))
      const inUrl = `ws+unix://${path.replace(" ", "%20")}`
      assert.strictEqual(yield* open(`${inUrl}:/chat?room=1`), `${inUrl}:/chat?room=1`)
      yield* open(inUrl)
      yield* open(`${inUrl}:/old`, { maxRedirects: 1 })
      yield* open("ws://example.com:8080/chat", { socketPath: path })
      assert.deepStrictEqual(
        requests.map((request) => [request.split(" ")[1], header(request, "Host")]),
        [
          ["/chat?room=1", "localhost"],
          ["/", "localhost"],
          ["/old", "localhost"],
          ["/new", "localhost"],
          ["/chat", "example.com:8080"]
        ]
      )
    })
  )

  it.live("fails if nobody listens", () =>
    Effect.gen(function* () {
      const path = join(yield* unixFolder, "none.sock")
      for (const [url, options] of [
        [`ws+unix://${path}:/`, {}],
        ["ws://localhost", { socketPath: path }]
      ] as const) {
        assert.deepStrictEqual(facts(yield* refusal(url, options)), ioFacts("Connect", "connect"))
      }
    })
  )

  it.live.each([
    "ws+unix:///",
    "ws+unix:///:/chat",
    "ws+unix:///tmp/a.sock:chat",
    "ws+unix://host/a.sock:/chat",
    "ws+unix:///%zz:/"
  ])("is refused as %s", (url) =>
    Effect.gen(function* () {
      assert.deepInclude(facts(yield* refusal(url, {})), { _tag: "Protocol_error", origin: "local" })
    })
  )
})

describe("a stream of the app's", () => {
  it.live("may be connecting, connected, or another duplex than a socket", () =>
    Effect.gen(function* () {
      const [plain, secure] = yield* servers
      for (const url of [plain, secure]) {
        const port = Number(new URL(url).port)
        yield* echoes(url, { createConnection: ({ port }) => Net.connect(Number(port), "127.0.0.1") })
        const connected = yield* Effect.callback<Net.Socket>((resume) => {
          const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
        })
        yield* echoes(url, { createConnection: () => connected })
        yield* echoes(url, {
          createConnection: () => {
            const socket = Net.connect(port, "127.0.0.1")
            return new Duplex({
              read: () => void socket.resume(),
              write: (chunk: Buffer, _encoding, callback) => void socket.write(chunk, () => callback()),
              final: (callback) => void socket.end(callback),
              destroy: (error, callback) => {
                socket.destroy()
                callback(error)
              },
              construct(callback) {
                socket.on("data", (chunk: Buffer) => this.push(chunk))
                socket.on("end", () => this.push(null))
                socket.on("error", (error) => this.destroy(error))
                callback()
              }
            })
          }
        })
      }
    })
  )

  it.live("fails if it cannot be made", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(listen(Net.createServer()))
      for (const createConnection of [
        () => assert.fail("no stream"),
        () => Net.connect(port, "127.0.0.1"),
        () => new Duplex({ read() {}, construct: (callback) => callback(new Error("no stream")) }),
        // As in JavaScript, where an `async` function may do it by mistake.
        (): Duplex => JSON.parse("{}"),
        (): Duplex => JSON.parse("null"),
        () => new Duplex().destroy(),
        () => new Net.Socket().destroy(new Error("no stream"))
      ]) {
        for (const url of ["ws://localhost", "wss://localhost"]) {
          const error = yield* refusal(url, { createConnection })
          assert.deepInclude(facts(error), { _tag: "Io_error" })
          assert.notStrictEqual(facts(error)["reason"], "Timeout")
        }
      }
    })
  )

  it.live("that throws while it writes fails its own connection, and never the process", () =>
    Effect.gen(function* () {
      const [plain] = yield* servers
      const bug = new Error("bug")
      /** A stream to the server whose `k`-th write throws. */
      const throwingAt = (k: number) => () => {
        const socket = Net.connect(Number(new URL(plain).port), "127.0.0.1")
        let writes = 0
        const stream: Duplex = new Duplex({
          read: () => void socket.resume(),
          write: (chunk: Buffer, _encoding, callback) => {
            if (++writes === k) throw bug
            socket.write(chunk, () => callback())
          },
          destroy: (error, callback) => {
            socket.destroy()
            callback(error)
          }
        })
        socket.on("data", (chunk: Buffer) => stream.push(chunk))
        socket.on("error", (error) => stream.destroy(error))
        return stream
      }
      const request = yield* refusal(plain, { createConnection: throwingAt(1) })
      assert.deepInclude(facts(request), { _tag: "Io_error", reason: "Reset" })
      assert.strictEqual(request.cause, bug)
      // A large message leaves in several writes, most of them in callbacks.
      for (const k of [2, 4]) {
        const socket = yield* connectWith(plain, { createConnection: throwingAt(k) })
        yield* Effect.ignore(socket.send(new Uint8Array(mebibyte)))
        const { error } = yield* socket.closeStatus
        assert.deepInclude(facts(error), { _tag: "Io_error", reason: "Reset" })
        assert.strictEqual(error.cause, bug)
      }
    })
  )
})

describe("TCP", () => {
  it.live("uses the local address and the family of the options", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const connecting = yield* Effect.forkChild(
        refusal(`ws://localhost:${server.port}`, { localAddress: "127.0.0.2", family: 4 })
      )
      const peer = yield* server.next
      assert.strictEqual(peer.socket.remoteAddress, "127.0.0.2")
      peer.reset()
      yield* Fiber.join(connecting)
    })
  )

  it.live("tries all addresses of a name", () =>
    Effect.gen(function* () {
      const [plain, secure] = yield* servers
      // The servers have 127.0.0.1 only; `localhost` may be ::1 as well.
      for (const url of [plain, secure]) yield* echoes(url, { autoSelectFamily: true })
    })
  )
})

describe("the endpoint of one connection, apart from its URL", () => {
  /** A connection that needs no client, echoes, and closes well. */
  const echoesAlone = (url: string, options: NodeWebSocketClient.ConnectOptions) =>
    Effect.gen(function* () {
      const socket = yield* NodeWebSocketClient.connect(url, options)
      assert.strictEqual(socket.url, url)
      yield* socket.send("hello")
      assert.strictEqual((yield* socket.receive).data, "hello")
      yield* socket.close()
      assert.isTrue((yield* socket.closeStatus).clean)
    }).pipe(Effect.scoped)

  it.live("is a TCP address, with TLS or without", () =>
    Effect.gen(function* () {
      const [plain, secure] = yield* servers
      const at = (url: string) => () => Net.connect(Number(new URL(url).port), "127.0.0.1")
      yield* echoesAlone("ws://feed.example:9999/prices", { createConnection: at(plain) })
      const elsewhere = yield* serveEcho({ tls: certificates.elsewhere })
      yield* echoesAlone("wss://elsewhere.example/prices", { createConnection: at(elsewhere.address.url), tls })
      // Who is verified is the one whom the URL names, wherever the bytes go.
      const error = yield* Effect.flip(
        Effect.scoped(NodeWebSocketClient.connect("wss://feed.example", { createConnection: at(secure), tls }))
      )
      assert.deepStrictEqual(facts(error), ioFacts("CertificateNameMismatch", "tls"))
    })
  )

  it.live("is a Unix domain socket, with TLS or without", () =>
    Effect.gen(function* () {
      const folder = yield* unixFolder
      for (const [url, certificate] of [
        ["ws://feed.example/prices", undefined],
        ["wss://localhost/prices", certificates.good]
      ] as const) {
        const socketPath = join(folder, `${new URL(url).protocol}sock`)
        const requests = yield* unixServer(socketPath, certificate)
        yield* Effect.scoped(NodeWebSocketClient.connect(url, { socketPath, tls }))
        assert.deepStrictEqual(
          requests.map((request) => [request.split(" ")[1], header(request, "Host")]),
          [["/prices", new URL(url).host]]
        )
      }
    })
  )

  it.live("is behind a proxy, or has an address of its own on this side", () =>
    Effect.gen(function* () {
      const proxy = yield* proxies["http:"]()
      const urls = yield* servers
      for (const url of urls) yield* echoesAlone(`${url}/`, { proxy: proxy.url, tls })
      assert.deepStrictEqual(
        proxy.asked,
        urls.map((url) => new URL(url).host)
      )
      const server = yield* rawServer()
      const connecting = yield* Effect.forkChild(
        Effect.flip(Effect.scoped(NodeWebSocketClient.connect(server.url, { localAddress: "127.0.0.2", family: 4 })))
      )
      const peer = yield* server.next
      assert.strictEqual(peer.socket.remoteAddress, "127.0.0.2")
      peer.reset()
      yield* Fiber.join(connecting)
    })
  )

  it.effect("is a defect if it makes no sense, as for a client", () =>
    Effect.gen(function* () {
      const unusable: ReadonlyArray<NodeWebSocketClient.ConnectOptions> = [
        { socketPath: "" },
        { socketPath: "/a.sock", proxy: "http://localhost" },
        { proxy: "ftp://localhost" },
        { localAddress: "localhost" },
        { tls: { key: Redacted.make("no key") } },
        { baseUrl: "http://localhost" },
        { limits: { maxMessageBytes: 0 } },
        { openTimeout: 0 },
        { answerPings: false }
      ]
      for (const options of unusable) {
        const exit = yield* Effect.exit(Effect.scoped(NodeWebSocketClient.connect("ws://localhost", options)))
        assert(Exit.isFailure(exit) && Cause.hasDies(exit.cause), Object.keys(options).join())
      }
    })
  )
})

const proxies = {
  "http:": () => httpProxy(),
  "https:": () => httpProxy({ tls: certificates.good }),
  "socks4:": () => socks4Proxy(),
  "socks5:": () => socksProxy()
}
const accountProxies = {
  "http:": () => httpProxy({ account }),
  "https:": () => httpProxy({ account, tls: certificates.good }),
  "socks5:": () => socksProxy(account)
}
const proxyTls = tls

for (const scheme of ["http:", "https:", "socks5:"] as const) {
  it.live(`a proxy with ${scheme} may require an account, which may be Redacted`, () =>
    Effect.gen(function* () {
      const proxy = yield* accountProxies[scheme]()
      const [, url] = yield* servers
      yield* echoes(url, { proxy: withAccount(proxy.url), proxyTls })
      yield* echoes(url, { proxy: new URL(withAccount(proxy.url)), proxyTls })
      yield* echoes(url, { proxy: Redacted.make(withAccount(proxy.url)), proxyTls })
      for (const wrong of [proxy.url, withAccount(proxy.url, { username: "us er", password: "MARK-wrong" })]) {
        const error = yield* refusal(url, { proxy: wrong, proxyTls })
        assert.deepStrictEqual(facts(error), ioFacts("Proxy", "proxy"))
        assert.notInclude(String(error), "MARK")
      }
    })
  )
}

for (const scheme of ["http:", "https:", "socks4:", "socks5:"] as const) {
  describe(`a proxy with ${scheme}`, () => {
    it.live("connects to ws: and wss:", () =>
      Effect.gen(function* () {
        const proxy = yield* proxies[scheme]()
        const urls = yield* servers
        for (const url of urls) yield* echoes(url, { proxy: proxy.url, proxyTls })
        assert.deepStrictEqual(
          proxy.asked,
          urls.map((url) => new URL(url).host)
        )
      })
    )

    it.live("does not replace the check of the server's certificate", () =>
      Effect.gen(function* () {
        const proxy = yield* proxies[scheme]()
        const server = yield* serveEcho({ tls: certificates.elsewhere })
        const error = yield* refusal(`wss://localhost:${server.address.port}`, { proxy: proxy.url, proxyTls })
        assert.deepStrictEqual(facts(error), ioFacts("CertificateNameMismatch", "tls"))
      })
    )

    it.live("fails if it cannot reach the server", () =>
      Effect.gen(function* () {
        const proxy = yield* proxies[scheme]()
        const port = yield* Effect.scoped(listen(Net.createServer()))
        const error = yield* refusal(`ws://localhost:${port}`, { proxy: proxy.url, proxyTls })
        assert.deepStrictEqual(facts(error), ioFacts("Proxy", "proxy"))
      })
    )

    it.live("fails if it does not exist", () =>
      Effect.gen(function* () {
        const port = yield* Effect.scoped(listen(Net.createServer()))
        const error = yield* refusal("ws://localhost", { proxy: `${scheme}//127.0.0.1:${port}` })
        assert.deepStrictEqual(facts(error), ioFacts("Connect", "proxy"))
        const unknown = yield* refusal("ws://localhost", { proxy: `${scheme}//nonexistent.invalid` })
        assert.deepStrictEqual(facts(unknown), ioFacts("Resolve", "proxy"))
      })
    )

    it.live("is dropped if it sends nothing, and leaves nothing", () =>
      Effect.gen(function* () {
        const server = yield* rawServer()
        const proxy = `${scheme}//127.0.0.1:${server.port}`
        const timingOut = yield* Effect.forkChild(refusal("ws://localhost", { proxy, openTimeout: "300 millis" }))
        const first = yield* server.next
        assert.deepStrictEqual(facts(yield* Fiber.join(timingOut)), ioFacts("Timeout", "open"))
        yield* first.left
        const interrupted = yield* Effect.forkChild(refusal("ws://localhost", { proxy }))
        const second = yield* server.next
        yield* Fiber.interrupt(interrupted)
        yield* second.left
        const scope = yield* childScope
        yield* Effect.forkChild(Scope.provide(connectWith("ws://localhost", { proxy }), scope))
        const third = yield* server.next
        yield* Scope.close(scope, Exit.void)
        yield* third.left
      })
    )

    it.live("fails if it speaks another protocol, or ends", () =>
      Effect.gen(function* () {
        const server = yield* rawServer()
        const proxy = `${scheme}//127.0.0.1:${server.port}`
        for (const leave of ["reset", "end", "talk"] as const) {
          const connecting = yield* Effect.forkChild(refusal("ws://localhost", { proxy }))
          const peer = yield* server.next
          yield* Effect.race(
            peer.until("\r\n\r\n"),
            Effect.raceAll(["\u0004", "\u0005", "\u0016"].map((byte) => peer.until(byte)))
          )
          if (leave === "talk") peer.write("SSH-2.0-OpenSSH\r\n\r\n")
          else peer[leave]()
          const error = facts(yield* Fiber.join(connecting))
          assert.deepInclude(error, { _tag: "Io_error", operation: "proxy" })
          assert.include(["Proxy", "Tls"], error["reason"])
          yield* peer.left
        }
      })
    )
  })
}

describe("an https: proxy", () => {
  it.live("shows a certificate of its own", () =>
    Effect.gen(function* () {
      const proxy = yield* proxies["https:"]()
      const error = yield* refusal("ws://localhost", { proxy: proxy.url })
      assert.deepStrictEqual(facts(error), ioFacts("CertificateUnknownAuthority", "proxy"))
    })
  )
})

/** What a proxy is sent, where it answers each request with bytes. */
const sentTo = (
  proxy: string,
  url: string,
  answers: ReadonlyArray<ReadonlyArray<number>>,
  lengths: ReadonlyArray<number>
) =>
  Effect.gen(function* () {
    const server = yield* rawServer()
    const connecting = yield* Effect.forkChild(refusal(url, { proxy: `${proxy}:${server.port}` }))
    const peer = yield* server.next
    const sent: Array<string> = []
    for (const [i, length] of lengths.entries()) {
      sent.push((yield* peer.bytesOf(length)).toString("latin1"))
      // Byte by byte, as the network may.
      for (const byte of answers[i] ?? []) peer.write(Buffer.from([byte]))
    }
    const request = yield* Effect.option(peer.until("\r\n\r\n").pipe(Effect.sandbox))
    peer.reset()
    return { sent, error: yield* Fiber.join(connecting), wentOn: request._tag === "Some" }
  })

describe("SOCKS", () => {
  const granted4 = [0, 90, 0, 0, 0, 0, 0, 0]
  const granted5 = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0]
  const user = "socks5://me:secret@127.0.0.1"
  const letters = "x".repeat(255)

  for (const [name, proxy, url, sent, answers] of [
    ["4 with an address", "socks4://127.0.0.1", "ws://10.0.0.1", ["\x04\x01\0\x50\x0a\0\0\x01\0"], [granted4]],
    [
      "4a with a name",
      "socks4a://me@127.0.0.1",
      "ws://a.test:258",
      ["\x04\x01\x01\x02\0\0\0\x01me\0a.test\0"],
      [granted4]
    ],
    [
      "5 with an address",
      "socks5://127.0.0.1",
      "ws://10.0.0.1",
      ["\x05\x01\0", "\x05\x01\0\x01\x0a\0\0\x01\0\x50"],
      [[5, 0], granted5]
    ],
    [
      "5 with an IPv6 address",
      "socks5://127.0.0.1",
      "ws://[2001:db8::ff:1]",
      ["\x05\x01\0", "\x05\x01\0\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\xff\0\x01\0\x50"],
      [
        [5, 0],
        [5, 0, 0, 4, ...Array.from({ length: 18 }, () => 0)]
      ]
    ],
    [
      "5 with the unspecified address",
      "socks5://127.0.0.1",
      "ws://[::]",
      ["\x05\x01\0", `\x05\x01\0\x04${"\0".repeat(16)}\0\x50`],
      [
        [5, 0],
        [5, 0, 0, 3, 2, 97, 98, 0, 1]
      ]
    ],
    [
      "5 with a name and a user",
      user,
      `ws://${letters}`,
      ["\x05\x02\0\x02", "\x01\x02me\x06secret", `\x05\x01\0\x03\xff${letters}\0\x50`],
      [[5, 2], [1, 0], granted5]
    ],
    [
      "5 with a user that nobody asks for",
      user,
      "ws://a",
      ["\x05\x02\0\x02", "\x05\x01\0\x03\x01a\0\x50"],
      [[5, 0], granted5]
    ]
  ] as const) {
    it.live(`${name} is requested with the bytes of its specification`, () =>
      Effect.gen(function* () {
        const outcome = yield* sentTo(
          proxy,
          url,
          answers,
          sent.map(({ length }) => length)
        )
        assert.deepStrictEqual(outcome.sent, [...sent])
        assert.isTrue(outcome.wentOn)
        assert.deepStrictEqual(facts(outcome.error), ioFacts("Reset", "handshake"))
      })
    )
  }

  for (const [name, proxy, url, lengths, answers, message] of [
    [
      "4 that refuses",
      "socks4://127.0.0.1",
      "ws://a",
      [11],
      [[0, 91, 0, 0, 0, 0, 0, 0]],
      "The proxy answered with code 91"
    ],
    [
      "4 that is none",
      "socks4://127.0.0.1",
      "ws://a",
      [11],
      [[72, 84, 84, 80, 47, 49, 46, 49]],
      "The proxy does not speak this version of SOCKS"
    ],
    ["5 that is none", "socks5://127.0.0.1", "ws://a", [3], [[4, 0]], "The proxy does not speak this version of SOCKS"],
    [
      "5 that wants a user",
      "socks5://127.0.0.1",
      "ws://a",
      [3],
      [[5, 255]],
      "The proxy asks for another kind of authentication"
    ],
    [
      "5 that wants a user who was not offered",
      "socks5://127.0.0.1",
      "ws://a",
      [3],
      [[5, 2]],
      "The proxy asks for another kind of authentication"
    ],
    [
      "5 that wants no such user",
      user,
      "ws://a",
      [4, 11],
      [
        [5, 2],
        [1, 1]
      ],
      "The proxy refused the user name and password"
    ],
    [
      "5 that changes its version",
      "socks5://127.0.0.1",
      "ws://a",
      [3, 8],
      [
        [5, 0],
        [4, 0, 0, 1]
      ],
      "The proxy does not speak this version of SOCKS"
    ],
    [
      "5 that reaches nobody",
      "socks5://127.0.0.1",
      "ws://a",
      [3, 8],
      [
        [5, 0],
        [5, 4, 0, 1]
      ],
      "The proxy answered: host unreachable"
    ],
    [
      "5 with a code of its own",
      "socks5://127.0.0.1",
      "ws://a",
      [3, 8],
      [
        [5, 0],
        [5, 77, 0, 1]
      ],
      "The proxy answered: 77"
    ],
    [
      "5 at an unknown kind of address",
      "socks5://127.0.0.1",
      "ws://a",
      [3, 8],
      [
        [5, 0],
        [5, 0, 0, 9]
      ],
      "The proxy does not speak this version of SOCKS"
    ],
    ["4, which has no IPv6", "socks4://127.0.0.1", "ws://[::1]", [], [], "SOCKS 4 has no IPv6 addresses"],
    [
      "4 for a name that is too long",
      "socks4://127.0.0.1",
      `ws://${letters}x`,
      [],
      [],
      "The name of the server is too long for SOCKS"
    ],
    [
      "5 for a name that is too long",
      "socks5://127.0.0.1",
      `ws://${letters}x`,
      [],
      [],
      "The name of the server is too long for SOCKS"
    ]
  ] as const) {
    it.live(`fails: ${name}`, () =>
      Effect.gen(function* () {
        const { error } = yield* sentTo(proxy, url, answers, lengths)
        assert.deepStrictEqual(facts(error), ioFacts("Proxy", "proxy"))
        assert(error._tag === "Io_error" && error.cause instanceof Error)
        assert.strictEqual(error.cause.message, message)
      })
    )
  }

  it.live("fails if it ends in the middle of an answer", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const connecting = yield* Effect.forkChild(refusal("ws://a", { proxy: `socks5://127.0.0.1:${server.port}` }))
      const peer = yield* server.next
      yield* peer.bytesOf(3)
      peer.write(Buffer.from([5]))
      peer.end()
      const error = yield* Fiber.join(connecting)
      assert.deepStrictEqual(facts(error), ioFacts("Proxy", "proxy"))
    })
  )
})

describe("an HTTP proxy", () => {
  it.live("gets an IPv6 address in brackets, and may refuse with any status", () =>
    Effect.gen(function* () {
      for (const status of ["407 Proxy Authentication Required", "200"]) {
        const server = yield* rawServer()
        const connecting = yield* Effect.forkChild(
          refusal("ws://[2001:db8::1]", { proxy: `http://127.0.0.1:${server.port}` })
        )
        const peer = yield* server.next
        const request = yield* peer.until("\r\n\r\n")
        assert.strictEqual(request.split("\r\n")[0], "CONNECT [2001:db8::1]:80 HTTP/1.1")
        assert.strictEqual(header(request, "Host"), "[2001:db8::1]:80")
        if (status === "200") {
          peer.write("HTTP/1.1 200 OK\r\n\r\n")
          assert.strictEqual(header(yield* peer.until("\r\n\r\n"), "Host"), "[2001:db8::1]")
          peer.reset()
          assert.deepStrictEqual(facts(yield* Fiber.join(connecting)), ioFacts("Reset", "handshake"))
        } else {
          peer.write(`HTTP/1.1 ${status}\r\nContent-Length: 1000000\r\n\r\nmore to come`)
          const error = yield* Fiber.join(connecting)
          assert.deepStrictEqual(facts(error), ioFacts("Proxy", "proxy"))
          assert(error._tag === "Io_error" && error.cause instanceof Error)
          assert.strictEqual(error.cause.message, "The proxy answered with status 407")
          yield* peer.left
        }
      }
    })
  )
})

describe("an HTTP proxy that sends informational responses", () => {
  const asked = (url: string, options: NodeWebSocketClient.Options = {}) =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const proxy = `http://127.0.0.1:${server.port}`
      const connecting = yield* Effect.forkChild(refusal(url, { proxy, ...options }))
      const peer = yield* server.next
      yield* peer.until("\r\n\r\n")
      return { peer, error: Fiber.join(connecting) }
    })
  const informational =
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"

  for (const size of [1, 7, 1000]) {
    it.live(`gives a tunnel after them, in chunks of ${size}`, () =>
      Effect.gen(function* () {
        const { error, peer } = yield* asked("ws://a.test")
        const bytes = Buffer.from(`${informational}HTTP/1.0 200 Connection established\r\nVia: b\r\n\r\n`)
        for (let i = 0; i < bytes.length; i += size) peer.write(bytes.subarray(i, i + size))
        assert.strictEqual(header(yield* peer.until("\r\n\r\n"), "Host"), "a.test")
        peer.reset()
        assert.deepStrictEqual(facts(yield* error), ioFacts("Reset", "handshake"))
      })
    )
  }

  for (const [name, answer, message] of [
    ["refuses after them", `${informational}HTTP/1.1 403 Forbidden\r\n\r\n`, "The proxy answered with status 403"],
    ["switches protocols", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "The proxy answered with status 101"],
    ["never stops", "HTTP/1.1 100 Continue\r\n\r\n".repeat(100), "The proxy sends informational responses without end"],
    ["never ends a head", `HTTP/1.1 200 OK\r\nX: ${"y".repeat(17_000)}`, "The answer of the proxy is too long"],
    [
      "sends much in many heads",
      `HTTP/1.1 100 Continue\r\nX: ${"y".repeat(2000)}\r\n\r\n`.repeat(10),
      "The answer of the proxy is too long"
    ],
    ["stops after one", "HTTP/1.1 100 Continue\r\n\r\n", "The proxy ended the connection"],
    ["speaks otherwise", "HTTP/1.1 1000 Continue\r\n\r\n", "The answer of the proxy is not HTTP"]
  ] as const) {
    it.live(`and ${name}`, () =>
      Effect.gen(function* () {
        const { error: failing, peer } = yield* asked("ws://a.test")
        peer.write(answer)
        if (name === "stops after one") peer.end()
        const error = yield* failing
        assert.deepStrictEqual(facts(error), ioFacts("Proxy", "proxy"))
        assert.strictEqual(error.message, `Proxy: ${message}`)
        yield* peer.left
      })
    )
  }
})

it.live("a server may send informational responses before its 101", () =>
  Effect.gen(function* () {
    const server = yield* rawServer()
    const connecting = yield* Effect.forkChild(connectWith(`ws://127.0.0.1:${server.port}`, {}))
    const peer = yield* server.next
    const request = yield* peer.until("\r\n\r\n")
    peer.write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
    peer.write(Buffer.concat([Buffer.from(answer101(request)), Buffer.from([0x81, 2, 104, 105])]))
    const socket = yield* Fiber.join(connecting)
    assert.strictEqual((yield* socket.receive).data, "hi")
    peer.reset()
    yield* Effect.flip(socket.receive)
  })
)

it.live("the error names each address that refused", () =>
  Effect.gen(function* () {
    const port = yield* Effect.scoped(listen(Net.createServer()))
    const causes = ["127.0.0.1", "127.0.0.2"].map((address) =>
      Object.assign(new Error(`connect ECONNREFUSED ${address}:${port}`), { code: "ECONNREFUSED", syscall: "connect" })
    )
    const createConnection = () => {
      const socket = new Net.Socket()
      setImmediate(() => socket.destroy(new AggregateError(causes)))
      return Object.assign(socket, { connecting: true })
    }
    const error = yield* refusal(`ws://several.test:${port}`, { createConnection })
    assert.deepStrictEqual(facts(error), ioFacts("Connect", "connect"))
    assert.strictEqual(error.message, `Connect: ${causes.map(({ message }) => message).join("; ")}`)
  })
)

describe("the environment", () => {
  const names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"].flatMap((name) => [name, name.toLowerCase()])

  const withEnvironment = (variables: Readonly<Record<string, string>>) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const before = names.map((name) => [name, process.env[name]] as const)
        for (const name of names) delete process.env[name]
        Object.assign(process.env, variables)
        return before
      }),
      (before) =>
        Effect.sync(() => {
          for (const [name, value] of before) {
            delete process.env[name]
            if (value !== undefined) process.env[name] = value
          }
        })
    )

  it.live("names the proxies, if the option says so", () =>
    Effect.gen(function* () {
      const http = yield* proxies["http:"]()
      const socks = yield* proxies["socks5:"]()
      const [plain, secure] = yield* servers
      yield* withEnvironment({ HTTP_PROXY: http.url, https_proxy: socks.url })
      for (const url of [plain, secure]) {
        yield* echoes(url, {})
        yield* echoes(url, { proxy: "environment" })
      }
      assert.deepStrictEqual([http.asked, socks.asked], [[new URL(plain).host], [new URL(secure).host]])
    })
  )

  it.live("may leave out the scheme of a proxy, which then is http:", () =>
    Effect.gen(function* () {
      const proxy = yield* proxies["http:"]()
      const urls = yield* servers
      const name = `localhost:${proxy.port}`
      yield* withEnvironment({ http_proxy: name, HTTPS_PROXY: name })
      for (const url of urls) yield* echoes(url, { proxy: "environment" })
      assert.deepStrictEqual(
        proxy.asked,
        urls.map((url) => new URL(url).host)
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const secure = yield* proxies["https:"]()
          yield* withEnvironment({ ALL_PROXY: secure.url })
          for (const url of urls) yield* echoes(url, { proxy: "environment", proxyTls })
          assert.strictEqual(secure.asked.length, 2)
        })
      )
    })
  )

  it.live("names the servers that need no proxy", () =>
    Effect.gen(function* () {
      const all = yield* proxies["http:"]()
      const [plain] = yield* servers
      yield* Effect.scoped(
        Effect.andThen(
          withEnvironment({ ALL_PROXY: all.url, NO_PROXY: "example.com, localhost" }),
          echoes(plain, { proxy: "environment" })
        )
      )
      assert.deepStrictEqual(all.asked, [])
      yield* withEnvironment({ ALL_PROXY: all.url, NO_PROXY: "example.com" })
      yield* echoes(plain, { proxy: "environment" })
      assert.strictEqual(all.asked.length, 1)
    })
  )

  it.live("may be wrong, and the error does not show its value", () =>
    Effect.gen(function* () {
      yield* withEnvironment({ HTTP_PROXY: "ftp://user:MARK@localhost" })
      const error = yield* refusal("ws://localhost", { proxy: "environment" })
      assert.deepStrictEqual(facts(error), ioFacts("Proxy", "proxy"))
      assert.notInclude(String(error), "MARK")
    })
  )
})

describe("options that make no sense", () => {
  const nonsense: ReadonlyArray<NodeWebSocketClient.Options> = [
    { proxy: "ftp://user:MARK@localhost" },
    { proxy: "localhost:MARK" },
    { proxy: Redacted.make("http://user:MARK%zz@localhost") },
    { proxy: "http://us%3Aer:MARK@localhost" },
    { proxy: "http://us%0Aer:MARK@localhost" },
    { proxy: "socks5://user:MARK%7F@localhost" },
    { proxy: "socks4://user:MARK@localhost" },
    { proxy: "socks4://MARK%00@localhost" },
    { proxy: `socks5://user:MARK${"x".repeat(252)}@localhost` },
    { proxy: "http://localhost", socketPath: "/tmp/a.sock" },
    { socketPath: "/tmp/a.sock", createConnection: () => new Duplex() },
    { proxyTls: { ca: "MARK", cert: "MARK" } },
    { baseUrl: "localhost/MARK" },
    { localAddress: "MARK" },
    { socketPath: "" },
    { baseUrl: Redacted.make("http://user:MARK@localhost") }
  ]

  it.effect("are a defect, and a typed error if they come from Config", () =>
    Effect.gen(function* () {
      for (const options of nonsense) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(NodeWebSocketClient.layerWith(options))))
        assert(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.notInclude(Cause.pretty(exit.cause), "MARK")
      }
      const error = yield* Layer.build(NodeWebSocketClient.layerConfig({ proxy: Config.Redacted("PROXY") })).pipe(
        Effect.scoped,
        Effect.flip,
        Effect.withConfigProvider(ConfigProvider.fromEnvRecord({ PROXY: "ftp://user:MARK@localhost" }))
      )
      assert.strictEqual(Config.errorFacts(error).kind, "InvalidData")
      assert.notInclude(String(error), "MARK")
    })
  )
})
