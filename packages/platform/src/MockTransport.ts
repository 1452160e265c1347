/**
 * An in-memory pair of transports for tests. It carries bytes, and it can split, delay (on `Clock`), throttle, stall, drop, reset
 * and end them, in one direction or in both.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Engine from "./engine/testing/Pair.js"
import type { Clock } from "./engine/time/Clock.js"
import {
  interruptUnsafe,
  runForkWith,
  runtime as inheritedRuntime,
  type DurationInput,
  type Runtime
} from "./internal/effect.js"
import type { Transport } from "./Transport.js"

/**
 * What can go wrong on the way, in one direction or in both. Every fault but `drop` can be removed again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Faults {
  /** Delivers chunks of at most `size` bytes; `undefined` removes the limit. Anything but a positive integer is a defect. */
  readonly split: (size: number | undefined) => Effect.Effect<void>
  /** Delivers everything that is written from now on after this time on `Clock`; zero removes the delay. */
  readonly delay: (time: DurationInput) => Effect.Effect<void>
  /**
   * Delivers at most `bytesPerSecond` bytes, and then as many again after each second on `Clock`; `undefined` removes the limit.
   * The other bytes stay in the buffer of the writer. Anything but a positive integer is a defect: `stall` delivers nothing.
   */
  readonly throttle: (bytesPerSecond: number | undefined) => Effect.Effect<void>
  /** Delivers nothing: all bytes stay in the buffer of the writer, as if the peer does not read. */
  readonly stall: Effect.Effect<void>
  /** Ends `stall`. */
  readonly unstall: Effect.Effect<void>
  /** Loses everything that is written from now on, ends included, as if the peer has vanished. */
  readonly drop: Effect.Effect<void>
}

/**
 * One direction of a pair, from a writer to a reader.
 *
 * @since 0.1.0
 * @category models
 */
export interface Direction extends Faults {
  /** Ends the direction after the bytes that were written, as if the writer half-closes. */
  readonly end: Effect.Effect<void>
  /** Delivers raw bytes to the reader, as if the writer had written them. */
  readonly inject: (bytes: Uint8Array) => Effect.Effect<void>
  /** All bytes that were written so far. They are kept for as long as the pair is. */
  readonly written: Effect.Effect<Uint8Array>
}

/**
 * Two transports that are joined. A fault of the pair applies to both directions.
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
   * Removes all faults and delivers at once what they held up. If a direction was dropped, it resets the connection, because the
   * bytes that are lost cannot be delivered.
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
  Effect.map(inheritedRuntime<never>(), (runtime) => {
    const joined = new Engine.Pair(clockOf(runtime))
    const { client, server } = joined
    const pair: Pair = {
      client,
      server,
      clientToServer: direction(joined.clientToServer),
      serverToClient: direction(joined.serverToClient),
      ...faults(joined),
      reset: Effect.sync(() => joined.reset()),
      lift: Effect.sync(() => joined.lift())
    }
    pairs.set(client, pair)
    pairs.set(server, pair)
    return pair
  })

/**
 * The pair that a transport belongs to, or `undefined` if it belongs to none.
 *
 * @since 0.1.0
 * @category accessors
 */
export const pairOf = (transport: Transport): Pair | undefined => pairs.get(transport)

const pairs = new WeakMap<Transport, Pair>()

const faults = (on: Engine.Faults): Faults => ({
  split: (size) => Effect.sync(() => on.split(size)),
  delay: (time) => Effect.sync(() => on.delay(Duration.toMillis(time))),
  throttle: (bytesPerSecond) => Effect.sync(() => on.throttle(bytesPerSecond)),
  stall: Effect.sync(() => on.stall()),
  unstall: Effect.sync(() => on.unstall()),
  drop: Effect.sync(() => on.drop())
})

const direction = (on: Engine.Direction): Direction => ({
  ...faults(on),
  end: Effect.sync(() => on.end()),
  inject: (bytes) => Effect.sync(() => on.inject(bytes)),
  written: Effect.sync(() => on.written)
})

/** The clock of a runtime. Its sleeps are fibers of the runtime, so a supervisor sees them. */
const clockOf = (runtime: Runtime<never>): Pick<Clock, "sleep"> => ({
  sleep: (millis, wake) => {
    const slept = Effect.andThen(Effect.sleep(millis), Effect.sync(wake))
    // A pair may be made in an uninterruptible region, but its sleeps must be interruptible.
    const fiber = runForkWith(runtime)(Effect.interruptible(slept))
    return () => interruptUnsafe(fiber)
  }
})
