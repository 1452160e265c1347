import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import * as CookieJar from "@effect-websocket/platform/CookieJar"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as Http from "node:http"
import * as Https from "node:https"
import { mkdtemp, rm } from "node:fs/promises"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Duplex } from "node:stream"
import { Effect, Exit, Fiber, Layer, Scope, Supervisor } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { certificates } from "./certificates.js"
import { socksProxy } from "./proxies.js"
import { listen, noHandlesLeft, serveEcho } from "./support.js"

afterEach(noHandlesLeft)

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

const tls = { ca: certificates.ca.cert }

/** Answers requests with text, piece by piece: one in each turn of the event loop. */
const talking = (answer: (path: string) => ReadonlyArray<string>) =>
  listen(
    Net.createServer((socket) => {
      socket.on("error", () => {})
      socket.once("data", (bytes: Buffer) => {
        const pieces = [...answer(/^GET (\S*)/.exec(bytes.toString("latin1"))?.[1] ?? "")]
        const next = () => {
          const piece = pieces.shift()
          if (piece === undefined || socket.destroyed) return
          socket.write(piece)
          setImmediate(next)
        }
        next()
      })
    })
  )

/** A proxy for `CONNECT` that keeps no connection to a server whose client is gone, as the one in `proxies.ts` may. */
const tidyProxy = Effect.suspend(() => {
  const server = Https.createServer(certificates.good)
  server.on("connect", (request, client) => {
    const upstream = Net.connect(Number(request.url?.split(":").at(-1)), "127.0.0.1")
    client.on("error", () => {}).once("close", () => upstream.destroy())
    upstream.on("error", () => {}).once("close", () => client.destroy())
    upstream.once("connect", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n")
      client.pipe(upstream).pipe(client)
    })
  })
  return listen(server)
})

/** The path of a Unix domain socket, through which one gets to a port. */
const unixSocketTo = (port: number) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(tmpdir(), "websocket-"))),
      (path) => Effect.promise(() => rm(path, { recursive: true }))
    )
    const path = join(folder, "a.sock")
    const server = Net.createServer((client) => {
      const upstream = Net.connect(port, "127.0.0.1")
      client.on("error", () => {}).once("close", () => upstream.destroy())
      upstream.on("error", () => {}).once("close", () => client.destroy())
      client.pipe(upstream).pipe(client)
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(path, () => resume(Effect.void))),
      () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
    )
    return path
  })

interface Route {
  /** The port that it connects to. */
  readonly firstStop: number
  readonly url: string
  readonly options?: NodeWebSocketClient.Options
  /** What the app has handed over. */
  readonly streams?: ReadonlyArray<Net.Socket>
}

const refused = ["HTTP/1.1 403 Forbidden\r\n", "Content-Length: 9\r\n\r\n", "one", "two", "end"]

/** Every way to a server. */
const routes: Readonly<Record<string, Effect.Effect<Route, unknown, Scope.Scope>>> = {
  TCP: Effect.map(serveEcho(), ({ address }) => ({ firstStop: address.port, url: `ws://localhost:${address.port}` })),
  TLS: Effect.map(serveEcho({ tls: certificates.good }), ({ address }) => ({
    firstStop: address.port,
    url: `wss://localhost:${address.port}`,
    options: { tls }
  })),
  "HTTP/2": Effect.map(serveEcho({ tls: certificates.good, http2: true }), ({ address }) => ({
    firstStop: address.port,
    url: `wss://localhost:${address.port}`,
    options: { tls, http2: "require" }
  })),
  "a server without HTTP/2": Effect.map(serveEcho({ tls: certificates.good }), ({ address }) => ({
    firstStop: address.port,
    url: `wss://localhost:${address.port}`,
    options: { tls, http2: "prefer" }
  })),
  "a refusal over HTTP/2": Effect.map(
    serveEcho({ tls: certificates.good, http2: true, origin: () => "no" }),
    ({ address }) => ({
      firstStop: address.port,
      url: `wss://localhost:${address.port}`,
      options: { tls, http2: "require" }
    })
  ),
  "a Unix socket": Effect.gen(function* () {
    const { address } = yield* serveEcho()
    return { firstStop: address.port, url: `ws+unix://${yield* unixSocketTo(address.port)}:/` }
  }),
  "a Unix socket with TLS": Effect.gen(function* () {
    const { address } = yield* serveEcho({ tls: certificates.good })
    return {
      firstStop: address.port,
      url: "wss://localhost",
      options: { tls, socketPath: yield* unixSocketTo(address.port) }
    }
  }),
  "a stream of the app's": Effect.map(serveEcho({ tls: certificates.good }), ({ address }) => {
    const streams: Array<Net.Socket> = []
    const createConnection = () => {
      const stream = Net.connect(address.port, "127.0.0.1")
      streams.push(stream)
      return stream
    }
    return { firstStop: address.port, url: "wss://localhost", options: { tls, createConnection }, streams }
  }),
  "an HTTP proxy": Effect.gen(function* () {
    const { address } = yield* serveEcho({ tls: certificates.good })
    const port = yield* tidyProxy
    const proxy = `https://localhost:${port}`
    return { firstStop: port, url: `wss://localhost:${address.port}`, options: { tls, proxy, proxyTls: tls } }
  }),
  "a SOCKS proxy": Effect.gen(function* () {
    const { address } = yield* serveEcho({ tls: certificates.good })
    const { port, url } = yield* socksProxy({ username: "user", password: "password" })
    const proxy = url.replace("://", "://user:password@")
    return { firstStop: port, url: `wss://localhost:${address.port}`, options: { tls, proxy } }
  }),
  redirects: Effect.gen(function* () {
    const { address } = yield* serveEcho()
    const port = yield* talking((path) => [
      "HTTP/1.1 307 Temporary Redirect\r\n",
      `Location: ${path === "/2" ? `http://localhost:${address.port}` : path === "/1" ? "/2" : "/1"}\r\n\r\n`
    ])
    return { firstStop: port, url: `ws://localhost:${port}`, options: { maxRedirects: 3 } }
  }),
  "a refusal": Effect.map(
    talking(() => refused),
    (port) => ({ firstStop: port, url: `ws://localhost:${port}` })
  )
}

