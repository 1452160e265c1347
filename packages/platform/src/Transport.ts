/**
 * A duplex of bytes under a connection. Implement it to run WebSockets over something new.
 *
 * @since 0.1.0
 */
import type { IoError } from "@effect-websocket/protocol/Errors"

/**
 * What a transport reports. It never calls back from within a call to it, and after `onClose` not at all.
 *
 * @since 0.1.0
 * @category models
 */
export interface TransportSink {
  /** Bytes arrived. With `owned` they are the sink's to change and keep; without, they are valid during the call only. */
  onChunk(chunk: Uint8Array, owned: boolean): void
  /** The peer sends no more. */
  onEof(): void
  /** What waits to be sent has fallen to the low-water mark, after a write that left it at or above the high one. */
  onDrain(): void
  /** Reading or writing failed. `onClose` follows. */
  onError(error: IoError): void
  /** Nothing is left of it. Comes exactly once, however it ended; 100 milliseconds after `abort` it is no longer waited for. */
  onClose(): void
}

/**
 * - `taken`: all bytes that were ever written have left this process's hands, so their memory may be used again. Report it
 *   only when it is certain, as after a copy: another stream may still hold what it was given.
 * - `belowHighWater`: less than the high-water mark waits to be sent. After `false`, `onDrain` will come.
 *
 * @since 0.1.0
 * @category models
 */
export interface WriteResult {
  readonly taken: boolean
  readonly belowHighWater: boolean
}

/**
 * When writing waits, in bytes that wait to be sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface WaterMarks {
  readonly high: number
  readonly low: number
}

/**
 * A duplex of bytes. Every method is synchronous and none throws.
 *
 * @since 0.1.0
 * @category models
 */
export interface Transport {
  /** The peer's address, where it has one. */
  readonly remoteAddress: string | undefined
  /**
   * How many bytes wait to be sent. It must fall while a large write leaves, not only at its end: deadlines take a number that
   * does not fall for a peer that reads nothing.
   */
  readonly bufferedBytes: number
  /** Begins to deliver. Called once; before it, nothing is lost. */
  start(sink: TransportSink, marks: WaterMarks): void
  /** Stops reading, so that the peer's writes come to a halt. */
  pause(): void
  resume(): void
  /** An owned chunk that was delivered is not used any more, so its memory may be given back. Optional. */
  release?(chunk: Uint8Array): void
  /** Sends bytes, which must stay as they are until they are reported as taken. */
  write(chunks: ReadonlyArray<Uint8Array>): WriteResult
  /** Sends no more, once what was written is out: a half-close. */
  end(): void
  /** Drops everything at once. */
  abort(): void
}
