/** Counts the messages in chunks of bytes. Reads only the headers of their frames. */
const empty = Buffer.alloc(0)

export class MessageCounter {
  // A header that is split across chunks, and the rest of the current frame.
  private held = empty
  private remaining = 0
  private final = false

  /** The number of messages that end in the next chunk. The chunk is not kept. */
  count(chunk: Buffer, chunkEnd: number): number {
    let bytes = chunk
    let end = chunkEnd
    let position = 0
    if (this.held.length > 0) {
      bytes = Buffer.concat([this.held, chunk.subarray(0, chunkEnd)])
      end = bytes.length
      this.held = empty
    }
    let messages = 0
    while (position < end) {
      if (this.remaining === 0) {
        const header = readHeader(bytes, position, end)
        if (header < 0) {
          this.held = Buffer.from(bytes.subarray(position, end))
          break
        }
        const first = bytes[position]!
        this.final = (first & 0x80) !== 0 && (first & 8) === 0
        position += header
        this.remaining = payloadBytes
      }
      const part = Math.min(this.remaining, end - position)
      this.remaining -= part
      position += part
      if (this.remaining === 0 && this.final) messages++
    }
    return messages
  }
}

// The payload size of the last header.
let payloadBytes = 0

/**
 * The size of the header, or -1 if it is not complete. Masked headers come from clients, and from echoes of raw bytes.
 */
const readHeader = (bytes: Buffer, start: number, end: number): number => {
  if (end - start < 2) return -1
  const second = bytes[start + 1]!
  const short = second & 0x7f
  const size = (short < 126 ? 2 : short === 126 ? 4 : 10) + (second < 0x80 ? 0 : 4)
  if (end - start < size) return -1
  payloadBytes =
    short < 126
      ? short
      : short === 126
        ? bytes.readUInt16BE(start + 2)
        : bytes.readUInt32BE(start + 2) * 2 ** 32 + bytes.readUInt32BE(start + 6)
  return size
}
