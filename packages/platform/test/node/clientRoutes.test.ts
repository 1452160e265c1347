import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { afterEach, assert, describe, it } from "@effect/vitest"
import { Cause, Config, ConfigProvider, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duplex } from "node:stream"
import { certificates } from "./certificates.js"
import { httpProxy, socksProxy } from "./proxies.js"
import {
  answer101,
  childScope,
  facts,
  header,
  ioFacts,
  listen,
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

describe("a Unix domain socket", () => {
  const folder = Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "web socket-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true }))
  )

  /** Answers 101, and tells the requests. */
  const unixServer = (path: string) =>
    Effect.gen(function* () {
      const requests: Array<string> = []
      const server = Net.createServer((socket) => {
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
      })
      yield* Effect.acquireRelease(
        Effect.async<void>((resume) => void server.listen(path, () => resume(Effect.void))),
        () => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
      )
      return requests
    })

  it.scopedLive("is in the URL, or an option", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "a.sock")
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

  it.scopedLive("where nobody listens is no connection", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "none.sock")
      for (const [url, options] of [
        [`ws+unix://${path}:/`, {}],
        ["ws://localhost", { socketPath: path }]
      ] as const) {
        assert.deepStrictEqual(facts(yield* refusal(url, options)), ioFacts("Connect", "connect"))
      }
    })
  )

  it.live.each(["ws+unix:///", "ws+unix:///:/chat", "ws+unix://host/a.sock:/chat", "ws+unix:///%zz:/"])(
    "is refused as %s",
    (url) =>
      Effect.gen(function* () {
        assert.deepInclude(facts(yield* refusal(url, {})), { _tag: "Protocol_error", origin: "local" })
      })
  )
})

