import type * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as RedisTopicBroker from "@effect-websocket/topics-redis/RedisTopicBroker"
import { Effect, Logger, type Scope } from "./platform.js"

/** A broker that notices soon when something is wrong, and does not log it. */
export const node = (
  url: string,
  options?: RedisTopicBroker.Options
): Effect.Effect<TopicBroker.Service, never, Scope.Scope> =>
  Effect.provide(
    RedisTopicBroker.make({ client: { url }, timeout: "1 second", heartbeat: "150 millis", ...options }),
    Logger.layer([])
  )
