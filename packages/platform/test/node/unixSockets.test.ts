/** Servers on Unix domain sockets. */
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Option } from "effect"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import * as Http from "node:http"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { WebSocket as WsClient } from "ws"
import { Cause, Config, ConfigProvider, Context, Effect, Exit, Layer, Logger, type Scope } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { eventually, facts, ioFacts, noHandlesLeft, Peer, tls, upgradeRequest } from "./support.js"

afterEach(noHandlesLeft)

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "web:socket #1 ä-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

const echo = WebSocketServer.layerHandler((socket) =>
  socket.run((message) => socket.send(`${socket.request.path}: ${String(message.data)}`))
)

/** A server that says what it was asked for and sent. */
const serve = <E>(
  server: Layer.Layer<WebSocketServer.WebSocketServer, E>
): Effect.Effect<Context.Service.Shape<typeof WebSocketServer.WebSocketServer>, E, Scope.Scope> =>
  Layer.build(Layer.provideMerge(Layer.provideMerge(echo, server), Logger.withoutDefault)).pipe(
    Effect.map((context) => Context.get(context, WebSocketServer.WebSocketServer))
  )

const ask = (url: string, options?: NodeWebSocketClient.Options & WebSocketClient.ConnectOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(url, options)
      yield* socket.send("hello")
      return (yield* socket.receive).data
    })
  ).pipe(Effect.provide(NodeWebSocketClient.layerWith(options ?? {})))

const askWithWs = (url: string) =>
  Effect.callback<string>((resume) => {
    const socket = new WsClient(url)
    socket.on("open", () => socket.send("hello"))
    socket.on("message", (data: Buffer) => {
      socket.once("close", () => resume(Effect.succeed(data.toString())))
      socket.close()
    })
    socket.on("error", (error) => resume(Effect.die(error)))
  })

const rawPeer = (path: string) =>
  Effect.acquireRelease(
    Effect.callback<Peer>((resume) => {
      const socket: Net.Socket = Net.connect({ path, allowHalfOpen: true }, () => resume(Effect.succeed(peer)))
      const peer = new Peer(socket)
    }),
    (peer) =>
      Effect.suspend(() => {
        peer.socket.destroy()
        return peer.closed
      })
  )

const defectOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined

