/**
 * @since 0.1.0
 */
export * as WebSocketRunner from "./WebSocketRunner.js"
