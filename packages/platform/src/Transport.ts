/**
 * The duplex byte stream under a connection. Implement it to run WebSockets over another kind of transport.
 *
 * @since 0.1.0
 */
import type { IoError } from "@effect-websocket/protocol/Errors"

/**
 * The callbacks of a transport. The transport never calls one of them during a call to one of its own methods, and
 * calls none of them after `onClose`.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransportSink {
  /**
   * Bytes arrived. If `owned` is true, the sink may change and keep them. Otherwise they are valid only during the
   * call, and the sink may change them only if `mutable` is true, as it is for a buffer that the transport fills again
   * after the call. Default for `mutable`: `owned`.
   */
  onChunk(chunk: Uint8Array, owned: boolean, mutable?: boolean): void
  /** The peer will send no more bytes. */
  onEof(): void
  /**
   * The bytes that wait to be sent have fallen to the low-water mark, after a write that left them at or above the
   * high-water mark.
   */
  onDrain(): void
  /** Reading or writing failed. `onClose` follows. */
  onError(error: IoError): void
  /**
   * The transport is closed and holds nothing any more. It is called exactly once, however the transport ended. After
   * `abort`, the connection waits for it for at most 100 milliseconds.
   */
  onClose(): void
}

/**
 * - `taken`: all bytes that were ever written have left this process, so their memory may be used again. Report it only
 *   if it is certain, for example after a copy. Another stream may still hold the bytes that it was given.
 * - `belowHighWater`: fewer bytes than the high-water mark wait to be sent. After `false`, `onDrain` must follow.
 *
 * @since 0.1.0
 * @category models
 */
export interface WriteResult {
  readonly taken: boolean
  readonly belowHighWater: boolean
}

/**
 * The marks at which writing stops and goes on, as a number of bytes that wait to be sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface WaterMarks {
  readonly high: number
  readonly low: number
}

/**
 * A duplex byte stream. Every method is synchronous, and none throws.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transport {
  /** The peer's address, if there is one. */
  readonly remoteAddress: string | undefined
  /**
   * The number of bytes that wait to be sent. It must fall while a large write is being sent, not only at its end. If
   * it does not fall, a deadline concludes that the peer reads nothing.
   */
  readonly bufferedBytes: number
  /** Begins to deliver bytes. It is called once. Nothing that arrives before it is lost. */
  start(sink: TransportSink, marks: WaterMarks): void
  /** Stops reading, so that the peer has to stop writing. */
  pause(): void
  resume(): void
  /** The sink no longer uses an owned chunk, so the transport may reuse its memory. Optional. */
  release?(chunk: Uint8Array): void
  /** Sends bytes. They must not change until they are reported as taken. */
  write(chunks: ReadonlyArray<Uint8Array>): WriteResult
  /** Ends the sending side once all written bytes have been sent: a half-close. */
  end(): void
  /** Closes the transport at once and drops everything that waits. */
  abort(): void
}
