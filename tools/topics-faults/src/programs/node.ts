/** A node: it serves topics to clients, and has subscribers and members of its own. */
import { Presence, Topics, TopicsServer, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { layers } from "./brokers.js"
import { obey, settings, tell } from "./obey.js"
import { presenceOptions } from "./presence.js"

const rules = [Topics.rule("**", { subscribe: true, publish: true, presence: true })]

const listening = {
  port: 0,
  host: "127.0.0.1",
  heartbeatInterval: "400 millis",
  heartbeatTimeout: "400 millis",
  closeTimeout: "200 millis"
} as const

const Rooms = WebSocketServer.layerHandler(TopicsServer.handler({ rules }), {
  protocols: TopicsServer.protocols
})

const Obeying = Layer.scopedDiscard(
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    const presence = yield* Presence.Presence
    const { port } = yield* WebSocketServer.address
    yield* Effect.forkScoped(
      obey({
        subscribe: topics.subscribe,
        publish: (topic, text, key) => topics.publish(topic, text, { idempotencyKey: key }),
        track: presence.track,
        presence: presence.changes,
        list: presence.list,
        history: (topic) => topics.history(topic, { limit: 1_000_000 }),
        remove: topics.remove
      })
    )
    tell({ tell: "ready", port })
  })
)

NodeRuntime.runMain(
  Layer.launch(
    Layer.merge(Rooms, Obeying).pipe(
      Layer.provide(Layer.merge(Topics.layerBroker(), Presence.layerBroker(presenceOptions))),
      Layer.provide(layers[settings.broker](settings.port)),
      Layer.provide(NodeWebSocketServer.layer(listening))
    )
  )
)
