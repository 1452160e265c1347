/** See `effect.ts`. */
export { makeProtocolSocket, Protocol as ClientProtocol } from "effect/rpc/RpcClient"
export { RpcSerialization } from "effect/rpc/RpcSerialization"
export { makeProtocolWithHttpEffectWebsocket, Protocol as ServerProtocol } from "effect/rpc/RpcServer"
