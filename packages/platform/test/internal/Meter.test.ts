import { Effect, Metric } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { runtime } from "../../src/internal/effect.js"
import type { Instrument } from "../../src/internal/instruments.js"
import { Meter } from "../../src/internal/Meter.js"

const instrument = (type: Instrument["type"], name: string): Instrument => ({
  type,
  name: `meter.${name}`,
  unit: "s",
  description: name,
  attributes: ["websocket.role"],
  ...(type === "histogram" ? { boundaries: [1, 2] } : {})
})

const client = { "websocket.role": "client" } as const
const server = { "websocket.role": "server" } as const

describe("Meter", () => {
  it.effect("adds to counters and histograms, a series for each set of attributes", () =>
    Effect.gen(function* () {
      const services = yield* runtime<never>()
      const meter = new Meter(services)
      const counter = instrument("counter", "counter")
      meter.record(counter, client, 2)
      meter.record(counter, client, 3)
      meter.record(counter, server, 1)
      // A counter never goes back.
      meter.record(counter, server, -1)
      const histogram = instrument("histogram", "histogram")
      meter.record(histogram, {}, 1.5)
      new Meter(services).record(histogram, {}, 0.5)
      assert.deepStrictEqual(Object.fromEntries(yield* Metric.numbersOf("meter.")), {
        "meter.counter{websocket.role=client}": 5,
        "meter.counter{websocket.role=server}": 1,
        "meter.histogram{}": 2
      })
    })
  )

  it.effect("shares gauges with other meters, and takes its own part back", () =>
    Effect.gen(function* () {
      const services = yield* runtime<never>()
      const gauge = instrument("gauge", "level")
      const value = Effect.map(Metric.numbersOf("meter.level"), (numbers) => [...numbers.values()])
      const [first, second] = [new Meter(services), new Meter(services)]
      first.set(gauge, client, 5)
      second.set(gauge, client, 2)
      first.set(gauge, client, 3)
      assert.deepStrictEqual(yield* value, [5])
      first.end()
      assert.deepStrictEqual(yield* value, [2])
      second.end()
      second.end()
      assert.deepStrictEqual(yield* value, [0])
    })
  )
})
