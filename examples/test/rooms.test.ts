import { Presence, TopicsServer, Topics, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import { join } from "../src/rooms.js"

const rules = [Topics.rule("rooms/*", { subscribe: true, publish: true, presence: true })]

const Rooms = WebSocketServer.layerHandler(TopicsServer.handler({ rules }), { protocols: TopicsServer.protocols }).pipe(
  Layer.provide([Topics.layer(), Presence.layer()]),
  Layer.provideMerge(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" }))
)

it.live("two people talk in a room", () =>
  Effect.gen(function* () {
    const { url } = yield* WebSocketServer.address
    const heard = yield* Deferred.make<void>()
    const lines: Array<string> = []
    const bob = yield* join(url, "rooms/1", "bob", (line) => {
      lines.push(line)
      if (line === "ann: hello") Deferred.unsafeDone(heard, Effect.void)
    })
    yield* bob.say("anybody?")
    const ann = yield* join(url, "rooms/1", "ann", () => {})
    yield* ann.say("hello")
    yield* Deferred.await(heard)
    assert.include(lines, "bob: anybody?")
  }).pipe(Effect.scoped, Effect.provide(Layer.merge(Rooms, NodeWebSocketClient.layer)))
)
