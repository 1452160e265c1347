import { ServerResponse } from "node:http"
import type { Duplex } from "node:stream"

/**
 * The response to an earlier request of the same socket (pipelining), while it is being written. Node hands over such a
 * socket without waiting for the response, and has no API that reports it.
 */
export const pendingResponse = (socket: Duplex): ServerResponse | undefined => {
  const response: unknown = Reflect.get(socket, "_httpMessage")
  return response instanceof ServerResponse ? response : undefined
}

/**
 * Calls `done` once all earlier responses have been sent, because responses keep the order of requests. Calls it at once if
 * there are none. Returns a function that ends the wait.
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
      // Without the `drain` event, the rest of this response would never be sent.
      if (response.writableNeedDrain) response.once("close", stopPassing)
      else stopPassing()
    }
  }
  next()
  return () => stop()
}

/**
 * Passes `drain` from the socket to the response. Node stops doing so when it hands the socket over. Without the event, a
 * long response would never continue.
 */
const passDrain = (socket: Duplex, response: ServerResponse): (() => void) => {
  const drain = (): void => void response.emit("drain")
  socket.on("drain", drain)
  return () => void socket.off("drain", drain)
}
