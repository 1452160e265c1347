/**
 * Messages: what an app sends and receives.
 *
 * @since 0.1.0
 */

/**
 * A text message. Received text is valid UTF-8 that was decoded.
 *
 * @since 0.1.0
 * @category models
 */
export class Text {
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
  readonly _tag = "Binary"
  /** @since 0.1.0 */
  readonly data: Uint8Array
  constructor(data: Uint8Array) {
    this.data = data
  }
}

/**
 * A text or a binary message.
 *
 * @since 0.1.0
 * @category models
 */
export type Message = Text | Binary

/**
 * A text message.
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
export const text = (data: string): Text => new Text(data)

/**
 * A binary message.
 *
 * @since 0.1.0
 * @category constructors
 */
export const binary = (data: Uint8Array): Binary => new Binary(data)

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
