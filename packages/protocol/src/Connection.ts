/**
 * The state machine of an open connection (RFC 6455 §5–§8): bytes in, events and bytes out. It has no I/O, no clock
 * and no randomness. Nothing that a peer sends makes it throw.
 *
 * The caller connects it to a transport: it passes every chunk to `receive`, writes the bytes of `takeOutput`, and
 * half-closes the transport once `outputEnded` is true. While `closeExpected` is true, it runs a timeout of its own.
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
import { Frame, FrameReceived } from "./Frame.js"
import type { FrameHeader, Role, Violation } from "./FrameDecoder.js"
import { ClosingHandshake, reasonFor } from "./internal/ClosingHandshake.js"
import { configOf, type ConnectionConfig } from "./internal/ConnectionConfig.js"
import { copyOf, GrowingBuffer, mayView } from "./internal/GrowingBuffer.js"
import type { Inbound, InboundHost } from "./internal/Inbound.js"
import { isViewOf } from "./internal/isViewOf.js"
import * as memory from "./internal/memory.js"
import type { Sender } from "./internal/Sender.js"
import { toBytes } from "./internal/toBytes.js"
import { toMessage } from "./internal/toMessage.js"
import { positiveInteger } from "./internal/positiveInteger.js"
import { isTagged, tag } from "./internal/typeId.js"
import type { Limits } from "./Limits.js"
import { keep, type Message } from "./Message.js"
import type { MessagePart } from "./MessagePart.js"
import * as Opcode from "./Opcode.js"

/**
 * The symbol that marks a connection. It is the same in every copy of this package.
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
 * Limits on what a peer may make this endpoint hold in memory; see `Limits`.
 *
 * @since 0.1.0
 * @category models
 */
export { defaultLimits, resolveLimits, type Limits } from "./Limits.js"

/**
 * What `receive` returns for data frames.
 *
 * - `"messages"`: each message, once it is complete.
 * - `"streams"`: each part of a message, as it arrives. Limits of messages do not apply, because no message is held.
 *   The exception is a compressed message: it is held, limited and delivered as one part.
 * - `"frames"`: each frame, control frames included. Both `limits.maxFrameBytes` and `limits.maxMessageBytes` limit a
 *   frame.
 *
 * @since 0.1.0
 * @category models
 */
export type Delivery = "messages" | "streams" | "frames"

/**
 * The options of a connection.
 *
 * - `role`: which side this endpoint is. A `"client"` needs `maskKey`, a source of unpredictable 32-bit integers (RFC
 *   6455 §10.3), such as `Mask.keys`.
 * - `limits`: the limits that differ from `defaultLimits`.
 * - `maxFrameSize`: the largest payload of a sent frame, in bytes. A larger message is fragmented. Default: no limit.
 * - `maxSendBytes`: the most data that one call of `send`, `sendFragment` or `sendFrame` accepts, in bytes before
 *   compression. Default: no limit. Beyond it, the call returns an outbound `PayloadTooLarge`, sends nothing, and the
 *   connection stays open.
 * - `maxCopiedBytes`: the largest binary payload that a server copies when it sends it, in bytes. Default: 64 KiB.
 *   The caller must not change the bytes of a larger payload until they are written. A client always copies, because
 *   it masks.
 * - `compression`: the result of negotiating permessage-deflate, and the zlib to use. Default: no compression; a
 *   frame with RSV1 is a violation. It cannot be combined with the delivery `"frames"`.
 * - `delivery`: what `receive` returns for data frames. Default: `"messages"`.
 * - `recordFrames`: with the delivery `"messages"`, whether `Message.frames` returns the frames of a received
 *   message. The frames take memory as long as the message does. Default: `false`.
 * - `rsv`, `opcodes`: with the delivery `"frames"`, the reserved bits of data frames (as in `Frame.rsv`) and the
 *   reserved opcodes that the app gives a meaning, so that both sides may use them. A text message with a reserved
 *   bit need not be UTF-8. Default: none; every reserved bit or opcode is a violation.
 * - `answerPings`: whether the connection answers pings. Default: `true`.
 * - `answerClose`: whether the connection answers the peer's Close. If `false`, the peer's Close has no effect until
 *   `close` is called or the input ends. Default: `true`.
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
 * A ping arrived. The pong is already in the output, unless `answerPings` is `false`. The bytes belong to the
 * receiver of the event.
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
 * A pong arrived, whether or not a ping asked for it (RFC 6455 §5.5.3).
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
 * The last event of every connection: nothing more will be received. There is exactly one. `error` tells why.
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
 * What `receive` and the methods that end a connection return, in order.
 *
 * @since 0.1.0
 * @category models
 */
