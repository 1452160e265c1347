import { ServerResponse } from "node:http"
import type { Duplex } from "node:stream"

/**
 * The response that is being written to a socket, which was asked for before the request to upgrade (pipelining). Node hands
 * over such a socket without waiting for it, and tells of it nowhere else.
 */
export const pendingResponse = (socket: Duplex): ServerResponse | undefined => {
  const response: unknown = Reflect.get(socket, "_httpMessage")
  return response instanceof ServerResponse ? response : undefined
}

/** Calls `done` when all earlier responses are out, in the same step if there are none: responses keep the order of requests. */
export const afterResponses = (socket: Duplex, done: () => void): void => {
  const response = pendingResponse(socket)
  if (response === undefined) {
    done()
    return
  }
  // Node stops passing this event on when it hands the socket over. Without it a long response would never go on.
  const drain = (): void => void response.emit("drain")
  socket.on("drain", drain)
  response.once("close", () => {
    socket.off("drain", drain)
    afterResponses(socket, done)
  })
}
