/** The chat over Node, for browsers and for `hear`. A room: `ws://127.0.0.1:8080/room?name=ada`. */
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { NodeRuntime } from "@effect/platform-node"
import { Layer } from "effect"
import { ChatServer } from "./chat.js"

NodeRuntime.runMain(Layer.launch(ChatServer.pipe(Layer.provide(NodeWebSocketServer.layer({ port: 8080 })))))
