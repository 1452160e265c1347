import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"

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

const abnormal = CloseCode.fromName("AbnormalClosure")
const messageTooBig = CloseCode.fromName("MessageTooBig")
const tryAgainLater = CloseCode.fromName("TryAgainLater")
