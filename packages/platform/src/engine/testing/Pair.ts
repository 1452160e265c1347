import { IoError } from "@effect-websocket/protocol/Errors"
import type { Transport, TransportSink, WaterMarks, WriteResult } from "../../Transport.js"
import { concat } from "../bytes.js"
import { count } from "../checks.js"
import { nothingToUndo } from "../connection/Closables.js"
import { inTurn } from "../inTurn.js"
import type { Clock } from "../time/Clock.js"

/** What can go wrong on the way. The public `MockTransport.Faults` documents it. */
export interface Faults {
  split(size: number | undefined): void
  /** In milliseconds. */
  delay(time: number): void
  throttle(bytesPerSecond: number | undefined): void
  stall(): void
  unstall(): void
  drop(): void
}

type Sleep = Pick<Clock, "sleep">

/** Two transports that are joined in memory. */
export class Pair implements Faults {
  readonly client: End
  readonly server: End

  constructor(clock: Sleep) {
    this.client = new End(clock, "mock-client")
    this.server = new End(clock, "mock-server")
    this.client.join(this.server)
    this.server.join(this.client)
  }

  get clientToServer(): Direction {
    return this.client.output
  }

  get serverToClient(): Direction {
    return this.server.output
  }

  split(size: number | undefined): void {
    this.clientToServer.split(size)
    this.serverToClient.split(size)
  }

  delay(time: number): void {
    this.clientToServer.delay(time)
    this.serverToClient.delay(time)
  }

  throttle(bytesPerSecond: number | undefined): void {
    this.clientToServer.throttle(bytesPerSecond)
    this.serverToClient.throttle(bytesPerSecond)
  }

  stall(): void {
    this.clientToServer.stall()
    this.serverToClient.stall()
  }

  unstall(): void {
    this.clientToServer.unstall()
    this.serverToClient.unstall()
  }

  drop(): void {
    this.clientToServer.drop()
    this.serverToClient.drop()
  }

  /** Breaks the connection for both ends. */
  reset(): void {
    this.client.fail()
    this.server.fail()
  }

  /** Removes all faults, and delivers what they held up. Resets the connection if something may have been lost. */
  lift(): void {
    this.clientToServer.lift()
    this.serverToClient.lift()
    if (this.clientToServer.isDropping || this.serverToClient.isDropping) this.reset()
  }
}

type Item = Uint8Array | "end"

/** An item that may not be delivered yet. */
interface Delayed {
  readonly item: Item
  /** Whether its own delay has passed. It may still have to wait for the items before it. */
  isDue: boolean
}

/** The bytes on their way from one end, the writer, to the other end, the reader. */
export class Direction implements Faults {
  /** The number of bytes that have not been delivered. */
  bufferedBytes = 0
  private readonly clock: Sleep
  private readonly writer: End
  /** Everything that was written, also what was lost. */
  private readonly log: Array<Uint8Array> = []
  // Items on their way are first delayed, then ready. Both lists are in the order of writing.
  private delayed: Array<Delayed> = []
  private ready: Array<Item> = []
  private readonly sleeps = new Set<() => void>()
  private splitSize: number | undefined = undefined
  private delayTime = 0
  // The number of bytes that may be delivered in each second, and in the rest of this one.
  private bytesPerSecond = Number.POSITIVE_INFINITY
  private allowance = Number.POSITIVE_INFINITY
  private replenishing = false
  private stopReplenishing = nothingToUndo
  private stalled = false
  private dropping = false
  private scheduled = false

  constructor(clock: Sleep, writer: End) {
    this.clock = clock
    this.writer = writer
  }

  private get reader(): End | undefined {
    return this.writer.other
  }

  split(size: number | undefined): void {
    this.splitSize = size === undefined ? undefined : count("size", size)
  }

  delay(time: number): void {
    this.delayTime = time
  }

  throttle(bytesPerSecond: number | undefined): void {
    this.setRate(bytesPerSecond === undefined ? Number.POSITIVE_INFINITY : count("bytesPerSecond", bytesPerSecond))
    this.schedule()
  }

  stall(): void {
    this.stalled = true
  }

  unstall(): void {
    this.stalled = false
    this.schedule()
  }

  drop(): void {
    this.dropping = true
  }

  /** Removes all faults but `drop`, and delivers what they held up. */
  lift(): void {
    this.splitSize = undefined
    this.delayTime = 0
    this.setRate(Number.POSITIVE_INFINITY)
    this.stalled = false
    this.cancelSleeps()
    for (const { item } of this.delayed) this.ready.push(item)
    this.delayed = []
    this.schedule()
  }

  /** Ends the direction after the bytes that were written. */
  end(): void {
    this.writer.end()
  }

  /** Delivers bytes as if the writer had written them. */
  inject(bytes: Uint8Array): void {
    this.push(bytes.slice())
  }

  /** All bytes that were written so far. */
  get written(): Uint8Array {
    return concat(this.log)
  }

  /** Whether what is written is lost. */
  get isDropping(): boolean {
    return this.dropping
  }

  /** Whether the end of the direction has not been delivered yet. */
  get hasEndOnItsWay(): boolean {
    return this.ready.includes("end") || this.delayed.some(({ item }) => item === "end")
  }

  /** Logs what an end writes, and sends it on its way if the end may still send. */
  write(chunk: Uint8Array, delivers: boolean): void {
    // A copy: the reader may change it, and the writer may use its memory again.
    const copy = chunk.slice()
    this.log.push(copy)
    if (delivers) this.push(copy)
  }

