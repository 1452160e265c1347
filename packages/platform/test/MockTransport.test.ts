import * as MockTransport from "@effect-websocket/platform/MockTransport"
import type { Transport, TransportSink } from "@effect-websocket/platform/Transport"
import { Effect, Supervisor, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { deafSink, settled, spy } from "./support.js"

/** A sink that records what is reported to it. */
const recorder = () => {
  const seen: Array<string> = []
  const sink: TransportSink = {
    onChunk: (chunk, owned) => {
      assert.isTrue(owned)
      seen.push([...chunk].join(" "))
      // The chunk is owned, so a change of it must change nothing for the writer.
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

  it.effect("delays on the clock, and a shorter delay does not overtake", () =>
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

  it.effect("stalls until it is unstalled, and reports the high-water mark meanwhile", () =>
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

  it.effect("throttles on the clock, until the limit is removed", () =>
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

  it.effect("half-closes, and closes once both ends have half-closed", () =>
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

  it.effect("fails at both ends on a reset, and at the other end on an abort", () =>
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

  it.effect("fails on an abort also if both have ended, but one end is still on its way", () =>
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

  it.effect("loses everything that is written after a drop", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      yield* pair.clientToServer.drop
      pair.client.write([Uint8Array.of(1)])
      pair.client.end()
      yield* settled
      assert.deepStrictEqual(server, [])
    })
  )

  it.effect("delivers injected bytes that its writer did not write", () =>
    Effect.gen(function* () {
      const { pair, server } = yield* started
      yield* pair.clientToServer.inject(Uint8Array.of(7))
      yield* settled
      assert.deepStrictEqual(server, ["7"])
    })
  )

  it.effect("carries the two directions independently", () =>
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

  it.effect("splits waiting bytes, too, in chunks of at most the size, until the limit is removed", () =>
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

  it.effect("delivers an end after delayed and stalled bytes", () =>
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

  it.effect("delivers in the order of writing if a delay becomes shorter", () =>
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

  it.effect("keeps bytes and an end for a sink that starts later, and closes one that starts too late", () =>
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

  it.effect("loses bytes on their way at a reset, and reports nothing after onClose", () =>
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

  it.effect("does not report the abort of an end that has dropped its output", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* started
      yield* pair.clientToServer.drop
      pair.client.abort()
      yield* settled
      assert.deepStrictEqual([client, server], [["close"], []])
    })
  )

  it.effect("delivers in one direction after the other has ended", () =>
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

  it.effect("interrupts the fibers that sleep for lost bytes", () =>
    Effect.gen(function* () {
      const supervisor = yield* Supervisor.track
      const fibers = Effect.map(supervisor.value, (found) => found.length)
      const [during, after] = yield* Effect.gen(function* () {
        // Made in an uninterruptible region, as by a layer.
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

  it.effect("has every fault for both directions together", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* started
      const exchange = Effect.sync(() => {
        pair.client.write([Uint8Array.of(1, 2)])
        pair.server.write([Uint8Array.of(3, 4)])
      }).pipe(Effect.andThen(settled))
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

  it.effect("delivers at once, in order, the bytes that lifted faults held up", () =>
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
    it.effect(`resets if a drop is lifted (${direction})`, () =>
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

  it.effect("is found by each of its ends", () =>
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
  it.live("lets timers fire", () =>
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
