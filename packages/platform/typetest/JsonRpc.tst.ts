import { JsonRpc, type PendingCalls, type WebSocket, type WebSocketChannel } from "@effect-websocket/platform"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { expect, test } from "tstyche"
import { Context, Effect, type Exit, Schema, type Scope } from "../test/effect/index.js"

class Users extends Context.Service<Users, ReadonlySet<string>>()("Users") {}
class Log extends Context.Service<Log, (line: string) => void>()("Log") {}

declare const socket: WebSocket.WebSocket
declare const decode: (name: string) => Effect.Effect<string, "unknown", Users>

const User = Schema.transformEffect(Schema.String, Schema.String, { decode, encode: decode })
const Add = JsonRpc.request("add", { params: Schema.Array(Schema.Number), result: Schema.Number })
const Find = JsonRpc.request("find", { params: Schema.Struct({ user: User }), result: Schema.Boolean })
const Said = JsonRpc.notification("said", { params: Schema.Struct({ text: Schema.String }) })

declare const rpc: JsonRpc.JsonRpc<never>

test("make has the services of all handlers in run", () => {
  expect(JsonRpc.make(socket)).type.toBe<Effect.Effect<JsonRpc.JsonRpc<never>, never, Scope.Scope>>()
  const made = JsonRpc.make(socket, {
    handlers: [
      JsonRpc.handler(Add, ([a = 0, b = 0]) => Effect.succeed(a + b)),
      JsonRpc.handler(Find, ({ user }) => Effect.succeed(user.length > 0)),
      JsonRpc.handler(Said, ({ text }) => Effect.map(Log, (log) => log(text)))
    ]
  })
  expect(made).type.toBe<Effect.Effect<JsonRpc.JsonRpc<Users | Log>, never, Scope.Scope>>()
  expect(rpc.run).type.toBe<Effect.Effect<void, ConnectionError>>()
})

test("a handler takes the parameters, and returns the result or a ResponseError", () => {
  expect(JsonRpc.handler).type.toBeCallableWith(Add, () =>
    Effect.fail(new JsonRpc.ResponseError({ code: 1, message: "no" }))
  )
  expect(JsonRpc.handler).type.not.toBeCallableWith(Add, () => Effect.succeed("text"))
  expect(JsonRpc.handler).type.not.toBeCallableWith(Add, () => Effect.fail("text"))
})

test("a call has the types and services of its schemas", () => {
  expect(rpc.call(Add, [1])).type.toBe<Effect.Effect<number, JsonRpc.CallError>>()
  expect(rpc.call(Find, { user: "ada" })).type.toBe<Effect.Effect<boolean, JsonRpc.CallError, Users>>()
  expect(rpc.call).type.not.toBeCallableWith(Add, ["text"])
  expect(rpc.call).type.not.toBeCallableWith(Said, { text: "a" })
  expect(rpc.notify(Said, { text: "a" })).type.toBe<
    Effect.Effect<void, ConnectionError | WebSocketChannel.InvalidMessage>
  >()
})

test("a batch is a tuple of outcomes", () => {
  expect(
    rpc.batch([JsonRpc.invoke(Add, [1]), JsonRpc.invoke(Find, { user: "ada" }), JsonRpc.invoke(Said, { text: "a" })])
  ).type.toBe<
    Effect.Effect<
      readonly [
        Exit.Exit<number, JsonRpc.CallError>,
        Exit.Exit<boolean, JsonRpc.CallError>,
        Exit.Exit<void, JsonRpc.CallError>
      ],
      WebSocketChannel.InvalidMessage | PendingCalls.CallError,
      Users
    >
  >()
})
