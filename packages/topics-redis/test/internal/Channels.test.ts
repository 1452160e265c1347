import { Channels } from "../../src/internal/Channels.js"
import { Outages } from "../../src/internal/Outages.js"
import { assert, describe, it } from "../platform.js"

describe("a subscription that ends before it is active", () => {
  it("waits no longer, and leaves no timer", async () => {
    const channels = new Channels({ client: {}, timeout: 600_000, heartbeat: 600_000 }, new Outages())
    const subscription = channels.subscribe("channel", () => {})
    const active = subscription.active()
    subscription.end()
    const failure = await active.catch((cause: unknown) => cause)
    assert.strictEqual(String(failure), "Error: The subscription has ended")
  })
})
