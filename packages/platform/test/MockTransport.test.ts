import * as MockTransport from "@effect-websocket/platform/MockTransport"
import type { Transport, TransportSink } from "@effect-websocket/platform/Transport"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Supervisor, TestClock } from "effect"
import { deafSink, settled, spy } from "./support.js"

/** A sink that records what it is told. */
const recorder = () => {
  const seen: Array<string> = []
  const sink: TransportSink = {
    onChunk: (chunk, owned) => {
      assert.isTrue(owned)
      seen.push([...chunk].join(" "))
      // Owned, so changing it must change nothing for the writer.
      chunk.fill(0)
    },
    onEof: () => seen.push("eof"),
    onDrain: () => seen.push("drain"),
    onError: (error) => seen.push(`error ${error.reason}`),
    onClose: () => seen.push("close")
  }
  return { seen, sink }
}

const started = Effect.gen(function* () {
  const pair = yield* MockTransport.make()
  const client = recorder()
  const server = recorder()
  pair.client.start(client.sink, { high: 4, low: 1 })
  pair.server.start(server.sink, { high: 4, low: 1 })
  return { pair, client: client.seen, server: server.seen }
})

describe("a pair", () => {
  it.effect("carries copies of the bytes, in order", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      const bytes = Uint8Array.of(1, 2)
      assert.deepStrictEqual(pair.client.write([bytes, Uint8Array.of(3)]), { taken: true, belowHighWater: true })
      assert.deepStrictEqual(server, [])
      bytes.fill(9)
      yield* settled
      assert.deepStrictEqual(server, ["1 2", "3"])
      assert.deepStrictEqual([...(yield* pair.clientToServer.written)], [1, 2, 3])
    })
  )

  it.effect("splits", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      yield* pair.clientToServer.split(1)
      pair.client.write([Uint8Array.of(1, 2, 3)])
      yield* settled
      assert.deepStrictEqual(server, ["1", "2", "3"])
    })
  )

  it.effect("delays on the clock, and a shorter delay overtakes nothing", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      yield* pair.clientToServer.delay("10 millis")
      pair.client.write([Uint8Array.of(1)])
      yield* pair.clientToServer.delay(0)
      pair.client.write([Uint8Array.of(2)])
      yield* TestClock.adjust("9 millis")
      yield* settled
      assert.isBelow(server.length, 2)
      assert.notInclude(server, "2")
      yield* TestClock.adjust("1 millis")
      yield* settled
      assert.deepStrictEqual(server, ["1", "2"])
    })
  )

  it.effect("stalls until it is unstalled, and tells the writer to wait meanwhile", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* started
      yield* pair.clientToServer.stall
      assert.isTrue(pair.client.write([Uint8Array.of(1, 2, 3)]).belowHighWater)
      assert.isFalse(pair.client.write([Uint8Array.of(4)]).belowHighWater)
      yield* settled
      assert.deepStrictEqual([server, client, pair.client.bufferedBytes], [[], [], 4])
      yield* pair.clientToServer.unstall
      yield* settled
      assert.deepStrictEqual([server, client, pair.client.bufferedBytes], [["1 2 3", "4"], ["drain"], 0])
    })
  )

  it.effect("throttles on the clock, until that is lifted", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* started
      yield* pair.throttle(2)
      pair.client.write([Uint8Array.of(1, 2, 3, 4, 5, 6, 7)])
      yield* settled
      assert.deepStrictEqual([server, pair.client.bufferedBytes], [["1 2"], 5])
      yield* TestClock.adjust("999 millis")
      yield* settled
      assert.deepStrictEqual(server, ["1 2"])
      yield* TestClock.adjust("1 millis")
      yield* settled
      assert.deepStrictEqual([server, client, pair.client.bufferedBytes], [["1 2", "3 4"], [], 3])
      yield* TestClock.adjust("1 seconds")
      yield* settled
      assert.deepStrictEqual([server, client], [["1 2", "3 4", "5 6"], ["drain"]])
      yield* pair.throttle(undefined)
      yield* settled
      assert.deepStrictEqual(server, ["1 2", "3 4", "5 6", "7"])
    })
  )

  it.effect("waits for a reader that pauses", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      pair.server.pause()
      pair.client.write([Uint8Array.of(1)])
      yield* settled
      assert.deepStrictEqual(server, [])
      pair.server.resume()
      yield* settled
      assert.deepStrictEqual(server, ["1"])
    })
  )

  it.effect("half-closes, and is over once both ends have", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* started
      pair.client.write([Uint8Array.of(1)])
      pair.client.end()
      yield* settled
      assert.deepStrictEqual([client, server], [[], ["1", "eof"]])
      pair.server.write([Uint8Array.of(2)])
      pair.server.end()
      yield* settled
      assert.deepStrictEqual(
        [client, server],
        [
          ["2", "eof", "close"],
          ["1", "eof", "close"]
        ]
      )
    })
  )

  it.effect("breaks at both ends on a reset, and at the other one on an abort", () =>
    Effect.gen(function* () {
      const first = yield* started
      yield* first.pair.reset
      yield* settled
      assert.deepStrictEqual(first.client, ["error Reset", "close"])
      assert.deepStrictEqual(first.server, ["error Reset", "close"])
      const second = yield* started
      second.pair.client.abort()
      yield* settled
      assert.deepStrictEqual(second.client, ["close"])
      assert.deepStrictEqual(second.server, ["error Reset", "close"])
    })
  )

  it.effect("breaks on an abort also where both have ended, but one end is still on its way", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* started
      pair.server.end()
      yield* settled
      pair.client.end()
      pair.client.abort()
      yield* settled
      assert.deepStrictEqual(
        [client, server],
        [
          ["eof", "close"],
          ["error Reset", "close"]
        ]
      )
    })
  )

  it.effect("loses what is written to one that vanished", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      yield* pair.clientToServer.drop
      pair.client.write([Uint8Array.of(1)])
      pair.client.end()
      yield* settled
      assert.deepStrictEqual(server, [])
    })
  )

  it.effect("takes bytes that its writer never wrote", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      yield* pair.clientToServer.inject(Uint8Array.of(7))
      yield* settled
      assert.deepStrictEqual(server, ["7"])
    })
  )

  it.effect("carries both ways independently", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* started
      yield* pair.clientToServer.stall
      yield* pair.serverToClient.split(1)
      pair.client.write([Uint8Array.of(1, 2)])
      pair.server.write([Uint8Array.of(3, 4)])
      yield* settled
      assert.deepStrictEqual([client, server], [["3", "4"], []])
      assert.deepStrictEqual([...(yield* pair.serverToClient.written)], [3, 4])
    })
  )

  it.effect("splits what waits as well, in chunks of at most the size, until it is lifted", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      yield* pair.clientToServer.stall
      pair.client.write([Uint8Array.of(1, 2, 3, 4, 5), Uint8Array.of(6)])
      yield* pair.clientToServer.split(2)
      yield* pair.clientToServer.unstall
      yield* settled
      yield* pair.clientToServer.split(undefined)
      pair.client.write([Uint8Array.of(7, 8, 9)])
      yield* settled
      assert.deepStrictEqual(server, ["1 2", "3 4", "5", "6", "7 8 9"])
    })
  )

  it.effect("ends behind what is delayed or stalled", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      yield* pair.clientToServer.delay("10 millis")
      pair.client.write([Uint8Array.of(1)])
      yield* pair.clientToServer.end
      pair.client.write([Uint8Array.of(2)])
      yield* TestClock.adjust("9 millis")
      yield* settled
      assert.deepStrictEqual(server, [])
      yield* pair.clientToServer.stall
      yield* TestClock.adjust("1 millis")
      yield* settled
      assert.deepStrictEqual(server, [])
      yield* pair.clientToServer.unstall
      yield* settled
      assert.deepStrictEqual(server, ["1", "eof"])
    })
  )

  it.effect("delivers in the order of writing when a delay shrinks", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      for (const [value, delay] of [
        [1, 30],
        [2, 20],
        [3, 10],
        [4, 0]
      ] as const) {
        yield* pair.clientToServer.delay(delay)
        pair.client.write([Uint8Array.of(value)])
      }
      for (let i = 0; i < 30; i++) {
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(server, ["1", "2", "3", "4"].slice(0, server.length))
      }
      yield* settled
      assert.deepStrictEqual(server, ["1", "2", "3", "4"])
    })
  )

  it.effect("keeps what came before a sink, and what it tells one that comes too late", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      pair.client.write([Uint8Array.of(1)])
      pair.client.end()
      yield* settled
      const late = recorder()
      pair.server.start(late.sink, { high: 4, low: 1 })
      yield* settled
      assert.deepStrictEqual(late.seen, ["1", "eof"])

      const broken = yield* MockTransport.make()
      yield* broken.reset
      const { seen, sink } = recorder()
      broken.client.start(sink, { high: 4, low: 1 })
      assert.deepStrictEqual(seen, [])
      yield* settled
      assert.deepStrictEqual(seen, ["close"])
    })
  )

  it.effect("loses what was on its way when it breaks, and says nothing after onClose", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* started
      yield* pair.clientToServer.delay("10 millis")
      pair.client.write([Uint8Array.of(1, 2, 3, 4, 5)])
      yield* pair.reset
      yield* pair.reset
      pair.client.write([Uint8Array.of(6)])
      pair.client.abort()
      pair.client.end()
      yield* TestClock.adjust("10 millis")
      yield* settled
      assert.deepStrictEqual(
        [client, server, pair.client.bufferedBytes],
        [["error Reset", "close"], ["error Reset", "close"], 0]
      )
    })
  )

  it.effect("lets one that vanished go without the other noticing", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* started
      yield* pair.clientToServer.drop
      pair.client.abort()
      yield* settled
      assert.deepStrictEqual([client, server], [["close"], []])
    })
  )

  it.effect("carries on one way after the other has ended", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* started
      yield* pair.serverToClient.end
      yield* settled
      pair.client.write([Uint8Array.of(1)])
      yield* settled
      assert.deepStrictEqual([client, server], [["eof"], ["1"]])
    })
  )

  it.effect("injects a copy", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      const bytes = Uint8Array.of(1)
      yield* pair.clientToServer.inject(bytes)
      bytes[0] = 2
      yield* settled
      assert.deepStrictEqual(server, ["1"])
      assert.strictEqual(bytes[0], 2)
    })
  )

  it.effect("leaves no fiber behind that sleeps for what is lost", () =>
    Effect.gen(function* () {
      const supervisor = yield* Supervisor.track
      const fibers = Effect.map(supervisor.value, (found) => found.length)
      const [during, after] = yield* Effect.gen(function* () {
        // Made where nothing can be interrupted, as by a layer.
        const { pair } = yield* Effect.uninterruptible(started)
        yield* pair.clientToServer.delay("1 hours")
        pair.client.write([Uint8Array.of(1), Uint8Array.of(2)])
        yield* settled
        const sleeping = yield* fibers
        yield* pair.reset
        yield* settled
        return [sleeping, yield* fibers] as const
      }).pipe(Effect.supervised(supervisor))
      // One for each chunk, besides what the test clock has itself.
      assert.isAtLeast(during, 2)
      assert.strictEqual(after, 0)
    })
  )

  it.effect("has every fault for both directions at once", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* started
      const exchange = Effect.sync(() => {
        pair.client.write([Uint8Array.of(1, 2)])
        pair.server.write([Uint8Array.of(3, 4)])
      }).pipe(Effect.zipRight(settled))
      const seen = Effect.sync(() => [client.splice(0), server.splice(0)])

      yield* pair.split(1)
      yield* exchange
      assert.deepStrictEqual(yield* seen, [
        ["3", "4"],
        ["1", "2"]
      ])
      yield* pair.split(undefined)

      yield* pair.stall
      yield* exchange
      assert.deepStrictEqual(yield* seen, [[], []])
      yield* pair.unstall
      yield* settled
      assert.deepStrictEqual(yield* seen, [["3 4"], ["1 2"]])

      yield* pair.delay("1 seconds")
      yield* exchange
      assert.deepStrictEqual(yield* seen, [[], []])
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(yield* seen, [["3 4"], ["1 2"]])
      yield* pair.delay(0)

      yield* pair.drop
      yield* exchange
      assert.deepStrictEqual(yield* seen, [[], []])
    })
  )

  it.effect("delivers at once, in order, what the faults that are lifted held up", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      yield* pair.stall
      pair.client.write([Uint8Array.of(1, 2)])
      yield* pair.delay("1 hours")
      pair.client.write([Uint8Array.of(3)])
      yield* pair.split(1)
      yield* settled
      assert.deepStrictEqual(server, [])
      yield* pair.lift
      pair.client.write([Uint8Array.of(4, 5)])
      yield* settled
      assert.deepStrictEqual(server, ["1 2", "3", "4 5"])
      // Nothing comes twice.
      yield* TestClock.adjust("1 hours")
      assert.deepStrictEqual(server, ["1 2", "3", "4 5"])
    })
  )

  for (const direction of ["clientToServer", "serverToClient"] as const) {
    it.effect(`resets when a loss is lifted (${direction})`, () =>
      Effect.gen(function* () {
        const { client, pair, server } = yield* started
        yield* pair[direction].drop
        yield* pair.lift
        yield* settled
        assert.deepStrictEqual(
          [client, server],
          [
            ["error Reset", "close"],
            ["error Reset", "close"]
          ]
        )
      })
    )
  }

  it.effect("is found by either of its ends", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const { pair: another } = yield* started
      assert.strictEqual(MockTransport.pairOf(pair.client), pair)
      assert.strictEqual(MockTransport.pairOf(pair.server), pair)
      assert.notStrictEqual(MockTransport.pairOf(another.client), pair)
      assert.isUndefined(MockTransport.pairOf(spy(pair.client).transport))
    })
  )
})

describe("an exchange without end", () => {
  it.live("lets other things have their turns", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const answer = (transport: Transport) =>
        transport.start({ ...deafSink, onChunk: (chunk) => void transport.write([chunk]) }, { high: 65536, low: 0 })
      answer(pair.client)
      answer(pair.server)
      yield* pair.clientToServer.inject(Uint8Array.of(1))
      yield* Effect.sleep(0)
      yield* pair.reset
    })
  )
})
