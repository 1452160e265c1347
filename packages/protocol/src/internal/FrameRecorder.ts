import { Frame } from "../Frame.js"
import type { FrameHeader, Violation } from "../FrameDecoder.js"
import type { Message } from "../Message.js"
import type { MessageAssembler } from "../MessageAssembler.js"
import type { DataReader } from "./DataReader.js"
import { recordFrames } from "./framing.js"
import { GrowingBuffer } from "./GrowingBuffer.js"

/** Delivers messages and records the frames of each one. */
export class FrameRecorder implements DataReader<Message> {
  private readonly assembler: MessageAssembler
  private readonly masked: boolean
  private frames: Array<Frame> = []
  private recordedBytes = 0
  private fin = false
  private rsv = 0
  private opcode = 0
  private length = 0
  private readonly buffer = new GrowingBuffer()

  constructor(assembler: MessageAssembler, masked: boolean) {
    this.assembler = assembler
    this.masked = masked
  }

  begin(header: FrameHeader): Violation | undefined {
    this.fin = header.fin
    this.rsv = header.rsv
    this.opcode = header.opcode
    this.length = header.length
    return this.assembler.begin(header)
  }

  payload(
    chunk: Uint8Array,
    start: number,
    end: number,
    final: boolean,
    owned: boolean,
    borrowed: boolean
  ): Message | Violation | undefined {
    const { fin, frames, length, masked, opcode, rsv } = this
    this.buffer.append(chunk, start, end, length, length)
    this.recordedBytes += end - start
    if (final) frames.push(new Frame(fin, rsv, opcode, masked, this.buffer.take().subarray(0, length)))
    const result = this.assembler.payload(chunk, start, end, final, owned, borrowed)
    if (result !== undefined) {
      recordFrames(result, frames)
      this.frames = []
      this.recordedBytes = 0
    }
    return result
  }

  get started(): boolean {
    return this.assembler.started
  }

  get heldBytes(): number {
    return this.assembler.heldBytes + this.recordedBytes
  }
}
