import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { share, type Message } from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { frameSize, toMessage, type Data } from "../engine/connection/sendable.js"
import { Wait } from "../engine/connection/Wait.js"
import type { SendOptions } from "../Options.js"
import { SendingWebSocket } from "./SendingWebSocket.js"
import { sentEffect } from "./sending.js"
import { together } from "./together.js"

/** Anything that can send a message. */
interface Sends {
  send(data: Data, options?: SendOptions): Effect.Effect<void, ConnectionError>
}

/**
 * See `WebSocket.broadcast`. It makes no effect for a connection that can send at once: that would cost as much as the
 * rest of the send.
 */
export const broadcast = (sockets: Iterable<Sends>, data: Data, options?: SendOptions): Effect.Effect<void> =>
  Effect.suspend(() => {
    const message = toMessage(data)
    const shared = share(message)
    frameSize(options?.maxFrameSize)
    const slow: Array<Effect.Effect<void, ConnectionError>> = []
    try {
      for (const socket of sockets) {
        const sent = sendNow(socket, message, shared, options)
        if (sent !== undefined) slow.push(sent)
      }
    } catch (defect) {
      // The iterable is the app's. The connections before the error still get the message.
      slow.push(Effect.die(defect))
    }
    if (slow.length === 0) return Effect.void
    // A connection that waits does not delay the others. A defect is reported after all of them have ended.
    return Effect.flatMap(
      together(slow.map((send) => Effect.ignore(send))),
      (exits) => exits.find(Exit.isFailure) ?? Effect.void
    )
  })

/**
 * Sends to one connection. Returns the rest of the send if it has to wait. If the application's filter or its own
 * `send` throws, the other connections still get the message.
 */
const sendNow = (
  socket: Sends,
  message: Message,
  shared: Message,
  options: SendOptions | undefined
): Effect.Effect<void, ConnectionError> | undefined => {
  try {
    if (!(socket instanceof SendingWebSocket)) return socket.send(message, options)
    if (socket.sender.isOver) return undefined
    const sent = socket.sender.sendNow(shared, options)
    // If the message is above `maxSendBytes`, the connection refuses it at once and is skipped.
    return sent instanceof Wait ? sentEffect(sent) : undefined
  } catch (defect) {
    return Effect.die(defect)
  }
}
