/**
 * @since 0.1.0
 */
export * as WebSocketRpcClient from "./WebSocketRpcClient.js"
/**
 * @since 0.1.0
 */
export * as WebSocketRpcServer from "./WebSocketRpcServer.js"
