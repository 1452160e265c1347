import { IoError } from "@effect-websocket/protocol/Errors"
import type { NativeDial, NativeEvent, NativeRequest, NativeSocket } from "./NativeSocket.js"

/** A WebSocket that connects by itself. */
export interface StandardSocket extends NativeSocket {
  readonly protocol: string
  readonly extensions: string
}

const noop = (): void => {}

/** Opens the WebSockets that `construct` makes, which connect by themselves. */
export const dialNative =
  (construct: (request: NativeRequest) => StandardSocket): NativeDial =>
  (request, done) => {
    let socket: StandardSocket
    try {
      socket = construct(request)
    } catch (cause) {
      // For example, because a page that came over TLS may not open a connection without TLS.
      let dropped = false
      queueMicrotask(() => dropped || done({ _tag: "Failed", error: connectError(cause) }))
      return () => (dropped = true)
    }
    // Before anything arrives. Some platforms would deliver blobs.
    socket.binaryType = "arraybuffer"
    const stop = (): void => {
      socket.removeEventListener("open", opened)
      socket.removeEventListener("error", failed)
      socket.removeEventListener("close", failed)
    }
    const opened = (): void => {
      stop()
      done({ _tag: "Opened", opened: { socket, protocol: socket.protocol, extensions: socket.extensions } })
    }
    const failed = ({ error, message }: NativeEvent): void => {
      stop()
      done({ _tag: "Failed", error: connectError(error ?? message) })
    }
    socket.addEventListener("open", opened)
    socket.addEventListener("error", failed)
    socket.addEventListener("close", failed)
    return () => {
      stop()
      // A platform may report the end of the attempt as an error that nobody listens to.
      socket.addEventListener("error", noop)
      closeQuietly(socket)
    }
  }

/** A platform does not say why it could not connect, or says it in words of its own. */
export const connectError = (cause: unknown): IoError =>
  new IoError({ reason: "Connect", operation: "connect", ...(cause ? { cause } : {}) })

/** Closes a WebSocket that nobody uses any more. */
export const closeQuietly = (socket: NativeSocket): void => {
  try {
    if (socket.terminate === undefined) socket.close()
    else socket.terminate()
  } catch {
    // It is closed already.
  }
}
