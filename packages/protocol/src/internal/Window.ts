import { copyInto } from "./GrowingBuffer.js"

const minCapacity = 256
const empty = new Uint8Array(0)

/** The last bytes of one direction, up to a size, that a compressor may refer back to. */
export class Window {
  private readonly maxBytes: number
  private bytes = empty
  private size = 0

  constructor(bits: number) {
    this.maxBytes = 2 ** bits
  }

  /** The bytes, as a view that is valid until the next `push`. */
  get contents(): Uint8Array {
    return this.bytes.subarray(0, this.size)
  }

  push(data: Uint8Array): void {
    const added = Math.min(data.length, this.maxBytes)
    const kept = Math.min(this.size, this.maxBytes - added)
    const needed = kept + added
    if (needed > this.bytes.length) {
      // Grows as needed, because most connections send little.
      const grown = new Uint8Array(Math.min(this.maxBytes, Math.max(needed, 2 * this.bytes.length, minCapacity)))
      copyInto(grown, 0, this.bytes, this.size - kept, this.size)
      this.bytes = grown
    } else {
      this.bytes.copyWithin(0, this.size - kept, this.size)
    }
    copyInto(this.bytes, kept, data, data.length - added, data.length)
    this.size = needed
  }
}
