/**
 * Frames (RFC 6455 §5.2) as values.
 *
 * @since 0.1.0
 */
import { byteLength, decode, encodeInto } from "#utf8"
import { decodePayload, encodePayload, type Sendable } from "./CloseCode.js"
import { ProtocolError, type PayloadTooLarge } from "./Errors.js"
import { invalidUtf8 } from "./internal/invalidUtf8.js"
import { toBytes } from "./internal/toBytes.js"
import { isTagged, tag } from "./internal/typeId.js"
import * as Opcode from "./Opcode.js"

/**
 * The symbol that marks a frame. It is the same in every copy of this package.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("@effect-websocket/protocol/Frame")

/**
 * The type of `TypeId`.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * RSV1 in `Frame.rsv`, the most significant of the reserved bits. permessage-deflate marks compressed messages with
 * it.
 *
 * @since 0.1.0
 * @category constants
 */
export const rsv1 = 4

/**
 * RSV2 in `Frame.rsv`, the second reserved bit.
 *
 * @since 0.1.0
 * @category constants
 */
export const rsv2 = 2

/**
 * RSV3 in `Frame.rsv`, the third reserved bit.
 *
 * @since 0.1.0
 * @category constants
 */
export const rsv3 = 1

/**
 * One frame. `rsv` holds the reserved bits as one integer: RSV1 is 4 (`rsv1`), RSV2 is 2 (`rsv2`), RSV3 is 1
 * (`rsv3`). `masked` tells whether the frame is masked on the wire; `payload` itself is never masked.
 *
 * @since 0.1.0
 * @category models
 */
export class Frame {
  /** @since 0.1.0 */
  declare readonly [TypeId]: TypeId
  /** @since 0.1.0 */
  readonly fin: boolean
  /** @since 0.1.0 */
  readonly rsv: number
  /** @since 0.1.0 */
  readonly opcode: number
  /** @since 0.1.0 */
  readonly masked: boolean
  /** @since 0.1.0 */
  readonly payload: Uint8Array
  constructor(fin: boolean, rsv: number, opcode: number, masked: boolean, payload: Uint8Array) {
    this.fin = fin
    this.rsv = rsv
    this.opcode = opcode
    this.masked = masked
    this.payload = payload
  }
}

tag(Frame, TypeId)

/**
 * Whether a value is a frame.
 *
 * @since 0.1.0
 * @category guards
 */
export const isFrame = (u: unknown): u is Frame => isTagged(u, TypeId)

/**
 * A frame arrived. Its payload belongs to the receiver of the event.
 *
 * @since 0.1.0
 * @category models
 */
export class FrameReceived {
  /** @since 0.1.0 */
  readonly _tag = "Frame"
  /** @since 0.1.0 */
  readonly frame: Frame
  constructor(frame: Frame) {
    this.frame = frame
  }
}

const empty = new Uint8Array(0)

/**
 * Makes a frame. By default it is final and unmasked, with no reserved bits and an empty payload.
 *
 * @example
 * ```ts
 * import * as Frame from "@effect-websocket/protocol/Frame"
 * import * as Opcode from "@effect-websocket/protocol/Opcode"
 *
 * const frame = Frame.make(Opcode.Ping, { payload: new Uint8Array([1, 2]) })
 * console.log(Frame.format(frame)) // "Ping fin 2 bytes 01 02"
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  opcode: number,
  options?: {
    readonly fin?: boolean
    readonly rsv?: number
    readonly masked?: boolean
    readonly payload?: Uint8Array
  }
): Frame =>
  new Frame(
    options?.fin ?? true,
    options?.rsv ?? 0,
    opcode,
    options?.masked ?? false,
    options?.payload === undefined ? empty : bytesOf(options.payload)
  )

/**
 * Makes a text frame. With `fin: false` it begins a fragmented message.
 *
 * @example
 * ```ts
 * import * as Frame from "@effect-websocket/protocol/Frame"
 *
 * const hello = Frame.text("hello")
 * const inTwoFragments = [Frame.text("hel", { fin: false }), Frame.continuation("lo")]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const text = (data: string, options?: { readonly fin?: boolean }): Frame =>
  make(Opcode.Text, { ...options, payload: bytesOf(data) })

/**
 * Makes a binary frame. With `fin: false` it begins a fragmented message.
 *
 * @since 0.1.0
 * @category constructors
 */
