/** An interruption at every operation of every way to send: a message is sent whole or not at all, and nothing waits for ever. */
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { Effect, Fiber, Stream } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { forEachOperation } from "../operations.js"
import { interruptedAt } from "../scheduling.js"
import { settled } from "../support.js"

const ways: Record<string, (socket: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>> = {
  send: (socket) => socket.send("mine"),
  sendAll: (socket) => socket.sendAll(["mine"]),
  sendStream: (socket) => socket.sendStream(Stream.make("mine")),
  broadcast: (socket) => WebSocket.broadcast([socket], "mine"),
  ping: (socket) => socket.ping()
}

/** What the peer gets when a `send` that had to wait is interrupted before its `k`-th operation. */
const trial = (
  way: (socket: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>,
  k: number,
  onInterrupt: () => void
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const socket = yield* WebSocket.fromTransport(pair.server, {
        role: "server",
        sendHighWaterMark: 100,
        sendLowWaterMark: 1
      })
      yield* pair.serverToClient.stall
      // No room is left, so all that follows has to wait.
      const first = yield* Effect.forkChild(socket.send("x".repeat(200)))
      yield* settled
      const sending = yield* Effect.forkChild(interruptedAt(k, way(socket), { onInterrupt }))
      yield* settled
      yield* Fiber.interruptFork(sending)
      yield* settled
      const peer = yield* WebSocket.fromTransport(pair.client, { role: "client" })
      yield* pair.serverToClient.unstall
      yield* Fiber.await(first)
      const last = yield* Effect.forkChild(socket.send("last"))
      const got: Array<string> = []
      while (got.at(-1) !== "last") got.push(String((yield* peer.receive).data))
      yield* Fiber.await(last)
      yield* peer.abort
      return got.slice(1, -1)
    })
  )

describe("an interruption at each operation of a send that waits", () => {
  for (const [name, way] of Object.entries(ways)) {
    it.live(
      `${name} leaves the message whole or not sent, and the connection usable`,
      () =>
        forEachOperation(64, (k, reached) =>
          Effect.map(trial(way, k, reached), (got) =>
            assert.deepStrictEqual(got, [], `interrupted before operation ${k}`)
          )
        ),
      600_000
    )
  }
})
