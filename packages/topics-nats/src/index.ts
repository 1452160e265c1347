/**
 * @since 0.1.0
 */
export * as NatsTopicBroker from "./NatsTopicBroker.js"
