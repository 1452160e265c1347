/** The cluster of `@effect/cluster`, as both Effects have it, and its own WebSockets on Node. */
import * as HttpRunner from "@effect/cluster/HttpRunner"
import type * as MessageStorage from "@effect/cluster/MessageStorage"
import type * as RunnerHealth from "@effect/cluster/RunnerHealth"
import type * as Runners from "@effect/cluster/Runners"
import type * as RunnerStorage from "@effect/cluster/RunnerStorage"
import type * as Sharding from "@effect/cluster/Sharding"
import type * as ShardingConfig from "@effect/cluster/ShardingConfig"
import { HttpLayerRouter, type HttpServer } from "@effect/platform"
import type { RpcSerialization } from "@effect/rpc"
import type { Layer } from "effect"

export * as Entity from "@effect/cluster/Entity"
export * as HttpRunner from "@effect/cluster/HttpRunner"
export * as MessageStorage from "@effect/cluster/MessageStorage"
export * as RunnerAddress from "@effect/cluster/RunnerAddress"
export * as RunnerHealth from "@effect/cluster/RunnerHealth"
export * as Runners from "@effect/cluster/Runners"
export * as RunnerServer from "@effect/cluster/RunnerServer"
export * as RunnerStorage from "@effect/cluster/RunnerStorage"
export * as Sharding from "@effect/cluster/Sharding"
export * as ShardingConfig from "@effect/cluster/ShardingConfig"

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
  HttpLayerRouter.serve(HttpRunner.layerWebsocketOptions({ path }), { disableLogger: true, disableListenLog: true })

/** Whether a call that was under way when its connection broke is sent to the entity again. If not, the entity refuses it. */
export const sendsAgain = false
