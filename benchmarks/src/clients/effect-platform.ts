/** The client of `@effect/platform`, on `ws`. */
import { Socket } from "@effect/platform"
import { NodeSocket } from "@effect/platform-node"
import { Effect } from "effect"
import { opened, received, url } from "./receive.js"

const program = Effect.gen(function* () {
  const socket = yield* Socket.makeWebSocket(url)
  yield* socket.runRaw(received, { onOpen: Effect.sync(opened) })
}).pipe(Effect.provide(NodeSocket.layerWebSocketConstructor))

Effect.runFork(program)
