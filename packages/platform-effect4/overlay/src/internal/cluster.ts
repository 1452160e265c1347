/** What `@effect/cluster` has for Effect 3, and `effect/cluster` for Effect 4: runners, and how they call each other. */
import type { RunnerAddress as RunnerAddress_ } from "effect/cluster/RunnerAddress"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { RunnerClientProtocol } from "./install-effect@4-or-platform@3/cluster.js"
import { RpcSerialization, type ClientProtocolService } from "./rpc.js"

/** The address of a runner. */
export type RunnerAddress = RunnerAddress_

/** The service that makes the protocols with which runners are called. */
export { RunnerClientProtocol } from "./install-effect@4-or-platform@3/cluster.js"

/** The members of that service: the protocol for each runner is what `make` makes. */
export const runnerClientProtocol = (
  make: (address: RunnerAddress) => Effect.Effect<ClientProtocolService, never, Scope.Scope>
): Effect.Effect<Context.Service.Shape<typeof RunnerClientProtocol>, never, RpcSerialization> =>
  Effect.map(RpcSerialization, ({ codecFor }) => ({ codecFor, make }))

/** A runner, with the clients of the other runners. It needs the protocol of its RPC server. */
export { layerRunner } from "./install-effect@4-or-platform@3/cluster.js"

/** What it has, and what it needs besides its protocols. */
export type { MessageStorage } from "effect/cluster/MessageStorage"
export type { RunnerHealth } from "effect/cluster/RunnerHealth"
export type { Runners } from "effect/cluster/Runners"
export type { RunnerStorage } from "effect/cluster/RunnerStorage"
export type { Sharding } from "effect/cluster/Sharding"
export type { ShardingConfig } from "effect/cluster/ShardingConfig"
