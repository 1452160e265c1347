/** The JSON-RPC server over Node, for any client of JSON-RPC 2.0 at ws://127.0.0.1:8080. */
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { RpcServer } from "./json-rpc.js"

NodeRuntime.runMain(Layer.launch(RpcServer.pipe(Layer.provide(NodeWebSocketServer.layer({ port: 8080 })))))
