import { ProtocolError } from "../Errors.js"

/** What the app asked for breaks the protocol; nothing is sent. */
export const localError = (description: string, section: string): ProtocolError =>
  new ProtocolError({ origin: "local", description, section, closeCode: undefined })

/** What the peer sent during the opening handshake breaks the protocol; no Close can be sent yet. */
export const remoteError = (description: string, section: string): ProtocolError =>
  new ProtocolError({ origin: "remote", description, section, closeCode: undefined })
