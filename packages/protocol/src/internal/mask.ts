/**
 * Masking (RFC 6455 §5.3): octet i of the payload is XORed with octet i modulo 4 of the key. The same operation masks
 * and unmasks.
 */

// For fewer bytes, making a view of the buffer costs more than it saves.
const wordThreshold = 48

// A chunk often has many frames, so its view is kept for the next one, unless that would keep much memory alive.
const maxViewedBytes = 64 * 1024
const nothing = new Uint8Array(0)
let viewed: Uint8Array = nothing
let viewedOffset = 0
let words: BigUint64Array = new BigUint64Array(0)

const view = (bytes: Uint8Array): void => {
  const { buffer, byteOffset } = bytes
  viewed = bytes
  viewedOffset = byteOffset
  words = new BigUint64Array(buffer, 0, buffer.byteLength >>> 3)
}

const keyBytes = new Uint8Array(8)
const keyWord = new BigUint64Array(keyBytes.buffer)

/** The key, rotated by the number of octets of payload that came before. */
export const turned = (key: number, octets: number): number => {
  const shift = (octets & 3) << 3
  return shift === 0 ? key : (key << shift) | (key >>> (32 - shift))
}

/**
 * XORs `bytes[start, end)` in place. `key` is a 32-bit integer, its most significant octet first on the wire; `phase`
 * is the number of payload octets that came before `start`.
 */
export const mask = (bytes: Uint8Array, start: number, end: number, key: number, phase: number): void => {
  const first = turned(key, phase)
  if (end - start < wordThreshold) {
    maskBytes(bytes, start, end, first)
    return
  }
  if (bytes !== viewed) view(bytes)
  const aligned = start + (-(viewedOffset + start) & 7)
  maskBytes(bytes, start, aligned, first)
  const rest = turned(first, aligned - start)
  // The word is built from bytes, so that it is right for any byte order of the machine.
  keyBytes[0] = keyBytes[4] = rest >>> 24
  keyBytes[1] = keyBytes[5] = rest >>> 16
  keyBytes[2] = keyBytes[6] = rest >>> 8
  keyBytes[3] = keyBytes[7] = rest
  const count = (end - aligned) >>> 3
  const word = (viewedOffset + aligned) >>> 3
  maskWords(words, word, word + count, keyWord[0]!)
  // A word is two keys long, so whole words do not change the phase.
  maskBytes(bytes, aligned + count * 8, end, rest)
  if (words.byteLength > maxViewedBytes) view(nothing)
}

const maskBytes = (bytes: Uint8Array, start: number, end: number, key: number): void => {
  const k0 = key >>> 24
  const k1 = (key >>> 16) & 0xff
  const k2 = (key >>> 8) & 0xff
  const k3 = key & 0xff
  let i = start
  for (const last = end - 3; i < last; i += 4) {
    bytes[i]! ^= k0
    bytes[i + 1]! ^= k1
    bytes[i + 2]! ^= k2
    bytes[i + 3]! ^= k3
  }
  if (i < end) bytes[i]! ^= k0
  if (i + 1 < end) bytes[i + 1]! ^= k1
  if (i + 2 < end) bytes[i + 2]! ^= k2
}

const maskWords = (words: BigUint64Array, start: number, end: number, key: bigint): void => {
  let i = start
  for (const last = end - 3; i < last; i += 4) {
    words[i]! ^= key
    words[i + 1]! ^= key
    words[i + 2]! ^= key
    words[i + 3]! ^= key
  }
  for (; i < end; i++) words[i]! ^= key
}
