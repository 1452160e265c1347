import { type MockPeer, type MockTransport, type WebSocket, WebSocketTest } from "@effect-websocket/platform"
import { Message } from "@effect-websocket/protocol"
import { describe, expect, test } from "tstyche"
import type { Effect, Scope } from "../test/effect/index.js"

declare const socket: WebSocket.WebSocket

describe("WebSocketTest", () => {
  test("expectations fail with nothing, and tell what they got", () => {
    expect(WebSocketTest.expectMessage(socket, "hello")).type.toBe<Effect.Effect<Message.Text>>()
    expect(WebSocketTest.expectMessage(socket, new Uint8Array(1))).type.toBe<Effect.Effect<Message.Binary>>()
    expect(WebSocketTest.expectMessage(socket, Message.isText)).type.toBe<Effect.Effect<Message.Text>>()
    expect(WebSocketTest.expectMessage(socket, () => true)).type.toBe<Effect.Effect<Message.Message>>()
    expect(WebSocketTest.expectClose(socket, { code: 1000 })).type.toBe<Effect.Effect<WebSocket.CloseStatus>>()
    expect(WebSocketTest.expectClose).type.not.toBeCallableWith(socket, { code: "NoSuchCode" })
  })

  test("peers and networks end with a scope; only peers need the layer's third service", () => {
    expect(WebSocketTest.acceptPeer()).type.toBe<
      Effect.Effect<MockPeer.MockPeer, never, WebSocketTest.WebSocketTest | Scope.Scope>
    >()
    expect(WebSocketTest.network(socket)).type.toBe<Effect.Effect<MockTransport.Pair, never, Scope.Scope>>()
  })
})
