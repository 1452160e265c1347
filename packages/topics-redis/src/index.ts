/**
 * @since 0.1.0
 */
export * as RedisTopicBroker from "./RedisTopicBroker.js"
