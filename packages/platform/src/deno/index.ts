/**
 * @since 0.1.0
 */
export * as DenoWebSocketClient from "./DenoWebSocketClient.js"
/**
 * @since 3.0.0
 */
export * as DenoWebSocketServer from "./DenoWebSocketServer.js"
