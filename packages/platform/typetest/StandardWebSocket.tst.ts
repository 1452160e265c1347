import * as StandardWebSocket from "@effect-websocket/platform/StandardWebSocket"
import type * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { describe, expect, test } from "tstyche"
import type { Effect, Scope } from "../test/effect/index.js"

declare const Constructor: StandardWebSocket.Constructor

describe("make", () => {
  test("needs a client and a scope", () => {
    expect(StandardWebSocket.make({ headers: { "X-Test": "1" } })).type.toBe<
      Effect.Effect<StandardWebSocket.Constructor, never, WebSocketClient.WebSocketClient | Scope.Scope>
    >()
  })

  test("has no options of a delivery, and no subprotocols", () => {
    expect(StandardWebSocket.make).type.not.toBeCallableWith({ delivery: "frames" })
    expect(StandardWebSocket.make).type.not.toBeCallableWith({ protocols: ["chat"] })
    expect(StandardWebSocket.make).type.not.toBeCallableWith({ sendStrategy: "dropping" })
  })
})

test("the class takes one subprotocol or several", () => {
  expect(Constructor).type.toBeConstructableWith("ws://test", "chat")
  expect(Constructor).type.toBeConstructableWith(new URL("ws://test"), ["chat.v1", "chat.v2"])
})

test("listeners get the event of their type", () => {
  const socket = new Constructor("ws://test")
  socket.addEventListener("close", (event) => expect(event).type.toBe<StandardWebSocket.CloseEvent>())
  socket.addEventListener("message", (event) => expect(event).type.toBe<StandardWebSocket.MessageEvent>())
  expect(socket.readyState).type.toBe<0 | 1 | 2 | 3>()
  expect(socket.binaryType).type.toBe<"blob" | "arraybuffer">()
})
