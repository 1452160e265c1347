import { once } from "node:events"
import { connect, createServer, type AddressInfo } from "node:net"
import { afterEach, assert, it, vi } from "vitest"
import { Proxy } from "../src/Proxy.js"

afterEach(() => {
  vi.useRealTimers()
})

it("a slow connection leaves no timer when it has ended", async () => {
  const server = createServer((socket) => socket.resume()).listen(0, "127.0.0.1")
  await once(server, "listening")
  const link = await Proxy.start(() => (server.address() as AddressInfo).port)
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] })
  link.set("slow")
  const accepted = once(server, "connection")
  const client = connect(link.port, "127.0.0.1")
  await accepted
  assert.strictEqual(vi.getTimerCount(), 2)
  const closed = once(client.resume(), "close")
  client.end()
  // Each end arrives late.
  await vi.waitUntil(() => {
    vi.advanceTimersToNextTimer()
    return vi.getTimerCount() === 0
  })
  await closed
  link.stop()
  server.close()
})
