/**
 * Messages: what an app sends and receives.
 *
 * @since 0.1.0
 */
import { byteLength, encodeInto } from "#utf8"
import type { Frame } from "./Frame.js"
import { framesOf } from "./internal/framing.js"
import { nameOf, toBytes } from "./internal/toBytes.js"
import { isTagged, tag } from "./internal/typeId.js"

/**
 * What marks a message, whichever copy of this package made it.
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
 * A text message. Received text is valid UTF-8 that was decoded.
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
 * What a message is made of: a text, or bytes in whatever holds them. Bytes are not copied.
 *
 * @since 0.1.0
 * @category models
 */
export type Data = string | ArrayBufferView | ArrayBufferLike

/**
 * A message of data: of a string a text message, of bytes a binary one. Throws a `TypeError` for anything else.
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
  typeof data === "string" ? new Text(data) : new Binary(toBytes(data, "The data of a message that is no string"))

/**
 * A text message. Throws a `TypeError` for anything but a string.
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
 * A binary message. The bytes of anything but a `Uint8Array`, such as a `DataView` or an `ArrayBuffer`, are viewed as they are in
 * memory. Throws a `TypeError` for what holds no bytes, or only later, as a `Blob` does.
 *
 * @since 0.1.0
 * @category constructors
 */
export const binary = (data: ArrayBufferView | ArrayBufferLike): Binary =>
  new Binary(toBytes(data, "The data of a binary message"))

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
 * The bytes of a message: of a text its UTF-8, of a binary message the very ones that it has.
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
 * The size of a message in bytes: of a text that of its UTF-8, which is what limits count.
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
 * The frames that a received message came in, if its connection was made with `recordFrames`; otherwise `undefined`. Their
 * payloads are unmasked, and as they travelled: those of a compressed message are compressed.
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
