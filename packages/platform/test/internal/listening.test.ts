import { assert, describe, it } from "@effect/vitest"
import { addressOf, checkPlace } from "../../src/internal/listening.js"

describe("checkPlace", () => {
  it("takes a port or a path", () => {
    checkPlace({ port: 0 })
    checkPlace({ port: 65_535, host: "::1" })
    checkPlace({ socketPath: "/tmp/a.sock" })
  })

  it("refuses everything else", () => {
    for (const place of [
      {},
      { port: -1 },
      { port: 1.5 },
      { port: 70_000 },
      { port: 1, host: "" },
      { socketPath: "" },
      { socketPath: "/a", port: 1 },
      { socketPath: "/a", host: "h" }
    ]) {
      assert.throws(() => checkPlace(place), RangeError)
    }
  })
})

describe("addressOf", () => {
  it("is an address that a client on the same machine can connect to", () => {
    assert.strictEqual(addressOf({ host: "0.0.0.0", port: 1 }, false).url, "ws://127.0.0.1:1")
    assert.strictEqual(addressOf({ host: "::1", port: 1 }, true).url, "wss://[::1]:1")
    assert.strictEqual(addressOf({ socketPath: "/a.sock" }, false).url, "ws+unix:///a.sock:")
    assert.deepInclude(addressOf({ socketPath: "/a.sock" }, true), { url: "wss://localhost", socketPath: "/a.sock" })
  })
})
