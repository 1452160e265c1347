/**
 * How the values of a `WebSocketChannel` become messages: JSON, lines of JSON, MessagePack, or a serialization of your own.
 *
 * @since 3.0.0
 */
import * as internal from "./internal/json.js"

/**
 * A serialization whose messages are text.
 *
 * - `name`: names it in errors.
 * - `joins`: whether one message can have several values. `sendAll` then sends one message.
 * - `encode`, `decode`: convert the values of a message. If they throw, the message is invalid. `encode` must not change the values,
 *   and `decode` must not keep them.
 *
 * @since 3.0.0
 * @category models
 */
export interface TextSerialization {
  readonly kind: "Text"
  readonly name: string
  readonly joins: boolean
  readonly encode: (values: ReadonlyArray<unknown>) => string
  readonly decode: (text: string) => ReadonlyArray<unknown>
}

/**
 * A serialization whose messages are binary. Its members are those of `TextSerialization`.
 *
 * @since 3.0.0
 * @category models
 */
export interface BinarySerialization {
  readonly kind: "Binary"
  readonly name: string
  readonly joins: boolean
  readonly encode: (values: ReadonlyArray<unknown>) => Uint8Array
  readonly decode: (bytes: Uint8Array) => ReadonlyArray<unknown>
}

/**
 * A serialization.
 *
 * @since 3.0.0
 * @category models
 */
export type Serialization = TextSerialization | BinarySerialization

/**
 * A function pair that converts one value. Both functions may throw: the message is invalid then.
 *
 * @since 3.0.0
 * @category models
 */
export interface Conversion<Data> {
  readonly name: string
  readonly encode: (value: unknown) => Data
  readonly decode: (data: Data) => unknown
}

/**
 * A serialization of your own with one value in each text message.
 *
 * @example
 * ```ts
 * import { Serialization } from "@effect-websocket/platform"
 *
 * const words = Serialization.text({
 *   name: "words",
 *   encode: (value) => (Array.isArray(value) ? value.join(" ") : ""),
 *   decode: (text) => text.split(" ")
 * })
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const text = ({ decode, encode, name }: Conversion<string>): TextSerialization => ({
  kind: "Text",
  name,
  joins: false,
  encode: (values) => encode(values[0]),
  decode: (text) => [decode(text)]
})

/**
 * A serialization of your own with one value in each binary message.
 *
 * @since 3.0.0
 * @category constructors
 */
export const binary = ({ decode, encode, name }: Conversion<Uint8Array>): BinarySerialization => ({
  kind: "Binary",
  name,
  joins: false,
  encode: (values) => encode(values[0]),
  decode: (bytes) => [decode(bytes)]
})

/**
 * JSON (RFC 8259), one value in each text message. An object with the key `__proto__` is invalid: code that copies such an
 * object would change the prototype of the copy. A value that JSON cannot carry, such as `undefined` or a `bigint`, cannot be
 * sent; encode it with the schema.
 *
 * @since 3.0.0
 * @category serializations
 */
export const json: TextSerialization = text({ name: "JSON", encode: internal.stringify, decode: internal.parse })

/**
 * JSON values in lines. A text message has any number of values, each in a line of its own. No value is divided between two
 * messages. Empty lines are ignored. If one line is invalid, the whole message is.
 *
 * @since 3.0.0
 * @category serializations
 */
export const ndjson: TextSerialization = {
  kind: "Text",
  name: "NDJSON",
  joins: true,
  encode: (values) => values.map((value) => `${internal.stringify(value)}\n`).join(""),
  decode: (text) =>
    text
      .split("\n")
      .filter((line) => line.trim() !== "")
      .map(internal.parse)
}

/**
 * MessagePack, one value in each binary message, with the library that you pass: `msgpackr`, `@msgpack/msgpack`, or another one
 * with these two functions. This package does not depend on any of them.
 *
 * @example
 * ```ts
 * import { Serialization } from "@effect-websocket/platform"
 *
 * declare const msgpackr: Serialization.MessagePack // import * as msgpackr from "msgpackr"
 *
 * const packed = Serialization.messagePack(msgpackr)
 * ```
 *
 * @since 3.0.0
 * @category serializations
 */
export const messagePack = ({ decode, encode }: MessagePack): BinarySerialization =>
  binary({ name: "MessagePack", encode: (value) => encode(value), decode: (bytes) => decode(bytes) })

/**
 * The functions of a MessagePack library.
 *
 * @since 3.0.0
 * @category models
 */
export interface MessagePack {
  readonly encode: (value: unknown) => Uint8Array
  readonly decode: (bytes: Uint8Array) => unknown
}