describe("NodeWebSocketServer.layer", () => {
  it.live("listens on a path, reports its URL, and leaves no file", () =>
    Effect.gen(function* () {
      const socketPath = join(yield* folder, "a.sock")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { address } = yield* serve(NodeWebSocketServer.layer({ socketPath }))
          assert.deepInclude(address, { hostname: "localhost", port: 0, socketPath })
          assert.match(address.url, /^ws\+unix:\/\/\/.*a\.sock:$/)
          assert.strictEqual(yield* ask(address.url), "/: hello")
          assert.strictEqual(yield* ask(`${address.url}/chat`), "/chat: hello")
          assert.isTrue(existsSync(socketPath))
        })
      )
      assert.isFalse(existsSync(socketPath))
      yield* Effect.scoped(serve(NodeWebSocketServer.layer({ socketPath })))
    })
  )

  it.live("serves a client of ws, over a path that needs no encoding", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "ws-"))),
        (path) => Effect.promise(() => rm(path, { recursive: true }))
      )
      const { address } = yield* serve(NodeWebSocketServer.layer({ socketPath: join(directory, "a.sock") }))
      assert.strictEqual(address.url, `ws+unix://${directory}/a.sock:`)
      assert.strictEqual(yield* askWithWs(address.url), "/: hello")
      assert.strictEqual(yield* askWithWs(`${address.url}/chat`), "/chat: hello")
    })
  )

  it.live("reports an absolute URL for a relative path", () =>
    Effect.gen(function* () {
      const absolute = join(yield* folder, "a.sock")
      const socketPath = relative(process.cwd(), absolute)
      const { address } = yield* serve(NodeWebSocketServer.layer({ socketPath }))
      assert.strictEqual(address.socketPath, socketPath)
      assert.strictEqual(decodeURIComponent(new URL(address.url).pathname), `${absolute}:`)
      assert.strictEqual(yield* ask(address.url), "/: hello")
    })
  )

  it.live("serves TLS there", () =>
    Effect.gen(function* () {
      const socketPath = join(yield* folder, "a.sock")
      const { address } = yield* serve(NodeWebSocketServer.layer({ socketPath, tls }))
      assert.strictEqual(address.url, "wss://localhost")
      assert.strictEqual(yield* ask(address.url, { socketPath, tls: { ca: tls.cert } }), "/: hello")
    })
  )

  it.live("checks Host and Origin as over TCP, and trusts the proxy at the other end if it may", () =>
    Effect.gen(function* () {
      const socketPath = join(yield* folder, "a.sock")
      const { address, connections } = yield* serve(
        NodeWebSocketServer.layer({
          socketPath,
          proxies: { trusted: () => false, trustUnixSocket: true },
          admission: { maxConnectionsPerKey: 1 }
        })
      )
      assert.strictEqual(yield* ask(address.url, { origin: "http://localhost" }), "/: hello")
      const evil = yield* Effect.flip(ask(address.url, { origin: "http://evil.example" }))
      assert.strictEqual(facts(evil)["status"], 403)
      const peer = yield* rawPeer(socketPath)
      peer.write(upgradeRequest({ Host: undefined }))
      assert.match(yield* peer.until("\r\n\r\n"), /^HTTP\/1\.1 400 /)

      const forwarded = (of: string) => {
        const open = WebSocketClient.connect(address.url, { headers: { "X-Forwarded-For": of } })
        return Effect.provide(open, NodeWebSocketClient.layer)
      }
      const first = yield* forwarded("192.0.2.1")
      assert.strictEqual(facts(yield* Effect.flip(forwarded("192.0.2.1")))["status"], 429)
      const second = yield* forwarded("192.0.2.2")
      const known = (yield* connections).map(({ clientAddress, remoteAddress }) => [clientAddress, remoteAddress])
      assert.includeDeepMembers(known, [
        ["192.0.2.1", undefined],
        ["192.0.2.2", undefined]
      ])
      yield* Effect.all([first.close(), second.close()])
    })
  )

  it.live.each([false, true])("drops the oldest of too many silent sockets, and no others (TLS: %s)", (secure) =>
    Effect.gen(function* () {
      const socketPath = join(yield* folder, "a.sock")
      const { address } = yield* serve(
        NodeWebSocketServer.layer({ socketPath, admission: { maxHandshakes: 1 }, ...(secure ? { tls } : {}) })
      )
      const client = { socketPath, tls: { ca: tls.cert } }
      const talking = yield* Effect.provide(
        WebSocketClient.connect(secure ? address.url : "ws://localhost"),
        NodeWebSocketClient.layerWith(client)
      )
      const oldest = yield* rawPeer(socketPath)
      yield* rawPeer(socketPath)
      yield* oldest.left
      yield* talking.send("hello")
      assert.strictEqual((yield* talking.receive).data, "/: hello")
      yield* talking.close()
    })
  )

  it.live("fails if a file is at the path, in use or left behind", () =>
    Effect.gen(function* () {
      const socketPath = join(yield* folder, "a.sock")
      const layer = NodeWebSocketServer.layer({ socketPath })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { address } = yield* serve(layer)
          const error = yield* Effect.flip(Effect.scoped(serve(layer)))
          assert.deepStrictEqual(facts(error), ioFacts("Listen", "listen"))
          // The first one still has its file.
          assert.strictEqual(yield* ask(address.url), "/: hello")
        })
      )
      const missing = NodeWebSocketServer.layer({ socketPath: join(socketPath, "none", "a.sock") })
      assert.deepStrictEqual(facts(yield* Effect.flip(Effect.scoped(serve(missing)))), ioFacts("Listen", "listen"))
    })
  )

  it.live("closes the listener and removes the file when it stops", () =>
    Effect.gen(function* () {
      const socketPath = join(yield* folder, "a.sock")
      const server = yield* serve(NodeWebSocketServer.layer({ socketPath }))
      const client = yield* Effect.provide(WebSocketClient.connect(server.address.url), NodeWebSocketClient.layer)
      yield* server.stop
      yield* eventually(() => !existsSync(socketPath))
      yield* client.send("hello")
      assert.strictEqual((yield* client.receive).data, "/: hello")
      yield* client.close()
    })
  )
})

