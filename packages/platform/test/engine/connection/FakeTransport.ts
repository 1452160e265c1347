import type { Transport, TransportSink, WaterMarks, WriteResult } from "../../../src/Transport.js"
import { concat } from "../support.js"

/** A transport that does only what a test says, and remembers what it was asked to do. */
export class FakeTransport implements Transport {
  readonly remoteAddress = "fake"
  bufferedBytes = 0
  /** What it was asked to do, in order, apart from writes and chunks that were given back. */
  readonly calls: Array<"pause" | "resume" | "end" | "abort"> = []
  /** How many chunks were given back. */
  released = 0
  /** The bytes of each write. */
  readonly writes: Array<Uint8Array> = []
  private started: TransportSink | undefined = undefined
  private marks: WaterMarks = { high: 0, low: 0 }
  private stalled = false
  private congested = false

  /** What reports to it. */
  get sink(): TransportSink {
    if (this.started === undefined) throw new Error("The transport has not been started")
    return this.started
  }

  /** From now on, what is written stays in its buffer. */
  stall(): void {
    this.stalled = true
  }

  /** Takes `size` bytes from its buffer, and reports room if that makes some. */
  take(size: number): void {
    this.bufferedBytes -= size
    if (!this.congested || this.bufferedBytes > this.marks.low) return
    this.congested = false
    this.sink.onDrain()
  }

  /** Takes everything, now and from now on. */
  drain(): void {
    this.stalled = false
    this.take(this.bufferedBytes)
  }

  start(sink: TransportSink, marks: WaterMarks): void {
    this.started = sink
    this.marks = marks
  }

  write(chunks: ReadonlyArray<Uint8Array>): WriteResult {
    const bytes = concat(...chunks)
    this.writes.push(bytes)
    if (this.stalled) this.bufferedBytes += bytes.length
    this.congested ||= this.bufferedBytes >= this.marks.high
    return { taken: !this.stalled, belowHighWater: !this.congested }
  }

  pause(): void {
    this.calls.push("pause")
  }

  resume(): void {
    this.calls.push("resume")
  }

  release(): void {
    this.released++
  }

  end(): void {
    this.calls.push("end")
  }

  abort(): void {
    this.calls.push("abort")
  }
}
