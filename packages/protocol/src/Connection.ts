/**
 * The state machine of an open connection (RFC 6455 §5–§8): bytes in, events and bytes out. It owns no I/O, no clock and
 * no randomness, and nothing that a peer sends makes it throw.
 *
 * The edge feeds it every chunk (`receive`), writes what it wants to send (`takeOutput`), half-closes the transport when
 * `outputEnded`, and gives up after a time of its own choosing while `closeExpected`.
 *
 * @since 0.1.0
 */
import * as CloseCode from "./CloseCode.js"
import { Compressor, type Deflation, type Options as CompressorOptions } from "./Compressor.js"
import {
  closeCodeOf,
  localProtocolError,
  ProtocolError,
  type ConnectionError,
  type Endpoint,
  type PayloadTooLarge
} from "./Errors.js"
import { Frame, FrameReceived, rsv1 } from "./Frame.js"
import { FrameDecoder, type FrameHeader, type FrameVisitor, type Role, type Violation } from "./FrameDecoder.js"
import { ClosingHandshake, reasonFor } from "./internal/ClosingHandshake.js"
import type { DataReader } from "./internal/DataReader.js"
import { copyOf, GrowingBuffer, mayView } from "./internal/GrowingBuffer.js"
import { makeReader } from "./internal/makeReader.js"
import { positiveInteger } from "./internal/positiveInteger.js"
import { Sender } from "./internal/Sender.js"
import { toBytes } from "./internal/toBytes.js"
import { toMessage } from "./internal/toMessage.js"
import { isTagged, tag } from "./internal/typeId.js"
import type { Message } from "./Message.js"
import type { MessagePart } from "./MessagePart.js"
import * as Opcode from "./Opcode.js"

/**
 * What marks a connection, whichever copy of this package made it.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("@effect-websocket/protocol/Connection")

/**
 * The type of `TypeId`.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * What a peer may make this endpoint hold. Bytes, except for the two counts.
 *
 * - `maxMessageBytes`: the largest message. Default 1 MiB; at most 536,870,888, the longest string there can be.
 * - `maxFrameBytes`: the largest payload of one frame. Default: none besides `maxMessageBytes`.
 * - `maxFragments`: the largest number of frames in one message; empty ones count. Default 1,024.
 * - `maxBufferedControlFrames`: how many pongs wait to be taken; beyond it only the newest ping is answered
 *   (RFC 6455 §5.5.3). Default 32.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  readonly maxMessageBytes: number
  readonly maxFrameBytes: number
  readonly maxFragments: number
  readonly maxBufferedControlFrames: number
}

/**
 * The limits of a connection that is made without any.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultLimits: Limits = {
  maxMessageBytes: 1024 * 1024,
  maxFrameBytes: Number.MAX_SAFE_INTEGER,
  maxFragments: 1024,
  maxBufferedControlFrames: 32
}

/**
 * Limits with the defaults filled in. Throws a `RangeError` for those that make no sense, which is what `make` does with
 * them too: for who has options before there is a connection.
 *
 * @since 0.1.0
 * @category constructors
 */
export const resolveLimits = (limits: Partial<Limits> = {}): Limits => {
  const value = (name: keyof Limits, max: number) =>
    positiveInteger(`limits.${name}`, limits[name] ?? defaultLimits[name], max)
  return {
    maxMessageBytes: value("maxMessageBytes", maxStringLength),
    maxFrameBytes: value("maxFrameBytes", Number.MAX_SAFE_INTEGER),
    maxFragments: value("maxFragments", Number.MAX_SAFE_INTEGER),
    maxBufferedControlFrames: value("maxBufferedControlFrames", Number.MAX_SAFE_INTEGER)
  }
}

/**
 * What a connection delivers.
 *
 * - `"messages"`: each message, once it has ended.
 * - `"streams"`: each part of a message, as it arrives. No limit of messages applies, because nothing is held, except to
 *   messages that are compressed: they are one part.
 * - `"frames"`: each frame, control frames included. `limits.maxMessageBytes` bounds it as `limits.maxFrameBytes` does.
 *
 * @since 0.1.0
 * @category models
 */
