import { ByteBudget, ReconnectingWebSocket, WebSocketClient, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Echo } from "../src/observability/Echo.js"
import { layer, Scraping } from "../src/observability/Observability.js"

const Dashboard = Schema.parseJson(
  Schema.Struct({
    panels: Schema.Array(
      Schema.Struct({ title: Schema.String, targets: Schema.Array(Schema.Struct({ expr: Schema.String })) })
    )
  })
)

const dashboard = Schema.decodeSync(Dashboard)(
  readFileSync(new URL("../src/observability/dashboard.json", import.meta.url), "utf8")
)

const Spans = Schema.parseJson(
  Schema.Struct({
    resourceSpans: Schema.Array(
      Schema.Struct({
        scopeSpans: Schema.Array(
          Schema.Struct({
            spans: Schema.Array(
              Schema.Struct({
                name: Schema.String,
                traceId: Schema.String,
                spanId: Schema.String,
                links: Schema.Array(Schema.Struct({ spanId: Schema.String }))
              })
            )
          })
        )
      })
    )
  })
)

type Span = (typeof Spans.Type)["resourceSpans"][number]["scopeSpans"][number]["spans"][number]

/** A collector of OTLP, with the spans that it has got. */
const collector = Effect.acquireRelease(
  Effect.async<{ readonly spans: Array<Span>; readonly url: string; readonly close: Effect.Effect<void> }>((resume) => {
    const spans: Array<Span> = []
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const { resourceSpans } = Schema.decodeSync(Spans)(Buffer.concat(chunks).toString())
        spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)))
        response.end("{}")
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      const close = Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
      resume(Effect.succeed({ spans, url: `http://127.0.0.1:${port}`, close }))
    })
  }),
  ({ close }) => close
)

/** The series of a scrape: name and labels, and the value. */
const scrape = Effect.gen(function* () {
  const { url } = yield* Scraping
  const text = yield* Effect.promise(async () => (await fetch(url)).text())
  return text.split("\n").flatMap((line) => {
    const found = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line)
    return found === null ? [] : [{ name: found[1]!, labels: found[2] ?? "", value: Number(found[3]) }]
  })
})

describe("observability", () => {
  it.scopedLive("shows what happened in Prometheus, on the dashboard and in traces", () =>
    Effect.gen(function* () {
      const { spans, url: otlpUrl } = yield* collector
      const budget = yield* ByteBudget.make(1024 * 1024)
      const Server = NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", budget, admission: { maxConnections: 2 } })
      const App = Layer.mergeAll(Echo, NodeWebSocketClient.layer).pipe(
        Layer.provideMerge(Server),
        Layer.provideMerge(layer({ otlpUrl, metricsPort: 0 }))
      )
      yield* Effect.gen(function* () {
        const { url } = yield* WebSocketServer.address
        const first = yield* WebSocketClient.connect(url)
        const second = yield* ReconnectingWebSocket.make(url)
        yield* second.awaitOpen
        const refused = yield* Effect.flip(Effect.scoped(WebSocketClient.connect(url)))
        assert.strictEqual(refused._tag, "Handshake_rejected")
        yield* first.send("hello")
        assert.strictEqual((yield* first.receive).data, "hello")
        assert.strictEqual((yield* second.receive).data, "hello")
        assert.strictEqual(yield* second.send("hi"), "delivered")
        assert.strictEqual((yield* second.receive).data, "hi")
        assert.strictEqual((yield* first.receive).data, "hi")
        yield* first.ping()
        yield* second.reconnect
        yield* second.awaitOpen

        const series = yield* scrape
        const valueOf = (name: string, ...labels: ReadonlyArray<string>): number => {
          const found = series.filter(
            (each) => each.name === name && labels.every((label) => each.labels.includes(label))
          )
          return found.reduce((sum, { value }) => sum + value, 0)
        }
        const server = 'websocket_role="server"'
        const client = 'websocket_role="client"'
        for (const role of [server, client]) {
          assert.strictEqual(valueOf("websocket_connection_active", role), 2)
          assert.strictEqual(valueOf("websocket_connection_closed_total", role, 'websocket_close_code="1000"'), 1)
          assert.strictEqual(valueOf("websocket_handshake_active", role), 0)
          assert.strictEqual(valueOf("websocket_handshake_duration_count", role, 'outcome="accepted"'), 3)
          assert.isAbove(valueOf("websocket_io_total", role, 'network_io_direction="receive"'), 0)
        }
        assert.strictEqual(valueOf("websocket_handshake_duration_count", server, 'error_type="max_connections"'), 1)
        assert.strictEqual(valueOf("websocket_handshake_duration_count", client, 'error_type="503"'), 1)
        assert.strictEqual(valueOf("websocket_messages_total", server, 'network_io_direction="receive"'), 2)
        assert.strictEqual(valueOf("websocket_messages_total", server, 'network_io_direction="transmit"'), 4)
        assert.strictEqual(valueOf("websocket_ping_duration_count", client), 1)
        assert.strictEqual(valueOf("websocket_budget_limit"), 1024 * 1024)
        assert.strictEqual(valueOf("websocket_client_reconnects_total"), 1)
        assert.strictEqual(valueOf("websocket_client_outbox_messages_total", 'outcome="delivered"'), 1)
        assert.strictEqual(valueOf("websocket_topic_members"), 2)
        assert.strictEqual(valueOf("websocket_topic_publish_duration_count"), 2)
        assert.strictEqual(valueOf("websocket_topic_fan_out_duration_count"), 2)
        assert.strictEqual(valueOf("websocket_topic_starts_total", 'websocket_topic_start="new"'), 3)

        // Each panel shows a series that exists by now, or one of failures and pauses, of which there are none.
        const none = ["websocket_heartbeat_failures_total", "websocket_read_pauses_total"]
        const names = new Set(series.map(({ name }) => name).concat(none))
        const shown = dashboard.panels.flatMap(({ targets }) =>
          targets.flatMap(({ expr }) => {
            // The exporter of Effect 4 gives counters no suffix.
            const exact = expr.replaceAll(/\{__name__=~"(\w+)\(_total\)\?"\}/g, "$1_total")
            return [...exact.replaceAll(/by \([^)]*\)/g, "").matchAll(/websocket_\w+/g)].map(([name]) => name)
          })
        )
        for (const name of shown) assert.include([...names], name)
        const families = [...names].filter((name) => /^websocket_\w+(?<!_sum|_count)$/.test(name))
        assert.sameMembers([...new Set(shown)], families)
      }).pipe(Effect.scoped, Effect.provide(App))

      // The layer has sent what was left.
      const named = (name: string) => spans.filter((span) => span.name === name)
      assert.lengthOf(named("websocket.client.handshake"), 4)
      assert.lengthOf(named("websocket.server.handshake"), 4)
      const echoes = named("echo")
      assert.lengthOf(echoes, 2)
      const handshakes = named("websocket.server.handshake").map(({ spanId }) => spanId)
      for (const { links } of echoes) assert.include(handshakes, links[0]?.spanId)
      const traces = named("websocket.client.handshake").map(({ traceId }) => traceId)
      assert.sameMembers(
        named("websocket.server.handshake").map(({ traceId }) => traceId),
        traces
      )
    })
  )
})
