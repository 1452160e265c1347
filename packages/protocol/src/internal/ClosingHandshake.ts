import { byteLength } from "#utf8"
import * as CloseCode from "../CloseCode.js"
import { ConnectionClosed, type ConnectionError, type Endpoint } from "../Errors.js"

const abnormalClosure = CloseCode.fromName("AbnormalClosure")

/** How far the closing handshake of one connection has come (RFC 6455 §7.1), and the errors that follow from it. */
export class ClosingHandshake {
  sent: CloseCode.CloseReason | undefined = undefined
  received: CloseCode.CloseReason | undefined = undefined
  initiator: Endpoint | undefined = undefined
  private unansweredError: ConnectionClosed | undefined = undefined

  get status() {
    const { initiator, received, sent } = this
    return { sent, received, initiator, clean: sent !== undefined && received !== undefined }
  }

  /** A Close was sent and is not answered yet. Made once, because every send until then fails with it. */
  unanswered(): ConnectionClosed {
    return (this.unansweredError ??= new ConnectionClosed({ ...this.sent!, initiator: this.initiator!, clean: false }))
  }

  /** The peer's Close arrived. The code and reason are those of the first Close. */
  closed(received: CloseCode.CloseReason): ConnectionClosed {
    const initiator = this.initiator!
    const { code, reason } = initiator === "remote" ? received : this.sent!
    return new ConnectionClosed({ code, reason, initiator, clean: this.sent !== undefined })
  }

  /** The peer's input ended without a Close, so the code is 1006 (RFC 6455 §7.1.5). */
  dropped(): ConnectionClosed {
    const initiator = this.sent === undefined ? "remote" : "local"
    this.initiator ??= initiator
    return new ConnectionClosed({ code: abnormalClosure, reason: "", initiator, clean: false })
  }
}

/** The reason to send with a Close: what the peer did wrong. Other errors are not sent to the peer. */
export const reasonFor = (error: ConnectionError): string => {
  const isPeers = error._tag === "Protocol_error" ? error.origin === "remote" : error._tag === "Payload_too_large"
  const reason = isPeers ? error.message : ""
  return byteLength(reason) > CloseCode.maxReasonBytes ? "" : reason
}