describe("a stream of the app's", () => {
  it.scopedLive("is connecting, connected, or no socket at all", () =>
    Effect.gen(function* () {
      const [plain, secure] = yield* servers
      for (const url of [plain, secure]) {
        const port = Number(new URL(url).port)
        yield* echoes(url, { createConnection: ({ port }) => Net.connect(Number(port), "127.0.0.1") })
        const connected = yield* Effect.async<Net.Socket>((resume) => {
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

  it.live("that cannot be made is no connection", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(listen(Net.createServer()))
      for (const createConnection of [
        () => assert.fail("no stream"),
        () => Net.connect(port, "127.0.0.1"),
        () => new Duplex({ read() {}, construct: (callback) => callback(new Error("no stream")) })
      ]) {
        const error = yield* refusal("ws://localhost", { createConnection })
        assert.deepInclude(facts(error), { _tag: "Io_error" })
      }
    })
  )
})

describe("TCP", () => {
  it.scopedLive("has the local address and family that are asked for", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const connecting = yield* Effect.fork(
        refusal(`ws://localhost:${server.port}`, { localAddress: "127.0.0.2", family: 4 })
      )
      const peer = yield* server.next
      assert.strictEqual(peer.socket.remoteAddress, "127.0.0.2")
      peer.reset()
      yield* Fiber.join(connecting)
    })
  )

  it.scopedLive("tries all addresses of a name", () =>
    Effect.gen(function* () {
      const [plain, secure] = yield* servers
      // The servers have 127.0.0.1 only; `localhost` may be ::1 as well.
      for (const url of [plain, secure]) yield* echoes(url, { autoSelectFamily: true })
    })
  )
})

const proxies = {
  "http:": () => httpProxy(),
  "https:": () => httpProxy({ tls: certificates.good }),
  "socks5:": () => socksProxy()
}
const accountProxies = {
  "http:": () => httpProxy({ account }),
  "https:": () => httpProxy({ account, tls: certificates.good }),
  "socks5:": () => socksProxy(account)
}
const proxyTls = tls

for (const scheme of ["http:", "https:", "socks5:"] as const) {
  describe(`a proxy with ${scheme}`, () => {
    it.scopedLive("is gone through, to ws: and wss:", () =>
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

    it.scopedLive("with an account, which may be redacted", () =>
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

    it.scopedLive("does not stand for the server's certificate", () =>
      Effect.gen(function* () {
        const proxy = yield* proxies[scheme]()
        const server = yield* serveEcho({ tls: certificates.elsewhere })
        const error = yield* refusal(`wss://localhost:${server.address.port}`, { proxy: proxy.url, proxyTls })
        assert.deepStrictEqual(facts(error), ioFacts("CertificateNameMismatch", "tls"))
      })
    )

    it.scopedLive("that cannot reach the server", () =>
      Effect.gen(function* () {
        const proxy = yield* proxies[scheme]()
        const port = yield* Effect.scoped(listen(Net.createServer()))
        const error = yield* refusal(`ws://localhost:${port}`, { proxy: proxy.url, proxyTls })
        assert.deepStrictEqual(facts(error), ioFacts("Proxy", "proxy"))
      })
    )

    it.live("that is not there", () =>
      Effect.gen(function* () {
        const port = yield* Effect.scoped(listen(Net.createServer()))
        const error = yield* refusal("ws://localhost", { proxy: `${scheme}//127.0.0.1:${port}` })
        assert.deepStrictEqual(facts(error), ioFacts("Connect", "proxy"))
        const unknown = yield* refusal("ws://localhost", { proxy: `${scheme}//nonexistent.invalid` })
        assert.deepStrictEqual(facts(unknown), ioFacts("Resolve", "proxy"))
      })
    )

    it.scopedLive("that says nothing is given up, and nothing is left", () =>
      Effect.gen(function* () {
        const server = yield* rawServer()
        const proxy = `${scheme}//127.0.0.1:${server.port}`
        const timingOut = yield* Effect.fork(refusal("ws://localhost", { proxy, openTimeout: "300 millis" }))
        const first = yield* server.next
        assert.deepStrictEqual(facts(yield* Fiber.join(timingOut)), ioFacts("Timeout", "open"))
        yield* first.left
        const interrupted = yield* Effect.fork(refusal("ws://localhost", { proxy }))
        const second = yield* server.next
        yield* Fiber.interrupt(interrupted)
        yield* second.left
        const scope = yield* childScope
        yield* Effect.fork(Scope.extend(connectWith("ws://localhost", { proxy }), scope))
        const third = yield* server.next
        yield* Scope.close(scope, Exit.void)
        yield* third.left
      })
    )

    it.scopedLive("that speaks otherwise, or goes", () =>
      Effect.gen(function* () {
        const server = yield* rawServer()
        const proxy = `${scheme}//127.0.0.1:${server.port}`
        for (const leave of ["reset", "end", "talk"] as const) {
          const connecting = yield* Effect.fork(refusal("ws://localhost", { proxy }))
          const peer = yield* server.next
          yield* Effect.race(peer.until("\r\n\r\n"), Effect.race(peer.until("\u0005"), peer.until("\u0016")))
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
  it.scopedLive("shows a certificate of its own", () =>
    Effect.gen(function* () {
      const proxy = yield* proxies["https:"]()
      const error = yield* refusal("ws://localhost", { proxy: proxy.url })
      assert.deepStrictEqual(facts(error), ioFacts("CertificateUnknownAuthority", "proxy"))
    })
  )
})

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

  it.scopedLive("names the proxies, where it is asked", () =>
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

  it.scopedLive("names the servers that need none", () =>
    Effect.gen(function* () {
      const all = yield* proxies["http:"]()
      const [plain] = yield* servers
      yield* Effect.scoped(
        Effect.zipRight(
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

  it.scopedLive("may be wrong, which does not tell what it holds", () =>
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
    { proxy: "http://localhost", socketPath: "/tmp/a.sock" },
    { socketPath: "/tmp/a.sock", createConnection: () => new Duplex() },
    { proxyTls: { ca: "MARK", cert: "MARK" } }
  ]

  it.effect("are a defect, and typed where they come from Config", () =>
    Effect.gen(function* () {
      for (const options of nonsense) {
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(NodeWebSocketClient.layerWith(options))))
        assert(Exit.isFailure(exit) && Cause.isDie(exit.cause))
        assert.notInclude(Cause.pretty(exit.cause), "MARK")
      }
      const error = yield* Layer.build(NodeWebSocketClient.layerConfig({ proxy: Config.redacted("PROXY") })).pipe(
        Effect.scoped,
        Effect.flip,
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map([["PROXY", "ftp://user:MARK@localhost"]])))
      )
      assert.strictEqual(error._op, "InvalidData")
      assert.notInclude(String(error), "MARK")
    })
  )
})
