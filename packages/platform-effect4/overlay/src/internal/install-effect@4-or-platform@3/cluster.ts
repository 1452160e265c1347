/** See `effect.ts`. */
export { RpcClientProtocol as RunnerClientProtocol } from "effect/cluster/Runners"
export { layerWithClients as layerRunner } from "effect/cluster/RunnerServer"