/** The client's sockets: those to its first stop, and those that are on their way there. Proxies have some of their own. */
const socketsTo = (port: number): number => {
  const handles = (process as unknown as { _getActiveHandles(): ReadonlyArray<unknown> })._getActiveHandles()
  return handles.filter((handle) => handle instanceof Net.Socket && (handle.connecting || handle.remotePort === port))
    .length
}

/** Unix sockets, which have no port, and what Node looks up or connects to. Those of vitest and of servers do not change. */
const resources = () => {
  const names = process.getActiveResourcesInfo()
  return {
    unixSockets: names.filter((name) => name === "PipeWrap").length,
    requests: names.filter((name) => name.endsWith("ConnectWrap") || name.endsWith("ReqWrap")).length
  }
}

/** Those on what outlives an attempt. */
const sharedListeners = (): number =>
  [process, Http.globalAgent, Https.globalAgent]
    .flatMap((emitter: NodeJS.EventEmitter) => emitter.eventNames().map((name) => emitter.listenerCount(name)))
    .reduce((sum, each) => sum + each, 0)

/** Counts the timers that are made through the global, unreferenced ones among them. Those of vitest and of Node are not. */
const countTimers = Effect.acquireRelease(
  Effect.sync(() => {
    const original = globalThis.setTimeout
    const clear = globalThis.clearTimeout
    const pending = new Set<NodeJS.Timeout>()
    globalThis.setTimeout = Object.assign((callback: () => void, delay?: number) => {
      const timer = original(() => {
        pending.delete(timer)
        callback()
      }, delay)
      pending.add(timer)
      return timer
    }, original)
    globalThis.clearTimeout = (timer) => {
      if (typeof timer === "object" && timer !== null) pending.delete(timer)
      clear(timer)
    }
    return { original, clear, count: () => pending.size }
  }),
  ({ clear, original }) =>
    Effect.sync(() => {
      globalThis.setTimeout = original
      globalThis.clearTimeout = clear
    })
)

const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

for (const by of ["its fiber", "its scope"] as const) {
  describe(`interrupting connect by ${by} leaves nothing`, () => {
    for (const [name, start] of Object.entries(routes)) {
      it.live(
        `at any step of the way through ${name}`,
        () =>
          Effect.gen(function* () {
            const { firstStop, options = {}, streams = [], url } = yield* start
            const client = yield* NodeWebSocketClient.make(options)
            const jar = yield* CookieJar.make
            const supervisor = yield* Supervisor.track
            const timers = yield* countTimers
            const left = () =>
              Effect.map(supervisor.value, (fibers) => ({
                ...resources(),
                fibers: fibers.length,
                listeners: sharedListeners(),
                streams: streams.filter(({ destroyed }) => !destroyed).length,
                sockets: socketsTo(firstStop),
                timers: timers.count()
              }))
            const before = yield* left()
            assert.deepInclude(before, { fibers: 0, streams: 0, sockets: 0, timers: 0, requests: 0 })
            // The one without a client makes one first, and does then what that does.
            const connect = (by === "its fiber" ? NodeWebSocketClient.connect(url, options) : client.connect(url)).pipe(
              Effect.provideService(CookieJar.CookieJar, jar)
            )
            const attempt = (turns: number) =>
              Effect.gen(function* () {
                const scope = yield* Scope.make()
                const fiber = yield* Effect.supervised(Effect.forkChild(Scope.provide(connect, scope)), supervisor)
                for (let passed = 0; passed < turns; passed++) yield* turn
                const done = Fiber.pollUnsafe(fiber) !== undefined
                if (by === "its fiber") {
                  yield* Fiber.interrupt(fiber)
                  yield* Scope.close(scope, Exit.void)
                } else {
                  yield* Scope.close(scope, Exit.void)
                  const exit = yield* Fiber.await(fiber)
                  if (!done) assert.isTrue(Exit.hasInterrupts(exit))
                }
                let now = yield* left()
                // No timer bounds it, for that would be one that is left.
                for (let passed = 0; passed < 100_000 && !isSame(now, before); passed++) {
                  yield* turn
                  now = yield* left()
                }
                assert.deepStrictEqual(now, before, `after ${turns} turns: ${JSON.stringify({ now, before })}`)
                return done
              })
            // Modules are loaded once.
            yield* Effect.exit(Effect.scoped(connect))
            let turns = 0
            while (!(yield* attempt(turns))) turns++
            assert.isAbove(turns, 2)
          }).pipe(Effect.scoped),
        120_000
      )
    }
  })
}

