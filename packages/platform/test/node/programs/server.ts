/**
 * A server for the tests of signals: the path of a request says what its handler does. Its arguments are `closeTimeout`, and
 * `drain` where it drains.
 */
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as NodeWebSocketServer from "@effect-websocket/platform/node/NodeWebSocketServer"
import * as Console from "effect/Console"
import * as Effect from "../../effect/Effect.js"
import * as Layer from "../../effect/Layer.js"
import { runMain } from "./main.js"

const handler = (socket: WebSocketServer.ServerWebSocket) => {
  switch (socket.url) {
    case "/receive":
      return Effect.andThen(socket.send("ready"), socket.receive)
    case "/run":
      return socket.run(() => Effect.andThen(socket.send("ready"), Effect.never))
    case "/send":
      return Effect.andThen(socket.send("ready"), socket.send(new Uint8Array(16 * 1024 * 1024)))
    case "/save":
      return socket
        .send("ready")
        .pipe(
          Effect.andThen(socket.run(() => {})),
          Effect.andThen(Console.log("saving")),
          Effect.andThen(Effect.callback<void>((resume) => void process.once("SIGUSR2", () => resume(Effect.void)))),
          Effect.andThen(Console.log("saved"))
        )
    case "/exit":
      return Effect.andThen(
        socket.receive,
        Effect.sync(() => process.exit(3))
      )
    case "/throw":
      return Effect.andThen(
        socket.receive,
        Effect.callback<never>(() => {
          setImmediate(() => {
            throw new Error("Nobody catches this")
          })
        })
      )
    default:
      return Effect.die(new Error(`No handler for ${socket.url}`))
  }
}

const [closeTimeout, drains] = process.argv.slice(2)

const Server = NodeWebSocketServer.layer({
  port: 0,
  host: "127.0.0.1",
  closeTimeout: Number(closeTimeout),
  drain: drains === "drain" ? {} : undefined
})

const Main = Layer.merge(
  WebSocketServer.layerHandler(handler),
  Layer.effectDiscard(Effect.flatMap(WebSocketServer.address, ({ port }) => Console.log(port)))
).pipe(Layer.provide(Server))

runMain(Layer.launch(Main))
