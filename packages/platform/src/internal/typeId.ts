export const webSocket: unique symbol = Symbol.for("@effect-websocket/platform/WebSocket")
export const streamingWebSocket: unique symbol = Symbol.for("@effect-websocket/platform/StreamingWebSocket")
export const byteBudget: unique symbol = Symbol.for("@effect-websocket/platform/ByteBudget")
export const frameWebSocket: unique symbol = Symbol.for("@effect-websocket/platform/FrameWebSocket")

/** The key under which a WebSocket keeps its transport. It is not part of the public API. */
export const transportKey: unique symbol = Symbol.for("@effect-websocket/platform/WebSocket/transport")

/** The key under which the metrics keep what collects them. It is not part of the public API. */
export const metering: unique symbol = Symbol.for("@effect-websocket/platform/WebSocketMetrics/metering")

/** The key under which the spans keep what makes them. It is not part of the public API. */
export const tracing: unique symbol = Symbol.for("@effect-websocket/platform/WebSocketTracing/tracing")

/** The identifiers of services that clients look for without an import of their modules. */
export const metricsId = "@effect-websocket/platform/WebSocketMetrics"
export const tracingId = "@effect-websocket/platform/WebSocketTracing"

/** The key under which a WebSocket keeps its reader. It is not part of the public API. */
export const readerKey: unique symbol = Symbol.for("@effect-websocket/platform/WebSocket/reader")

export const webSocketChannel: unique symbol = Symbol.for("@effect-websocket/platform/WebSocketChannel")
export const typedWebSocket: unique symbol = Symbol.for("@effect-websocket/platform/TypedWebSocket")

/**
 * Marks the instances of a class. The mark is on the prototype, so instances do not grow, and it is not enumerable, so
 * comparing and printing ignore it.
 */
export const tag = (type: { readonly prototype: object }, id: symbol): void => {
  Object.defineProperty(type.prototype, id, { value: id })
}

/** Whether any copy of this package has marked a value. */
export const isTagged = (u: unknown, id: symbol): boolean => typeof u === "object" && u !== null && id in u
