import { remoteProtocolError, type ProtocolError } from "../Errors.js"

/** The error for a text from the peer that is not UTF-8 (RFC 6455 §8.1). The connection closes with 1007. */
export const invalidUtf8 = (): ProtocolError =>
  remoteProtocolError("A text message is not UTF-8", "RFC 6455 §8.1", 1007)
