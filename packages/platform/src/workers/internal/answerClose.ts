import type { NativeEvent, NativeSocket } from "../../engine/native/NativeSocket.js"

const noStatus = 1005

/**
 * Answers the peer's Close (RFC 6455 §5.5.1). The platform does so only for a Worker whose compatibility date is 2026-04-07 or later.
 * A second Close is not sent.
 */
export const answerClose = (socket: NativeSocket): void => {
  socket.addEventListener("close", ({ code = noStatus, reason = "", wasClean = false }: NativeEvent) => {
    if (!wasClean) return
    try {
      if (code === noStatus) socket.close()
      else socket.close(code, reason)
    } catch {
      // The platform does not send this code.
    }
  })
}
