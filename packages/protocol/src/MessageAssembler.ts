/**
 * Joins fragments into messages (RFC 6455 §5.4). It checks their order, the limits, and that text is UTF-8, and fails
 * within the chunk that breaks a rule.
 *
 * @since 0.1.0
 */
import { decode } from "#utf8"
import { PayloadTooLarge } from "./Errors.js"
import { rsv1 } from "./Frame.js"
import type { FrameHeader, Violation } from "./FrameDecoder.js"
import type { DataReader } from "./internal/DataReader.js"
import { checkSequence } from "./internal/frameOrder.js"
import { copyInto, GrowingBuffer, partOf, viewOrCopy } from "./internal/GrowingBuffer.js"
import { invalidUtf8 } from "./internal/invalidUtf8.js"
import { Utf8Validator } from "./internal/Utf8Validator.js"
import * as memory from "./internal/memory.js"
import { Binary, Text, type Message } from "./Message.js"
import * as Opcode from "./Opcode.js"

/**
 * The options of a `MessageAssembler`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The largest message, in bytes. A compressed message is measured inflated; on the wire it may be a sixteenth larger. */
  readonly maxMessageBytes: number
  /** The largest number of frames in one message, empty frames included. */
  readonly maxFragments: number
  /** Inflates a message whose first frame has RSV1. Default: none; RSV1 then has no meaning. */
  readonly inflate?: Inflate | undefined
}

/**
 * Inflates `bytes[start, end)`, the payload of a whole message, to at most `maxBytes` bytes, or returns why it
 * cannot.
 *
 * @since 0.1.0
 * @category models
 */
export type Inflate = (bytes: Uint8Array, start: number, end: number, maxBytes: number) => Uint8Array | Violation

/**
 * Joins the data frames of one connection into messages. Fragments are collected in one buffer, which at least
 * doubles when it grows, so that every byte is copied a constant number of times.
 *
 * @since 0.1.0
 * @category models
 */
export class MessageAssembler implements DataReader<Message> {
  private readonly maxMessageBytes: number
  private readonly maxFragments: number
  private readonly inflate: Inflate | undefined
  // The opcode of the message under way; Continuation if there is none.
  private opcode: number = Opcode.Continuation
  private fragments = 0
  // Made for the first message that does not arrive whole.
  private buffer: GrowingBuffer | undefined = undefined
  // The size of the message as far as the headers tell, and whether that is all of it.
  private announced = 0
  private complete = false
  // Set if the message under way is compressed.
  private inflateThis: Inflate | undefined = undefined
  private validator: Utf8Validator | undefined = undefined

  constructor(options: Options) {
    this.maxMessageBytes = options.maxMessageBytes
    this.maxFragments = options.maxFragments
    this.inflate = options.inflate
  }

  /**
   * Takes the header of a data frame. Returns a violation if the frame is out of order or exceeds a limit.
   *
   * @since 0.1.0
   */
  begin(header: FrameHeader): Violation | undefined {
    const refused = checkSequence(header, this.started)
    if (refused !== undefined) return refused
    if (header.opcode !== Opcode.Continuation) {
      this.opcode = header.opcode
      this.inflateThis = (header.rsv & rsv1) === 0 ? undefined : this.inflate
    }
    this.fragments++
    if (this.fragments > this.maxFragments) return tooLarge("fragments", this.maxFragments, this.fragments)
    this.announced += header.length
    if (this.announced > this.maxReceivedBytes) return tooLarge("message", this.maxMessageBytes, this.announced)
    this.complete = header.fin
    return undefined
  }

  /**
   * Takes a part of a data frame's payload, `chunk[start, end)`; `final` marks the last part of the frame. Returns a
   * message if this part ends one, and a violation if a text is not UTF-8 or the message cannot be inflated. If
   * `owned` is true, the message may be a view of the chunk. If `borrowed` is true, the bytes of a message that is not
   * compressed are copied into memory that `Connection.giveBack` takes back.
   *
   * @since 0.1.0
   */
  payload(
    chunk: Uint8Array,
    start: number,
    end: number,
    final: boolean,
    owned: boolean,
    borrowed = false
  ): Message | Violation | undefined {
    return final && this.unfragmented && end - start === this.announced
      ? this.whole(chunk, start, end, owned, borrowed)
      : this.append(chunk, start, end, final, borrowed)
  }

