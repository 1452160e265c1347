import { WebSocketClient, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Origin } from "@effect-websocket/protocol"
import { Option } from "effect"
import * as Net from "node:net"
import { afterEach } from "vitest"
import { Cause, Config, ConfigProvider, Context, Effect, Exit, Fiber, Layer, Logger } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { facts, header, ioFacts, listen, noHandlesLeft, rawServer, tls } from "./support.js"

afterEach(noHandlesLeft)

/** Builds a layer that reads these variables, and logs nothing. */
const build = <A, E>(layer: Layer.Layer<A, E>, variables: Record<string, string>) =>
  Layer.build(layer).pipe(
    Effect.withConfigProvider(ConfigProvider.fromEnvRecord(variables)),
    Effect.provide(Logger.withoutDefault)
  )

const number = Config.Number("N")
const duration = Config.Duration("N")

const defectOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined

describe("NodeWebSocketServer.layerConfig", () => {
  const Server = NodeWebSocketServer.layerConfig({
    port: Config.Int("PORT"),
    host: Config.String("HOST").pipe(Config.withDefault("127.0.0.1")),
    tls: { key: Config.String("KEY"), cert: Config.String("CERT") },
    origin: Config.strings("ORIGINS").pipe(Config.map(Origin.allowList)),
    protocols: Config.strings("PROTOCOLS"),
    limits: { maxMessageBytes: Config.Int("MAX_MESSAGE_BYTES") },
    closeTimeout: Config.Duration("CLOSE_TIMEOUT")
  })
  const variables = {
    PORT: "0",
    KEY: String(tls.key),
    CERT: String(tls.cert),
    ORIGINS: "https://a.example, https://b.example",
    PROTOCOLS: "two, one",
    MAX_MESSAGE_BYTES: "1234",
    CLOSE_TIMEOUT: "2 seconds"
  }

  it.live("serves with the values of the config", () =>
    Effect.gen(function* () {
      const server = Context.get(yield* build(Server, variables), WebSocketServer.WebSocketServer)
      assert.match(server.address.url, /^wss:\/\/127\.0\.0\.1:\d+$/)
      const connect = (origin: string) =>
        WebSocketClient.connect(server.address.url, { origin, protocols: ["one", "two"] }).pipe(
          Effect.provide(NodeWebSocketClient.layerWith({ tls: { ca: tls.cert } }))
        )
      const [accepted, socket] = yield* Effect.all([server.accept(), connect("https://b.example")], {
        concurrency: "unbounded"
      })
      assert.strictEqual(socket.protocol, "two")
      assert.strictEqual(accepted.limits.maxMessageBytes, 1234)
      const rejected = yield* Effect.flip(connect("https://evil.example"))
      assert.strictEqual(facts(rejected)["status"], 403)
    })
  )

  it.live("takes a config of the whole", () =>
    Effect.gen(function* () {
      const layer = NodeWebSocketServer.layerConfig(
        Config.map(Config.Int("PORT"), (port) => ({ port, host: "127.0.0.1" }))
      )
      const server = Context.get(yield* build(layer, { PORT: "0" }), WebSocketServer.WebSocketServer)
      assert.match(server.address.url, /^ws:\/\/127\.0\.0\.1:\d+$/)
    })
  )

  for (const [name, value, kind, path] of [
    ["PORT", undefined, "MissingData", ["PORT"]],
    ["PORT", "http", "InvalidData", ["PORT"]],
    ["CLOSE_TIMEOUT", "soon", "InvalidData", ["CLOSE_TIMEOUT"]]
  ] as const) {
    it.effect(`fails with a ConfigError if ${name} is ${value}`, () =>
      Effect.gen(function* () {
        const { [name]: _, ...others } = variables
        const error = yield* Effect.flip(
          Effect.scoped(build(Server, value === undefined ? others : { ...others, [name]: value }))
        )
        assert.deepInclude(Config.errorFacts(error), { kind, path })
      })
    )
  }

  const port = Config.succeed(0)
  const host = Config.succeed("127.0.0.1")
  const nonsense: Readonly<Record<string, readonly [Parameters<typeof NodeWebSocketServer.layerConfig>[0], string]>> = {
    port: [{ port: number, host }, "70000"],
    closeTimeout: [{ port, host, closeTimeout: duration }, "0 millis"],
    handshakeTimeout: [{ port, host, handshakeTimeout: duration }, "0 millis"],
    sendHighWaterMark: [{ port, host, sendHighWaterMark: number }, "-1"],
    receiveHighWaterMark: [{ port, host, receiveHighWaterMark: number }, "0.5"],
    maxFrameSize: [{ port, host, maxFrameSize: number }, "0"],
    maxSendBytes: [{ port, host, maxSendBytes: number }, "0"],
    "limits.maxFragments": [{ port, host, limits: { maxFragments: number } }, "0"],
    "compression.maxRatio": [{ port, host, compression: Config.map(number, (maxRatio) => ({ maxRatio })) }, "0.5"],
    "drain.reason": [{ port, host, drain: { reason: Config.String("N") } }, "ü".repeat(62)],
    "drain.window": [{ port, host, drain: { window: duration } }, "31 seconds"],
    "drain.timeout": [{ port, host, drain: { timeout: duration } }, "0 millis"],
    "admission.maxConnections": [{ port, host, admission: { maxConnections: number } }, "0"],
    "admission.handshakeRate.interval": [
      { port, host, admission: { handshakeRate: { limit: Config.succeed(1), interval: duration } } },
      "0 millis"
    ],
    "receiveRate.messages": [
      { port, host, receiveRate: { messages: number, interval: Config.succeed("1 seconds" as const) } },
      "1.5"
    ],
    retryAfter: [{ port, host, retryAfter: duration }, "0 millis"],
    host: [{ port, host: Config.String("N").pipe(Config.map((text) => text.trim())) }, " "],
    protocols: [{ port, host, protocols: Config.strings("N") }, "a b"],
    tls: [{ port, host, tls: { key: Config.String("N") } }, "no key"]
  }
  for (const [name, [config, value]] of Object.entries(nonsense)) {
    it.effect(`fails with a ConfigError for a ${name} of ${value}, which is a defect in plain options`, () =>
      Effect.gen(function* () {
        const error = Config.errorFacts(
          yield* Effect.flip(Effect.scoped(build(NodeWebSocketServer.layerConfig(config), { N: value })))
        )
        assert.strictEqual(error.kind, "InvalidData")
        assert.deepStrictEqual(error.path, name.split("."))
        assert.match(error.message, new RegExp(`^${name} (must|cannot) `))

        const options = yield* Effect.withConfigProvider(
          Config.unwrap<NodeWebSocketServer.Options>(config),
          ConfigProvider.fromEnvRecord({ N: value })
        )
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(NodeWebSocketServer.layer(options))))
        assert.instanceOf(defectOf(exit), RangeError)
      })
    )
  }

  it.effect("fails with a ConfigError for an origin that no page has", () =>
    Effect.gen(function* () {
      const origin = Config.strings("N").pipe(Config.map(Origin.allowList))
      const layer = NodeWebSocketServer.layerConfig({ port, host, origin })
      const error = Config.errorFacts(yield* Effect.flip(Effect.scoped(build(layer, { N: "https://*.example.com" }))))
      assert.deepInclude(error, { kind: "InvalidData", path: ["origin"] })
      assert.include(error.message, 'origin cannot be "https://*.example.com"')
    })
  )

  it.live("fails with an IoError if the port is in use", () =>
    Effect.gen(function* () {
      const taken = yield* listen(Net.createServer())
      const error = yield* Effect.flip(
        Effect.scoped(build(NodeWebSocketServer.layerConfig({ port: number, host }), { N: String(taken) }))
      )
      assert.deepStrictEqual(facts(error), ioFacts("Listen", "listen"))
    })
  )
})

