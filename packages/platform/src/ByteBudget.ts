/**
 * One memory budget, in bytes, for all connections that share it: those of a server, of a client, or of a whole
 * process.
 *
 * The limits of one connection bound how much its peer can make it hold. Ten thousand connections within their limits
 * can still hold too much. A budget counts what all of them hold:
 *
 * - messages that wait to be read;
 * - frames and messages that have not ended, including inflated ones;
 * - data that waits to be sent.
 *
 * Half of the budget is for received data, half for data to send. If a part of the budget is exceeded, these measures
 * apply:
 *
 * - If received data exceeds its half, a connection with unread messages is not read. TCP then makes its peer wait.
 * - If unsent data exceeds its half, `send` waits while more than `sendLowWaterMark` of its connection is unsent, or
 *   does what `sendStrategy` says.
 * - If unfinished messages take more than a quarter of the budget, the messages that have begun are received before new
 *   ones. If that lasts for two seconds, or at once if they take more than the whole budget, the connections that hold
 *   the largest messages are closed with 1013. They fail with `PayloadTooLarge` (`"budget"`).
 * - In each of these cases new connections are refused: servers answer 503, and clients fail with `IoError` (`Budget`).
 *
 * Each measure lasts until half of the exceeded limit is free again. A connection that holds nothing never waits
 * because of data that other connections have not read or sent. So the budget can be exceeded:
 *
 * - by unfinished messages, by up to half of the budget;
 * - for each connection, by the data of one read (64 KiB of the transport, or their inflated data), by
 *   `sendLowWaterMark`, and by one message to send.
 *
 * The windows of compression and the objects of a connection are not counted.
 *
 * Peers that never read can hold their share of the budget for any length of time. Use `writeTimeout` to limit that.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { Budget, type Usage as BudgetUsage } from "./engine/connection/Budget.js"
import { bytes } from "./engine/checks.js"
import * as internalTypeId from "./internal/typeId.js"

/**
 * The symbol that marks a budget. It is the same in every copy of this package.
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
 * A memory budget. Pass it to clients, servers and connections as the option `budget`.
 *
 * - `maxBytes`: its size in bytes.
 * - `usage`: how much of it is used, for example for metrics.
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
 * How much of a budget is used, in bytes, and how many connections share it.
 *
 * - `usedBytes`: the sum of the next three.
 * - `unreadBytes`: messages that wait to be read, and 64 bytes for each of them.
 * - `unfinishedBytes`: the parts that have arrived of frames and messages that have not ended.
 * - `unsentBytes`: data that waits to be sent.
 * - `isExhausted`: a part of the budget is exceeded, so new connections are refused.
 *
 * @since 0.1.0
 * @category models
 */
export type Usage = BudgetUsage

/**
 * Makes a budget of `maxBytes` bytes. It should be at least ten times as large as the largest message. If `maxBytes` is
 * not a positive integer, that is a defect.
 *
 * @example
 * ```ts
 * import { ByteBudget } from "@effect-websocket/platform"
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Effect, Layer, Metric } from "effect"
 *
 * const used = Metric.gauge("websocket_bytes")
 *
 * const program = Effect.gen(function* () {
 *   const budget = yield* ByteBudget.make(256 * 1024 * 1024)
 *   const report = Effect.flatMap(budget.usage, ({ usedBytes }) => Metric.update(used, usedBytes))
 *   yield* report.pipe(Effect.delay("1 second"), Effect.forever, Effect.forkScoped)
 *   yield* Layer.launch(NodeWebSocketServer.layer({ port: 8080, budget }))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (maxBytes: number): Effect.Effect<ByteBudget> => Effect.sync(() => unsafeMake(maxBytes))

/**
 * Makes a budget synchronously. Throws a `RangeError` if `maxBytes` is not a positive integer.
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
