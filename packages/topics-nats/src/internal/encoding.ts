import type { Position, PresenceEntry, Publication } from "@effect-websocket/platform/TopicBroker"
import * as Message from "@effect-websocket/protocol/Message"
import { headers, type MsgHdrs } from "@nats-io/transport-node"
import { escapeToken, unescapeToken } from "./names.js"

const typeHeader = "Topics-Type"
const publisherHeader = "Topics-Publisher"
const keyHeader = "Nats-Msg-Id"

/** What a NATS message has. Its data is that of the publication, so that other programs can read it. */
export interface Encoded {
  readonly data: string | Uint8Array
  readonly headers: MsgHdrs
}

/** Values of headers begin with `=`, because a server takes an empty one for none. */
export const encodePublication = (
  message: Message.Message,
  publisher: string | undefined,
  idempotencyKey: string | undefined
): Encoded => {
  const all = headers()
  if (message._tag === "Binary") all.set(typeHeader, "binary")
  if (publisher !== undefined) all.set(publisherHeader, `=${escapeToken(publisher)}`)
  if (idempotencyKey !== undefined) all.set(keyHeader, `=${escapeToken(idempotencyKey)}`)
  return { data: message.data, headers: all }
}

/** Reads a message of a stream. Bytes are copied, because they may be part of a chunk of the socket. */
export const decodePublication = (position: Position, data: Uint8Array, headers: MsgHdrs | undefined): Publication => {
  const publisher = headers?.get(publisherHeader) ?? ""
  return {
    _tag: "Publication",
    position,
    message:
      headers?.get(typeHeader) === "binary"
        ? Message.binary(data.slice())
        : Message.text(Buffer.from(data.buffer, data.byteOffset, data.length).toString()),
    publisher: publisher === "" ? undefined : unescapeToken(publisher.slice(1))
  }
}

/** A session and how long it lasts, in milliseconds. */
export interface TimedEntry {
  readonly entry: PresenceEntry
  readonly expiry: number
}

export const encodeSession = ({ key, meta, session }: PresenceEntry, expiry: number): string =>
  JSON.stringify({ key, session, meta, expiry })

/** `undefined` if the session was removed, or if this package has not written it. */
export const decodeSession = (data: string): TimedEntry | undefined => {
  const value = parseJson(data)
  if (typeof value !== "object" || value === null) return undefined
  const { expiry, key, meta, session }: { readonly [name: string]: unknown } = { ...value }
  return typeof key === "string" &&
    typeof session === "string" &&
    typeof meta === "string" &&
    typeof expiry === "number"
    ? { entry: { key, session, meta }, expiry }
    : undefined
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