describe("NodeWebSocketServer.layer", () => {
  it.live("takes a timeout that is not a whole number of milliseconds", () =>
    Layer.build(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", handshakeTimeout: "1500 micros" }))
  )
})

describe("NodeWebSocketClient.layerConfig", () => {
  const Client = NodeWebSocketClient.layerConfig({
    openTimeout: Config.Duration("OPEN_TIMEOUT"),
    limits: { maxMessageBytes: Config.Int("MAX_MESSAGE_BYTES") },
    tls: { ca: Config.String("CA") }
  })
  const variables = { OPEN_TIMEOUT: "50 millis", MAX_MESSAGE_BYTES: "1234", CA: String(tls.cert) }

  it.live("connects with the values of the config", () =>
    Effect.gen(function* () {
      const client = Context.get(yield* build(Client, variables), WebSocketClient.WebSocketClient)
      const server = Context.get(
        yield* Layer.build(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", tls })),
        WebSocketServer.WebSocketServer
      )
      yield* Effect.forkScoped(server.accept())
      const socket = yield* client.connect(server.address.url, { openTimeout: "10 seconds" })
      assert.strictEqual(socket.limits.maxMessageBytes, 1234)

      const silent = yield* listen(Net.createServer())
      const error = yield* Effect.flip(Effect.scoped(client.connect(`ws://127.0.0.1:${silent}`)))
      assert.deepStrictEqual(facts(error), ioFacts("Timeout", "open"))
    })
  )

  it.live("sends the request of the config", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const layer = NodeWebSocketClient.layerConfig({
        baseUrl: Config.Redacted("URL"),
        protocols: Config.nonEmptyStrings("PROTOCOLS"),
        auth: Config.all({ token: Config.Redacted("TOKEN") }),
        headers: Config.map(Config.String("VERSION"), (version) => ({ "X-Version": version }))
      })
      const variables = { URL: `${server.url}/api/`, PROTOCOLS: "one, two", TOKEN: "abc", VERSION: "3" }
      const client = Context.get(yield* build(layer, variables), WebSocketClient.WebSocketClient)
      const connecting = yield* Effect.forkChild(Effect.exit(Effect.scoped(client.connect("chat"))))
      const peer = yield* server.next
      const request = yield* peer.until("\r\n\r\n")
      assert.match(request, /^GET \/api\/chat HTTP\/1\.1\r\n/)
      assert.strictEqual(header(request, "Sec-WebSocket-Protocol"), "one, two")
      assert.strictEqual(header(request, "Authorization"), "Bearer abc")
      assert.strictEqual(header(request, "X-Version"), "3")
      peer.reset()
      yield* Fiber.join(connecting)
    })
  )

  it.effect("fails with a ConfigError if a variable is missing", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(build(Client, { ...variables, OPEN_TIMEOUT: "soon" })))
      assert.deepInclude(Config.errorFacts(error), { kind: "InvalidData", path: ["OPEN_TIMEOUT"] })
    })
  )

  const nonsense: Readonly<Record<string, readonly [Parameters<typeof NodeWebSocketClient.layerConfig>[0], string]>> = {
    openTimeout: [{ openTimeout: duration }, "0 millis"],
    sendLowWaterMark: [{ sendLowWaterMark: number }, "65537"],
    "limits.maxMessageBytes": [{ limits: { maxMessageBytes: number } }, "1e9"],
    tls: [{ tls: { cert: Config.String("N") } }, "no certificate"],
    baseUrl: [{ baseUrl: Config.String("N") }, "/relative"],
    protocols: [{ protocols: Config.strings("N") }, "a, a"]
  }
  for (const [name, [config, value]] of Object.entries(nonsense)) {
    it.effect(`fails with a ConfigError for a ${name} of ${value}, which is a defect in plain options`, () =>
      Effect.gen(function* () {
        const error = Config.errorFacts(
          yield* Effect.flip(Effect.scoped(build(NodeWebSocketClient.layerConfig(config), { N: value })))
        )
        assert.strictEqual(error.kind, "InvalidData")
        assert.deepStrictEqual(error.path, name.split("."))
        assert.match(error.message, new RegExp(`^${name} (must|cannot) `))

        const options = yield* Effect.withConfigProvider(
          Config.unwrap<NodeWebSocketClient.Options>(config),
          ConfigProvider.fromEnvRecord({ N: value })
        )
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(NodeWebSocketClient.layerWith(options))))
        assert.instanceOf(defectOf(exit), RangeError)
      })
    )
  }
})
