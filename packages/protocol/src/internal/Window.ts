import { copyInto } from "./GrowingBuffer.js"

const minCapacity = 256
const empty = new Uint8Array(0)

/** The last bytes of one direction, up to a size, that a compressor may refer back to. */
export class Window {
  /** The bytes, as a view that is valid until the next `push`, which makes another one. */
  contents = empty
  private readonly maxBytes: number
  private bytes = empty

  constructor(bits: number) {
    this.maxBytes = 2 ** bits
  }

  push(data: Uint8Array): void {
    const size = this.contents.length
    const added = Math.min(data.length, this.maxBytes)
    const kept = Math.min(size, this.maxBytes - added)
    const needed = kept + added
    if (needed > this.bytes.length) {
      // Grows as needed, because most connections send little.
      const grown = new Uint8Array(Math.min(this.maxBytes, Math.max(needed, 2 * this.bytes.length, minCapacity)))
      copyInto(grown, 0, this.bytes, size - kept, size)
      this.bytes = grown
    } else {
      this.bytes.copyWithin(0, size - kept, size)
    }
    copyInto(this.bytes, kept, data, data.length - added, data.length)
    this.contents = this.bytes.subarray(0, needed)
  }
}
