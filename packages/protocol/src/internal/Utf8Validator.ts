import { isValid } from "#utf8"

/**
 * Checks UTF-8 that arrives in pieces, and fails within the piece that has an invalid byte. RFC 3629 §4 limits the
 * second byte of some characters (no overlong forms, no surrogates, nothing above U+10FFFF); `lower` and `upper` are
 * those limits.
 */
export class Utf8Validator {
  private remaining = 0
  private lower = 0x80
  private upper = 0xbf

  /** Whether the bytes so far end at the end of a character. */
  get complete(): boolean {
    return this.remaining === 0
  }

  /** Takes `bytes[start, end)`. Returns `false` once the text cannot become valid any more. */
  push(bytes: Uint8Array, start: number, end: number): boolean {
    let position = start
    while (this.remaining > 0 && position < end) {
      if (!this.step(bytes[position++]!)) return false
    }
    // The runtime checks all complete characters. Only a character that is cut off at the end is checked byte by
    // byte.
    const boundary = lastBoundary(bytes, position, end)
    if (boundary > position && !isValid(bytes, position, boundary)) return false
    for (position = boundary; position < end; position++) {
      if (!this.step(bytes[position]!)) return false
    }
    return true
  }

  copy(): Utf8Validator {
    const copy = new Utf8Validator()
    copy.remaining = this.remaining
    copy.lower = this.lower
    copy.upper = this.upper
    return copy
  }

  reset(): void {
    this.remaining = 0
    this.lower = 0x80
    this.upper = 0xbf
  }

  private step(byte: number): boolean {
    if (this.remaining > 0) {
      if (byte < this.lower || byte > this.upper) return false
      this.lower = 0x80
      this.upper = 0xbf
      this.remaining--
      return true
    }
    // A cut-off character never begins with ASCII.
    if (byte < 0xc2 || byte > 0xf4) return false
    if (byte < 0xe0) {
      this.remaining = 1
    } else if (byte < 0xf0) {
      this.remaining = 2
      if (byte === 0xe0) this.lower = 0xa0
      else if (byte === 0xed) this.upper = 0x9f
    } else {
      this.remaining = 3
      if (byte === 0xf0) this.lower = 0x90
      else if (byte === 0xf4) this.upper = 0x8f
    }
    return true
  }
}

/** The end of the last complete character in `bytes[start, end)`, judged by lead bytes alone. */
export const lastBoundary = (bytes: Uint8Array, start: number, end: number): number => {
  for (let back = 1; back <= 3 && end - back >= start; back++) {
    const byte = bytes[end - back]!
    if (byte < 0x80) return end
    if (byte >= 0xc0) {
      const length = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
      return length > back ? end - back : end
    }
  }
  return end
}
