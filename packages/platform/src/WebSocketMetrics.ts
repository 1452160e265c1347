/**
 * Metrics of connections, handshakes, reconnecting clients and topics, as metrics of Effect. They are off unless this service is
 * in the context.
 *
 * @since 3.0.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { ContextService, forever, layerEffect, runtime, type DurationInput } from "./internal/effect.js"
import { Metering } from "./internal/Metering.js"
import { timeout } from "./internal/settings.js"
import { timers } from "./internal/timers.js"
import { metering, metricsId } from "./internal/typeId.js"

/**
 * The options of the metrics.
 *
 * - `interval`: how often the library reads the numbers that it does not record at once: messages, bytes, what is unread and
 *   unsent, budgets, drains and members of topics. Default: 5 seconds. Each reading looks at every open connection.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options {
  readonly interval?: DurationInput | undefined
}

/**
 * The metrics of one context.
 *
 * - `sample`: reads all numbers now, so that a snapshot of the metrics is exact.
 *
 * @since 3.0.0
 * @category models
 */
export interface Service {
  readonly sample: Effect.Effect<void>
  /** What clients, servers and topics report to. It is not part of the public API. */
  readonly [metering]: Metering
}

/**
 * The service of the metrics. These use it if it is in their context:
 *
 * - a server and topics, when their layer is built;
 * - `connect` of a client, and `ReconnectingWebSocket.make`, when they run.
 *
 * @since 3.0.0
 * @category tags
 */
export class WebSocketMetrics extends ContextService<WebSocketMetrics, Service>()(metricsId) {}

/**
 * Makes the metrics. They are read once more when the scope ends. From then on nothing is recorded, and their gauges are zero. If
 * `interval` is not a finite duration above zero, that is a defect.
 *
 * @since 3.0.0
 * @category constructors
 */
export const make = ({ interval = "5 seconds" }: Options = {}): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const millis = yield* Effect.sync(() => timeout("interval", interval))
    const inherited = yield* runtime<never>()
    const clock = yield* timers
    const own = yield* Effect.acquireRelease(
      Effect.sync(() => new Metering(inherited, clock)),
      (own) => Effect.sync(() => own.end())
    )
    const sample = Effect.sync(() => own.sample())
    yield* Effect.forkScoped(Effect.interruptible(forever(Effect.delay(sample, millis))))
    return { sample, [metering]: own }
  })

/**
 * The metrics with options; see `make`.
 *
 * @since 3.0.0
 * @category layers
 */
export const layerWith = (options: Options): Layer.Layer<WebSocketMetrics> =>
  layerEffect(WebSocketMetrics, make(options))

/**
 * Turns the metrics on for the servers, clients and topics that it is provided to. docs/observability.md lists them.
 *
 * @example
 * ```ts
 * import { WebSocketMetrics, WebSocketServer } from "@effect-websocket/platform"
 * import { NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Layer } from "effect"
 *
 * const Echo = WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message)))
 *
 * const Main = Echo.pipe(
 *   Layer.provide(NodeWebSocketServer.layer({ port: 8080 })),
 *   Layer.provide(WebSocketMetrics.layer)
 * )
 * ```
 *
 * @since 3.0.0
 * @category layers
 */
export const layer: Layer.Layer<WebSocketMetrics> = layerWith({})

/**
 * Reads all numbers now, for example just before a scrape.
 *
 * @example
 * ```ts
 * import { WebSocketMetrics } from "@effect-websocket/platform"
 * import { Effect, Metric } from "effect"
 *
 * const program = Effect.andThen(WebSocketMetrics.sample, Metric.snapshot)
 * ```
 *
 * @since 3.0.0
 * @category accessors
 */
export const sample: Effect.Effect<void, never, WebSocketMetrics> = Effect.flatMap(
  WebSocketMetrics,
  ({ sample }) => sample
)
