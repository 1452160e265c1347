/**
 * What permessage-deflate does to the messages of one connection (RFC 7692 §7.2): the tail, the windows, and how much may
 * come out. zlib itself is behind a port.
 *
 * @since 0.1.0
 */
import { byteLength, encodeInto } from "#utf8"
import { localProtocolError, PayloadTooLarge, remoteProtocolError, type ProtocolError } from "./Errors.js"
import type { Violation } from "./FrameDecoder.js"
import { copyInto } from "./internal/GrowingBuffer.js"
import { Window } from "./internal/Window.js"
import type { Message } from "./Message.js"
import type { Agreement, Direction, Settings } from "./PermessageDeflate.js"

/**
 * How to deflate.
 *
 * - `dictionary`: what may be referred back to, besides the data itself.
 * - `windowBits`: nothing is referred to that is more than 2^windowBits bytes back; 8 to 15.
 * - `level`, `memLevel`: as zlib has them.
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
 * How to inflate.
 *
 * - `dictionary`: what may be referred back to, besides what comes out.
 * - `windowBits`: the window that was agreed on; 8 to 15.
 * - `maxBytes`: no more than this may come out, or be held on the way.
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
 * What came out, and how many bytes of the input it took.
 *
 * @since 0.1.0
 * @category models
 */
export interface Inflated {
  readonly data: Uint8Array
  readonly consumed: number
}

/**
 * An implementation of DEFLATE (RFC 1951) without a header, synchronous and without a state between calls. It must not
 * change or keep what it is given.
 *
 * @since 0.1.0
 * @category models
 */
export interface Zlib {
  /**
   * Deflates up to an empty block without compression, `00 00 ff ff`, as `Z_SYNC_FLUSH` does. It refers back at most
   * 2^windowBits octets: zlib itself cannot promise that for 8 bits. `undefined` where the result would be larger than the
   * data, which then is sent as it is.
   */
  deflate(data: Uint8Array, options: DeflateOptions): Uint8Array | undefined

  /** Inflates up to the end of the first block that is marked as final. `"Corrupt"` where the data ends before one. */
  inflate(data: Uint8Array, options: InflateOptions): Inflated | "Corrupt" | "TooLarge"
}

/**
 * A message to deflate: `data` are its bytes.
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
 * How the messages of a connection are compressed.
 *
 * - `zlib`: what deflates and inflates.
 * - `agreement`: what was agreed on in the opening handshake.
 * - `settings`: which messages are compressed, how well, and how much a message may grow.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly zlib: Zlib
  readonly agreement: Agreement
  readonly settings: Settings
}

// RFC 7692 §7.2.1: every message ends with these, which do not travel.
const tail = Uint8Array.of(0x00, 0x00, 0xff, 0xff)
// Behind them, an empty final block: only what is whole reaches its end.
const terminator = Uint8Array.of(...tail, 0x03, 0x00)
// A message may have blocks that are marked as final (§7.2.3.4). Each costs a call of zlib, and two octets on the wire.
const maxFinalBlocks = 1024
// Inflating this much is never worth a thought.
const freeBytes = 64 * 1024
const empty = new Uint8Array(0)

/**
 * Compresses and decompresses the messages of one connection, in the order in which they travel. Of what went before it
 * keeps the last 2^bits bytes for each direction with context takeover, and nothing else.
 *
 * @since 0.1.0
 * @category models
 */
export class Compressor {
  private readonly zlib: Zlib
  private readonly settings: Settings
  private readonly outbound: Direction
  private readonly inbound: Direction
  private readonly sent: Window | undefined
  private readonly received: Window | undefined

  constructor({ agreement, settings, zlib }: Options) {
    this.zlib = zlib
    this.settings = settings
    this.outbound = agreement.outbound
    this.inbound = agreement.inbound
    this.sent = windowOf(agreement.outbound)
    this.received = windowOf(agreement.inbound)
  }

  /**
   * Whether a message is deflated: as `compress` says, or else the threshold and the filter.
   *
   * @since 0.1.0
   */
  compresses(message: Message, compress: boolean | undefined): boolean {
    if (compress !== undefined) return compress
    const { filter, threshold } = this.settings
    return sizeOf(message) >= threshold && filter?.(message) !== false
  }

  /**
   * What to deflate for a message; `undefined` if it is sent as it is. It holds until another message is deflated.
   *
   * @since 0.1.0
   */
  deflation(message: Message, compress: boolean | undefined): Deflation | undefined {
    if (!this.compresses(message, compress)) return undefined
    let data: Uint8Array
    if (message._tag === "Text") {
      data = new Uint8Array(byteLength(message.data))
      encodeInto(message.data, data, 0)
    } else {
      data = message.data
    }
    const { level, memLevel } = this.settings
    const { windowBits } = this.outbound
    return { message, data, options: { dictionary: this.sent?.contents ?? empty, windowBits, level, memLevel } }
  }

  /**
   * Deflates. Returns the payload; `undefined` where that would not be smaller, so that the message is sent as it is.
   *
   * @since 0.1.0
   */
  deflate(deflation: Deflation): Uint8Array | undefined {
    return this.finish(deflation, this.zlib.deflate(deflation.data, deflation.options))
  }

  /**
   * Takes what was deflated elsewhere, as `deflate` does.
   *
   * @since 0.1.0
   */
  finish({ data }: Deflation, deflated: Uint8Array | undefined): Uint8Array | undefined {
    if (deflated === undefined || deflated.length - tail.length >= data.length) return undefined
    this.sent?.push(data)
    return deflated.subarray(0, deflated.length - tail.length)
  }

  /**
   * Inflates the payload of a whole message, `chunk[start, end)`, to at most `maxBytes`. Fails with a remote
   * `ProtocolError` (1007) if it is corrupt or not whole, with an inbound `PayloadTooLarge` above `maxBytes` or the ratio,
   * and with a local `ProtocolError` (1011) if zlib throws.
   *
   * @since 0.1.0
   */
  inflate(chunk: Uint8Array, start: number, end: number, maxBytes: number): Uint8Array | Violation {
    const size = end - start
    // Some write no octets at all for an empty message, instead of the one of §7.2.3.6.
    if (size === 0) return empty
    const { maxRatio } = this.settings
    const allowed = Math.min(maxBytes, Math.max(freeBytes, Math.floor(size * maxRatio)))
    const { windowBits } = this.inbound
    const input = withEnd(chunk, start, end)
    const parts: Array<Uint8Array> = []
    let window = this.received
    let consumed = 0
    let inflatedBytes = 0
    // Once more for each block that is marked as final, as long as there is anything that the peer sent.
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
        // What a peer sends must not make anything throw, whatever zlib is given, or runs out of.
        return zlibFailed(cause)
      }
      if (inflated === "Corrupt") return corrupt("A compressed message is corrupt")
      if (inflated === "TooLarge") {
        return allowed < maxBytes ? tooLarge("ratio", maxRatio) : tooLarge("message", maxBytes)
      }
      consumed += inflated.consumed
      inflatedBytes += inflated.data.length
      parts.push(inflated.data)
      // Within a message what follows may refer back in any case.
      if (consumed < size) window ??= new Window(windowBits)
      window?.push(inflated.data)
    }
    return parts.length === 1 ? parts[0]! : join(parts, inflatedBytes)
  }
}

const sizeOf = (message: Message): number => (message._tag === "Text" ? byteLength(message.data) : message.data.length)

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
