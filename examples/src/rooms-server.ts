/** Rooms with recovery and presence over Node, for `rooms.ts` and every other client of the protocol. */
import { MemoryTopicBroker, Presence, Topics, TopicsServer, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"

const rules = [Topics.rule("rooms/*", { subscribe: true, publish: true, presence: true })]

const Rooms = WebSocketServer.layerHandler(TopicsServer.handler({ rules }), { protocols: TopicsServer.protocols })

const Main = Rooms.pipe(
  Layer.provide([Topics.layerBroker(), Presence.layerBroker()]),
  Layer.provide([MemoryTopicBroker.layer(), NodeWebSocketServer.layer({ port: 8080 })])
)

NodeRuntime.runMain(Layer.launch(Main))
