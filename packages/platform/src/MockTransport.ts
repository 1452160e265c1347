/**
 * An in-memory pair of transports that really carries bytes, for tests: it can split, delay (on `Clock`), throttle, stall,
 * lose, reset and end, in one direction or in both.
 *
 * @since 0.1.0
 */
import { IoError } from "@effect-websocket/protocol/Errors"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as RuntimeFlags from "effect/RuntimeFlags"
import { concat } from "./engine/bytes.js"
import type { Transport, TransportSink, WaterMarks, WriteResult } from "./Transport.js"

/**
 * What can go wrong on the way, in one direction or in both. Everything but `drop` can be lifted again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Faults {
  /** Delivers in chunks of at most `size` bytes; `undefined` lifts it. */
  readonly split: (size: number | undefined) => Effect.Effect<void>
  /** Delivers what is written from now on after a time on `Clock`; zero lifts it. */
  readonly delay: (time: Duration.DurationInput) => Effect.Effect<void>
  /**
   * Delivers at most `bytesPerSecond` bytes at once, and again a second later on `Clock`; `undefined` lifts it. What waits
   * stays in the writer's buffer.
   */
  readonly throttle: (bytesPerSecond: number | undefined) => Effect.Effect<void>
  /** Delivers nothing: what is written stays in the writer's buffer, as with a peer that does not read. */
  readonly stall: Effect.Effect<void>
  /** Ends `stall`. */
  readonly unstall: Effect.Effect<void>
  /** Loses everything that is written from now on, ends included, as with a peer that vanished. */
  readonly drop: Effect.Effect<void>
}

/**
 * One direction of a pair, from a writer to a reader.
 *
 * @since 0.1.0
 * @category models
 */
export interface Direction extends Faults {
  /** Ends the direction behind what was written, as a half-close by the writer. */
  readonly end: Effect.Effect<void>
  /** Delivers raw bytes to the reader, as if the writer had written them. */
  readonly inject: (bytes: Uint8Array) => Effect.Effect<void>
  /** All bytes that were written so far; they are kept as long as the pair is. */
  readonly written: Effect.Effect<Uint8Array>
}

/**
 * Two transports that are joined. The faults of the pair are those of both directions at once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pair extends Faults {
  readonly client: Transport
  readonly server: Transport
  readonly clientToServer: Direction
  readonly serverToClient: Direction
  /** Breaks the connection: both ends fail with `IoError` (`Reset`). */
  readonly reset: Effect.Effect<void>
  /**
   * Lifts all faults and delivers at once what they held up. Where something was dropped it is a `reset`: an end that missed
   * bytes knows nothing of the connection any more.
   */
  readonly lift: Effect.Effect<void>
}

/**
 * A pair without faults.
 *
 * @example
 * ```ts
 * import * as MockTransport from "@effect-websocket/platform/MockTransport"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const pair = yield* MockTransport.make()
 *   yield* pair.clientToServer.split(1) // the server reads byte by byte
 *   yield* pair.serverToClient.delay("50 millis")
 * })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Effect.Effect<Pair> =>
  Effect.map(Effect.runtime<never>(), (inherited) => {
    // A pair may be made where nothing can be interrupted; its timers must be interruptible all the same.
    const runtime = Runtime.enableRuntimeFlag(inherited, RuntimeFlags.Interruption)
    const client = new End(runtime, "mock-client")
    const server = new End(runtime, "mock-server")
    client.join(server)
    server.join(client)
    const { direction: clientToServer } = client
    const { direction: serverToClient } = server
    const reset = Effect.sync(() => {
      client.fail()
      server.fail()
    })
    const pair: Pair = {
      client,
      server,
      clientToServer,
      serverToClient,
      split: (size) => Effect.zipRight(clientToServer.split(size), serverToClient.split(size)),
      delay: (time) => Effect.zipRight(clientToServer.delay(time), serverToClient.delay(time)),
      throttle: (bytesPerSecond) =>
        Effect.zipRight(clientToServer.throttle(bytesPerSecond), serverToClient.throttle(bytesPerSecond)),
      stall: Effect.zipRight(clientToServer.stall, serverToClient.stall),
      unstall: Effect.zipRight(clientToServer.unstall, serverToClient.unstall),
      drop: Effect.zipRight(clientToServer.drop, serverToClient.drop),
      reset,
      lift: Effect.suspend(() => {
        const lost = [client.lift(), server.lift()]
        return lost.includes(true) ? reset : Effect.void
      })
    }
    pairs.set(client, pair)
    pairs.set(server, pair)
    return pair
  })

/**
 * The pair that a transport is an end of, if it is.
 *
 * @since 0.1.0
 * @category accessors
 */
