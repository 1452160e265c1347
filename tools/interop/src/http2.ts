/**
 * `pnpm test:http2 [--write] [--require]`: WebSocket over HTTP/2 with peers that others have written: a page in headless Chromium, our client
 * through HAProxy, which speaks HTTP/2 on both sides, and undici. Each sends a text and some bytes to an echo, and closes. The run
 * compares what it sees with the table of docs/http2.md; `--write` writes the table. What the machine lacks is skipped, or fails
 * with `--require`.
 */
import { UpgradeCheck, WebSocket, type WebSocketServer } from "@effect-websocket/platform"
import { NodeTransport, NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Cause, Effect, Exit, Queue, Schema, type Scope } from "effect"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createSecureServer, type ServerHttp2Stream } from "node:http2"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Agent, Client, WebSocket as UndiciWebSocket } from "undici"
import { launch } from "./browser.js"
import { tls } from "./fixtures.js"
import { listen } from "./listen.js"
import { runMain } from "./main.js"
import { settle } from "./page.js"
import { packageVersion, versionIn } from "./peers.js"
import { start } from "./Process.js"
import { debianPackages, find, firstLine } from "./programs.js"
import { freePort, listening } from "./proxies.js"

const { values } = parseArgs({
  options: { require: { type: "boolean", default: false }, write: { type: "boolean", default: false } }
})

const size = 200_000
/** RFC 6455 §1.3. */
const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/** What a client saw: what came back, and how the connection ended. */
const Seen = Schema.Struct({ text: Schema.String, bytes: Schema.Number, end: Schema.String })
type Seen = typeof Seen.Type

/** Sends a text and bytes with the API of browsers. It also runs in the page, as text, so it refers to nothing outside. */
const exchange = (socket: UndiciWebSocket, size: number): Promise<Seen> =>
  new Promise((resolve) => {
    let text = "nothing"
    let bytes = 0
    let problem = ""
    socket.onopen = () => {
      socket.send("hello")
      socket.send(new Uint8Array(size))
    }
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") text = data
      if (data instanceof Blob) {
        bytes = data.size
        socket.close(1000)
      }
    }
    socket.onerror = (event) => {
      problem = "message" in event && typeof event.message === "string" ? event.message : "an error"
    }
    socket.onclose = ({ code, wasClean }) => {
      resolve({ text, bytes, end: problem === "" ? `${code}, ${wasClean ? "clean" : "not clean"}` : problem })
    }
  })

/** The same with a connection of this library. */
const exchangeOver = (socket: WebSocket.WebSocket): Effect.Effect<Seen, unknown> =>
  Effect.gen(function* () {
    yield* socket.send("hello")
    const text = String((yield* socket.receive).data)
    yield* socket.send(new Uint8Array(size))
    const bytes = (yield* socket.receive).data.length
    yield* socket.close(1000)
    const { clean, received } = yield* socket.closeStatus
    return { text, bytes, end: `${received?.code}, ${clean ? "clean" : "not clean"}` }
  })

interface Echo {
  readonly port: number
  /** The versions of HTTP of the requests. */
  readonly versions: ReadonlyArray<string>
}

type Serve = Effect.Effect<Echo, Error, Scope.Scope>

/** Sends everything back. Returns the versions of HTTP of the requests. */
const echo = (server: WebSocketServer.Service) =>
  Effect.gen(function* () {
    const versions: Array<string> = []
    const check = ({ key }: UpgradeCheck.Request) =>
      Effect.sync(() => {
        versions.push(key === undefined ? "HTTP/2" : "HTTP/1.1")
        return UpgradeCheck.accept(undefined)
      })
    const route = yield* server.route({ check })
    yield* Effect.forkScoped(route.run((socket) => socket.run((message) => socket.send(message))))
    return versions
  })

/** A server that speaks both versions over TLS, and also has a page. */
const overTls: Serve = Effect.gen(function* () {
  const server = createSecureServer({ ...tls, allowHTTP1: true }, (_, response) => {
    response.setHeader("content-type", "text/html")
    response.end("<!doctype html><title>HTTP/2</title>")
  })
  const versions = yield* echo(yield* NodeWebSocketServer.attach(server))
  return { port: yield* listen(server, () => {}), versions }
})

const inClearText: Serve = Effect.gen(function* () {
  const server = yield* NodeWebSocketServer.make({ port: 0, host: "127.0.0.1", http2: true })
  return { port: server.address.port, versions: yield* echo(server) }
})

/** A server without this library's handshake, which also gives the answer to a key that HTTP/1.1 asks for. */
const withAccept: Serve = Effect.gen(function* () {
  const versions: Array<string> = []
  const streams = yield* Queue.unbounded<ServerHttp2Stream>()
  const server = createSecureServer({ ...tls, settings: { enableConnectProtocol: true } })
  server.on("stream", (stream, headers) => {
    versions.push("HTTP/2")
    const accept = createHash("sha1")
      .update(`${String(headers["sec-websocket-key"])}${acceptSuffix}`)
      .digest("base64")
    stream.respond({ ":status": 200, "sec-websocket-accept": accept })
    Queue.unsafeOffer(streams, stream)
  })
  const serving = Effect.gen(function* () {
    const socket = yield* WebSocket.fromTransport(NodeTransport.make(yield* Queue.take(streams)), { role: "server" })
    yield* socket.run((message) => socket.send(message))
  })
  yield* Effect.forkScoped(Effect.scoped(serving))
  return { port: yield* listen(server, () => {}), versions }
})

