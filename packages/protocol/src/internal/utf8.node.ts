/** UTF-8 with Node's own byte operations. The same functions as `utf8.ts`; the only file that may import `node:buffer`. */
import { Buffer, isUtf8 } from "node:buffer"

// Undocumented methods of Buffer, hence the feature tests. They work on any Uint8Array, without the view that
// `toString` and `write` would need.
interface Utf8Methods {
  readonly utf8Slice?: (this: Uint8Array, start: number, end: number) => string
  readonly utf8Write?: (this: Uint8Array, text: string, offset: number) => number
}
const { utf8Slice, utf8Write }: Utf8Methods = Buffer.prototype as Utf8Methods

const view = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const slice = (bytes: Uint8Array, start: number, end: number): string =>
  utf8Slice === undefined ? view(bytes).toString("utf8", start, end) : utf8Slice.call(bytes, start, end)

/** See `utf8.ts`. */
export const byteLength = (text: string): number => Buffer.byteLength(text, "utf8")

/** See `utf8.ts`. */
export const encodeInto = (text: string, target: Uint8Array, offset: number): number =>
  utf8Write === undefined ? view(target).write(text, offset, "utf8") : utf8Write.call(target, text, offset)

/** See `utf8.ts`. */
export const isValid = (bytes: Uint8Array, start: number, end: number): boolean => isUtf8(bytes.subarray(start, end))

/** See `utf8.ts`. */
export const decode = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  const text = slice(bytes, start, end)
  // Decoding puts U+FFFD in place of invalid bytes. Almost no text contains it, so looking for it is cheaper than
  // validating every message. Only a text that has one is validated.
  return text.includes("\ufffd") && !isValid(bytes, start, end) ? undefined : text
}
