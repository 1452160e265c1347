/** How much a peer may send per time. */
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { Effect, Fiber, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { alone, close, isDefect, isPending, settled, text } from "./support.js"

const joined = (receiveRate: WebSocket.ReceiveRate) =>
  Effect.gen(function* () {
    const pair = yield* MockTransport.make()
    const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
    const server = yield* WebSocket.fromTransport(pair.server, { role: "server", receiveRate })
    const data: Array<unknown> = []
    const running = yield* Effect.forkChild(server.run((message) => void data.push(message.data)))
    return { client, server, data, running }
  })

describe("receiveRate", () => {
  it.effect("suspends reading until the rate is kept, and loses nothing", () =>
    Effect.gen(function* () {
      const { client, data } = yield* joined({ messages: 2, interval: "2 seconds" })
      for (let n = 1; n <= 5; n++) {
        yield* client.send(String(n))
        yield* settled
      }
      // The one that was too much has been read, and those behind it wait.
      assert.deepStrictEqual(data, ["1", "2", "3"])
      yield* TestClock.adjust("999 millis")
      yield* settled
      assert.deepStrictEqual(data, ["1", "2", "3"])
      yield* TestClock.adjust("1 millis")
      yield* settled
      // Each of these was too much in its turn.
      assert.deepStrictEqual(data, ["1", "2", "3", "4"])
      yield* TestClock.adjust("1 seconds")
      yield* settled
      assert.deepStrictEqual(data, ["1", "2", "3", "4", "5"])
    })
  )

  it.effect("never stops data within the rate", () =>
    Effect.gen(function* () {
      const { client, data } = yield* joined({ messages: 1, interval: "1 seconds", strategy: "close" })
      for (let n = 1; n <= 20; n++) {
        yield* client.send(String(n))
        yield* settled
        yield* TestClock.adjust("1 seconds")
      }
      assert.lengthOf(data, 20)
    })
  )

  it.effect("closes with 1008, behind the messages that were sent before", () =>
    Effect.gen(function* () {
      const { client, data, running } = yield* joined({ bytes: 20, interval: "1 seconds", strategy: "close" })
      yield* client.send("12345678")
      yield* settled
      yield* client.send("12345678")
      const { received } = yield* client.closeStatus
      assert.deepStrictEqual(received, { code: 1008, reason: "too much per time" })
      yield* Fiber.join(running)
      assert.deepStrictEqual(data, ["12345678", "12345678"])
    })
  )

  it.effect("holds up no closing while it suspends", () =>
    Effect.gen(function* () {
      const { client, server } = yield* joined({ messages: 1, interval: "1 hours" })
      yield* client.send("1")
      yield* settled
      yield* client.send("2")
      yield* settled
      const closing = yield* Effect.forkChild(server.close())
      assert.isFalse(yield* isPending(closing))
      assert.isTrue((yield* client.closeStatus).clean)
    })
  )

  it.effect("holds up no Close behind data that arrives while it closes", () =>
    Effect.gen(function* () {
      const { inject, pair, socket } = yield* alone("server", { receiveRate: { bytes: 20, interval: "1 hours" } })
      yield* Effect.forkChild(socket.run(() => {}))
      const closing = yield* Effect.forkChild(socket.close())
      yield* settled
      for (let n = 0; n < 3; n++) {
        yield* inject(text("too much"))
        yield* settled
      }
      yield* inject(close(1000))
      yield* settled
      yield* pair.clientToServer.end
      yield* Fiber.join(closing)
      assert.isTrue((yield* socket.closeStatus).clean)
    })
  )

  it.effect("is a defect if it makes no sense", () =>
    Effect.gen(function* () {
      for (const rate of [
        { interval: 0 },
        { interval: "1 seconds", messages: 0 },
        { interval: "1 seconds", bytes: 1.5 },
        { interval: "1 seconds", strategy: "drop" }
      ]) {
        // As an option that comes from elsewhere.
        assert.isTrue(
          isDefect(yield* Effect.exit(Effect.scoped(alone("server", { receiveRate: rate as WebSocket.ReceiveRate }))))
        )
      }
    })
  )
})
