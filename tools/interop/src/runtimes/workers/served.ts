/** What a server in a `fetch` handler of Workers does, seen by a client on Node. The server is in `program.ts`. */
import { WebSocketClient } from "@effect-websocket/platform"
import { Effect } from "effect"
import { asked, closedWith, endOf, equal, expected, type Behaviour, type Place } from "./trying.js"

const connect = ({ url }: Place, name: string, options: WebSocketClient.ConnectOptions = {}) =>
  WebSocketClient.connect(`${url}?name=${name}`, options)

const refusalOf = (url: string) =>
  Effect.flatMap(Effect.flip(Effect.scoped(WebSocketClient.connect(url))), (error) =>
    error._tag === "Handshake_rejected" ? Effect.succeed(error) : Effect.die(error)
  )

export const servedBehaviours: Readonly<Record<string, Behaviour>> = {
  "echoes text and binary, in order": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "echo")
      yield* socket.sendAll(["hëllo", Uint8Array.of(1, 2, 3), "🙂"])
      yield* expected(socket, "hëllo")
      yield* equal(Array.from(Object((yield* socket.receive).data)), [1, 2, 3])
      yield* expected(socket, "🙂")
    }),
  "negotiates a subprotocol": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "protocol", { protocols: ["other", "chat.v1"] })
      yield* equal(socket.protocol, "chat.v1")
    }),
  "sends any close code": (place) =>
    Effect.gen(function* () {
      for (const code of [1001, 1008, 4321]) {
        const socket = yield* connect(place, `closing-${code}`)
        yield* socket.send(`!close ${code} bye`)
        yield* closedWith(socket, code)
        yield* equal(yield* endOf(place, `closing-${code}`), ["local", code, true, "Connection_closed"])
      }
    }),
  "answers the peer's Close": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "leaving")
      yield* socket.close(3456, "why")
      const { clean, received } = yield* socket.closeStatus
      yield* equal([clean, received?.code, received?.reason], [true, 3456, "why"])
      yield* equal(yield* endOf(place, "leaving"), ["remote", 3456, true, "Connection_closed"])
    }),
  "reports a drop as 1006": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "dropped")
      yield* asked(socket, "here", "here")
      yield* socket.abort
      yield* equal(yield* endOf(place, "dropped"), ["remote", null, false, "Connection_closed"])
    }),
  "closes with 1011 if a handler fails": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "failing")
      yield* socket.send("!fail")
      yield* closedWith(socket, 1011)
    }),
  "lets a handler end after its connection": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "lasting")
      yield* socket.close()
      yield* endOf(place, "lasting:handler")
    }),
  "bounds the size of a message": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "big")
      yield* socket.sendAll(["small", "x".repeat(10_001)])
      yield* expected(socket, "small")
      yield* closedWith(socket, 1009)
    }),
  "bounds what nobody reads": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "flooding")
      yield* socket.sendAll(["!sleep 500", ...Array.from({ length: 10 }, () => "x".repeat(9_000))])
      yield* closedWith(socket, 1009)
      yield* equal((yield* endOf(place, "flooding")).at(-1), "Payload_too_large")
    }),
  "keeps its deadlines when other requests end": (place) =>
    Effect.gen(function* () {
      const first = yield* connect(place, "first")
      yield* Effect.sleep("300 millis")
      const second = yield* connect(place, "second")
      yield* first.abort
      yield* closedWith(second, 1001)
    }),
  "serves many connections at once": (place) =>
    Effect.forEach(
      Array.from({ length: 50 }, (_, index) => `many-${index}`),
      (name) => Effect.scoped(Effect.flatMap(connect(place, name), (socket) => asked(socket, name, name))),
      { concurrency: "unbounded", discard: true }
    ),
  "refuses with status, headers and body": ({ url }) =>
    Effect.gen(function* () {
      const { headers, status } = yield* refusalOf(`${url}?refuse=1`)
      yield* equal([status, headers["x-why"]], [403, "refused"])
    }),
  "answers 503 after handshakeTimeout": ({ url }) =>
    Effect.flatMap(refusalOf(`${url}?late=1`), ({ status }) => equal(status, 503)),
  "answers 404 without a route": ({ url }) =>
    Effect.flatMap(refusalOf(url.replace("/served", "/served/nowhere")), ({ status }) => equal(status, 404)),
  "answers 426 to a request without upgrade": ({ url }) =>
    Effect.gen(function* () {
      const { status } = yield* Effect.promise(() => fetch(url.replace(/^ws/, "http")))
      yield* equal(status, 426)
    }),
  "says what it cannot do before it sends": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "unable")
      yield* asked(socket, "!ping", "Protocol_error local")
    })
}
