import { Entry, Gate, resolveGate } from "../../../src/engine/server/Gate.js"
import { timersOf } from "../../../src/internal/timers.js"
import type { AdmissionOptions } from "@effect-websocket/platform/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"

const request = (address: string | undefined) => ({
  url: "/",
  headers: {},
  remoteAddress: address,
  clientAddress: address
})

const gateOf = (options: AdmissionOptions) =>
  Effect.map(Effect.clock, (clock) => new Gate(resolveGate(options, "5 seconds"), timersOf(clock)))

const enter = (gate: Gate, address?: string) => {
  const entered = gate.enter(request(address))
  return entered instanceof Entry ? entered : assert.fail(`refused: ${entered.reason}`)
}

const refused = (gate: Gate, address?: string) => {
  const entered = gate.enter(request(address))
  return entered instanceof Entry ? assert.fail("let in") : ([entered.status, entered.retryAfter] as const)
}

describe("Gate", () => {
  it.effect("lets in as many as it may, and others when these have left", () =>
    Effect.gen(function* () {
      const gate = yield* gateOf({ maxConnections: 2, maxHandshakes: 1 })
      const first = enter(gate)
      assert.deepStrictEqual(refused(gate), [503, 5])
      first.opened()
      first.opened()
      const second = enter(gate)
      assert.deepStrictEqual(refused(gate), [503, 5])
      second.leave()
      second.leave()
      enter(gate).opened()
      assert.deepStrictEqual(refused(gate), [503, 5])
    })
  )

  it.effect("counts by key", () =>
    Effect.gen(function* () {
      const gate = yield* gateOf({ maxConnectionsPerKey: 1 })
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
  )

  it.effect("lets in at a rate, and says when to come back", () =>
    Effect.gen(function* () {
      const gate = yield* gateOf({
        handshakeRate: { limit: 3, interval: "9 seconds" },
        handshakeRatePerKey: { limit: 2, interval: "1 minutes" }
      })
      enter(gate, "a")
      enter(gate, "a")
      assert.deepStrictEqual(refused(gate, "a"), [429, 30])
      enter(gate, "b").leave()
      assert.deepStrictEqual(refused(gate, "c"), [429, 3])
      yield* TestClock.adjust("3 seconds")
      enter(gate, "c")
      assert.deepStrictEqual(refused(gate, "c"), [429, 3])
      yield* TestClock.adjust("27 seconds")
      enter(gate, "a")
      assert.deepStrictEqual(refused(gate, "a"), [429, 30])
    })
  )

  it.effect("forgets the oldest of many keys, and none that has connections", () =>
    Effect.gen(function* () {
      const gate = yield* gateOf({ maxConnectionsPerKey: 1, handshakeRatePerKey: { limit: 1, interval: "1 hours" } })
      enter(gate, "stays")
      for (let i = 0; i < 100_000; i++) enter(gate, `key ${i}`).leave()
      assert.isAtMost(gate.keys, 65_537)
      assert.deepStrictEqual(refused(gate, "stays"), [429, 5])
      assert.deepStrictEqual(refused(gate, "key 99999")[0], 429)
      enter(gate, "key 0")
    })
  )

  it("takes no limits that make no sense", () => {
    for (const [option, options] of [
      ["admission.maxConnections", { maxConnections: 0 }],
      ["admission.maxHandshakes", { maxHandshakes: 1.5 }],
      ["admission.maxConnectionsPerKey", { maxConnectionsPerKey: -1 }],
      ["admission.handshakeRate.limit", { handshakeRate: { limit: 0, interval: "1 seconds" } }],
      ["admission.handshakeRatePerKey.interval", { handshakeRatePerKey: { limit: 1, interval: 0 } }]
    ] as const) {
      assert.throws(() => resolveGate(options, "5 seconds"), RangeError, `${option} must be`)
    }
    assert.throws(() => resolveGate({}, Infinity), RangeError, "retryAfter must be")
  })
})
