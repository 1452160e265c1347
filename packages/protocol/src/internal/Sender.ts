import { byteLength } from "#utf8"
import type { Compressor, Deflation } from "../Compressor.js"
import { localProtocolError, PayloadTooLarge, type LimitName, type ProtocolError } from "../Errors.js"
import { rsv1 } from "../Frame.js"
import type { Role } from "../FrameDecoder.js"
import type { Message } from "../Message.js"
import * as Opcode from "../Opcode.js"
import { FragmentedMessage } from "./FragmentedMessage.js"
import { FrameWriter, maxPooledPayloadBytes } from "./FrameWriter.js"
import { copyOf } from "./GrowingBuffer.js"
import { positiveInteger } from "./positiveInteger.js"

const maxControlPayloadBytes = 125

const defaultMaxCopiedBytes = 64 * 1024
const noOpcodes: ReadonlyArray<number> = []

/** The part of `Connection.Options` that concerns sending. */
export interface Options {
  readonly role: Role
  readonly maskKey?: (() => number) | undefined
  readonly maxFrameSize?: number | undefined
  readonly maxSendBytes?: number | undefined
  readonly maxCopiedBytes?: number | undefined
  readonly rsv?: number | undefined
  readonly opcodes?: ReadonlyArray<number> | undefined
}

/** What one connection sends, as long as it has output or a message is under way: checks messages, fragments and frames against the rules and limits, and writes them. */
export class Sender extends FrameWriter {
  // `undefined` if there is no limit, because each number that is not a small integer takes memory of its own.
  private readonly frameLimit: number | undefined
  private readonly sendLimit: number | undefined
  private readonly maxBufferedPongs: number
  private readonly rsv: number
  private readonly opcodes: ReadonlyArray<number>
  // Made on first use: most apps send whole messages.
  private fragmented: FragmentedMessage | undefined = undefined
  private bufferedPongs = 0
  private newestPing: Uint8Array | undefined = undefined

  constructor(options: Options, maxBufferedPongs: number) {
    const { maxCopiedBytes = defaultMaxCopiedBytes, opcodes = noOpcodes } = options
    super(options.role === "client" ? options.maskKey : undefined, positiveInteger("maxCopiedBytes", maxCopiedBytes))
    const { maxFrameSize, maxSendBytes } = options
    this.frameLimit = maxFrameSize === undefined ? undefined : positiveInteger("maxFrameSize", maxFrameSize)
    this.sendLimit = maxSendBytes === undefined ? undefined : positiveInteger("maxSendBytes", maxSendBytes)
    this.maxBufferedPongs = maxBufferedPongs
    this.rsv = options.rsv ?? 0
    this.opcodes = opcodes.length === 0 ? noOpcodes : [...opcodes]
  }

  get maxFrameSize(): number {
    return this.frameLimit ?? Number.MAX_SAFE_INTEGER
  }

  get maxSendBytes(): number {
    return this.sendLimit ?? Number.MAX_SAFE_INTEGER
  }

  send(message: Message, maxFrameSize: number) {
    const refused = this.refuseMessage(message.data)
    if (refused === undefined) this.message(message, maxFrameSize)
    return refused
  }

  /** `compressor` made the deflation. */
  sendDeflated(compressor: Compressor, deflation: Deflation, deflated: Uint8Array | undefined, maxFrameSize: number) {
    const refused = this.refuseMessage(deflation.data)
    if (refused !== undefined) return refused
    const { message } = deflation
    const payload = compressor.finish(deflation, deflated)
    if (payload === undefined) this.message(message, maxFrameSize)
    else this.data(message._tag === "Text" ? Opcode.Text : Opcode.Binary, payload, true, rsv1, maxFrameSize)
    return undefined
  }

  sendFragment(data: string | Uint8Array, fin: boolean): ProtocolError | PayloadTooLarge | undefined {
    const opcode = typeof data === "string" ? Opcode.Text : Opcode.Binary
    const fragmented = (this.fragmented ??= new FragmentedMessage())
    const refused = this.refuseSize("frame", data) ?? fragmented.refusePart(opcode)
    if (refused !== undefined) return refused
    const next = fragmented.underWay ? Opcode.Continuation : opcode
    this.data(next, fragmented.addPart(opcode, data, fin), fin, 0, this.maxPartSize)
    return undefined
  }

