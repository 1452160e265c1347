import { clientAddress, Entry, Gate, network, resolveGate } from "../../src/internal/gate.js"
import { ofClock } from "../../src/internal/timers.js"
import type { AdmissionOptions } from "@effect-websocket/platform/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import * as fc from "fast-check"

const request = (address: string | undefined) => ({
  url: "/",
  headers: {},
  remoteAddress: address,
  clientAddress: address
})

const gateOf = (options: AdmissionOptions) =>
  Effect.map(Effect.clock, (clock) => new Gate(resolveGate(options, "5 seconds"), ofClock(clock)))

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
    for (const options of [
      { maxConnections: 0 },
      { maxHandshakes: 1.5 },
      { maxConnectionsPerKey: -1 },
      { handshakeRate: { limit: 0, interval: "1 seconds" } },
      { handshakeRatePerKey: { limit: 1, interval: 0 } }
    ] as const) {
      assert.throws(() => resolveGate(options, "5 seconds"), RangeError)
    }
  })
})

describe("network", () => {
  it("is the /64 of IPv6, and the address of IPv4", () => {
    assert.deepStrictEqual(
      ["192.0.2.1", "::ffff:192.0.2.1", "::1", "2001:db8:1:2:3:4:5:6", "2001:db8::1", "fe80::1:2:3:4", "::"].map(
        network
      ),
      [
        "192.0.2.1",
        "192.0.2.1",
        "0:0:0:0::/64",
        "2001:db8:1:2::/64",
        "2001:db8:0:0::/64",
        "fe80:0:0:0::/64",
        "0:0:0:0::/64"
      ]
    )
  })

  it("says something of any text", () => {
    fc.assert(fc.property(fc.string(), (text) => typeof network(text) === "string"))
  })
})

describe("clientAddress", () => {
  const proxies = { trusted: (address: string) => address.startsWith("10.") }
  const of = (remote: string, ...listed: ReadonlyArray<string>) =>
    clientAddress(remote, { "x-forwarded-for": listed }, proxies)

  it("believes proxies that are trusted, and as far as they are", () => {
    assert.strictEqual(of("192.0.2.1", "198.51.100.7"), "192.0.2.1")
    assert.strictEqual(of("10.0.0.1", "198.51.100.7"), "198.51.100.7")
    assert.strictEqual(of("::ffff:10.0.0.1", "1.2.3.4, 198.51.100.7, 10.0.0.2"), "198.51.100.7")
    assert.strictEqual(of("10.0.0.1", "1.2.3.4", "198.51.100.7"), "198.51.100.7")
    assert.strictEqual(of("10.0.0.1", "10.0.0.3,10.0.0.2"), "10.0.0.3")
    assert.strictEqual(of("10.0.0.1"), "10.0.0.1")
  })

  it("believes nothing that is no address", () => {
    for (const text of ["unknown", "", "a".repeat(1000), "192.0.2.1, <script>", "192.0.2.1,"]) {
      assert.strictEqual(of("10.0.0.1", text), "10.0.0.1")
    }
  })

  it("reads another header where it is told, and none without proxies", () => {
    const headers = { "x-real-ip": "198.51.100.7" }
    assert.strictEqual(clientAddress("10.0.0.1", headers, { ...proxies, header: "X-Real-IP" }), "198.51.100.7")
    assert.strictEqual(clientAddress("10.0.0.1", headers, undefined), "10.0.0.1")
    assert.strictEqual(clientAddress(undefined, headers, proxies), undefined)
  })
})
