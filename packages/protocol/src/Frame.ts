/**
 * The frame of RFC 6455 §5.2 as a value.
 *
 * @since 0.1.0
 */
import { byteLength, encodeInto } from "#utf8"
import { encodePayload } from "./CloseCode.js"
import type { PayloadTooLarge, ProtocolError } from "./Errors.js"
import * as Opcode from "./Opcode.js"

/**
 * One frame. `rsv` holds RSV1 as 4, RSV2 as 2, RSV3 as 1. `masked` tells how it travels; `payload` is never masked.
 *
 * @since 0.1.0
 * @category models
 */
export interface Frame {
  readonly fin: boolean
  readonly rsv: number
  readonly opcode: number
  readonly masked: boolean
  readonly payload: Uint8Array
}

/**
 * A frame arrived. Its payload belongs to whoever handles the event.
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
 * A frame, by default a whole one without reserved bits and without a payload, unmasked.
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
): Frame => ({
  fin: options?.fin ?? true,
  rsv: options?.rsv ?? 0,
  opcode,
  masked: options?.masked ?? false,
  payload: options?.payload ?? empty
})

/**
 * A text frame. With `fin: false` it begins a fragmented message.
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
 * A binary frame. With `fin: false` it begins a fragmented message.
 *
 * @since 0.1.0
 * @category constructors
 */
export const binary = (data: Uint8Array, options?: { readonly fin?: boolean }): Frame =>
  make(Opcode.Binary, { ...options, payload: data })

/**
 * A further fragment of a message; with `fin: false` not the last.
 *
 * @since 0.1.0
 * @category constructors
 */
export const continuation = (data: string | Uint8Array, options?: { readonly fin?: boolean }): Frame =>
  make(Opcode.Continuation, { ...options, payload: bytesOf(data) })

/**
 * A ping, whose data is at most 125 bytes where it is legal.
 *
 * @since 0.1.0
 * @category constructors
 */
export const ping = (data: string | Uint8Array = ""): Frame => make(Opcode.Ping, { payload: bytesOf(data) })

/**
 * A pong, whose data is at most 125 bytes where it is legal.
 *
 * @since 0.1.0
 * @category constructors
 */
export const pong = (data: string | Uint8Array = ""): Frame => make(Opcode.Pong, { payload: bytesOf(data) })

/**
 * A Close frame with a code and a reason; without a code its payload is empty. Fails as `CloseCode.encodePayload` does.
 *
 * @since 0.1.0
 * @category constructors
 */
export const close = (code?: number, reason = ""): Frame | ProtocolError | PayloadTooLarge => {
  const payload = encodePayload(code, reason)
  return payload instanceof Uint8Array ? make(Opcode.Close, { payload }) : payload
}

/**
 * Whether RSV1, RSV2 or RSV3 is set.
 *
 * @since 0.1.0
 * @category predicates
 */
export const hasRsv = (frame: Frame, bit: 1 | 2 | 3): boolean => (frame.rsv & (8 >> bit)) !== 0

/**
 * Whether a frame is a control frame.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isControl = (frame: Frame): boolean => Opcode.isControl(frame.opcode)

const shownBytes = 16

/**
 * A frame on one line, for people: the first 16 bytes of its payload in hexadecimal.
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
  if (typeof data !== "string") return data
  const bytes = new Uint8Array(byteLength(data))
  encodeInto(data, bytes, 0)
  return bytes
}
