import { assert, describe, it } from "vitest"
import { headersOf, ofHeaders, ofTraceparent, traceparentOf } from "../../src/engine/traceContext.js"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const spanId = "b7ad6b7169203331"
const sampled = { traceId, spanId, sampled: true }
const notSampled = { ...sampled, sampled: false }

describe("ofTraceparent", () => {
  it("reads the ids and the flag", () => {
    assert.deepStrictEqual(ofTraceparent(`00-${traceId}-${spanId}-01`), sampled)
    assert.deepStrictEqual(ofTraceparent(`00-${traceId}-${spanId}-03`), sampled)
    assert.deepStrictEqual(ofTraceparent(`00-${traceId}-${spanId}-00`), notSampled)
    assert.deepStrictEqual(ofTraceparent(`00-${traceId}-${spanId}-fe`), notSampled)
  })

  it("reads later versions, which may have more parts", () => {
    assert.deepStrictEqual(ofTraceparent(`cc-${traceId}-${spanId}-01`), sampled)
    assert.deepStrictEqual(ofTraceparent(`cc-${traceId}-${spanId}-01-what-comes`), sampled)
  })

  it("ignores what is malformed", () => {
    for (const text of [
      "",
      "00",
      `ff-${traceId}-${spanId}-01`,
      `00-${traceId}-${spanId}-01-more`,
      `00-${traceId}-${spanId}-01-`,
      `cc-${traceId}-${spanId}-01more`,
      `00-${traceId}-${spanId}-0`,
      `00-${traceId}-${spanId}-zz`,
      `0-${traceId}-${spanId}-01`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      `00-${traceId}-${spanId.toUpperCase()}-01`,
      `00-${"0".repeat(32)}-${spanId}-01`,
      `00-${traceId}-${"0".repeat(16)}-01`,
      `00-${traceId.slice(1)}-${spanId}-01`,
      `00-${traceId}g-${spanId}-01`,
      ` 00-${traceId}-${spanId}-01`,
      `00-${traceId}-${spanId}-01\n`,
      `00-${traceId}-${spanId}-01,00-${traceId}-${spanId}-01`,
      "-".repeat(100_000)
    ]) {
      assert.isUndefined(ofTraceparent(text), text.slice(0, 100))
    }
  })
})

describe("ofHeaders", () => {
  it("reads B3 in one header", () => {
    for (const b3 of ["", "-1", "-d", `-1-${spanId}`, "-d-"]) {
      assert.deepStrictEqual(ofHeaders({ b3: `${traceId}-${spanId}${b3}` }), sampled, b3)
    }
    assert.deepStrictEqual(ofHeaders({ b3: `${traceId}-${spanId}-0` }), notSampled)
    assert.deepStrictEqual(ofHeaders({ b3: `${traceId.slice(16)}-${spanId}` }), {
      ...sampled,
      traceId: "0".repeat(16) + traceId.slice(16)
    })
  })

  it("reads B3 in several headers", () => {
    const ids = { "X-B3-TraceId": traceId, "X-B3-SpanId": spanId }
    for (const more of [{}, { "x-b3-sampled": "1" }, { "x-b3-sampled": "true" }, { "x-b3-flags": "1" }]) {
      assert.deepStrictEqual(ofHeaders({ ...ids, ...more }), sampled)
    }
    for (const no of ["0", "false"]) assert.deepStrictEqual(ofHeaders({ ...ids, "x-b3-sampled": no }), notSampled)
  })

  it("prefers `traceparent`, unless it is malformed", () => {
    const other = "1".repeat(32)
    const b3 = `${other}-${spanId}-1`
    assert.deepStrictEqual(ofHeaders({ traceparent: `00-${traceId}-${spanId}-01`, b3 }), sampled)
    assert.deepStrictEqual(ofHeaders({ traceparent: "00-x", b3 }), { ...sampled, traceId: other })
  })

  it("ignores headers that are malformed or there twice", () => {
    const traceparent = `00-${traceId}-${spanId}-01`
    for (const headers of [
      {},
      { traceparent: [traceparent, traceparent] },
      { b3: "0" },
      { b3: "1" },
      { b3: "x-y" },
      { b3: `${traceId}-${spanId}-2` },
      { b3: `${traceId}-${spanId}-1-${spanId}-1` },
      { b3: `${"0".repeat(16)}-${spanId}` },
      { b3: `${traceId.slice(1)}-${spanId}` },
      { b3: "-".repeat(16_000) },
      { "x-b3-traceid": traceId },
      { "x-b3-spanid": spanId },
      { "x-b3-traceid": "<script>", "x-b3-spanid": spanId }
    ]) {
      assert.isUndefined(ofHeaders(headers), JSON.stringify(headers).slice(0, 100))
    }
  })
})

describe("headersOf", () => {
  it("writes both headers, with ids of their form", () => {
    assert.deepStrictEqual(headersOf(sampled), {
      traceparent: `00-${traceId}-${spanId}-01`,
      b3: `${traceId}-${spanId}-1`
    })
    assert.deepStrictEqual(headersOf(notSampled), {
      traceparent: `00-${traceId}-${spanId}-00`,
      b3: `${traceId}-${spanId}-0`
    })
    assert.strictEqual(
      traceparentOf({ traceId: traceId.slice(16).toUpperCase(), spanId, sampled: true }),
      `00-${"0".repeat(16)}${traceId.slice(16)}-${spanId}-01`
    )
  })

  it("writes none for a span with other ids", () => {
    assert.deepStrictEqual(headersOf({ traceId: "noop", spanId: "noop", sampled: false }), {})
    assert.isUndefined(traceparentOf({ traceId, spanId: "1\r\nX: 1", sampled: true }))
  })
})
