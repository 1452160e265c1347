/**
 * UTF-8 with the APIs that every runtime has. `#utf8` resolves to `utf8.node.ts` on Node and to this file elsewhere.
 * Both export the same functions.
 */
const encoder = new TextEncoder()
// Without `ignoreBOM` a leading byte order mark would be dropped from the text.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The number of bytes of `text` in UTF-8; a lone surrogate counts as U+FFFD. */
export const byteLength = (text: string): number => {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x80) continue
    if (unit < 0x800) length += 1
    else {
      length += 2
      if (unit >= 0xd800 && unit < 0xdc00 && i + 1 < text.length) {
        const next = text.charCodeAt(i + 1)
        // A pair takes four bytes for its two units, not six.
        if (next >= 0xdc00 && next < 0xe000) i++
      }
    }
  }
  return length
}

/** Writes `text` at `offset` and returns the number of bytes written. The target must have room for all of it. */
export const encodeInto = (text: string, target: Uint8Array, offset: number): number =>
  encoder.encodeInto(text, target.subarray(offset)).written

/** The text of `bytes[start, end)`, or `undefined` if it is not UTF-8. */
export const decode = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  try {
    return decoder.decode(bytes.subarray(start, end))
  } catch {
    return undefined
  }
}

/** Whether `bytes[start, end)` is a whole number of UTF-8 sequences. */
export const isValid = (bytes: Uint8Array, start: number, end: number): boolean =>
  decode(bytes, start, end) !== undefined
