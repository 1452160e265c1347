import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { Text } from "@effect-websocket/protocol/Message"
import { Sending, turn } from "../connection/open.js"
import { openNative } from "./openNative.js"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A blob whose bytes come when the test says so. */
const blob = (bytes: Uint8Array) => {
  let give: ((read: ArrayBuffer) => void) | undefined
  let fail: ((error: Error) => void) | undefined
  const read = new Promise<ArrayBuffer>((resolve, reject) => {
    give = resolve
    fail = reject
  })
  return {
    data: { size: bytes.length, arrayBuffer: () => read },
    give: () => give?.(bytes.slice().buffer),
    fail: () => fail?.(new Error("unreadable"))
  }
}

describe("NativeTransport", () => {
  it("delivers texts, buffers and views in order", () => {
    const { socket, unread } = openNative()
    socket.receive("text", new Uint8Array([1]).buffer, new Uint8Array([0, 2]).subarray(1), "", 42)
    assert.deepStrictEqual(unread(), ["text", new Uint8Array([1]), new Uint8Array([2]), ""])
  })

  it("keeps the order of blobs, of what is behind them, and of the end", async () => {
    const { link, socket, unread } = openNative()
    const [first, second] = [blob(new Uint8Array([1])), blob(new Uint8Array([2]))]
    socket.receive("before", first.data, second.data, "behind")
    socket.emit("close", { code: 1000, reason: "", wasClean: true })
    second.give()
    await vi.advanceTimersByTimeAsync(0)
    assert.deepStrictEqual(unread(), ["before"])
    assert.isFalse(link.closed)
    first.give()
    await vi.advanceTimersByTimeAsync(0)
    assert.deepStrictEqual(unread(), [new Uint8Array([1]), new Uint8Array([2]), "behind"])
    assert.isTrue(link.closed)
    assert.isTrue(link.status.clean)
  })

  it("reads on at once behind blobs that have been read", async () => {
    const { socket, unread } = openNative()
    const only = blob(new Uint8Array([1]))
    socket.receive(only.data)
    only.give()
    await vi.advanceTimersByTimeAsync(0)
    socket.receive("behind")
    assert.deepStrictEqual(unread(), [new Uint8Array([1]), "behind"])
  })

  it("drops the connection if a blob cannot be read", async () => {
    const { link, socket } = openNative()
    const only = blob(new Uint8Array([1]))
    socket.receive(only.data)
    only.fail()
    await vi.advanceTimersByTimeAsync(0)
    assert.isTrue(link.closed)
    assert.isFalse(link.status.clean)
  })

  it("bounds the bytes of blobs that are being read", async () => {
    const { link, socket } = openNative({ receiveHighWaterMark: 10 })
    socket.receive(blob(new Uint8Array(6)).data, blob(new Uint8Array(6)).data)
    assert.deepInclude({ ...link.connection.error }, { limit: "unread", max: 10 })
    assert.deepStrictEqual(socket.closes, [[4009, ""]])
    await turn()
  })

  it("ends the connection if too many bytes wait, and keeps them", async () => {
    const { link, sender, socket, unread } = openNative({ receiveHighWaterMark: 200 })
    socket.receive("1", "2", "3", "4")
    await turn()
    socket.receive("5")
    assert.deepInclude({ ...link.connection.error }, { _tag: "Payload_too_large", limit: "unread", max: 200 })
    assert.deepStrictEqual(socket.closes, [[4009, ""]])
    assert.deepStrictEqual(unread(), ["1", "2", "3", "4"])
    assert.strictEqual(new Sending(sender.sendNow("late", undefined)).outcomes[0], link.connection.error)
  })

  it("counts only what waits", async () => {
    const { link, socket, unread } = openNative({ receiveHighWaterMark: 200 })
    for (let i = 0; i < 10; i++) {
      socket.receive("message")
      assert.deepStrictEqual(unread(), ["message"])
    }
    await turn()
    assert.isUndefined(link.connection.error)
  })

  it("lets send wait until the platform has sent enough", async () => {
    const { link, sender, socket } = openNative({ sendMarks: { high: 100, low: 10 } })
    socket.send = (data) => void (socket.bufferedAmount += data.length)
    assert.isFalse(new Sending(sender.sendNow("x".repeat(60), undefined)).isWaiting)
    assert.strictEqual(link.unsentBytes, 60)
    // As on every transport, the send that reaches the mark is over once there is room again.
    const reaching = new Sending(sender.sendNow("x".repeat(60), undefined))
    const waiting = new Sending(sender.sendNow("more", undefined))
    await turn()
    assert.strictEqual(link.unsentBytes, 120)
    socket.bufferedAmount = 11
    vi.advanceTimersByTime(100)
    assert.deepStrictEqual([reaching.isWaiting, waiting.isWaiting], [true, true])
    socket.bufferedAmount = 10
    vi.advanceTimersByTime(32)
    assert.deepStrictEqual([reaching.outcomes, waiting.outcomes], [[undefined], [undefined]])
    assert.strictEqual(vi.getTimerCount(), 0)
  })

  it("never waits for a platform that does not count", async () => {
    const { sender, socket } = openNative({ sendMarks: { high: 1, low: 1 } })
    Reflect.deleteProperty(socket, "bufferedAmount")
    for (let i = 0; i < 3; i++) {
      assert.isFalse(new Sending(sender.sendNow("message", undefined)).isWaiting)
      await turn()
    }
  })

  it("closes with the handshake, and reports how it ended", () => {
    const { link, socket } = openNative()
    link.beginClose(1001)
    assert.deepStrictEqual(socket.closes, [[1000, ""]])
    socket.receive("unread")
    assert.isFalse(link.closed)
    socket.emit("close", { code: 1000, reason: "", wasClean: true })
    assert.isTrue(link.closed)
    assert.deepInclude(link.status, { clean: true, initiator: "local" })
    assert.strictEqual(socket.listening, 0)
  })

  it("gives up a closing handshake at its deadline", async () => {
    const { clock, link, socket } = openNative({ closeTimeout: 5000 })
    link.beginClose(1000)
    clock.advance(5000)
    await turn()
    assert.isTrue(link.closed)
    assert.isFalse(link.status.clean)
    assert.strictEqual(socket.listening, 0)
    socket.emit("close", { code: 1000, wasClean: true })
    assert.isFalse(link.status.clean)
  })

  it("uses the platform's own way to drop a connection, if there is one", async () => {
    const { link, socket } = openNative()
    let terminated = 0
    Object.assign(socket, { terminate: () => void terminated++ })
    link.cutShort()
    await turn()
    assert.strictEqual(terminated, 1)
    assert.isTrue(link.closed)
  })

  it("takes a close without details for a broken connection", () => {
    const { link, socket } = openNative()
    socket.emit("error")
    socket.emit("close")
    assert.deepInclude({ ...link.connection.error }, { code: 1006, clean: false, initiator: "remote" })
  })

  it("wakes a reader for each message", () => {
    const { link, socket } = openNative()
    let woken = 0
    link.inbox.whenReadable({ wake: () => void woken++ })
    socket.receive("message")
    assert.strictEqual(woken, 1)
    assert.deepStrictEqual(link.inbox.takeAll(), [new Text("message")])
  })
})
