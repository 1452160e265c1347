import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { DenoEnd } from "../../../src/deno/internal/DenoEnd.js"
import { FakeSocket } from "../../engine/native/FakeSocket.js"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const made = () => {
  const socket = Object.assign(new FakeSocket(), { readyState: 0 })
  const end = new DenoEnd(socket)
  const heard: Array<string> = []
  for (const type of ["message", "error", "close"]) end.addEventListener(type, () => heard.push(type))
  return { end, heard, socket }
}

describe("DenoEnd", () => {
  it("sends and closes once Deno has opened it, in order", () => {
    const { end, socket } = made()
    const bytes = new Uint8Array([1, 2])
    end.send("first")
    end.send(bytes)
    bytes.fill(0)
    end.close(1001, "away")
    assert.deepStrictEqual([socket.sent, socket.closes, end.bufferedAmount], [[], [], 7])
    socket.readyState = 1
    socket.emit("open")
    assert.deepStrictEqual(socket.sent, ["first", new Uint8Array([1, 2])])
    assert.deepStrictEqual(socket.closes, [[1001, "away"]])
    assert.strictEqual(end.bufferedAmount, 0)
    end.send("later")
    assert.strictEqual(socket.sent.length, 3)
  })

  it("ends if Deno never opens it", async () => {
    const { heard } = made()
    await vi.advanceTimersByTimeAsync(4999)
    assert.deepStrictEqual(heard, [])
    await vi.advanceTimersByTimeAsync(1)
    assert.deepStrictEqual(heard, ["error"])
  })

  it("passes on what Deno reports, and stops waiting", async () => {
    const { end, heard, socket } = made()
    await vi.advanceTimersByTimeAsync(0)
    socket.readyState = 1
    socket.emit("open")
    socket.receive("text")
    socket.emit("close", { code: 1000, reason: "", wasClean: true })
    await vi.advanceTimersByTimeAsync(10_000)
    assert.deepStrictEqual(heard, ["message", "close"])
    socket.readyState = 3
    end.close()
    assert.deepStrictEqual(socket.closes, [[]])
  })
})
