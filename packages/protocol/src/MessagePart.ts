/**
 * Parts of messages, for an app that reads a message before it ends.
 *
 * @since 0.1.0
 */
import { isTagged, tag } from "./internal/typeId.js"

/**
 * The symbol that marks a part of a message. It is the same in every copy of this package.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("@effect-websocket/protocol/MessagePart")

/**
 * The type of `TypeId`.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * A part of a text message. It never ends inside a character. `first` and `final` tell whether it begins and ends its
 * message. Only a final part may be empty.
 *
 * @since 0.1.0
 * @category models
 */
export class TextPart {
  /** @since 0.1.0 */
  declare readonly [TypeId]: TypeId
  /** @since 0.1.0 */
  readonly _tag = "TextPart"
  /** @since 0.1.0 */
  readonly data: string
  /** @since 0.1.0 */
  readonly first: boolean
  /** @since 0.1.0 */
  readonly final: boolean
  constructor(data: string, first: boolean, final: boolean) {
    this.data = data
    this.first = first
    this.final = final
  }
}

/**
 * A part of a binary message. Its bytes belong to the app and never change. `first` and `final` tell whether it
 * begins and ends its message. Only a final part may be empty.
 *
 * @since 0.1.0
 * @category models
 */
export class BinaryPart {
  /** @since 0.1.0 */
  declare readonly [TypeId]: TypeId
  /** @since 0.1.0 */
  readonly _tag = "BinaryPart"
  /** @since 0.1.0 */
  readonly data: Uint8Array
  /** @since 0.1.0 */
  readonly first: boolean
  /** @since 0.1.0 */
  readonly final: boolean
  constructor(data: Uint8Array, first: boolean, final: boolean) {
    this.data = data
    this.first = first
    this.final = final
  }
}

tag(TextPart, TypeId)
tag(BinaryPart, TypeId)

/**
 * A part of a text or of a binary message.
 *
 * @since 0.1.0
 * @category models
 */
export type MessagePart = TextPart | BinaryPart

/**
 * Whether a value is a part of a message.
 *
 * @since 0.1.0
 * @category guards
 */
export const isMessagePart = (u: unknown): u is MessagePart => isTagged(u, TypeId)
