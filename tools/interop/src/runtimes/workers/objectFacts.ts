/** What differs between the connections of a Durable Object and those of a server, seen by clients on Node. */
import { WebSocketClient } from "@effect-websocket/platform"
import { Effect } from "effect"
import { codesSent, overflowing, pinged, pouring, tooLarge, unanswered, type Connect } from "./observing.js"
import { expected, type Fact } from "./trying.js"

const connect: Connect = ({ url }, name) =>
  Effect.tap(WebSocketClient.connect(`${url}?name=${name}`), (socket) => expected(socket, "welcome"))

export const objectFacts: Readonly<Record<string, Fact>> = {
  "a ping of the client": (place) =>
    Effect.gen(function* () {
      const socket = yield* connect(place, "pinging")
      yield* place.ask("/sleep")
      const before = yield* place.ask("/made")
      const outcome = yield* pinged(socket)
      return `${outcome}; the object ${(yield* place.ask("/made")) === before ? "sleeps on" : "wakes"}`
    }),
  "a message above `limits.maxMessageBytes`": tooLarge,
  "a client that sends more than the handler reads": (place) =>
    Effect.gen(function* () {
      const outcome = yield* overflowing(place, connect, "!wait")
      yield* Effect.flatMap(connect(place, "releasing"), (socket) => socket.send("!release"))
      return outcome
    }),
  "`send` to a client that does not read": (place) => pouring(place, connect),
  "`close` with 1000, 1001, 1008, 1011, 4321: the code that is sent": (place) => codesSent(place, connect),
  ...unanswered
}
