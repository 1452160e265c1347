/** A client of topics, which reconnects. */
import { TopicBroker, TopicsClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Schedule } from "effect"
import { obey, settings, tell } from "./obey.js"

const notHere = (topic: string) =>
  Effect.fail(new TopicBroker.TopicError({ reason: "Denied", topic, cause: "a client cannot" }))

NodeRuntime.runMain(
  Effect.gen(function* () {
    const client = yield* TopicsClient.make(`ws://127.0.0.1:${settings.port}/`, {
      pingInterval: "400 millis",
      publishTimeout: "3 seconds",
      openTimeout: "500 millis",
      closeTimeout: "100 millis",
      schedule: Schedule.spaced("100 millis"),
      classify: () => "reconnect"
    })
    tell({ tell: "ready", port: undefined })
    yield* obey({
      subscribe: client.subscribe,
      publish: (topic, text, key, echo) => client.publish(topic, text, { idempotencyKey: key, echo }),
      track: client.track,
      presence: client.presence,
      list: notHere,
      history: notHere,
      remove: notHere
    })
  }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
)
