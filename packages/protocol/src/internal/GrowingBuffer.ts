import { allocate } from "#allocate"
import { countOutside } from "#countOutside"
import * as memory from "./memory.js"

// The most that is allocated because of a header alone, before its bytes arrive.
const maxInitialBytes = 1024 * 1024
const minCapacity = 256
// Fewer bytes are copied one by one, which is cheaper than making a view.
const smallCopy = 32
const empty: Uint8Array<ArrayBuffer> = new Uint8Array(0)

/**
 * Joins parts into one buffer. It at least doubles when it grows, so that every byte is copied a constant number of
 * times.
 */
export class GrowingBuffer {
  size = 0
  /** Whether the memory is from `memory.take`, for a message that the app borrows. It may change only between messages. */
  pooled = false
  private bytes = empty

  /**
   * Appends a copy of `chunk[start, end)`. `expected` is the size that headers have announced so far, and `limit` is
   * the largest size that is possible.
   */
  append(chunk: Uint8Array, start: number, end: number, expected: number, limit: number): void {
    const needed = this.size + end - start
    if (needed > this.bytes.length) {
      // The announced size counts up to four times the current capacity, so that a large message is not copied again
      // and again.
      const believed = Math.min(expected, Math.max(maxInitialBytes, 4 * this.bytes.length))
      const wanted = Math.max(2 * this.bytes.length, believed, minCapacity)
      const grown = (this.pooled ? memory.take : allocate)(Math.max(needed, Math.min(limit, wanted)))
      copyInto(grown, 0, this.bytes, 0, this.size)
      if (this.pooled) memory.putBack(this.bytes)
      this.bytes = grown
    }
    copyInto(this.bytes, this.size, chunk, start, end)
    this.size = needed
  }

  /** How many bytes of memory the buffer has. */
  get capacity(): number {
    return this.bytes.buffer.byteLength
  }

  /** Returns the buffer, whose first `size` bytes count, and starts a new one. */
  take(): Uint8Array<ArrayBuffer> {
    const { bytes } = this
    // The app may look at the memory behind its bytes, where nothing was written.
    if (!this.pooled) bytes.fill(0, this.size)
    this.bytes = empty
    this.size = 0
    return bytes
  }
}

/** Copies `source[start, end)` to `target` at `offset`. */
export const copyInto = (target: Uint8Array, offset: number, source: Uint8Array, start: number, end: number): void => {
  const length = end - start
  if (length < smallCopy) for (let i = 0; i < length; i++) target[offset + i] = source[start + i]!
  else target.set(new Uint8Array(source.buffer, source.byteOffset + start, length), offset)
}

/** A copy of `bytes[start, end)`. */
export const copyOf = (bytes: Uint8Array, start: number, end: number): Uint8Array => {
  const copy = allocate(end - start)
  copyInto(copy, 0, bytes, start, end)
  return copy
}

/** Whether a view of `size` bytes may keep its whole buffer alive: the buffer has at most four times its size. */
export const mayView = (size: number, bufferSize: number): boolean => size * 4 >= bufferSize

/** A view of `bytes[start, end)`, or a copy if the view would keep alive a buffer of more than four times its size. */
export const viewOrCopy = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  mayView(end - start, bytes.buffer.byteLength)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start)
    : copyOf(bytes, start, end)

/** The bytes `chunk[start, end)` for the app: a view of the chunk only if it is `owned`. */
export const partOf = (chunk: Uint8Array, start: number, end: number, owned: boolean): Uint8Array => {
  if (!owned) return copyOf(chunk, start, end)
  const part = viewOrCopy(chunk, start, end)
  // The chunk now lives as long as its part.
  if (part.buffer === chunk.buffer) countOutside(part.length)
  return part
}
