/**
 * Uses any Node `Duplex` as a transport: a TCP, TLS or upgraded HTTP/1.1 socket, or a stream of HTTP/2.
 *
 * @since 0.1.0
 */
import { IoError } from "@effect-websocket/protocol/Errors"
import type { Duplex } from "node:stream"
import type { Transport, TransportSink, WaterMarks, WriteResult } from "../Transport.js"
import { GuardedTransport, neverThrows } from "../engine/connection/GuardedTransport.js"
import { Backlog } from "./internal/backlog.js"
import { cancel, remoteAddressOf, resetOf } from "./internal/http2Stream.js"
import { isHttp2Stream, kindOf, type Kind } from "./internal/kind.js"
import { transport } from "./internal/taken.js"
import { reportThrown } from "./internal/reportThrown.js"

/**
 * Makes a transport over a duplex stream. The transport takes the stream over: nothing else may read from it or write to it.
 * `head` contains the bytes that were already read behind the HTTP header; the transport does not change them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (socket: Duplex, head?: Uint8Array): Transport => {
  const kind = kindOf(socket)
  const transport = new NodeTransport(socket, head, kind)
  // The methods of other streams may throw, and may deliver what the peer answers before they return.
  return kind === "stream" ? new GuardedTransport(transport) : transport
}

const noMarks: WaterMarks = { high: 0, low: 0 }

interface TransportSocket extends Duplex {
  [transport]?: NodeTransport
  readonly remoteAddress?: string
}

class NodeTransport implements Transport {
  readonly remoteAddress: string | undefined
  private readonly socket: TransportSocket
  private sink: TransportSink | undefined = undefined
  private marks: WaterMarks = noMarks
  private congested = false
  private closed = false
  private readonly kind: Kind
  // The bytes that wait for the write before them. Most connections never have a backlog.
  private backlog: Backlog | undefined = undefined
  // How many writes have a callback that has not been called yet.
  private callbacks = 0
  // Created when it is first needed: most connections are never congested.
  private onWritten: (() => void) | undefined = undefined
  // How many bytes the stream had read before the start and has not delivered yet.
  private readBeforeStart = 0

  constructor(socket: TransportSocket, head: Uint8Array | undefined, kind: Kind) {
    this.socket = socket
    if (kind !== "http2") reportThrown(socket)
    this.remoteAddress = isHttp2Stream(socket) ? remoteAddressOf(socket) : socket.remoteAddress
    this.kind = kind
    socket[transport] = this
    // These listeners come first, because an `error` event without a listener ends the process.
    socket.on("error", onError)
    socket.on("close", kind === "http2" ? onHttp2Close : onClose)
    if (head === undefined || head.length === 0) return
    // A flowing stream would deliver `head` to earlier listeners.
    socket.pause()
    socket.unshift(head)
  }

  // A getter, because a field would take memory in every connection.
  get [neverThrows](): true {
    return true
  }

  get bufferedBytes(): number {
    return this.closed ? 0 : this.socket.writableLength + (this.backlog?.size ?? 0)
  }

  start(sink: TransportSink, marks: WaterMarks): void {
    this.sink = sink
    this.marks = marks
    if (this.closed || this.socket.destroyed) {
      queueMicrotask(() => this.close())
      return
    }
    this.readBeforeStart = this.socket.readableLength
    this.socket.on("end", onEnd)
    if (this.kind === "stream") this.socket.on("finish", onFinish)
    this.socket.on("data", onData)
    // A listener alone does not resume a stream that was paused explicitly.
    this.socket.resume()
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  release(chunk: Uint8Array): void {
    if (chunk.length < minReleasedBytes || typeof transfer !== "function") return
    // If a chunk shares its buffer with others, that buffer may still be in use.
    if (this.kind !== "stream" && chunk.length === chunk.buffer.byteLength) Reflect.apply(transfer, chunk.buffer, [0])
  }

  write(chunks: ReadonlyArray<Uint8Array>): WriteResult {
    const { socket } = this
    if (chunks.length === 0 || this.backlog?.endsBehind === true || !socket.writable)
      return this.bufferedBytes > 0 ? pending : clear
    let size = 0
    for (const chunk of chunks) size += chunk.length
    if (this.bufferedBytes > 0) return this.writeLater(chunks)
    if (size > sliceBytes) return this.writeSlices(chunks)
    // A callback costs a turn of the event loop, so only a write that may have to wait has one.
    this.pass(chunks, size >= this.marks.high)
    return this.result()
  }

  /** Keeps at most one write waiting in the stream, because a stream reports a write only when all of it is done. */
  private writeLater(chunks: ReadonlyArray<Uint8Array>): WriteResult {
    const backlog = (this.backlog ??= new Backlog())
    backlog.copy(chunks)
    this.passBacklog(backlog)
    return this.result()
  }

  private writeSlices(chunks: ReadonlyArray<Uint8Array>): WriteResult {
    const backlog = (this.backlog ??= new Backlog())
    backlog.refer(chunks)
    this.passBacklog(backlog)
    backlog.settle()
    return this.result()
  }

  private result(): WriteResult {
    const waiting = this.bufferedBytes
    // No bytes wait. If the kernel is behind the socket, it has copied all of them.
    if (waiting === 0) return this.kind === "kernel" ? clear : pending
    if (waiting < this.marks.high) return pending
    this.congested = true
    return congested
  }

  private passBacklog(backlog: Backlog): void {
    const { socket } = this
    // The last write that was passed to the stream must have a callback, which continues with the next one.
    while (backlog.size > 0 && socket.writable && (socket.writableLength === 0 || this.callbacks === 0)) {
      this.pass(backlog.take(sliceBytes), true)
    }
    if (backlog.size > 0) backlog.trimming ??= setTimeout(() => backlog.trim(), trimMillis).unref()
    if (backlog.size === 0 && backlog.endsBehind) socket.end()
  }

  private pass(chunks: ReadonlyArray<Uint8Array>, withCallback: boolean): void {
    const { socket } = this
    const last = chunks.length - 1
    if (last > 0) socket.cork()
    for (let i = 0; i < last; i++) socket.write(chunks[i])
    if (withCallback) {
      this.callbacks++
      socket.write(chunks[last], (this.onWritten ??= () => this.written()))
    } else {
      socket.write(chunks[last])
    }
    if (last > 0) socket.uncork()
  }

  end(): void {
    if (this.backlog === undefined || this.backlog.size === 0) this.socket.end()
    else this.backlog.endsBehind = true
  }

  abort(): void {
    if (isHttp2Stream(this.socket)) {
      // From here on a reset is no failure.
      this.socket.off("close", onHttp2Close).on("close", onClose)
      return cancel(this.socket)
    }
    this.socket.destroy()
    // Only a socket is certain to report that it is closed.
    if (this.kind === "stream") setImmediate(() => this.close())
  }

  private written(): void {
    this.callbacks--
    // Node also calls back for writes that it dropped.
    if (this.closed || this.socket.destroyed) return
    if (this.backlog !== undefined) this.passBacklog(this.backlog)
    if (!this.congested || this.bufferedBytes > this.marks.low) return
    this.congested = false
    this.sink?.onDrain()
  }

  receive(chunk: Uint8Array): void {
    this.sink?.onChunk(chunk, this.isOwned(chunk))
  }

  /** Takes bytes that are valid only during the call, unless the stream has to deliver them. */
  takeBorrowed(chunk: Uint8Array): boolean {
    const { sink, socket } = this
    // Bytes that the stream holds come first. Others who read from the stream see only what the stream delivers.
    if (sink === undefined || socket.readableLength > 0 || socket.listenerCount("data") > 1) return false
    if (this.kind !== "kernel") return false
    sink.onChunk(chunk, false, true)
    return true
  }

  /** Whether nobody else can hold a chunk that was read. */
  private isOwned(chunk: Uint8Array): boolean {
    if (this.kind === "stream" || this.kind === "http2") return false
    if (this.readBeforeStart > 0) {
      this.readBeforeStart -= chunk.length
      return false
    }
    return this.socket.listenerCount("data") === 1
  }

  receiveEnd(): void {
    // Node ends the input of a stream that was reset, too.
    if (isHttp2Stream(this.socket) && (this.socket.rstCode ?? 0) !== 0) return
    this.sink?.onEof()
    this.endStream()
  }

  /** Aborts a stream that has ended on both sides. Such a stream does not always destroy itself. */
  endStream(): void {
    const { readableEnded, writableFinished } = this.socket
    if (this.kind === "stream" && readableEnded && writableFinished) setImmediate(() => this.abort())
  }

  fail(cause: Error): void {
    const operation = "syscall" in cause && cause.syscall === "write" ? "write" : "read"
    if (!this.closed) this.sink?.onError(new IoError({ reason: "Reset", operation, cause }))
  }

  close(): void {
    this.closed = true
    clearTimeout(this.backlog?.trimming)
    this.backlog = undefined
    this.sink?.onClose()
    this.sink = undefined
  }
}

