import type { HandshakeRejected, IoError, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { FrameWebSocket } from "@effect-websocket/platform/FrameWebSocket"
import type { StreamingWebSocket } from "@effect-websocket/platform/StreamingWebSocket"
import type { WebSocket } from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import type { WebSocketServer } from "@effect-websocket/platform/WebSocketServer"
import { Redacted } from "effect"
import { describe, expect, test } from "tstyche"
import { Config, type Context, Effect, Layer, type Scope } from "../test/effect/index.js"
import * as Cookies from "../test/effect/Cookies.js"

describe("connect", () => {
  const connected = WebSocketClient.connect("ws://127.0.0.1:8080")

  test("needs a client and a scope", () => {
    expect(connected).type.toBe<
      Effect.Effect<
        WebSocket,
        ProtocolError | HandshakeRejected | IoError,
        WebSocketClient.WebSocketClient | Scope.Scope
      >
    >()
  })

  test("needs nothing more in a scope, with a layer", () => {
    const program = connected.pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
    expect(program).type.toBe<Effect.Effect<WebSocket, WebSocketClient.ConnectError>>()
  })

  test("fails with what was not caught", () => {
    const caught = Effect.catchTag(connected, "Handshake_rejected", (error) => Effect.succeed(error.status))
    expect(caught).type.toBe<
      Effect.Effect<WebSocket | number, ProtocolError | IoError, WebSocketClient.WebSocketClient | Scope.Scope>
    >()
    expect(Effect.catchTag).type.not.toBeCallableWith(connected, "Connection_closed", () => Effect.void)
  })

  test("takes a URL, and times as Effect writes them", () => {
    expect(WebSocketClient.connect).type.toBeCallableWith(new URL("ws://127.0.0.1"), {
      openTimeout: "2 seconds" as const,
      closeTimeout: 500
    })
    expect(WebSocketClient.connect).type.not.toBeCallableWith("ws://127.0.0.1", { openTimeout: "soon" })
    expect(WebSocketClient.connect).type.not.toBeCallableWith("ws://127.0.0.1", { timeout: 500 })
  })
})

describe("delivery", () => {
  type Connected<A> = Effect.Effect<A, WebSocketClient.ConnectError, WebSocketClient.WebSocketClient | Scope.Scope>

  test("decides on the kind of the connection", () => {
    expect(WebSocketClient.connect("ws://test", {})).type.toBe<Connected<WebSocket>>()
    expect(WebSocketClient.connect("ws://test", { closeTimeout: 500 })).type.toBe<Connected<WebSocket>>()
    expect(WebSocketClient.connect("ws://test", { delivery: "messages" })).type.toBe<Connected<WebSocket>>()
    expect(WebSocketClient.connect("ws://test", { delivery: "streams" })).type.toBe<Connected<StreamingWebSocket>>()
    expect(WebSocketClient.connect("ws://test", { delivery: "frames", answerClose: false })).type.toBe<
      Connected<FrameWebSocket>
    >()
    expect(WebSocketClient.connect).type.not.toBeCallableWith("ws://test", { delivery: "bytes" })
  })

  test("is of messages for options of the default type", () => {
    const options: WebSocketClient.ConnectOptions = { protocols: ["chat"] }
    expect(WebSocketClient.connect("ws://test", options)).type.toBe<Connected<WebSocket>>()
    const framed: WebSocketClient.ConnectOptions<"frames"> = { delivery: "frames" }
    expect(WebSocketClient.connect("ws://test", framed)).type.toBe<Connected<FrameWebSocket>>()
    expect(framed).type.not.toBeAssignableTo<WebSocketClient.ConnectOptions>()
  })
})

describe("connect of Node", () => {
  type Connected<A> = Effect.Effect<A, WebSocketClient.ConnectError, Scope.Scope>

  test("needs a scope and no client", () => {
    expect(NodeWebSocketClient.connect("ws://test")).type.toBe<Connected<WebSocket>>()
    expect(NodeWebSocketClient.connect(new URL("ws://test"), { delivery: "streams" })).type.toBe<
      Connected<StreamingWebSocket>
    >()
    expect(NodeWebSocketClient.connect("wss://test", { delivery: "frames", tls: { ca: "" } })).type.toBe<
      Connected<FrameWebSocket>
    >()
  })

  test("takes the options of a client and those of a connection", () => {
    const shared: NodeWebSocketClient.Options = { tls: { ca: "" }, protocols: ["chat"] }
    expect(NodeWebSocketClient.connect("wss://test", { ...shared, tls: { ...shared.tls, cert: "" } })).type.toBe<
      Connected<WebSocket>
    >()
    expect(NodeWebSocketClient.connect).type.not.toBeCallableWith("ws://test", { tls: { rejectUnauthorized: false } })
    expect(WebSocketClient.connect).type.not.toBeCallableWith("ws://test", { tls: { ca: "" } })
  })
})

test("connect of Node can be the one of a client", () => {
  expect<{ readonly connect: typeof NodeWebSocketClient.connect }>().type.toBeAssignableTo<
    Context.Service.Shape<typeof WebSocketClient.WebSocketClient>
  >()
  const secure: Context.Service.Shape<typeof WebSocketClient.WebSocketClient> = {
    connect: (url, options) => NodeWebSocketClient.connect(url, { ...options, tls: { ca: "" } })
  }
  expect(Layer.succeed(WebSocketClient.WebSocketClient, secure)).type.toBe<
    Layer.Layer<WebSocketClient.WebSocketClient>
  >()
})

describe("cookies", () => {
  test("are Effect's, or values by name", () => {
    expect(WebSocketClient.connect).type.toBeCallableWith("ws://test", { cookies: Cookies.empty })
    expect(WebSocketClient.connect).type.toBeCallableWith("ws://test", { cookies: { theme: "dark" } as const })
    expect(WebSocketClient.connect).type.not.toBeCallableWith("ws://test", { cookies: { theme: 1 } })
    expect(WebSocketClient.connect).type.not.toBeCallableWith("ws://test", { cookies: "theme=dark" })
  })

  test("may come from Config, one by one or as a whole", () => {
    expect(NodeWebSocketClient.layerConfig).type.toBeCallableWith({ cookies: { theme: Config.String("THEME") } })
    expect(NodeWebSocketClient.layerConfig).type.toBeCallableWith({ cookies: Config.succeed(Cookies.empty) })
  })
})

describe("layers", () => {
  test("of Node need nothing and cannot fail", () => {
    expect(NodeWebSocketClient.layer).type.toBe<Layer.Layer<WebSocketClient.WebSocketClient>>()
    expect(NodeWebSocketClient.layerWith({ tls: { ca: "", key: Redacted.make("") } })).type.toBe<
      Layer.Layer<WebSocketClient.WebSocketClient>
    >()
  })

  test("of Node switch verification off by one name only", () => {
    expect(NodeWebSocketClient.layerWith).type.toBeCallableWith({
      tls: { dangerouslySkipCertificateVerification: true }
    })
    expect(NodeWebSocketClient.layerWith).type.not.toBeCallableWith({ tls: { rejectUnauthorized: false } })
    expect(NodeWebSocketClient.layerWith).type.not.toBeCallableWith({ tls: { checkServerIdentity: () => undefined } })
  })

  test("for tests provide both services, and one for the test", () => {
    expect(WebSocketTest.layer).type.toBe<
      Layer.Layer<WebSocketClient.WebSocketClient | WebSocketServer | WebSocketTest.WebSocketTest>
    >()
  })
})
