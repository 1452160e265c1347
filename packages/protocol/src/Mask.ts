/**
 * Masking (RFC 6455 §5.3) for code that builds frames itself, and mask keys for a client's connection. The caller
 * passes the source of randomness.
 *
 * @since 0.1.0
 */
import { mask } from "#mask"

/**
 * A source of unpredictable bytes, such as `globalThis.crypto`. A test can pass its own.
 *
 * @since 0.1.0
 * @category models
 */
export interface RandomSource {
  /** Fills the array, of at most 65,536 bytes, with random bytes. */
  getRandomValues(bytes: Uint8Array<ArrayBuffer>): unknown
}

// One call of the source costs more than the bytes, so many keys are requested at once.
const keysAtOnce = 1024

/**
 * Makes a function that returns mask keys for a client (RFC 6455 §10.3). It reads 1,024 keys at a time from the
 * source, which must be cryptographically secure.
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
 * Masks or unmasks bytes in place; both are the same operation. `key` is a 32-bit integer whose most significant
 * octet is first on the wire, as in `FrameEncoder.writeHeader`. `phase` is the number of octets of the payload before
 * these bytes. Default: 0.
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
