import { byteLength, encodeInto } from "#utf8"
import { firstByte, headerBytes, writeHeader } from "../FrameEncoder.js"
import type { Message } from "../Message.js"
import * as Opcode from "../Opcode.js"
import { encodeText, encodingsOf } from "./Encodings.js"
import { copyInto } from "./GrowingBuffer.js"
import { mask } from "#mask"
import { maxPooledBytes, Output } from "./Output.js"

const maxHeaderBytes = 14

// A piece of at most this many bytes costs less to copy than to write on its own.
const maxJoinedBytes = 4 * 1024

/** The largest masked payload that is written into a shared block together with its header. */
export const maxPooledPayloadBytes = maxPooledBytes - maxHeaderBytes

/**
 * Encodes the frames of one connection into its output. A client's are masked. It is the output, because an object of its own
 * would take memory in every connection.
 */
export class FrameWriter extends Output {
  private readonly maskKey: (() => number) | undefined
  private readonly maxCopiedBytes: number

  /** `maskKey` is `undefined` for a server. See `Connection.Options` for `maxCopiedBytes`. */
  constructor(maskKey: (() => number) | undefined, maxCopiedBytes: number) {
    super()
    this.maskKey = maskKey
    this.maxCopiedBytes = maxCopiedBytes
  }

  get masks(): boolean {
    return this.maskKey !== undefined
  }

  /** The size of a frame with a payload of `size` bytes. */
  frameBytes(size: number): number {
    return headerBytes(size, this.masks) + size
  }

  /** Writes a message in frames of at most `maxFrameSize` bytes. */
  message(message: Message, maxFrameSize: number): void {
    const encodings = this.masks ? undefined : encodingsOf(message)
    if (encodings !== undefined && encodings.bytes.length <= maxFrameSize) return this.encoded(encodings.frame)
    if (message._tag === "Text") this.text(message.data, maxFrameSize)
    else this.data(Opcode.Binary, message.data, true, 0, maxFrameSize)
  }

  /** Writes a frame that other connections write, too. */
  private encoded(frame: Uint8Array): void {
    // All write the same bytes, which the processor still has at hand. Further frames are joined: one write costs less than two.
    if (this.size === 0 || frame.length > this.maxCopiedBytes) {
      this.refer(frame)
      return
    }
    if (this.size <= maxJoinedBytes) this.join()
    this.copy(frame)
  }

  /** Writes data in frames of at most `maxSize` bytes. Only the first has the reserved bits (RFC 7692 §6.1). */
  data(opcode: number, data: Uint8Array, fin: boolean, rsv: number, maxSize: number): void {
    let start = 0
    let next = opcode
    let bits = rsv
    for (; data.length - start > maxSize; start += maxSize) {
      this.frame(next, data, start, start + maxSize, false, bits)
      next = Opcode.Continuation
      bits = 0
    }
    this.frame(next, data, start, data.length, fin, bits)
  }

  /** Writes one frame, whose payload is `data[start, end)`. */
  frame(opcode: number, data: Uint8Array, start: number, end: number, fin: boolean, rsv = 0): void {
    const size = end - start
    const first = firstByte(fin, rsv, opcode)
    const header = headerBytes(size, this.masks)
    if (size > this.maxCopiedBytes && !this.masks) {
      this.reserve(header)
      this.commit(writeHeader(this.bytes, this.offset, first, size, undefined))
      this.append(size === data.length ? data : data.subarray(start, end))
      return
    }
    this.reserve(header + size)
    const { bytes, offset } = this
    copyInto(bytes, offset + header, data, start, end)
    this.headerAndMask(bytes, offset, first, offset + header, size)
    this.commit(offset + header + size)
  }

  private text(text: string, maxFrameSize: number): void {
    const maxBytes = text.length * 3
    if (maxBytes > maxPooledBytes / 2 || maxBytes > maxFrameSize) {
      this.longText(text, maxFrameSize)
      return
    }
    const masked = this.masks
    this.reserve(maxHeaderBytes + maxBytes)
    const { bytes, offset } = this
    // Most text is ASCII, so its size is guessed and it is written in place. A wrong guess moves it.
    const guessed = offset + headerBytes(text.length, masked)
    const size = encodeInto(text, bytes, guessed)
    const start = offset + headerBytes(size, masked)
    if (start !== guessed) bytes.copyWithin(start, guessed, guessed + size)
    this.headerAndMask(bytes, offset, firstByte(true, 0, Opcode.Text), start, size)
    this.commit(start + size)
  }

  private longText(text: string, maxFrameSize: number): void {
    const size = byteLength(text)
    if (size > maxFrameSize) {
      this.data(Opcode.Text, encodeText(text), true, 0, maxFrameSize)
      return
    }
    const header = headerBytes(size, this.masks)
    this.reserve(header + size)
    const { bytes, offset } = this
    encodeInto(text, bytes, offset + header)
    this.headerAndMask(bytes, offset, firstByte(true, 0, Opcode.Text), offset + header, size)
    this.commit(offset + header + size)
  }

  private headerAndMask(bytes: Uint8Array, offset: number, first: number, start: number, size: number): void {
    if (this.maskKey === undefined) {
      writeHeader(bytes, offset, first, size, undefined)
    } else {
      const key = this.maskKey()
      writeHeader(bytes, offset, first, size, key)
      mask(bytes, start, start + size, key, 0)
    }
  }
}
