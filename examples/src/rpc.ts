/**
 * Runs a server and a client of typed procedures over a WebSocket in one process. `docs/rpc.md` explains it.
 */
import { UpgradeCheck, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { WebSocketRpcClient, WebSocketRpcServer } from "@effect-websocket/platform/rpc"
import { NodeRuntime } from "@effect/platform-node"
import { Rpc, RpcClient, RpcGroup, RpcMiddleware, RpcSerialization, RpcServer } from "@effect/rpc"
import { Console, Context, Effect, Layer, Schema, Stream } from "effect"

class User extends Context.Tag("User")<User, string>() {}

// The headers of the request to upgrade reach the middleware of each call.
class Authenticated extends RpcMiddleware.Tag<Authenticated>()("Authenticated", { provides: User }) {}

const Procedures = RpcGroup.make(
  Rpc.make("greet", { success: Schema.String }).middleware(Authenticated),
  Rpc.make("countdown", { payload: { from: Schema.Number }, success: Schema.Number, stream: true })
)

const Handlers = Procedures.toLayer({
  greet: () => Effect.map(User, (name) => `hello ${name}`),
  countdown: ({ from }) => Stream.map(Stream.range(1, from), (n) => from + 1 - n)
})

const Server = RpcServer.layer(Procedures).pipe(
  Layer.provide(Handlers),
  Layer.provide(Layer.succeed(Authenticated, ({ headers }) => Effect.succeed(headers["x-user"] ?? "nobody"))),
  Layer.provide(
    WebSocketRpcServer.layerProtocol({
      path: "/rpc",
      check: ({ headers }) =>
        Effect.succeed(headers["x-user"] === undefined ? UpgradeCheck.reject(401) : UpgradeCheck.accept())
    })
  )
)

// The URL may be an effect, which runs before each attempt to connect.
const url = Effect.map(WebSocketServer.address, ({ url }) => `${url}/rpc`)

const Client = WebSocketRpcClient.layerProtocol(url, { headers: { "x-user": "ann" } })

const program = Effect.gen(function* () {
  const client = yield* RpcClient.make(Procedures)
  yield* Console.log(yield* client.greet())
  yield* Stream.runForEach(client.countdown({ from: 3 }), (n) => Console.log(n))
  yield* Console.log("lift-off")
})

program.pipe(
  Effect.scoped,
  Effect.provide(Client.pipe(Layer.provideMerge(Server))),
  Effect.provide([NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" }), NodeWebSocketClient.layer]),
  Effect.provide(RpcSerialization.layerNdjson),
  NodeRuntime.runMain
)
