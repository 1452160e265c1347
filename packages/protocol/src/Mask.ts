/**
 * Masking (RFC 6455 §5.3) for those who build frames themselves, and keys for a client's connection. The randomness is handed
 * in.
 *
 * @since 0.1.0
 */
import { mask } from "./internal/mask.js"

/**
 * A source of unpredictable bytes: `globalThis.crypto` is one. A test hands in its own.
 *
 * @since 0.1.0
 * @category models
 */
export interface RandomSource {
  /** Fills an array of at most 65,536 bytes. */
  getRandomValues(bytes: Uint8Array<ArrayBuffer>): unknown
}

// Asking for random bytes costs more than using them.
const keysAtOnce = 1024

/**
 * Masking keys for a client, from a secure source of randomness (RFC 6455 §10.3). The source is asked for 1,024 keys at a
 * time.
 *
 * @example
 * ```ts
 * import * as Connection from "@effect-websocket/protocol/Connection"
 * import * as Mask from "@effect-websocket/protocol/Mask"
 *
 * const client = Connection.make({ role: "client", maskKey: Mask.keys(globalThis.crypto) })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const keys = (source: RandomSource): (() => number) => {
  const pool = new Uint32Array(keysAtOnce)
  const bytes = new Uint8Array(pool.buffer)
  let next = keysAtOnce
  return () => {
    if (next === keysAtOnce) {
      source.getRandomValues(bytes)
      next = 0
    }
    return pool[next++]!
  }
}

/**
 * Masks or unmasks bytes in place: both are the same operation. `key` is a 32-bit integer, its most significant octet first
 * on the wire, as for `FrameEncoder.writeHeader`. `phase` is the number of octets of the payload before these; default 0.
 *
 * @example
 * ```ts
 * import * as Mask from "@effect-websocket/protocol/Mask"
 *
 * const bytes = new TextEncoder().encode("Hello")
 * Mask.apply(bytes, 0x37fa213d)
 * console.log(bytes) // Uint8Array(5) [ 127, 159, 77, 81, 88 ]
 * ```
 *
 * @since 0.1.0
 * @category masking
 */
export const apply = (bytes: Uint8Array, key: number, phase = 0): void => mask(bytes, 0, bytes.length, key, phase)
