import * as MockTransport from "@effect-websocket/platform/MockTransport"
import type { Transport } from "@effect-websocket/platform/Transport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"

const payload = (size: number) => new Uint8Array(size)

/** Gives everything that is ready to run a turn. */
const settled = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

const connected = (options?: WebSocket.Options) =>
  Effect.gen(function* () {
    const pair = yield* MockTransport.make()
    const client = yield* WebSocket.fromTransport(pair.client, { role: "client", ...options })
    const server = yield* WebSocket.fromTransport(pair.server, { role: "server", ...options })
    return { pair, client, server }
  })

/** A transport that counts its writes. */
const counting = (transport: Transport) => {
  const writes: Array<number> = []
  const counted: Transport = {
    remoteAddress: undefined,
    get bufferedBytes() {
      return transport.bufferedBytes
    },
    start: (sink, marks) => transport.start(sink, marks),
    pause: () => transport.pause(),
    resume: () => transport.resume(),
    write: (chunks) => {
      writes.push(chunks.length)
      return transport.write(chunks)
    },
    end: () => transport.end(),
    abort: () => transport.abort()
  }
  return { counted, writes }
}

describe("send", () => {
  it.scoped("suspends 10,000 senders of 64 KiB while the peer does not read, and holds a bounded part of it", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* connected()
      yield* pair.clientToServer.stall
      const data = payload(64 * 1024)
      const sending = yield* Effect.fork(
        Effect.forEach(Array.from({ length: 10_000 }), () => client.send(data), { concurrency: "unbounded" })
      )
      yield* settled
      assert.isBelow(yield* client.bufferedBytes, 256 * 1024)
      assert.strictEqual((yield* Fiber.poll(sending))._tag, "None")
      yield* Fiber.interrupt(sending)
      // What was not sent before the interruption is not sent after it.
      yield* pair.clientToServer.unstall
      yield* client.send("last")
      const received = yield* Stream.runCollect(Stream.takeUntil(server.messages, ({ data }) => data === "last"))
      assert.isBelow(received.length, 5)
    })
  )

  it.scoped("keeps the order of senders that wait", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* connected({ sendHighWaterMark: 100, sendLowWaterMark: 10 })
      yield* pair.clientToServer.stall
      const texts = Array.from({ length: 50 }, (_, i) => `${i} ${"x".repeat(40)}`)
      const sending = yield* Effect.fork(
        Effect.forEach(texts, (text) => client.send(text), { concurrency: "unbounded" })
      )
      yield* settled
      yield* pair.clientToServer.unstall
      const received = yield* Effect.forEach(texts, () => server.receive)
      assert.deepStrictEqual(
        received.map(({ data }) => data),
        texts
      )
      yield* Fiber.join(sending)
    })
  )

  it.scoped("writes once for all that is sent in one turn, and once for the replies to one read", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const { counted: clientTransport, writes: clientWrites } = counting(pair.client)
      const { counted: serverTransport, writes: serverWrites } = counting(pair.server)
      const client = yield* WebSocket.fromTransport(clientTransport, { role: "client" })
      const server = yield* WebSocket.fromTransport(serverTransport, { role: "server" })
      yield* Effect.forkScoped(server.run((message) => server.send(message)))
      yield* Effect.forEach(Array.from({ length: 16 }), (_, i) => client.send(`${i}`))
      yield* Effect.forEach(Array.from({ length: 16 }), () => client.receive)
      assert.deepStrictEqual(clientWrites, [1])
      assert.deepStrictEqual(serverWrites, [1])
    })
  )
})

describe("a reader that stops", () => {
  it.scoped("pauses the transport, so that the sender waits, and loses nothing", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      const count = 100
      const sending = yield* Effect.fork(
        Effect.forEach(Array.from({ length: count }), (_, i) => client.send(payload(16 * 1024).fill(i)))
      )
      yield* settled
      assert.strictEqual((yield* Fiber.poll(sending))._tag, "None")
      assert.isAtLeast(yield* client.bufferedBytes, 16 * 1024)
      const received = yield* Stream.runCollect(Stream.take(server.messages, count))
      assert.deepStrictEqual(
        Array.from(received, ({ data }) => data[0]),
        Array.from({ length: count }, (_, i) => i)
      )
      yield* Fiber.join(sending)
    })
  )

  it.scoped("of the three ways to read may be followed by another", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      for (const text of ["a", "b", "c"]) yield* client.send(text)
      assert.strictEqual((yield* server.receive).data, "a")
      const seen: Array<unknown> = []
      const reading = yield* Effect.fork(server.run(({ data }) => void seen.push(data)))
      yield* settled
      yield* Fiber.interrupt(reading)
      assert.deepStrictEqual(seen, ["b", "c"])
      yield* client.send("d")
      yield* client.close()
      assert.deepStrictEqual(
        Array.from(yield* Stream.runCollect(server.messages), ({ data }) => data),
        ["d"]
      )
    })
  )
})