export type Event = Message | MessagePart | FrameReceived | PingReceived | PongReceived | Ended

/**
 * Why a call sent nothing. If the connection has ended, this is the error that it ended with. Otherwise a
 * `ProtocolError` is local and a `PayloadTooLarge` is outbound.
 *
 * @since 0.1.0
 * @category models
 */
export type SendError = ConnectionError

/**
 * How far the closing handshake has come (RFC 6455 §7.1). `sent` and `received` are the Close frames so far, and
 * `initiator` sent the first one. `clean` is true once both were exchanged.
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
 * The phase of a connection.
 *
 * - `Open`: messages go both ways.
 * - `Closing`: a Close was sent, so nothing more can be sent. The peer's Close or the end of its input is still to
 *   come.
 * - `Closed`: nothing is sent or received any more.
 *
 * @since 0.1.0
 * @category models
 */
export type Phase = "Open" | "Closing" | "Closed"

/**
 * An open connection. All methods are synchronous. Nothing that a peer does makes a method throw. A method throws a
 * `TypeError` and sends nothing if an argument has a wrong type, such as a message whose data is a number.
 *
 * @since 0.1.0
 * @category models
 */
export interface Connection {
  readonly [TypeId]: TypeId
  readonly role: Role
  readonly limits: Limits
  /** The largest payload of a sent frame, in bytes; 2^53 - 1 if there is no limit. */
  readonly maxFrameSize: number
  /** The most data that one call of `send` accepts, in bytes; 2^53 - 1 if there is no limit. */
  readonly maxSendBytes: number
  readonly phase: Phase

  /**
   * Decodes bytes that arrived and returns the events in a new array. Messages that came before a violation or a
   * Close are returned first; see `unsettled`.
   *
   * If `owned` is true, the chunk belongs to the connection from now on: the connection may change it, and payloads
   * may be views of it. Otherwise the connection does not keep it, and changes it only if `mutable` is true. A server
   * unmasks in place, so it has to copy a chunk that it may not change. `mutable` is for a buffer that the caller fills
   * again after each call. Default: `mutable` is `owned`, and `owned` is false.
   */
  receive(chunk: Uint8Array, owned?: boolean, mutable?: boolean): ReadonlyArray<Event>

  /**
   * Whether the payloads of the binary messages that `receive` returns from now on are borrowed: the caller passes each
   * message to `giveBack` when nobody uses it any more. Such a payload may be a part of a larger buffer. A message that is
   * never given back belongs to the app, like any other. Compressed messages, parts and frames are never borrowed.
   * Default: `false`.
   */
  borrowing: boolean

  /**
   * Takes back a message whose payload is borrowed, so that its memory can be used for later messages. All views of it
   * become empty. It has no effect on other messages. Payloads that wait to be written stay as they are, and so do some
   * others, because the memory that is kept for later messages is limited.
   */
  giveBack(message: Message): void

  /** Whether a payload that the last `receive` returned may be a view of its chunk. Only an owned chunk has views. */
  readonly keepsChunk: boolean

  /**
   * Whether a Close or a violation also waits for `settle` (see `unsettled`) if no message came with it: the app is perhaps
   * not done with earlier ones. Default: `false`.
   */
  settlesLate: boolean

  /**
   * Whether a Close or a violation arrived behind messages that `receive` has just returned, or alone with `settlesLate`.
   * It has no effect yet, so that the app can still answer messages. The caller then calls `settle`, at the latest when
   * it no longer wants to wait.
   */
  readonly unsettled: boolean

  /** Applies the Close or violation that waits (see `unsettled`). Without one, it does nothing. */
  settle(): ReadonlyArray<Event>

  /** Tells the connection that the input has ended: the peer sends no more bytes. Idempotent. */
  receiveEof(): ReadonlyArray<Event>

  /** Whether a frame or a message has begun to arrive and has not ended. */
  readonly receiving: boolean

  /** How many bytes the connection holds of frames and messages that have not ended. */
  readonly heldBytes: number

