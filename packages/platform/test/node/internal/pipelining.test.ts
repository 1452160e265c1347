import { assert, describe, it } from "@effect/vitest"
import { IncomingMessage, ServerResponse } from "node:http"
import { Socket } from "node:net"
// Not exported by the package.
import { afterResponses, pendingResponse } from "../../../src/node/internal/pipelining.js"

const responseOn = (socket: Socket): ServerResponse => {
  const response = new ServerResponse(new IncomingMessage(socket))
  response.assignSocket(socket)
  return response
}

describe("afterResponses", () => {
  it("calls at once if no response is being written", () => {
    let done = 0
    afterResponses(new Socket(), () => done++)
    assert.strictEqual(done, 1)
  })

  it("waits for one response after the other, and passes `drain` on to it", () => {
    const socket = new Socket()
    let done = 0
    const first = responseOn(socket)
    afterResponses(socket, () => done++)
    let drained = 0
    first.on("drain", () => drained++)
    socket.emit("drain")
    assert.strictEqual(drained, 1)
    first.detachSocket(socket)
    const second = responseOn(socket)
    first.emit("close")
    assert.strictEqual(pendingResponse(socket), second)
    assert.strictEqual(done, 0)
    second.detachSocket(socket)
    second.emit("close")
    assert.strictEqual(done, 1)
    assert.strictEqual(socket.listenerCount("drain"), 0)
  })

  it("ends the wait: nothing is called, and no listener is left", () => {
    const socket = new Socket()
    let done = 0
    const first = responseOn(socket)
    const listeners = () => [socket.listenerCount("drain"), first.listenerCount("close")]
    const before = listeners()
    const stop = afterResponses(socket, () => done++)
    stop()
    assert.deepStrictEqual(listeners(), before)
    first.detachSocket(socket)
    first.emit("close")
    assert.strictEqual(done, 0)
    stop()
  })

  it("ends the wait at a later response, too", () => {
    const socket = new Socket()
    let done = 0
    const first = responseOn(socket)
    const stop = afterResponses(socket, () => done++)
    first.detachSocket(socket)
    const second = responseOn(socket)
    const before = second.listenerCount("close")
    first.emit("close")
    assert.strictEqual(second.listenerCount("close"), before + 1)
    stop()
    assert.deepStrictEqual([socket.listenerCount("drain"), second.listenerCount("close")], [0, before])
    second.detachSocket(socket)
    second.emit("close")
    assert.strictEqual(done, 0)
  })

  it("passes `drain` on to a response that needs it, also when the wait has ended", () => {
    const socket = new Socket()
    const response = responseOn(socket)
    Object.defineProperty(response, "writableNeedDrain", { value: true })
    const stop = afterResponses(socket, () => assert.fail("nobody waits"))
    stop()
    let drained = 0
    response.on("drain", () => drained++)
    socket.emit("drain")
    assert.strictEqual(drained, 1)
    response.detachSocket(socket)
    response.emit("close")
    assert.strictEqual(socket.listenerCount("drain"), 0)
  })
})
