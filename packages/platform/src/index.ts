/**
 * @since 0.1.0
 */
export * as ByteBudget from "./ByteBudget.js"
/**
 * @since 0.1.0
 */
export * as CookieJar from "./CookieJar.js"
/**
 * @since 0.1.0
 */
export * as EffectSocket from "./EffectSocket.js"
/**
 * @since 0.1.0
 */
export * as FrameWebSocket from "./FrameWebSocket.js"
/**
 * @since 3.0.0
 */
export * as JsonRpc from "./JsonRpc.js"
/**
 * @since 3.0.0
 */
export * as MemoryTopicBroker from "./MemoryTopicBroker.js"
/**
 * @since 0.1.0
 */
export * as MockPeer from "./MockPeer.js"
/**
 * @since 0.1.0
 */
export * as MockTransport from "./MockTransport.js"
/**
 * @since 0.1.0
 */
export * as Options from "./Options.js"
/**
 * @since 3.0.0
 */
export * as PendingCalls from "./PendingCalls.js"
/**
 * @since 3.0.0
 */
export * as Presence from "./Presence.js"
/**
 * @since 0.1.0
 */
export * as ReconnectingWebSocket from "./ReconnectingWebSocket.js"
/**
 * @since 3.0.0
 */
export * as Serialization from "./Serialization.js"
/**
 * @since 3.0.0
 */
export * as StandardWebSocket from "./StandardWebSocket.js"
/**
 * @since 0.1.0
 */
export * as StreamingWebSocket from "./StreamingWebSocket.js"
/**
 * @since 3.0.0
 */
export * as TopicBroker from "./TopicBroker.js"
/**
 * @since 3.0.0
 */
export * as Topics from "./Topics.js"
/**
 * @since 3.0.0
 */
export * as TopicsClient from "./TopicsClient.js"
/**
 * @since 3.0.0
 */
export * as TopicsServer from "./TopicsServer.js"
/**
 * @since 0.1.0
 */
export * as Transport from "./Transport.js"
/**
 * @since 0.1.0
 */
export * as UpgradeCheck from "./UpgradeCheck.js"
/**
 * @since 0.1.0
 */
export * as WebSocket from "./WebSocket.js"
/**
 * @since 3.0.0
 */
export * as WebSocketChannel from "./WebSocketChannel.js"
/**
 * @since 0.1.0
 */
export * as WebSocketClient from "./WebSocketClient.js"
/**
 * @since 3.0.0
 */
export * as WebSocketMetrics from "./WebSocketMetrics.js"
/**
 * @since 0.1.0
 */
export * as WebSocketServer from "./WebSocketServer.js"
/**
 * @since 0.1.0
 */
export * as WebSocketTest from "./WebSocketTest.js"
/**
 * @since 3.0.0
 */
export * as WebSocketTracing from "./WebSocketTracing.js"
/**
 * @since 0.1.0
 */
export * as WebSocketUpgrade from "./WebSocketUpgrade.js"
/**
 * @since 0.1.0
 */
export * as WebSocketUpgradeTest from "./WebSocketUpgradeTest.js"
/**
 * @since 0.1.0
 */
export * as Zlib from "./Zlib.js"
