/**
 * Any Node `Duplex` as a transport: TCP, TLS, an upgraded HTTP/1.1 socket.
 *
 * @since 0.1.0
 */
import { IoError } from "@effect-websocket/protocol/Errors"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { TLSSocket } from "node:tls"
import type { Transport, TransportSink, WaterMarks, WriteResult } from "../Transport.js"
import { neverThrows } from "../engine/connection/GuardedTransport.js"
import { Backlog } from "./internal/backlog.js"
import { transport } from "./internal/taken.js"
import { reportThrown } from "./internal/reportThrown.js"

/**
 * A transport over a duplex stream, which it takes over: nothing else may read from it or write to it. `head` is what was
 * read behind the HTTP header already; it is not changed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (socket: Duplex, head?: Uint8Array): Transport => new NodeTransport(socket, head)

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
  // What waits for the write before it. Most connections never have one.
  private backlog: Backlog | undefined = undefined
  // How many writes have a callback that has not come.
  private callbacks = 0
  // Made when it is first needed: most connections are never congested.
  private onWritten: (() => void) | undefined = undefined
  // What the stream had read before the start.
  private readBeforeStart = 0

  constructor(socket: TransportSocket, head: Uint8Array | undefined) {
    this.socket = socket
    reportThrown(socket)
    this.remoteAddress = socket.remoteAddress
    this.kind = kindOf(socket)
    socket[transport] = this
    // Before anything else: an error that nobody listens for ends the process.
    socket.on("error", onError)
    socket.on("close", onClose)
    if (head === undefined || head.length === 0) return
    // A stream that flows would give it to who has listened until now.
    socket.pause()
    socket.unshift(head)
  }

  // Not a field, which every connection would have.
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
    // A listener alone does not resume a stream that somebody has paused.
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
    // What shares its buffer with others may still be in use.
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
    // A callback costs a turn of the event loop, so only what may have to wait has one.
    this.pass(chunks, size >= this.marks.high)
    return this.result()
  }

  /** Only one write waits in the stream, because a stream tells of a write when all of it is done. */
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
    // Nothing waits: the kernel has taken it all.
    if (waiting === 0) return this.kind === "kernel" ? clear : pending
    if (waiting < this.marks.high) return pending
    this.congested = true
    return congested
  }

  private passBacklog(backlog: Backlog): void {
    const { socket } = this
    // The last write that the stream was given must have a callback, which goes on with the next.
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
    this.socket.destroy()
    // Only a socket is certain to tell that it is closed.
    if (this.kind === "stream") setImmediate(() => this.close())
  }

  private written(): void {
    this.callbacks--
    // Node also calls back for what it dropped.
    if (this.closed || this.socket.destroyed) return
    if (this.backlog !== undefined) this.passBacklog(this.backlog)
    if (!this.congested || this.bufferedBytes > this.marks.low) return
    this.congested = false
    this.sink?.onDrain()
  }

  receive(chunk: Uint8Array): void {
    this.sink?.onChunk(chunk, this.isOwned(chunk))
  }

  /** Whether nobody else can hold what was read. */
  private isOwned(chunk: Uint8Array): boolean {
    if (this.kind === "stream") return false
    if (this.readBeforeStart > 0) {
      this.readBeforeStart -= chunk.length
      return false
    }
    return this.socket.listenerCount("data") === 1
  }

  receiveEnd(): void {
    this.sink?.onEof()
    this.endStream()
  }

  /** A stream that has ended on both sides may not destroy itself. */
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

// V8 frees what was read only after a garbage collection, and a server that reads much makes it collect all the time. A buffer
// that is transferred is freed at once. From ECMAScript 2024, in Node from 21 on.
const transfer: unknown = Reflect.get(ArrayBuffer.prototype, "transfer")
// Small ones cost less than their transfer.
const minReleasedBytes = 32 * 1024

/**
 * Whose memory a stream uses.
 * - `kernel`: what is written is copied by the kernel before it counts as written, and each chunk is read into new memory.
 * - `tls`: the same for what is read.
 * - `stream`: another stream may hold what was written, and may have passed on what is read.
 */
type Kind = "kernel" | "tls" | "stream"

const kindOf = (socket: Duplex): Kind => {
  // A class that extends one of these, or a socket that is patched, may do anything.
  const prototype: unknown = Object.getPrototypeOf(socket)
  if (prototype !== Socket.prototype && prototype !== TLSSocket.prototype) return "stream"
  if (patchable.some((method) => Object.hasOwn(socket, method))) return "stream"
  if (prototype === TLSSocket.prototype) return "tls"
  const handle: unknown = Reflect.get(socket, "_handle")
  const isSystemHandle = typeof handle === "object" && handle !== null && systemHandles.has(handle.constructor.name)
  return isSystemHandle ? "kernel" : "stream"
}

const patchable = ["write", "_write", "_writev", "push", "_read"]
// A socket over another stream has a handle, too.
const systemHandles = new Set(["TCP", "Pipe"])

// Of a large message, so much is written at once: a stream tells only of whole writes that they are done.
const sliceBytes = 256 * 1024
// To trim costs a copy, which a peer that is fast does not need.
const trimMillis = 100

const clear: WriteResult = { taken: true, belowHighWater: true }
const pending: WriteResult = { taken: false, belowHighWater: true }
const congested: WriteResult = { taken: false, belowHighWater: false }

// One function each for all sockets, instead of closures for every one.
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
function onClose(this: TransportSocket): void {
  this[transport]?.close()
}
