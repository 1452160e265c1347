/** A second reader that begins wherever the first one yields: one of them is told, and the other reads everything. */
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Message } from "@effect-websocket/protocol/Message"
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import { Option } from "effect"
import { Effect, Fiber, Stream } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { forEachOperation } from "../operations.js"
import { yieldingOnce } from "../scheduling.js"
import { alone, close, isDefect, isPending, settled, text } from "../support.js"

type Note = (message: Message) => void
type Read = (socket: WebSocket.WebSocket, note: Note) => Effect.Effect<unknown, ConnectionError>

const ways: Record<string, Read> = {
  receive: (socket, note) => Effect.forever(Effect.map(socket.receive, note)),
  receiveOption: (socket, note) => Effect.forever(Effect.map(socket.receiveOption, Option.map(note))),
  receiveWith: (socket, note) => Effect.forever(Effect.map(socket.receiveWith({ maxMessageBytes: 1 }), note)),
  receiveAll: (socket, note) =>
    Effect.forever(
      Effect.map(socket.receiveAll, (messages) => {
        for (const message of messages) note(message)
      })
    ),
  messages: (socket, note) => Stream.runForEach(socket.messages, (message) => Effect.sync(() => note(message))),
  run: (socket, note) => socket.run(note)
}

describe("a second reader at each operation of the first", () => {
  for (const [first, read] of Object.entries(ways)) {
    for (const [second, readToo] of Object.entries(ways)) {
      it.effect(`${second} beside ${first}: one of them is a defect, and the other reads everything`, () =>
        forEachOperation(32, (k, reached) =>
          Effect.gen(function* () {
            const { inject, socket } = yield* alone("server")
            const seen: Array<string> = []
            const note = ({ data }: Message): void => void seen.push(String(data))
            let other: Fiber.Fiber<unknown, ConnectionError> | undefined
            const scheduler = yieldingOnce(k, () => {
              reached()
              other ??= Effect.runFork(readToo(socket, note))
            })
            const reading = yield* Effect.forkChild(Effect.withScheduler(read(socket, note), scheduler))
            yield* settled
            yield* inject(text("a"))
            yield* inject(text("b"), text("c"))
            yield* settled
            other ??= Effect.runFork(readToo(socket, note))
            yield* inject(close(4000))
            assert.isFalse(yield* isPending(reading), `${first} waits for ever, yielding before operation ${k}`)
            assert.isFalse(yield* isPending(other), `${second} waits for ever, yielding before operation ${k}`)
            const defects = [yield* Fiber.await(reading), yield* Fiber.await(other)].filter(isDefect)
            assert.lengthOf(defects, 1, `yielding before operation ${k}`)
            // A reader that has taken a message may yield before it notes it.
            assert.deepStrictEqual(seen.sort(), ["a", "b", "c"], `yielding before operation ${k}`)
          })
        )
      )
    }
  }
})
