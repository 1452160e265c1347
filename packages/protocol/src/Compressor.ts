/**
 * Compresses and decompresses the messages of one connection with permessage-deflate (RFC 7692 §7.2). The caller
 * provides zlib as a `Zlib`.
 *
 * @since 0.1.0
 */
import { localProtocolError, PayloadTooLarge, remoteProtocolError, type ProtocolError } from "./Errors.js"
import type { Violation } from "./FrameDecoder.js"
import { copyInto } from "./internal/GrowingBuffer.js"
import { Window } from "./internal/Window.js"
import { bytes, encodingsOf, size, type Message } from "./Message.js"
import type { Agreement, Direction, Settings } from "./PermessageDeflate.js"

/**
 * The options of one call of `Zlib.deflate`.
 *
 * - `dictionary`: bytes before the data that the output may refer back to.
 * - `windowBits`: the output refers back at most 2^windowBits bytes; 8 to 15.
 * - `level`, `memLevel`: zlib's parameters of the same name, each from 1 to 9.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeflateOptions {
  readonly dictionary: Uint8Array
  readonly windowBits: number
  readonly level: number
  readonly memLevel: number
}

/**
 * The options of one call of `Zlib.inflate`.
 *
 * - `dictionary`: bytes before the output that the data may refer back to.
 * - `windowBits`: the data refers back at most 2^windowBits bytes, as was negotiated; 8 to 15.
 * - `maxBytes`: the largest output, in bytes. Beyond it the result is `"TooLarge"`; no more than this may be held on
 *   the way.
 *
 * @since 0.1.0
 * @category models
 */
export interface InflateOptions {
  readonly dictionary: Uint8Array
  readonly windowBits: number
  readonly maxBytes: number
}

/**
 * The result of inflating: the output, and how many bytes of the input were read.
 *
 * @since 0.1.0
 * @category models
 */
export interface Inflated {
  readonly data: Uint8Array
  readonly consumed: number
}

/**
 * A compressor that keeps its state between the messages of one direction. So it need not be made for each message, nor
 * read the dictionary again.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeflateStream {
  /**
   * Does what `Zlib.deflate` does. If `options.dictionary` is not the view that the last `sent` was called with, the stream
   * is behind or ahead of the peer: it starts again from the dictionary.
   */
  deflate(data: Uint8Array, options: DeflateOptions): Uint8Array | undefined

  /** The last output goes to the peer. The next message follows it if its dictionary is this view. */
  sent(dictionary: Uint8Array): void
}

/**
 * An implementation of raw DEFLATE (RFC 1951). It is synchronous. `deflate` and `inflate` have no state between calls, and
 * must not change or keep their arguments.
 *
 * @since 0.1.0
 * @category models
 */
export interface Zlib {
  /**
   * Deflates the data and ends with an empty stored block, `00 00 ff ff`, as `Z_SYNC_FLUSH` does. The output must
   * refer back at most 2^windowBits octets; zlib itself does not guarantee that for 8 bits. Returns `undefined` if
   * the result would be larger than the data, which is then sent uncompressed.
   */
  deflate(data: Uint8Array, options: DeflateOptions): Uint8Array | undefined

  /**
   * Inflates up to the end of the first block that is marked as final. Returns `"Corrupt"` if the data is invalid or
   * ends before such a block, and `"TooLarge"` above `maxBytes`.
   */
  inflate(data: Uint8Array, options: InflateOptions): Inflated | "Corrupt" | "TooLarge"

  /** Makes a compressor for one direction with context takeover. Default: none, so that `deflate` is called instead. */
  deflateStream?(): DeflateStream
}

/**
 * A message to deflate. `data` is the bytes of the message.
 *
 * @since 0.1.0
 * @category models
 */
export interface Deflation {
  readonly message: Message
  readonly data: Uint8Array
  readonly options: DeflateOptions
}

