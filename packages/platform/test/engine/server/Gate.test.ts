import { assert, describe, it } from "@effect/vitest"
import { Entry, Gate, type GateSettings } from "../../../src/engine/server/Gate.js"
import { network } from "../../../src/engine/server/ipAddress.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { ManualClock } from "../ManualClock.js"

const request = (address: string | undefined) => ({
  url: "/",
  headers: {},
  remoteAddress: address,
  clientAddress: address
})

const make = (settings: Partial<GateSettings>) => {
  const clock = new ManualClock()
  const gate = new Gate(
    {
      maxConnections: Infinity,
      maxHandshakes: 1024,
      maxConnectionsPerKey: Infinity,
      rate: undefined,
      ratePerKey: undefined,
      key: ({ clientAddress }) => clientAddress && network(clientAddress),
      retryAfter: 5,
      ...settings
    },
    new Timers(clock)
  )
  return { clock, gate }
}

const enter = (gate: Gate, address?: string) => {
  const entered = gate.enter(request(address))
  return entered instanceof Entry ? entered : assert.fail(`not admitted: ${entered.reason}`)
}

const refused = (gate: Gate, address?: string) => {
  const entered = gate.enter(request(address))
  return entered instanceof Entry ? assert.fail("admitted") : ([entered.status, entered.retryAfter] as const)
}

/** In milliseconds. */
const rate = (limit: number, interval: number) => ({ cost: interval / limit, burst: interval })

describe("Gate", () => {
  it("admits as many as it may, and others once these have left", () => {
    const { gate } = make({ maxConnections: 2, maxHandshakes: 1 })
    const first = enter(gate)
    assert.deepStrictEqual(refused(gate), [503, 5])
    const place = first.open()
    // The connection has the place now.
    first.leave()
    const second = enter(gate)
    assert.deepStrictEqual(refused(gate), [503, 5])
    second.leave()
    second.leave()
    enter(gate).open()
    assert.deepStrictEqual(refused(gate), [503, 5])
    gate.left(place)
    enter(gate)
  })

  it("counts by key", () => {
    const { gate } = make({ maxConnectionsPerKey: 1 })
    const ada = enter(gate, "192.0.2.1")
    assert.deepStrictEqual(refused(gate, "::ffff:192.0.2.1"), [429, 5])
    enter(gate, "192.0.2.2")
    enter(gate, "2001:db8::1")
    assert.deepStrictEqual(refused(gate, "2001:db8::ffff:1"), [429, 5])
    enter(gate, "2001:db8:0:1::1")
    enter(gate)
    enter(gate)
    ada.leave()
    enter(gate, "192.0.2.1")
    assert.strictEqual(gate.keys, 4)
  })

  it("admits at a rate, and says when to come back", () => {
    const { clock, gate } = make({ rate: rate(3, 9_000), ratePerKey: rate(2, 60_000) })
    enter(gate, "a")
    enter(gate, "a")
    assert.deepStrictEqual(refused(gate, "a"), [429, 30])
    enter(gate, "b").leave()
    assert.deepStrictEqual(refused(gate, "c"), [429, 3])
    clock.advance(3_000)
    enter(gate, "c")
    assert.deepStrictEqual(refused(gate, "c"), [429, 3])
    clock.advance(27_000)
    enter(gate, "a")
    assert.deepStrictEqual(refused(gate, "a"), [429, 30])
  })

  it("forgets the oldest of many keys, and none that has connections", () => {
    const { gate } = make({ maxConnectionsPerKey: 1, ratePerKey: rate(1, 3_600_000) })
    enter(gate, "stays")
    for (let i = 0; i < 100_000; i++) enter(gate, `key ${i}`).leave()
    assert.isAtMost(gate.keys, 65_537)
    assert.deepStrictEqual(refused(gate, "stays"), [429, 5])
    assert.deepStrictEqual(refused(gate, "key 99999")[0], 429)
    enter(gate, "key 0")
  })
})
