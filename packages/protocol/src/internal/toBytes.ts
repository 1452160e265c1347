import { isGivenBack } from "./memory.js"

/**
 * Returns a `Uint8Array` over the same memory as `data`. Throws a `TypeError` that begins with `what` for a value
 * that has no bytes.
 */
export const toBytes = (data: unknown, what: string): Uint8Array => {
  if (data instanceof Uint8Array) return valid(data, what)
  // Also true for a `Uint8Array` of another realm, for which `instanceof` is false.
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  if (isBuffer(data)) return new Uint8Array(data)
  throw new TypeError(`${what} must be a Uint8Array or another view of an ArrayBuffer, not ${nameOf(data)}`)
}

const valid = (data: Uint8Array, what: string): Uint8Array => {
  if (isGivenBack(data)) throw new TypeError(`${what} was borrowed, and has been given back`)
  return data
}

const isBuffer = (data: unknown): data is ArrayBufferLike => {
  const tag = Object.prototype.toString.call(data)
  return tag === "[object ArrayBuffer]" || tag === "[object SharedArrayBuffer]"
}

/** The kind of a value, never its content. */
export const nameOf = (value: unknown): string => {
  if (value === null || value === undefined) return String(value)
  if (typeof value !== "object") return `a ${typeof value}`
  return Object.prototype.toString.call(value)
}
