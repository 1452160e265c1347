import type { CloseReason } from "@effect-websocket/protocol/CloseCode"
import type { CloseStatus, Event, Limits, Phase } from "@effect-websocket/protocol/Connection"
import {
  ConnectionClosed,
  IoError,
  localProtocolError,
  PayloadTooLarge,
  type ConnectionError,
  type Endpoint
} from "@effect-websocket/protocol/Errors"
import { size, type Message } from "@effect-websocket/protocol/Message"
import { abnormalClosure, messageTooBig } from "../connection/closeCodes.js"
import type { Core } from "../connection/Core.js"
import { exceeds } from "../connection/sendable.js"
import { toNativeCloseCode } from "./nativeCloseCode.js"
import type { NativeSocket } from "./NativeSocket.js"

const noEvents: ReadonlyArray<Event> = []
const noBytes: ReadonlyArray<Uint8Array> = []
const noStatus = 1005
// `WebSocket.OPEN`. The states after it are `CLOSING` and `CLOSED`.
const openState = 1

/** What a connection over a platform's WebSocket is made with. */
export interface NativeLimits {
  readonly limits: Limits
  readonly maxSendBytes: number | undefined
  /** The most bytes of messages that wait to be read. */
  readonly maxUnreadBytes: number
}

/** How the platform says that a connection ended. */
export interface NativeEnd {
  readonly code: number
  readonly reason: string
  readonly wasClean: boolean
}

/**
 * The state of a connection over the WebSocket of a platform, which does the framing. It sends at once, so its output is
 * only a count: the number of bytes since `takeOutput`. What arrives reaches it from `NativeTransport`, which then tells
 * the link to `receive`.
 */
export class NativeConnection implements Core {
  readonly role: "client" | "server" = "client"
  readonly limits: Limits
  readonly maxFrameSize = Number.MAX_SAFE_INTEGER
  readonly maxSendBytes: number
  readonly keepsChunk = false
  readonly receiving = false
  readonly heldBytes = 0
  readonly outputEnded = false
  borrowing = false
  phase: Phase = "Open"
  outputBytes = 0
  arrivedBytes = 0
  error: ConnectionError | undefined = undefined
  /** The most bytes of messages that wait to be read. */
  readonly maxUnreadBytes: number
  private readonly socket: NativeSocket
  private arrived: Array<Event> = []
  private violation: PayloadTooLarge | undefined = undefined
  private end: NativeEnd | undefined = undefined
  private sent: CloseReason | undefined = undefined
  private received: CloseReason | undefined = undefined
  private initiator: Endpoint | undefined = undefined

  constructor(socket: NativeSocket, { limits, maxSendBytes, maxUnreadBytes }: NativeLimits) {
    this.socket = socket
    this.limits = limits
    this.maxSendBytes = maxSendBytes ?? Number.MAX_SAFE_INTEGER
    this.maxUnreadBytes = maxUnreadBytes
  }

  // From the transport

  /** A message arrived. What comes behind a violation is dropped. */
  arrive(message: Message): void {
    if (this.violation !== undefined || this.phase === "Closed") return
    this.arrivedBytes += message.data.length
    const max = this.limits.maxMessageBytes
    if (exceeds(message, max)) this.violate("message", max, size(message))
    else this.take(message)
  }

  protected take(event: Event): void {
    this.arrived.push(event)
  }

  /** More messages wait than may, and the platform cannot be told to stop. */
  overflow(): void {
    this.violate("unread", this.maxUnreadBytes, undefined)
  }

  protected violate(limit: "message" | "unread", max: number, size: number | undefined): void {
    this.violation ??= new PayloadTooLarge({ limit, max, size, direction: "inbound" })
  }

  /** The platform has closed the connection; `receiveEof` follows. The first end counts. */
  ended(end: NativeEnd): void {
    this.end ??= end
    this.peerCloses()
  }

  private peerCloses(): void {
    if (this.phase !== "Open") return
    this.phase = "Closing"
    this.initiator = "remote"
  }

  // Reading

  receive(): ReadonlyArray<Event> {
    const events = this.arrived
    if (events.length > 0) this.arrived = []
    return events.length === 0 && this.unsettled ? this.settle() : events
  }

  /** The messages before a violation can still be answered. */
  get unsettled(): boolean {
    return this.violation !== undefined && this.error === undefined
  }

