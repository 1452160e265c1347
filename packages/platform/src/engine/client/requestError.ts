import { ProtocolError } from "@effect-websocket/protocol/Errors"

/** The error of a request that must not be sent. It says what is wrong and never shows a value: values may be secret. */
export const requestError = (description: string, section: string): ProtocolError =>
  new ProtocolError({ origin: "local", description, section, closeCode: undefined })

/** The error of a redirect that must not be followed. */
export const redirectError = (description: string, section: string): ProtocolError =>
  new ProtocolError({ origin: "remote", description, section, closeCode: undefined })
