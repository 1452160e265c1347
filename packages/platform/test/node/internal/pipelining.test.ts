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
})
