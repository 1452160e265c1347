import { assert, describe, it } from "@effect/vitest"
import { closeQuietly, dialNative } from "../../../src/engine/native/dialNative.js"
import type { NativeDialed } from "../../../src/engine/native/NativeSocket.js"
import { turn } from "../connection/open.js"
import { FakeSocket } from "./FakeSocket.js"

const dialing = () => {
  const socket = new FakeSocket()
  const results: Array<NativeDialed> = []
  const request = { url: new URL("ws://test/path"), protocols: ["chat"], headers: {} }
  const cancel = dialNative((given) => {
    assert.strictEqual(given, request)
    return socket
  })(request, (dialed) => results.push(dialed))
  return { cancel, results, socket }
}

describe("dialNative", () => {
  it("reports an open WebSocket once", () => {
    const { results, socket } = dialing()
    socket.protocol = "chat"
    socket.emit("open")
    socket.emit("error")
    assert.deepStrictEqual(results, [{ _tag: "Opened", opened: { socket, protocol: "chat", extensions: "" } }])
    assert.strictEqual(socket.binaryType, "arraybuffer")
    assert.strictEqual(socket.listening, 0)
  })

  it("reports the first sign of a failure once", () => {
    const cause = new Error("refused")
    for (const [type, event, expected] of [
      ["error", { error: cause }, cause],
      ["error", { message: "refused" }, "refused"],
      ["close", {}, undefined]
    ] as const) {
      const { results, socket } = dialing()
      socket.emit(type, event)
      socket.emit("close")
      const [dialed] = results
      assert.strictEqual(results.length, 1)
      const error = dialed?._tag === "Failed" ? dialed.error : undefined
      assert.deepInclude({ ...error }, { _tag: "Io_error", reason: "Connect", operation: "connect" })
      assert.strictEqual(error?.cause, expected)
    }
  })

  it("drops the attempt", () => {
    const { cancel, results, socket } = dialing()
    cancel()
    socket.emit("open")
    socket.emit("close")
    assert.deepStrictEqual(results, [])
    assert.deepStrictEqual(socket.closes, [[]])
  })

  it("reports a constructor that throws in a turn of its own, unless it is dropped", async () => {
    const results: Array<string> = []
    const dial = dialNative(() => {
      throw new Error("not allowed")
    })
    const request = { url: new URL("ws://test"), protocols: [], headers: {} }
    dial(request, ({ _tag }) => results.push(_tag))
    dial(request, ({ _tag }) => results.push(_tag))()
    assert.deepStrictEqual(results, [])
    await turn()
    assert.deepStrictEqual(results, ["Failed"])
  })
})

describe("closeQuietly", () => {
  it("ignores a platform that refuses", () => {
    const socket = new FakeSocket()
    socket.close = () => {
      throw new Error("closed")
    }
    closeQuietly(socket)
  })
})
