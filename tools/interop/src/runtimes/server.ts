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
import { freePort } from "../proxies.js"
import type { Targets } from "./behaviours.js"
import { serveRaw } from "./rawServer.js"

/** What is known of connections by the names that they gave themselves. Whoever asks early waits. */
class Seen {
  private readonly known = new Map<string, string>()
  private readonly waiting = new Map<string, Array<(what: string) => void>>()

  now(name: string): string | undefined {
    return this.known.get(name)
  }

  async of(name: string): Promise<string> {
    const what = this.known.get(name)
    if (what !== undefined) return what
    return new Promise((resolve) => this.waiting.set(name, [...(this.waiting.get(name) ?? []), resolve]))
  }

  tell(name: string, what: string): void {
    this.known.set(name, what)
    for (const resolve of this.waiting.get(name) ?? []) resolve(what)
    this.waiting.delete(name)
  }
}

const part = "x".repeat(64 * 1024)

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
    case "!pour": {
      // Until the client has had enough.
      let count = 0
      const pour = Effect.zipRight(
        socket.send(part),
        Effect.sync(() => seen.tell(`${name}:poured`, String(++count)))
      )
      return Effect.forkDaemon(Effect.ignore(Effect.forever(pour)))
    }
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
    case "!known":
      return Effect.suspend(() => socket.send(seen.now(first) ?? "nothing"))
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
          socket.value.query["unread"] === undefined
            ? socket.run((message) => react(socket, socket.value, seen, name, message.data))
            : socket.closeStatus
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

/** Serves until the scope ends. */
export const serve = Effect.gen(function* () {
  const listening = NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", origin: Origin.allowAll })
  const seen = new Seen()
  const context = yield* Layer.build(Layer.provideMerge(routes(seen), listening))
  const server = yield* Effect.provide(WebSocketServer.WebSocketServer, context)
  const { port } = server.address
  const at = (port: number, path: string) => `ws://127.0.0.1:${port}/${path}`
  const raw = yield* serveRaw((name, what) => seen.tell(name, what))
  const targets: Targets = {
    echo: at(port, "echo"),
    topics: at(port, "topics"),
    typed: at(port, "typed"),
    closed: at(yield* freePort, ""),
    raw: `ws://127.0.0.1:${raw}`
  }
  return targets
})