// V8 frees a buffer only at a garbage collection, so a server that reads a lot causes constant collections. A buffer that is
// transferred is freed at once. `transfer` is part of ECMAScript 2024 and available since Node 21.
const transfer: unknown = Reflect.get(ArrayBuffer.prototype, "transfer")
// A transfer costs more than a smaller buffer does.
const minReleasedBytes = 32 * 1024

// A large message is written in slices of this many bytes, because a stream reports progress only for whole writes.
const sliceBytes = 256 * 1024
// Trimming costs a copy. It is delayed, because a fast peer makes it unnecessary.
const trimMillis = 100

const clear: WriteResult = { taken: true, belowHighWater: true }
const pending: WriteResult = { taken: false, belowHighWater: true }
const congested: WriteResult = { taken: false, belowHighWater: false }

// All sockets share these functions, so that no socket needs closures of its own.
function onData(this: TransportSocket, chunk: Uint8Array): void {
  this[transport]?.receive(chunk)
}
function onEnd(this: TransportSocket): void {
  this[transport]?.receiveEnd()
}
function onFinish(this: TransportSocket): void {
  this[transport]?.endStream()
}
function onError(this: TransportSocket, error: Error): void {
  this[transport]?.fail(error)
}
// A reset with CANCEL, and the end of the session, are no `error` event of a stream.
function onHttp2Close(this: TransportSocket): void {
  const cause = isHttp2Stream(this) ? resetOf(this) : undefined
  if (cause !== undefined && this.errored === null) this[transport]?.fail(cause)
  this[transport]?.close()
}
function onClose(this: TransportSocket): void {
  this[transport]?.close()
}
