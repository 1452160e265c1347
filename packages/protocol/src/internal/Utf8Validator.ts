import { isValid } from "#utf8"

/**
 * Checks UTF-8 that arrives in pieces, and refuses within the piece that breaks it: the two rules of RFC 3629 §4 that
 * depend on the lead byte (overlong forms, surrogates, above U+10FFFF) are kept as the bounds of the next byte.
 */
export class Utf8Validator {
  private remaining = 0
  private lower = 0x80
  private upper = 0xbf

  /** Whether the bytes so far end at the end of a character. */
  get complete(): boolean {
    return this.remaining === 0
  }

  /** Takes `bytes[start, end)`; false once the sequence cannot become valid any more. */
  push(bytes: Uint8Array, start: number, end: number): boolean {
    let position = start
    while (this.remaining > 0 && position < end) {
      if (!this.step(bytes[position++]!)) return false
    }
    // The bulk is checked by the runtime; only a character that is cut off at the end goes byte by byte.
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
    // ASCII is no cut-off character.
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

/** The end of the last character that is whole in `bytes[start, end)`, as far as lead bytes tell. */
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
