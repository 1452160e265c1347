/**
 * Reading against time, over TCP: whoever loses a race is interrupted, in the turn in which a message may arrive.
 * `RACES` is the number of rounds, as in `pnpm races`.
 */
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Option } from "effect"
import { Effect, Layer } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"

const rounds = Number(process.env["RACES"] ?? 1_000)

/** Time that passes while Node looks for what has arrived: the closest race. */
const oneTurn = Effect.callback<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

/** Most rounds race against one turn, every sixteenth against a timer. */
const time = (round: number) => (round % 16 === 0 ? Effect.sleep("1 millis") : oneTurn)

const loopback = Layer.merge(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" }), NodeWebSocketClient.layer)

/** One round of a way to read: what it got, and nothing where time was first. */
type Round = (
  socket: WebSocket.WebSocket,
  note: (data: string) => void,
  round: number
) => Effect.Effect<unknown, unknown>

const ways: Record<string, Round> = {
  receive: (socket, note, round) =>
    Effect.raceFirst(
      Effect.map(socket.receive, ({ data }) => note(String(data))),
      time(round)
    ),
  receiveAll: (socket, note, round) =>
    Effect.raceFirst(
      Effect.map(socket.receiveAll, (messages) => {
        for (const { data } of messages) note(String(data))
      }),
      time(round)
    ),
  receiveOption: (socket, note, round) =>
    Effect.raceFirst(
      Effect.map(socket.receiveOption, (message) => note(String(Option.getOrThrow(message).data))),
      time(round)
    ),
  receiveWith: (socket, note, round) =>
    Effect.raceFirst(
      Effect.map(socket.receiveWith({ maxMessageBytes: 16 }), ({ data }) => note(String(data))),
      time(round)
    ),
  run: (socket, note, round) =>
    Effect.raceFirst(
      socket.run(({ data }) => Effect.uninterruptible(Effect.sync(() => note(String(data))))),
      time(round)
    )
}

describe("reading in a race against time", () => {
  for (const [name, way] of Object.entries(ways)) {
    it.live(
      `${name}: every message arrives once, in order`,
      () =>
        Effect.gen(function* () {
          const { url } = yield* WebSocketServer.address
          const [client, socket] = yield* Effect.all([WebSocketClient.connect(url), WebSocketServer.accept()], {
            concurrency: 2
          })
          const got: Array<string> = []
          const note = (data: string): void => {
            got.push(data)
          }
          let sent = 0
          let won = 0
          for (let round = 0; round < rounds; round++) {
            // One or two at once, in some rounds none.
            for (let i = round % 3; i > 0; i--) yield* client.send(String(sent++))
            const { length } = got
            yield* way(socket, note, round)
            if (got.length > length) won++
          }
          while (got.length < sent) yield* Effect.map(socket.receive, ({ data }) => note(String(data)))
          assert.deepStrictEqual(
            got,
            Array.from({ length: sent }, (_, i) => String(i))
          )
          assert.isAbove(won, 0)
          assert.isBelow(won, rounds)
        }).pipe(Effect.scoped, Effect.provide(loopback)),
      600_000
    )
  }
})
