/** `vscode-jsonrpc`, unmodified, over a real socket: it calls the server, and the server calls it. */
import { WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { readFileSync } from "node:fs"
import { once } from "node:events"
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  CancellationTokenSource,
  createMessageConnection,
  type DataCallback,
  type Message,
  type MessageConnection,
  ResponseError
} from "vscode-jsonrpc/node"
import { WebSocket } from "ws"
import { RpcServer } from "../src/json-rpc.js"

class Reader extends AbstractMessageReader {
  private readonly socket: WebSocket
  constructor(socket: WebSocket) {
    super()
    this.socket = socket
    socket.on("close", () => this.fireClose())
    socket.on("error", (error) => this.fireError(error))
  }
  listen(callback: DataCallback) {
    const read = (data: WebSocket.RawData) => callback(JSON.parse(String(data)) as Message)
    this.socket.on("message", read)
    return { dispose: () => void this.socket.off("message", read) }
  }
}

class Writer extends AbstractMessageWriter {
  private readonly socket: WebSocket
  constructor(socket: WebSocket) {
    super()
    this.socket = socket
  }
  async write(message: Message): Promise<void> {
    this.socket.send(JSON.stringify(message))
  }
  end(): void {}
}

const Server = RpcServer.pipe(Layer.provideMerge(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" })))

/** Runs a test with a connection of `vscode-jsonrpc` to the server. */
const connected = (test: (connection: MessageConnection, socket: WebSocket) => Promise<void>) =>
  Effect.gen(function* () {
    const { url } = yield* WebSocketServer.address
    yield* Effect.promise(async () => {
      const socket = new WebSocket(url)
      await once(socket, "open")
      const connection = createMessageConnection(new Reader(socket), new Writer(socket))
      connection.listen()
      try {
        await test(connection, socket)
      } finally {
        connection.dispose()
        socket.terminate()
      }
    })
  }).pipe(Effect.provide(Server))

const codeOf = async (call: Promise<unknown>): Promise<number> => {
  const error = await call.then(
    () => undefined,
    (error: unknown) => error
  )
  assert(error instanceof ResponseError)
  return error.code
}

describe("vscode-jsonrpc", () => {
  it.scopedLive("calls the server, and gets results and errors", () =>
    connected(async (connection) => {
      assert.deepStrictEqual(await Promise.all([1, 2, 3].map((n) => connection.sendRequest("add", n, n))), [2, 4, 6])
      assert.strictEqual(await codeOf(connection.sendRequest("add", Number.MAX_SAFE_INTEGER, 1)), 1)
      assert.strictEqual(await codeOf(connection.sendRequest("add", "one", 1)), -32602)
      assert.strictEqual(await codeOf(connection.sendRequest("unknown")), -32601)
      await connection.sendNotification("unknown")
      assert.strictEqual(await connection.sendRequest("add", 2, 2), 4)
    })
  )

  it.scopedLive("gets notifications, in order", () =>
    connected(async (connection) => {
      const left: Array<number> = []
      connection.onNotification("left", ({ count }: { readonly count: number }) => void left.push(count))
      assert.strictEqual(await connection.sendRequest("countdown", { from: 3, millis: 1 }), "liftoff")
      assert.deepStrictEqual(left, [3, 2, 1])
    })
  )

  it.scopedLive("is called by the server while it waits for it", () =>
    connected(async (connection) => {
      connection.onRequest("name", () => "Ada")
      assert.strictEqual(await connection.sendRequest("greet"), "Hello Ada")
    })
  )

  it.scopedLive("passes an error of its own on through the server", () =>
    connected(async (connection) => {
      connection.onRequest("name", () => new ResponseError(42, "nobody"))
      assert.strictEqual(await codeOf(connection.sendRequest("greet")), 42)
    })
  )

  it.scopedLive("cancels a request", () =>
    connected(async (connection) => {
      const source = new CancellationTokenSource()
      const begun = new Promise<void>((resolve) => connection.onNotification("left", () => resolve()))
      const call = connection.sendRequest("countdown", { from: 2, millis: 1e6 }, source.token)
      await begun
      source.cancel()
      assert.strictEqual(await codeOf(call), -32800)
      assert.strictEqual(await connection.sendRequest("add", 1, 1), 2)
    })
  )
})

it("the example has fewer than 60 lines", () => {
  const lines = readFileSync(new URL("../src/json-rpc.ts", import.meta.url), "utf8")
    .trimEnd()
    .split("\n")
  assert.isBelow(lines.length, 60)
})
