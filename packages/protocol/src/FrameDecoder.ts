/**
 * Decodes bytes into frames (RFC 6455 §5.2). The input may be split anywhere; every byte is read once.
 *
 * @since 0.1.0
 */
import { PayloadTooLarge, remoteProtocolError, type ProtocolError } from "./Errors.js"
import { Frame } from "./Frame.js"
import { GrowingBuffer } from "./internal/GrowingBuffer.js"
import { mask } from "#mask"
import * as Opcode from "./Opcode.js"

/**
 * An error in a frame or a message from the peer: a `ProtocolError` with the close code to send, or a
 * `PayloadTooLarge`, whose close code is 1009.
 *
 * @since 0.1.0
 * @category models
 */
export type Violation = ProtocolError | PayloadTooLarge

/**
 * The role of the endpoint that decodes. A server requires masked frames, a client refuses them (RFC 6455 §5.1).
 *
 * @since 0.1.0
 * @category models
 */
export type Role = "client" | "server"

/**
 * The header of the frame that is being decoded. `length` is the size of its payload in bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface FrameHeader {
  readonly fin: boolean
  readonly rsv: number
  readonly opcode: number
  readonly length: number
}

/**
 * Receives what a `FrameDecoder` finds. Returning a violation ends the decoding.
 *
 * @since 0.1.0
 * @category models
 */
export interface FrameVisitor {
  /**
   * Called once a header is complete and has passed the decoder's own checks. Return a violation to refuse the frame.
   * The header is valid only during the call.
   */
  onHeader(header: FrameHeader): Violation | undefined
  /**
   * Called for each part of the payload: `chunk[start, end)`, unmasked. `final` marks the last part, which may be
   * empty. Return a violation to refuse it.
   */
  onPayload(chunk: Uint8Array, start: number, end: number, final: boolean): Violation | undefined
}

/**
 * The options of a decoder.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The role of the endpoint that decodes. */
  readonly role: Role
  /** The largest payload of one frame, in bytes, checked as soon as the header is complete. Default: 2^53 - 1. */
  readonly maxFrameBytes?: number | undefined
  /**
   * The reserved bits that an extension gave a meaning, as in `Frame.rsv`. Control frames may not have them. Default:
   * none.
   */
  readonly rsv?: number | undefined
  /**
   * The reserved opcodes that an extension gave a meaning: 0x3 to 0x7 for data frames, 0xB to 0xF for control frames.
   * The rules of control frames apply to the latter. Default: none.
   */
  readonly opcodes?: ReadonlyArray<number> | undefined
}

const maxHeaderBytes = 14
const maxControlPayloadBytes = 125
// No number can hold a larger length.
const maxLength = Number.MAX_SAFE_INTEGER
const protocolErrorCode = 1002
// One bit for each opcode that RFC 6455 defines.
const definedOpcodes = 0b0000_0111_0000_0111

/**
 * Decodes frames without building them: it passes headers and parts of payloads to a visitor, as they arrive.
 *
 * A server's decoder unmasks in place, so it must own the chunks that it is given. The constructor throws a
 * `RangeError` if `rsv` is not an integer from 0 to 7, or if an opcode is not a reserved one.
 *
 * @since 0.1.0
 * @category models
 */
export class FrameDecoder implements FrameHeader {
  /** @since 0.1.0 */
  fin = false
  /** @since 0.1.0 */
  rsv = 0
  /** @since 0.1.0 */
  opcode = 0
  /** @since 0.1.0 */
  length = 0

  private readonly visitor: FrameVisitor
  private readonly masked: boolean
  // `undefined` if there is no limit, because each number that is not a small integer takes memory of its own.
  private readonly frameLimit: number | undefined
  private readonly forbiddenRsv: number
  private readonly allowedOpcodes: number
  private maskKey = 0
  // How much of the current payload is still to come; -1 while a header is read.
  private remaining = -1
  // The bytes of a header that spans several chunks.
  private held: Uint8Array | undefined = undefined
  private heldBytes = 0
  private violation: Violation | undefined = undefined
  private stopped = false

