import { assert, describe, it } from "@effect/vitest"
import { Defect } from "../../src/engine/Defect.js"
import { network } from "../../src/engine/server/ipAddress.js"
import { resolveGate, resolveOwn, resolvePolicy, resolveProxies } from "../../src/internal/serverPolicy.js"

describe("resolvePolicy", () => {
  it("has a default for everything", () => {
    const policy = resolvePolicy({})
    assert.strictEqual(policy.handshakeTimeout, 10_000)
    assert.strictEqual(policy.firstMessageTimeout, Infinity)
    assert.strictEqual(policy.firstMessageCloseCode, 1008)
    assert.strictEqual(policy.proxies, undefined)
    assert.deepStrictEqual(policy.drain, { code: 1001, reason: "", window: 0, timeout: 30_000 })
    assert.isFalse(policy.drains)
    const { key, ...gate } = policy.gate
    assert.deepStrictEqual(gate, {
      maxConnections: Infinity,
      maxHandshakes: 1024,
      maxConnectionsPerKey: Infinity,
      rate: undefined,
      ratePerKey: undefined,
      retryAfter: 5
    })
    const request = { url: "/", headers: {}, remoteAddress: undefined }
    assert.strictEqual(key({ ...request, clientAddress: "2001:db8::1" }), network("2001:db8::1"))
    assert.strictEqual(key({ ...request, clientAddress: undefined }), undefined)
  })
})

describe("resolveOwn", () => {
  const policy = resolvePolicy({ closeTimeout: "3 seconds", limits: { maxMessageBytes: 1000 } })

  it("is nothing for a connection without options of its own", () => {
    assert.strictEqual(resolveOwn(policy, undefined), undefined)
  })

  it("lets the options of a connection win over those of the server", () => {
    const own = resolveOwn(policy, { closeTimeout: "1 seconds", limits: { maxFrameBytes: 10 } })
    assert(own !== undefined && !(own instanceof Defect))
    assert.strictEqual(own.closeTimeout, 1000)
    assert.strictEqual(own.limits.maxMessageBytes, 1000)
    assert.strictEqual(own.limits.maxFrameBytes, 10)
  })

  it("is a defect for options that make no sense", () => {
    const own = resolveOwn(policy, { closeTimeout: 0 })
    assert(own instanceof Defect)
    assert.instanceOf(own.cause, RangeError)
  })
})

describe("resolveGate", () => {
  it("gives a handshake its part of the interval", () => {
    const { rate, ratePerKey } = resolveGate(
      {
        handshakeRate: { limit: 3, interval: "9 seconds" },
        handshakeRatePerKey: { limit: 2, interval: "1 minutes" }
      },
      "5 seconds"
    )
    assert.deepStrictEqual(rate, { cost: 3_000, burst: 9_000 })
    assert.deepStrictEqual(ratePerKey, { cost: 30_000, burst: 60_000 })
  })

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

describe("resolveProxies", () => {
  const trusted = () => true

  it("reads X-Forwarded-For unless another header is named, in lower case", () => {
    assert.deepStrictEqual(resolveProxies({ trusted }), { trusted, header: "x-forwarded-for", trustUnixSocket: false })
    assert.strictEqual(resolveProxies({ trusted, header: "X-Client" })?.header, "x-client")
  })

  it("refuses what is not the name of a header", () => {
    for (const header of ["", "x forwarded", "x-forwarded-for:", "ä"]) {
      assert.throws(() => resolveProxies({ trusted, header }), RangeError, "proxies.header must be")
    }
  })
})