  /** Why nothing can be sent; `undefined` while the connection is open. */
  readonly refusal: ConnectionError | undefined

  /**
   * Encodes a message. A binary payload is never changed; `maxCopiedBytes` says when it is not copied either. If
   * compression was agreed on, `compress` decides whether this message is deflated; without `compress`, the threshold
   * and the filter decide. `maxFrameSize` replaces the connection's for this message; it throws a `RangeError` if it
   * is not a positive integer.
   *
   * Returns the connection's error if it is closing or closed, a local `ProtocolError` inside a fragmented message,
   * and an outbound `PayloadTooLarge` above `maxSendBytes`.
   */
  send(message: Message, compress?: boolean, maxFrameSize?: number): SendError | undefined

  /**
   * Whether `send` would deflate this message. The threshold and the filter decide, unless `compress` is given.
   */
  compresses(message: Message, compress?: boolean): boolean

  /**
   * What `send` would deflate for this message, for a caller that deflates on another thread; `undefined` if the
   * message is not deflated. Its `options.dictionary` is valid until another message is deflated.
   */
  deflation(message: Message, compress?: boolean): Deflation | undefined

  /**
   * Encodes a message that was deflated elsewhere. Pass `undefined` if deflating it made it larger. If another message
   * was deflated meanwhile, this one is sent uncompressed. `maxFrameSize` and the errors are those of `send`.
   */
  sendDeflated(deflation: Deflation, deflated: Uint8Array | undefined, maxFrameSize?: number): SendError | undefined

  /**
   * Encodes the next part of a message whose length is not known yet; `fin` ends the message. The first part decides
   * between text and binary. The message is not compressed. Returns the connection's error if it is closing or
   * closed. Returns a local `ProtocolError` for a part of the other kind, or inside a message that `sendFrame` began,
   * and an outbound `PayloadTooLarge` above `maxSendBytes`. Until the message has ended, `send` is refused (RFC 6455
   * §5.4).
   */
  sendFragment(data: string | Uint8Array, fin: boolean): SendError | undefined

  /**
   * Encodes a frame. The role decides whether it is masked, not the frame. A Close begins or answers the closing
   * handshake.
   *
   * Returns the connection's error if it is closing or closed. Returns a local `ProtocolError` for a frame that may
   * not be sent now, because of its opcode, a reserved bit, its place in a fragmented message, a text that is not
   * UTF-8, or the code of a Close. Returns an outbound `PayloadTooLarge` for a control frame of more than 125 bytes,
   * and for a data frame above `maxSendBytes`.
   */
  sendFrame(frame: Frame): SendError | undefined

  /**
   * Encodes a ping of at most 125 bytes. Returns the connection's error if it is closing or closed, and an outbound
   * `PayloadTooLarge` for more data.
   */
  ping(data?: Uint8Array): SendError | undefined

  /** Encodes a pong that no ping asked for, of at most 125 bytes. The errors are those of `ping`. */
  pong(data?: Uint8Array): SendError | undefined

  /**
   * Begins the closing handshake. It has no effect unless the phase is `Open`. Without a code, the Close is empty.
   *
   * Returns a local `ProtocolError` for a code that may not be sent or a reason without a code, and an outbound
   * `PayloadTooLarge` for a reason of more than 123 bytes.
   */
  close(code?: number, reason?: string): ProtocolError | PayloadTooLarge | undefined

  /**
   * Fails the connection (RFC 6455 §7.1.7): sends a Close with `code` and receives nothing more. `error` becomes the
   * connection's error.
   */
  fail(code: number, error: ConnectionError): ReadonlyArray<Event>

  /** Tells the connection that its transport is gone. `error` becomes the connection's error unless it has one. */
  abort(error: ConnectionError): ReadonlyArray<Event>

  /** How many bytes of output wait for `takeOutput`. */
  readonly outputBytes: number

  /**
   * Takes the bytes to write now, in order. They do not change until `recycleOutput` is called; without that call,
   * they never change.
   */
  takeOutput(): ReadonlyArray<Uint8Array>

  /** Allows the connection to reuse the memory of the last `takeOutput`. Call it once those bytes are written. */
  recycleOutput(): void

  /** Whether no more output follows what `takeOutput` returns next. Then half-close the transport. */
  readonly outputEnded: boolean

