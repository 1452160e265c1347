import { IoError } from "@effect-websocket/protocol/Errors"
import type { Transport, TransportSink, WaterMarks, WriteResult } from "../../Transport.js"
import { inTurn } from "../inTurn.js"

/** Marks the transports that keep the contract by themselves: those over sockets of the system. These need no guard. */
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
 * A guard around a transport of the app, which may break the contract of a transport:
 *
 * - If a method throws, the guard ends that connection with the error as the cause. Without the guard, the error could
 *   reach a callback of a socket or a timer and end the process.
 * - If a method reports something before it returns, the guard passes the report on in a later turn. Without the guard, a
 *   connection would read while it writes.
 */
export class GuardedTransport implements Transport, Guard {
  readonly [neverThrows] = true
  readonly [guardKey] = true
  readonly remoteAddress: string | undefined
  readonly transport: Transport
  private sink: TransportSink | undefined = undefined
  private broken = false
  private closed = false
  // How many calls of methods are under way.
  private calls = 0
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
    const guarded = new GuardedSink(sink, this)
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
    this.calls++
    try {
      return this.transport.write(chunks)
    } catch (cause) {
      this.break("write", cause)
      return lost
    } finally {
      this.calls--
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

  get isBroken(): boolean {
    return this.broken
  }

  get isCalled(): boolean {
    return this.calls > 0
  }

  close(): void {
    if (this.closed) return
    this.closed = this.broken = true
    clearTimeout(this.abandoning)
    this.sink?.onClose()
  }

  private attempt(operation: string, call: () => void): void {
    if (this.broken) return
    this.calls++
    try {
      call()
    } catch (cause) {
      this.break(operation, cause)
    } finally {
      this.calls--
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

interface Guard {
  /** Whether the transport has failed or closed. */
  readonly isBroken: boolean
  /** Whether a method of the transport is being called. */
  readonly isCalled: boolean
  close(): void
}

/** Passes on the reports of a transport, in order and outside of calls to it, until the transport is broken. */
class GuardedSink implements TransportSink {
  private readonly sink: TransportSink
  private readonly guard: Guard
  // The reports that wait for a later turn. There is a list as long as reports wait, so that none overtakes another.
  private waiting: Array<() => void> | undefined = undefined

  constructor(sink: TransportSink, guard: Guard) {
    this.sink = sink
    this.guard = guard
  }

  onChunk(chunk: Uint8Array, owned: boolean, mutable?: boolean): void {
    if (this.isDirect) {
      this.sink.onChunk(chunk, owned, mutable)
      return
    }
    // A chunk that is not owned is valid only during this call.
    const kept = owned ? chunk : chunk.slice()
    this.report(() => this.sink.onChunk(kept, owned, mutable))
  }

  onEof(): void {
    this.report(() => this.sink.onEof())
  }

  onDrain(): void {
    this.report(() => this.sink.onDrain())
  }

  onError(error: IoError): void {
    this.report(() => this.sink.onError(error))
  }

  onClose(): void {
    this.report(() => this.guard.close())
  }

  private get isDirect(): boolean {
    return this.waiting === undefined && !this.guard.isCalled && !this.guard.isBroken
  }

  private report(pass: () => void): void {
    if (this.isDirect) return pass()
    if (this.guard.isBroken) return
    if (this.waiting === undefined) {
      this.waiting = []
      inTurn(() => this.passWaiting())
    }
    this.waiting.push(pass)
  }

  private passWaiting(): void {
    const passed = this.waiting ?? []
    // Not yet `undefined`: what is reported meanwhile follows.
    const waiting = (this.waiting = [])
    for (const pass of passed) if (!this.guard.isBroken) pass()
    if (waiting.length > 0) inTurn(() => this.passWaiting())
    else this.waiting = undefined
  }
}