  constructor(options: Options, visitor: FrameVisitor) {
    this.visitor = visitor
    this.masked = options.role === "server"
    const { maxFrameBytes = maxLength, opcodes = [], rsv = 0 } = options
    this.frameLimit = maxFrameBytes < maxLength ? maxFrameBytes : undefined
    if (!Number.isInteger(rsv) || rsv < 0 || rsv > 7)
      throw new RangeError(`rsv must be an integer from 0 to 7, not ${rsv}`)
    this.forbiddenRsv = 7 & ~rsv
    const unreserved = opcodes.find((opcode) => !Opcode.isReserved(opcode))
    if (unreserved !== undefined) throw new RangeError(`opcodes has ${unreserved}, which is not a reserved opcode`)
    this.allowedOpcodes = opcodes.reduce((all, opcode) => all | (1 << opcode), definedOpcodes)
  }

  /**
   * Makes the decoder ignore all further input, including the rest of the current chunk.
   *
   * @since 0.1.0
   */
  stop(): void {
    this.stopped = true
  }

  /**
   * Decodes a chunk and returns a violation, if there is one. It ignores all input after a violation and after
   * `stop`.
   *
   * @since 0.1.0
   */
  decode(chunk: Uint8Array): Violation | undefined {
    const end = chunk.length
    let position = 0
    while (position < end && !this.stopped) {
      if (this.remaining < 0) {
        const start = position
        position = this.heldBytes === 0 ? this.readHeader(chunk, position, end) : start
        if (position === start) {
          // Not all of the header is in this chunk.
          position = this.holdHeader(chunk, position, end)
        }
        if (this.violation !== undefined) return this.fail(this.violation)
        if (this.remaining < 0) return undefined
        const refused = this.visitor.onHeader(this)
        if (refused !== undefined) return this.fail(refused)
        if (this.stopped) return undefined
      }
      const part = Math.min(this.remaining, end - position)
      if (this.masked && part > 0) {
        mask(chunk, position, position + part, this.maskKey, this.length - this.remaining)
      }
      const rest = this.remaining - part
      this.remaining = rest === 0 ? -1 : rest
      const refused = this.visitor.onPayload(chunk, position, position + part, rest === 0)
      if (refused !== undefined) return this.fail(refused)
      position += part
    }
    return undefined
  }

  /**
   * Whether a frame has begun and has not ended.
   *
   * @since 0.1.0
   */
  get started(): boolean {
    return this.remaining >= 0 || this.heldBytes > 0
  }

  private fail(violation: Violation): Violation {
    this.violation = undefined
    this.stopped = true
    this.held = undefined
    return violation
  }

  /** Reads a header that is complete in the chunk and returns its end. Returns `start` if it is not complete. */
  private readHeader(chunk: Uint8Array, start: number, end: number): number {
    if (end - start < 2) return start
    const second = chunk[start + 1]!
    const size = headerSize(second)
    if (end - start < size) return start
    this.violation =
      this.checkFirst(chunk[start]!) ?? this.checkSecond(second) ?? this.checkLength(chunk, start, second)
    if (this.violation === undefined) this.begin(chunk, start, size)
    return start + size
  }

  /** Collects a header byte by byte. Each byte is checked when it arrives, in the same order as in `readHeader`. */
  private holdHeader(chunk: Uint8Array, start: number, end: number): number {
    const held = (this.held ??= new Uint8Array(maxHeaderBytes))
    let position = start
    while (position < end && this.violation === undefined && this.remaining < 0) {
      held[this.heldBytes++] = chunk[position++]!
      if (this.heldBytes === 1) {
        this.violation = this.checkFirst(held[0]!)
        continue
      }
      const second = held[1]!
      if (this.heldBytes === 2) this.violation = this.checkSecond(second)
      if (this.violation === undefined && this.heldBytes === 2 + extendedSize(second)) {
        this.violation = this.checkLength(held, 0, second)
      }
      if (this.violation === undefined && this.heldBytes === headerSize(second)) {
        this.begin(held, 0, this.heldBytes)
        this.heldBytes = 0
      }
    }
    return position
  }

  private checkFirst(first: number): Violation | undefined {
    this.fin = (first & 0x80) !== 0
    this.rsv = (first >>> 4) & 7
    this.opcode = first & 0x0f
    if ((this.rsv & this.forbiddenRsv) !== 0) {
      return violation("A reserved bit is set that no extension gave a meaning", "RFC 6455 §5.2")
    }
    if (((this.allowedOpcodes >>> this.opcode) & 1) === 0) {
      return violation(`The opcode 0x${this.opcode.toString(16)} is reserved`, "RFC 6455 §5.2")
    }
    if (Opcode.isControl(this.opcode)) {
      if (!this.fin) return violation("A control frame is fragmented", "RFC 6455 §5.5")
      if (this.rsv !== 0) return violation("A control frame has a reserved bit set", "RFC 7692 §6.1")
    }
    return undefined
  }