export const pairOf = (transport: Transport): Pair | undefined => pairs.get(transport)

const pairs = new WeakMap<Transport, Pair>()

type Item = Uint8Array | "end"

/** One end: a transport for whoever writes here, and the direction from here to the other end. */
class End implements Transport {
  readonly remoteAddress: string
  bufferedBytes = 0
  private readonly runtime: Runtime.Runtime<never>
  private other: End | undefined = undefined
  private sink: TransportSink | undefined = undefined
  private marks: WaterMarks = { high: Number.POSITIVE_INFINITY, low: 0 }
  private paused = false
  private ended = false
  private inputEnded = false
  private closed = false
  private congested = false

  // What is on its way from here: delayed first, then ready, in order.
  private ready: Array<Item> = []
  private log: Array<Uint8Array> = []
  private splitSize: number | undefined = undefined
  private delayTime: Duration.Duration = Duration.zero
  private delayed: Array<Item> = []
  private readonly delays = new Set<Fiber.RuntimeFiber<void>>()
  // How many bytes may be delivered in each second, and in this one.
  private bytesPerSecond = Number.POSITIVE_INFINITY
  private allowance = Number.POSITIVE_INFINITY
  private replenishing = false
  private stalled = false
  private dropping = false
  private scheduled = false

  constructor(runtime: Runtime.Runtime<never>, remoteAddress: string) {
    this.runtime = runtime
    this.remoteAddress = remoteAddress
  }

  join(other: End): void {
    this.other = other
  }

  /** Lifts all faults, and tells whether anything may have been lost. */
  lift(): boolean {
    this.splitSize = undefined
    this.delayTime = Duration.zero
    this.bytesPerSecond = this.allowance = Number.POSITIVE_INFINITY
    this.replenishing = false
    this.stalled = false
    this.interruptDelays()
    this.ready.push(...this.delayed)
    this.delayed = []
    this.schedule()
    return this.dropping
  }

  readonly direction: Direction = {
    split: (size) =>
      Effect.sync(() => {
        this.splitSize = size
      }),
    delay: (time) =>
      Effect.sync(() => {
        this.delayTime = Duration.decode(time)
      }),
    throttle: (bytesPerSecond) =>
      Effect.sync(() => {
        this.bytesPerSecond = bytesPerSecond ?? Number.POSITIVE_INFINITY
        this.allowance = this.bytesPerSecond
        this.schedule()
      }),
    stall: Effect.sync(() => {
      this.stalled = true
    }),
    unstall: Effect.sync(() => {
      this.stalled = false
      this.schedule()
    }),
    drop: Effect.sync(() => {
      this.dropping = true
    }),
    end: Effect.sync(() => this.end()),
    inject: (bytes) => Effect.sync(() => this.push(bytes.slice())),
    written: Effect.sync(() => concat(this.log))
  }

  start(sink: TransportSink, marks: WaterMarks): void {
    if (this.closed) {
      queueMicrotask(() => sink.onClose())
      return
    }
    this.sink = sink
    this.marks = marks
    this.other?.schedule()
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.other?.schedule()
  }

  write(chunks: ReadonlyArray<Uint8Array>): WriteResult {
    for (const chunk of chunks) {
      // A copy: the reader may change it, and the writer may use its memory again.
      const copy = chunk.slice()
      this.log.push(copy)
      if (!this.closed && !this.ended) this.push(copy)
    }
    if (this.bufferedBytes >= this.marks.high) this.congested = true
    return this.congested ? congested : clear
  }

