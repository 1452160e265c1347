import type { Random } from "./Random.js"

const interesting = [0, 1, 2, 3, 5, 7, 8, 0x0f, 0x10, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x88, 0x89, 0xc1, 0xfe, 0xff]

const insert = (bytes: Uint8Array, at: number, added: Uint8Array): Uint8Array => {
  const result = new Uint8Array(bytes.length + added.length)
  result.set(bytes.subarray(0, at))
  result.set(added, at)
  result.set(bytes.subarray(at), at + added.length)
  return result
}

const remove = (bytes: Uint8Array, at: number, count: number): Uint8Array => {
  const result = new Uint8Array(bytes.length - count)
  result.set(bytes.subarray(0, at))
  result.set(bytes.subarray(at + count), at)
  return result
}

const set = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  const result = bytes.slice()
  if (at < result.length) result[at] = value
  return result
}

const once = (bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array => {
  const at = random.below(bytes.length + 1)
  const value = bytes[at] ?? 0
  switch (random.below(9)) {
    case 0:
      return set(bytes, at, value ^ (1 << random.below(8)))
    case 1:
      return set(bytes, at, value + random.below(33) - 16)
    case 2:
      return set(bytes, at, random.below(256))
    case 3:
      return set(bytes, at, interesting[random.below(interesting.length)] ?? 0)
    case 4:
      return insert(
        bytes,
        at,
        Uint8Array.from({ length: 1 + random.below(8) }, () => random.below(256))
      )
    case 5:
      return remove(bytes, at, Math.min(bytes.length - at, 1 + random.below(16)))
    case 6: {
      const start = random.below(bytes.length + 1)
      return insert(bytes, at, bytes.subarray(start, start + 1 + random.below(32)))
    }
    case 7: {
      const start = random.below(other.length + 1)
      return insert(bytes, at, other.subarray(start, start + 1 + random.below(64)))
    }
    default:
      return insert(bytes.subarray(0, at), at, other.subarray(random.below(other.length + 1)))
  }
}

/** A few changes at once, some of which take from another input. */
export const mutate = (bytes: Uint8Array, random: Random, other: Uint8Array, maxBytes: number): Uint8Array => {
  let result = bytes
  for (let count = 1 << random.below(4); count > 0; count--) result = once(result, random, other)
  return result.subarray(0, maxBytes)
}
