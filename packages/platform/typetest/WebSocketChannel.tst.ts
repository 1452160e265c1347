import {
  type ReconnectingWebSocket,
  Serialization,
  WebSocketChannel,
  type WebSocketClient,
  type WebSocketServer
} from "@effect-websocket/platform"
import type { ConnectionError, PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import { Data, type Option } from "effect"
import { describe, expect, test } from "tstyche"
import { Context, Effect, type Layer, Schema, type Scope, Stream } from "../test/effect/index.js"

class Refused extends Data.TaggedError("Refused")<{}> {}
class Users extends Context.Service<Users, ReadonlySet<string>>()("Users") {}
class Log extends Context.Service<Log, (line: string) => void>()("Log") {}

const Ask = Schema.Struct({ ask: Schema.Number })
const Answer = Schema.Struct({ answer: Schema.Number })

type AskType = { readonly ask: number }
type AnswerType = { readonly answer: number }
type InvalidMessage = WebSocketChannel.InvalidMessage

const Sums = WebSocketChannel.make({ fromClient: Ask, fromServer: Answer })
const Failing = WebSocketChannel.make({ fromClient: Ask, fromServer: Answer, onInvalid: "fail" })
const Logging = WebSocketChannel.make({
  fromClient: Ask,
  fromServer: Answer,
  onInvalid: (error) => Effect.map(Log, (log) => log(error.message))
})

declare const decode: (name: string) => Effect.Effect<string, "unknown", Users>

const User = Schema.transformEffect(Schema.String, Schema.String, { decode, encode: decode })
const Named = WebSocketChannel.make({ fromClient: User, fromServer: Answer, serialization: Serialization.ndjson })

const Versions = WebSocketChannel.protocols({ v2: Sums, v1: Named, v0: Failing })

declare const client: WebSocketChannel.ClientSocket<typeof Sums>
declare const server: WebSocketChannel.ServerSocket<typeof Sums>
declare const failing: WebSocketChannel.ServerSocket<typeof Failing>
declare const logging: WebSocketChannel.ServerSocket<typeof Logging>
declare const named: WebSocketChannel.ServerSocket<typeof Named>
declare const namedClient: WebSocketChannel.ClientSocket<typeof Named>
declare const version: WebSocketChannel.ServerSocket<typeof Versions, { readonly id: number }>

describe("a side", () => {
  test("receives what the other one sends", () => {
    expect(client.receive).type.toBe<Effect.Effect<AnswerType, ConnectionError>>()
    expect(server.receive).type.toBe<Effect.Effect<AskType, ConnectionError>>()
    expect(server.receiveOption).type.toBe<Effect.Effect<Option.Option<AskType>, ConnectionError>>()
    expect(server.messages).type.toBe<Stream.Stream<AskType, ConnectionError>>()
  })

  test("sends its own values only", () => {
    expect(client.send).type.toBeCallableWith({ ask: 1 })
    expect(client.send).type.not.toBeCallableWith({ answer: 1 })
    expect(client.send).type.not.toBeCallableWith("text")
    expect(server.sendAll).type.toBeCallableWith([{ answer: 1 }])
    expect(server.sendAll).type.not.toBeCallableWith([{ ask: 1 }])
    expect(namedClient.sendAll).type.toBeCallableWith(["ada"])
    expect(namedClient.sendAll).type.not.toBeCallableWith("ada")
    expect(client.send({ ask: 1 })).type.toBe<Effect.Effect<void, ConnectionError | InvalidMessage>>()
  })

  test("has the errors and services of its handler", () => {
    const handled = server.run(({ ask }) =>
      Effect.gen(function* () {
        if ((yield* Users).has("ada")) return yield* Effect.fail(new Refused())
        return yield* server.send({ answer: ask })
      })
    )
    expect(handled).type.toBe<Effect.Effect<void, ConnectionError | InvalidMessage | Refused, Users>>()
    expect(server.run(() => {})).type.toBe<Effect.Effect<void, ConnectionError>>()
    expect(server.run).type.not.toBeCallableWith(() => 1)
  })
})

describe("the policy", () => {
  test("adds its error to reading", () => {
    expect(failing.receive).type.toBe<Effect.Effect<AskType, ConnectionError | InvalidMessage>>()
    expect(failing.run(() => {})).type.toBe<Effect.Effect<void, ConnectionError | InvalidMessage>>()
    expect(Stream.runDrain(failing.messages)).type.toBe<Effect.Effect<void, ConnectionError | InvalidMessage>>()
  })

  test("adds the services of its function to reading", () => {
    expect(logging.receive).type.toBe<Effect.Effect<AskType, ConnectionError, Log>>()
    expect(logging.send({ answer: 1 })).type.toBe<Effect.Effect<void, ConnectionError | InvalidMessage>>()
  })

  test("is one of three", () => {
    expect(WebSocketChannel.make).type.not.toBeCallableWith({
      fromClient: Ask,
      fromServer: Answer,
      onInvalid: "ignore"
    })
    expect(WebSocketChannel.make).type.not.toBeCallableWith({ fromClient: Ask })
  })
})

describe("the services of schemas", () => {
  test("are those of reading and of sending", () => {
    expect(named.receive).type.toBe<Effect.Effect<string, ConnectionError, Users>>()
    expect(named.messages).type.toBe<Stream.Stream<string, ConnectionError, Users>>()
    expect(named.run(() => {})).type.toBe<Effect.Effect<void, ConnectionError, Users>>()
    expect(named.send({ answer: 1 })).type.toBe<Effect.Effect<void, ConnectionError | InvalidMessage>>()
    expect(namedClient.send("ada")).type.toBe<Effect.Effect<void, ConnectionError | InvalidMessage, Users>>()
    expect(namedClient.receive).type.toBe<Effect.Effect<AnswerType, ConnectionError>>()
    expect(WebSocketChannel.broadcast([namedClient], "ada")).type.toBe<Effect.Effect<void, InvalidMessage, Users>>()
    expect(WebSocketChannel.encode(Sums, { answer: 1 })).type.toBe<Effect.Effect<string | Uint8Array, InvalidMessage>>()
    expect(WebSocketChannel.encode).type.not.toBeCallableWith(Sums, { ask: 1 })
  })
})

describe("subprotocols", () => {
  test("tell the types apart", () => {
    expect(version.protocol).type.toBe<"v2" | "v1" | "v0">()
    expect(version.value.id).type.toBe<number>()
    if (version.protocol === "v2") {
      expect(version.receive).type.toBe<Effect.Effect<AskType, ConnectionError>>()
    } else if (version.protocol === "v1") {
      expect(version.receive).type.toBe<Effect.Effect<string, ConnectionError, Users>>()
    } else {
      expect(version.receive).type.toBe<Effect.Effect<AskType, ConnectionError | InvalidMessage>>()
    }
  })

  test("are offered by connect, which fails if the server selects none", () => {
    expect(WebSocketChannel.connect(Versions, "ws://test")).type.toBe<
      Effect.Effect<
        WebSocketChannel.ClientSocket<typeof Versions>,
        WebSocketClient.ConnectError | ProtocolError,
        WebSocketClient.WebSocketClient | Scope.Scope
      >
    >()
    expect(WebSocketChannel.connect).type.not.toBeCallableWith(Versions, "ws://test", { protocols: ["v1"] })
    expect(WebSocketChannel.connect).type.toBeCallableWith(Sums, "ws://test", { protocols: ["sums"] })
  })
})

declare const reconnecting: WebSocketChannel.ReconnectingClient<typeof Sums>

describe("a reconnecting client", () => {
  class NoToken {
    readonly _tag = "NoToken"
  }
  class Tokens {
    readonly tokens = true
  }
  const auth: Effect.Effect<string, NoToken, Tokens> = Effect.never

  test("has the types of its channel", () => {
    expect(WebSocketChannel.reconnecting(Sums, "ws://test")).type.toBe<
      Effect.Effect<
        WebSocketChannel.TypedReconnectingWebSocket<AnswerType, AskType>,
        never,
        WebSocketClient.WebSocketClient | Scope.Scope
      >
    >()
  })

  test("has the errors and services of its options, its schemas and its policy", () => {
    const url = Effect.map(auth, (token) => `ws://test/${token}`)
    expect(WebSocketChannel.reconnecting(Failing, url)).type.toBe<
      Effect.Effect<
        WebSocketChannel.TypedReconnectingWebSocket<AnswerType, AskType, NoToken | InvalidMessage>,
        never,
        WebSocketClient.WebSocketClient | Scope.Scope | Tokens
      >
    >()
    const hooked = WebSocketChannel.reconnecting(Failing, "ws://test", {
      onConnect: (connection) => Effect.andThen(connection.receive, connection.send({ ask: 1 })),
      classify: (failure) => (failure._tag === "Invalid_message" ? "reconnect" : "fail")
    })
    expect(hooked).type.toBe<
      Effect.Effect<
        WebSocketChannel.TypedReconnectingWebSocket<AnswerType, AskType, ConnectionError | InvalidMessage>,
        never,
        WebSocketClient.WebSocketClient | Scope.Scope
      >
    >()
    const mirrored = WebSocketChannel.make({ fromClient: Answer, fromServer: User })
    expect(WebSocketChannel.reconnecting(mirrored, "ws://test")).type.toBe<
      Effect.Effect<
        WebSocketChannel.TypedReconnectingWebSocket<string, AnswerType>,
        never,
        WebSocketClient.WebSocketClient | Scope.Scope | Users
      >
    >()
  })

  test("sends values, with outcomes", () => {
    expect(reconnecting.send({ ask: 1 }, { validFor: "connection" })).type.toBe<
      Effect.Effect<ReconnectingWebSocket.Outcome, PayloadTooLarge | InvalidMessage>
    >()
    expect(reconnecting.receive).type.toBe<Effect.Effect<AnswerType, ReconnectingWebSocket.Failure>>()
    expect(reconnecting.send).type.not.toBeCallableWith({ answer: 1 })
    expect(WebSocketChannel.reconnecting).type.not.toBeCallableWith(Versions, "ws://test")
  })
})

test("a broadcast takes a value that all members accept", () => {
  expect(WebSocketChannel.broadcast).type.toBeCallableWith([server, failing], { answer: 1 })
  expect(WebSocketChannel.broadcast).type.not.toBeCallableWith([server], { ask: 1 })
})

test("a handler has the services of its schemas and its own, without the scope", () => {
  const handler = WebSocketChannel.layerHandler(Named, (socket) =>
    Effect.andThen(
      Effect.addFinalizer(() => Effect.void),
      socket.run(() => Effect.asVoid(Log))
    )
  )
  expect(handler).type.toBe<Layer.Layer<never, never, WebSocketServer.WebSocketServer | Users | Log>>()
  const route = WebSocketChannel.layerRoute(Sums, {
    path: "/",
    check: () => Effect.succeed({ _tag: "Accept" as const, value: 1 }),
    handler: (socket) => socket.run(({ ask }) => socket.send({ answer: ask + socket.value }))
  })
  expect(route).type.toBe<Layer.Layer<never, never, WebSocketServer.WebSocketServer>>()
})
