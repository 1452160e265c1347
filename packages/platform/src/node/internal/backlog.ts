// Larger chunks are not copied. The shared blocks in which frames are encoded have at most this size.
const maxCopiedBytes = 64 * 1024
const maxTailBytes = 32 * 1024

/**
 * Bytes that wait until a stream has taken the bytes before them. Small chunks are copied, one after the other, into
 * memory that grows with the waiting bytes. So a trimmed backlog keeps alive at most twice its size plus `maxCopiedBytes`.
 */
export class Backlog {
  /** The size of all waiting chunks, in bytes. */
  size = 0
  /** Whether the stream ends after these bytes. */
  endsBehind = false
  /** The timer of the next trim. */
  trimming: ReturnType<typeof setTimeout> | undefined = undefined
  private chunks: Array<Uint8Array> = []
  // The memory of the last chunk, if the chunk may grow there, and the offset at which the chunk ends.
  private tail = none
  private tailEnd = 0
  // The number of bytes copied since the last chunk that was added as it is. The next piece of memory may have this size.
  private copied = 0

  /** Adds chunks as they are. */
  refer(chunks: ReadonlyArray<Uint8Array>): void {
    for (const chunk of chunks) this.pushWhole(chunk)
  }

  /** Adds copies of small chunks, and large chunks as they are. */
  copy(chunks: ReadonlyArray<Uint8Array>): void {
    for (const chunk of chunks) {
      if (chunk.length <= maxCopiedBytes) this.extend(chunk)
      else this.push(chunk)
    }
  }

  /** Replaces the small chunks by copies. */
  settle(): void {
    const { chunks } = this
    this.chunks = []
    this.size = 0
    this.copy(chunks)
  }

  /** Removes and returns the next bytes, at most `maxBytes`. */
  take(maxBytes: number): ReadonlyArray<Uint8Array> {
    const { chunks } = this
    const taken: Array<Uint8Array> = []
    let room = Math.min(maxBytes, this.size)
    this.size -= room
    while (room > 0) {
      const chunk = chunks[0]!
      taken.push(chunk.length > room ? chunk.subarray(0, room) : chunk)
      if (chunk.length > room) chunks[0] = chunk.subarray(room)
      else chunks.shift()
      room -= Math.min(room, chunk.length)
    }
    if (chunks.length === 0) this.tail = none
    return taken
  }

  /** Copies each chunk that is only a small part of its buffer, such as the rest of a large chunk that was mostly taken. */
  trim(): void {
    this.trimming = undefined
    this.chunks = this.chunks.map(trimmed)
  }

  private pushWhole(chunk: Uint8Array): void {
    this.push(chunk)
    this.copied = 0
  }

  private push(chunk: Uint8Array): void {
    this.chunks.push(chunk)
    this.size += chunk.length
    this.tail = none
  }

  private extend(chunk: Uint8Array): void {
    const { chunks, tail, tailEnd } = this
    this.copied += chunk.length
    const count = tail === none ? 0 : Math.min(chunk.length, tail.length - tailEnd)
    if (count > 0) {
      const last = chunks[chunks.length - 1]!
      tail.set(chunk.subarray(0, count), tailEnd)
      chunks[chunks.length - 1] = new Uint8Array(tail.buffer, last.byteOffset, last.length + count)
      this.tailEnd += count
      this.size += count
    }
    const rest = count === 0 ? chunk : chunk.subarray(count)
    if (rest.length === 0) return
    const memory = Buffer.allocUnsafeSlow(Math.max(rest.length, Math.min(this.copied, maxTailBytes)))
    memory.set(rest)
    this.push(memory.subarray(0, rest.length))
    this.tail = memory
    this.tailEnd = rest.length
  }
}

const none = new Uint8Array(0)

// Besides the first chunk, of which some was taken, the memory of the last one may be unused: half a block for each.
const trimmed = (chunk: Uint8Array): Uint8Array =>
  chunk.buffer.byteLength > 2 * chunk.length + maxTailBytes ? new Uint8Array(chunk) : chunk
