import { assert, describe, it } from "@effect/vitest"
import { rateOf, toRows } from "../src/rows.js"
import { mean, median, quantile } from "../src/statistics.js"
import { sample, samples } from "./results.js"

describe("toRows", () => {
  it("divides the means of all rounds", () => {
    const all = [samples("run", [1, 3]), samples("ws", [10, 30]), samples("raw net", [0.5, 1.5])]
    const [run, ws] = toRows("b", "24", all)
    assert.strictEqual(run?.toBaseline, 0.1)
    assert.strictEqual(run?.toFloor, 2)
    assert.strictEqual(run?.toBun, null)
    assert.strictEqual(ws?.toBaseline, 1)
    assert.deepStrictEqual(run?.targets, [{ wanted: "≤ 0.16", ratio: 0.1, holds: true }])
  })

  it("compares odd with even rounds", () => {
    const all = [samples("run", [1, 3, 1, 3]), samples("ws", [4, 4, 4, 4])]
    const [run, ws] = toRows("a", "24", all)
    assert.strictEqual(run?.toBaseline, 0.5)
    // 0.25 and 0.75.
    assert.strictEqual(run?.noise, 1)
    assert.strictEqual(ws?.noise, null)
  })

  it("compares with run on the same version of Effect", () => {
    const all = [samples("run", [1]), samples("messages", [1.1]), samples("run on Effect 3", [2]), samples("ws", [1])]
    const messages = toRows("a", "24", all).find(({ subject }) => subject === "messages")
    assert.deepStrictEqual(messages?.targets, [
      { wanted: "≤ 1.15", ratio: 1.1, holds: true },
      { wanted: "≤ 1.2 of run", ratio: 1.1, holds: true }
    ])
  })

  it("shows the latencies at half load", () => {
    const [run, ws] = toRows("a", "24", [samples("run", [1], [1, 2, 3]), samples("ws", [1])])
    assert.deepInclude(run?.latency, { p50: 2, max: 3 })
    assert.strictEqual(ws?.latency, null)
  })

  it("counts busy cores and messages per second", () => {
    const [run] = toRows("a", "24", [samples("run", [50, 150])])
    assert.strictEqual(run?.busy, 1)
    assert.strictEqual(run?.loadBusy, 0.5)
    assert.strictEqual(run?.rate, 10_000)
    assert.strictEqual(rateOf([sample(1)]), 10_000)
  })
})

describe("statistics", () => {
  it("interpolates between values, and takes means", () => {
    assert.strictEqual(quantile([4, 1, 3, 2], 0.5), 2.5)
    assert.strictEqual(quantile([1, 2], 1), 2)
    assert.isNaN(quantile([], 0.5))
    assert.strictEqual(median([3, 1, 2]), 2)
    assert.strictEqual(mean([1, 2, 6]), 3)
  })
})
