/** Topics of this library, to which connections are attached. */
import { Topics, type WebSocketServer as Server, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Duration, Effect, Layer, Scope } from "effect"
import { nextTopic, options, serve } from "./serve.js"

/** How each connection joins a topic. */
const joins = new Set<(topic: string) => Effect.Effect<unknown, unknown>>()

const handler = (socket: Server.ServerWebSocket) =>
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    const scope = yield* Effect.scope
    const join = (topic: string) => Effect.provideService(topics.attach(socket, topic), Scope.Scope, scope)
    joins.add(join)
    if (options.topics.length > 0) yield* join(nextTopic())
    yield* Effect.ensuring(
      socket.run((message) =>
        Effect.forEach(options.topics, (topic) => topics.publish(topic, message), { discard: true })
      ),
      Effect.sync(() => joins.delete(join))
    )
  })

const joinAll = (names: ReadonlyArray<string>): Promise<void> =>
  Effect.runPromise(
    Effect.forEach(names, (name) => Effect.forEach(joins, (join) => join(name), { discard: true }), { discard: true })
  )

WebSocketServer.layerHandler(handler).pipe(
  Layer.merge(Layer.effectDiscard(Effect.map(WebSocketServer.address, ({ port }) => serve(port, joinAll)))),
  Layer.provide(
    NodeWebSocketServer.layer({
      port: 0,
      host: "127.0.0.1",
      limits: { maxMessageBytes: options.maxMessageBytes },
      compression: options.compression,
      heartbeatInterval: Duration.infinity
    })
  ),
  Layer.provide(Topics.layer()),
  Layer.launch,
  Effect.runFork
)
