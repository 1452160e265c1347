/**
 * Masking (RFC 6455 §5.3): octet i of the payload is XORed with octet i modulo 4 of the key. The same operation masks
 * and unmasks.
 */

// Below this many bytes a view of the buffer costs more than it saves.
const wordThreshold = 48

// Frames come many to a chunk, so the view of the last buffer is kept, unless that would keep much memory alive.
const maxViewedBytes = 64 * 1024
let viewed: ArrayBufferLike | undefined
let view: BigUint64Array = new BigUint64Array(0)

const wordsOf = (buffer: ArrayBufferLike): BigUint64Array => {
  if (buffer === viewed) return view
  const words = new BigUint64Array(buffer, 0, buffer.byteLength >>> 3)
  if (buffer.byteLength <= maxViewedBytes) {
    viewed = buffer
    view = words
  }
  return words
}

const keyBytes = new Uint8Array(8)
const keyWord = new BigUint64Array(keyBytes.buffer)

/**
 * XORs `bytes[start, end)` in place. `key` is a 32-bit integer, its most significant octet first on the wire; `phase`
 * is the number of payload octets that came before `start`.
 */
export const mask = (bytes: Uint8Array, start: number, end: number, key: number, phase: number): void => {
  const shift = (phase & 3) << 3
  const rotated = shift === 0 ? key : (key << shift) | (key >>> (32 - shift))
  const k0 = rotated >>> 24
  const k1 = (rotated >>> 16) & 0xff
  const k2 = (rotated >>> 8) & 0xff
  const k3 = rotated & 0xff
  if (end - start < wordThreshold) {
    maskBytes(bytes, start, end, k0, k1, k2, k3)
    return
  }
  const aligned = start + (-(bytes.byteOffset + start) & 7)
  maskBytes(bytes, start, aligned, k0, k1, k2, k3)
  const count = (end - aligned) >>> 3
  // The word is built from bytes, so that its value is right whatever the byte order of the machine.
  const lead = aligned - start
  for (let i = 0; i < 8; i++) {
    const octet = (lead + i) & 3
    keyBytes[i] = octet === 0 ? k0 : octet === 1 ? k1 : octet === 2 ? k2 : k3
  }
  const first = (bytes.byteOffset + aligned) >>> 3
  maskWords(wordsOf(bytes.buffer), first, first + count, keyWord[0]!)
  // Whole words keep the phase: a word is two keys long.
  maskBytes(bytes, aligned + count * 8, end, keyBytes[0]!, keyBytes[1]!, keyBytes[2]!, keyBytes[3]!)
}

const maskBytes = (
  bytes: Uint8Array,
  start: number,
  end: number,
  k0: number,
  k1: number,
  k2: number,
  k3: number
): void => {
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
