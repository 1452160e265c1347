/** Runners of a cluster, over this library and over the WebSockets that Effect has. */
import { WebSocketRunner } from "@effect-websocket/platform/cluster"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { NodeHttpServer, NodeSocket } from "@effect/platform-node"
import { Option } from "effect"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import {
  builtInRunner,
  Entity,
  HttpRunner,
  MessageStorage,
  RunnerAddress,
  RunnerHealth,
  Runners,
  RunnerServer,
  RunnerStorage,
  sendsAgain,
  ShardingConfig,
  type RunnerServices,
  type Sharding
} from "../effect/cluster.js"
import { listening } from "../effect/http.js"
import {
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Queue,
  Schedule,
  Schema,
  Scope,
  Stream
} from "../effect/index.js"
import { Rpc, serializations, type RpcSerialization } from "../effect/rpc.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import * as TcpProxy from "../faults/TcpProxy.js"
import { noHandlesLeft } from "../node/support.js"
import { quietly } from "../rpc/app.js"

afterEach(noHandlesLeft)

const host = "127.0.0.1"
const path = "/cluster"

/** How runners are served and called. */
interface Transport {
  /** Listens until the scope ends. */
  readonly listen: (port: number) => Effect.Effect<
    {
      readonly port: number
      readonly runner: Layer.Layer<Sharding.Sharding | Runners.Runners, never, RunnerServices>
    },
    never,
    Scope.Scope
  >
  readonly client: Layer.Layer<Runners.RpcClientProtocol, never, RpcSerialization.RpcSerialization>
}

const ours: Transport = {
  listen: (port) =>
    Effect.map(
      // `TcpProxy` does not pass on that a client drops its socket.
      Layer.build(Layer.orDie(NodeWebSocketServer.layer({ port, host, closeTimeout: "100 millis" }))),
      (context) => ({
        port: Context.get(context, WebSocketServer.WebSocketServer).address.port,
        runner: Layer.provide(WebSocketRunner.layer({ path }), Layer.succeedContext(context))
      })
    ),
  client: Layer.provide(WebSocketRunner.layerClientProtocol({ path }), NodeWebSocketClient.layer)
}

const builtIn: Transport = {
  listen: (port) => {
    const server = Http.createServer()
    return Effect.map(
      Layer.build(Layer.orDie(NodeHttpServer.layer(() => server, { ...listening, port }))),
      (context) => ({
        port: (server.address() as AddressInfo).port,
        runner: Layer.provide(builtInRunner(path), Layer.succeedContext(context))
      })
    )
  },
  client: Layer.provide(HttpRunner.layerClientProtocolWebsocket({ path }), NodeSocket.layerWebSocketConstructor)
}

const transports: ReadonlyArray<readonly [string, Transport]> = [
  ["this library", ours],
  ["Effect", builtIn]
]

const Counter = Entity.make("Counter", [
  Rpc.make("port", { success: Schema.Number }),
  Rpc.make("count", { payload: { to: Schema.Number }, success: Schema.Number, stream: true }),
  Rpc.make("hold", { success: Schema.Number })
])

/** A cluster of runners and clients that find each other. Calls of `hold` last until it is `released`. */
const makeCluster = (transport: Transport) =>
  Effect.gen(function* () {
    const held = yield* Queue.unbounded<number>()
    const released = yield* Deferred.make<void>()
    const services = RunnerHealth.layerPing.pipe(
      Layer.provide(Runners.layerRpc),
      Layer.provideMerge(transport.client),
      Layer.provideMerge(serializations["NDJSON"]!),
      Layer.provideMerge(MessageStorage.layerNoop),
      Layer.merge(Layer.succeed(RunnerStorage.RunnerStorage, yield* RunnerStorage.makeMemory))
    )
    return {
      held,
      released,
      /** A runner until the scope ends, and its port. With `reachedAt` others connect to another port. */
      runner: (at = 0, reachedAt: (port: number) => Effect.Effect<number, never, Scope.Scope> = Effect.succeed) =>
        Effect.gen(function* () {
          const { port, runner } = yield* transport.listen(at)
          const address = yield* reachedAt(port)
          const entity = Counter.toLayer(
            {
              port: () => Effect.succeed(port),
              count: ({ payload: { to } }) => Stream.range(1, to),
              hold: () => Effect.as(Effect.andThen(Queue.offer(held, port), Deferred.await(released)), port)
            },
            { concurrency: "unbounded" }
          )
          const layer = entity.pipe(
            Layer.provideMerge(runner),
            Layer.provide(services),
            Layer.provide(configured(Option.some(RunnerAddress.make(host, address))))
          )
          return { port, counters: yield* countersOf(layer) }
        }),
      /** A client until the scope ends. */
      client: countersOf(
        RunnerServer.layerClientOnly.pipe(Layer.provide(services), Layer.provide(configured(Option.none())))
      )
    }
  })

const configured = (runnerAddress: Option.Option<RunnerAddress.RunnerAddress>) =>
  ShardingConfig.layer({
    runnerAddress,
    shardsPerGroup: 16,
    refreshAssignmentsInterval: "20 millis",
    sendRetryInterval: "10 millis"
  })

const countersOf = <A, R>(layer: Layer.Layer<A | Sharding.Sharding, never, R>) =>
  Effect.flatMap(Layer.build(layer), (context) => Effect.provide(Counter.client, context))

type Counters = Effect.Success<Effect.Success<ReturnType<typeof makeCluster>>["client"]>

