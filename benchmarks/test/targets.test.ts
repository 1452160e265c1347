import { assert, describe, it } from "@effect/vitest"
import { judge, type Measured } from "../src/targets.js"

const run: Measured = {
  node: "24",
  case: "b",
  subject: "run",
  toBaseline: 0.16,
  toRun: 1,
  floorToBaseline: 0.06
}

const holds = (measured: Partial<Measured>) => judge({ ...run, ...measured }).map(({ holds }) => holds)
const wanted = (measured: Partial<Measured>) => judge({ ...run, ...measured }).map(({ wanted }) => wanted)

describe("judge", () => {
  it("compares the ratio to ws as it is printed", () => {
    assert.deepStrictEqual(holds({ toBaseline: 0.1649 }), [true])
    assert.deepStrictEqual(holds({ toBaseline: 0.1651 }), [false])
  })

  it("has a target for each version of Node", () => {
    assert.deepStrictEqual(wanted({}), ["≤ 0.16"])
    assert.deepStrictEqual(wanted({ node: "26" }), ["≤ 0.14"])
    assert.deepStrictEqual(wanted({ node: "20" }), [])
  })

  it("uses the floor times 1.15 if the target is below that", () => {
    assert.deepStrictEqual(wanted({ floorToBaseline: 0.15 }), ["≤ 0.17 (raw × 1.15)"])
    assert.deepStrictEqual(holds({ floorToBaseline: 0.15, toBaseline: 0.17 }), [true])
    assert.deepStrictEqual(wanted({ floorToBaseline: 0.18 }), ["≤ 0.21 (raw × 1.15)"])
    assert.deepStrictEqual(wanted({ floorToBaseline: 0.139 }), ["≤ 0.16"])
    assert.deepStrictEqual(wanted({ floorToBaseline: null }), ["≤ 0.16"])
  })

  it("holds run and receiveAll to the same targets on both versions of Effect, and messages on Effect 4", () => {
    assert.deepStrictEqual(wanted({ subject: "run on Effect 3" }), ["≤ 0.16"])
    assert.deepStrictEqual(wanted({ subject: "receiveAll on Effect 3" }), ["≤ 0.18"])
    assert.deepStrictEqual(wanted({ subject: "messages" }), ["≤ 0.22"])
    assert.deepStrictEqual(wanted({ subject: "messages on Effect 3" }), [])
  })

  it("compares messages with run in case a, too", () => {
    const messages = { subject: "messages", case: "a", toBaseline: 1.1 }
    assert.deepStrictEqual(wanted(messages), ["≤ 1.15", "≤ 1.2 of run"])
    assert.deepStrictEqual(holds({ ...messages, toRun: 1.21 }), [true, false])
  })

  it("ignores what was not measured", () => {
    assert.deepStrictEqual(judge({ ...run, toBaseline: null }), [])
    assert.deepStrictEqual(judge({ ...run, subject: "ws" }), [])
    assert.deepStrictEqual(judge({ ...run, case: "sizes" }), [])
  })
})