  private checkSecond(second: number): Violation | undefined {
    if (((second & 0x80) !== 0) !== this.masked) {
      return violation(this.masked ? "A client's frame is not masked" : "A server's frame is masked", "RFC 6455 §5.1")
    }
    if (Opcode.isControl(this.opcode) && (second & 0x7f) > maxControlPayloadBytes) {
      return violation("A control frame has more than 125 bytes", "RFC 6455 §5.5")
    }
    return undefined
  }

  private checkLength(bytes: Uint8Array, start: number, second: number): Violation | undefined {
    const short = second & 0x7f
    if (short < 126) {
      this.length = short
    } else if (short === 126) {
      this.length = (bytes[start + 2]! << 8) | bytes[start + 3]!
      if (this.length < 126) return violation("A length is not in its shortest form", "RFC 6455 §5.2")
    } else {
      // Two halves of 32 bits: a number of 64 bits would lose its low bits before it could be compared.
      const high = uint32(bytes, start + 2)
      const low = uint32(bytes, start + 6)
      if (high === 0 && low < 0x10000) return violation("A length is not in its shortest form", "RFC 6455 §5.2")
      if (high > 0x1fffff) return tooLarge(this.frameLimit ?? maxLength, undefined)
      this.length = high * 0x100000000 + low
    }
    const { frameLimit } = this
    return frameLimit !== undefined && this.length > frameLimit ? tooLarge(frameLimit, this.length) : undefined
  }

  private begin(bytes: Uint8Array, start: number, size: number): void {
    this.remaining = this.length
    // Signed, because only a small integer takes no memory of its own.
    if (this.masked) this.maskKey = uint32(bytes, start + size - 4) | 0
  }
}

const extendedSize = (second: number): number => ((second & 0x7f) < 126 ? 0 : (second & 0x7f) === 126 ? 2 : 8)

const headerSize = (second: number): number => 2 + extendedSize(second) + ((second & 0x80) === 0 ? 0 : 4)

const uint32 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

const violation = (description: string, section: string): ProtocolError =>
  remoteProtocolError(description, section, protocolErrorCode)

const tooLarge = (max: number, size: number | undefined): PayloadTooLarge =>
  new PayloadTooLarge({ limit: "frame", max, size, direction: "inbound" })

/**
 * The frames that a chunk completed, and the violation that came after them, if there was one.
 *
 * @since 0.1.0
 * @category models
 */
export interface DecodedFrames {
  readonly frames: ReadonlyArray<Frame>
  readonly violation: Violation | undefined
}

/**
 * Makes a function that decodes chunks into frames, for tools and tests that need no visitor. The input may be split
 * anywhere. It never changes or keeps a chunk. It holds up to `maxFrameBytes` of an unfinished frame, so set that
 * limit if the peer is not trusted.
 *
 * @example
 * ```ts
 * import * as Frame from "@effect-websocket/protocol/Frame"
 * import { frames } from "@effect-websocket/protocol/FrameDecoder"
 *
 * const decode = frames({ role: "client", maxFrameBytes: 1024 })
 * console.log(decode(new Uint8Array([0x89])).frames.length) // 0
 * console.log(decode(new Uint8Array([0x00])).frames.map(Frame.format)) // [ "Ping fin 0 bytes" ]
 * ```
 *
 * @since 0.1.0
 * @category decoding
 */
export const frames = (options: Options): ((chunk: Uint8Array) => DecodedFrames) => {
  let found: Array<Frame> = []
  let header: FrameHeader = { fin: false, rsv: 0, opcode: 0, length: 0 }
  const payload = new GrowingBuffer()
  const decoder = new FrameDecoder(options, {
    onHeader: ({ fin, length, opcode, rsv }) => {
      header = { fin, rsv, opcode, length }
      return undefined
    },
    onPayload: (chunk, start, end, final) => {
      payload.append(chunk, start, end, header.length, header.length)
      if (final) {
        const { fin, length, opcode, rsv } = header
        const masked = options.role === "server"
        found.push(new Frame(fin, rsv, opcode, masked, payload.take().subarray(0, length)))
      }
      return undefined
    }
  })
  return (chunk) => {
    // A copy, because unmasking happens in place.
    const violation = decoder.decode(Uint8Array.from(chunk))
    const result = { frames: found, violation }
    found = []
    return result
  }
}
