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

/**
 * Calls `done` when all earlier responses are out, in the same step if there are none: responses keep the order of requests.
 * The function that it returns ends the wait.
 */
export const afterResponses = (socket: Duplex, done: () => void): (() => void) => {
  let stop = (): void => {}
  const next = (): void => {
    const response = pendingResponse(socket)
    if (response === undefined) {
      done()
      return
    }
    const stopPassing = passDrain(socket, response)
    const over = (): void => {
      stopPassing()
      next()
    }
    response.once("close", over)
    stop = () => {
      response.off("close", over)
      // Without it the rest of this response would never go out.
      if (response.writableNeedDrain) response.once("close", stopPassing)
      else stopPassing()
    }
  }
  next()
  return () => stop()
}

/** Node stops passing this event on when it hands the socket over. Without it a long response would never go on. */
const passDrain = (socket: Duplex, response: ServerResponse): (() => void) => {
  const drain = (): void => void response.emit("drain")
  socket.on("drain", drain)
  return () => void socket.off("drain", drain)
}