it.live("a dropped stream of the app's has only Node's listeners", () =>
  Effect.gen(function* () {
    const turns = Effect.repeat(turn, { times: 9 })
    const make = () => new Duplex({ read() {}, write() {} })
    const events = (stream: Duplex) => stream.eventNames().filter((name) => stream.listenerCount(name) > 0)
    const control = make()
    const request = Http.request({ createConnection: () => control })
    request.once("error", () => {}).end()
    control.once("error", () => {})
    const stream = make()
    const client = yield* NodeWebSocketClient.make({ createConnection: () => stream })
    const fiber = yield* Effect.forkChild(Effect.scoped(client.connect("ws://localhost")))
    yield* turns
    assert.isAbove(stream.writableLength, 0)
    request.destroy()
    yield* Fiber.interrupt(fiber)
    assert.isTrue(stream.destroyed)
    yield* turns
    assert.sameMembers(events(stream), events(control))
  })
)

describe("real servers", () => {
  const connectTo = (port: number, options: WebSocketClient.ConnectOptions = {}) =>
    Effect.flip(Effect.scoped(WebSocketClient.connect(`ws://localhost:${port}/0`, options))).pipe(
      Effect.provide(NodeWebSocketClient.layer)
    )

  it.live("may redirect in chains, to each other, and for ever", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const port = yield* talking((path) => {
        asked.push(path)
        const next = path === "/0" ? "/1" : path === "/1" ? "/2" : path === "/2" ? "/0" : `${path}x`
        return [`HTTP/1.1 308 Permanent Redirect\r\nLocation: ${next}\r\nContent-Length: 1000\r\n\r\nmore to come`]
      })
      const circle = yield* connectTo(port, { maxRedirects: 10 })
      assert.strictEqual(circle._tag, "Protocol_error")
      assert.deepStrictEqual(asked, ["/0", "/1", "/2"])
      const bounded = yield* connectTo(port, { maxRedirects: 1, openTimeout: "400 millis" })
      assert.strictEqual(bounded._tag === "Handshake_rejected" && bounded.status, 308)
    })
  )

  it.live("may refuse with a body that never ends, or hardly begins", () =>
    Effect.gen(function* () {
      for (const [pieces, text] of [
        [["HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nno,\r\n"], "no,"],
        [["HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n"], ""]
      ] as const) {
        const port = yield* talking(() => pieces)
        const error = yield* connectTo(port, { openTimeout: "400 millis" })
        assert(error._tag === "Handshake_rejected")
        assert.deepStrictEqual(
          [error.status, error.reason, error.text, error.bodyTruncated],
          [403, "Forbidden", text, true]
        )
      }
    })
  )
})

it.live("a jar and a client are layers of their own", () =>
  Effect.gen(function* () {
    const requests: Array<string> = []
    const port = yield* listen(
      Net.createServer((socket) => {
        socket.once("data", (bytes: Buffer) => {
          requests.push(/\r\ncookie: ([^\r]*)/i.exec(bytes.toString("latin1"))?.[1] ?? "")
          socket.end("HTTP/1.1 401 Unauthorized\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n")
        })
      })
    )
    const connecting = Effect.flip(Effect.scoped(WebSocketClient.connect(`ws://localhost:${port}`)))
    yield* Effect.andThen(connecting, connecting).pipe(
      Effect.provide(Layer.merge(NodeWebSocketClient.layer, CookieJar.layer))
    )
    assert.deepStrictEqual(requests, ["", "a=1"])
  }).pipe(Effect.scoped)
)