/**
 * The options of a `Compressor`.
 *
 * - `zlib`: the implementation of DEFLATE.
 * - `agreement`: the result of negotiating permessage-deflate in the opening handshake.
 * - `settings`: which messages are compressed, at which level, and how much a message may grow when it is inflated.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly zlib: Zlib
  readonly agreement: Agreement
  readonly settings: Settings
}

// RFC 7692 §7.2.1: every message ends with these octets, which are not sent.
const tail = Uint8Array.of(0x00, 0x00, 0xff, 0xff)
// The tail and an empty final block, so that only a complete message reaches a final block.
const terminator = Uint8Array.of(...tail, 0x03, 0x00)
// A message may have blocks that are marked as final (§7.2.3.4). Each costs a call of zlib, and two octets on the wire.
const maxFinalBlocks = 1024
// `maxRatio` does not apply to results up to this size.
const freeBytes = 64 * 1024
const empty = new Uint8Array(0)

/**
 * Compresses and decompresses the messages of one connection, in the order in which they are sent and received. For
 * each direction with context takeover it keeps the last 2^windowBits bytes, and nothing else.
 *
 * @since 0.1.0
 * @category models
 */
export class Compressor {
  /** @since 0.1.0 */
  readonly zlib: Zlib
  private readonly settings: Settings
  private readonly outbound: Direction
  private readonly inbound: Direction
  private readonly sent: Window | undefined
  private readonly received: Window | undefined
  // Made on first use: many connections send no message that is compressed.
  private stream: DeflateStream | undefined = undefined
  // The output of `stream` that is not finished yet.
  private streamed: Uint8Array | undefined = undefined

  constructor({ agreement, settings, zlib }: Options) {
    this.zlib = zlib
    this.settings = settings
    this.outbound = agreement.outbound
    this.inbound = agreement.inbound
    this.sent = windowOf(agreement.outbound)
    this.received = windowOf(agreement.inbound)
  }

  /**
   * Whether a message is deflated. The threshold and the filter decide, unless `compress` is given.
   *
   * @since 0.1.0
   */
  compresses(message: Message, compress: boolean | undefined): boolean {
    if (compress !== undefined) return compress
    const { filter, threshold } = this.settings
    return size(message) >= threshold && filter?.(message) !== false
  }

  /**
   * What to deflate for a message; `undefined` if it is sent uncompressed. Its `options.dictionary` is valid until
   * another message is finished.
   *
   * @since 0.1.0
   */
  deflation(message: Message, compress: boolean | undefined): Deflation | undefined {
    if (!this.compresses(message, compress)) return undefined
    const data = encodingsOf(message)?.bytes ?? bytes(message)
    const { level, memLevel } = this.settings
    const { windowBits } = this.outbound
    return { message, data, options: { dictionary: this.sent?.contents ?? empty, windowBits, level, memLevel } }
  }

  /**
   * Deflates a message and returns the payload to send. Returns `undefined` if that would not be smaller than the
   * message, which is then sent uncompressed.
   *
   * @since 0.1.0
   */
  deflate(deflation: Deflation): Uint8Array | undefined {
    return this.finish(deflation, this.run(deflation))
  }

  /**
   * Calls zlib. Pass the result to `finish`.
   *
   * @since 0.1.0
   */
  run({ data, message, options }: Deflation): Uint8Array | undefined {
    if (this.sent === undefined) {
      const deflate = (): Uint8Array | undefined => this.zlib.deflate(data, options)
      const encodings = encodingsOf(message)
      return encodings === undefined ? deflate() : encodings.deflate(this.zlib, options, deflate)
    }
    this.stream ??= this.zlib.deflateStream?.()
    if (this.stream === undefined) return this.zlib.deflate(data, options)
    const deflated = this.stream.deflate(data, options)
    this.streamed = deflated
    return deflated
  }

