/**
 * @since 0.1.0
 */
export * as BrowserWebSocketClient from "./BrowserWebSocketClient.js"
