/**
 * Any Node `Duplex` as a transport: TCP, TLS, an upgraded HTTP/1.1 socket.
 *
 * @since 0.1.0
 */
import { IoError } from "@effect-websocket/protocol/Errors"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Transport, TransportSink, WaterMarks, WriteResult } from "../Transport.js"

/**
 * A transport over a duplex stream, which it takes over: nothing else may read from it or write to it. `head` is what was
 * read behind the HTTP header already.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (socket: Duplex, head?: Uint8Array): Transport => new NodeTransport(socket, head)

const transport = Symbol("transport")

interface TransportSocket extends Duplex {
  [transport]?: NodeTransport
  readonly remoteAddress?: string
}

class NodeTransport implements Transport {
  readonly remoteAddress: string | undefined
  private readonly socket: TransportSocket
  private sink: TransportSink | undefined = undefined
  private high = 0
  private low = 0
  private congested = false
  private closed = false
  // Made when it is first needed: most connections are never congested.
  private onWritten: (() => void) | undefined = undefined

  constructor(socket: TransportSocket, head: Uint8Array | undefined) {
    this.socket = socket
    this.remoteAddress = socket.remoteAddress
    socket[transport] = this
    // Before anything else: an error that nobody listens for ends the process.
    socket.on("error", onError)
    socket.on("close", onClose)
    if (head !== undefined && head.length > 0) socket.unshift(head)
  }

  get bufferedBytes(): number {
    return this.closed ? 0 : this.socket.writableLength
  }

  start(sink: TransportSink, marks: WaterMarks): void {
    this.sink = sink
    this.high = marks.high
    this.low = marks.low
    if (this.closed || this.socket.destroyed) {
      queueMicrotask(() => this.close())
      return
    }
    this.socket.on("end", onEnd)
    this.socket.on("data", onData)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  release(chunk: Uint8Array): void {
    if (chunk.length < minReleasedBytes || typeof transfer !== "function") return
    // What shares its buffer with others, and what another kind of stream passed on, may still be in use.
    if (chunk.length === chunk.buffer.byteLength && this.socket instanceof Socket)
      Reflect.apply(transfer, chunk.buffer, [0])
  }

  write(chunks: ReadonlyArray<Uint8Array>): WriteResult {
    const { socket } = this
    const last = chunks.length - 1
    if (last < 0 || !socket.writable) return this.bufferedBytes > 0 ? pending : clear
    let size = socket.writableLength
    for (const chunk of chunks) size += chunk.length
    if (last > 0) socket.cork()
    for (let i = 0; i < last; i++) socket.write(chunks[i])
    // A callback costs a turn of the event loop, so only what may have to wait has one.
    if (size < this.high) socket.write(chunks[last])
    else socket.write(chunks[last], (this.onWritten ??= () => this.written()))
    if (last > 0) socket.uncork()
    const waiting = socket.writableLength
    // Nothing waits: the kernel has taken it all.
    if (waiting === 0) return clear
    if (waiting < this.high) return pending
    this.congested = true
    return congested
  }

  end(): void {
    this.socket.end()
  }

  abort(): void {
    this.socket.destroy()
  }

  private written(): void {
    // Node also calls back for what it dropped.
    if (!this.congested || this.socket.destroyed || this.socket.writableLength > this.low) return
    this.congested = false
    if (!this.closed) this.sink?.onDrain()
  }

  receive(chunk: Uint8Array): void {
    this.sink?.onChunk(chunk, true)
  }

  receiveEnd(): void {
    this.sink?.onEof()
  }

  fail(cause: Error): void {
    const operation = "syscall" in cause && cause.syscall === "write" ? "write" : "read"
    if (!this.closed) this.sink?.onError(new IoError({ reason: "Reset", operation, cause }))
  }

  close(): void {
    this.closed = true
    this.sink?.onClose()
    this.sink = undefined
  }
}

// V8 frees what was read only after a garbage collection, and a server that reads much makes it collect all the time. A buffer
// that is transferred is freed at once. From ECMAScript 2024, in Node from 21 on.
const transfer: unknown = Reflect.get(ArrayBuffer.prototype, "transfer")
// Small ones cost less than their transfer.
const minReleasedBytes = 32 * 1024

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
function onError(this: TransportSocket, error: Error): void {
  this[transport]?.fail(error)
}
function onClose(this: TransportSocket): void {
  this[transport]?.close()
}
