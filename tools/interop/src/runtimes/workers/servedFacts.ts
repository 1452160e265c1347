/** What differs between a server in Workers and one on Node, seen by clients on Node. The server is in `program.ts`. */
import { WebSocketClient } from "@effect-websocket/platform"
import { Effect } from "effect"
import { errorWords, together } from "../observe.js"
import { codesSent, overflowing, pinged, pouring, tooLarge, unanswered, type Connect } from "./observing.js"
import type { Fact, Place } from "./trying.js"

const connect: Connect = ({ url }, name) => WebSocketClient.connect(`${url}?name=${name}`)

/** What the server answers to each command. */
const answers = (place: Place, commands: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const socket = yield* connect(place, "asking")
    yield* socket.sendAll(commands)
    const received = yield* Effect.forEach(commands, () => socket.receive)
    return received.map(({ data }) => String(data))
  })

export const servedFacts: Readonly<Record<string, Fact>> = {
  "`ping`, `pong`, `sendStream`": (place) =>
    Effect.map(answers(place, ["!try ping", "!try pong", "!try sendStream"]), (answers) =>
      together(answers.map((answer) => (answer === "yes" ? answer : errorWords({ _tag: answer }))))
    ),
  'routes with the delivery `"streams"` or `"frames"`': ({ url }) =>
    Effect.map(
      Effect.forEach(["streams", "frames"], (delivery) =>
        WebSocketClient.connect(url.replace("/served", `/${delivery}`)).pipe(
          Effect.as("connect"),
          Effect.catchTag("Handshake_rejected", ({ status }) => Effect.succeed(`answer ${status}`)),
          Effect.scoped
        )
      ),
      together
    ),
  "`remoteAddress`": (place) =>
    Effect.map(answers(place, ["!address"]), ([address]) => (address === "undefined" ? "not known" : "known")),
  "a ping of the client": (place) => Effect.flatMap(connect(place, "pinging"), pinged),
  "a message above `limits.maxMessageBytes`": tooLarge,
  "a client that sends more than the handler reads": (place) => overflowing(place, connect, "!sleep 1500"),
  "`send` to a client that does not read": (place) => pouring(place, connect),
  "`close` with 1000, 1001, 1008, 1011, 4321: the code that is sent": (place) => codesSent(place, connect),
  ...unanswered
}