export const binary = (data: Uint8Array, options?: { readonly fin?: boolean }): Frame =>
  make(Opcode.Binary, { ...options, payload: bytesOf(data) })

/**
 * Makes a further fragment of a message. With `fin: false` it is not the last.
 *
 * @since 0.1.0
 * @category constructors
 */
export const continuation = (data: string | Uint8Array, options?: { readonly fin?: boolean }): Frame =>
  make(Opcode.Continuation, { ...options, payload: bytesOf(data) })

/**
 * Makes a ping. RFC 6455 §5.5 allows at most 125 bytes of data; this function does not check it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ping = (data: string | Uint8Array = ""): Frame => make(Opcode.Ping, { payload: bytesOf(data) })

/**
 * Makes a pong. RFC 6455 §5.5 allows at most 125 bytes of data; this function does not check it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const pong = (data: string | Uint8Array = ""): Frame => make(Opcode.Pong, { payload: bytesOf(data) })

/**
 * Makes a Close frame with a code and a reason; without a code its payload is empty. It fails as
 * `CloseCode.encodePayload` does. It cannot fail with a `CloseCode.Sendable` code and no reason.
 *
 * @example
 * ```ts
 * import * as Errors from "@effect-websocket/protocol/Errors"
 * import * as Frame from "@effect-websocket/protocol/Frame"
 *
 * const normal: Frame.Frame = Frame.close(1000)
 * const own: Frame.Frame = Errors.getOrThrow(Frame.close(4001, "kicked"))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export function close(code?: Sendable): Frame
export function close(code?: number, reason?: string): Frame | ProtocolError | PayloadTooLarge
export function close(code?: number, reason = ""): Frame | ProtocolError | PayloadTooLarge {
  const payload = encodePayload(code, reason)
  return payload instanceof Uint8Array ? make(Opcode.Close, { payload }) : payload
}

/**
 * The payload as text; for a Close, its reason. Fails with a remote `ProtocolError` if the payload is not UTF-8, such
 * as binary data or a fragment that ends inside a character. For a Close it fails as `CloseCode.decodePayload` does.
 *
 * @example
 * ```ts
 * import * as Frame from "@effect-websocket/protocol/Frame"
 *
 * console.log(Frame.toText(Frame.text("hello"))) // "hello"
 * console.log(Frame.toText(Frame.close(1000))) // ""
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const toText = ({ opcode, payload }: Frame): string | ProtocolError => {
  if (opcode !== Opcode.Close) return decode(payload, 0, payload.length) ?? invalidUtf8()
  const reason = decodePayload(payload)
  return reason instanceof ProtocolError ? reason : reason.reason
}

/**
 * Whether RSV1, RSV2 or RSV3 is set. `hasRsv(frame, 1)` is the same as `(frame.rsv & rsv1) !== 0`.
 *
 * @since 0.1.0
 * @category predicates
 */
export const hasRsv = (frame: Frame, bit: 1 | 2 | 3): boolean => (frame.rsv & (8 >> bit)) !== 0

/**
 * Whether a frame is a control frame (RFC 6455 §5.5): its opcode is 0x8 or above.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isControl = (frame: Frame): boolean => Opcode.isControl(frame.opcode)

const shownBytes = 16

/**
 * A description of a frame on one line, for logs, with the first 16 bytes of its payload in hexadecimal.
 *
 * @since 0.1.0
 * @category formatting
 */
export const format = (frame: Frame): string => {
  const bits = [1, 2, 3].flatMap((bit) => (hasRsv(frame, bit as 1 | 2 | 3) ? [`rsv${bit}`] : []))
  const name = Opcode.toName(frame.opcode) ?? `Reserved(0x${frame.opcode.toString(16)})`
  const bytes = Array.from(frame.payload.subarray(0, shownBytes), (byte) => byte.toString(16).padStart(2, "0"))
  const size = `${frame.payload.length} bytes`
  return [
    name,
    ...(frame.fin ? ["fin"] : []),
    ...bits,
    ...(frame.masked ? ["masked"] : []),
    size,
    ...bytes,
    ...(frame.payload.length > shownBytes ? ["…"] : [])
  ].join(" ")
}

const bytesOf = (data: string | Uint8Array): Uint8Array => {
  if (typeof data !== "string") return toBytes(data, "The payload of a frame")
  const bytes = new Uint8Array(byteLength(data))
  encodeInto(data, bytes, 0)
  return bytes
}
