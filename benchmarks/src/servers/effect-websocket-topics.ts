/** Topics of this library, to which connections are attached. */
import { type TopicBroker, Topics, type WebSocketServer as Server, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { RedisTopicBroker } from "@effect-websocket/topics-redis"
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
    if (options.redis !== undefined && !options.publisher) {
      yield* topics.attach(socket, nextTopic(), { encode, since: sinceOf(socket.request.url) })
    } else if (options.topics.length > 0 && !options.publisher) yield* join(nextTopic())
    yield* Effect.ensuring(
      socket.run((message) =>
        Effect.forEach(options.topics, (topic) => topics.publish(topic, message), { discard: true })
      ),
      Effect.sync(() => joins.delete(join))
    )
  })

/** Positions for clients that recover. */
const encode = (event: Topics.TopicEvent): string =>
  JSON.stringify(event._tag === "Publication" ? { position: event.position, data: String(event.message.data) } : event)

const sinceOf = (url: string): TopicBroker.Position | undefined => {
  const query = new URL(url, "ws://localhost").searchParams
  const [epoch, offset] = [query.get("epoch"), query.get("offset")]
  return epoch === null ? undefined : { epoch, offset: Number(offset) }
}

const broker =
  options.redis === undefined
    ? Topics.layer()
    : Topics.layerBroker().pipe(
        Layer.provide(
          RedisTopicBroker.layer({
            client: { socket: { path: options.redis, tls: false } },
            history: { maxPublications: 30_000, maxBytes: 64 * 1024 * 1024 }
          })
        )
      )

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
  Layer.provide(broker),
  Layer.launch,
  Effect.runFork
)
