/** `vscode-jsonrpc`, the client of language servers, over this library's connections. The server is that of `json-rpc.ts`. */
import { StandardWebSocket, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Console, Effect, Layer } from "effect"
import { AbstractMessageReader, AbstractMessageWriter, createMessageConnection } from "vscode-jsonrpc/node"
import type { DataCallback, Message } from "vscode-jsonrpc/node"
import { RpcServer } from "../json-rpc.js"

class Reader extends AbstractMessageReader {
  readonly socket: StandardWebSocket.StandardWebSocket
  constructor(socket: StandardWebSocket.StandardWebSocket) {
    super()
    this.socket = socket
    socket.addEventListener("close", () => this.fireClose())
  }
  listen(callback: DataCallback) {
    this.socket.onmessage = ({ data }) => callback(JSON.parse(String(data)))
    return { dispose: () => void (this.socket.onmessage = null) }
  }
}

class Writer extends AbstractMessageWriter {
  readonly socket: StandardWebSocket.StandardWebSocket
  constructor(socket: StandardWebSocket.StandardWebSocket) {
    super()
    this.socket = socket
  }
  async write(message: Message) {
    this.socket.send(JSON.stringify(message))
  }
  end() {}
}

/** A connection of `vscode-jsonrpc`. It ends with the scope. */
export const connect = (url: string) =>
  Effect.gen(function* () {
    const WebSocket = yield* StandardWebSocket.make()
    const socket = new WebSocket(url)
    yield* Effect.async<void, unknown>((resume) => {
      socket.onopen = () => resume(Effect.void)
      socket.onerror = ({ error }) => resume(Effect.fail(error))
    })
    const connection = createMessageConnection(new Reader(socket), new Writer(socket))
    yield* Effect.addFinalizer(() => Effect.sync(() => connection.dispose()))
    connection.listen()
    return connection
  })

export const program = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const connection = yield* connect(url)
  connection.onRequest("name", () => "Ada")
  yield* Console.log(yield* Effect.promise(() => connection.sendRequest("add", 1, 2)))
  yield* Console.log(yield* Effect.promise(() => connection.sendRequest("greet")))
}).pipe(
  Effect.scoped,
  Effect.provide(RpcServer.pipe(Layer.provideMerge(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" })))),
  Effect.provide(NodeWebSocketClient.layer)
)
