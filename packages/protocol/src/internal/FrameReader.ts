import { Frame, FrameReceived } from "../Frame.js"
import type { FrameHeader, Violation } from "../FrameDecoder.js"
import * as Opcode from "../Opcode.js"
import type { DataReader } from "./DataReader.js"
import { checkOrder } from "./frameOrder.js"
import { GrowingBuffer, partOf } from "./GrowingBuffer.js"
import { invalidUtf8 } from "./invalidUtf8.js"
import { Utf8Validator } from "./Utf8Validator.js"

/**
 * Delivers data frames unchanged. It checks their order, and that text is UTF-8 unless a reserved bit says that only
 * the app knows its encoding.
 */
export class FrameReader implements DataReader<FrameReceived> {
  private readonly masked: boolean
  // The opcode of the message under way; Continuation if there is none.
  private message: number = Opcode.Continuation
  // Whether a frame of it had a reserved bit, so that only the app knows what its payloads mean.
  private opaque = false
  private fin = false
  private rsv = 0
  private opcode: number = Opcode.Continuation
  private length = 0
  private readonly buffer = new GrowingBuffer()
  private readonly validator = new Utf8Validator()

  constructor(masked: boolean) {
    this.masked = masked
  }

  begin(header: FrameHeader): Violation | undefined {
    const refused = checkOrder(header, this.started)
    if (refused !== undefined) return refused
    if (header.opcode !== Opcode.Continuation) {
      this.message = header.opcode
      this.opaque = false
    }
    if (header.rsv !== 0) this.opaque = true
    this.fin = header.fin
    this.rsv = header.rsv
    this.opcode = header.opcode
    this.length = header.length
    return undefined
  }

  payload(chunk: Uint8Array, start: number, end: number, final: boolean, owned: boolean) {
    const checked = this.message === Opcode.Text && !this.opaque
    if (checked && !this.validator.push(chunk, start, end)) return invalidUtf8()
    const { fin, length, masked, opcode, rsv } = this
    let payload: Uint8Array
    if (final && end - start === length) {
      payload = partOf(chunk, start, end, owned)
    } else {
      this.buffer.append(chunk, start, end, length, length)
      if (!final) return undefined
      payload = this.buffer.take().subarray(0, length)
    }
    if (fin) {
      if (checked && !this.validator.complete) return invalidUtf8()
      this.validator.reset()
      this.message = Opcode.Continuation
    }
    return new FrameReceived(new Frame(fin, rsv, opcode, masked, payload))
  }

  get started(): boolean {
    return this.message !== Opcode.Continuation
  }

  get heldBytes(): number {
    return this.buffer.capacity
  }
}