/** A browser uses HTTP/2 for a WebSocket if it already has a session to the same server. */
const inChromium =
  (executablePath: string) =>
  ({ port }: Echo): Effect.Effect<Seen, unknown, Scope.Scope> =>
    Effect.gen(function* () {
      const browser = yield* launch(executablePath)
      const seen = yield* Effect.tryPromise(async (): Promise<unknown> => {
        const page = await browser.newPage({ ignoreHTTPSErrors: true })
        await page.goto(`https://127.0.0.1:${port}/`)
        return await page.evaluate(`(${String(exchange)})(new WebSocket("wss://127.0.0.1:${port}/echo"), ${size})`)
      })
      return yield* Schema.decodeUnknown(Seen)(seen)
    })

/** The client requires HTTP/2 of the proxy, which speaks nothing else to the server. */
const throughHaproxy =
  (program: string) =>
  (server: Echo): Effect.Effect<Seen, unknown, Scope.Scope> =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "interop-http2-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const port = yield* freePort
      writeFileSync(join(folder, "both.pem"), Buffer.concat([tls.cert, tls.key]))
      writeFileSync(
        join(folder, "haproxy.cfg"),
        `defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 1h
frontend in
  bind 127.0.0.1:${port} ssl crt ${folder}/both.pem alpn h2
  default_backend out
backend out
  server ours 127.0.0.1:${server.port} proto h2 ws h2
`
      )
      yield* start(program, ["-db", "-f", join(folder, "haproxy.cfg")])
      yield* listening(port)
      const client = yield* NodeWebSocketClient.make({ http2: "require", tls: { ca: tls.cert } })
      return yield* Effect.flatMap(client.connect(`wss://127.0.0.1:${port}/echo`), exchangeOver)
    })

const undiciOptions = { allowH2: true, connect: { ca: tls.cert } } as const

/** The stream of a request of undici, with the protocol of this library on it. */
const byUpgrade = ({ port }: Echo): Effect.Effect<Seen, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new Client(`https://127.0.0.1:${port}`, undiciOptions)),
      (client) => Effect.promise(() => client.destroy())
    )
    const headers = { "sec-websocket-version": "13" }
    const { socket } = yield* Effect.tryPromise(() => client.upgrade({ path: "/echo", protocol: "websocket", headers }))
    return yield* Effect.flatMap(WebSocket.fromTransport(NodeTransport.make(socket), { role: "client" }), exchangeOver)
  })

const byWebSocket = ({ port }: Echo): Effect.Effect<Seen, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const dispatcher = yield* Effect.acquireRelease(
      Effect.sync(() => new Agent(undiciOptions)),
      (agent) => Effect.promise(() => agent.destroy())
    )
    const url = `wss://127.0.0.1:${port}/echo`
    return yield* Effect.tryPromise(() => exchange(new UndiciWebSocket(url, { dispatcher }), size))
  })

interface Peer {
  readonly name: string
  readonly serve: Serve
  readonly run: (server: Echo) => Effect.Effect<Seen, unknown, Scope.Scope>
}

/** A program, or its name if it is not here. */
const program = (
  name: string,
  packages: ReadonlyArray<string>,
  args: ReadonlyArray<string>,
  serve: Serve,
  run: (program: string) => Peer["run"]
): Peer | string => {
  const found = find(packages)
  return found === undefined ? name : { name: `${name} ${versionIn(firstLine(found, args))}`, serve, run: run(found) }
}

const undici = `undici ${packageVersion("undici")}`
const peers = [
  program("Chromium", debianPackages.chromium, ["--version"], overTls, inChromium),
  program("HAProxy", debianPackages.haproxy, ["-v"], inClearText, throughHaproxy),
  { name: `${undici}, \`Client.upgrade\``, serve: overTls, run: byUpgrade },
  { name: `${undici}, \`WebSocket\``, serve: overTls, run: byWebSocket },
  { name: `${undici}, \`WebSocket\`, given a \`Sec-WebSocket-Accept\``, serve: withAccept, run: byWebSocket }
]

/** What a peer does, and what the server saw of it, as the cells of a column. */
const columnOf = ({ run, serve }: Peer): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.scoped(
    Effect.gen(function* () {
      const server = yield* serve
      const { bytes, end, text } = yield* run(server)
      return [server.versions.join(", "), text, bytes.toLocaleString("en"), end]
    })
  )

const found = peers.flatMap((peer) => (typeof peer === "string" ? [] : [peer]))
const missing = peers.flatMap((peer) => (typeof peer === "string" ? [peer] : []))

const compared = Effect.gen(function* () {
  for (const name of missing) console.log(`MISSING: ${name}`)
  let failed = values.require && missing.length > 0
  const columns = yield* Effect.forEach(found, (peer) =>
    Effect.map(Effect.exit(Effect.timeout(columnOf(peer), "1 minute")), (exit) => {
      if (Exit.isSuccess(exit)) return exit.value
      failed = true
      console.error(`FAILED: ${peer.name}: ${Cause.pretty(exit.cause)}`)
      return []
    })
  )
  const names = ["requests at the server", "the text that came back", "the bytes that came back", "the end"]
  const rows = [
    ["", ...found.map(({ name }) => name)],
    ...names.map((name, row) => [name, ...columns.map((column) => column[row] ?? "FAIL")])
  ]
  for (const row of rows)
    console.log(
      row
        .map((cell) => cell.padEnd(32))
        .join("")
        .trimEnd()
    )
  const wrong = failed
    ? []
    : yield* Effect.promise(() => settle({ page: "http2.md", mark: "peers", rows, missing }, values.write))
  for (const each of wrong) console.error(`FAILED: ${each}`)
  process.exitCode = failed || wrong.length > 0 ? 1 : 0
})

await runMain(compared)
