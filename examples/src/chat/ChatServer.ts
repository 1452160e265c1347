/** The chat on one port: the page and its WebSocket are routes of one `HttpRouter`. */
import { WebSocketUpgrade, type WebSocketServer } from "@effect-websocket/platform"
import * as NodeWebSocketUpgrade from "@effect-websocket/platform/node/NodeWebSocketUpgrade"
import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { decodeClient, encodeServer, Pong, Refused, type ServerMessage } from "./Protocol.js"
import { Rooms, type Seat } from "./Rooms.js"

/** Tells a page that another connection took its seat. The page does not reconnect. */
export const replacedCode = 4000

/**
 * Limits on the costs of each client. All other options, such as the origin and the heartbeat, keep the library's
 * defaults.
 */
const options: WebSocketServer.Options = {
  limits: { maxMessageBytes: 4096, maxFragments: 16 },
  receiveRate: { messages: 40, interval: "10 seconds", strategy: "close" },
  firstMessageTimeout: "10 seconds",
  // A member who does not read is dropped, so that a room never waits for one member.
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
  const tell = (text: string) => Effect.ignore(socket.send(text))
  const answer = (message: ServerMessage) => tell(encodeServer(message))
  const notUnderstood = Refused.make({ reason: "not understood" })
  // The replaced connection may answer slowly, or not at all, so nobody waits for it.
  const replaced = Effect.asVoid(Effect.forkDaemon(Effect.ignore(socket.close(replacedCode, "replaced"))))

  const takeSeat = (data: unknown) =>
    Effect.gen(function* () {
      const message = yield* Effect.mapError(decodeClient(data), () => notUnderstood)
      if (message._tag !== "Join") return yield* Effect.fail(notUnderstood)
      const { key, name, room } = message
      return yield* (yield* Rooms).enter(room, { name, key, tell, replaced })
    })

  const take = ({ say, typing }: Seat, data: unknown) =>
    Effect.matchEffect(decodeClient(data), {
      onFailure: () => answer(notUnderstood),
      onSuccess: (message) => {
        switch (message._tag) {
          case "Join":
            return answer(notUnderstood)
          case "Say":
            return say(message.text)
          case "Typing":
            return typing
          case "Ping":
            return answer(Pong.make({ id: message.id }))
        }
      }
    })

  return Effect.gen(function* () {
    const { data } = yield* socket.receive
    yield* Effect.matchEffect(takeSeat(data), {
      onFailure: (refused) => Effect.zipRight(answer(refused), socket.close("PolicyViolation", refused.reason)),
      onSuccess: (seat) => socket.run(({ data }) => take(seat, data))
    })
  })
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

/** The app on a port. When it is released, it drains. */
export const layer = (listen: { readonly port: number; readonly host: string }) =>
  Layer.suspend(() => {
    const server = createServer()
    // In addition to the sockets that `admission` counts, which are connections already.
    server.maxConnections = 2000
    return HttpServer.serve(Chat).pipe(
      Layer.provide(NodeWebSocketUpgrade.layer(server, options)),
      Layer.provide(Rooms.Default),
      Layer.provideMerge(NodeHttpServer.layer(() => server, listen))
    )
  })
