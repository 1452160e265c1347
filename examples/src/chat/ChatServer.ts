/** The chat on one port: a page, and the WebSocket behind it, as routes of one `HttpRouter`. */
import { WebSocketUpgrade, type WebSocketServer } from "@effect-websocket/platform"
import * as NodeWebSocketUpgrade from "@effect-websocket/platform/node/NodeWebSocketUpgrade"
import { HttpRouter, HttpServer, HttpServerResponse } from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { createServer } from "node:http"
import { fileURLToPath } from "node:url"
import { decodeClient, encodeServer, Pong, Refused, type ServerMessage } from "./Protocol.js"
import { Rooms, type Seat } from "./Rooms.js"

/** Tells a page that its seat was taken over. It does not come back. */
export const replacedCode = 4000

/** What everybody may cost us. The rest, as the origin of pages and the heartbeat, is as the library has it. */
const options: WebSocketServer.Options = {
  limits: { maxMessageBytes: 4096, maxFragments: 16 },
  receiveRate: { messages: 40, interval: "10 seconds", strategy: "close" },
  firstMessageTimeout: "10 seconds",
  // Who does not read is let go, so that a room never waits for one of its members.
  sendStrategy: "close",
  admission: { maxConnections: 1000, maxConnectionsPerKey: 100 },
  // For a restart: the pages come back, not all at once.
  drain: { code: 1012, reason: "restart", window: "1 second", timeout: "10 seconds" }
}

/** One connection: a seat, and then whatever its member does. When it ends, so does its scope, and the seat is free. */
const session = (socket: WebSocketServer.ServerWebSocket) => {
  // Who cannot be told is about to leave: that shows where the connection is read.
  const tell = (text: string) => Effect.ignore(socket.send(text))
  const answer = (message: ServerMessage) => tell(encodeServer(message))
  const notUnderstood = Refused.make({ reason: "not understood" })
  // The one who is replaced may be slow to answer, or gone.
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

/** Nothing but our own files, no script in the page, and no text that becomes markup. */
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

/** The app on a port, until it is released: then it drains. */
export const layer = (listen: { readonly port: number; readonly host: string }) =>
  Layer.suspend(() => {
    const server = createServer()
    // Besides those of `admission`, which are connections already.
    server.maxConnections = 2000
    return HttpServer.serve(Chat).pipe(
      Layer.provide(NodeWebSocketUpgrade.layer(server, options)),
      Layer.provide(Rooms.Default),
      Layer.provideMerge(NodeHttpServer.layer(() => server, listen))
    )
  })
