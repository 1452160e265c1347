export const webSocket: unique symbol = Symbol.for("@effect-websocket/platform/WebSocket")
export const streamingWebSocket: unique symbol = Symbol.for("@effect-websocket/platform/StreamingWebSocket")
export const byteBudget: unique symbol = Symbol.for("@effect-websocket/platform/ByteBudget")
export const frameWebSocket: unique symbol = Symbol.for("@effect-websocket/platform/FrameWebSocket")

/** The key of a connection's transport, which is not part of the public API. */
export const transportKey: unique symbol = Symbol.for("@effect-websocket/platform/WebSocket/transport")

/** Marks the instances of a class: on the prototype, so that they get no larger, and hidden from who compares or prints them. */
export const tag = (type: { readonly prototype: object }, id: symbol): void => {
  Object.defineProperty(type.prototype, id, { value: id })
}

/** Whether a value is marked, by any copy of this package. */
export const isTagged = (u: unknown, id: symbol): boolean => typeof u === "object" && u !== null && id in u
