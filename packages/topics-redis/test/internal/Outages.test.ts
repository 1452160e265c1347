import { afterEach, beforeEach, vi } from "vitest"
import { type OutageEvent, Outages } from "../../src/internal/Outages.js"
import { assert, describe, it } from "../platform.js"

/** What it tells, from now on. */
const listen = (outages: Outages) => {
  const told: Array<unknown> = []
  const read = async (): Promise<void> => {
    const event: OutageEvent = await outages.next()
    told.push(event === undefined ? "over" : event.reason)
    await read()
  }
  void read()
  return told
}

describe("Outages", () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it("are told once, and are over when all connections have been there for a second", async () => {
    const outages = new Outages()
    const told = listen(outages)
    const [scripts, channels] = [{}, {}]
    outages.find(scripts)
    outages.find(channels)
    outages.lose(scripts, "one")
    outages.lose(channels, "two")
    outages.find(scripts)
    await vi.advanceTimersByTimeAsync(10_000)
    assert.deepStrictEqual(told, ["one"])
    outages.find(channels)
    await vi.advanceTimersByTimeAsync(999)
    assert.deepStrictEqual(told, ["one"])
    await vi.advanceTimersByTimeAsync(1)
    assert.deepStrictEqual(told, ["one", "over"])
    outages.lose(channels, new AggregateError([new Error("IPv6"), new Error("IPv4")]))
    await vi.advanceTimersByTimeAsync(0)
    assert.deepStrictEqual(told, ["one", "over", "IPv6; IPv4"])
  })

  it("are one for a server that breaks its connections again and again", async () => {
    const outages = new Outages()
    const told = listen(outages)
    const link = {}
    for (let n = 0; n < 10; n++) {
      outages.lose(link, n)
      outages.find(link)
      await vi.advanceTimersByTimeAsync(500)
    }
    assert.deepStrictEqual(told, ["0"])
    outages.end()
    assert.strictEqual(vi.getTimerCount(), 0)
  })
})
