import { Topics, WebSocketServer, WebSocketTracing } from "@effect-websocket/platform"
import { Effect, Layer } from "effect"

/** Sends each message back, and publishes it to the topic `all`, which every client gets. Each message has a span. */
export const Echo = WebSocketServer.layerHandler((socket) =>
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    yield* topics.attach(socket, "all")
    yield* socket.run((message) => {
      const work = Effect.andThen(socket.send(message), topics.publish("all", message, { except: socket }))
      return WebSocketTracing.withMessageSpan(work, socket, "echo")
    })
  })
).pipe(Layer.provide(Topics.layer()))
