import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import type * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import type { PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import { describe, expect, test } from "tstyche"
import { Effect, type Scope } from "../test/effect/index.js"

declare const socket: ReconnectingWebSocket.ReconnectingWebSocket

describe("send", () => {
  test("tells what became of the message, or that it is too large", () => {
    expect(socket.send("hello", { maxFrameSize: 1000 })).type.toBe<
      Effect.Effect<ReconnectingWebSocket.Outcome, PayloadTooLarge>
    >()
    expect(socket.offer("hello")).type.toBe<
      Effect.Effect<Effect.Effect<ReconnectingWebSocket.Outcome, PayloadTooLarge>>
    >()
  })
})

test("has options of a connection of messages", () => {
  expect(ReconnectingWebSocket.make).type.toBeCallableWith("ws://test", { maxSendBytes: 1000, recordFrames: true })
  expect(ReconnectingWebSocket.make).type.not.toBeCallableWith("ws://test", { opcodes: [3] })
  expect(ReconnectingWebSocket.make).type.not.toBeCallableWith("ws://test", { rsv: 4 })
})

test("collects the errors and the services of the effects of an attempt", () => {
  class NoToken {
    readonly _tag = "NoToken"
  }
  class Tokens {
    readonly tokens = true
  }
  const headers: Effect.Effect<{ readonly "X-Token": string }, NoToken, Tokens> = Effect.never
  expect(ReconnectingWebSocket.make("ws://test", { headers })).type.toBe<
    Effect.Effect<
      ReconnectingWebSocket.ReconnectingWebSocket<NoToken>,
      never,
      WebSocketClient.WebSocketClient | Scope.Scope | Tokens
    >
  >()
  expect(ReconnectingWebSocket.make).type.toBeCallableWith("ws://test", { protocols: Effect.succeed(["v1"]) })
})