/** The ports of the runners that have the entities. */
const portsOf = (counters: Counters) =>
  Effect.map(
    Effect.forEach(ids, (id) => counters(id).port(), { concurrency: "unbounded" }),
    (ports) => new Set(ports)
  )

const ids = Array.from({ length: 48 }, (_, index) => `counter ${index}`)

/** Asks until exactly these runners have entities. */
const untilOn = (counters: Counters, ...expected: ReadonlyArray<number>) =>
  Effect.repeat(portsOf(counters), {
    schedule: Schedule.spaced("10 millis"),
    until: (ports) => ports.size === expected.length && expected.every((port) => ports.has(port))
  })

/** An entity on a runner. */
const counterOn = (counters: Counters, expected: number) =>
  Effect.map(
    Effect.findFirst(ids, (id) => Effect.map(counters(id).port(), (port) => port === expected)),
    (id) => counters(Option.getOrThrow(id))
  )

describe("layerClientProtocol", () => {
  const runnersWith = (options: WebSocketRunner.ClientOptions) =>
    Effect.map(
      Layer.build(
        Runners.layerRpc.pipe(
          Layer.provide(WebSocketRunner.layerClientProtocol(options)),
          Layer.provide(serializations["NDJSON"]!),
          Layer.provide(MessageStorage.layerNoop),
          Layer.provide(configured(Option.none()))
        )
      ),
      Context.get(Runners.Runners)
    )

  it.effect("connects to the path at the address of a runner", () =>
    Effect.gen(function* () {
      const runners = yield* runnersWith({ path: "cluster", headers: { "x-runner": "a" } })
      const pinging = yield* Effect.forkScoped(Effect.flip(runners.ping(RunnerAddress.make("::1", 34431))))
      const { request, unreachable } = yield* WebSocketTest.nextAttempt
      assert.strictEqual(request.url, "/cluster")
      assert.deepInclude(request.headers, { host: "[::1]:34431", "x-runner": "a" })
      yield* unreachable
      assert.strictEqual((yield* Fiber.join(pinging))._tag, "RunnerUnavailable")
    }).pipe(Effect.provide(WebSocketTest.layer))
  )

  // `Host` leaves out the port only if it is that of the scheme.
  it.effect.each([
    [{ secure: true }, { host: "runner" }],
    [{}, { host: "runner:443" }]
  ] as const)("connects with TLS if it is told to: %j", ([options, headers]) =>
    Effect.gen(function* () {
      const runners = yield* runnersWith(options)
      const pinging = yield* Effect.forkScoped(Effect.flip(runners.ping(RunnerAddress.make("runner", 443))))
      const { request, unreachable } = yield* WebSocketTest.nextAttempt
      assert.strictEqual(request.url, "/")
      assert.deepInclude(request.headers, headers)
      yield* unreachable
      assert.strictEqual((yield* Fiber.join(pinging))._tag, "RunnerUnavailable")
    }).pipe(Effect.provide(WebSocketTest.layer))
  )
})

describe.each(transports)("a cluster over %s", (_, transport) => {
  it.live("calls entities of other runners, and streams from them", () =>
    Effect.gen(function* () {
      const cluster = yield* makeCluster(transport)
      const first = yield* cluster.runner()
      const second = yield* cluster.runner()
      for (const counters of [first.counters, second.counters, yield* cluster.client]) {
        yield* untilOn(counters, first.port, second.port)
        for (const { port } of [first, second]) {
          const counter = yield* counterOn(counters, port)
          const counted = yield* Stream.runCollect(counter.count({ to: 60 }))
          assert.deepStrictEqual(
            Array.from(counted),
            Array.from({ length: 60 }, (_, index) => index + 1)
          )
        }
      }
    }).pipe(quietly)
  )

  it.live("gives the entities of a runner that leaves to another one, and back", () =>
    Effect.gen(function* () {
      const cluster = yield* makeCluster(transport)
      const stays = yield* cluster.runner()
      const scope = yield* Scope.make()
      const leaves = yield* Effect.provideService(cluster.runner(), Scope.Scope, scope)
      const counters = yield* cluster.client
      yield* untilOn(counters, stays.port, leaves.port)
      yield* Scope.close(scope, Exit.void)
      yield* untilOn(counters, stays.port)
      yield* cluster.runner(leaves.port)
      yield* untilOn(counters, stays.port, leaves.port)
    }).pipe(quietly)
  )

  it.live("goes on when the network breaks", () =>
    Effect.gen(function* () {
      const cluster = yield* makeCluster(transport)
      const links = yield* Queue.unbounded<TcpProxy.Link>()
      const { port } = yield* cluster.runner(0, (port) =>
        Effect.gen(function* () {
          const proxy = yield* TcpProxy.make(port)
          yield* Effect.forkScoped(Effect.flatMap(proxy.nextLink, (link) => Queue.offer(links, link)))
          return proxy.port
        })
      )
      const counters = yield* cluster.client
      const call = yield* Effect.forkScoped(counters("a").hold())
      assert.strictEqual(yield* Queue.take(cluster.held), port)
      const link = yield* Queue.take(links)
      link.reset()
      assert.strictEqual(yield* counters("a").port(), port)
      if (sendsAgain) yield* Deferred.succeed(cluster.released, undefined)
      const outcome = Effect.match(Fiber.join(call), { onFailure: ({ _tag }) => _tag, onSuccess: (port) => port })
      assert.strictEqual(yield* outcome, sendsAgain ? port : "AlreadyProcessingMessage")
      yield* Deferred.succeed(cluster.released, undefined)
    }).pipe(quietly)
  )
})
