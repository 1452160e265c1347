/**
 * Checks the values that an app sends, because TypeScript does not check every caller. An invalid value throws a
 * `TypeError` or a `RangeError`. It does so before anything is encoded or queued, because encoding may happen in a
 * callback of a transport.
 */
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Message from "@effect-websocket/protocol/Message"
import { bytes, shown } from "../checks.js"

/** The values that can be sent. */
export type Data = string | Uint8Array | Message.Message

/** Converts a text, bytes or a message to a message. */
export const toMessage = (data: Data): Message.Message => {
  if (typeof data === "string") return new Message.Text(data)
  // `Message.binary` checks whether an empty view was borrowed and has been given back.
  if (data instanceof Uint8Array) return data.length === 0 ? Message.binary(data) : new Message.Binary(data)
  if (data?._tag === "Text") return typeof data.data === "string" ? data : Message.text(data.data)
  if (data?._tag === "Binary")
    return data.data instanceof Uint8Array && data.data.length > 0 ? data : Message.binary(data.data)
  return Message.make(data)
}

/** Several messages of the app, taken one after another. */
export class Messages {
  // `undefined` once it is over.
  private rest: Iterator<Data> | undefined

  /** Refuses a text or bytes, which are iterable but would be sent character by character or byte by byte. */
  constructor(data: Iterable<Data>) {
    const isIterable = typeof data === "object" && data !== null && Symbol.iterator in data
    if (!isIterable || ArrayBuffer.isView(data)) {
      throw new TypeError(
        `What sendAll sends must be an iterable of messages, but is ${kindOf(data)}; send takes one message`
      )
    }
    this.rest = data[Symbol.iterator]()
  }

  /** Whether the iterator may have to be closed. Those of arrays, sets and chunks never have to. */
  get mustClose(): boolean {
    return this.rest?.return !== undefined
  }

  /** The next message. */
  next(): IteratorResult<Data> {
    const { rest } = this
    if (rest === undefined) return { done: true, value: undefined }
    // An iterator that throws is over, as one that has ended.
    this.rest = undefined
    const next = rest.next()
    if (next.done !== true) this.rest = rest
    return next
  }

  /** Closes the iterator, if it is not over, as a `for…of` loop does that stops early. */
  close(): void {
    const { rest } = this
    this.rest = undefined
    rest?.return?.()
  }
}

/** Checks a part of a message that is sent as a stream. */
export const toPart = (part: string | Uint8Array): string | Uint8Array =>
  typeof part === "string" || part instanceof Uint8Array ? part : Message.binary(part).data

export const toFrame = (frame: Frame.Frame): Frame.Frame => {
  if (Frame.isFrame(frame) && frame.payload instanceof Uint8Array) return frame
  if (typeof frame?.opcode === "number" && frame.payload !== undefined) return Frame.make(frame.opcode, frame)
  throw new TypeError(`A frame must be made by a constructor of Frame, but is ${kindOf(frame)}`)
}

/** The payload of a ping. It is a copy, so that nobody can change it before the pong arrives. */
export const pingPayload = (data: Uint8Array): Uint8Array => Frame.ping(data).payload.slice()

/** The payload of a pong. */
export const pongPayload = (data: Uint8Array | undefined): Uint8Array => Frame.pong(data).payload

/** The fragment size of one message. */
export const frameSize = (maxFrameSize: number | undefined): number | undefined =>
  maxFrameSize === undefined ? undefined : bytes("maxFrameSize", maxFrameSize)

/** Converts a close code, given as a number or a name, to its number. */
export const toCloseCode = (code: number | CloseCode.Name): number => {
  if (typeof code === "number") return code
  const named: number | undefined = CloseCode.fromName(code)
  if (typeof named === "number") return named
  throw new TypeError(`A close code must be a number or a registered name, but is ${shown(code)}`)
}

/** Whether a message has more than `maxBytes` bytes. A UTF-16 unit takes at most three bytes. */
export const exceeds = (message: Message.Message, maxBytes: number): boolean =>
  message.data.length * (message._tag === "Text" ? 3 : 1) > maxBytes && Message.size(message) > maxBytes

/** Names the kind of a value, for an error message. */
export const kindOf = (value: unknown): string => (value === null ? "null" : `of the type ${typeof value}`)
