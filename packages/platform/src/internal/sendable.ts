/**
 * What may be sent, from callers that TypeScript checks and from those that it does not. Anything else is a `TypeError` or a
 * `RangeError`, thrown before anything is encoded or queued: encoding may take place in a callback of a transport.
 */
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Message from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import type { StreamData, StreamedMessage } from "../StreamingWebSocket.js"
import type { Data } from "../WebSocket.js"
import { bytes } from "../engine/checks.js"
import { shown } from "./settings.js"

/** A text, bytes or a message as a message. */
export const toMessage = (data: Data): Message.Message => {
  if (typeof data === "string") return new Message.Text(data)
  if (data instanceof Uint8Array) return new Message.Binary(data)
  if (data?._tag === "Text") return typeof data.data === "string" ? data : Message.text(data.data)
  if (data?._tag === "Binary") return data.data instanceof Uint8Array ? data : Message.binary(data.data)
  return Message.make(data)
}

/** Several messages. A text or bytes would go out unit by unit. */
export const toMessages = (data: Iterable<Data>): Iterator<Data> => {
  if (Predicate.isIterable(data) && typeof data !== "string" && !ArrayBuffer.isView(data))
    return data[Symbol.iterator]()
  throw new TypeError(
    `What sendAll sends must be an iterable of messages, but is ${kindOf(data)}; send takes one message`
  )
}

/** A message that is sent as a stream: of what kind it is, if that is said, and its parts. */
export const toStream = <E, R>(
  data: StreamData<E, R>
): {
  readonly tag: StreamedMessage["_tag"] | undefined
  readonly parts: Stream.Stream<string | Uint8Array, E, R>
} => {
  const message = isStreamedMessage(data) ? data : undefined
  const parts: unknown = message === undefined ? data : message.data
  if (!isStream<E, R>(parts)) {
    throw new TypeError(`What is sent as a stream must be a Stream or a StreamedMessage, but is ${kindOf(parts)}`)
  }
  return { tag: message?._tag, parts }
}

/** Every effect is a stream too, and some have a tag of their own. */
const isStreamedMessage = <E, R>(data: StreamData<E, R>): data is StreamedMessage<E, R> =>
  Predicate.hasProperty(data, "_tag") && (data._tag === "Text" || data._tag === "Binary")

const isStream = <E, R>(u: unknown): u is Stream.Stream<string | Uint8Array, E, R> =>
  Predicate.hasProperty(u, Stream.StreamTypeId) || Effect.isEffect(u)

/** A part of a message that is sent as a stream. */
export const toPart = (part: string | Uint8Array): string | Uint8Array =>
  typeof part === "string" || part instanceof Uint8Array ? part : Message.binary(part).data

export const toFrame = (frame: Frame.Frame): Frame.Frame => {
  if (Frame.isFrame(frame) && frame.payload instanceof Uint8Array) return frame
  if (typeof frame?.opcode === "number" && frame.payload !== undefined) return Frame.make(frame.opcode, frame)
  throw new TypeError(`A frame must be made by a constructor of Frame, but is ${kindOf(frame)}`)
}

/** The payload of a ping, as a copy that nobody changes before its pong. */
export const pingPayload = (data: Uint8Array): Uint8Array => Frame.ping(data).payload.slice()

/** The payload of a pong. */
export const pongPayload = (data: Uint8Array | undefined): Uint8Array => Frame.pong(data).payload

/** The fragment size of one message. */
export const frameSize = (maxFrameSize: number | undefined): number | undefined =>
  maxFrameSize === undefined ? undefined : bytes("maxFrameSize", maxFrameSize)

/** A close code that was given by its number or its name. */
export const toCloseCode = (code: number | CloseCode.Name): number => {
  if (typeof code === "number") return code
  const named: number | undefined = CloseCode.fromName(code)
  if (typeof named === "number") return named
  throw new TypeError(`A close code must be a number or a registered name, but is ${shown(code)}`)
}

const kindOf = (value: unknown): string => (value === null ? "null" : `of the type ${typeof value}`)
