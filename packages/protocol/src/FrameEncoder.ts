/**
 * Encodes frames into bytes (RFC 6455 §5.2). A client masks its frames, a server does not.
 *
 * @since 0.1.0
 */
import type { Frame } from "./Frame.js"
import { mask } from "#mask"

/**
 * The size of a frame's header in bytes, for a payload of `payloadBytes` bytes.
 *
 * @since 0.1.0
 * @category encoding
 */
export const headerBytes = (payloadBytes: number, masked: boolean): number =>
  (payloadBytes < 126 ? 2 : payloadBytes < 0x10000 ? 4 : 10) + (masked ? 4 : 0)

/**
 * The first byte of a frame: FIN, the reserved bits and the opcode.
 *
 * @since 0.1.0
 * @category encoding
 */
export const firstByte = (fin: boolean, rsv: number, opcode: number): number => (fin ? 0x80 : 0) | (rsv << 4) | opcode

/**
 * Writes a header at `offset` and returns its end. The target must have room for it: at most 14 bytes. `maskKey` is a
 * 32-bit integer whose most significant octet is first on the wire; without one the frame is unmasked.
 *
 * @since 0.1.0
 * @category encoding
 */
export const writeHeader = (
  target: Uint8Array,
  offset: number,
  first: number,
  payloadBytes: number,
  maskKey: number | undefined
): number => {
  const maskBit = maskKey === undefined ? 0 : 0x80
  let position = offset
  target[position++] = first
  if (payloadBytes < 126) {
    target[position++] = maskBit | payloadBytes
  } else if (payloadBytes < 0x10000) {
    target[position++] = maskBit | 126
    target[position++] = payloadBytes >>> 8
    target[position++] = payloadBytes
  } else {
    target[position++] = maskBit | 127
    position = writeUint32(target, position, Math.floor(payloadBytes / 0x100000000))
    position = writeUint32(target, position, payloadBytes)
  }
  return maskKey === undefined ? position : writeUint32(target, position, maskKey)
}

const writeUint32 = (target: Uint8Array, position: number, value: number): number => {
  target[position] = value >>> 24
  target[position + 1] = value >>> 16
  target[position + 2] = value >>> 8
  target[position + 3] = value
  return position + 4
}

/**
 * Encodes one frame, with any opcode and any reserved bits. It is masked with `maskKey`, a 32-bit integer, if one is
 * given; `frame.masked` has no effect. The payload of `frame` is never changed.
 *
 * @example
 * ```ts
 * import * as Frame from "@effect-websocket/protocol/Frame"
 * import { encode } from "@effect-websocket/protocol/FrameEncoder"
 * import * as Opcode from "@effect-websocket/protocol/Opcode"
 *
 * console.log(encode(Frame.make(Opcode.Ping))) // Uint8Array(2) [ 137, 0 ]
 * ```
 *
 * @since 0.1.0
 * @category encoding
 */
export const encode = (frame: Frame, maskKey?: number): Uint8Array => {
  const { length } = frame.payload
  const bytes = new Uint8Array(headerBytes(length, maskKey !== undefined) + length)
  const start = writeHeader(bytes, 0, firstByte(frame.fin, frame.rsv, frame.opcode), length, maskKey)
  bytes.set(frame.payload, start)
  if (maskKey !== undefined) mask(bytes, start, bytes.length, maskKey, 0)
  return bytes
}