export type Delivery = "messages" | "streams" | "frames"

/**
 * How a connection is made.
 *
 * - `role`: which side this endpoint is. A `"client"` needs `maskKey`: a source of unpredictable 32-bit integers
 *   (RFC 6455 §10.3).
 * - `limits`: those that differ from `defaultLimits`.
 * - `maxFrameSize`: the largest payload of a frame that is sent, in bytes: a larger message is fragmented. Default: none.
 * - `maxSendBytes`: the most data that one call of `send`, `sendFragment` or `sendFrame` takes, in bytes before compression. More
 *   is refused with an outbound `PayloadTooLarge`, nothing is sent, and the connection goes on. Default: any amount.
 * - `maxCopiedBytes`: the largest binary payload that a server copies when it is sent; the bytes of a larger one must stay
 *   as they are until they were written. Default 64 KiB. A client always copies, because it masks.
 * - `compression`: what was agreed on for permessage-deflate, and what deflates. Default: nothing, and RSV1 is a violation.
 *   With the delivery `"frames"` there must be none.
 * - `delivery`: what `receive` returns of data. Default `"messages"`.
 * - `recordFrames`: with `"messages"`, whether `Message.frames` tells in which frames a message came. They are held besides the
 *   message, for as long as it is. Default `false`.
 * - `rsv`, `opcodes`: with `"frames"`, the reserved bits of data frames (as in `Frame.rsv`) and the reserved opcodes that may be
 *   received and sent, because the app gives them a meaning. A text message with a reserved bit need not be UTF-8. Default: none,
 *   so that all of them are violations.
 * - `answerPings`: whether pings are answered. Default `true`.
 * - `answerClose`: whether the peer's Close is answered. Otherwise it has no effect until `close` is called, or the input
 *   ends. Default `true`.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = {
  readonly limits?: Partial<Limits> | undefined
  readonly maxFrameSize?: number | undefined
  readonly maxSendBytes?: number | undefined
  readonly maxCopiedBytes?: number | undefined
  readonly compression?: CompressorOptions | undefined
  readonly delivery?: Delivery | undefined
  readonly recordFrames?: boolean | undefined
  readonly rsv?: number | undefined
  readonly opcodes?: ReadonlyArray<number> | undefined
  readonly answerPings?: boolean | undefined
  readonly answerClose?: boolean | undefined
} & ({ readonly role: "server" } | { readonly role: "client"; readonly maskKey: () => number })

/**
 * A ping arrived; it is answered already, unless `answerPings` is off. The bytes belong to whoever handles the event.
 *
 * @since 0.1.0
 * @category models
 */
export class PingReceived {
  /** @since 0.1.0 */
  readonly _tag = "Ping"
  /** @since 0.1.0 */
  readonly data: Uint8Array
  constructor(data: Uint8Array) {
    this.data = data
  }
}

/**
 * A pong arrived, asked for or not.
 *
 * @since 0.1.0
 * @category models
 */
export class PongReceived {
  /** @since 0.1.0 */
  readonly _tag = "Pong"
  /** @since 0.1.0 */
  readonly data: Uint8Array
  constructor(data: Uint8Array) {
    this.data = data
  }
}

/**
 * Nothing more will be received. The last event of every connection; there is exactly one.
 *
 * @since 0.1.0
 * @category models
 */
export class Ended {
  /** @since 0.1.0 */
  readonly _tag = "Ended"
  /** @since 0.1.0 */
  readonly error: ConnectionError
  constructor(error: ConnectionError) {
    this.error = error
  }
}

/**
 * What happened, in order.
 *
 * @since 0.1.0
 * @category models
 */
export type Event = Message | MessagePart | FrameReceived | PingReceived | PongReceived | Ended

/**
 * Why something was not sent. A `ProtocolError` is local and a `PayloadTooLarge` outbound, unless the connection ended
 * with one: then it is the remembered error of the connection.
 *
 * @since 0.1.0
 * @category models
 */
