/** The chat on one port: the page and its WebSocket are routes of one `HttpRouter`. */
import { WebSocketUpgrade, type WebSocketServer } from "@effect-websocket/platform"
import { networks } from "@effect-websocket/platform/node/NodeWebSocketServer"
import * as NodeWebSocketUpgrade from "@effect-websocket/platform/node/NodeWebSocketUpgrade"
import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { decodeClient, encodeServer, Pong, Refused, type ServerMessage } from "./Protocol.js"
import * as Rooms from "./Rooms.js"

/**
 * Limits on the costs of each client. All other options, such as the origin and the heartbeat, keep the library's
 * defaults.
 */
const options: WebSocketServer.Options = {
  limits: { maxMessageBytes: 4096, maxFragments: 16 },
  receiveRate: { messages: 40, interval: "10 seconds", strategy: "close" },
  firstMessageTimeout: "10 seconds",
  // A member who does not read is dropped, so that nobody waits for it.
  sendStrategy: "close",
  admission: { maxConnections: 1000, maxConnectionsPerKey: 100 },
  // For a restart: the pages reconnect, but not all at once.
  drain: { code: 1012, reason: "restart", window: "1 second", timeout: "10 seconds" }
}

/**
 * One connection: it takes a seat, then performs what its member asks for. When it ends, its scope ends, and the seat
 * is free.
 */
const session = (socket: WebSocketServer.ServerWebSocket) => {
  // A failed send is ignored: the member is about to leave, and the reader of this connection notices.
  const answer = (message: ServerMessage) => Effect.ignore(socket.send(encodeServer(message)))
  const notUnderstood = Refused.make({ reason: "not understood" })

  const enter = Effect.gen(function* () {
    const { data } = yield* socket.receive
    const message = yield* Effect.mapError(decodeClient(data), () => notUnderstood)
    return yield* message._tag === "Join" ? Rooms.enter(socket, message) : Effect.fail(notUnderstood)
  })

  const take = ({ say, typing }: Rooms.Seat, data: unknown) =>
    Effect.gen(function* () {
      const message = yield* Effect.orElseSucceed(decodeClient(data), () => notUnderstood)
      switch (message._tag) {
        case "Join":
        case "Refused":
          return yield* answer(notUnderstood)
        case "Say":
          return yield* say(message)
        case "Typing":
          return yield* typing
        case "Ping":
          return yield* answer(Pong.make({ id: message.id }))
      }
    })

  return Effect.gen(function* () {
    const seat = yield* enter
    yield* Effect.raceFirst(
      socket.run(({ data }) => take(seat, data)),
      seat.people
    )
  }).pipe(
    // The seat is free before the page is told.
    Effect.scoped,
    Effect.catchTags({
      Refused: (refused) => Effect.zipRight(answer(refused), socket.close("PolicyViolation", refused.reason)),
      // The broker cannot do it now. The page reconnects, and sends again whatever it has not seen published.
      Topic_error: (error) =>
        Effect.zipRight(Effect.logWarning(error.message), socket.close("TryAgainLater", "try again later"))
    })
  )
}

/** Allows only our own files, no inline scripts, and no text that becomes markup. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'"
].join("; ")

const file = (name: string) =>
  HttpServerResponse.file(fileURLToPath(new URL(`page/${name}`, import.meta.url)), {
    headers: {
      "content-security-policy": policy,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-cache"
    }
  })

export const Chat = HttpRouter.empty.pipe(
  HttpRouter.get("/", file("index.html")),
  HttpRouter.get("/chat.css", file("chat.css")),
  HttpRouter.get("/chat.js", file("chat.js")),
  HttpRouter.get("/icon.svg", file("icon.svg")),
  HttpRouter.get("/socket", WebSocketUpgrade.upgrade(session))
)

export interface Settings {
  readonly port: number
  readonly host: string
  /** The URL of a Redis server. Processes with the same one are one chat. Default: a chat in the memory of this process. */
  readonly redis?: string | undefined
  /** The addresses of proxies whose `X-Forwarded-For` counts. */
  readonly proxies?: ReadonlyArray<string> | undefined
}

/** The app on a port. When it is released, it drains. */
export const layer = ({ host, port, proxies = [], redis }: Settings) =>
  Layer.suspend(() => {
    const server = createServer()
    // In addition to the sockets that `admission` counts, which are connections already.
    server.maxConnections = 2000
    return HttpServer.serve(Chat).pipe(
      Layer.provide(NodeWebSocketUpgrade.layer(server, { ...options, proxies: { trusted: networks(proxies) } })),
      Layer.provide(Rooms.layer(redis)),
      Layer.provideMerge(NodeHttpServer.layer(() => server, { port, host }))
    )
  })
