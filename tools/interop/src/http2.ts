/**
 * `pnpm test:http2 [--require]`: WebSocket over HTTP/2 with peers that others have written: a page in headless Chromium, and our client through
 * HAProxy, which speaks HTTP/2 on both sides. What the machine lacks is skipped, or fails with `--require`.
 */
import { UpgradeCheck, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Cause, Context, Effect, Exit, Layer, type Scope } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createSecureServer } from "node:http2"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { chromium } from "playwright-core"
import { start } from "./Process.js"
import { debianPackages, find } from "./programs.js"
import { freePort, listening } from "./proxies.js"

const { values } = parseArgs({ options: { require: { type: "boolean", default: false } } })

const fixture = (name: string): Buffer =>
  readFileSync(fileURLToPath(new URL(`../../../packages/platform/test/node/fixtures/${name}`, import.meta.url)))
const tls = { key: fixture("key.pem"), cert: fixture("cert.pem") }

const check = (holds: boolean, what: string): Effect.Effect<void, Error> =>
  holds ? Effect.sync(() => console.log(`ok    ${what}`)) : Effect.fail(new Error(what))

/** Sends everything back, and remembers the requests. */
const echo = (server: WebSocketServer.Service) =>
  Effect.gen(function* () {
    const requests: Array<UpgradeCheck.Request> = []
    const route = yield* server.route({
      check: (request) =>
        Effect.sync(() => {
          requests.push(request)
          return UpgradeCheck.accept(undefined)
        })
    })
    yield* Effect.forkScoped(route.run((socket) => socket.run((message) => socket.send(message))))
    return requests
  })

/** A browser uses HTTP/2 for a WebSocket if it already has a session to the same server. */
const inChromium = (executablePath: string): Effect.Effect<void, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const server = createSecureServer({ ...tls, allowHTTP1: true }, (_, response) => {
      response.setHeader("content-type", "text/html")
      response.end("<!doctype html><title>HTTP/2</title>")
    })
    const requests = yield* echo(yield* NodeWebSocketServer.attach(server))
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () => Effect.sync(() => void server.close())
    )
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const browser = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => chromium.launch({ executablePath, chromiumSandbox: false, args: ["--disable-dev-shm-usage"] }),
        catch: (error) => new Error(String(error))
      }),
      (browser) => Effect.promise(() => browser.close())
    )
    const results = yield* Effect.tryPromise({
      try: async () => {
        const page = await browser.newPage({ ignoreHTTPSErrors: true })
        await page.goto(`https://127.0.0.1:${port}/`)
        return await page.evaluate<string>(`new Promise((resolve, reject) => {
          const socket = new WebSocket("wss://127.0.0.1:${port}/echo")
          let text = ""
          socket.onopen = () => { socket.send("hello"); socket.send(new Uint8Array(200000)) }
          socket.onmessage = ({ data }) => {
            text += typeof data === "string" ? data : " " + data.size
            if (typeof data !== "string") socket.close(4001, "done")
          }
          socket.onerror = () => reject(new Error("no connection"))
          socket.onclose = ({ code, wasClean }) => resolve(text + " " + code + " " + wasClean)
        })`)
      },
      catch: (error) => new Error(String(error))
    })
    yield* check(
      results === "hello 200000 4001 true",
      `Chromium ${browser.version()}: messages and the Close: ${results}`
    )
    const [request] = requests
    yield* check(request !== undefined && request.key === undefined, "Chromium used HTTP/2")
  })

const throughHaproxy = (program: string): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const built = yield* Layer.build(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", http2: true }))
    const server = Context.get(built, WebSocketServer.WebSocketServer)
    const requests = yield* echo(server)
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
  server ours 127.0.0.1:${server.address.port} proto h2 ws h2
`
    )
    yield* start(program, ["-db", "-f", join(folder, "haproxy.cfg")])
    yield* listening(port)
    const client = yield* NodeWebSocketClient.make({ http2: "require", tls: { ca: tls.cert } })
    const closed = yield* Effect.scoped(
      Effect.gen(function* () {
        const socket = yield* client.connect(`wss://127.0.0.1:${port}/echo`)
        yield* socket.send("hello")
        const text = (yield* socket.receive).data
        yield* socket.send(new Uint8Array(200_000))
        const { data } = yield* socket.receive
        yield* check(text === "hello" && data.length === 200_000, "HAProxy: messages in both directions")
        yield* socket.close(1000)
        return yield* socket.closeStatus
      })
    )
    yield* check(closed.clean, "HAProxy: a clean close")
    yield* check(requests[0]?.key === undefined && requests.length === 1, "HAProxy used HTTP/2 on both sides")
  })

const run = (
  name: string,
  packages: ReadonlyArray<string>,
  job: (program: string) => Effect.Effect<void, unknown, Scope.Scope>
) =>
  Effect.gen(function* () {
    const program = find(packages)
    if (program === undefined) {
      console.log(`MISSING: ${name}, for lack of ${packages.join(" or ")}`)
      if (values.require) process.exitCode = 1
      return
    }
    const exit = yield* Effect.exit(Effect.scoped(Effect.timeout(job(program), "1 minute")))
    if (Exit.isSuccess(exit)) return
    console.error(`FAILED: ${name}: ${Cause.pretty(exit.cause)}`)
    process.exitCode = 1
  })

await Effect.runPromise(
  Effect.andThen(
    run("Chromium", debianPackages.chromium, inChromium),
    run("HAProxy", debianPackages.haproxy, throughHaproxy)
  )
)