export type SendError = ConnectionError

/**
 * How the closing handshake went so far. `clean`: both Close frames were exchanged and nothing was violated.
 *
 * @since 0.1.0
 * @category models
 */
export interface CloseStatus {
  readonly sent: CloseCode.CloseReason | undefined
  readonly received: CloseCode.CloseReason | undefined
  readonly initiator: Endpoint | undefined
  readonly clean: boolean
}

/**
 * - `Open`: messages go both ways.
 * - `Closing`: a Close was sent, so nothing more is; the peer's Close or the end of its input is awaited.
 * - `Closed`: nothing goes either way.
 *
 * @since 0.1.0
 * @category models
 */
export type Phase = "Open" | "Closing" | "Closed"

/**
 * An open connection. All methods are synchronous and none throws for what a peer does. A method throws a `TypeError` for an
 * argument of a wrong type, such as a message whose data is a number, and sends nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  readonly [TypeId]: TypeId
  readonly role: Role
  readonly limits: Limits
  /** The largest payload of a frame that is sent, in bytes; 2^53 - 1 if there is none. */
  readonly maxFrameSize: number
  /** The most data that one call takes, in bytes; 2^53 - 1 if there is no limit. */
  readonly maxSendBytes: number
  readonly phase: Phase

  /**
   * Takes bytes that arrived and returns what they mean, in a fresh array. What came before a violation or a Close is
   * returned before it; see `unsettled`.
   *
   * With `owned` the chunk belongs to the connection from now on: it may be changed, and payloads may be views of it.
   * Without, it is neither changed nor kept.
   */
  receive(chunk: Uint8Array, owned?: boolean): ReadonlyArray<Event>

  /** Whether a payload that the last `receive` returned may be a view of its chunk, where that was owned. */
  readonly keepsChunk: boolean

  /**
   * A Close or a violation arrived behind messages that `receive` has just returned, and has no effect yet, so that the
   * app can still answer them. The edge calls `settle` when it did, or when it will not wait any longer.
   */
  readonly unsettled: boolean

  /** Lets the Close or violation that waits take effect. Without one, nothing happens. */
  settle(): ReadonlyArray<Event>

  /** The peer sends no more bytes. Idempotent. */
  receiveEof(): ReadonlyArray<Event>

  /** Whether a frame or a message has begun to arrive and has not ended. */
  readonly receiving: boolean

  /** How many bytes are held of frames and messages that have not ended. */
  readonly heldBytes: number

  /** Why nothing can be sent; `undefined` while it can. */
  readonly refusal: ConnectionError | undefined

  /**
   * Encodes a message. A binary payload is never changed; see `maxCopiedBytes` for when it is not copied either. Where
   * compression was agreed on, `compress` has the last word on whether the message is deflated; without it, the threshold
   * and the filter decide. `maxFrameSize` replaces that of the connection for this message; a `RangeError` is thrown if it is not a
   * positive integer.
   *
   * The error is the connection's once that is closing or over, a local `ProtocolError` inside a fragmented message, or an
   * outbound `PayloadTooLarge` above `maxSendBytes`.
   */
  send(message: Message, compress?: boolean, maxFrameSize?: number): SendError | undefined

  /**
   * Whether `send` would deflate this message. Asks the threshold and the filter, unless `compress` decides.
   */
  compresses(message: Message, compress?: boolean): boolean

  /**
   * What `send` would deflate for this message, for an edge that deflates it elsewhere; `undefined` where nothing. It holds
   * until another message is sent.
   */
  deflation(message: Message, compress?: boolean): Deflation | undefined

  /**
   * Encodes a message that was deflated elsewhere. `undefined` stands for a result that is larger than the message. Fails
   * as `send` does, and takes `maxFrameSize` as it does.
   */
  sendDeflated(deflation: Deflation, deflated: Uint8Array | undefined, maxFrameSize?: number): SendError | undefined

  /**
   * Encodes the next part of a message whose length is not known yet; `fin` ends it. The first part decides between text
   * and binary. Until it has ended, `send` is refused (RFC 6455 §5.4), and a part of a message that `sendFrame` began. It is
   * not compressed. A part above `maxSendBytes` is refused with an outbound `PayloadTooLarge`.
   */
  sendFragment(data: string | Uint8Array, fin: boolean): SendError | undefined

  /**
   * Encodes a frame. Whether it is masked is decided by the role. A Close begins, or answers, the closing handshake.
   *
   * The error is the connection's once that is closing or over, a local `ProtocolError` for a frame that may not travel
   * here (its opcode, a reserved bit, its place in a fragmented message, a text that is not UTF-8, the code of a Close), or
   * an outbound `PayloadTooLarge` for a control frame of more than 125 bytes and above `maxSendBytes`.
   */
  sendFrame(frame: Frame): SendError | undefined

  /**
   * Encodes a ping of at most 125 bytes. The error is the connection's once that is closing or over, or an outbound
   * `PayloadTooLarge`.
   */
  ping(data?: Uint8Array): SendError | undefined

  /** Encodes an unsolicited pong of at most 125 bytes. The errors are those of `ping`. */
  pong(data?: Uint8Array): SendError | undefined

  /**
   * Begins the closing handshake. Idempotent: without effect unless `Open`. Without a code the Close is empty.
   *
   * The error is a local `ProtocolError` for a code that may not be sent, or an outbound `PayloadTooLarge` for a reason of
   * more than 123 bytes.
   */
  close(code?: number, reason?: string): ProtocolError | PayloadTooLarge | undefined

  /** Gives up, with a Close of `code`: nothing more is received, and `error` is the connection's. */
  fail(code: number, error: ConnectionError): ReadonlyArray<Event>

  /** The transport is gone. `error` becomes the connection's unless it has one. */
  abort(error: ConnectionError): ReadonlyArray<Event>

  /** How many bytes wait to be taken. */
  readonly outputBytes: number

  /**
   * The bytes to write now, in order. They stay as they are until `recycleOutput`; without that call, for good.
   */
  takeOutput(): ReadonlyArray<Uint8Array>

  /** The bytes of the last `takeOutput` are not needed any more, so their memory may be used again. */
  recycleOutput(): void

  /** Once everything is taken, nothing more will be sent: half-close the transport. */
  readonly outputEnded: boolean

  /** The peer owes a Close or the end of its input; how long to wait is the edge's to say. */
  readonly closeExpected: boolean

  /** The first terminal error; all that is sent later fails with it. */
  readonly error: ConnectionError | undefined
  readonly closeStatus: CloseStatus
}

