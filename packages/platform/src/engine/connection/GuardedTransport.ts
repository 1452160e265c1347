import { IoError } from "@effect-websocket/protocol/Errors"
import type { Transport, TransportSink, WaterMarks, WriteResult } from "../../Transport.js"

/** Marks the transports of the library's own clients and servers. These need no guard. */
export const neverThrows = Symbol("neverThrows")

const guardKey = Symbol.for("@effect-websocket/platform/GuardedTransport")

/** How many milliseconds a transport of the app has to report its end after an abort. */
const abandonMillis = 100

/** Returns the transport with a guard around it, or as it is if it needs none. */
export const guarded = (transport: Transport): Transport =>
  neverThrows in transport ? transport : new GuardedTransport(transport)

/** Returns the transport without its guard, if it has one. */
export const unguarded = (transport: Transport): Transport => (isGuarded(transport) ? transport.transport : transport)

/** Recognises guards from any copy of this package. */
const isGuarded = (transport: Transport): transport is GuardedTransport => guardKey in transport

/**
 * A guard around a transport of the app. No method of a transport may throw. If one does, the guard ends that connection
 * with the error as the cause. Without the guard, the error could reach a callback of a socket or a timer and end the
 * process.
 */
export class GuardedTransport implements Transport {
  readonly [neverThrows] = true
  readonly [guardKey] = true
  readonly remoteAddress: string | undefined
  readonly transport: Transport
  private sink: TransportSink | undefined = undefined
  private broken = false
  private closed = false
  private abandoning: ReturnType<typeof setTimeout> | undefined = undefined

  constructor(transport: Transport) {
    this.transport = transport
    this.remoteAddress = transport.remoteAddress
  }

  get bufferedBytes(): number {
    if (this.broken) return 0
    try {
      return this.transport.bufferedBytes
    } catch (cause) {
      this.break("write", cause)
      return 0
    }
  }

  start(sink: TransportSink, marks: WaterMarks): void {
    this.sink = sink
    const guarded = new GuardedSink(
      sink,
      () => this.broken,
      () => this.close()
    )
    this.attempt("start", () => this.transport.start(guarded, marks))
  }

  pause(): void {
    this.attempt("read", () => this.transport.pause())
  }

  resume(): void {
    this.attempt("read", () => this.transport.resume())
  }

  release(chunk: Uint8Array): void {
    this.attempt("read", () => this.transport.release?.(chunk))
  }

  write(chunks: ReadonlyArray<Uint8Array>): WriteResult {
    if (this.broken) return lost
    try {
      return this.transport.write(chunks)
    } catch (cause) {
      this.break("write", cause)
      return lost
    }
  }

  end(): void {
    this.attempt("end", () => this.transport.end())
  }

  abort(): void {
    this.attempt("abort", () => this.transport.abort())
    // Otherwise a transport that never reports its end would make others wait forever.
    if (this.sink !== undefined && !this.closed) this.abandoning ??= setTimeout(() => this.close(), abandonMillis)
  }

  private close(): void {
    if (this.closed) return
    this.closed = this.broken = true
    clearTimeout(this.abandoning)
    this.sink?.onClose()
  }

  private attempt(operation: string, call: () => void): void {
    if (this.broken) return
    try {
      call()
    } catch (cause) {
      this.break(operation, cause)
    }
  }

  private break(operation: string, cause: unknown): void {
    this.broken = true
    try {
      this.transport.abort()
    } catch {
      // The transport is already broken, and the first error is the one that gets reported.
    }
    // A transport never calls back from within a call to it.
    queueMicrotask(() => {
      this.sink?.onError(new IoError({ reason: "Reset", operation, cause }))
      this.close()
    })
  }
}

/** The result of a write to a broken transport: the bytes are lost, and the caller need not wait. */
const lost: WriteResult = { taken: false, belowHighWater: true }

/** Passes on the reports of a transport until the transport is broken. */
class GuardedSink implements TransportSink {
  private readonly sink: TransportSink
  private readonly isBroken: () => boolean
  private readonly close: () => void

  constructor(sink: TransportSink, isBroken: () => boolean, close: () => void) {
    this.sink = sink
    this.isBroken = isBroken
    this.close = close
  }

  onChunk(chunk: Uint8Array, owned: boolean): void {
    if (!this.isBroken()) this.sink.onChunk(chunk, owned)
  }

  onEof(): void {
    if (!this.isBroken()) this.sink.onEof()
  }

  onDrain(): void {
    if (!this.isBroken()) this.sink.onDrain()
  }

  onError(error: IoError): void {
    if (!this.isBroken()) this.sink.onError(error)
  }

  onClose(): void {
    if (!this.isBroken()) this.close()
  }
}