  end(): void {
    if (this.ended || this.closed) return
    this.ended = true
    this.push("end")
  }

  abort(): void {
    if (this.closed) return
    // What was not delivered is lost, an end included, so the other end sees a reset.
    this.close()
    if (!this.dropping) queueMicrotask(() => this.other?.fail())
  }

  fail(): void {
    if (this.closed) return
    const { sink } = this
    this.close()
    sink?.onError(new IoError({ reason: "Reset", operation: "read" }))
  }

  private push(item: Item): void {
    if (this.dropping) return
    if (item !== "end") this.bufferedBytes += item.length
    if (Duration.equals(this.delayTime, Duration.zero) && this.delayed.length === 0) {
      this.ready.push(item)
      this.schedule()
      return
    }
    this.delayed.push(item)
    this.after(this.delayTime, () => {
      // Whichever sleep ends, the first in line goes, so that a shorter delay overtakes nothing.
      const first = this.delayed.shift()
      if (first === undefined) return
      this.ready.push(first)
      this.schedule()
    })
  }

  private after(time: Duration.DurationInput, task: () => void): void {
    const delay = Runtime.runFork(this.runtime)(Effect.zipRight(Effect.sleep(time), Effect.sync(task)))
    this.delays.add(delay)
    delay.addObserver(() => this.delays.delete(delay))
  }

  private replenish(): void {
    if (this.replenishing) return
    this.replenishing = true
    this.after("1 seconds", () => {
      this.replenishing = false
      this.allowance = this.bytesPerSecond
      this.schedule()
    })
  }

  private interruptDelays(): void {
    for (const delay of this.delays) delay.unsafeInterruptAsFork(FiberId.none)
    this.delays.clear()
  }

  /** Deliveries have turns of their own, one chunk each, as from an event loop. */
  private schedule(): void {
    if (this.scheduled || this.stalled) return
    this.scheduled = true
    inTurn(this.deliverNext)
  }

  private readonly deliverNext = (): void => {
    this.scheduled = false
    this.deliver()
  }

  private deliver(): void {
    const other = this.other
    const sink = other?.sink
    if (other === undefined || sink === undefined || other.closed || other.paused || this.stalled) return
    if (this.allowance === 0) return this.replenish()
    const item = this.ready.shift()
    if (item === undefined) return
    if (item === "end") {
      other.receiveEnd()
      this.closeIfOver()
      return
    }
    const size = Math.min(this.splitSize ?? item.length, this.allowance)
    this.allowance -= Math.min(size, item.length)
    if (item.length > size) this.ready.unshift(item.subarray(size))
    const chunk = item.slice(0, size)
    this.bufferedBytes -= chunk.length
    this.schedule()
    sink.onChunk(chunk, true)
    if (this.congested && this.bufferedBytes <= this.marks.low) {
      this.congested = false
      if (!this.closed) this.sink?.onDrain()
    }
  }

  private receiveEnd(): void {
    this.inputEnded = true
    this.sink?.onEof()
    this.closeIfOver()
  }

  private closeIfOver(): void {
    if (this.ended && this.inputEnded && !this.ready.includes("end") && !this.delayed.includes("end")) this.close()
  }

  private close(): void {
    if (this.closed) return
    this.closed = true
    this.ready = []
    this.delayed = []
    this.interruptDelays()
    this.bufferedBytes = 0
    const { sink } = this
    if (sink !== undefined) queueMicrotask(() => sink.onClose())
  }
}

// Two apps that answer each other without end would otherwise let no timer fire, not even that of the test's timeout.
const maxTurns = 100_000
let turns = 0
const inTurn = (task: () => void): void => {
  if (turns === 0) {
    setTimeout(() => {
      turns = 0
    }, 0)
  }
  if (++turns < maxTurns) queueMicrotask(task)
  else setTimeout(task, 0)
}

const clear: WriteResult = { taken: true, belowHighWater: true }
const congested: WriteResult = { taken: true, belowHighWater: false }
