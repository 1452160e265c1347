/** What metrics and spans say about connections, for each way in which handshakes and connections end. */
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketMetrics from "@effect-websocket/platform/WebSocketMetrics"
import * as WebSocketTracing from "@effect-websocket/platform/WebSocketTracing"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { HandshakeRejected, IoError } from "@effect-websocket/protocol/Errors"
import { Meter } from "../../src/internal/Meter.js"
import * as NativeClient from "../../src/native/NativeClient.js"
import { assertDocumented } from "../documented.js"
import { Effect, Fiber, Layer, Logger, type Scope, Tracer } from "../effect/index.js"
import { afterAll, afterEach, assert, describe, it } from "../effect/vitest.js"
import { makePlatform } from "../native/FakePlatform.js"
import {
  attributesTable,
  eventsTable,
  refusalsTable,
  seenValues,
  type Series,
  spanAttributesTable,
  spansTable
} from "./observabilityPage.js"
import { httpProxy, socksProxy } from "./proxies.js"
import {
  connect,
  eventually,
  noHandlesLeft,
  rawClient,
  rawServer,
  readResponse,
  serve,
  serveEcho,
  tls,
  upgradeRequest
} from "./support.js"
import { changes, endings, handshakes, limits, numbers, portOf, urlOf } from "./telemetryCases.js"

afterEach(noHandlesLeft)

/** All series that the tests of this file have recorded. Those of Effect also have the series of other files. */
const series: Array<Series> = []
const { record } = Meter.prototype
Meter.prototype.record = function (instrument, attributes, value) {
  series.push([instrument, attributes])
  Reflect.apply(record, this, [instrument, attributes, value])
}
afterAll(() => {
  Meter.prototype.record = record
})

/** All spans of handshakes that the tests of this file have seen. */
const seen = {
  client: new Array<Tracer.Recorded>(),
  platform: new Array<Tracer.Recorded>(),
  server: new Array<Tracer.Recorded>()
}

/** Records the spans of handshakes of an effect. `clients` are those of its clients. */
const recorded = <A, E, R>(effect: Effect.Effect<A, E, R>, clients: Array<Tracer.Recorded> = seen.client) =>
  effect.pipe(
    Effect.provide(WebSocketTracing.layer),
    Effect.provide(Logger.withoutDefault),
    Effect.provide(
      Tracer.recording((span) => {
        if (span.name.startsWith("websocket.")) (span.kind === "server" ? seen.server : clients).push(span)
      })
    )
  )

/** What a scenario changes in the metrics until everything has ended. Bytes and messages are left out. */
const changedBy = <E>(scenario: Effect.Effect<unknown, E, Scope.Scope | WebSocketMetrics.WebSocketMetrics>) =>
  Effect.gen(function* () {
    const before = yield* numbers
    yield* Effect.provide(recorded(Effect.scoped(scenario)), Layer.fresh(WebSocketMetrics.layer))
    const all = changes(before, yield* numbers)
    return Object.fromEntries(Object.entries(all).filter(([key]) => !/^(io|messages) /.test(key)))
  })

/** The spans of handshakes of an effect. */
const spansOf = <A, E>(
  effect: Effect.Effect<A, E, Scope.Scope | WebSocketTracing.WebSocketTracing>,
  clients?: Array<Tracer.Recorded>
) =>
  Effect.gen(function* () {
    const before = { client: seen.client.length, server: seen.server.length }
    yield* recorded(Effect.scoped(effect), clients)
    return { client: seen.client.slice(before.client), server: seen.server.slice(before.server) }
  })

describe("metrics", () => {
  for (const [name, scenario, expected, others] of [...endings, ...handshakes, ...limits]) {
    it.live(`of ${name}`, () =>
      Effect.map(changedBy(scenario), (changed) =>
        others === undefined ? assert.deepStrictEqual(changed, expected) : assert.include(changed, expected)
      )
    )
  }

  it.live("see nothing of connections that are older", () =>
    Effect.gen(function* () {
      const socket = yield* connect(urlOf(yield* serveEcho()))
      const changed = yield* changedBy(
        Effect.gen(function* () {
          yield* socket.send("hello")
          yield* socket.receive
          yield* WebSocketMetrics.sample
          yield* socket.close()
        })
      )
      assert.deepStrictEqual(changed, {})
    })
  )
})

