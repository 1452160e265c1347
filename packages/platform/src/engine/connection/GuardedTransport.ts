import { IoError } from "@effect-websocket/protocol/Errors"
import type { Transport, TransportSink, WaterMarks, WriteResult } from "../../Transport.js"

/** What the transports of the library's own clients and servers have, so that they are not guarded. */
export const neverThrows = Symbol("neverThrows")

const guardKey = Symbol.for("@effect-websocket/platform/GuardedTransport")

/** How long a transport of the app's has to report its end once it was aborted. */
const abandonMillis = 100

/** The transport, with a guard around it unless it needs none. */
export const guarded = (transport: Transport): Transport =>
  neverThrows in transport ? transport : new GuardedTransport(transport)

/** The transport without the guard around it, if it has one. */
export const unguarded = (transport: Transport): Transport => (isGuarded(transport) ? transport.transport : transport)

/** Recognises the guards of every copy of this package. */
const isGuarded = (transport: Transport): transport is GuardedTransport => guardKey in transport

/**
 * A transport of the app's. No method of a transport may throw; one that does breaks its own connection, with the error as the
 * cause, and never a callback of a socket or a timer, which would end the process.
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
    // Nobody must wait for a transport that never reports its end.
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
      // It is broken, and that has been reported.
    }
    // A transport never calls back from within a call to it.
    queueMicrotask(() => {
      this.sink?.onError(new IoError({ reason: "Reset", operation, cause }))
      this.close()
    })
  }
}

/** Nothing of it is kept, and nothing will be. */
const lost: WriteResult = { taken: false, belowHighWater: true }

/** Passes on what a transport reports, until it is broken. */
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
