import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import type { PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import { describe, expect, test } from "tstyche"
import type { Effect } from "../test/effect/index.js"

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
