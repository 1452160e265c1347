/** The tables of docs/http2.md that say what a server and a client do. `pnpm docs:write` writes them from what this run sees. */
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as Origin from "@effect-websocket/protocol/Origin"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import * as Http2 from "node:http2"
import { Effect, Logger } from "../effect/index.js"
import { assertDocumented, table } from "../documented.js"
import { afterEach, it } from "../effect/vitest.js"
import { connectHeaders, http2Session, request, type Headers } from "./http2.js"
import { eventually, first, frame, noHandlesLeft, serve, serveEcho, tls } from "./support.js"

afterEach(noHandlesLeft)

const quietly = Effect.provide(Logger.withoutDefault)

const answerTo = (session: Http2.ClientHttp2Session, changes: Headers) =>
  Effect.gen(function* () {
    const { answer, peer } = yield* request(session, connectHeaders(changes))
    peer.reset()
    return [answer.status, ...(answer.headers["sec-websocket-version"] === undefined ? [] : ["with the version"])]
  })

/** The answer to a request, and whether its stream then carries messages. */
const openedWith = (session: Http2.ClientHttp2Session) =>
  Effect.gen(function* () {
    const { answer, peer } = yield* request(session)
    peer.write(frame(first.text, "hello", true))
    const isEcho = String((yield* peer.frame).payload) === "hello"
    peer.reset()
    return `${answer.status}; the stream carries ${isEcho ? "messages" : "something else"}`
  })

const resetCodes = new Map([[Http2.constants.NGHTTP2_CANCEL, "`CANCEL`"]])

/** The answer to a request that ends with its headers, and the code with which its stream is reset. */
const resetOf = (session: Http2.ClientHttp2Session) =>
  Effect.gen(function* () {
    const stream = session.request(connectHeaders(), { endStream: true })
    let answer = "none"
    stream.on("error", () => {}).on("response", (headers) => (answer = String(headers[":status"])))
    yield* eventually(() => stream.destroyed)
    const code = stream.rstCode ?? 0
    return `${answer}: a reset with the code ${code} (${resetCodes.get(code) ?? "another one"})`
  })

it.live("a server answers each request as the page says", () =>
  Effect.gen(function* () {
    const server = yield* serveEcho({ tls, http2: true, origin: Origin.sameOrigin() })
    const limited = yield* serveEcho({ tls, http2: true, admission: { maxConnections: 1 } })
    const each = yield* serveEcho({ tls, http2: true, admission: { maxConnectionsPerKey: 1 } })
    const session = yield* http2Session(server.address.port)
    const second = (port: number) =>
      Effect.gen(function* () {
        const full = yield* http2Session(port)
        const { peer } = yield* request(full)
        const [status] = yield* answerTo(full, {})
        peer.reset()
        return String(status)
      })
    const status = (changes: Headers) => Effect.map(answerTo(session, changes), (answer) => answer.join(" "))
    const rows = [
      ["extended `CONNECT` for `websocket`", yield* openedWith(session)],
      ["for another protocol", yield* status({ ":protocol": "connect-udp" })],
      ["without a version", yield* status({ "sec-websocket-version": undefined })],
      ["with another version than 13", yield* status({ "sec-websocket-version": "8" })],
      ["with a foreign origin", yield* status({ origin: "https://other.example.com" })],
      ["above `maxConnectionsPerKey`", yield* second(each.address.port)],
      ["above `maxConnections`", yield* second(limited.address.port)],
      ["that ends the stream with its headers", yield* resetOf(session)],
      ["any other request", yield* status({ ":method": "GET", ":protocol": undefined })]
    ]
    assertDocumented("http2.md", "server", table(["request", "answer"], rows))
  }).pipe(quietly)
)

/** A server that remembers the version of HTTP of its last request. */
const watching = (options: Parameters<typeof serve>[0]) =>
  Effect.gen(function* () {
    const server = yield* serve(options)
    let version = ""
    const check = ({ key }: UpgradeCheck.Request) =>
      Effect.sync(() => {
        version = key === undefined ? "HTTP/2" : "HTTP/1.1"
        return UpgradeCheck.accept(undefined)
      })
    const route = yield* server.route({ check })
    yield* Effect.forkScoped(route.run((socket) => socket.run(() => {})))
    return { url: server.address.url, version: () => version }
  })

const names: Readonly<Record<string, string>> = { Io_error: "`IoError`" }

it.live("a client uses the version of HTTP that the page says", () =>
  Effect.gen(function* () {
    const servers = [
      ["`wss:`, HTTP/2 and 1.1", yield* watching({ tls, http2: true })],
      ["`wss:`, only HTTP/1.1", yield* watching({ tls })],
      ["`ws:`, only HTTP/1.1", yield* watching({})],
      ["`ws:`, only HTTP/2", yield* watching({ http2: true })]
    ] as const
    const rows = []
    for (const mode of [undefined, "prefer", "require"] as const) {
      const options = { tls: { ca: tls.cert }, ...(mode === undefined ? {} : { http2: mode }) }
      const { connect } = yield* NodeWebSocketClient.make(options)
      const row = [mode === undefined ? "not given" : `\`"${mode}"\``]
      for (const [, { url, version }] of servers) {
        const outcome = Effect.match(Effect.scoped(connect(url)), {
          onSuccess: version,
          onFailure: ({ _tag }) => names[_tag] ?? _tag
        })
        row.push(yield* outcome)
      }
      rows.push(row)
    }
    assertDocumented("http2.md", "client", table(["`http2`", ...servers.map(([name]) => name)], rows))
  }).pipe(quietly)
)
