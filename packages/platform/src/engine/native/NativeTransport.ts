import { Binary, Text } from "@effect-websocket/protocol/Message"
import type { Transport, TransportSink, WaterMarks, WriteResult } from "../../Transport.js"
import { closeQuietly } from "./dialNative.js"
import type { NativeConnection } from "./NativeConnection.js"
import type { NativeEvent, NativeSocket } from "./NativeSocket.js"

const noBytes = new Uint8Array(0)
const abnormalClosure = 1006
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
  readonly remoteAddress = undefined
  private readonly socket: NativeSocket
  private readonly connection: NativeConnection
  private sink: TransportSink | undefined = undefined
  private marks: WaterMarks = { high: 0, low: 0 }
  private looking: ReturnType<typeof setTimeout> | undefined = undefined
  // The reading of blobs, while there is one. What arrives behind them waits for it.
  private blobs: Promise<void> | undefined = undefined
  private stepsBehindBlobs = 0
  private blobBytes = 0
  private readonly maxBlobBytes: number

  constructor(socket: NativeSocket, connection: NativeConnection, maxUnreadBytes: number) {
    this.socket = socket
    this.connection = connection
    this.maxBlobBytes = maxUnreadBytes
  }

  get bufferedBytes(): number {
    // The bytes of this turn are still the connection's.
    return Math.max(0, (this.socket.bufferedAmount ?? 0) - this.connection.outputBytes)
  }

  start(sink: TransportSink, marks: WaterMarks): void {
    this.sink = sink
    this.marks = marks
    this.socket.addEventListener("message", this.onMessage)
    this.socket.addEventListener("error", noop)
    this.socket.addEventListener("close", this.onClose)
  }

  private readonly onMessage = ({ data }: NativeEvent): void => {
    if (isBlob(data)) return this.readBlob(data)
    const message = typeof data === "string" ? new Text(data) : toBinary(data)
    if (message !== undefined) this.inOrder(() => this.connection.arrive(message))
  }

  /** A blob is read in its place among the other messages. */
  private readBlob(blob: BlobLike): void {
    this.blobBytes += blob.size
    if (this.blobBytes > this.maxBlobBytes) {
      this.connection.overflow()
      return this.arrived()
    }
    const bytes = blob.arrayBuffer()
    // If it fails while an earlier one is read, that is not an unhandled rejection.
    bytes.catch(noop)
    this.afterBlobs(async () => {
      const read = new Binary(new Uint8Array(await bytes))
      this.blobBytes -= blob.size
      this.connection.arrive(read)
      this.arrived()
    })
  }

  private inOrder(step: () => void): void {
    const arrive = (): void => {
      step()
      this.arrived()
    }
    if (this.blobs === undefined) arrive()
    else this.afterBlobs(arrive)
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
      this.abort()
    }
    if (--this.stepsBehindBlobs === 0) this.blobs = undefined
  }

  private arrived(): void {
    this.sink?.onChunk(noBytes, true)
  }

  private readonly onClose = ({ code, reason, wasClean }: NativeEvent): void => {
    const end = (): void => {
      const { sink } = this
      this.connection.ended({
        code: code ?? abnormalClosure,
        reason: reason ?? "",
        wasClean: wasClean === true && code !== abnormalClosure
      })
      sink?.onEof()
      this.stop()
      sink?.onClose()
    }
    if (this.blobs === undefined) end()
    else this.afterBlobs(end)
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

  private lookAfter(millis: number): void {
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

  private stop(): void {
    this.sink = undefined
    clearTimeout(this.looking)
    this.socket.removeEventListener("message", this.onMessage)
    this.socket.removeEventListener("close", this.onClose)
  }
}

const isBlob = (data: unknown): data is BlobLike =>
  typeof data === "object" && data !== null && "arrayBuffer" in data && "size" in data

const toBinary = (data: unknown): Binary | undefined => {
  if (data instanceof ArrayBuffer) return new Binary(new Uint8Array(data))
  return ArrayBuffer.isView(data)
    ? new Binary(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    : undefined
}
