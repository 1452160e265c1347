/** The server that the clients of all runtimes talk to. */
import {
  MemoryTopicBroker,
  Presence,
  Topics,
  TopicsServer,
  UpgradeCheck,
  WebSocketChannel,
  WebSocketServer,
  type WebSocket
} from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Origin } from "@effect-websocket/protocol"
import { Effect, Layer, Schema } from "effect"
import { createServer } from "node:net"
import type { Targets } from "./behaviours.js"

/** What is known of connections by the names that they gave themselves. Whoever asks early waits. */
class Seen {
  private readonly known = new Map<string, Promise<string>>()
  private readonly tellers = new Map<string, (what: string) => void>()

  of(name: string): Promise<string> {
    const found = this.known.get(name) ?? new Promise<string>((resolve) => this.tellers.set(name, resolve))
    this.known.set(name, found)
    return found
  }

  tell(name: string, what: string): void {
    const teller = this.tellers.get(name)
    if (teller === undefined) this.known.set(name, Promise.resolve(what))
    else teller(what)
  }
}

type Asked = UpgradeCheck.Request

const react = (socket: WebSocket.WebSocket, request: Asked, seen: Seen, name: string, data: string | Uint8Array) => {
  const [command, first = "", ...rest] = typeof data === "string" ? data.split(" ") : [""]
  switch (command) {
    case "!close":
      // Not within the handler, which would wait for itself.
      return Effect.forkDaemon(socket.close(Number(first), rest.join(" ")))
    case "!drop":
      return Effect.forkDaemon(socket.abort)
    case "!flood":
      return socket.sendAll(Array.from({ length: Number(first) }, () => "x".repeat(Number(rest[0]))))
    case "!started":
      return Effect.zipRight(
        Effect.sync(() => seen.tell(`${name}:started`, "started")),
        socket.send("started")
      )
    case "!seen":
      return Effect.flatMap(
        Effect.promise(() => seen.of(first)),
        (what) => socket.send(what)
      )
    case "!header":
      return socket.send(String(request.headers[first]))
    default:
      return socket.send(data)
  }
}

const Typed = WebSocketChannel.make({
  fromClient: Schema.Struct({ say: Schema.String }),
  fromServer: Schema.Struct({ said: Schema.String })
})

const routes = (seen: Seen) =>
  Layer.mergeAll(
    WebSocketServer.layerRoute({
      path: "/echo",
      protocols: ["chat.v1"],
      check: (request) => {
        if (request.query["refuse"] !== undefined) return Effect.succeed(UpgradeCheck.reject(403, { body: "no" }))
        return request.query["late"] === undefined ? Effect.succeed(UpgradeCheck.accept(request)) : Effect.never
      },
      handler: (socket) => {
        const name = String(socket.value.query["name"])
        const ended = Effect.map(socket.closeStatus, ({ clean, received }) =>
          seen.tell(name, `${received?.code} ${received?.reason} ${clean ? "clean" : "not clean"}`)
        )
        return Effect.zipRight(
          Effect.forkDaemon(ended),
          socket.run((message) => react(socket, socket.value, seen, name, message.data))
        )
      }
    }),
    WebSocketServer.layerRoute({
      path: "/topics",
      protocols: TopicsServer.protocols,
      handler: TopicsServer.handler({ rules: [Topics.rule("news", { subscribe: true, publish: true })] })
    }).pipe(Layer.provide([Topics.layerBroker(), Presence.layerBroker()]), Layer.provide(MemoryTopicBroker.layer())),
    WebSocketChannel.layerRoute(Typed, {
      path: "/typed",
      handler: (socket) => socket.run(({ say }) => socket.send({ said: say }))
    })
  )

/** A port on which nobody listens. */
const closedPort = Effect.async<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** Serves until the scope ends. */
export const serve = Effect.gen(function* () {
  const listening = NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", origin: Origin.allowAll })
  const context = yield* Layer.build(Layer.provideMerge(routes(new Seen()), listening))
  const server = yield* Effect.provide(WebSocketServer.WebSocketServer, context)
  const { port } = server.address
  const at = (port: number, path: string) => `ws://127.0.0.1:${port}/${path}`
  const targets: Targets = {
    echo: at(port, "echo"),
    topics: at(port, "topics"),
    typed: at(port, "typed"),
    closed: at(yield* closedPort, "")
  }
  return targets
})
