/**
 * The runners of a cluster, which call each other over WebSockets of this library. Entities, sharding, storage and health stay
 * those of `@effect/cluster` (Effect 3) or `effect/cluster` (Effect 4), where `HttpRunner` and `SocketRunner` have other
 * transports.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import {
  layerRunner,
  RunnerClientProtocol,
  runnerClientProtocol,
  type MessageStorage,
  type RunnerAddress,
  type RunnerHealth,
  type Runners,
  type RunnerStorage,
  type Sharding,
  type ShardingConfig
} from "../internal/cluster.js"
import { layerEffect } from "../internal/effect.js"
import { RpcSerialization } from "../internal/rpc.js"
import * as WebSocketRpcClient from "../rpc/WebSocketRpcClient.js"
import { layerProtocol } from "../rpc/WebSocketRpcServer.js"
import { WebSocketClient } from "../WebSocketClient.js"
import type { RouteOptions, WebSocketServer } from "../WebSocketServer.js"

/**
 * The options of the connections to runners: those of `WebSocketRpcClient.layerProtocol`, and
 *
 * - `path`: the path of each runner's URL. Default: `"/"`.
 * - `secure`: whether the URLs begin with `wss:`. Default: `false`, for `ws:`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientOptions extends WebSocketRpcClient.Options {
  readonly path?: string | undefined
  readonly secure?: boolean | undefined
}

/**
 * How runners are called: over one connection for each address, which is opened by the first call. It is that of
 * `WebSocketRpcClient.layerProtocol`. When it ends, its calls fail, and the cluster tries them again if the runner may answer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClientProtocol = ({ path = "/", secure = false, ...options }: ClientOptions = {}): Layer.Layer<
  RunnerClientProtocol,
  never,
  WebSocketClient | RpcSerialization
> =>
  layerEffect(
    RunnerClientProtocol,
    Effect.gen(function* () {
      const client = yield* WebSocketClient
      const serialization = yield* RpcSerialization
      return yield* runnerClientProtocol((address) =>
        WebSocketRpcClient.makeProtocol(urlOf(address, path, secure), options).pipe(
          Effect.provideService(WebSocketClient, client),
          Effect.provideService(RpcSerialization, serialization)
        )
      )
    })
  )

const urlOf = ({ host, port }: RunnerAddress, path: string, secure: boolean): string => {
  const hostname = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host
  return `${secure ? "wss" : "ws"}://${hostname}:${port}${path.startsWith("/") ? path : `/${path}`}`
}

/**
 * A runner that other runners and clients call over the connections of a `WebSocketServer`. The options are those of a route.
 * Without options it takes the requests that no route takes.
 *
 * `ShardingConfig` has the address at which others connect to this server.
 *
 * @example
 * ```ts effect-4
 * import { WebSocketRunner } from "@effect-websocket/platform/cluster"
 * import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Layer, Option } from "effect"
 * import { RunnerAddress, RunnerHealth, Runners, ShardingConfig } from "effect/cluster"
 * import { RpcSerialization } from "effect/rpc"
 *
 * // Needs `MessageStorage` and `RunnerStorage`, such as `SqlMessageStorage.layer` and `SqlRunnerStorage.layer`.
 * const Runner = WebSocketRunner.layer().pipe(
 *   Layer.provide(RunnerHealth.layerPing),
 *   Layer.provide(Runners.layerRpc),
 *   Layer.provide(WebSocketRunner.layerClientProtocol()),
 *   Layer.provide(NodeWebSocketServer.layer({ port: 34431 })),
 *   Layer.provide(NodeWebSocketClient.layer),
 *   Layer.provide(RpcSerialization.layerNdjson),
 *   Layer.provide(ShardingConfig.layer({ runnerAddress: Option.some(RunnerAddress.make("10.0.0.1", 34431)) }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <Value = undefined, E = never, R = never>(
  options?: RouteOptions<Value, E, R>
): Layer.Layer<
  Sharding | Runners,
  never,
  | WebSocketServer
  | RunnerClientProtocol
  | RpcSerialization
  | ShardingConfig
  | MessageStorage
  | RunnerStorage
  | RunnerHealth
  | Exclude<R, Scope.Scope>
> => Layer.provide(layerRunner, layerProtocol(options))
