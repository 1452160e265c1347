import type { Position, PresenceEntry, Publication } from "@effect-websocket/platform/TopicBroker"
import * as Message from "@effect-websocket/protocol/Message"

// The first byte of a body.
const isBinary = 1
const hasPublisher = 2

/** A message and its publisher as bytes: flags, the length of the publisher (32 bits) and the publisher if there is one, the data. */
export const encodeBody = (message: Message.Message, publisher: string | undefined): Buffer => {
  const flags = (message._tag === "Text" ? 0 : isBinary) | (publisher === undefined ? 0 : hasPublisher)
  const dataLength = dataBytes(message)
  const publisherLength = publisher === undefined ? 0 : Buffer.byteLength(publisher)
  const dataStart = publisher === undefined ? 1 : 5 + publisherLength
  const body = Buffer.allocUnsafe(dataStart + dataLength)
  body[0] = flags
  if (publisher !== undefined) {
    body.writeUInt32BE(publisherLength, 1)
    body.write(publisher, 5)
  }
  if (message._tag === "Text") body.write(message.data, dataStart)
  else body.set(message.data, dataStart)
  return body
}

/** The bytes of the data of a message. */
export const dataBytes = (message: Message.Message): number =>
  message._tag === "Text" ? Buffer.byteLength(message.data) : message.data.length

export const decodeBody = (position: Position, body: Buffer): Publication => {
  const flags = body[0] ?? 0
  const dataStart = flags & hasPublisher ? 5 + body.readUInt32BE(1) : 1
  const publisher = flags & hasPublisher ? body.toString("utf8", 5, dataStart) : undefined
  // A copy, because the body may be part of a chunk of the socket.
  const message =
    flags & isBinary
      ? Message.binary(new Uint8Array(body.subarray(dataStart)))
      : Message.text(body.toString("utf8", dataStart))
  return { _tag: "Publication", position, message, publisher }
}

const space = 0x20
const publicationTag = 0x50

/** What a script has sent to the channel of a topic: `P`, epoch, offset, body. `undefined` if the topic was removed: `R`. */
export const decodeEvent = (event: Buffer): Publication | undefined => {
  if (event[0] !== publicationTag) return undefined
  const epochEnd = event.indexOf(space)
  const offsetEnd = event.indexOf(space, epochEnd + 1)
  const epoch = event.toString("latin1", 1, epochEnd)
  const offset = Number(event.toString("latin1", epochEnd + 1, offsetEnd))
  return decodeBody({ epoch, offset }, event.subarray(offsetEnd + 1))
}

/** A session as the script names it. */
export const encodeSession = (key: string, session: string): string => JSON.stringify([key, session])

/** `undefined` if this package has not written it. */
export const decodeSession = (id: Buffer): { readonly key: string; readonly session: string } | undefined => {
  const parts = parseJson(id.toString())
  if (!Array.isArray(parts)) return undefined
  const [key, session]: ReadonlyArray<unknown> = parts
  return typeof key === "string" && typeof session === "string" ? { key, session } : undefined
}

/** A change of presence, as a script tells it. `expiry` is in milliseconds. */
export interface Change {
  readonly _tag: "Entered" | "Left"
  readonly entry: PresenceEntry
  readonly expiry: number
}

const enteredTag = 0x45
const colon = 0x3a

/** `E` or `L`, expiry, `:`, the length of the session, `:`, session, meta. `undefined` if a session is not readable. */
export const decodeChange = (message: Buffer): Change | undefined => {
  const expiryEnd = message.indexOf(colon)
  const lengthEnd = message.indexOf(colon, expiryEnd + 1)
  const idEnd = lengthEnd + 1 + Number(message.toString("latin1", expiryEnd + 1, lengthEnd))
  const id = decodeSession(message.subarray(lengthEnd + 1, idEnd))
  if (id === undefined) return undefined
  return {
    _tag: message[0] === enteredTag ? "Entered" : "Left",
    entry: { ...id, meta: message.toString("utf8", idEnd) },
    expiry: Number(message.toString("latin1", 1, expiryEnd))
  }
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
