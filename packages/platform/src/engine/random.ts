import type { RandomSource } from "@effect-websocket/protocol/Mask"

/** The size of a pool of unpredictable bytes, as RFC 6455 §10.3 requires. The runtime's secure source fills each pool. */
const poolBytes = 8192
let pool: DataView | undefined
let position = poolBytes

const advance = (count: number): number => {
  if (position + count > poolBytes) {
    pool ??= new DataView(new ArrayBuffer(poolBytes))
    globalThis.crypto.getRandomValues(new Uint8Array(pool.buffer))
    position = 0
  }
  const start = position
  position += count
  return start
}

/** An unpredictable mask key. */
export const randomMaskKey = (): number => {
  const start = advance(4)
  return pool!.getInt32(start)
}

/** `count` unpredictable bytes, at most 8 KiB. */
export const randomBytes = (count: number): Uint8Array => {
  const start = advance(count)
  return new Uint8Array(pool!.buffer.slice(start, start + count))
}

/** `count` unpredictable bytes, at most 8 KiB. They come from `source` if the app provides one. */
export const randomBytesFrom = (source: RandomSource | undefined, count: number): Uint8Array => {
  if (source === undefined) return randomBytes(count)
  const bytes = new Uint8Array(count)
  source.getRandomValues(bytes)
  return bytes
}

const tokenBytes = 12

/** A text of 24 hexadecimal digits that cannot be guessed. */
export const randomToken = (): string =>
  randomBytes(tokenBytes).reduce((text, byte) => text + byte.toString(16).padStart(2, "0"), "")