/**
 * An open connection, after its opening handshake.
 *
 * Throws a `RangeError` for options that make no sense: those are the programmer's, not the peer's.
 *
 * @example
 * ```ts
 * import * as Connection from "@effect-websocket/protocol/Connection"
 * import * as Message from "@effect-websocket/protocol/Message"
 *
 * const client = Connection.make({ role: "client", maskKey: () => 0x12345678 })
 * const server = Connection.make({ role: "server" })
 *
 * client.send(Message.text("hello"))
 * for (const bytes of client.takeOutput()) console.log(server.receive(bytes)) // [ Text { data: "hello" } ]
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Connection => new ConnectionImpl(options)

/**
 * Whether a value is a connection.
 *
 * @since 0.1.0
 * @category guards
 */
export const isConnection = (u: unknown): u is Connection => isTagged(u, TypeId)

const noStatus = CloseCode.fromName("NoStatusReceived")

const noEvents: ReadonlyArray<Event> = Object.freeze([])
const emptyPayload = new Uint8Array(0)
// In place of an array for each connection: nothing is added while no chunk is decoded.
const betweenChunks: Array<Event> = []

/** Reads no more, and holds nothing. */
const nothing: DataReader<never> = {
  begin: () => undefined,
  payload: () => undefined,
  started: false,
  heldBytes: 0
}

// Longer strings do not exist in V8, and no other engine goes much further.
const maxStringLength = 0x1fffffe8

