/**
 * @since 0.1.0
 */
export * as NodeOptions from "./NodeOptions.js"
/**
 * @since 0.1.0
 */
export * as NodeTransport from "./NodeTransport.js"
/**
 * @since 0.1.0
 */
export * as NodeWebSocketClient from "./NodeWebSocketClient.js"
/**
 * @since 0.1.0
 */
export * as NodeWebSocketServer from "./NodeWebSocketServer.js"
/**
 * @since 0.1.0
 */
export * as NodeWebSocketUpgrade from "./NodeWebSocketUpgrade.js"
/**
 * @since 0.1.0
 */
export * as NodeZlib from "./NodeZlib.js"
