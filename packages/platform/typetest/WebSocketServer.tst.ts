import type { IoError, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { UpgradeRequest } from "@effect-websocket/protocol/Handshake"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import type { WebSocket } from "@effect-websocket/platform/WebSocket"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { Context, Data, Effect, Layer, type Scope } from "effect"
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { describe, expect, test } from "tstyche"

class Refused extends Data.TaggedError("Refused")<{}> {}
class Users extends Context.Tag("Users")<Users, ReadonlySet<string>>() {}

declare const handler: (socket: WebSocketServer.ServerWebSocket) => Effect.Effect<number, Refused, Users | Scope.Scope>

describe("accept", () => {
  test("needs a server and a scope, and never fails", () => {
    expect(WebSocketServer.accept).type.toBe<
      Effect.Effect<WebSocketServer.ServerWebSocket, never, WebSocketServer.WebSocketServer | Scope.Scope>
    >()
  })

  test("gives a connection with its request", () => {
    const request = Effect.map(WebSocketServer.accept, (socket) => socket.request)
    expect(request).type.toBe<Effect.Effect<UpgradeRequest, never, WebSocketServer.WebSocketServer | Scope.Scope>>()
    expect<WebSocketServer.ServerWebSocket>().type.toBeAssignableTo<WebSocket>()
  })
})

describe("run", () => {
  test("never ends, gives each handler a scope, and needs what handlers need", () => {
    expect(WebSocketServer.run(handler)).type.toBe<
      Effect.Effect<never, never, WebSocketServer.WebSocketServer | Users>
    >()
  })

  test("infers what the handler of the messages needs", () => {
    const run = WebSocketServer.run((socket) =>
      socket.run((message) => Effect.flatMap(Users, (users) => socket.send(`${users.size} ${message.data}`)))
    )
    expect(run).type.toBe<Effect.Effect<never, never, WebSocketServer.WebSocketServer | Users>>()
  })

  test("takes no handler without an effect", () => {
    expect(WebSocketServer.run).type.not.toBeCallableWith(() => {})
  })
})

describe("layerHandler", () => {
  const Echo = WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message)))

  test("needs a server only", () => {
    expect(Echo).type.toBe<Layer.Layer<never, never, WebSocketServer.WebSocketServer>>()
  })

  test("needs what its handler needs besides a scope", () => {
    expect(WebSocketServer.layerHandler(handler)).type.toBe<
      Layer.Layer<never, never, WebSocketServer.WebSocketServer | Users>
    >()
  })

  test("fails with the server's layer alone", () => {
    const Main = Echo.pipe(Layer.provide(NodeWebSocketServer.layer({ port: 0 })))
    expect(Main).type.toBe<Layer.Layer<never, IoError>>()
    expect(Layer.launch(Main)).type.toBe<Effect.Effect<never, IoError>>()
  })
})

describe("layers of Node", () => {
  test("can fail to listen", () => {
    expect(NodeWebSocketServer.layer({ port: 0 })).type.toBe<Layer.Layer<WebSocketServer.WebSocketServer, IoError>>()
  })

  test("need a port", () => {
    expect(NodeWebSocketServer.layer).type.not.toBeCallableWith({})
    expect(NodeWebSocketServer.layer).type.not.toBeCallableWith({ port: "8080" })
  })
})

test("an upgrade of one's own server can be refused", () => {
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    NodeWebSocketServer.fromUpgrade(request, socket, head)
  expect(upgrade).type.toBe<
    (
      request: IncomingMessage,
      socket: Duplex,
      head: Buffer
    ) => Effect.Effect<WebSocketServer.ServerWebSocket, ProtocolError, Scope.Scope>
  >()
})
