import { ProtocolError } from "../Errors.js"

/** What a peer did wrong, with the close code to send. */
export const violation = (description: string, section: string, closeCode: number): ProtocolError =>
  new ProtocolError({ origin: "remote", description, section, closeCode })

export const invalidUtf8 = (): ProtocolError => violation("A text message is not UTF-8", "RFC 6455 §8.1", 1007)
