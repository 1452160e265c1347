import { dialNative } from "../../src/engine/native/dialNative.js"
import { makePlainRequest } from "../../src/native/makePlainRequest.js"
import { sendOptions, type Platform } from "../../src/native/NativeClient.js"
import { FakeSocket } from "../engine/native/FakeSocket.js"

/** A platform whose WebSockets are fakes, and those that it has made. */
export const makePlatform = (options: Partial<Platform> = {}) => {
  const sockets: Array<FakeSocket> = []
  const platform: Platform = {
    dial: dialNative(() => {
      const socket = new FakeSocket()
      sockets.push(socket)
      return socket
    }),
    makeRequest: makePlainRequest,
    options: new Set(sendOptions),
    ...options
  }
  return { platform, sockets }
}
