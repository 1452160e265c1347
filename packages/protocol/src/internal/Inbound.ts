import type { Compressor } from "../Compressor.js"
import type { FrameReceived } from "../Frame.js"
import { FrameDecoder, type FrameHeader, type FrameVisitor, type Options, type Violation } from "../FrameDecoder.js"
import type { Message } from "../Message.js"
import type { Inflate } from "../MessageAssembler.js"
import type { MessagePart } from "../MessagePart.js"
import type { DataReader } from "./DataReader.js"
import type { GrowingBuffer } from "./GrowingBuffer.js"

/** The connection whose input is decoded. */
export interface InboundHost {
  readonly compressor: Compressor | undefined
  onHeader(inbound: Inbound, header: FrameHeader): Violation | undefined
  onPayload(inbound: Inbound, chunk: Uint8Array, start: number, end: number, final: boolean): Violation | undefined
}

type Reader = DataReader<Message | MessagePart | FrameReceived>

/** Decodes the input of one connection, as long as a frame or a message is under way. Then it can serve another connection. */
export class Inbound implements FrameVisitor {
  readonly decoder: FrameDecoder
  readonly reader: Reader
  /** Whether there is data among the events of the current chunk, and whether that chunk may be kept. */
  delivered = false
  owned = false
  /** The payload of a control frame that does not arrive whole. */
  controlPayload: GrowingBuffer | undefined = undefined
  private host: InboundHost | undefined = undefined

  constructor(options: Options, makeReader: (inflate: Inflate) => Reader) {
    this.decoder = new FrameDecoder(options, this)
    // Only a connection with a compressor accepts a compressed message.
    this.reader = makeReader((bytes, start, end, maxBytes) =>
      this.host!.compressor!.inflate(bytes, start, end, maxBytes)
    )
  }

  decode(host: InboundHost, chunk: Uint8Array, owned: boolean): Violation | undefined {
    this.host = host
    this.owned = owned
    this.delivered = false
    return this.decoder.decode(chunk)
  }

  onHeader(header: FrameHeader): Violation | undefined {
    return this.host?.onHeader(this, header)
  }

  onPayload(chunk: Uint8Array, start: number, end: number, final: boolean): Violation | undefined {
    return this.host?.onPayload(this, chunk, start, end, final)
  }

  /** Whether a frame or a message has begun and has not ended. */
  get started(): boolean {
    return this.decoder.started || this.reader.started
  }

  forgetHost(): void {
    this.host = undefined
  }
}
