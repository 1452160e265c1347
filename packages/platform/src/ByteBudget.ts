/**
 * One budget of bytes for all connections that are given it: of a server, of a client, or of a whole process.
 *
 * The limits of a connection bound what its peer can make it hold; ten thousand of them together can still be too much. A
 * budget counts what all of them hold: messages that wait to be read, frames and messages that have not ended, inflated
 * ones among them, and what waits to be sent. Half of it is for what is received, half for what is sent:
 *
 * - above the first half, a connection is not read while it has unread messages, so that TCP holds its peer back;
 * - above the second half, `send` waits while more than `sendLowWaterMark` of its connection is unsent, or does what
 *   `sendStrategy` says;
 * - while unfinished messages take more than a quarter, those that have begun go first; if that lasts for two seconds, or at
 *   once if they take more than all of it, the connections that hold the largest are closed with 1013 and fail with
 *   `PayloadTooLarge` (`"budget"`);
 * - in each case new connections are refused: servers answer 503, and clients fail with `IoError` (`Budget`).
 *
 * Each lasts until half of what was exceeded is free. A connection that holds nothing is never held up by what others have not
 * read or not sent. So the budget may be exceeded by half of it in unfinished messages, and for each connection by what one
 * read brings (64 KiB of the transport, or what they inflate to), `sendLowWaterMark` and one message to be sent. Not counted
 * are the windows of compression and the objects of a connection.
 * Peers that never read can hold their share of it as long as they like: bound that with `writeTimeout`.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { Budget } from "./engine/connection/Budget.js"
import { bytes } from "./engine/checks.js"
import * as internalTypeId from "./internal/typeId.js"

/**
 * What marks a budget, whichever copy of this package made it.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: typeof internalTypeId.byteBudget = internalTypeId.byteBudget

/**
 * The type of `TypeId`.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * A budget. Give it to clients, servers and connections as their option `budget`.
 *
 * - `maxBytes`: its size.
 * - `usage`: how much of it is used, for metrics.
 *
 * @since 0.1.0
 * @category models
 */
export interface ByteBudget {
  readonly [TypeId]: TypeId
  readonly maxBytes: number
  readonly usage: Effect.Effect<Usage>
}

/**
 * The use of a budget, in bytes, and the number of connections that share it.
 *
 * - `usedBytes`: the sum of the next three.
 * - `unreadBytes`: messages that wait to be read, with 64 bytes for each.
 * - `unfinishedBytes`: what is held of frames and messages that have not ended.
 * - `unsentBytes`: what waits to be sent.
 * - `isExhausted`: some part of it is exceeded, so new connections are refused.
 *
 * @since 0.1.0
 * @category models
 */
export interface Usage {
  readonly maxBytes: number
  readonly usedBytes: number
  readonly unreadBytes: number
  readonly unfinishedBytes: number
  readonly unsentBytes: number
  readonly isExhausted: boolean
  readonly connections: number
}

/**
 * A budget of `maxBytes`. Anything but a positive integer is a defect. It should be at least ten times as large as the largest
 * message.
 *
 * @example
 * ```ts
 * import { ByteBudget } from "@effect-websocket/platform"
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Effect, Layer, Metric } from "effect"
 *
 * const used = Metric.gauge("websocket_bytes")
 *
 * const Server = Layer.unwrapScoped(
 *   Effect.gen(function* () {
 *     const budget = yield* ByteBudget.make(256 * 1024 * 1024)
 *     const report = Effect.flatMap(budget.usage, ({ usedBytes }) => Metric.set(used, usedBytes))
 *     yield* report.pipe(Effect.delay("1 second"), Effect.forever, Effect.forkScoped)
 *     return NodeWebSocketServer.layer({ port: 8080, budget })
 *   })
 * )
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (maxBytes: number): Effect.Effect<ByteBudget> => Effect.sync(() => unsafeMake(maxBytes))

/**
 * The same, at once. Throws a `RangeError` for anything but a positive integer.
 *
 * @since 0.1.0
 * @category unsafe
 */
export const unsafeMake = (maxBytes: number): ByteBudget => new Shared(bytes("maxBytes", maxBytes))

class Shared extends Budget implements ByteBudget {
  declare readonly [TypeId]: TypeId
  readonly usage: Effect.Effect<Usage> = Effect.sync(() => this.measure())
}
internalTypeId.tag(Shared, TypeId)

/**
 * Whether a value is a budget.
 *
 * @since 0.1.0
 * @category guards
 */
export const isByteBudget = (u: unknown): u is ByteBudget => internalTypeId.isTagged(u, TypeId)
