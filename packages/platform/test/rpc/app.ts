/** An app of procedures, and the ways to serve and to call it. */
import { WebSocketRpcClient, WebSocketRpcServer } from "@effect-websocket/platform/rpc"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import * as NodeWebSocketUpgrade from "@effect-websocket/platform/node/NodeWebSocketUpgrade"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { NodeHttpServer } from "@effect/platform-node"
import { Schedule } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import { serveRoutes } from "../effect/http.js"
import { Context, Effect, Layer, Logger, Queue, Schema, Stream, type Scope } from "../effect/index.js"
import {
  builtInClient,
  builtInServer,
  CurrentName,
  Named,
  NamedLive,
  Rpc,
  RpcClient,
  RpcGroup,
  type RpcSerialization,
  RpcServer,
  soon
} from "../effect/rpc.js"

const Procedures = RpcGroup.make(
  Rpc.make("echo", { payload: { text: Schema.String }, success: Schema.String }),
  Rpc.make("fail", { error: Schema.String }),
  Rpc.make("die"),
  Rpc.make("name", { success: Schema.String, error: Schema.String }).middleware(Named),
  Rpc.make("count", { payload: { to: Schema.Number }, success: Schema.Number, error: Schema.String, stream: true }),
  Rpc.make("hang"),
  Rpc.make("endless", { success: Schema.Number, stream: true }),
  Rpc.make("large", { success: Schema.String })
)

/** What happens to calls on the server. */
export class Calls {
  readonly started = Effect.runSync(Queue.unbounded<string>())
  readonly interrupted = Effect.runSync(Queue.unbounded<string>())
  produced = 0
  large = 0

  watch<A, E, R>(name: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.andThen(Queue.offer(this.started, name), effect).pipe(
      Effect.onInterrupt(() => Queue.offer(this.interrupted, name))
    )
  }
}

export const largeReply = "x".repeat(256 * 1024)

/** The server of the procedures. */
export const app = (
  calls: Calls,
  options?: { readonly concurrency: number }
): Layer.Layer<never, never, RpcServer.Protocol> =>
  RpcServer.layer(Procedures, options).pipe(
    Layer.provide(
      Procedures.toLayer({
        echo: ({ text }) => Effect.succeed(text),
        fail: () => Effect.fail("failed"),
        die: () => Effect.die(new Error("died")),
        name: () => CurrentName,
        count: ({ to }) => Stream.range(1, to).pipe(Stream.concat(to > 99 ? Stream.fail("too many") : Stream.empty)),
        hang: () => calls.watch("hang", Effect.never),
        endless: () =>
          Stream.unwrap(Effect.as(Queue.offer(calls.started, "endless"), Stream.range(1, 1_000_000_000))).pipe(
            Stream.rechunk(1),
            Stream.tap(() => Effect.sync(() => void calls.produced++)),
            // It has no end of its own.
            Stream.ensuring(Queue.offer(calls.interrupted, "endless"))
          ),
        large: () =>
          Effect.sync(() => {
            calls.large++
            return largeReply
          })
      })
    ),
    Layer.provide(NamedLive)
  )

/** How procedures are served and called over WebSockets. */
export interface Transport {
  /** Serves on a port of 127.0.0.1 until the scope ends. Returns the port. */
  readonly serve: (
    app: Layer.Layer<never, never, RpcServer.Protocol>,
    port?: number
  ) => Effect.Effect<number, never, Scope.Scope | RpcSerialization.RpcSerialization>
  readonly client: (port: number) => Layer.Layer<RpcClient.Protocol, never, RpcSerialization.RpcSerialization>
}

const urlOf = (port: number) => `ws://127.0.0.1:${port}/rpc`

const client = (port: number) =>
  Layer.provide(
    WebSocketRpcClient.layerProtocol(urlOf(port), { headers: { "x-name": "ann" }, rpc: soon }),
    NodeWebSocketClient.layer
  )

const portOf = (server: Http.Server) => (server.address() as AddressInfo).port

const host = "127.0.0.1"

// `TcpProxy` does not pass on that a client drops its socket.
const closeTimeout = "100 millis"

/** This library on both sides. */
export const ours: Transport = {
  serve: (app, port = 0) =>
    Effect.gen(function* () {
      const protocol = WebSocketRpcServer.layerProtocol({ path: "/rpc" })
      const server = Layer.orDie(NodeWebSocketServer.layer({ port, host, closeTimeout }))
      const context = yield* Layer.build(Layer.provideMerge(Layer.provide(app, protocol), server))
      return Context.get(context, WebSocketServer.WebSocketServer).address.port
    }),
  client
}

/** This library on both sides, with a client that reconnects by itself. */
export const reconnecting: Transport = {
  ...ours,
  client: (port) =>
    Layer.provide(
      WebSocketRpcClient.layerProtocolReconnecting(urlOf(port), {
        headers: { "x-name": "ann" },
        schedule: Schedule.spaced("10 millis"),
        // It goes on after a request that was too large.
        classify: () => "reconnect"
      }),
      NodeWebSocketClient.layer
    )
}

/** This library in a route of Effect's HTTP server. */
export const inRoute: Transport = {
  serve: (app, port = 0) =>
    Effect.gen(function* () {
      const server = Http.createServer()
      const services = Layer.provideMerge(
        NodeWebSocketUpgrade.layer(server, { closeTimeout }),
        Layer.orDie(NodeHttpServer.layer(() => server, { port, host }))
      )
      const context = yield* Layer.build(services)
      yield* Effect.gen(function* () {
        const { protocol, response } = yield* WebSocketRpcServer.makeProtocolUpgrade()
        yield* Layer.build(Layer.provide(app, Layer.succeed(RpcServer.Protocol, protocol)))
        yield* Layer.build(serveRoutes([["GET", "/rpc", response]]))
      }).pipe(Effect.provide(context))
      return portOf(server)
    }),
  client
}

/** What Effect has on both sides. */
export const builtIn: Transport = {
  serve: (app, port = 0) =>
    Effect.gen(function* () {
      const server = Http.createServer()
      yield* Layer.build(builtInServer(app, server, port))
      return portOf(server)
    }),
  client: (port) => builtInClient(urlOf(port))
}

/** A client of the procedures, for as long as the scope. */
export const callerOf = <R>(protocol: Layer.Layer<RpcClient.Protocol, never, R>) =>
  Effect.flatMap(Layer.build(protocol), (context) => Effect.provide(RpcClient.make(Procedures), context))

export const quietly = Effect.provide(Logger.withoutDefault)
