import { Binary, Text, type Message } from "@effect-websocket/protocol/Message"
import type { Transport, TransportSink, WaterMarks, WriteResult } from "../../Transport.js"
import { abnormalClosure } from "../connection/closeCodes.js"
import { weight } from "../connection/Inbox.js"
import { closeQuietly } from "./dialNative.js"
import type { NativeConnection, NativeEnd } from "./NativeConnection.js"
import type { NativeEvent, NativeSocket } from "./NativeSocket.js"

const noBytes = new Uint8Array(0)
const emptyBinary = new Binary(noBytes)
const broken: NativeEnd = { code: abnormalClosure, reason: "", wasClean: false }
const noop = (): void => {}

// No platform reports that bytes have left, so it is asked for. The first bytes leave quickly or not for a while.
const firstLookMillis = 1
const maxLookMillis = 32

/** The part of a `Blob` that is needed to read it. */
interface BlobLike {
  readonly size: number
  arrayBuffer(): Promise<ArrayBuffer>
}

/**
 * The WebSocket of a platform as a transport. The messages themselves go between it and its `NativeConnection`. The link
 * gets chunks without bytes: they say that something has arrived.
 */
export class NativeTransport implements Transport {
  readonly remoteAddress: string | undefined = undefined
  /** Must be set once, before `start`. */
  connection!: NativeConnection
  protected readonly socket: NativeSocket
  protected sink: TransportSink | undefined = undefined
  protected marks: WaterMarks = { high: 0, low: 0 }
  private looking: ReturnType<typeof setTimeout> | undefined = undefined
  // The reading of blobs, while there is one. What arrives behind them waits for it.
  private blobs: Promise<void> | undefined = undefined
  private stepsBehindBlobs = 0
  /** The weight of the blobs and of the messages behind them, in bytes. */
  private heldBytes = 0

  constructor(socket: NativeSocket) {
    this.socket = socket
  }

  get bufferedBytes(): number {
    // The bytes of this turn are still the connection's.
    return Math.max(0, (this.socket.bufferedAmount ?? 0) - this.connection.outputBytes)
  }

  start(sink: TransportSink, marks: WaterMarks): void {
    this.sink = sink
    this.marks = marks
    this.socket.addEventListener("message", this.onMessage)
    this.socket.addEventListener("error", this.onError)
    this.socket.addEventListener("close", this.onClose)
  }

  private readonly onMessage = ({ data }: NativeEvent): void => {
    if (isBlob(data)) return this.readBlob(data)
    const message = typeof data === "string" ? new Text(data) : toBinary(data)
    if (message === undefined) return
    if (this.blobs === undefined) {
      this.connection.arrive(message)
      this.arrived()
    } else this.hold(weight(message), () => message)
  }

  /** A blob is read in its place among the other messages. */
  private readBlob(blob: BlobLike): void {
    this.hold(weight(emptyBinary) + blob.size, () => {
      const read = bytesOf(blob)
      // If it fails while an earlier one is read, that is not an unhandled rejection.
      read.catch(noop)
      return read
    })
  }

  /** What is read, or waits for blobs to be read, is bounded like what waits for the app. */
  private hold(bytes: number, read: () => Message | Promise<Message>): void {
    this.heldBytes += bytes
    if (this.heldBytes > this.connection.maxUnreadBytes) {
      this.connection.overflow()
      return this.arrived()
    }
    const message = read()
    this.afterBlobs(async () => {
      this.connection.arrive(await message)
      this.heldBytes -= bytes
      this.arrived()
    })
  }

  private afterBlobs(step: () => void | Promise<void>): void {
    this.stepsBehindBlobs++
    this.blobs = this.runAfter(this.blobs, step)
  }

  private async runAfter(before: Promise<void> | undefined, step: () => void | Promise<void>): Promise<void> {
    try {
      await before
      await step()
    } catch {
      this.connection.ended(broken)
      this.finish()
      closeQuietly(this.socket)
    }
    if (--this.stepsBehindBlobs === 0) this.blobs = undefined
  }

  protected arrived(): void {
    this.sink?.onChunk(noBytes, true)
  }

  private readonly onClose = ({ code = abnormalClosure, reason = "", wasClean = false }: NativeEvent): void => {
    this.endBehindBlobs({ code, reason, wasClean: wasClean && code !== abnormalClosure })
  }

  /** The connection has failed. Browsers report its close in the same step, Workers do not. */
  private readonly onError = (): void => {
    if (this.sink === undefined) return
    this.endBehindBlobs(broken)
    closeQuietly(this.socket)
  }

  private endBehindBlobs(end: NativeEnd): void {
    this.connection.ended(end)
    if (this.blobs === undefined) return this.finish()
    // Nothing can be sent any more, and the blobs must be read within the close timeout.
    this.arrived()
    this.afterBlobs(() => this.finish())
  }

  private finish(): void {
    const { sink } = this
    sink?.onEof()
    this.stop()
    sink?.onClose()
  }

  /** Nothing can make the platform stop reading. So the messages that nobody reads end the connection. */
  pause(): void {
    this.connection.overflow()
    queueMicrotask(() => this.arrived())
  }

  resume(): void {}

  write(): WriteResult {
    const belowHighWater = this.bufferedBytes < this.marks.high
    if (!belowHighWater && this.looking === undefined) this.lookAfter(firstLookMillis)
    return { taken: false, belowHighWater }
  }

  protected lookAfter(millis: number): void {
    this.looking = setTimeout(() => {
      this.looking = undefined
      if (this.bufferedBytes > this.marks.low) this.lookAfter(Math.min(2 * millis, maxLookMillis))
      else this.sink?.onDrain()
    }, millis)
  }

  /** The platform ends the connection by itself after the closing handshake. */
  end(): void {}

  abort(): void {
    const { sink } = this
    if (sink === undefined) return
    this.stop()
    closeQuietly(this.socket)
    queueMicrotask(() => sink.onClose())
  }

  protected stop(): void {
    this.sink = undefined
    clearTimeout(this.looking)
    this.socket.removeEventListener("message", this.onMessage)
    this.socket.removeEventListener("close", this.onClose)
  }
}

const isBlob = (data: unknown): data is BlobLike =>
  typeof data === "object" && data !== null && "arrayBuffer" in data && "size" in data

const bytesOf = async (blob: BlobLike): Promise<Binary> => new Binary(new Uint8Array(await blob.arrayBuffer()))

const toBinary = (data: unknown): Binary | undefined => {
  if (isArrayBuffer(data)) return new Binary(new Uint8Array(data))
  return ArrayBuffer.isView(data)
    ? new Binary(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    : undefined
}

// Not `instanceof`, which fails for a buffer of another realm, as jsdom delivers.
const isArrayBuffer = (data: unknown): data is ArrayBuffer =>
  Object.prototype.toString.call(data) === "[object ArrayBuffer]"