  /**
   * Finishes a message that `run` deflated, or that was deflated elsewhere, and returns what `deflate` would. Pass
   * `undefined` if `Zlib.deflate` returned it. Returns `undefined` if another message was finished after `deflation`.
   *
   * @since 0.1.0
   */
  finish({ data, options }: Deflation, deflated: Uint8Array | undefined): Uint8Array | undefined {
    if (deflated === undefined || deflated.length - tail.length >= data.length) return undefined
    if (this.sent !== undefined) {
      // Another message came between, so the peer's dictionary is no longer the one that this output refers back to.
      if (this.sent.contents !== options.dictionary) return undefined
      this.sent.push(data)
      if (deflated === this.streamed) this.stream?.sent(this.sent.contents)
      this.streamed = undefined
    }
    return deflated.subarray(0, deflated.length - tail.length)
  }

  /**
   * Inflates the payload of a whole message, `chunk[start, end)`, to at most `maxBytes` bytes. Fails with a remote
   * `ProtocolError` (close code 1007) if it is corrupt or incomplete, with an inbound `PayloadTooLarge` above
   * `maxBytes` or `maxRatio`, and with a local `ProtocolError` (1011) if zlib throws.
   *
   * @since 0.1.0
   */
  inflate(chunk: Uint8Array, start: number, end: number, maxBytes: number): Uint8Array | Violation {
    const size = end - start
    // Some peers send no octets for an empty message, instead of the one of §7.2.3.6.
    if (size === 0) return empty
    const { maxRatio } = this.settings
    const allowed = Math.min(maxBytes, Math.max(freeBytes, Math.floor(size * maxRatio)))
    const { windowBits } = this.inbound
    const input = withEnd(chunk, start, end)
    const parts: Array<Uint8Array> = []
    let window = this.received
    let consumed = 0
    let inflatedBytes = 0
    // One round for each block that is marked as final, until the peer's bytes are read.
    while (consumed < size) {
      if (parts.length === maxFinalBlocks) return corrupt("A compressed message has more than 1,024 final blocks")
      let inflated: Inflated | "Corrupt" | "TooLarge"
      try {
        inflated = this.zlib.inflate(consumed === 0 ? input : input.subarray(consumed), {
          dictionary: window?.contents ?? empty,
          windowBits,
          maxBytes: allowed - inflatedBytes
        })
      } catch (cause) {
        // Input from a peer must never make a method throw, whatever makes zlib fail.
        return zlibFailed(cause)
      }
      if (inflated === "Corrupt") return corrupt("A compressed message is corrupt")
      if (inflated === "TooLarge") {
        return allowed < maxBytes ? tooLarge("ratio", maxRatio) : tooLarge("message", maxBytes)
      }
      consumed += inflated.consumed
      inflatedBytes += inflated.data.length
      parts.push(inflated.data)
      // Within a message, later blocks may refer back even without context takeover.
      if (consumed < size) window ??= new Window(windowBits)
      window?.push(inflated.data)
    }
    return parts.length === 1 ? parts[0]! : join(parts, inflatedBytes)
  }
}

const windowOf = ({ contextTakeover, windowBits }: Direction): Window | undefined =>
  contextTakeover ? new Window(windowBits) : undefined

const withEnd = (chunk: Uint8Array, start: number, end: number): Uint8Array => {
  const input = new Uint8Array(end - start + terminator.length)
  copyInto(input, 0, chunk, start, end)
  input.set(terminator, end - start)
  return input
}

const join = (parts: ReadonlyArray<Uint8Array>, size: number): Uint8Array => {
  const joined = new Uint8Array(size)
  let position = 0
  for (const part of parts) {
    joined.set(part, position)
    position += part.length
  }
  return joined
}

const corrupt = (description: string): ProtocolError => remoteProtocolError(description, "RFC 7692 §7.2.2", 1007)

const zlibFailed = (cause: unknown): ProtocolError =>
  localProtocolError(
    `Inflating a message failed: ${cause instanceof Error ? cause.message : String(cause)}`,
    "RFC 7692 §7.2.2",
    1011
  )

const tooLarge = (limit: "message" | "ratio", max: number): PayloadTooLarge =>
  new PayloadTooLarge({ limit, max, size: undefined, direction: "inbound" })
