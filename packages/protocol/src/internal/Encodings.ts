import { byteLength, encodeInto } from "#utf8"
import { firstByte, headerBytes, writeHeader } from "../FrameEncoder.js"
import * as Opcode from "../Opcode.js"
import { copyInto } from "./GrowingBuffer.js"

/** How a message was deflated. Messages that were deflated alike have the same result. */
interface Deflated {
  readonly zlib: object
  readonly windowBits: number
  readonly level: number
  readonly memLevel: number
  readonly result: Uint8Array | undefined
}

/** What the connections that send one message share. */
export class Encodings {
  private bytesOrNone: Uint8Array | undefined = undefined
  private frameOrNone: Uint8Array | undefined = undefined
  private readonly deflated: Array<Deflated> = []
  private readonly data: string | Uint8Array

  constructor(data: string | Uint8Array) {
    this.data = data
  }

  /** The payload, which nobody changes. */
  get bytes(): Uint8Array {
    return (this.bytesOrNone ??= typeof this.data === "string" ? encodeText(this.data) : this.data)
  }

  /** The message in one frame that is not masked, which nobody changes. */
  get frame(): Uint8Array {
    return (this.frameOrNone ??= frameOf(typeof this.data === "string" ? Opcode.Text : Opcode.Binary, this.bytes))
  }

  /** Deflates the message without a dictionary, once for all connections with equal parameters. */
  deflate(
    zlib: object,
    { level, memLevel, windowBits }: Omit<Deflated, "zlib" | "result">,
    run: () => Uint8Array | undefined
  ): Uint8Array | undefined {
    const known = this.deflated.find(
      (each) =>
        each.zlib === zlib && each.windowBits === windowBits && each.level === level && each.memLevel === memLevel
    )
    if (known !== undefined) return known.result
    const result = run()
    this.deflated.push({ zlib, windowBits, level, memLevel, result })
    return result
  }
}

/** The UTF-8 of a text, in a buffer of its own. */
export const encodeText = (text: string): Uint8Array => {
  const bytes = new Uint8Array(byteLength(text))
  encodeInto(text, bytes, 0)
  return bytes
}

const frameOf = (opcode: number, payload: Uint8Array): Uint8Array => {
  const frame = new Uint8Array(headerBytes(payload.length, false) + payload.length)
  const start = writeHeader(frame, 0, firstByte(true, 0, opcode), payload.length, undefined)
  copyInto(frame, start, payload, 0, payload.length)
  return frame
}
