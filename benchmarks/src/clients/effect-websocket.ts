/** This library's client, in each of its ways to read. */
import { WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Effect, Stream } from "effect"
import { options } from "../servers/serve.js"
import { opened, received, url } from "./receive.js"

const program = Effect.gen(function* () {
  const socket = yield* WebSocketClient.connect(url)
  opened()
  if (options.api === "receive") {
    for (;;) {
      yield* socket.receive
      received()
    }
  } else if (options.api === "messages") yield* Stream.runForEach(socket.messages, () => Effect.sync(received))
  else yield* socket.run(received)
}).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))

Effect.runFork(program)