class ConnectionImpl implements Connection, FrameVisitor {
  declare readonly [TypeId]: TypeId
  readonly role: Role
  readonly limits: Limits
  phase: Phase = "Open"
  error: ConnectionError | undefined = undefined
  outputEnded = false
  keepsChunk = false

  private readonly decoder: FrameDecoder
  private reader: DataReader<Message | MessagePart | FrameReceived>
  private readonly framed: boolean
  private readonly answersPings: boolean
  private readonly answersClose: boolean
  private readonly compressor: Compressor | undefined
  private readonly sender: Sender

  // Inbound: the events of the current `receive`, and whether its chunk may be kept.
  private events: Array<Event> = betweenChunks
  private delivered = false
  private owned = false
  private controlPayload: GrowingBuffer | undefined = undefined
  private pending: Violation | CloseCode.CloseReason | undefined = undefined
  private inputEnded = false

  private readonly closing = new ClosingHandshake()

  constructor(options: Options) {
    this.role = options.role
    this.limits = resolveLimits(options.limits)
    const { maxFrameBytes, maxMessageBytes } = this.limits
    const { delivery, opcodes = [], rsv = 0 } = options
    this.framed = delivery === "frames"
    if (!this.framed && (rsv !== 0 || opcodes.length > 0)) {
      throw new RangeError('rsv and opcodes are for the delivery "frames" only')
    }
    this.answersPings = options.answerPings ?? true
    this.answersClose = options.answerClose ?? true
    const compressor = options.compression === undefined ? undefined : new Compressor(options.compression)
    this.compressor = compressor
    this.sender = new Sender(options, this.limits.maxBufferedControlFrames, compressor)
    this.decoder = new FrameDecoder(
      {
        role: options.role,
        maxFrameBytes: this.framed ? Math.min(maxFrameBytes, maxMessageBytes) : maxFrameBytes,
        rsv: compressor === undefined ? rsv : rsv1,
        opcodes
      },
      this
    )
    this.reader = makeReader(options, this.limits, compressor)
  }

  get maxFrameSize(): number {
    return this.sender.maxFrameSize
  }

  get maxSendBytes(): number {
    return this.sender.maxSendBytes
  }

  receive(chunk: Uint8Array, owned = false): ReadonlyArray<Event> {
    if (this.inputEnded || this.pending !== undefined) return noEvents
    const events: Array<Event> = []
    this.events = events
    this.delivered = false
    this.keepsChunk = false
    // A client's input is not masked, so nothing is unmasked in place and a borrowed chunk can be read where it is.
    const mustCopy = !owned && this.role === "server"
    this.owned = owned || mustCopy
    const bytes = toBytes(chunk, "A chunk")
    const violation = this.decoder.decode(mustCopy ? copyOf(bytes, 0, bytes.length) : bytes)
    if (violation !== undefined) this.pending = violation
    if (this.unsettled && (!this.delivered || this.phase !== "Open")) this.settleInto(events)
    this.events = betweenChunks
    return events
  }

  onHeader(header: FrameHeader): Violation | undefined {
    return Opcode.isControl(header.opcode) ? undefined : this.reader.begin(header)
  }

  onPayload(chunk: Uint8Array, start: number, end: number, final: boolean): Violation | undefined {
    const { length, opcode } = this.decoder
    if (Opcode.isControl(opcode)) return this.onControlPayload(opcode, length, chunk, start, end, final)
    const result = this.reader.payload(chunk, start, end, final, this.owned)
    if (result === undefined) return undefined
    if (result._tag === "Protocol_error" || result._tag === "Payload_too_large") return result
    this.delivered = true
    if (mayView(end - start, chunk.length)) this.keepsChunk = true
    this.events.push(result)
    return undefined
  }

