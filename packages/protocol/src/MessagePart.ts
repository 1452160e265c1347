/**
 * Parts of messages: what an app receives that reads a message before it ends.
 *
 * @since 0.1.0
 */

/**
 * A part of a text message. No character is cut in two. `first` and `final` tell where the message begins and ends. Only a
 * final part may be empty.
 *
 * @since 0.1.0
 * @category models
 */
export class TextPart {
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
 * A part of a binary message. Its bytes belong to the app and never change. `first` and `final` are those of `TextPart`.
 *
 * @since 0.1.0
 * @category models
 */
export class BinaryPart {
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

/**
 * A part of a text or of a binary message.
 *
 * @since 0.1.0
 * @category models
 */
export type MessagePart = TextPart | BinaryPart
