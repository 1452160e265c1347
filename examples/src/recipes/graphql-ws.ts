/** GraphQL subscriptions with graphql-ws, on both sides. */
import { StandardWebSocket, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Console, Effect, Layer, Runtime } from "effect"
import { GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema } from "graphql"
import { createClient, GRAPHQL_TRANSPORT_WS_PROTOCOL, makeServer, type ServerOptions } from "graphql-ws"

async function* countdown(from: number) {
  for (let value = from; value > 0; value--) yield { countdown: value }
}

const count = { type: new GraphQLNonNull(GraphQLInt) }
export const schema = new GraphQLSchema({
  query: new GraphQLObjectType({ name: "Query", fields: { zero: { ...count, resolve: () => 0 } } }),
  subscription: new GraphQLObjectType({
    name: "Subscription",
    fields: { countdown: { ...count, args: { from: count }, subscribe: (_, args) => countdown(Number(args.from)) } }
  })
})

/** A GraphQL server as a handler of connections. */
export const handler = (options: ServerOptions) => {
  const graphql = makeServer(options)
  return WebSocketServer.layerHandler((socket) =>
    Effect.gen(function* () {
      const runPromise = Runtime.runPromise(yield* Effect.runtime())
      let onMessage: (text: string) => Promise<void> = () => Promise.resolve()
      const close = (code = 1000, reason = "") => void runPromise(socket.close(code, reason))
      const closed = graphql.opened(
        {
          protocol: socket.protocol ?? "",
          send: (text) => runPromise(Effect.ignore(socket.send(text))),
          close,
          onMessage: (listener) => (onMessage = listener)
        },
        {}
      )
      // The promise of a subscription ends with the subscription, so the next message does not wait for it.
      yield* Effect.ignore(socket.run((message) => void onMessage(String(message.data)).catch(() => close(4500))))
      const { received } = yield* socket.closeStatus
      yield* Effect.promise(() => closed(received?.code, received?.reason))
    })
  )
}

const Server = NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", protocols: [GRAPHQL_TRANSPORT_WS_PROTOCOL] })

export const program = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const client = createClient({ url, webSocketImpl: yield* StandardWebSocket.make() })
  const results = client.iterate({ query: "subscription { countdown(from: 3) }" })
  yield* Effect.promise(async () => {
    for await (const { data } of results) await Effect.runPromise(Console.log(data))
  })
}).pipe(
  Effect.scoped,
  Effect.provide([handler({ schema }).pipe(Layer.provideMerge(Server)), NodeWebSocketClient.layer])
)
