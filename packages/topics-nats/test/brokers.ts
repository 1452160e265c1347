import type * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as NatsTopicBroker from "@effect-websocket/topics-nats/NatsTopicBroker"
import { Effect, Logger, type Scope } from "./platform.js"

/** A broker that notices soon when something is wrong, and does not log it. */
export const node = (
  servers: string,
  options?: NatsTopicBroker.Options
): Effect.Effect<TopicBroker.Service, never, Scope.Scope> =>
  Effect.provide(
    NatsTopicBroker.make({ client: { servers }, timeout: "1 second", heartbeat: "150 millis", ...options }),
    Logger.layer([])
  )