  /**
   * Takes a part of a data frame's payload, `chunk[start, end)`, and copies it; `final` marks the last part of the
   * frame. Returns a message if this part ends one, and a violation if a text is not UTF-8 or the message cannot be
   * inflated. See `payload` for `borrowed`, which has an effect on the first part of a message.
   *
   * @since 0.1.0
   */
  append(
    chunk: Uint8Array,
    start: number,
    end: number,
    final: boolean,
    borrowed = false
  ): Message | Violation | undefined {
    // Compressed text can be checked only once it is inflated.
    if (this.opcode === Opcode.Text && this.inflateThis === undefined) {
      this.validator ??= new Utf8Validator()
      if (!this.validator.push(chunk, start, end)) return invalidUtf8()
    }
    const limit = this.complete ? this.announced : this.maxReceivedBytes
    const buffer = (this.buffer ??= new GrowingBuffer())
    if (buffer.size === 0) buffer.pooled = borrowed && this.opcode === Opcode.Binary && this.inflateThis === undefined
    buffer.append(chunk, start, end, this.announced, limit)
    return final && this.complete ? this.finish(buffer) : undefined
  }

  /**
   * Takes the whole payload of a frame that is a message by itself. If `owned` is true, a binary message may be a
   * view of the chunk, so that nothing is copied. Returns a violation if a text is not UTF-8 or the message cannot be
   * inflated. See `payload` for `borrowed`.
   *
   * @since 0.1.0
   */
  whole(chunk: Uint8Array, start: number, end: number, owned: boolean, borrowed = false): Message | Violation {
    const isText = this.opcode === Opcode.Text
    if (this.inflateThis !== undefined) return this.inflated(this.inflateThis, chunk, start, end)
    this.reset()
    if (!isText && borrowed && end > start) {
      const bytes = memory.take(end - start)
      copyInto(bytes, 0, chunk, start, end)
      return new Binary(memory.lend(bytes))
    }
    if (!isText) return new Binary(partOf(chunk, start, end, owned))
    const text = decode(chunk, start, end)
    return text === undefined ? invalidUtf8() : new Text(text)
  }

  /**
   * Whether the frame of the last `begin` is a message by itself.
   *
   * @since 0.1.0
   */
  get unfragmented(): boolean {
    return this.complete && this.fragments === 1
  }

  /**
   * Whether a message has begun and has not ended.
   *
   * @since 0.1.0
   */
  get started(): boolean {
    return this.opcode !== Opcode.Continuation
  }

  /**
   * How many bytes are held for a message that has not ended.
   *
   * @since 0.1.0
   */
  get heldBytes(): number {
    return this.buffer?.capacity ?? 0
  }

  /** The largest payload of the message under way, in bytes on the wire. */
  private get maxReceivedBytes(): number {
    return this.inflateThis === undefined ? this.maxMessageBytes : maxDeflatedBytes(this.maxMessageBytes)
  }

  private finish(buffer: GrowingBuffer): Message | Violation {
    const isText = this.opcode === Opcode.Text
    if (isText && this.validator?.complete === false) return invalidUtf8()
    const { pooled, size } = buffer
    const bytes = buffer.take()
    if (this.inflateThis !== undefined) return this.inflated(this.inflateThis, bytes, 0, size)
    this.reset()
    return pooled ? new Binary(memory.lend(bytes.subarray(0, size))) : toMessage(isText, bytes, 0, size)
  }

  private inflated(inflate: Inflate, bytes: Uint8Array, start: number, end: number): Message | Violation {
    const isText = this.opcode === Opcode.Text
    this.reset()
    const data = inflate(bytes, start, end, this.maxMessageBytes)
    return data instanceof Uint8Array ? toMessage(isText, data, 0, data.length) : data
  }

  private reset(): void {
    this.opcode = Opcode.Continuation
    this.fragments = 0
    this.announced = 0
    this.complete = false
    this.validator?.reset()
  }
}

/**
 * The largest result of deflating a message of `size` bytes. Data that does not compress is stored in blocks, each
 * with a header of five octets. With zlib's smallest `memLevel`, a block has 127 bytes.
 */
const maxDeflatedBytes = (size: number): number => size + Math.ceil(size / 16) + 64

const toMessage = (isText: boolean, bytes: Uint8Array, start: number, end: number): Message | Violation => {
  if (!isText) return new Binary(viewOrCopy(bytes, start, end))
  const text = decode(bytes, start, end)
  return text === undefined ? invalidUtf8() : new Text(text)
}

const tooLarge = (limit: "message" | "fragments", max: number, size: number): PayloadTooLarge =>
  new PayloadTooLarge({ limit, max, size, direction: "inbound" })