describe("spans", () => {
  it.live("tell of the tunnel of a proxy, before the request of the server", () =>
    Effect.gen(function* () {
      for (const proxyOf of [httpProxy(), socksProxy()]) {
        const { client, server } = yield* spansOf(
          Effect.gen(function* () {
            const { url } = yield* proxyOf
            const address = urlOf(yield* serveEcho()).replace("127.0.0.1", "localhost")
            yield* WebSocketClient.connect(`${address}/chat?token=secret`).pipe(
              Effect.provide(NodeWebSocketClient.layerWith({ proxy: url.replace("://", "://ann:secret@") }))
            )
          })
        )
        assert.deepStrictEqual(client[0]?.events, [["websocket.tunnel", {}]])
        assert.deepInclude(client[0], { ended: "success" })
        assert.strictEqual(server[0]?.parent, client[0]?.spanId)
        assert.notInclude(JSON.stringify(client), "secret")
      }
    })
  )

  it.live("tell of no tunnel that fails, nor of one that opens too late", () =>
    Effect.gen(function* () {
      const { client } = yield* spansOf(
        Effect.gen(function* () {
          const refusing = yield* rawServer()
          const connectVia = (url: string) =>
            WebSocketClient.connect("ws://localhost:1", { openTimeout: "50 millis" }).pipe(
              Effect.provide(NodeWebSocketClient.layerWith({ proxy: url })),
              Effect.flip
            )
          const connecting = yield* Effect.forkChild(connectVia(refusing.url.replace("ws:", "http:")))
          const peer = yield* refusing.next
          yield* peer.until("\r\n\r\n")
          peer.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
          yield* Fiber.join(connecting)
          let late = (): void => {}
          const slow = WebSocketClient.make((_url, _headers, done, tell) => {
            late = () => {
              tell?.("websocket.tunnel")
              done({ _tag: "Failed", error: new IoError({ reason: "Reset", operation: "handshake" }) })
            }
            return () => {}
          })
          yield* Effect.flip(slow.connect("ws://localhost", { openTimeout: "10 millis" }))
          late()
        })
      )
      assert.deepStrictEqual(
        client.map(({ attributes, ended, events }) => [attributes["error.type"], ended, events.length]),
        [
          ["Proxy", "failure", 0],
          ["Timeout", "failure", 0]
        ]
      )
    })
  )

  it.live("have the method, the version and the status of HTTP/2", () =>
    Effect.gen(function* () {
      const { client, server } = yield* spansOf(
        Effect.gen(function* () {
          const listening = yield* serve({ tls, http2: true })
          yield* listening.route({ path: "/denied", check: () => Effect.fail(UpgradeCheck.reject(401)) })
          const open = yield* listening.route({ path: "/open" })
          yield* Effect.forkScoped(open.run(() => Effect.never))
          const { connect } = yield* NodeWebSocketClient.make({ tls: { ca: tls.cert }, http2: "require" })
          yield* connect(`${urlOf(listening)}/open?token=secret`)
          yield* Effect.flip(connect(`${urlOf(listening)}/denied`))
        })
      )
      const common = {
        "http.request.method": "CONNECT",
        "network.protocol.name": "http",
        "network.protocol.version": "2",
        "server.address": "127.0.0.1"
      }
      for (const [index, path, status] of [
        [0, "/open", 200],
        [1, "/denied", 401]
      ] as const) {
        for (const span of [client[index], server[index]]) {
          assert.deepInclude(span?.attributes, { ...common, "http.response.status_code": status, "url.path": path })
          assert.isNumber(span?.attributes["server.port"])
        }
        assert.strictEqual(server[index]?.parent, client[index]?.spanId)
      }
      assert.strictEqual(client[0]?.attributes["network.peer.address"], "127.0.0.1")
      assert.strictEqual(server[0]?.attributes["network.peer.address"], "127.0.0.1")
    })
  )

  it.live("have events of redirects, and name a method that HTTP does not define by one value", () =>
    Effect.gen(function* () {
      const { client, server } = yield* spansOf(
        Effect.gen(function* () {
          const redirecting = yield* rawServer()
          const listening = yield* serveEcho()
          const connecting = yield* Effect.forkChild(connect(`${redirecting.url}/old`, { maxRedirects: 1 }))
          const peer = yield* redirecting.next
          yield* peer.until("\r\n\r\n")
          peer.write(`HTTP/1.1 302 Found\r\nLocation: ${urlOf(listening)}/new?a=b\r\nContent-Length: 0\r\n\r\n`)
          yield* Fiber.join(connecting)
          const other = yield* rawClient(portOf(listening))
          other.write(upgradeRequest({}, "PROPFIND / HTTP/1.1"))
          yield* readResponse(other)
        })
      )
      assert.deepStrictEqual(
        client.map(({ events }) => events.map(([name, attributes]) => [name, attributes?.["url.path"]])),
        [[["websocket.redirect", "/new"]]]
      )
      assert.deepStrictEqual(
        server.map(({ attributes }) => attributes["http.request.method"]),
        ["GET", "_OTHER"]
      )
    })
  )

  it.live("of a client over the WebSocket of a platform have what the platform knows", () =>
    Effect.gen(function* () {
      yield* spansOf(
        Effect.gen(function* () {
          const { platform, sockets } = makePlatform()
          const client = yield* NativeClient.make(platform)
          const connecting = yield* Effect.forkChild(client.connect("ws://test/path?token=secret"))
          yield* eventually(() => sockets.length === 1)
          sockets[0]?.emit("open")
          yield* Fiber.join(connecting)
          sockets[0]?.emit("close", { code: 1000, wasClean: true })
          const refusing = yield* NativeClient.make({
            ...platform,
            dial: (_request, done) => {
              const error = new HandshakeRejected({
                status: 403,
                headers: {},
                body: new Uint8Array(0),
                bodyTruncated: false
              })
              queueMicrotask(() => done({ _tag: "Failed", error }))
              return () => {}
            }
          })
          yield* Effect.flip(refusing.connect("wss://test:1234/path"))
        }),
        seen.platform
      )
      assert.deepStrictEqual(
        seen.platform.map(({ attributes, ended, kind }) => ({ attributes, ended, kind })),
        [
          {
            attributes: {
              "network.protocol.name": "http",
              "server.address": "test",
              "server.port": 80,
              "url.full": "ws://test/path",
              "url.path": "/path",
              "url.scheme": "ws"
            },
            ended: "success",
            kind: "client"
          },
          {
            attributes: {
              "error.type": "403",
              "http.response.status_code": 403,
              "network.protocol.name": "http",
              "server.address": "test",
              "server.port": 1234,
              "url.full": "wss://test:1234/path",
              "url.path": "/path",
              "url.scheme": "wss"
            },
            ended: "failure",
            kind: "client"
          }
        ]
      )
    })
  )

  it.live("begin anew, whatever a peer sends as a context", () =>
    Effect.gen(function* () {
      const headers = [
        { traceparent: "00-x" },
        { traceparent: `00-${"0".repeat(32)}-${"0".repeat(16)}-01` },
        { traceparent: [`00-${"1".repeat(32)}-${"1".repeat(16)}-01`, `00-${"2".repeat(32)}-${"2".repeat(16)}-01`] },
        { b3: "<script>-1" },
        { b3: "-".repeat(4000) },
        { "X-B3-TraceId": "1".repeat(4000), "X-B3-SpanId": "1".repeat(16) }
      ]
      const { server } = yield* spansOf(
        Effect.gen(function* () {
          const listening = yield* serveEcho()
          for (const each of headers) {
            const peer = yield* rawClient(portOf(listening))
            peer.write(upgradeRequest(each))
            yield* peer.until("\r\n\r\n")
          }
        })
      )
      assert.lengthOf(server, headers.length)
      for (const { parent } of server) assert.isUndefined(parent)
    })
  )
})

// The tests above have seen everything that the page lists.
describe("docs/observability.md", () => {
  const documented = (name: string, generated: string): void => assertDocumented("observability.md", name, generated)

  it("has the attributes of the metrics, and why a server refuses", () => {
    const values = seenValues(series)
    documented("attributes", attributesTable(values))
    documented("refusals", refusalsTable(values, seen.server))
  })

  it("has the spans with their attributes and events", () => {
    documented("spans", spansTable(seen))
    documented("span attributes", spanAttributesTable(seen))
    documented("span events", eventsTable(seen))
  })
})
