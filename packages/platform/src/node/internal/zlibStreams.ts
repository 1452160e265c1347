import type { DeflateOptions, DeflateStream } from "@effect-websocket/protocol/Compressor"
import { constants } from "node:zlib"
import type { Zlib } from "../../Zlib.js"
import type { Minizlib, MinizlibStream } from "../NodeOptions.js"

// Longer messages take so long that the call of zlib does not count. A stream makes its output in chunks of `chunkBytes`.
const maxMessageBytes = 16 * 1024
const chunkBytes = 4 * 1024
// The empty block of the flush, which is not sent.
const flushBytes = 4
// A hash table of Node's zlib, whatever `memLevel` is, and the objects of Node and JavaScript, as measured.
const fixedBytes = 84 * 1024
// When the pool is full, one of so many connections without a stream gets the place of the one that was idle for longest.
// If more connections send in turn than there are streams, most streams stay where they are used.
const missesPerEviction = 8

/** The memory of one compressor: what zlib documents, and the rest. */
const bytesOf = ({ memLevel, windowBits }: DeflateOptions): number =>
  2 ** (windowBits + 2) + 2 ** (memLevel + 9) + fixedBytes

/** The compressors that are kept, with at most `maxBytes` together. */
export class StreamPool {
  private readonly minizlib: Minizlib
  private readonly maxBytes: number
  // In the order of their use.
  private readonly streams = new Set<PooledStream>()
  private bytes = 0
  private misses = 0

  constructor(minizlib: Minizlib, maxBytes: number) {
    this.minizlib = minizlib
    this.maxBytes = maxBytes
  }

  /** A stream that starts from the dictionary, or `undefined` if there is no room for it now. */
  start(owner: PooledStream, options: DeflateOptions): Kept | undefined {
    const bytes = bytesOf(options)
    if (this.bytes + bytes > this.maxBytes && !this.evict(bytes)) return undefined
    const kept = new Kept(this.minizlib, options, bytes)
    this.bytes += bytes
    this.streams.add(owner)
    return kept
  }

  private evict(bytes: number): boolean {
    if (bytes > this.maxBytes || ++this.misses % missesPerEviction !== 0) return false
    for (const oldest of this.streams) {
      oldest.drop()
      if (this.bytes + bytes <= this.maxBytes) break
    }
    return true
  }

  touch(owner: PooledStream): void {
    this.streams.delete(owner)
    this.streams.add(owner)
  }

  remove(owner: PooledStream, kept: Kept): void {
    this.streams.delete(owner)
    this.bytes -= kept.bytes
    kept.close()
  }
}

/** The compressor of one connection, as long as the pool has room for it. Without one, it makes one-shot calls. */
export class PooledStream implements DeflateStream {
  private readonly pool: StreamPool
  private readonly zlib: Zlib
  private kept: Kept | undefined = undefined
  // What the peer has after the last message, if `kept` has it, too.
  private dictionary: Uint8Array | undefined = undefined

  constructor(pool: StreamPool, zlib: Zlib) {
    this.pool = pool
    this.zlib = zlib
  }

  deflate(data: Uint8Array, options: DeflateOptions): Uint8Array | undefined {
    const follows = this.dictionary === options.dictionary
    this.dictionary = undefined
    if (!follows) this.drop()
    // zlib uses a window of 9 bits for one of 8.
    if (data.length > maxMessageBytes || options.windowBits === 8) {
      this.drop()
      return this.zlib.deflate(data, options)
    }
    if (this.kept === undefined) this.kept = this.pool.start(this, options)
    else this.pool.touch(this)
    if (this.kept === undefined) return this.zlib.deflate(data, options)
    const deflated = this.kept.deflate(data)
    if (deflated === undefined) this.drop()
    return deflated
  }

  sent(dictionary: Uint8Array): void {
    if (this.kept !== undefined) this.dictionary = dictionary
  }

  drop(): void {
    const { kept } = this
    if (kept === undefined) return
    this.kept = undefined
    this.pool.remove(this, kept)
  }
}

/** One compressor of minizlib. */
class Kept {
  readonly bytes: number
  private readonly stream: MinizlibStream
  private error: unknown = undefined

  constructor({ DeflateRaw }: Minizlib, { dictionary, level, memLevel, windowBits }: DeflateOptions, bytes: number) {
    this.bytes = bytes
    this.stream = new DeflateRaw({
      windowBits,
      level,
      memLevel,
      flush: constants.Z_SYNC_FLUSH,
      chunkSize: chunkBytes,
      ...(dictionary.length > 0 ? { dictionary } : {})
    })
    this.stream.on("error", (error) => {
      this.error = error
    })
  }

  /** `undefined` if the output would be larger than the data. Throws what zlib reports, for example that it has no memory. */
  deflate(data: Uint8Array): Uint8Array | undefined {
    this.stream.write(data)
    const deflated = this.stream.read()
    if (this.error !== undefined) throw this.error
    return deflated === null || deflated.length - flushBytes >= data.length ? undefined : deflated
  }

  close(): void {
    this.stream.close()
  }
}
