/** The cluster of `effect/cluster`, as both Effects have it, and its own WebSockets on Node. */
import type { Layer } from "effect"
import {
  HttpRunner,
  type MessageStorage,
  type RunnerHealth,
  type Runners,
  type RunnerStorage,
  type Sharding,
  type ShardingConfig
} from "effect/cluster"
import { HttpRouter, type HttpServer } from "effect/http"
import type { RpcSerialization } from "effect/rpc"

export {
  Entity,
  HttpRunner,
  MessageStorage,
  RunnerAddress,
  RunnerHealth,
  Runners,
  RunnerServer,
  RunnerStorage,
  Sharding,
  ShardingConfig
} from "effect/cluster"

/** What a runner needs besides its server. */
export type RunnerServices =
  | Runners.RpcClientProtocol
  | RpcSerialization.RpcSerialization
  | ShardingConfig.ShardingConfig
  | MessageStorage.MessageStorage
  | RunnerStorage.RunnerStorage
  | RunnerHealth.RunnerHealth

/** The runner that Effect has, on a server of HTTP. */
export const builtInRunner = (
  path: `/${string}`
): Layer.Layer<Sharding.Sharding | Runners.Runners, never, RunnerServices | HttpServer.HttpServer> =>
  HttpRouter.serve(HttpRunner.layerWebsocketOptions({ path }), { disableLogger: true, disableListenLog: true })

/** Whether a call that was under way when its connection broke is sent to the entity again. If not, the entity refuses it. */
export const sendsAgain = true
