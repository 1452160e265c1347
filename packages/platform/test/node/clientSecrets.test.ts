import * as CookieJar from "@effect-websocket/platform/CookieJar"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { IoError } from "@effect-websocket/protocol/Errors"
import { Inspectable, Option, Redacted } from "effect"
import * as Net from "node:net"
import { inspect } from "node:util"
import { Cause, Config, ConfigProvider, Context, Effect, Exit, Layer, Logger, Stream, Tracer } from "../effect/index.js"
import * as Cookies from "../effect/Cookies.js"
import { afterEach, assert, it } from "../effect/vitest.js"
import { certificates, passphrase } from "./certificates.js"
import { httpProxy, socksProxy } from "./proxies.js"
import { listen, noHandlesLeft, serveEcho } from "./support.js"

afterEach(noHandlesLeft)

const mark = "MARK"

/** Everything that is said while an effect runs: logs of every kind, spans, the console, and what comes of it. */
const overhear = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const heard: Array<string> = []
    const hear = (value: unknown) =>
      heard.push(inspect(value, { depth: 20, showHidden: true }), String(value), Inspectable.toStringUnknown(value))
    const loggers = Layer.mergeAll(
      Logger.layer([
        Logger.make((entry) => heard.push(Logger.formatLogFmt.log(entry))),
        Logger.make((entry) => heard.push(inspect(Logger.formatStructured.log(entry), { depth: 20 })))
      ]),
      Logger.minimumLogLevel("All")
    )
    const streams = [process.stdout, process.stderr]
    const exit = yield* Effect.acquireUseRelease(
      Effect.sync(() => {
        const writes = streams.map((stream) => stream.write.bind(stream))
        for (const stream of streams) {
          stream.write = (bytes: Uint8Array | string) => {
            heard.push(Buffer.from(bytes as string).toString())
            return true
          }
        }
        return writes
      }),
      () =>
        Effect.exit(
          effect.pipe(Effect.withSpan("test"), Effect.provide(loggers), Effect.withTracer(Tracer.telling(hear)))
        ),
      (writes) => Effect.sync(() => streams.forEach((stream, index) => (stream.write = writes[index]!)))
    )
    hear(exit)
    if (Exit.isFailure(exit)) {
      heard.push(Cause.prettyWithCauses(exit.cause))
      const failure = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
      hear(failure)
      // Through every cause of a cause.
      for (let cause: unknown = failure; cause instanceof Error; cause = cause.cause) {
        hear(cause)
        heard.push(JSON.stringify(cause), cause.stack ?? "", ...Object.values(cause).map((value) => inspect(value)))
      }
    }
    return { exit, text: heard.join("\n") }
  })

const account = { username: "user", password: `${mark}-proxy` }

/** What an app would never want to be read. */
const request: WebSocketClient.ConnectOptions = {
  headers: { "X-Api-Key": `${mark}-header` },
  cookies: Cookies.fromIterable([]).pipe(Cookies.setUnsafe("session", `${mark}-cookie`)),
  query: { token: `${mark}-query` },
  maxRedirects: 2
}

const credentials: ReadonlyArray<readonly [name: string, userinfo: string, options: WebSocketClient.ConnectOptions]> = [
  ["a URL", `user:${mark}-userinfo@`, {}],
  ["a password", "", { auth: { username: "user", password: Redacted.make(`${mark}-password`) } }],
  ["a token", "", { auth: { token: Redacted.make(`${mark}-token`) } }]
]

/** Answers whatever comes. */
const answering = (answer: string | undefined) =>
  listen(
    Net.createServer((socket) => {
      socket.on("error", () => {})
      socket.once("data", () => {
        if (answer === undefined) socket.destroy()
        else socket.write(answer)
      })
    })
  )

