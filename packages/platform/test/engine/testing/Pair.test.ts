import type { TransportSink } from "@effect-websocket/platform/Transport"
import { assert, describe, it } from "@effect/vitest"
import { Pair } from "../../../src/engine/testing/Pair.js"
import { ManualClock } from "../ManualClock.js"

const turns = () => new Promise((resolve) => setImmediate(resolve))

const marks = { high: 4, low: 1 }

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

const started = (clock: Pick<ManualClock, "sleep"> = new ManualClock()) => {
  const pair = new Pair(clock)
  const client = recorder()
  const server = recorder()
  pair.client.start(client.sink, marks)
  pair.server.start(server.sink, marks)
  return { pair, client: client.seen, server: server.seen }
}

const bytes = (...values: ReadonlyArray<number>) => Uint8Array.from(values)

describe("Pair", () => {
  it("delivers copies in later turns, one chunk in each turn", async () => {
    const { pair, server } = started()
    const first = bytes(1, 2)
    assert.deepStrictEqual(pair.client.write([first, bytes(3)]), { taken: true, belowHighWater: true })
    first.fill(9)
    assert.deepStrictEqual(server, [])
    await Promise.resolve()
    assert.deepStrictEqual(server, ["1 2"])
    await Promise.resolve()
    assert.deepStrictEqual(server, ["1 2", "3"])
    assert.deepStrictEqual(pair.clientToServer.written, bytes(1, 2, 3))
  })

  it("reports congestion at the high-water mark, and a drain at the low one", async () => {
    const { client, pair } = started()
    pair.stall()
    assert.isTrue(pair.client.write([bytes(1, 2, 3)]).belowHighWater)
    assert.isFalse(pair.client.write([bytes(4)]).belowHighWater)
    assert.isFalse(pair.client.write([]).belowHighWater)
    assert.strictEqual(pair.client.bufferedBytes, 4)
    pair.clientToServer.unstall()
    await turns()
    assert.deepStrictEqual([client, pair.client.bufferedBytes], [["drain"], 0])
    assert.isTrue(pair.client.write([bytes(5)]).belowHighWater)
  })

  it("splits what waits, too", async () => {
    const { client, pair, server } = started()
    pair.client.write([bytes(1, 2, 3)])
    pair.server.write([bytes(4, 5)])
    pair.split(2)
    await turns()
    assert.deepStrictEqual([server, client], [["1 2", "3"], ["4 5"]])
    pair.split(undefined)
    pair.client.write([bytes(6, 7, 8)])
    await turns()
    assert.deepStrictEqual(server.slice(2), ["6 7 8"])
  })

  it("delays each write by the time that applied to it", async () => {
    const clock = new ManualClock()
    const { client, pair, server } = started(clock)
    pair.delay(10)
    pair.client.write([bytes(1)])
    pair.server.write([bytes(2)])
    clock.advance(5)
    pair.client.write([bytes(3)])
    clock.advance(4)
    await turns()
    assert.deepStrictEqual([client, server], [[], []])
    clock.advance(1)
    await turns()
    assert.deepStrictEqual([client, server], [["2"], ["1"]])
    clock.advance(5)
    await turns()
    assert.deepStrictEqual(server, ["1", "3"])
    pair.delay(0)
    pair.client.write([bytes(4)])
    await turns()
    assert.deepStrictEqual([server.slice(2), clock.sleeping], [["4"], 0])
  })

  it("delivers in the order of writing if a delay becomes shorter", async () => {
    const clock = new ManualClock()
    const { pair, server } = started(clock)
    for (const [time, value] of [
      [30, 1],
      [20, 2],
      [0, 3]
    ] as const) {
      pair.delay(time)
      pair.client.write([bytes(value)])
    }
    clock.advance(29)
    await turns()
    // None is earlier than its own delay, and none overtakes another.
    assert.deepStrictEqual(server, [])
    clock.advance(1)
    await turns()
    assert.deepStrictEqual(server, ["1", "2", "3"])
    assert.strictEqual(clock.sleeping, 0)
  })

  it("works with a clock that calls back before it returns", async () => {
    const slept: Array<number> = []
    const { pair, server } = started({
      sleep: (millis, wake) => {
        slept.push(millis)
        wake()
        return () => assert.fail("nothing is left to cancel")
      }
    })
    pair.delay(10)
    pair.client.write([bytes(1)])
    pair.client.write([bytes(2)])
    pair.lift()
    await turns()
    assert.deepStrictEqual(
      [slept, server],
      [
        [10, 10],
        ["1", "2"]
      ]
    )
  })

  it("throttles to a number of bytes in each second", async () => {
    const clock = new ManualClock()
    const { pair, server } = started(clock)
    pair.throttle(2)
    pair.client.write([bytes(1, 2, 3, 4, 5)])
    await turns()
    clock.advance(999)
    await turns()
    assert.deepStrictEqual([server, pair.client.bufferedBytes], [["1 2"], 3])
    clock.advance(1)
    await turns()
    assert.deepStrictEqual([server, pair.client.bufferedBytes], [["1 2", "3 4"], 1])
    pair.throttle(undefined)
    await turns()
    assert.deepStrictEqual(server, ["1 2", "3 4", "5"])
  })

  it("begins a new second with each throttle", async () => {
    const clock = new ManualClock()
    const { pair, server } = started(clock)
    pair.throttle(1)
    pair.client.write([bytes(1, 2, 3, 4, 5)])
    await turns()
    clock.advance(900)
    pair.throttle(2)
    await turns()
    clock.advance(999)
    await turns()
    assert.deepStrictEqual(server, ["1", "2 3"])
    clock.advance(1)
    await turns()
    assert.deepStrictEqual(server, ["1", "2 3", "4 5"])
    pair.lift()
    assert.strictEqual(clock.sleeping, 0)
  })

  it("refuses sizes and rates that are not positive integers", async () => {
    const { pair, server } = started()
    for (const mistake of [0, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.throws(() => pair.split(mistake), /^size must be a positive integer, but is /)
      assert.throws(() => pair.serverToClient.throttle(mistake), /^bytesPerSecond must be a positive integer, but is /)
    }
    pair.client.write([bytes(1, 2)])
    await turns()
    assert.deepStrictEqual(server, ["1 2"])
  })

  it("delivers nothing to a reader that pauses", async () => {
    const { pair, server } = started()
    pair.client.write([bytes(1), bytes(2)])
    await Promise.resolve()
    pair.server.pause()
    await turns()
    assert.deepStrictEqual([server, pair.client.bufferedBytes], [["1"], 1])
    pair.server.resume()
    await turns()
    assert.deepStrictEqual(server, ["1", "2"])
  })

  it("delivers an end behind what was written, and closes both ends after both ends", async () => {
    const { client, pair, server } = started()
    pair.client.write([bytes(1)])
    pair.clientToServer.end()
    pair.client.write([bytes(2)])
    await turns()
    assert.deepStrictEqual([client, server], [[], ["1", "eof"]])
    pair.server.end()
    await turns()
    assert.deepStrictEqual(
      [client, server],
      [
        ["eof", "close"],
        ["1", "eof", "close"]
      ]
    )
    // What an end wrote too late is in its log only.
    assert.deepStrictEqual(pair.clientToServer.written, bytes(1, 2))
  })

  it("resets the other end if one aborts, unless that one has vanished", async () => {
    for (const vanished of [false, true]) {
      const { client, pair, server } = started()
      pair.client.write([bytes(1)])
      if (vanished) pair.clientToServer.drop()
      pair.client.abort()
      assert.deepStrictEqual([client, server], [[], []])
      await turns()
      assert.deepStrictEqual([client, server], [["close"], vanished ? [] : ["error Reset", "close"]])
    }
  })

  it("loses what is written after a drop, ends included", async () => {
    const { pair, server } = started()
    pair.client.write([bytes(1)])
    pair.drop()
    pair.client.write([bytes(2)])
    pair.client.end()
    pair.clientToServer.inject(bytes(3))
    await turns()
    assert.deepStrictEqual([server, pair.client.bufferedBytes], [["1"], 0])
  })

  it("lifts every fault, and delivers at once what was held up", async () => {
    const clock = new ManualClock()
    const { pair, server } = started(clock)
    pair.throttle(1)
    pair.client.write([bytes(1, 2)])
    await turns()
    pair.stall()
    pair.split(1)
    pair.delay(1000)
    pair.client.write([bytes(3)])
    assert.strictEqual(clock.sleeping, 2)
    pair.lift()
    pair.client.write([bytes(4, 5)])
    await turns()
    assert.deepStrictEqual([server, clock.sleeping], [["1", "2", "3", "4 5"], 0])
  })

  it("resets if a direction that drops is lifted", async () => {
    for (const direction of ["clientToServer", "serverToClient"] as const) {
      const { client, pair, server } = started()
      pair[direction].drop()
      pair.lift()
      await turns()
      assert.deepStrictEqual([...client, ...server], ["error Reset", "close", "error Reset", "close"])
    }
  })

  it("keeps no sleep and no byte after a reset", async () => {
    const clock = new ManualClock()
    const { client, pair, server } = started(clock)
    pair.delay(10)
    pair.client.write([bytes(1), bytes(2)])
    assert.strictEqual(clock.sleeping, 2)
    pair.reset()
    pair.reset()
    assert.deepStrictEqual([clock.sleeping, pair.client.bufferedBytes], [0, 0])
    clock.advance(10)
    await turns()
    assert.deepStrictEqual([...client, ...server], ["error Reset", "close", "error Reset", "close"])
  })

  it("keeps what comes before a sink", async () => {
    const pair = new Pair(new ManualClock())
    pair.client.write([bytes(1)])
    pair.client.end()
    await turns()
    const { seen, sink } = recorder()
    pair.server.start(sink, marks)
    await turns()
    assert.deepStrictEqual(seen, ["1", "eof"])
  })

  it("closes a sink that comes after the end, in a later turn", async () => {
    const pair = new Pair(new ManualClock())
    pair.reset()
    const { seen, sink } = recorder()
    pair.client.start(sink, marks)
    assert.deepStrictEqual(seen, [])
    await turns()
    assert.deepStrictEqual(seen, ["close"])
  })

  it("lets timers fire while both ends answer each other without end", async () => {
    const pair = new Pair(new ManualClock())
    for (const end of [pair.client, pair.server]) {
      end.start({ ...recorder().sink, onChunk: (chunk) => void end.write([chunk]) }, marks)
    }
    pair.clientToServer.inject(bytes(1))
    await new Promise((resolve) => setTimeout(resolve, 0))
    pair.reset()
  })
})
