/**
 * @since 3.0.0
 */
export * as DurableObjectWebSockets from "./DurableObjectWebSockets.js"
/**
 * @since 0.1.0
 */
export * as WorkersWebSocketClient from "./WorkersWebSocketClient.js"
/**
 * @since 3.0.0
 */
export * as WorkersWebSocketServer from "./WorkersWebSocketServer.js"
