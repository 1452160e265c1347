import type { IoError, ProtocolError } from "@effect-websocket/protocol/Errors"
import type * as Extension from "@effect-websocket/protocol/Extension"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import type { FrameWebSocket } from "@effect-websocket/platform/FrameWebSocket"
import type { StreamingWebSocket } from "@effect-websocket/platform/StreamingWebSocket"
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import type { WebSocket } from "@effect-websocket/platform/WebSocket"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketUpgrade from "@effect-websocket/platform/WebSocketUpgrade"
import { Data } from "effect"
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { describe, expect, test } from "tstyche"
import type { HttpServerRequest, HttpServerResponse } from "../test/effect/http.js"
import { type Cause, Config, Context, Effect, Layer, type Scope, Stream } from "../test/effect/index.js"

class Refused extends Data.TaggedError("Refused")<{}> {}
class Users extends Context.Service<Users, ReadonlySet<string>>()("Users") {}

declare const handler: (socket: WebSocketServer.ServerWebSocket) => Effect.Effect<number, Refused, Users | Scope.Scope>

describe("accept", () => {
  test("needs a server and a scope, and never fails", () => {
    expect(WebSocketServer.accept()).type.toBe<
      Effect.Effect<WebSocketServer.ServerWebSocket, never, WebSocketServer.WebSocketServer | Scope.Scope>
    >()
  })

  test("gives a connection with its request", () => {
    const request = Effect.map(WebSocketServer.accept(), (socket) => socket.request)
    expect(request).type.toBe<
      Effect.Effect<UpgradeCheck.Request, never, WebSocketServer.WebSocketServer | Scope.Scope>
    >()
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

  const check = (request: UpgradeCheck.Request) =>
    Effect.map(Users, (users) =>
      users.has(request.path) ? UpgradeCheck.accept({ name: request.path }) : UpgradeCheck.reject(403)
    )

  test("hands the value of its check to the handler, and needs what both need", () => {
    const checked = WebSocketServer.layerHandler(
      (socket) => {
        expect(socket.value).type.toBe<{ name: string }>()
        expect(socket).type.toBe<WebSocketServer.ServerWebSocket<"frames", { name: string }>>()
        return Effect.fail(new Refused())
      },
      {
        check,
        delivery: "frames",
        onError: (cause, socket) => {
          expect(cause).type.toBe<Cause.Cause<Refused>>()
          expect(socket.value).type.toBe<{ name: string }>()
          return Effect.void
        }
      }
    )
    expect(checked).type.toBe<Layer.Layer<never, never, WebSocketServer.WebSocketServer | Users>>()
  })

  test("has no value without one, or where it accepts with none", () => {
    WebSocketServer.layerHandler((socket) => {
      expect(socket.value).type.toBe<undefined>()
      return Effect.void
    })
    const checked = WebSocketServer.layerHandler(
      (socket) => {
        expect(socket.value).type.toBe<undefined>()
        return Effect.void
      },
      {
        check: (request) => Effect.succeed(request.path === "/" ? UpgradeCheck.accept() : UpgradeCheck.reject(403)),
        protocols: ["chat"]
      }
    )
    expect(checked).type.toBe<Layer.Layer<never, never, WebSocketServer.WebSocketServer>>()
  })

  test("has no path, and no check that is a boolean", () => {
    expect(WebSocketServer.layerHandler).type.not.toBeCallableWith(handler, { path: "/" })
    expect(WebSocketServer.layerHandler).type.not.toBeCallableWith(handler, { check: () => Effect.succeed(true) })
  })

  test("fails with the server's layer alone", () => {
    const Main = Echo.pipe(Layer.provide(NodeWebSocketServer.layer({ port: 0 })))
    expect(Main).type.toBe<Layer.Layer<never, IoError>>()
    expect(Layer.launch(Main)).type.toBe<Effect.Effect<never, IoError>>()
  })
})

describe("delivery", () => {
  type Accepting<A> = Effect.Effect<A, never, WebSocketServer.WebSocketServer | Scope.Scope>

  test("decides on the kind of an accepted connection", () => {
    expect(WebSocketServer.accept({})).type.toBe<Accepting<WebSocketServer.ServerWebSocket>>()
    expect(WebSocketServer.accept({ delivery: "streams" })).type.toBe<
      Accepting<WebSocketServer.ServerWebSocket<"streams">>
    >()
    expect(WebSocketServer.accept({ delivery: "frames", answerPings: false })).type.toBe<
      Accepting<WebSocketServer.ServerWebSocket<"frames">>
    >()
    expect<WebSocketServer.ServerWebSocket<"streams">>().type.toBeAssignableTo<StreamingWebSocket>()
    expect<WebSocketServer.ServerWebSocket<"frames">>().type.toBeAssignableTo<FrameWebSocket>()
    expect<WebSocketServer.ServerWebSocket<"frames">["request"]>().type.toBe<UpgradeCheck.Request>()
  })

  test("decides on that of a handler", () => {
    const frames = WebSocketServer.run((socket) => socket.run((frame) => socket.send(frame)), { delivery: "frames" })
    expect(frames).type.toBe<Effect.Effect<never, never, WebSocketServer.WebSocketServer>>()
    const streams = WebSocketServer.layerHandler(
      (socket) => Stream.runForEach(socket.messages, (message) => Effect.andThen(Users, socket.sendStream(message))),
      { delivery: "streams" }
    )
    expect(streams).type.toBe<Layer.Layer<never, never, WebSocketServer.WebSocketServer | Users>>()
    // A handler of messages takes no frames.
    expect(WebSocketServer.run).type.not.toBeCallableWith(handler, { delivery: "frames" as const })
  })

  test("is an option of an upgrade of one's own server", () => {
    const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      NodeWebSocketServer.fromUpgrade(request, socket, head, { delivery: "streams" })
    expect(upgrade).type.toBe<
      (
        request: IncomingMessage,
        socket: Duplex,
        head: Buffer
      ) => Effect.Effect<WebSocketServer.ServerWebSocket<"streams">, ProtocolError | IoError, Scope.Scope>
    >()
  })
})

describe("layerRoute", () => {
  const check = (request: UpgradeCheck.Request) =>
    Effect.map(Users, (users) =>
      users.has(request.path) ? UpgradeCheck.accept({ name: request.path }) : UpgradeCheck.reject(401)
    )

  test("hands the value of the check to the handler, and needs what both need", () => {
    const route = WebSocketServer.layerRoute({
      check,
      handler: (socket) => {
        expect(socket.value).type.toBe<{ name: string }>()
        return Effect.fail(new Refused())
      },
      onError: (cause, socket) => {
        expect(cause).type.toBe<Cause.Cause<Refused>>()
        expect(socket.value).type.toBe<{ name: string }>()
        return Effect.void
      }
    })
    expect(route).type.toBe<Layer.Layer<never, never, WebSocketServer.WebSocketServer | Users>>()
  })

  test("has no value without a check", () => {
    WebSocketServer.layerRoute({
      handler: (socket) => {
        expect(socket.value).type.toBe<undefined>()
        return Effect.void
      }
    })
  })

  test("wants a value where the check has one", () => {
    expect(UpgradeCheck.accept()).type.toBe<UpgradeCheck.Accept<undefined>>()
    expect(UpgradeCheck.accept<number>).type.not.toBeCallableWith()
  })
})

test("an upgrade in a route is its response, needs what its handler needs, and never fails", () => {
  expect(WebSocketUpgrade.upgrade(handler)).type.toBe<
    Effect.Effect<
      HttpServerResponse.HttpServerResponse,
      never,
      WebSocketUpgrade.WebSocketUpgrade | HttpServerRequest.HttpServerRequest | Scope.Scope | Users
    >
  >()
})

describe("layers of Node", () => {
  test("can fail to listen", () => {
    expect(NodeWebSocketServer.layer({ port: 0 })).type.toBe<Layer.Layer<WebSocketServer.WebSocketServer, IoError>>()
  })

  test("need a port or a path, and not both", () => {
    expect(NodeWebSocketServer.layer).type.toBeCallableWith({ socketPath: "/run/app.sock" })
    expect(NodeWebSocketServer.layer).type.not.toBeCallableWith({})
    expect(NodeWebSocketServer.layer).type.not.toBeCallableWith({ port: "8080" })
    expect(NodeWebSocketServer.layer).type.not.toBeCallableWith({ port: 8080, socketPath: "/run/app.sock" })
    expect(NodeWebSocketServer.layer).type.not.toBeCallableWith({ host: "127.0.0.1", socketPath: "/run/app.sock" })
  })

  test("take either from Config", () => {
    expect(NodeWebSocketServer.layerConfig({ port: Config.Int("PORT"), host: Config.String("HOST") })).type.toBe<
      Layer.Layer<WebSocketServer.WebSocketServer, Config.ConfigError | IoError>
    >()
    expect(NodeWebSocketServer.layerConfig).type.toBeCallableWith({ socketPath: Config.String("SOCKET") })
    expect(NodeWebSocketServer.layerConfig).type.not.toBeCallableWith({
      port: Config.Int("PORT"),
      socketPath: Config.String("SOCKET")
    })
    expect(NodeWebSocketServer.layerConfig).type.not.toBeCallableWith({ host: Config.String("HOST") })
  })

  test("tell where they listen", () => {
    expect<WebSocketServer.Address["socketPath"]>().type.toBe<string | undefined>()
  })
})

test("stop needs a server, and never fails", () => {
  expect(WebSocketServer.stop).type.toBe<Effect.Effect<void, never, WebSocketServer.WebSocketServer>>()
})

describe("fromDuplex", () => {
  test("gives a connection of the delivery that is asked for, and can fail", () => {
    const accept = (duplex: Duplex) => NodeWebSocketServer.fromDuplex(duplex, { key: "" })
    expect(accept).type.toBe<(duplex: Duplex) => Effect.Effect<WebSocket, ProtocolError | IoError, Scope.Scope>>()
    const frames = (duplex: Duplex) => NodeWebSocketServer.fromDuplex(duplex, { key: "", delivery: "frames" })
    expect(frames).type.toBe<(duplex: Duplex) => Effect.Effect<FrameWebSocket, ProtocolError | IoError, Scope.Scope>>()
  })

  test("needs a key, and takes what a client offers in any form", () => {
    expect<
      Omit<NodeWebSocketServer.DuplexOptions, "key">
    >().type.not.toBeAssignableTo<NodeWebSocketServer.DuplexOptions>()
    expect<string | ReadonlyArray<string> | ReadonlyArray<Extension.Extension> | undefined>().type.toBe<
      NodeWebSocketServer.DuplexOptions["extensions"]
    >()
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
    ) => Effect.Effect<WebSocketServer.ServerWebSocket, ProtocolError | IoError, Scope.Scope>
  >()
})
