import type * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as RedisTopicBroker from "@effect-websocket/topics-redis/RedisTopicBroker"
import type { Effect, Scope } from "./platform.js"

/** A broker that notices soon when something is wrong. */
export const node = (
  url: string,
  options?: RedisTopicBroker.Options
): Effect.Effect<TopicBroker.Service, never, Scope.Scope> =>
  RedisTopicBroker.make({ client: { url }, timeout: "1 second", heartbeat: "150 millis", ...options })
