/** The client of `@effect/platform`, on `ws`. */
import { Socket } from "@effect/platform"
import { NodeSocket } from "@effect/platform-node"
import { Effect } from "effect"
import { options } from "../servers/serve.js"
import { connectAll, opened, received, url } from "./receive.js"

const program = Effect.gen(function* () {
  const socket = yield* Socket.makeWebSocket(url)
  const write = yield* socket.writer
  yield* socket.runRaw(options.echo ? (data) => write(data) : received, { onOpen: Effect.sync(opened) })
}).pipe(Effect.scoped, Effect.provide(NodeSocket.layerWebSocketConstructor))

connectAll(() => Effect.runFork(program))