describe("options that make no sense", () => {
  const long = `/${"x".repeat(200)}`
  const text = Config.String("N")
  const nonsense: Readonly<
    Record<string, readonly [Parameters<typeof NodeWebSocketServer.layerConfig>[0], message: RegExp]>
  > = {
    "neither port nor socketPath": [Config.map(text, () => ({}) as NodeWebSocketServer.Options), /^port must be given/],
    "both port and socketPath": [
      Config.map(text, (socketPath) => ({ port: 0, socketPath }) as unknown as NodeWebSocketServer.Options),
      /^socketPath cannot be used together with port$/
    ],
    "host and socketPath": [
      Config.map(text, (socketPath) => ({ host: "a", socketPath }) as unknown as NodeWebSocketServer.Options),
      /^host cannot be used together with socketPath$/
    ],
    "an empty socketPath": [
      { socketPath: Config.succeed("") },
      /^socketPath must have from 1 to \d+ bytes, but has 0$/
    ],
    "a long socketPath": [{ socketPath: Config.map(text, () => long) }, /^socketPath must have from 1 to \d+ bytes/]
  }
  for (const [name, [config, message]] of Object.entries(nonsense)) {
    it.effect(`are a ConfigError, and a defect in plain options: ${name}`, () =>
      Effect.gen(function* () {
        const provider = ConfigProvider.fromEnvRecord({ N: "/tmp/a.sock" })
        const failure = yield* Effect.flip(Effect.scoped(Layer.build(NodeWebSocketServer.layerConfig(config)))).pipe(
          Effect.withConfigProvider(provider)
        )
        const error = Config.errorFacts(failure)
        assert.strictEqual(error.kind, "InvalidData")
        assert.deepStrictEqual(error.path, error.message.split(" ").slice(0, 1))
        assert.match(error.message, message)
        const options = yield* Effect.withConfigProvider(Config.unwrap<NodeWebSocketServer.Options>(config), provider)
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(NodeWebSocketServer.layer(options))))
        assert.instanceOf(defectOf(exit), RangeError)
      })
    )
  }

  it.live("others come from Config", () =>
    Effect.gen(function* () {
      const socketPath = join(yield* folder, "a.sock")
      const { address } = yield* serve(NodeWebSocketServer.layerConfig({ socketPath: Config.String("PATH") })).pipe(
        Effect.withConfigProvider(ConfigProvider.fromEnvRecord({ PATH: socketPath }))
      )
      assert.strictEqual(address.socketPath, socketPath)
      assert.strictEqual(yield* ask(address.url), "/: hello")
    })
  )
})

it.live("an attached server reports the address of a server on a path", () =>
  Effect.gen(function* () {
    const socketPath = join(yield* folder, "a.sock")
    const http = Http.createServer()
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void http.listen(socketPath, () => resume(Effect.void))),
      () => Effect.callback<void>((resume) => void http.close(() => resume(Effect.void)))
    )
    const server = yield* serve(NodeWebSocketServer.layerAttached(http))
    assert.deepInclude(server.address, { hostname: "localhost", port: 0, socketPath })
    assert.strictEqual(yield* ask(`${server.address.url}/chat`), "/chat: hello")
  })
)
