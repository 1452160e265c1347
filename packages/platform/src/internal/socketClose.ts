import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import { isIoError, type ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import type { WebSocket } from "../WebSocket.js"

/**
 * The code and the reason with which a `Socket` of Effect reports the end of a connection, as the standard `WebSocket`
 * does: those of the Close that ended it, and 1006 if there was none.
 */
export const closeOf = (error: ConnectionError): CloseCode.CloseReason => {
  switch (error._tag) {
    case "Connection_closed":
      return error
    case "Io_error":
      return { code: abnormal, reason: error.message }
    case "Protocol_error":
      return { code: error.closeCode ?? abnormal, reason: error.message }
    case "Payload_too_large":
      return { code: error.limit === "budget" ? tryAgainLater : messageTooBig, reason: error.message }
  }
}

/**
 * Drops a connection whose heartbeat has ended it. A peer without a sign of life does not answer the Close, and what waits for
 * the end of the reader, such as the calls of RPC, would wait for `closeTimeout` as well.
 */
export const dropSilent = (socket: WebSocket, error: ConnectionError): Effect.Effect<void> =>
  isIoError(error) && error.operation === "heartbeat" ? socket.abort : Effect.void

const abnormal = CloseCode.fromName("AbnormalClosure")
const messageTooBig = CloseCode.fromName("MessageTooBig")
const tryAgainLater = CloseCode.fromName("TryAgainLater")