  private onControlPayload(
    opcode: number,
    length: number,
    chunk: Uint8Array,
    start: number,
    end: number,
    final: boolean
  ): Violation | undefined {
    let payload: Uint8Array
    if (final && end - start === length) {
      payload = copyOf(chunk, start, end)
    } else {
      const held = (this.controlPayload ??= new GrowingBuffer())
      held.append(chunk, start, end, length, length)
      if (!final) return undefined
      payload = held.take()
    }
    if (this.framed) {
      this.delivered = true
      const masked = this.role === "server"
      this.events.push(new FrameReceived(new Frame(true, 0, opcode, masked, payload.slice())))
    }
    switch (opcode) {
      case Opcode.Ping:
        if (this.answersPings && this.phase === "Open") this.sender.answerPing(payload)
        this.events.push(new PingReceived(payload))
        return undefined
      case Opcode.Pong:
        this.events.push(new PongReceived(payload))
        return undefined
      case Opcode.Close: {
        const reason = CloseCode.decodePayload(payload)
        if (reason instanceof ProtocolError) return reason
        // RFC 6455 §5.5.1: what comes after a Close is ignored.
        this.pending = reason
        this.decoder.stop()
        return undefined
      }
      default:
        // A reserved one, which the app asked for.
        return undefined
    }
  }

  get receiving(): boolean {
    return this.decoder.started || this.reader.started
  }

  get heldBytes(): number {
    return this.reader.heldBytes
  }

  get unsettled(): boolean {
    if (this.pending === undefined) return false
    // The app answers the Close, and until then it waits.
    return this.answersClose || this.phase !== "Open" || "_tag" in this.pending
  }

  settle(): ReadonlyArray<Event> {
    if (!this.unsettled) return noEvents
    const events: Array<Event> = []
    this.settleInto(events)
    return events
  }

  private settleInto(events: Array<Event>): void {
    const pending = this.pending
    if (pending === undefined) return
    this.pending = undefined
    if ("_tag" in pending) {
      // What a peer breaks in frames always has a code.
      this.failInto(events, closeCodeOf(pending)!, pending)
    } else {
      this.receiveClose(events, pending)
    }
  }

  /** RFC 6455 §7.1.3: the first Close, sent or received, starts the closing handshake; the second one completes it. */
  private receiveClose(events: Array<Event>, received: CloseCode.CloseReason): void {
    const { closing } = this
    closing.received = received
    if (closing.sent === undefined) {
      closing.initiator = "remote"
      // §5.5.1: the answer echoes the code.
      if (this.answersClose) this.writeClose(received.code === noStatus ? undefined : received.code, "")
    }
    // §7.1.1: the server ends TCP first; a client waits for it.
    if (this.role === "server") this.outputEnded = true
    this.end(events, closing.closed(received))
  }

  receiveEof(): ReadonlyArray<Event> {
    if (this.phase === "Closed") return noEvents
    const events: Array<Event> = []
    this.settleInto(events)
    if (!this.inputEnded) this.end(events, this.closing.dropped())
    this.outputEnded = true
    this.phase = "Closed"
    return events
  }

  fail(code: number, error: ConnectionError): ReadonlyArray<Event> {
    if (this.phase === "Closed") return noEvents
    const events: Array<Event> = []
    this.settleInto(events)
    this.failInto(events, code, error)
    return events
  }

  /** RFC 6455 §7.1.7: send a Close, process nothing more, end TCP. */
  private failInto(events: Array<Event>, code: number, error: ConnectionError): void {
    this.outputEnded = true
    let reported = error
    if (this.closing.sent === undefined) {
      this.closing.initiator ??= "local"
      this.writeClose(code, reasonFor(error))
    } else if (error._tag === "Protocol_error") {
      // A Close was sent before, and there is only one.
      const { description, origin, section } = error
      reported = new ProtocolError({ origin, description, section, closeCode: undefined })
    }
    this.end(events, reported)
  }

  abort(error: ConnectionError): ReadonlyArray<Event> {
    if (this.phase === "Closed") return noEvents
    const events: Array<Event> = []
    this.settleInto(events)
    this.end(events, error)
    this.phase = "Closed"
    this.outputEnded = true
    return events
  }

  private end(events: Array<Event>, error: ConnectionError): void {
    this.decoder.stop()
    this.phase = "Closing"
    if (this.inputEnded) return
    this.inputEnded = true
    this.reader = nothing
    this.error = error
    events.push(new Ended(error))
  }