  /** A masked part is copied into a shared block, so that a message of any length takes no memory of its own. */
  private get maxPartSize(): number {
    return this.masks ? Math.min(this.maxFrameSize, maxPooledPayloadBytes) : this.maxFrameSize
  }

  /** Why a frame may never be sent on this connection, whatever was sent before it. */
  refuseFrame(opcode: number, fin: boolean, rsv: number): ProtocolError | undefined {
    if (!Number.isInteger(rsv) || (rsv & ~this.rsv) !== 0) {
      return localProtocolError("A reserved bit is set that no extension gave a meaning", "RFC 6455 §5.2")
    }
    if (!Opcode.isOpcode(opcode) && !this.opcodes.includes(opcode)) {
      return localProtocolError(
        `The opcode ${opcode} is neither defined nor in the option \`opcodes\``,
        "RFC 6455 §5.2"
      )
    }
    if (!Opcode.isControl(opcode)) return undefined
    if (!fin) return localProtocolError("A control frame is fragmented", "RFC 6455 §5.5")
    return rsv === 0 ? undefined : localProtocolError("A control frame has a reserved bit set", "RFC 7692 §6.1")
  }

  sendDataFrame(opcode: number, payload: Uint8Array, fin: boolean, rsv: number) {
    const fragmented = (this.fragmented ??= new FragmentedMessage())
    const refused = this.refuseSize("frame", payload) ?? fragmented.addFrame(opcode, payload, fin, rsv)
    if (refused !== undefined) return refused
    this.frame(opcode, payload, 0, payload.length, fin, rsv)
    return undefined
  }

  sendControl(opcode: number, data: Uint8Array): PayloadTooLarge | undefined {
    if (data.length > maxControlPayloadBytes) {
      return new PayloadTooLarge({
        limit: "controlPayload",
        max: maxControlPayloadBytes,
        size: data.length,
        direction: "outbound"
      })
    }
    this.frame(opcode, data, 0, data.length, true)
    return undefined
  }

  /** Writes a Close, behind a pong that waits: nothing may follow a Close. */
  sendClose(payload: Uint8Array): void {
    this.answerNewestPing()
    this.frame(Opcode.Close, payload, 0, payload.length, true)
  }

  answerPing(payload: Uint8Array): void {
    if (this.bufferedPongs < this.maxBufferedPongs) {
      this.bufferedPongs++
      this.frame(Opcode.Pong, payload, 0, payload.length, true)
    } else {
      // §5.5.3: a pong may answer only the most recent ping. Copied, because the payload belongs to the event.
      this.newestPing = copyOf(payload, 0, payload.length)
    }
  }

  /** Whether it holds nothing of the connection, so that it can serve another one. */
  get isIdle(): boolean {
    return this.outputBytes === 0 && !this.behind && this.fragmented?.underWay !== true
  }

  get outputBytes(): number {
    const { newestPing, size } = this
    return newestPing === undefined ? size : size + this.frameBytes(newestPing.length)
  }

  takeOutput(): ReadonlyArray<Uint8Array> {
    this.answerNewestPing()
    this.bufferedPongs = 0
    return this.take()
  }

  private answerNewestPing(): void {
    const payload = this.newestPing
    if (payload === undefined) return
    this.newestPing = undefined
    this.frame(Opcode.Pong, payload, 0, payload.length, true)
  }

  /** Why a message may not begin now. */
  refuseMessage(data: string | Uint8Array): ProtocolError | PayloadTooLarge | undefined {
    return this.fragmented?.underWay === true
      ? localProtocolError("A message cannot begin inside a fragmented one", "RFC 6455 §5.4")
      : this.refuseSize("message", data)
  }

  private refuseSize(limit: LimitName, data: string | Uint8Array): PayloadTooLarge | undefined {
    const max = this.maxSendBytes
    // A UTF-16 unit takes at most three bytes.
    if ((typeof data === "string" ? data.length * 3 : data.length) <= max) return undefined
    const size = typeof data === "string" ? byteLength(data) : data.length
    return size > max ? new PayloadTooLarge({ limit, max, size, direction: "outbound" }) : undefined
  }
}