  push(item: Item): void {
    if (this.dropping) return
    if (item !== "end") this.bufferedBytes += item.length
    if (this.delayTime === 0 && this.delayed.length === 0) {
      this.ready.push(item)
      this.schedule()
      return
    }
    const delayed = { item, isDue: this.delayTime === 0 }
    this.delayed.push(delayed)
    if (delayed.isDue) return
    this.after(this.delayTime, () => {
      delayed.isDue = true
      this.releaseDue()
    })
  }

  /** Readies the items whose delays have passed. None overtakes an item before it. */
  private releaseDue(): void {
    while (this.delayed[0]?.isDue === true) this.ready.push(this.delayed.shift()!.item)
    this.schedule()
  }

  /** Loses everything that is on its way. */
  clear(): void {
    this.ready = []
    this.delayed = []
    this.cancelSleeps()
    this.bufferedBytes = 0
  }

  /** Delivers in a later turn, one chunk in each, as from an event loop. */
  schedule(): void {
    if (this.scheduled || this.stalled) return
    this.scheduled = true
    inTurn(this.deliverNext)
  }

  private readonly deliverNext = (): void => {
    this.scheduled = false
    this.deliver()
  }

  private deliver(): void {
    const { reader } = this
    if (this.stalled || reader === undefined || !reader.isReading) return
    if (this.allowance === 0) return this.replenish()
    const item = this.ready.shift()
    if (item === undefined) return
    if (item === "end") {
      reader.receiveEnd()
      this.writer.closeIfOver()
      return
    }
    const size = Math.min(this.splitSize ?? item.length, this.allowance)
    this.allowance -= Math.min(size, item.length)
    if (item.length > size) this.ready.unshift(item.subarray(size))
    const chunk = item.slice(0, size)
    this.bufferedBytes -= chunk.length
    this.schedule()
    reader.receive(chunk)
    this.writer.reportDrain()
  }

  /** A rate begins with a second of its own. */
  private setRate(bytesPerSecond: number): void {
    this.bytesPerSecond = bytesPerSecond
    this.allowance = bytesPerSecond
    this.replenishing = false
    this.stopReplenishing()
  }

  private replenish(): void {
    if (this.replenishing) return
    this.replenishing = true
    this.stopReplenishing = this.after(1000, () => {
      this.replenishing = false
      this.allowance = this.bytesPerSecond
      this.schedule()
    })
  }

  /** Returns what stops it. */
  private after(millis: number, task: () => void): () => void {
    let isOver = false
    // A clock may call back before it returns.
    let cancel = nothingToUndo
    const end = (): void => {
      isOver = true
      this.sleeps.delete(stop)
    }
    const stop = (): void => {
      if (isOver) return
      end()
      cancel()
    }
    this.sleeps.add(stop)
    cancel = this.clock.sleep(millis, () => {
      if (isOver) return
      end()
      task()
    })
    return stop
  }

  private cancelSleeps(): void {
    for (const stop of this.sleeps) stop()
  }
}

/** One end: a transport. The other end reads its output. */
export class End implements Transport {
  readonly remoteAddress: string
  readonly output: Direction
  other: End | undefined = undefined
  private sink: TransportSink | undefined = undefined
  private marks: WaterMarks = { high: Number.POSITIVE_INFINITY, low: 0 }
  private paused = false
  private ended = false
  private inputEnded = false
  private closed = false
  private congested = false

  constructor(clock: Sleep, remoteAddress: string) {
    this.remoteAddress = remoteAddress
    this.output = new Direction(clock, this)
  }

  join(other: End): void {
    this.other = other
  }

  get bufferedBytes(): number {
    return this.output.bufferedBytes
  }

  start(sink: TransportSink, marks: WaterMarks): void {
    if (this.closed) {
      queueMicrotask(() => sink.onClose())
      return
    }
    this.sink = sink
    this.marks = marks
    this.other?.output.schedule()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.other?.output.schedule()
  }

  write(chunks: ReadonlyArray<Uint8Array>): WriteResult {
    for (const chunk of chunks) this.output.write(chunk, !this.closed && !this.ended)
    if (this.bufferedBytes >= this.marks.high) this.congested = true
    return this.congested ? congested : clear
  }

  end(): void {
    if (this.ended || this.closed) return
    this.ended = true
    this.output.push("end")
  }

  abort(): void {
    if (this.closed) return
    // Bytes and ends that were not delivered are lost, so the other end sees a reset.
    this.close()
    if (!this.output.isDropping) queueMicrotask(() => this.other?.fail())
  }

  fail(): void {
    if (this.closed) return
    const { sink } = this
    this.close()
    sink?.onError(new IoError({ reason: "Reset", operation: "read" }))
  }

  /** Whether bytes can be delivered to it. */
  get isReading(): boolean {
    return this.sink !== undefined && !this.closed && !this.paused
  }

  receive(chunk: Uint8Array): void {
    this.sink?.onChunk(chunk, true)
  }

  receiveEnd(): void {
    this.inputEnded = true
    this.sink?.onEof()
    this.closeIfOver()
  }

  reportDrain(): void {
    if (!this.congested || this.bufferedBytes > this.marks.low) return
    this.congested = false
    if (!this.closed) this.sink?.onDrain()
  }

  /** Closes once both directions have ended and the ends were delivered. */
  closeIfOver(): void {
    if (this.ended && this.inputEnded && !this.output.hasEndOnItsWay) this.close()
  }

  private close(): void {
    if (this.closed) return
    this.closed = true
    this.output.clear()
    const { sink } = this
    if (sink !== undefined) queueMicrotask(() => sink.onClose())
  }
}

const clear: WriteResult = { taken: true, belowHighWater: true }
const congested: WriteResult = { taken: true, belowHighWater: false }
