/** What a decoder throws for data that is not a message. It does not leave the decoder. */
const invalidMessage: unique symbol = Symbol("invalidMessage")

export const invalid = (): never => {
  throw invalidMessage
}

const encoder = new TextEncoder()
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const firstSize = 256

/** Writes bytes one after another. */
export class Writer {
  private buffer = new Uint8Array(firstSize)
  private length = 0

  /** What was written. */
  get written(): Uint8Array {
    return this.buffer.slice(0, this.length)
  }

  byte(value: number): void {
    this.reserve(1)
    this.buffer[this.length++] = value
  }

  /** An integer from 0, in groups of 7 bits, the lowest first. The highest bit says that another group follows (LEB128). */
  uint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.byte(rest)
  }

  /** Bytes behind their length. */
  bytes(value: Uint8Array): void {
    this.uint(value.length)
    this.reserve(value.length)
    this.buffer.set(value, this.length)
    this.length += value.length
  }

  /** The UTF-8 of a text, behind its length. */
  text(value: string): void {
    this.bytes(encoder.encode(value))
  }

  private reserve(bytes: number): void {
    const needed = this.length + bytes
    if (needed <= this.buffer.length) return
    const larger = new Uint8Array(Math.max(needed, 2 * this.buffer.length))
    larger.set(this.buffer.subarray(0, this.length))
    this.buffer = larger
  }
}

/** Reads what `Writer` writes. Throws `invalidMessage` for anything else. */
export class Reader {
  private readonly buffer: Uint8Array
  private next = 0

  constructor(buffer: Uint8Array) {
    this.buffer = buffer
  }

  /** Whether everything was read. */
  get isAtEnd(): boolean {
    return this.next === this.buffer.length
  }

  byte(): number {
    return this.buffer[this.next++] ?? invalid()
  }

  flag(): boolean {
    const byte = this.byte()
    return byte > 1 ? invalid() : byte === 1
  }

  /** At most 2^53 - 1, and without groups that do nothing, so that each integer has one form. */
  uint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (!Number.isSafeInteger(value)) return invalid()
      if (byte < 0x80) return byte === 0 && factor > 1 ? invalid() : value
    }
  }

  /** A view of bytes behind their length. */
  bytes(): Uint8Array {
    const length = this.uint()
    if (length > this.buffer.length - this.next) return invalid()
    const start = this.next
    this.next += length
    return this.buffer.subarray(start, this.next)
  }

  text(): string {
    try {
      return decoder.decode(this.bytes())
    } catch {
      return invalid()
    }
  }
}
