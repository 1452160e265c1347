/**
 * Spans of handshakes, links from the work on messages to them, and the context of a trace in requests and messages. They are off
 * unless this service is in the context.
 *
 * @since 3.0.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { externalSpan, type ParentSpan, type Span, type SpanOptions } from "effect/Tracer"
import { ofTraceparent, traceparentOf } from "./engine/traceContext.js"
import { ContextService, linkTo, type AnySchema } from "./internal/effect.js"
import { spanOf } from "./internal/handshakeSpans.js"
import { Tracing } from "./internal/Tracing.js"
import { tracing, tracingId } from "./internal/typeId.js"
import type * as WebSocket from "./WebSocket.js"

/**
 * The options of the spans.
 *
 * - `propagation`: whether a client sends the context of its span with its request, and whether a server continues the trace
 *   of the request. Default: `true`. Use `false` for a server whose clients you do not trust with your trace ids.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options {
  readonly propagation?: boolean | undefined
}

/**
 * The options of the spans, with their defaults.
 *
 * @since 3.0.0
 * @category models
 */
export interface Service {
  readonly propagation: boolean
  /** What makes the spans. It is not part of the public API. */
  readonly [tracing]: Tracing
}

/**
 * The service of the spans. A server uses it if it is in the context of its layer, and `connect` of a client if it is in the
 * context of the caller. The tracer is the one of Effect in the same context.
 *
 * @since 3.0.0
 * @category tags
 */
export class WebSocketTracing extends ContextService<WebSocketTracing, Service>()(tracingId) {}

/**
 * Spans with options.
 *
 * @since 3.0.0
 * @category layers
 */
export const layerWith = ({ propagation = true }: Options): Layer.Layer<WebSocketTracing> =>
  Layer.sync(WebSocketTracing, () => ({ propagation, [tracing]: new Tracing(propagation) }))

/**
 * Makes a span for each handshake of the clients and servers that it is provided to: `websocket.client.handshake` and
 * `websocket.server.handshake`. A span ends with the 101, or with whatever else ends the handshake. docs/observability.md lists
 * its attributes.
 *
 * @example
 * ```ts
 * import { WebSocketClient, WebSocketTracing } from "@effect-websocket/platform"
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.scoped(WebSocketClient.connect("ws://127.0.0.1:8080")).pipe(
 *   Effect.withSpan("app"),
 *   Effect.provide(Layer.merge(NodeWebSocketClient.layer, WebSocketTracing.layer))
 * )
 * ```
 *
 * @since 3.0.0
 * @category layers
 */
export const layer: Layer.Layer<WebSocketTracing> = layerWith({})

/**
 * The span of the handshake of a connection. It has ended. `None` without `WebSocketTracing`.
 *
 * @since 3.0.0
 * @category accessors
 */
export const handshakeSpan = (socket: WebSocket.AnyWebSocket): Option.Option<Span> => {
  const span = spanOf(socket)
  return span === undefined ? Option.none() : Option.some(span)
}

/**
 * Runs the work on a message within a span that links to the handshake of its connection. So a trace of one message stays short,
 * however long its connection is open. The parent is the current span, if there is one.
 *
 * @example
 * ```ts
 * import { WebSocketServer, WebSocketTracing } from "@effect-websocket/platform"
 *
 * const Echo = WebSocketServer.layerHandler((socket) =>
 *   socket.run((message) => WebSocketTracing.withMessageSpan(socket.send(message), socket, "echo"))
 * )
 * ```
 *
 * @since 3.0.0
 * @category spans
 */
export const withMessageSpan = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  socket: WebSocket.AnyWebSocket,
  name: string,
  options: Pick<SpanOptions, "attributes" | "kind"> = {}
): Effect.Effect<A, E, Exclude<R, ParentSpan>> =>
  Effect.suspend(() => {
    const handshake = spanOf(socket)
    const links = handshake === undefined ? [] : [linkTo(handshake)]
    return Effect.withSpan(effect, name, { kind: "consumer", ...options, links })
  })

/**
 * A value with the context of the trace that it belongs to.
 *
 * - `traceparent`: as in the header of W3C's Trace Context. It is missing if the sender had no span.
 *
 * @since 3.0.0
 * @category messages
 */
export interface Traced<A> {
  readonly traceparent?: string | undefined
  readonly value: A
}

/**
 * The schema of a value with the context of its trace, for a typed channel. It encodes to the envelope
 * `{ "traceparent": "00-…-…-01", "value": … }`. Both sides of the channel have to use it.
 *
 * @example
 * ```ts
 * import { WebSocketTracing } from "@effect-websocket/platform"
 * import { Effect, Schema } from "effect"
 *
 * const Order = WebSocketTracing.Traced(Schema.Struct({ id: Schema.String }))
 *
 * // The sender adds the context of its span. The receiver continues the trace.
 * const outgoing = WebSocketTracing.traced({ id: "1" })
 * const handle = (order: typeof Order.Type) =>
 *   Effect.log(order.value.id).pipe(Effect.withSpan("order"), WebSocketTracing.withTrace(order))
 * ```
 *
 * @since 3.0.0
 * @category messages
 */
export const Traced = <S extends AnySchema>(value: S) =>
  Schema.Struct({ traceparent: Schema.optional(Schema.String), value })

/**
 * A value with the context of the current span, or else of the trace that `withTrace` continues. Without either, and for a span
 * that is not recorded, the value has no context.
 *
 * @since 3.0.0
 * @category messages
 */
export const traced = <A>(value: A): Effect.Effect<Traced<A>> =>
  Effect.match(Effect.currentParentSpan, {
    onFailure: (): Traced<A> => ({ value }),
    onSuccess: (span): Traced<A> => {
      const traceparent = traceparentOf(span)
      return traceparent === undefined ? { value } : { traceparent, value }
    }
  })

/**
 * Runs an effect as part of the trace of a message. A context that is missing or malformed is ignored.
 *
 * @since 3.0.0
 * @category messages
 */
export const withTrace =
  ({ traceparent }: Traced<unknown>) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
    const context = traceparent === undefined ? undefined : ofTraceparent(traceparent)
    return context === undefined ? effect : Effect.withParentSpan(effect, externalSpan(context))
  }
