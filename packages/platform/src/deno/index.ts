/**
 * @since 0.1.0
 */
export * as DenoWebSocketClient from "./DenoWebSocketClient.js"