  /** Whether the peer's Close or the end of its input is still to come. The caller decides how long to wait. */
  readonly closeExpected: boolean

  /** The error that ended the connection. Every later call that sends returns it. */
  readonly error: ConnectionError | undefined
  readonly closeStatus: CloseStatus
}

/**
 * Makes an open connection. The opening handshake must be complete.
 *
 * Throws a `RangeError` for an option that is out of range or cannot be combined with another.
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
// Shared by all connections, because nothing is added while no chunk is decoded.
const betweenChunks: Array<Event> = []

const noOutput: ReadonlyArray<Uint8Array> = []

class ConnectionImpl implements Connection, InboundHost {
  declare readonly [TypeId]: TypeId
  phase: Phase = "Open"
  error: ConnectionError | undefined = undefined
  outputEnded = false
  keepsChunk = false
  borrowing = false
  settlesLate = false
  readonly compressor: Compressor | undefined

  private readonly config: ConnectionConfig
  // Only while they are needed: most connections are idle.
  private inbound: Inbound | undefined = undefined
  private outbound: Sender | undefined = undefined

  // The events of the current `receive`.
  private events: Array<Event> = betweenChunks
  private pending: Violation | CloseCode.CloseReason | undefined = undefined
  private inputEnded = false

  private handshake: ClosingHandshake | undefined = undefined

  constructor(options: Options) {
    this.config = configOf(options, options.compression !== undefined)
    this.compressor = options.compression === undefined ? undefined : new Compressor(options.compression)
  }

  get role(): Role {
    return this.config.role
  }

  get limits(): Limits {
    return this.config.limits
  }

  get maxFrameSize(): number {
    return this.config.maxFrameSize
  }

  get maxSendBytes(): number {
    return this.config.maxSendBytes
  }

  private get sender(): Sender {
    return (this.outbound ??= this.config.takeSender())
  }

  /** Made on first use, because most connections are idle. */
  private get closing(): ClosingHandshake {
    return (this.handshake ??= new ClosingHandshake())
  }

  receive(chunk: Uint8Array, owned = false, mutable = owned): ReadonlyArray<Event> {
    if (this.inputEnded || this.pending !== undefined) return noEvents
    const events: Array<Event> = (this.events = [])
    this.keepsChunk = false
    // A client's input is not masked, so nothing is unmasked in place and any chunk can be read where it is.
    const mustCopy = !mutable && this.role === "server"
    const bytes = toBytes(chunk, "A chunk")
    const inbound = (this.inbound ??= this.config.takeInbound())
    const violation = inbound.decode(this, mustCopy ? copyOf(bytes, 0, bytes.length) : bytes, owned || mustCopy)
    // A Close that the decoder finds is `pending` by now.
    this.pending = violation ?? this.pending
    const waits = (inbound.delivered || this.settlesLate) && this.phase === "Open"
    if (this.unsettled && !waits) this.settleInto(events)
    else if (this.pending === undefined && this.inbound === inbound && !inbound.started) this.releaseInbound(inbound)
    this.events = betweenChunks
    return events
  }

  private releaseInbound(inbound: Inbound): void {
    this.inbound = undefined
    this.config.giveInbound(inbound)
  }

  onHeader(inbound: Inbound, header: FrameHeader): Violation | undefined {
    return Opcode.isControl(header.opcode) ? undefined : inbound.reader.begin(header)
  }

  onPayload(inbound: Inbound, chunk: Uint8Array, start: number, end: number, final: boolean): Violation | undefined {
    const { opcode } = inbound.decoder
    if (Opcode.isControl(opcode)) return this.onControlPayload(inbound, chunk, start, end, final)
    const result = inbound.reader.payload(chunk, start, end, final, inbound.owned, this.borrowing)
    if (result === undefined) return undefined
    if (result._tag === "Protocol_error" || result._tag === "Payload_too_large") return result
    inbound.delivered = true
    if (mayView(end - start, chunk.length)) this.keepsChunk ||= isViewOf(result, chunk)
    // V8 compiles this in place, but calls `push`: to V8, an empty array is one of integers, and has another shape.
    this.events[this.events.length] = result
    return undefined
  }

  private onControlPayload(
    inbound: Inbound,
    chunk: Uint8Array,
    start: number,
    end: number,
    final: boolean
  ): Violation | undefined {
    const { length, opcode } = inbound.decoder
    let payload: Uint8Array
    if (final && end - start === length) {
      payload = copyOf(chunk, start, end)
    } else {
      const held = (inbound.controlPayload ??= new GrowingBuffer())
      held.append(chunk, start, end, length, length)
      if (!final) return undefined
      payload = held.take()
    }
    if (this.config.framed) {
      inbound.delivered = true
      const masked = this.role === "server"
      this.events.push(new FrameReceived(new Frame(true, 0, opcode, masked, payload.slice())))
    }
    switch (opcode) {
      case Opcode.Ping:
        if (this.config.answersPings && this.phase === "Open") this.sender.answerPing(payload)
        this.events.push(new PingReceived(payload))
        return undefined
      case Opcode.Pong:
        this.events.push(new PongReceived(payload))
        return undefined
      case Opcode.Close: {
        const reason = CloseCode.decodePayload(payload)
        if (reason instanceof ProtocolError) return reason
        // RFC 6455 §5.5.1: all data after a Close is ignored.
        this.pending = reason
        inbound.decoder.stop()
        return undefined
      }
      default:
        // A reserved opcode that the app gave a meaning.
        return undefined
    }
  }

  get receiving(): boolean {
    return this.inbound?.started === true
  }

  get heldBytes(): number {
    return this.inbound?.reader.heldBytes ?? 0
  }

  get unsettled(): boolean {
    if (this.pending === undefined) return false
    // If the app answers the Close, it waits until then.
    return this.config.answersClose || this.phase !== "Open" || "_tag" in this.pending
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
      // A violation in a frame always has a close code.
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
      if (this.config.answersClose) this.writeClose(received.code === noStatus ? undefined : received.code, "")
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
    this.inbound?.decoder.stop()
    this.inbound = undefined
    this.phase = "Closing"
    if (this.inputEnded) return
    this.inputEnded = true
    this.error = error
    events.push(new Ended(error))
  }

  send(given: Message, compress?: boolean, maxFrameSize = this.maxFrameSize): SendError | undefined {
    const message = toMessage(given)
    if (maxFrameSize !== this.maxFrameSize) positiveInteger("maxFrameSize", maxFrameSize)
    const { compressor } = this
    if (compressor === undefined) return this.refusal ?? this.sender.send(message, maxFrameSize)
    const refused = this.refusal ?? this.sender.refuseMessage(message.data)
    if (refused !== undefined) return refused
    const deflation = compressor.deflation(message, compress)
    const deflated = deflation && compressor.run(deflation)
    // Refused again if need be, because the filter and zlib are code of the app, which may have closed the connection.
    return (
      this.refusal ??
      (deflation === undefined
        ? this.sender.send(message, maxFrameSize)
        : this.sender.sendDeflated(compressor, deflation, deflated, maxFrameSize))
    )
  }

  giveBack(message: Message): void {
    if (message._tag === "Binary") memory.giveBack(message.data)
  }

  compresses(given: Message, compress?: boolean): boolean {
    return this.compressor?.compresses(toMessage(given), compress) ?? false
  }

  deflation(given: Message, compress?: boolean): Deflation | undefined {
    // Another thread must not read memory that the app gives back meanwhile.
    return this.compressor?.deflation(keep(toMessage(given)), compress)
  }

  sendDeflated(
    deflation: Deflation,
    deflated: Uint8Array | undefined,
    maxFrameSize = this.maxFrameSize
  ): SendError | undefined {
    if (maxFrameSize !== this.maxFrameSize) positiveInteger("maxFrameSize", maxFrameSize)
    const { compressor } = this
    // Without a compressor, nothing was deflated.
    if (compressor === undefined) return this.refusal ?? this.sender.send(deflation.message, maxFrameSize)
    return this.refusal ?? this.sender.sendDeflated(compressor, deflation, deflated, maxFrameSize)
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
    // A violation that waits is answered with its own code.
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
    return this.outbound?.outputBytes ?? 0
  }

  takeOutput(): ReadonlyArray<Uint8Array> {
    return this.outbound?.takeOutput() ?? noOutput
  }

  recycleOutput(): void {
    const { outbound } = this
    if (outbound === undefined) return
    outbound.recycle()
    if (!outbound.isIdle) return
    this.outbound = undefined
    this.config.giveSender(outbound)
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
