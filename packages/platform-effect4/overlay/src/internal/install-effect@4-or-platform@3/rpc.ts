/** See `effect.ts`. */
export { layerProtocolSocket } from "effect/rpc/RpcClient"
export { makeProtocolWithHttpEffectWebsocket, Protocol as ServerProtocol } from "effect/rpc/RpcServer"
