/** Streams that deliver what the peer answers within the write that it answers. */
import { NodeTransport } from "@effect-websocket/platform/node"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import type { TransportSink } from "@effect-websocket/platform/Transport"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { Effect, Fiber } from "../effect/index.js"
import { duplexPair } from "node:stream"
import { deafSink } from "../support.js"
import { noHandlesLeft } from "./support.js"

afterEach(noHandlesLeft)

const marks = { high: 65536, low: 16384 }
const turn = () => new Promise((resolve) => setImmediate(resolve))

describe("a transport over a stream that delivers within a write", () => {
  it("delivers after the write", async () => {
    const [near, far] = duplexPair()
    const transport = NodeTransport.make(near)
    const echo = NodeTransport.make(far)
    const chunks: Array<string> = []
    let isWriting = false
    const sink: TransportSink = {
      ...deafSink,
      onChunk: (chunk) => {
        assert.isFalse(isWriting)
        chunks.push(Buffer.from(chunk).toString())
      }
    }
    transport.start(sink, marks)
    echo.start({ ...deafSink, onChunk: (chunk) => void echo.write([chunk.slice()]) }, marks)
    await turn()
    for (const data of ["a", "b"]) {
      isWriting = true
      transport.write([Buffer.from(data)])
      isWriting = false
    }
    await turn()
    assert.deepStrictEqual(chunks, ["a", "b"])
    transport.abort()
    echo.abort()
    await turn()
  })

  it.live("carries two WebSockets that answer each other", () =>
    Effect.gen(function* () {
      const [near, far] = duplexPair()
      const client = yield* WebSocket.fromTransport(NodeTransport.make(near), { role: "client" })
      const server = yield* WebSocket.fromTransport(NodeTransport.make(far), { role: "server" })
      let count = 0
      yield* Effect.forkChild(server.run((message) => server.send(message)))
      const playing = yield* Effect.forkChild(
        client.run((message) => (++count < 1000 ? client.send(message) : client.close()))
      )
      yield* client.send("x")
      yield* Fiber.join(playing)
      assert.strictEqual(count, 1000)
    })
  )
})
