import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Message } from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { frameSize, toMessage, type Data } from "../engine/connection/sendable.js"
import { Wait } from "../engine/connection/Wait.js"
import type { SendOptions } from "../Options.js"
import { SendingWebSocket } from "./SendingWebSocket.js"
import { sentEffect } from "./sending.js"
import { together } from "./together.js"

/** What can send a message. */
interface Sends {
  send(data: Data, options?: SendOptions): Effect.Effect<void, ConnectionError>
}

/** See `WebSocket.broadcast`. An effect for each connection would cost as much as the rest of a send. */
export const broadcast = (sockets: Iterable<Sends>, data: Data, options?: SendOptions): Effect.Effect<void> =>
  Effect.suspend(() => {
    const message = toMessage(data)
    frameSize(options?.maxFrameSize)
    const slow: Array<Effect.Effect<void, ConnectionError>> = []
    for (const socket of sockets) {
      const sent = sendNow(socket, message, options)
      if (sent !== undefined) slow.push(sent)
    }
    if (slow.length === 0) return Effect.void
    // One that waits holds up no other. A defect comes out when all of them are done.
    return Effect.flatMap(
      together(slow.map((send) => Effect.ignore(send))),
      (exits) => exits.find(Exit.isFailure) ?? Effect.void
    )
  })

/**
 * The rest of a send, if it has to wait. What the app's filter, or a member of its own, throws does not keep the message from
 * the others.
 */
const sendNow = (
  socket: Sends,
  message: Message,
  options: SendOptions | undefined
): Effect.Effect<void, ConnectionError> | undefined => {
  try {
    if (!(socket instanceof SendingWebSocket)) return socket.send(message, options)
    if (socket.sender.isOver) return undefined
    const sent = socket.sender.sendNow(message, options)
    // One that refuses the message at once, because it is above its `maxSendBytes`, is passed over.
    return sent instanceof Wait ? sentEffect(sent) : undefined
  } catch (defect) {
    return Effect.die(defect)
  }
}
