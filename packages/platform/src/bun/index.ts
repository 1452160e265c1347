/**
 * @since 0.1.0
 */
export * as BunWebSocketClient from "./BunWebSocketClient.js"
/**
 * @since 3.0.0
 */
export * as BunWebSocketServer from "./BunWebSocketServer.js"