it.live(
  "no secret is in an error, a log, a span or any output, whatever happens",
  () =>
    Effect.gen(function* () {
      const echo = yield* serveEcho()
      const mutual = yield* serveEcho({ tls: certificates.good })
      const expired = yield* serveEcho({ tls: certificates.expired })
      const closed = yield* Effect.scoped(listen(Net.createServer()))
      const http = yield* httpProxy({ account })
      const socks = yield* socksProxy(account)
      // For these two the time must run out.
      const silent = yield* answering("")
      const slow = yield* answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\nno")
      const endless = [`ws://localhost:${silent}`, `ws://localhost:${slow}`]
      const targets: ReadonlyArray<string> = [
        `ws://${echo.address.url.slice(5)}`,
        `wss://localhost:${mutual.address.port}`,
        `wss://localhost:${expired.address.port}`,
        `wss://localhost:${echo.address.port}`,
        `ws://localhost:${closed}`,
        "ws://nonexistent.invalid",
        ...endless,
        ...(yield* Effect.forEach(
          [
            undefined,
            "no HTTP",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno",
            "HTTP/1.1 302 Found\r\nLocation: ftp://localhost\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"
          ],
          (answer) => Effect.map(answering(answer), (port) => `ws://localhost:${port}`)
        ))
      ]
      const tls = {
        ca: certificates.ca.cert,
        cert: certificates.secretClient.cert,
        key: Redacted.make(certificates.secretClient.key),
        passphrase: Redacted.make(passphrase)
      }
      const right = `user:${mark}-proxy@localhost`
      const wrong = `user:${mark}-wrong@localhost`
      const routes: ReadonlyArray<NodeWebSocketClient.Options> = [
        { tls },
        { tls, proxy: `http://${right}:${http.port}` },
        { tls, proxy: Redacted.make(`socks5://${right}:${socks.port}`) },
        { proxy: `http://${wrong}:${http.port}` },
        { proxy: `socks5://${wrong}:${socks.port}` },
        { proxy: `http://${right}:${closed}` },
        { proxy: `socks5://${right}:${closed}` },
        { proxy: `https://${right}:${http.port}` }
      ]
      const outcomes = new Set<string>()
      for (const options of routes) {
        const client = yield* NodeWebSocketClient.make(options)
        const jar = yield* CookieJar.make
        yield* jar.setCookies(new URL("http://localhost"), [`jar=${mark}-jar`])
        yield* Effect.forEach(
          targets.flatMap((target) => credentials.map((how) => [target, how] as const)),
          ([target, [name, userinfo, own]]) =>
            Effect.gen(function* () {
              const url = target.replace("://", `://${userinfo}`)
              const openTimeout = endless.includes(target) ? "100 millis" : "2 seconds"
              const { exit, text } = yield* overhear(
                Effect.gen(function* () {
                  const socket = yield* client.connect(url, { ...request, ...own, openTimeout })
                  assert.notInclude(socket.url, `${mark}-userinfo`)
                  yield* Effect.logInfo("connected")
                  yield* socket.close()
                }).pipe(Effect.scoped, Effect.provideService(CookieJar.CookieJar, jar))
              )
              outcomes.add(Exit.isSuccess(exit) ? "success" : Cause.pretty(exit.cause).split(/[ :]/)[0]!)
              assert.notInclude(text, mark, `with ${name}, to ${target}`)
            }),
          { discard: true }
        )
      }
      assert.includeMembers([...outcomes], ["success", "Io_error", "Handshake_rejected", "Protocol_error"])
    }).pipe(Effect.scoped),
  120_000
)

it.live("a client, its options and their config show no secret", () =>
  Effect.gen(function* () {
    const provider = ConfigProvider.fromEnvRecord({
      PASSWORD: `${mark}-password`,
      PROXY: `http://user:${mark}-proxy@localhost`,
      URL: `wss://user:${mark}-url@localhost`,
      KEY: `${mark} no key`
    })
    const good = NodeWebSocketClient.layerConfig({
      auth: Config.all({ username: Config.succeed("user"), password: Config.Redacted("PASSWORD") }),
      proxy: Config.Redacted("PROXY"),
      baseUrl: Config.Redacted("URL")
    })
    const badKey = NodeWebSocketClient.layerConfig({ tls: { key: Config.Redacted("KEY") } })
    const badUrl = NodeWebSocketClient.layerConfig({ baseUrl: Config.Redacted("KEY") })
    for (const layer of [good, badKey, badUrl]) {
      const { text } = yield* overhear(
        Effect.withConfigProvider(Effect.scoped(Layer.build(layer)), provider).pipe(
          Effect.map((context) => Context.get(context, WebSocketClient.WebSocketClient))
        )
      )
      assert.notInclude(text, mark)
    }
  })
)

it.live("no secret is in the states of a client that reconnects", () =>
  Effect.gen(function* () {
    const port = yield* answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    const { text } = yield* overhear(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make(`ws://user:${mark}-userinfo@localhost:${port}`, request)
        yield* Effect.ignore(Stream.runDrain(socket.messages))
        return yield* socket.state.get
      }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
    )
    assert.include(text, "Closed")
    assert.notInclude(text, mark)
  }).pipe(Effect.scoped)
)

it.live("the test finds a secret that is logged", () =>
  Effect.gen(function* () {
    const secret = new IoError({ reason: "Connect", operation: "connect", cause: new Error(mark) })
    for (const says of [
      Effect.logDebug(mark),
      Effect.annotateLogs(Effect.log("connected"), "url", mark),
      Effect.withSpan(Effect.void, mark),
      Effect.withSpan(Effect.void, "connect", { attributes: { url: mark } }),
      Effect.sync(() => process.stderr.write(mark)),
      Effect.fail(secret),
      Effect.die(secret),
      Effect.succeed({ options: { auth: mark } })
    ]) {
      assert.include((yield* overhear(says)).text, mark)
    }
  })
)
