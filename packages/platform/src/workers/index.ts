/**
 * @since 0.1.0
 */
export * as DurableObjectWebSockets from "./DurableObjectWebSockets.js"
/**
 * @since 0.1.0
 */
export * as WorkersWebSocketClient from "./WorkersWebSocketClient.js"
