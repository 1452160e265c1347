/** What depends on the version: Effect 3. */
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { expect, test } from "tstyche"
import { Effect } from "../test/effect/index.js"

declare const socket: WebSocket.WebSocket

test("sendStream takes an effect, which is a stream of one part", () => {
  expect(socket.sendStream(Effect.succeed("one"))).type.toBe<Effect.Effect<void, ConnectionError>>()
})