  settle(): ReadonlyArray<Event> {
    return this.violation === undefined ? noEvents : this.fail(messageTooBig, this.violation)
  }

  receiveEof(): ReadonlyArray<Event> {
    const before = this.settle()
    this.phase = "Closed"
    const { end } = this
    if (end?.wasClean === true) {
      this.received = { code: end.code, reason: end.reason }
      this.initiator ??= "remote"
      // The platform has answered with the same code (RFC 6455 §5.5.1).
      this.sent ??= this.received
    }
    return before.length > 0 ? before : this.endWith(this.closedError())
  }

  private closedError(): ConnectionClosed {
    const { received, sent } = this
    if (received === undefined) {
      const initiator = (this.initiator ??= "remote")
      return new ConnectionClosed({ code: abnormalClosure, reason: "", initiator, clean: false })
    }
    const initiator = this.initiator ?? "remote"
    const first = initiator === "local" ? (sent ?? received) : received
    return new ConnectionClosed({ ...first, initiator, clean: true })
  }

  private endWith(error: ConnectionError): ReadonlyArray<Event> {
    if (this.error !== undefined) return noEvents
    this.error = error
    return [{ _tag: "Ended", error }]
  }

  giveBack(): void {}

  // Sending

  get refusal(): ConnectionError | undefined {
    if (this.error !== undefined) return this.error
    if (this.phase === "Open") return undefined
    const { code, reason } = this.sent ?? this.end ?? { code: noStatus, reason: "" }
    return new ConnectionClosed({ code, reason, initiator: this.initiator ?? "local", clean: false })
  }

  send(message: Message): ConnectionError | undefined {
    // After the peer's Close, the platform drops what it is given without a word.
    if ((this.socket.readyState ?? openState) > openState) this.peerCloses()
    const { refusal } = this
    if (refusal !== undefined) return refusal
    const max = this.maxSendBytes
    if (exceeds(message, max)) {
      return new PayloadTooLarge({ limit: "message", max, size: size(message), direction: "outbound" })
    }
    try {
      this.socket.send(message.data)
    } catch (cause) {
      return new IoError({ reason: "Reset", operation: "write", cause })
    }
    this.outputBytes += message.data.length
    return undefined
  }

  compresses(): boolean {
    return false
  }

  deflation(): undefined {
    return undefined
  }

  sendDeflated(): ConnectionError | undefined {
    return cannot("send a compressed message of the app")
  }

  sendFragment(): ConnectionError | undefined {
    return this.refusal ?? cannot("send a message in parts")
  }

  sendFrame(): ConnectionError | undefined {
    return this.refusal ?? cannot("send a frame")
  }

  ping(): ConnectionError | undefined {
    return this.refusal ?? cannot("send a ping")
  }

  pong(): ConnectionError | undefined {
    return this.refusal ?? cannot("send a pong")
  }

  takeOutput(): ReadonlyArray<Uint8Array> {
    this.outputBytes = 0
    return noBytes
  }

  recycleOutput(): void {}

  // Closing

  close(code?: number, reason = ""): undefined {
    if (this.phase !== "Open") return
    this.phase = "Closing"
    this.initiator ??= "local"
    const native = code === undefined ? undefined : this.nativeCode(code)
    this.sent = { code: native ?? noStatus, reason }
    try {
      if (native === undefined) this.socket.close()
      else this.socket.close(native, reason)
    } catch {
      // The platform has closed it already, and is about to report that.
    }
  }

  /** The code that the platform sends for one of the library or the app. */
  protected nativeCode(code: number): number {
    return toNativeCloseCode(code)
  }

  fail(code: number, error: ConnectionError): ReadonlyArray<Event> {
    this.close(code)
    return this.endWith(error)
  }

  abort(error: ConnectionError): ReadonlyArray<Event> {
    this.phase = "Closed"
    return this.endWith(error)
  }

  get closeExpected(): boolean {
    return this.phase === "Closing"
  }

  get closeStatus(): CloseStatus {
    const { initiator, received, sent } = this
    return { sent, received, initiator, clean: sent !== undefined && received !== undefined }
  }
}

/** An error for what the WebSocket of a platform has no way to do. Nothing was sent. */
export const cannot = (what: string): ConnectionError & { readonly _tag: "Protocol_error" } =>
  localProtocolError(`The WebSocket of this platform cannot ${what}`, "WHATWG WebSockets §3.1")
