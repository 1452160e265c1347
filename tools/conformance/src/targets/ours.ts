/** Echo server and client of this library, on Node. */
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import type { WebSocketError } from "@effect-websocket/protocol/Errors"
import { Effect, Exit, Logger, Scope } from "effect"
import type { ErrorFields } from "../Clause.js"
import type { ClientTarget, ServerTarget } from "../Driver.js"
import type { Listener } from "../Peer.js"

const name = "effect-websocket"
const protocols = ["chat", "superchat"]
// Compresses every message, so that every echo shows the compression.
const compression = { threshold: 0 }

const fieldsOf = (error: WebSocketError): ErrorFields => ({ ...error })

const quiet = Logger.remove(Logger.defaultLogger)

const serve = (deflate: boolean) =>
  Effect.gen(function* () {
    const server = yield* NodeWebSocketServer.make({
      port: 0,
      host: "127.0.0.1",
      protocols,
      compression: deflate && compression
    })
    yield* Effect.forkScoped(server.run((socket) => socket.run((message) => socket.send(message))))
    return new URL(server.address.url)
  })

export const startServer = async (): Promise<{ readonly target: ServerTarget; readonly stop: () => Promise<void> }> => {
  const scope = Effect.runSync(Scope.make())
  const [plain, deflating] = await Effect.runPromise(
    Effect.all([serve(false), serve(true)]).pipe(Scope.extend(scope), Effect.provide(quiet))
  )
  return {
    target: { role: "server", name, url: (deflate) => (deflate ? deflating : plain) },
    stop: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

export const client = (listener: Listener): ClientTarget => ({
  role: "client",
  name,
  listener,
  dial: (url, deflate) =>
    Effect.gen(function* () {
      const { connect } = yield* NodeWebSocketClient.make({ compression: deflate && compression })
      const socket = yield* connect(url.href, { protocols })
      const ended = yield* Effect.either(socket.run((message) => socket.send(message)))
      return ended._tag === "Left" ? fieldsOf(ended.left) : fieldsOf((yield* socket.closeStatus).error)
    }).pipe(
      Effect.scoped,
      Effect.catchAll((error) => Effect.succeed(fieldsOf(error))),
      Effect.provide(quiet),
      Effect.runPromise
    )
})
