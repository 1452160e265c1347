/** What the WebSockets of a Durable Object do, seen by a client on Node. The object is in `program.ts`. */
import { WebSocketClient } from "@effect-websocket/platform"
import { Effect } from "effect"
import { asked, closedWith, endOf, equal, expected, type Behaviour, type Place } from "./trying.js"

const connect = ({ url }: Place, name: string, options: WebSocketClient.ConnectOptions = {}) =>
  Effect.tap(WebSocketClient.connect(`${url}?name=${name}`, options), (socket) => expected(socket, "welcome"))

const sleep = ({ ask }: Place) => ask("/sleep")

export const objectBehaviours: Readonly<Record<string, Behaviour>> = {
  "echoes text and binary, in order": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "echo")
      yield* socket.sendAll(["hëllo", Uint8Array.of(1, 2, 3), "🙂"])
      yield* expected(socket, "hëllo")
      yield* equal(Array.from(Object((yield* socket.receive).data)), [1, 2, 3])
      yield* expected(socket, "🙂")
    }),
  "wakes with its state, its subprotocol and its tags": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "sleeper", { protocols: ["chat.v1"] })
      yield* equal(socket.protocol, "chat.v1")
      const before = Number(yield* place.ask("/made"))
      yield* asked(socket, "!count", `sleeper 1, object ${before}`)
      yield* sleep(place)
      yield* asked(socket, "!count", `sleeper 2, object ${before + 1}`)
      yield* sleep(place)
      yield* asked(socket, "!who", "sleeper")
      const other = yield* connect(place, "other")
      yield* other.send("!to sleeper hello")
      yield* expected(socket, "hello")
    }),
  "sleeps by itself after 10 seconds": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "idle")
      yield* asked(socket, "!count", `idle 1, object ${yield* place.ask("/made")}`)
      yield* Effect.sleep("11 seconds")
      const before = Number(yield* place.ask("/made"))
      yield* asked(socket, "!count", `idle 2, object ${before + 1}`)
    }),
  "answers the idle ping without waking": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "pinger")
      yield* asked(socket, "!answered", "not yet")
      yield* sleep(place)
      const before = yield* place.ask("/made")
      yield* asked(socket, "are you there?", "yes")
      yield* socket.ping()
      yield* equal(yield* place.ask("/made"), before)
      yield* asked(socket, "!answered", "answered")
    }),
  "refuses a state of more than 2,048 bytes": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "large")
      yield* asked(socket, "!large 1990", "kept")
      yield* asked(socket, "!large 2049", "Invalid_state 2096")
      yield* sleep(place)
      yield* asked(socket, "!who", "x".repeat(1990))
    }),
  "closes with 1011 if its state cannot be decoded": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "old")
      yield* place.ask("/rename")
      yield* sleep(place)
      yield* socket.send("!count")
      yield* closedWith(socket, 1011)
      // An object that is already awake has the schema that it was made with.
    }).pipe(Effect.ensuring(Effect.zipRight(place.ask("/rename"), sleep(place)))),
  "closes with its code, and remembers that asleep": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "closing")
      yield* socket.send("!close 4321 bye")
      yield* closedWith(socket, 4321)
      yield* equal(yield* endOf(place, "closing"), ["local", 4321, true, "Connection_closed"])
      yield* equal(yield* place.ask("/log"), ["Connection_closed"])
    }),
  "answers the peer's Close": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "leaving")
      yield* socket.close(3456, "why")
      const { clean, received } = yield* socket.closeStatus
      yield* equal([clean, received?.code, received?.reason], [true, 3456, "why"])
      yield* equal(yield* endOf(place, "leaving"), ["remote", 3456, true, "Connection_closed"])
    }),
  "answers the peer's Close asleep": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "left")
      yield* sleep(place)
      yield* socket.close()
      yield* equal((yield* socket.closeStatus).clean, true)
      yield* equal(yield* endOf(place, "left"), ["remote", 1000, true, "Connection_closed"])
    }),
  "reports a drop as 1006": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "dropped")
      yield* socket.abort
      yield* equal(yield* endOf(place, "dropped"), ["remote", null, false, "Connection_closed"])
    }),
  "a slow handler delays its own connection only": (place) =>
    Effect.gen(function* () {
      const slow = yield* connect(place, "slow")
      const other = yield* connect(place, "other")
      yield* slow.sendAll(["!wait", "behind"])
      yield* asked(other, "not behind", "not behind")
      yield* other.send("!release")
      yield* expected(slow, "behind")
    }),
  "bounds what waits for a slow handler": (place) =>
    Effect.gen(function* () {
      const slow = yield* connect(place, "flooding")
      const other = yield* connect(place, "releasing")
      yield* slow.sendAll(["!wait", ...Array.from({ length: 10 }, () => "x".repeat(9_000))])
      yield* closedWith(slow, 1009)
      yield* other.send("!release")
      yield* equal(yield* endOf(place, "flooding"), ["local", 1009, true, "Payload_too_large"])
    }),
  "bounds the size of a message": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "big")
      yield* socket.sendAll(["small", "x".repeat(10_001), "late"])
      yield* expected(socket, "small")
      yield* closedWith(socket, 1009)
    }),
  "closes with 1011 if a handler fails or dies": (place) =>
    Effect.gen(function* () {
      for (const command of ["!fail", "!die"]) {
        const socket = yield* connect(place, command.slice(1))
        yield* socket.sendAll([command, "behind"])
        yield* closedWith(socket, 1011)
      }
      const other = yield* connect(place, "other")
      yield* asked(other, "still here", "still here")
    }),
  "refuses with status, headers and body": ({ url }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(WebSocketClient.connect(`${url}?refuse=1`)))
      if (error._tag !== "Handshake_rejected") throw new Error(error._tag)
      yield* equal([error.status, error.headers["x-why"]], [403, "refused"])
    }),
  "answers 426 to a request without upgrade": ({ url }) =>
    Effect.gen(function* () {
      const { status } = yield* Effect.promise(() => fetch(url.replace(/^ws/, "http")))
      yield* equal(status, 426)
    }),
  "stays without an object if its constructor throws": ({ ask, url }) =>
    Effect.gen(function* () {
      const broken = url.replace(/\/[^/]*$/, "/broken")
      const error = yield* Effect.flip(Effect.scoped(WebSocketClient.connect(broken)))
      yield* equal([error._tag, Reflect.get(error, "status")], ["Handshake_rejected", 500])
      yield* ask("/made")
    })
}
