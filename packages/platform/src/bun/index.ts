/**
 * @since 0.1.0
 */
export * as BunWebSocketClient from "./BunWebSocketClient.js"
