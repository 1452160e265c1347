/** How a command connects, and whom it lets in. */
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Effect, Exit } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort, listening } from "../proxies.js"
import type { Client } from "./clients.js"
import { unlessAsked, whileRunning, type Row } from "./rows.js"
import { start, type Setting } from "./Run.js"
import { serve, serveHttp, serveTcp } from "./servers.js"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "interop-command-line-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

const compression = unlessAsked("compression", "", (client, options) =>
  Effect.gen(function* () {
    const server = yield* serve()
    yield* start(client.connect(server.address.url, ...options))
    const { request } = yield* server.accept()
    return request.headers["sec-websocket-extensions"] !== undefined
  })
)

const redirects = unlessAsked("redirects", "", (client, options) =>
  Effect.gen(function* () {
    const server = yield* serve()
    const head = `HTTP/1.1 302 Found\r\nLocation: ${server.address.url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
    const port = yield* serveHttp((_, socket) => socket.end(head))
    const run = yield* start(client.connect(`ws://127.0.0.1:${port}`, ...options))
    return yield* whileRunning(run, server.accept())
  })
)

/** Whether the second run sends the cookie that the first one got. */
const cookies: Row = (client) =>
  Effect.flatMap(folder, (path) => {
    const file = join(path, "cookies.txt")
    return unlessAsked("cookies", file, (client, options) =>
      Effect.gen(function* () {
        const head = "HTTP/1.1 401 No\r\nSet-Cookie: id=7; Path=/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        const seen: Array<string | undefined> = []
        const port = yield* serveHttp(({ headers }, socket) => {
          seen.push(headers.cookie)
          socket.end(head)
        })
        for (const _ of [1, 2]) yield* (yield* start(client.connect(`ws://127.0.0.1:${port}`, ...options))).status
        return seen.at(-1) === "id=7"
      })
    )(client)
  })

/** The first bytes that a proxy of some kind gets from a client. */
const proxies = {
  HTTP: ["http", (bytes: Buffer) => bytes.toString().startsWith("CONNECT ")],
  HTTPS: ["https", (bytes: Buffer) => bytes[0] === 0x16],
  "SOCKS 4": ["socks4", (bytes: Buffer) => bytes[0] === 4],
  "SOCKS 5": ["socks5", (bytes: Buffer) => bytes[0] === 5]
} as const

/** The first bytes at a proxy, or none if the command connects without it or ends. */
const atProxy = (
  client: Client,
  command: (port: number) => readonly [options: ReadonlyArray<string>, setting: Setting]
) =>
  Effect.gen(function* () {
    const server = yield* serve()
    const proxy = yield* serveTcp
    const [options, setting] = command(proxy.port)
    const run = yield* start(client.connect(server.address.url, ...options), setting)
    const past = Effect.raceFirst(Effect.as(server.accept(), Buffer.alloc(0)), Effect.as(run.status, Buffer.alloc(0)))
    return yield* Effect.raceFirst(proxy.firstBytes, past)
  })

const givenProxies: Row = (client) =>
  Effect.gen(function* () {
    const able: Array<string> = []
    for (const [name, [scheme, isAsked]] of Object.entries(proxies)) {
      const bytes = yield* Effect.scoped(
        atProxy(client, (port) => [client.optionsFor("proxy", `${scheme}://127.0.0.1:${port}`) ?? [], {}])
      )
      if (isAsked(bytes)) able.push(name)
    }
    return able.length === 0 ? "none" : able.join(", ")
  })

const proxyOfEnvironment: Row = (client) =>
  Effect.gen(function* () {
    const bytes = yield* atProxy(client, (port) => {
      const url = `http://127.0.0.1:${port}`
      return [[], { env: { HTTP_PROXY: url, http_proxy: url, ALL_PROXY: url, all_proxy: url } }]
    })
    return proxies.HTTP[1](bytes) ? "used" : "not used"
  })

const unixSockets: Row = (client) =>
  Effect.gen(function* () {
    const socketPath = join(yield* folder, "socket")
    const server = yield* serve({ socketPath })
    const run = yield* start(client.connect(`ws+unix://${socketPath}:/`))
    return (yield* whileRunning(run, server.accept())) ? "connects" : "fails"
  })

const reconnects = unlessAsked("reconnect", "", (client, options) =>
  Effect.gen(function* () {
    const server = yield* serve()
    const run = yield* start(client.connect(server.address.url, ...client.stays, ...options))
    yield* (yield* server.accept()).abort
    return yield* whileRunning(run, server.accept())
  })
)

/** A command that listens. */
const listener = (client: Client) =>
  Effect.gen(function* () {
    const port = yield* freePort
    const run = yield* start(client.listen(port))
    yield* listening(port)
    return { port, run, url: `ws://127.0.0.1:${port}` }
  })

const severalClients: Row = (client) =>
  Effect.gen(function* () {
    const { run, url } = yield* listener(client)
    const dialled = yield* Effect.forEach([1, 2], () => Effect.exit(NodeWebSocketClient.connect(url)))
    yield* run.type("hello\n")
    const gets = yield* Effect.forEach(
      dialled,
      (exit) =>
        Exit.isSuccess(exit)
          ? Effect.timeoutTo(
              Effect.map(exit.value.receive, ({ data }) => data === "hello"),
              {
                duration: "2 seconds",
                onSuccess: (got) => got,
                onTimeout: () => false
              }
            ).pipe(Effect.orElseSucceed(() => false))
          : Effect.succeed(false),
      { concurrency: "unbounded" }
    )
    const [first, second] = gets
    return first && second ? "all get it" : first ? "only the first gets it" : second ? "only the last gets it" : "none"
  })

const reaches = (host: string, port: number) =>
  Effect.async<boolean>((resume) => {
    const socket = connect(port, host)
    const end = (reached: boolean) => () => {
      socket.destroy()
      resume(Effect.succeed(reached))
    }
    socket.on("connect", end(true)).on("error", end(false))
  })

const addresses: Row = (client) =>
  Effect.gen(function* () {
    const { port } = yield* listener(client)
    return (yield* reaches("127.0.0.2", port)) ? "every address" : "127.0.0.1"
  })

const foreignOrigin: Row = (client) =>
  Effect.gen(function* () {
    const { url } = yield* listener(client)
    return yield* Effect.match(NodeWebSocketClient.connect(url, { origin: "https://other.example.com" }), {
      onSuccess: () => "is let in",
      onFailure: (error) => (error._tag === "Handshake_rejected" ? `gets ${error.status}` : error._tag)
    })
  })

const packages: Row = (client) => Effect.sync(() => String(client.packages))

export const connections: Readonly<Record<string, Row>> = {
  "packages that npm installs": packages,
  "offers compression": compression,
  "follows redirects": redirects,
  "keeps cookies from run to run": cookies,
  "connects again": reconnects,
  "proxies that it can be given": givenProxies,
  "the proxy of `HTTP_PROXY`": proxyOfEnvironment,
  "a URL with `ws+unix:`": unixSockets,
  "listening, with two clients, what is typed": severalClients,
  "listening, at": addresses,
  "listening, a page of another origin": foreignOrigin
}
