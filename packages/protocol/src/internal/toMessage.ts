import { binary, text, type Message } from "../Message.js"
import { nameOf } from "./toBytes.js"

/** The message that a caller passed. Other values that hold text or bytes are converted; anything else is a `TypeError`. */
export const toMessage = (given: Message): Message => (isWellFormed(given) ? given : convert(given))

/** True for every caller that TypeScript has checked. */
const isWellFormed = (message: Message): boolean =>
  message?._tag === "Text"
    ? typeof message.data === "string"
    : message?._tag === "Binary" && message.data instanceof Uint8Array && message.data.length > 0

const convert = (given: Message): Message => {
  if (given?._tag === "Text") return text(given.data)
  if (given?._tag === "Binary") return binary(given.data)
  throw new TypeError(`A message must be one of Message.text or Message.binary, not ${nameOf(given)}`)
}
