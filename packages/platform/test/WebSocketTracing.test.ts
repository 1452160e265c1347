import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import { connect } from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import * as WebSocketTracing from "@effect-websocket/platform/WebSocketTracing"
import { Option, Redacted, Schema } from "effect"
import { Effect, Layer, Tracer } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { settled } from "./support.js"

/** Collects what is told about spans. */
const recorded = <R>(layer: Layer.Layer<R>) => {
  const spans: Array<Tracer.Recorded> = []
  return {
    spans,
    layer: Layer.provideMerge(
      layer,
      Tracer.recording((span) => spans.push(span))
    )
  }
}

const named = (spans: ReadonlyArray<Tracer.Recorded>, name: string) => {
  const found = spans.filter((span) => span.name === name)
  assert.lengthOf(found, 1, name)
  return found[0]!
}

const client = "websocket.client.handshake"
const server = "websocket.server.handshake"
const traced = <R>(layer: Layer.Layer<R>, options: WebSocketTracing.Options = {}) =>
  recorded(Layer.fresh(Layer.provideMerge(layer, WebSocketTracing.layerWith(options))))

describe("WebSocketTracing", () => {
  it.effect("makes no span without it", () => {
    const { layer, spans } = recorded(Layer.fresh(WebSocketTest.layer))
    return Effect.gen(function* () {
      yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => Effect.void)))
      const socket = yield* connect("ws://test")
      assert.isTrue(Option.isNone(WebSocketTracing.handshakeSpan(socket)))
      assert.deepStrictEqual(spans, [])
    }).pipe(Effect.provide(layer))
  })

  it.effect("makes spans of both sides of a handshake, in one trace, which end with the 101", () => {
    const { layer, spans } = traced(WebSocketTest.layer)
    return Effect.gen(function* () {
      yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => Effect.void)))
      const socket = yield* connect("ws://test/feed?token=secret", {
        auth: { username: "ann", password: Redacted.make("secret") }
      }).pipe(Effect.withSpan("app"))
      yield* settled
      const common = {
        "http.request.method": "GET",
        "http.response.status_code": 101,
        "network.peer.address": "mock-client",
        "network.protocol.name": "http",
        "network.protocol.version": "1.1",
        "server.address": "test",
        "url.path": "/feed"
      }
      const ofClient = named(spans, client)
      assert.deepStrictEqual(ofClient.attributes, {
        ...common,
        "server.port": 80,
        "url.full": "ws://test/feed",
        "url.scheme": "ws"
      })
      assert.deepInclude(ofClient, { kind: "client", ended: "success", parent: named(spans, "app").spanId })
      const ofServer = named(spans, server)
      assert.deepStrictEqual(ofServer.attributes, common)
      assert.deepInclude(ofServer, { kind: "server", ended: "success", parent: ofClient.spanId })
      assert.strictEqual(ofServer.traceId, ofClient.traceId)
      assert.notInclude(JSON.stringify(spans), "secret")
      assert.strictEqual(Option.getOrThrow(WebSocketTracing.handshakeSpan(socket)).spanId, ofClient.spanId)
    }).pipe(Effect.provide(layer))
  })

  it.effect("names why a handshake fails: only a status from 500 on is an error of the server", () => {
    const { layer, spans } = traced(WebSocketTest.layer)
    return Effect.gen(function* () {
      const { route } = yield* WebSocketServer.WebSocketServer
      yield* route({ path: "/denied", check: () => Effect.fail(UpgradeCheck.reject(401)) })
      yield* Effect.flip(Effect.scoped(connect("ws://test/denied")))
      yield* settled
      assert.deepInclude(named(spans, client), { ended: "failure" })
      assert.deepInclude(named(spans, client).attributes, { "error.type": "401", "http.response.status_code": 401 })
      assert.deepInclude(named(spans, server), { ended: "success" })
      assert.deepInclude(named(spans, server).attributes, { "error.type": "check", "http.response.status_code": 401 })
      spans.length = 0
      yield* route({ path: "/broken", check: () => Effect.die("broken") })
      yield* Effect.flip(Effect.scoped(connect("ws://test/broken")))
      yield* settled
      assert.deepInclude(named(spans, server), { ended: "failure" })
      assert.deepInclude(named(spans, server).attributes, { "error.type": "error", "http.response.status_code": 500 })
    }).pipe(Effect.provide(layer))
  })

  it.effect("tells of redirects as events", () => {
    const { layer, spans } = traced(WebSocketTest.layer)
    return Effect.gen(function* () {
      const connecting = yield* Effect.forkScoped(connect("ws://test/old", { maxRedirects: 1 }))
      const first = yield* WebSocketTest.nextAttempt
      yield* first.reject(302, { headers: { location: "ws://test/new?token=secret" } })
      yield* WebSocketTest.acceptPeer()
      yield* settled
      void connecting
      assert.deepStrictEqual(named(spans, client).events, [
        [
          "websocket.redirect",
          {
            "url.full": "ws://test/new",
            "url.scheme": "ws",
            "url.path": "/new",
            "server.address": "test",
            "server.port": 80
          }
        ]
      ])
      assert.deepInclude(named(spans, client).attributes, { "url.path": "/old", "http.response.status_code": 101 })
    }).pipe(Effect.provide(layer))
  })

  it.effect("begins a trace for each handshake, also if the server was built within a span", () => {
    const { layer, spans } = recorded(Layer.empty)
    const built = Layer.fresh(Layer.provideMerge(WebSocketTest.layer, WebSocketTracing.layer))
    return Effect.gen(function* () {
      yield* Effect.gen(function* () {
        yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => Effect.void)))
        yield* Effect.forkScoped(connect("ws://test", { headers: { traceparent: "none", b3: "none" } }))
        yield* settled
      }).pipe(Effect.scoped, Effect.provide(built), Effect.withSpan("app"))
      assert.strictEqual(named(spans, client).parent, named(spans, "app").spanId)
      assert.isUndefined(named(spans, server).parent)
    }).pipe(Effect.provide(layer))
  })

  it.effect("sends no context of spans that are not recorded", () =>
    Effect.gen(function* () {
      yield* Effect.forkScoped(connect("ws://test"))
      const { accept, request } = yield* WebSocketTest.nextAttempt
      yield* accept()
      assert.notProperty(request.headers, "traceparent")
      assert.notProperty(request.headers, "b3")
      assert.deepStrictEqual(yield* Effect.withSpan(WebSocketTracing.traced("hello"), "sender"), { value: "hello" })
    }).pipe(Effect.scoped, Effect.provide(traced(WebSocketTest.layer).layer), Effect.withTracerEnabled(false))
  )

  it.effect("keeps the context to itself if it is told to, and leaves a header of the app as it is", () =>
    Effect.gen(function* () {
      const sent = (options: WebSocketTracing.Options, headers: Record<string, string>) =>
        Effect.gen(function* () {
          yield* Effect.forkScoped(connect("ws://test", { headers }))
          const { accept, request } = yield* WebSocketTest.nextAttempt
          yield* accept()
          return request.headers["traceparent"]
        }).pipe(Effect.scoped, Effect.provide(traced(WebSocketTest.layer, options).layer))
      const own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      assert.match(String(yield* sent({}, {})), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
      assert.isUndefined(yield* sent({ propagation: false }, {}))
      assert.strictEqual(yield* sent({}, { Traceparent: own }), own)
    })
  )

  it.effect("continues no trace of a request if it is told not to", () => {
    const { layer, spans } = traced(WebSocketTest.layer, { propagation: false })
    return Effect.gen(function* () {
      yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => Effect.void)))
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      yield* connect("ws://test", { headers: { traceparent } })
      yield* settled
      assert.isUndefined(named(spans, server).parent)
    }).pipe(Effect.provide(layer))
  })
})

