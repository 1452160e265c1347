/**
 * Memory for payloads that the library gets back. It is used again, because memory outside of V8's heap makes V8 mark the
 * whole heap again and again. There are buffers for each power of two.
 *
 * A payload that the app only borrows lies in such a buffer. When it is given back, the buffer is transferred: the app's
 * views become empty, so that they never show the bytes of another message.
 */
import { allocate } from "#allocate"

const minBits = 6
const maxBits = 21
const maxSpareBytes = 4 * 1024 * 1024

const spare: ReadonlyArray<Array<ArrayBuffer>> = Array.from({ length: maxBits + 1 }, () => [])
let spareBytes = 0

/** How many outputs refer to a borrowed payload that has not been written. */
export class Lease {
  uses = 0
}

/** Marks the buffer of a borrowed payload; `null` once it was given back. It is the same in every copy of this package. */
const leaseKey: unique symbol = Symbol.for("@effect-websocket/protocol/lease")

type Leased = ArrayBufferLike & { [leaseKey]?: Lease | null }

// Part of ECMAScript 2024, and available since Node 21.
const method: unknown = Reflect.get(ArrayBuffer.prototype, "transfer")

/** Moves memory to a new buffer, and leaves the old one without any. */
const transfer: (buffer: ArrayBuffer) => ArrayBuffer =
  typeof method === "function"
    ? (buffer) => Reflect.apply(method, buffer, [])
    : (buffer) => structuredClone(buffer, { transfer: [buffer] })

const bitsFor = (size: number): number => Math.max(minBits, 32 - Math.clz32(size - 1))

/** Memory of `size` bytes, with any content. Its buffer may be larger. */
export const take = (size: number): Uint8Array<ArrayBuffer> => {
  const bits = bitsFor(size)
  if (bits > maxBits) return allocate(size)
  const buffer = spare[bits]!.pop()
  if (buffer === undefined) return allocate(2 ** bits).subarray(0, size)
  spareBytes -= buffer.byteLength
  return new Uint8Array(buffer, 0, size)
}

/** Returns memory from `take` that nobody refers to. */
export const putBack = ({ buffer }: Uint8Array<ArrayBuffer>): void => {
  if (makeRoomFor(buffer)) keep(buffer)
}

/** Whether a buffer has one of the sizes that are kept, and there is room for it, if need be in place of other sizes. */
const makeRoomFor = ({ byteLength }: ArrayBuffer): boolean =>
  byteLength > 0 &&
  byteLength === 2 ** bitsFor(byteLength) &&
  byteLength <= 2 ** maxBits &&
  (spareBytes + byteLength <= maxSpareBytes || dropOthers(byteLength))

/** Drops the buffers of all other sizes. They may be those of messages that come no more. Returns whether there is room. */
const dropOthers = (size: number): boolean => {
  for (const [bits, buffers] of spare.entries()) if (2 ** bits !== size) buffers.length = 0
  spareBytes = spare[bitsFor(size)]!.length * size
  return spareBytes + size <= maxSpareBytes
}

const keep = (buffer: ArrayBuffer): void => {
  spareBytes += buffer.byteLength
  spare[bitsFor(buffer.byteLength)]!.push(buffer)
}

/** Lends memory from `take` to the app, until `giveBack`. */
export const lend = (bytes: Uint8Array<ArrayBuffer>): Uint8Array => {
  const leased: Leased = bytes.buffer
  leased[leaseKey] = new Lease()
  return bytes
}

/** The lease of borrowed bytes, or of a part of them; `undefined` for other bytes. */
export const leaseOf = ({ buffer }: Uint8Array): Lease | undefined => (buffer as Leased)[leaseKey] ?? undefined

/**
 * Takes borrowed bytes back, and leaves the app with empty views. Memory that is still being written, or that there is no
 * room for, is left to the garbage collector instead: freed now, it could be pulled away from under a write.
 */
export const giveBack = (bytes: Uint8Array): void => {
  const lease = leaseOf(bytes)
  if (lease === undefined || lease.uses > 0) return
  const { buffer } = bytes
  if (!(buffer instanceof ArrayBuffer) || !makeRoomFor(buffer)) return
  const leased: Leased = buffer
  leased[leaseKey] = null
  keep(transfer(buffer))
}

/** Whether these bytes were given back. */
export const isGivenBack = ({ buffer, length }: Uint8Array): boolean =>
  length === 0 && (buffer as Leased)[leaseKey] === null
