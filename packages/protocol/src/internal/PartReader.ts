import { decode } from "#utf8"
import { rsv1 } from "../Frame.js"
import type { FrameHeader, Violation } from "../FrameDecoder.js"
import type { MessageAssembler } from "../MessageAssembler.js"
import { BinaryPart, TextPart, type MessagePart } from "../MessagePart.js"
import * as Opcode from "../Opcode.js"
import type { DataReader } from "./DataReader.js"
import { checkSequence } from "./frameOrder.js"
import { copyInto, copyOf, partOf } from "./GrowingBuffer.js"
import { invalidUtf8 } from "./invalidUtf8.js"
import { lastBoundary, Utf8Validator } from "./Utf8Validator.js"

const empty = new Uint8Array(0)

/**
 * Delivers each part of a message as it arrives. It holds only the first bytes of a character that is cut in two, and
 * compressed messages. Those can be inflated only as a whole, so they are one part, and the limits of messages apply
 * to them.
 */
export class PartReader implements DataReader<MessagePart> {
  private readonly assembler: MessageAssembler
  // The opcode of the message under way; Continuation if there is none.
  private opcode: number = Opcode.Continuation
  private first = true
  private ending = false
  private readonly validator = new Utf8Validator()
  // The first bytes of a character whose rest is still to come.
  private cut: Uint8Array = empty

  constructor(assembler: MessageAssembler) {
    this.assembler = assembler
  }

  begin(header: FrameHeader): Violation | undefined {
    if (this.assembler.started || (!this.started && (header.rsv & rsv1) !== 0)) return this.assembler.begin(header)
    const refused = checkSequence(header, this.started)
    if (refused !== undefined) return refused
    if (header.opcode !== Opcode.Continuation) {
      this.opcode = header.opcode
      this.first = true
    }
    this.ending = header.fin
    return undefined
  }

  payload(chunk: Uint8Array, start: number, end: number, final: boolean, owned: boolean) {
    if (this.assembler.started) {
      const message = this.assembler.payload(chunk, start, end, final, owned)
      if (message === undefined || (message._tag !== "Text" && message._tag !== "Binary")) return message
      return message._tag === "Text" ? new TextPart(message.data, true, true) : new BinaryPart(message.data, true, true)
    }
    const last = final && this.ending
    const { first } = this
    const part = this.opcode === Opcode.Text ? this.text(chunk, start, end, last) : partOf(chunk, start, end, owned)
    if (part === undefined) return invalidUtf8()
    if (last) this.opcode = Opcode.Continuation
    if (part.length === 0 && !last) return undefined
    this.first = false
    return typeof part === "string" ? new TextPart(part, first, last) : new BinaryPart(part, first, last)
  }

  get started(): boolean {
    return this.opcode !== Opcode.Continuation || this.assembler.started
  }

  get heldBytes(): number {
    return this.assembler.heldBytes
  }

  /** The text of a part; `undefined` if it is not UTF-8. */
  private text(chunk: Uint8Array, start: number, end: number, last: boolean): string | undefined {
    const { cut, validator } = this
    // Fails at once, even if the invalid character is not complete.
    if (!validator.push(chunk, start, end) || (last && !validator.complete)) return undefined
    let bytes = chunk
    let from = start
    let to = end
    if (cut.length > 0) {
      bytes = new Uint8Array(cut.length + end - start)
      bytes.set(cut)
      copyInto(bytes, cut.length, chunk, start, end)
      from = 0
      to = bytes.length
    }
    const boundary = lastBoundary(bytes, from, to)
    this.cut = boundary === to ? empty : copyOf(bytes, boundary, to)
    return decode(bytes, from, boundary)
  }
}