describe("withMessageSpan", () => {
  it.effect("links to the handshake, which has ended", () => {
    const { layer, spans } = traced(WebSocketTest.layer)
    return Effect.gen(function* () {
      yield* Effect.forkScoped(
        WebSocketServer.run((socket) =>
          socket.run((message) => WebSocketTracing.withMessageSpan(socket.send(message), socket, "echo"))
        )
      )
      const socket = yield* connect("ws://test")
      yield* socket.send("hello")
      yield* WebSocketTest.expectMessage(socket, "hello")
      yield* settled
      const span = named(spans, "echo")
      assert.deepInclude(span, { kind: "consumer", ended: "success", links: [named(spans, server).spanId] })
      assert.isUndefined(span.parent)
    }).pipe(Effect.provide(layer))
  })

  it.effect("makes a span without a link if there was no span of the handshake", () => {
    const { layer, spans } = recorded(Layer.fresh(WebSocketTest.layer))
    return Effect.gen(function* () {
      yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => Effect.void)))
      const socket = yield* connect("ws://test")
      yield* WebSocketTracing.withMessageSpan(Effect.void, socket, "work")
      assert.deepStrictEqual(named(spans, "work").links, [])
    }).pipe(Effect.provide(layer))
  })
})

describe("Traced", () => {
  it.effect("carries the context of a span in an envelope", () => {
    const { layer, spans } = recorded(Layer.empty)
    return Effect.gen(function* () {
      const Text = WebSocketTracing.Traced(Schema.String)
      assert.deepStrictEqual(yield* WebSocketTracing.traced("hello"), { value: "hello" })
      const sent = yield* Effect.withSpan(WebSocketTracing.traced("hello"), "sender")
      const { spanId, traceId } = named(spans, "sender")
      assert.deepStrictEqual(sent, { traceparent: `00-${traceId}-${spanId}-01`, value: "hello" })
      const received = Schema.decodeUnknownSync(Text)(JSON.parse(JSON.stringify(sent)))
      yield* Effect.void.pipe(Effect.withSpan("receiver"), WebSocketTracing.withTrace(received))
      assert.deepInclude(named(spans, "receiver"), { parent: spanId, traceId })
      // A relay without spans of its own passes the context on.
      assert.deepStrictEqual(yield* WebSocketTracing.traced(1).pipe(WebSocketTracing.withTrace(received)), {
        traceparent: sent.traceparent,
        value: 1
      })
      const zero = `00-${"0".repeat(32)}-${"0".repeat(16)}-01`
      for (const traceparent of [undefined, "", "00-x", zero, "\0".repeat(100_000)]) {
        yield* Effect.void.pipe(
          Effect.withSpan(`work ${traceparent}`),
          WebSocketTracing.withTrace({ traceparent, value: 0 })
        )
        assert.isUndefined(named(spans, `work ${traceparent}`).parent)
      }
    }).pipe(Effect.provide(layer))
  })
})
