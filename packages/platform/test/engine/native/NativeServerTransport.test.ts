import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import type { Message } from "@effect-websocket/protocol/Message"
import { Link } from "../../../src/engine/connection/Link.js"
import { MessageSender } from "../../../src/engine/connection/MessageSender.js"
import { makeCore } from "../../../src/engine/connection/ownCore.js"
import type { NativeServerSocket } from "../../../src/engine/native/NativeSocket.js"
import { NativeServerTransport } from "../../../src/engine/native/NativeServerTransport.js"
import type { Settings } from "../../../src/engine/Settings.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { settings as defaults, turn } from "../connection/open.js"
import { ManualClock } from "../ManualClock.js"
import { FakeSocket } from "./FakeSocket.js"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** What a test gives a fake socket in addition. */
const openServer = (abilities: Partial<NativeServerSocket> = {}, choice: Partial<Settings> = {}) => {
  const settings = { ...defaults, ...choice }
  const socket = Object.assign(new FakeSocket(), abilities)
  const clock = new ManualClock()
  const transport = new NativeServerTransport(socket, "192.0.2.1")
  const connection = transport[makeCore](settings)
  const negotiated = { url: "/", agreement: { protocol: undefined, extensions: [] } }
  const link = new Link<Message>(connection, transport, settings, new Timers(clock), negotiated, {
    delivery: "messages"
  })
  link.sender = new MessageSender(link)
  link.start()
  const sender = link.sender as MessageSender
  return {
    clock,
    connection,
    link,
    sender,
    socket,
    transport,
    unread: () => link.inbox.takeAll().map(({ data }) => data)
  }
}

describe("NativeServerTransport", () => {
  it("has the address of the client, and the role of a server", () => {
    const { connection, transport } = openServer()
    assert.strictEqual(transport.remoteAddress, "192.0.2.1")
    assert.strictEqual(connection.role, "server")
  })

  it("sends the code of the library, or the one that the host can send", () => {
    const every = openServer()
    every.link.beginClose(1001)
    assert.deepStrictEqual(every.socket.closes, [[1001, ""]])
    const some = openServer({ closeCode: (code) => code + 3000 })
    some.link.beginClose(1011)
    assert.deepStrictEqual(some.socket.closes, [[4011, ""]])
  })

  it("pauses a host that can, and bounds what nobody reads otherwise", () => {
    const flow: Array<string> = []
    const pausing = openServer(
      { pause: () => flow.push("pause"), resume: () => flow.push("resume") },
      { receiveHighWaterMark: 100 }
    )
    pausing.socket.receive("a", "b")
    assert.deepStrictEqual(flow, ["pause"])
    assert.deepStrictEqual(pausing.unread(), ["a", "b"])
    assert.deepStrictEqual(flow, ["pause", "resume"])
    const plain = openServer({}, { receiveHighWaterMark: 100 })
    plain.socket.receive("a", "b", "c")
    vi.advanceTimersByTime(10)
    assert.deepInclude({ ...plain.connection.error }, { _tag: "Payload_too_large", limit: "unread", max: 100 })
    assert.deepStrictEqual(plain.socket.closes, [[1009, ""]])
  })

  it("waits for the host to say that bytes have left", async () => {
    const { link, sender, socket } = openServer({ emitsDrain: true }, { sendMarks: { high: 100, low: 10 } })
    socket.bufferedAmount = 1000
    sender.sendNow(new Uint8Array(200), undefined)
    await turn()
    assert.isFalse(link.flusher.hasRoom())
    // Nobody looks in the meantime.
    socket.bufferedAmount = 0
    vi.advanceTimersByTime(1000)
    assert.isFalse(link.flusher.hasRoom())
    socket.bufferedAmount = 50
    socket.emit("drain")
    assert.isFalse(link.flusher.hasRoom())
    socket.bufferedAmount = 10
    socket.emit("drain")
    assert.isTrue(link.flusher.hasRoom())
  })

  it("passes on pings and pongs, and sends them if the host can", async () => {
    const sent: Array<readonly [string, number]> = []
    const { clock, link, socket } = openServer(
      {
        ping: (data) => sent.push(["ping", data.length]),
        pong: (data) => sent.push(["pong", data.length])
      },
      { heartbeatInterval: 1000, heartbeatTimeout: 1000 }
    )
    const heard: Array<string> = []
    link.listen(({ _tag }) => heard.push(_tag))
    socket.emit("ping", { data: new Uint8Array(1) })
    socket.emit("pong", { data: new Uint8Array(2) })
    socket.emit("pong", { data: "no bytes" })
    assert.deepStrictEqual(heard, ["Ping", "Pong"])
    link.sendPong(new Uint8Array(3))
    clock.advance(1000)
    await turn()
    assert.deepStrictEqual(sent, [
      ["pong", 3],
      ["ping", 8]
    ])
    clock.advance(1000)
    // It gives a process that was busy one more chance.
    vi.advanceTimersByTime(0)
    assert.deepInclude({ ...link.connection.error }, { _tag: "Io_error", operation: "heartbeat" })
  })

  it("returns the error of a host that does not send a ping, and refuses one that cannot", () => {
    const failing = openServer({
      ping: () => {
        throw new Error("gone")
      }
    })
    assert.deepInclude({ ...failing.connection.ping() }, { _tag: "Io_error", operation: "write" })
    const plain = openServer()
    assert.deepInclude({ ...plain.connection.ping() }, { _tag: "Protocol_error", origin: "local" })
    assert.deepInclude({ ...plain.connection.pong() }, { _tag: "Protocol_error", origin: "local" })
  })

  it("is typed if the host itself refuses a large message", () => {
    const { connection, link, socket } = openServer()
    socket.emit("toolarge")
    socket.emit("close", { code: 1006, reason: "", wasClean: false })
    assert.deepInclude({ ...connection.error }, { _tag: "Payload_too_large", limit: "message" })
    assert.isTrue(link.closed)
  })

  it("does not claim to know the peer's Close if the host does not wait for it", () => {
    const { connection, link, socket } = openServer({ endsWithoutPeer: true })
    link.beginClose(1001)
    socket.emit("close", { code: 1001, reason: "", wasClean: true })
    assert.deepInclude(connection.closeStatus, { received: undefined, clean: true, initiator: "local" })
    const remote = openServer({ endsWithoutPeer: true })
    remote.socket.emit("close", { code: 4000, reason: "", wasClean: true })
    assert.deepInclude(remote.connection.closeStatus.received, { code: 4000 })
  })

  it("leaves no listener behind", () => {
    const { link, socket } = openServer()
    link.cutShort()
    assert.strictEqual(socket.listening, 0)
    socket.emit("pong", { data: new Uint8Array(1) })
    socket.emit("drain")
  })
})
