import { assert, describe, it } from "@effect/vitest"
import { ConnectionClosed } from "@effect-websocket/protocol/Errors"
import { resolveLimits } from "@effect-websocket/protocol/Limits"
import { Binary, Text } from "@effect-websocket/protocol/Message"
import { NativeConnection } from "../../../src/engine/native/NativeConnection.js"
import { FakeSocket } from "./FakeSocket.js"

const make = (maxSendBytes?: number) => {
  const socket = new FakeSocket()
  const limits = resolveLimits({ maxMessageBytes: 100 })
  return { socket, connection: new NativeConnection(socket, { limits, maxSendBytes, maxUnreadBytes: 1000 }) }
}

const closed = (code: number, initiator: "local" | "remote", clean: boolean) =>
  new ConnectionClosed({ code, reason: "", initiator, clean })

describe("NativeConnection", () => {
  it("sends at once, and counts what it sent until the output is taken", () => {
    const { connection, socket } = make()
    assert.isUndefined(connection.send(new Text("hello")))
    assert.isUndefined(connection.send(new Binary(new Uint8Array(3))))
    assert.deepStrictEqual(socket.sent, ["hello", new Uint8Array(3)])
    assert.strictEqual(connection.outputBytes, 8)
    assert.deepStrictEqual(connection.takeOutput(), [])
    assert.strictEqual(connection.outputBytes, 0)
  })

  it("counts the payloads that arrive", () => {
    const { connection } = make()
    connection.arrive(new Text("hello"))
    connection.arrive(new Binary(new Uint8Array(3)))
    assert.strictEqual(connection.arrivedBytes, 8)
  })

  it("refuses a message above maxSendBytes and goes on", () => {
    const { connection, socket } = make(4)
    assert.deepInclude({ ...connection.send(new Text("hello")) }, { limit: "message", max: 4, direction: "outbound" })
    assert.isUndefined(connection.send(new Text("four")))
    assert.deepStrictEqual(socket.sent, ["four"])
  })

  it("returns the error of a platform that does not send", () => {
    const { connection, socket } = make()
    socket.send = () => {
      throw new TypeError("closed")
    }
    assert.deepInclude({ ...connection.send(new Text("hello")) }, { _tag: "Io_error", operation: "write" })
  })

  it("refuses to send once the peer has closed, which a platform only drops", () => {
    const { connection, socket } = make()
    Object.assign(socket, { readyState: 1 })
    assert.isUndefined(connection.send(new Text("open")))
    Object.assign(socket, { readyState: 2 })
    assert.deepStrictEqual({ ...connection.send(new Text("closing")) }, { ...closed(1005, "remote", false) })
    connection.ended({ code: 4000, reason: "", wasClean: true })
    assert.deepStrictEqual({ ...connection.send(new Text("closed")) }, { ...closed(4000, "remote", false) })
    connection.receiveEof()
    assert.deepStrictEqual({ ...connection.send(new Text("over")) }, { ...closed(4000, "remote", true) })
    assert.deepStrictEqual(socket.sent, ["open"])
  })

  it("refuses what no platform can do, and says so first when it is closed", () => {
    const { connection, socket } = make()
    const refused = () => [
      connection.ping(),
      connection.pong(),
      connection.sendFragment(),
      connection.sendFrame(),
      connection.sendDeflated()
    ]
    for (const error of refused()) assert.deepInclude({ ...error }, { _tag: "Protocol_error", origin: "local" })
    connection.close(1000)
    assert.deepStrictEqual(
      refused()
        .slice(0, 4)
        .map((error) => error?._tag),
      ["Connection_closed", "Connection_closed", "Connection_closed", "Connection_closed"]
    )
    assert.deepStrictEqual(socket.sent, [])
  })

  it("compresses nothing by itself", () => {
    const { connection } = make()
    assert.isFalse(connection.compresses())
    assert.isUndefined(connection.deflation())
  })

  it("is clean if it began to close and the platform reports the handshake", () => {
    const { connection, socket } = make()
    connection.close(1011, "why")
    assert.deepStrictEqual(socket.closes, [[4011, "why"]])
    assert.isTrue(connection.closeExpected)
    connection.ended({ code: 4011, reason: "why", wasClean: true })
    const [event] = connection.receiveEof()
    assert.deepInclude({ ...(event?._tag === "Ended" ? event.error : undefined) }, { code: 4011, initiator: "local" })
    assert.deepStrictEqual(connection.closeStatus, {
      sent: { code: 4011, reason: "why" },
      received: { code: 4011, reason: "why" },
      initiator: "local",
      clean: true
    })
    assert.deepStrictEqual(connection.receiveEof(), [])
  })

  it("closes without a code", () => {
    const { connection, socket } = make()
    connection.close()
    connection.close(1000)
    assert.deepStrictEqual(socket.closes, [[]])
    assert.deepStrictEqual({ ...connection.refusal }, { ...closed(1005, "local", false) })
  })

  it("ends with the peer's code", () => {
    const { connection } = make()
    connection.ended({ code: 1005, reason: "", wasClean: true })
    connection.receiveEof()
    assert.deepStrictEqual({ ...connection.error }, { ...closed(1005, "remote", true) })
    assert.isTrue(connection.closeStatus.clean)
  })

  it("ends with 1006 without a handshake", () => {
    const { connection } = make()
    connection.ended({ code: 1006, reason: "", wasClean: false })
    connection.receiveEof()
    assert.deepStrictEqual({ ...connection.error }, { ...closed(1006, "remote", false) })
    assert.strictEqual(connection.refusal, connection.error)
  })

  it("ends with 1006 if the peer does not answer its Close", () => {
    const { connection } = make()
    connection.close(1000)
    connection.ended({ code: 1006, reason: "", wasClean: false })
    connection.receiveEof()
    assert.deepStrictEqual({ ...connection.error }, { ...closed(1006, "local", false) })
  })

  it("returns the messages before one that is too large first", () => {
    const { connection, socket } = make()
    connection.arrive(new Text("before"))
    connection.arrive(new Text("x".repeat(101)))
    connection.arrive(new Text("behind"))
    assert.deepStrictEqual(connection.receive(), [new Text("before")])
    assert.isTrue(connection.unsettled)
    assert.deepStrictEqual(socket.closes, [])
    assert.deepStrictEqual(
      connection.settle().map(({ _tag }) => _tag),
      ["Ended"]
    )
    assert.deepInclude({ ...connection.error }, { limit: "message", max: 100, size: 101, direction: "inbound" })
    assert.deepStrictEqual(socket.closes, [[4009, ""]])
    assert.isFalse(connection.unsettled)
  })

  it("keeps its first error", () => {
    const { connection } = make()
    connection.overflow()
    connection.ended({ code: 1000, reason: "", wasClean: true })
    assert.deepStrictEqual(
      connection.receiveEof().map(({ _tag }) => _tag),
      ["Ended"]
    )
    assert.deepInclude({ ...connection.error }, { limit: "unread", max: 1000 })
    assert.deepStrictEqual(connection.abort(closed(1006, "local", false)), [])
    assert.deepInclude({ ...connection.error }, { limit: "unread" })
  })

  it("is over after an abort, even if the platform refuses to close", () => {
    const { connection, socket } = make()
    socket.close = () => {
      throw new Error("closed")
    }
    connection.close(1000)
    connection.abort(closed(1006, "local", false))
    connection.arrive(new Text("late"))
    assert.deepStrictEqual(connection.receive(), [])
    assert.strictEqual(connection.phase, "Closed")
  })
})
