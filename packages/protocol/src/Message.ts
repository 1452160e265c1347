/**
 * Messages, as an app sends and receives them.
 *
 * @since 0.1.0
 */
import { byteLength, encodeInto } from "#utf8"
import type { Frame } from "./Frame.js"
import { Encodings, encodingsOf } from "./internal/Encodings.js"
import { framesOf } from "./internal/framing.js"
import { leaseOf } from "./internal/memory.js"
import { nameOf, toBytes } from "./internal/toBytes.js"
import { isTagged, tag } from "./internal/typeId.js"

/**
 * The symbol that marks a message. It is the same in every copy of this package.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("@effect-websocket/protocol/Message")

/**
 * The type of `TypeId`.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * A text message. Received text was valid UTF-8 on the wire.
 *
 * @since 0.1.0
 * @category models
 */
export class Text {
  /** @since 0.1.0 */
  declare readonly [TypeId]: TypeId
  /** @since 0.1.0 */
  readonly _tag = "Text"
  /** @since 0.1.0 */
  readonly data: string
  constructor(data: string) {
    this.data = data
  }
}

/**
 * A binary message. The bytes of a received one belong to the app and never change.
 *
 * @since 0.1.0
 * @category models
 */
export class Binary {
  /** @since 0.1.0 */
  declare readonly [TypeId]: TypeId
  /** @since 0.1.0 */
  readonly _tag = "Binary"
  /** @since 0.1.0 */
  readonly data: Uint8Array
  constructor(data: Uint8Array) {
    this.data = data
  }
}

tag(Text, TypeId)
tag(Binary, TypeId)

/**
 * A text or a binary message.
 *
 * @since 0.1.0
 * @category models
 */
export type Message = Text | Binary

/**
 * The data of a message: a string, or bytes in any kind of buffer or view. Bytes are not copied.
 *
 * @since 0.1.0
 * @category models
 */
export type Data = string | ArrayBufferView | ArrayBufferLike

/**
 * Makes a text message from a string, and a binary message from bytes. Throws a `TypeError` for anything else.
 *
 * @example
 * ```ts
 * import * as Message from "@effect-websocket/protocol/Message"
 *
 * console.log(Message.make("hello")._tag) // "Text"
 * console.log(Message.make(new Uint8Array(3))._tag) // "Binary"
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (data: Data): Message =>
  typeof data === "string" ? new Text(data) : new Binary(toBytes(data, "The data of a message that is not a string"))

/**
 * Makes a text message. Throws a `TypeError` for anything but a string.
 *
 * @example
 * ```ts
 * import * as Message from "@effect-websocket/protocol/Message"
 *
 * console.log(Message.text("hello").data) // "hello"
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const text = (data: string): Text => {
  if (typeof data !== "string") throw new TypeError(`The data of a text message must be a string, not ${nameOf(data)}`)
  return new Text(data)
}

/**
 * Makes a binary message. The bytes are not copied: a `DataView`, an `ArrayBuffer` and others are viewed in place.
 * Throws a `TypeError` for a value without bytes, or one that has them only later, such as a `Blob`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const binary = (data: ArrayBufferView | ArrayBufferLike): Binary =>
  new Binary(toBytes(data, "The data of a binary message"))

/**
 * Returns the message, or a copy of it if its payload is borrowed. A copy belongs to the app.
 *
 * @example
 * ```ts
 * import * as Connection from "@effect-websocket/protocol/Connection"
 * import * as Message from "@effect-websocket/protocol/Message"
 *
 * const client = Connection.make({ role: "client", maskKey: () => 0 })
 * client.borrowing = true
 * const kept: Array<Message.Message> = []
 * for (const event of client.receive(new Uint8Array([0x82, 1, 42]))) {
 *   if (!Message.isMessage(event)) continue
 *   kept.push(Message.keep(event))
 *   client.giveBack(event)
 * }
 * console.log(kept) // [ Binary { data: Uint8Array(1) [ 42 ] } ]
 * ```
 *
 * @since 0.1.0
 * @category borrowing
 */
export const keep = (message: Message): Message =>
  message._tag === "Binary" && leaseOf(message.data) !== undefined ? new Binary(message.data.slice()) : message

class SharedText extends Text {
  readonly encodings: Encodings
  constructor(data: string) {
    super(data)
    this.encodings = new Encodings(data)
  }
}

class SharedBinary extends Binary {
  readonly encodings: Encodings
  constructor(data: Uint8Array) {
    super(data)
    this.encodings = new Encodings(data)
  }
}

/**
 * Returns the message as one that will be sent on many connections. It is encoded once for all servers, and deflated once for
 * all connections with the same parameters that agreed on no context takeover (RFC 7692 §7.1.1). It keeps these results, so do
 * not keep it longer than needed. Its bytes must not be changed.
 *
 * @example
 * ```ts
 * import * as Connection from "@effect-websocket/protocol/Connection"
 * import * as Message from "@effect-websocket/protocol/Message"
 *
 * const servers = [Connection.make({ role: "server" }), Connection.make({ role: "server" })]
 * const message = Message.share(Message.text("hello"))
 * for (const server of servers) server.send(message)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const share = (message: Message): Message =>
  encodingsOf(message) !== undefined
    ? message
    : message._tag === "Text"
      ? new SharedText(message.data)
      : new SharedBinary(message.data)

/**
 * Whether a value is a message.
 *
 * @since 0.1.0
 * @category guards
 */
export const isMessage = (u: unknown): u is Message => isTagged(u, TypeId)

/**
 * Whether a message is a text message.
 *
 * @since 0.1.0
 * @category guards
 */
export const isText = (message: Message): message is Text => message._tag === "Text"

/**
 * Whether a message is a binary message.
 *
 * @since 0.1.0
 * @category guards
 */
export const isBinary = (message: Message): message is Binary => message._tag === "Binary"

/**
 * The bytes of a message: the UTF-8 of a text message, or the bytes of a binary message, not copied.
 *
 * @since 0.1.0
 * @category accessors
 */
export const bytes = (message: Message): Uint8Array => {
  if (message._tag === "Binary") return message.data
  const encoded = new Uint8Array(byteLength(message.data))
  encodeInto(message.data, encoded, 0)
  return encoded
}

/**
 * The size of a message in bytes, as limits count it: for a text message, the size of its UTF-8.
 *
 * @example
 * ```ts
 * import * as Message from "@effect-websocket/protocol/Message"
 *
 * console.log(Message.size(Message.text("10 €"))) // 6
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const size = (message: Message): number =>
  message._tag === "Binary" ? message.data.length : byteLength(message.data)

/**
 * The frames of a received message, if its connection was made with `recordFrames`; otherwise `undefined`. Their
 * payloads are unmasked but not inflated: those of a compressed message are compressed.
 *
 * @example
 * ```ts
 * import * as Connection from "@effect-websocket/protocol/Connection"
 * import * as Message from "@effect-websocket/protocol/Message"
 *
 * const sender = Connection.make({ role: "server", maxFrameSize: 3 })
 * const receiver = Connection.make({ role: "client", maskKey: () => 0, recordFrames: true })
 * sender.send(Message.text("hello"))
 * for (const chunk of sender.takeOutput()) {
 *   for (const event of receiver.receive(chunk)) {
 *     if (Message.isMessage(event)) console.log(Message.frames(event)?.length) // 2
 *   }
 * }
 * ```
 *
 * @since 0.1.0
 * @category accessors
 */
export const frames = (message: Message): ReadonlyArray<Frame> | undefined => framesOf(message)

/**
 * Whether the message was made by `share`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isShared = (message: Message): boolean => "encodings" in message