  send(given: Message, compress?: boolean, maxFrameSize = this.maxFrameSize): SendError | undefined {
    const message = toMessage(given)
    if (maxFrameSize !== this.maxFrameSize) positiveInteger("maxFrameSize", maxFrameSize)
    return this.refusal ?? this.sender.send(message, compress, maxFrameSize)
  }

  compresses(given: Message, compress?: boolean): boolean {
    return this.compressor?.compresses(toMessage(given), compress) ?? false
  }

  deflation(given: Message, compress?: boolean): Deflation | undefined {
    return this.compressor?.deflation(toMessage(given), compress)
  }

  sendDeflated(
    deflation: Deflation,
    deflated: Uint8Array | undefined,
    maxFrameSize = this.maxFrameSize
  ): SendError | undefined {
    if (maxFrameSize !== this.maxFrameSize) positiveInteger("maxFrameSize", maxFrameSize)
    return this.refusal ?? this.sender.sendDeflated(deflation, deflated, maxFrameSize)
  }

  sendFragment(given: string | Uint8Array, fin: boolean): SendError | undefined {
    const data = typeof given === "string" ? given : toBytes(given, "A part of a message")
    return this.refusal ?? this.sender.sendFragment(data, fin)
  }

  sendFrame({ fin, opcode, payload: given, rsv }: Frame): SendError | undefined {
    const payload = toBytes(given, "The payload of a frame")
    const refused = this.refusal ?? this.sender.refuseFrame(opcode, fin, rsv)
    if (refused !== undefined) return refused
    if (!Opcode.isControl(opcode)) return this.sender.sendDataFrame(opcode, payload, fin, rsv)
    if (opcode !== Opcode.Close) return this.sender.sendControl(opcode, payload)
    const reason = CloseCode.decodePayload(payload)
    if (reason instanceof ProtocolError) return localProtocolError(reason.description, reason.section)
    return this.close(reason.code === noStatus ? undefined : reason.code, reason.reason)
  }

  ping(data: Uint8Array = emptyPayload): SendError | undefined {
    return this.sendControl(Opcode.Ping, data)
  }

  pong(data: Uint8Array = emptyPayload): SendError | undefined {
    return this.sendControl(Opcode.Pong, data)
  }

  private sendControl(opcode: number, given: Uint8Array): SendError | undefined {
    const data = toBytes(given, "The data of a control frame")
    return this.refusal ?? this.sender.sendControl(opcode, data)
  }

  close(code?: number, reason = ""): ProtocolError | PayloadTooLarge | undefined {
    if (this.phase !== "Open") return undefined
    const payload = CloseCode.encodePayload(code, reason)
    if (!(payload instanceof Uint8Array)) return payload
    const { pending } = this
    // A violation of the peer's that waits has a code of its own.
    if (pending !== undefined && "_tag" in pending) return undefined
    this.closing.initiator = pending === undefined ? "local" : "remote"
    this.writeClose(code, reason)
    this.phase = "Closing"
    return undefined
  }

  get refusal(): ConnectionError | undefined {
    if (this.phase === "Open") return undefined
    // Without an error, a Close was sent and is not answered yet.
    return this.error ?? this.closing.unanswered()
  }

  get outputBytes(): number {
    return this.sender.writer.output.size
  }

  takeOutput(): ReadonlyArray<Uint8Array> {
    return this.sender.takeOutput()
  }

  recycleOutput(): void {
    this.sender.writer.output.recycle()
  }

  get closeExpected(): boolean {
    return this.phase === "Closing"
  }

  get closeStatus(): CloseStatus {
    return this.closing.status
  }

  private writeClose(code: number | undefined, reason: string): void {
    const payload = CloseCode.encodePayload(code, reason)
    if (!(payload instanceof Uint8Array)) return this.writeClose(undefined, "")
    this.closing.sent = { code: code ?? noStatus, reason }
    this.sender.sendClose(payload)
  }
}

tag(ConnectionImpl, TypeId)
