import { assert, describe, it } from "@effect/vitest"
import { answerClose } from "../../../src/workers/internal/answerClose.js"
import { FakeSocket } from "../../engine/native/FakeSocket.js"

describe("answerClose", () => {
  it("repeats the peer's code and reason, or sends none", () => {
    const [first, second] = [new FakeSocket(), new FakeSocket()]
    for (const socket of [first, second]) answerClose(socket)
    first.emit("close", { code: 4000, reason: "bye", wasClean: true })
    second.emit("close", { code: 1005, wasClean: true })
    assert.deepStrictEqual([first.closes, second.closes], [[[4000, "bye"]], [[]]])
  })

  it("does not answer a drop, and ignores a platform that refuses the code", () => {
    const socket = new FakeSocket()
    answerClose(socket)
    socket.emit("close", { code: 1006, wasClean: false })
    assert.deepStrictEqual(socket.closes, [])
    socket.close = () => {
      throw new Error("Invalid WebSocket close code")
    }
    socket.emit("close", { code: 1015, wasClean: true })
  })
})
