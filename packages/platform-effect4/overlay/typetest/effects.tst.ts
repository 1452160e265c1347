/** What depends on the version: Effect 4. */
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import { expect, test } from "tstyche"
import { Effect } from "../test/effect/index.js"

declare const socket: WebSocket.WebSocket

test("sendStream takes no effect, which is no stream", () => {
  expect(socket.sendStream).type.not.toBeCallableWith(Effect.succeed("one"))
})
