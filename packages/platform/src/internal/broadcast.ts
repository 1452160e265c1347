import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import type { Data, SendOptions, WebSocket } from "../WebSocket.js"
import { MessageSender, toMessage } from "./messageSender.js"

/** See `WebSocket.broadcast`. An effect for each connection would cost as much as the rest of a send. */
export const broadcast = (
  sockets: Iterable<Pick<WebSocket, "send">>,
  data: Data,
  options?: SendOptions
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const message = toMessage(data)
    const slow: Array<Effect.Effect<void, ConnectionError>> = []
    for (const socket of sockets) {
      const sent =
        socket instanceof MessageSender ? socket.sendNow(message, options?.compress) : socket.send(message, options)
      if (sent !== Effect.void) slow.push(sent)
    }
    if (slow.length === 0) return Effect.void
    // All at once: one that waits holds up no other.
    return Effect.forEach(slow, (sent) => Effect.ignore(sent), { concurrency: "unbounded", discard: true })
  })
