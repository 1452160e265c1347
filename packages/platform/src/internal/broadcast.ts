import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Message } from "@effect-websocket/protocol/Message"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Data, SendOptions, WebSocket } from "../WebSocket.js"
import { MessageSender } from "./messageSender.js"
import { frameSize, toMessage } from "./sendable.js"
import { together } from "./together.js"

/** See `WebSocket.broadcast`. An effect for each connection would cost as much as the rest of a send. */
export const broadcast = (
  sockets: Iterable<Pick<WebSocket, "send">>,
  data: Data,
  options?: SendOptions
): Effect.Effect<void> =>
  Effect.suspend(() => {
    const message = toMessage(data)
    frameSize(options?.maxFrameSize)
    const slow: Array<Effect.Effect<void, ConnectionError>> = []
    for (const socket of sockets) {
      const sent = sendNow(socket, message, options)
      if (sent !== Effect.void && !isRefused(sent)) slow.push(sent)
    }
    if (slow.length === 0) return Effect.void
    // One that waits holds up no other. A defect comes out when all of them are done.
    return Effect.flatMap(
      together(slow.map((send) => Effect.ignore(send))),
      (exits) => exits.find(Exit.isFailure) ?? Effect.void
    )
  })

/** Whether a connection has refused the message at once: it is above its `maxSendBytes`. A fiber would find out no more. */
const isRefused = (sent: Effect.Effect<void, ConnectionError>): boolean =>
  Exit.isExit(sent) && Exit.isFailure(sent) && !Cause.isDie(sent.cause)

/** What the app's filter, or a member of its own, throws does not keep the message from the others. */
const sendNow = (
  socket: Pick<WebSocket, "send">,
  message: Message,
  options: SendOptions | undefined
): Effect.Effect<void, ConnectionError> => {
  try {
    if (!(socket instanceof MessageSender)) return socket.send(message, options)
    return socket.isOver ? Effect.void : socket.sendNow(message, options)
  } catch (defect) {
    return Effect.die(defect)
  }
}
