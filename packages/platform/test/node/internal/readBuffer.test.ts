import { NodeTransport, NodeWebSocketServer } from "@effect-websocket/platform/node"
import * as Http from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as ReadBuffer from "../../../src/node/internal/readBuffer.js"
import type { TransportSink } from "../../../src/Transport.js"
import { Effect, Queue } from "../../effect/index.js"
import { afterEach, assert, describe, it } from "../../effect/vitest.js"
import { deafSink } from "../../support.js"
import {
  connect,
  eventually,
  listen,
  mebibyte,
  noHandlesLeft,
  rawClient,
  rawServer,
  serveEcho,
  settled
} from "../support.js"

afterEach(noHandlesLeft)

/** Both ends of a TCP connection: an accepted socket that reads into the shared buffer, and its peer. */
const pair = Effect.gen(function* () {
  const server = yield* rawServer()
  const peer = yield* rawClient(server.port)
  const { socket } = yield* server.next
  ReadBuffer.adopt(socket)
  return { socket, peer }
})

/** Starts a transport with a sink that writes down what it is given and how. */
const record = (socket: Socket, head?: Uint8Array) => {
  const transport = NodeTransport.make(socket, head)
  const events: Array<string> = []
  const buffers = new Set<ArrayBufferLike>()
  const sink: TransportSink = {
    ...deafSink,
    onChunk: (chunk, owned, mutable) => {
      if (mutable === true && !owned) buffers.add(chunk.buffer)
      events.push(`${Buffer.from(chunk).toString()}${mutable === true ? " in the buffer" : ""}`)
      // As a server that unmasks does.
      if (mutable === true) chunk.fill(0xaa)
    },
    onEof: () => events.push("eof"),
    onClose: () => events.push("close")
  }
  return { transport, events, buffers, start: () => transport.start(sink, { high: 65536, low: 0 }), sink }
}

describe("an accepted socket that reads into the shared buffer", () => {
  it.live("delivers all bytes in order: those that came before the start as copies, later ones in the buffer", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      peer.write("early")
      yield* eventually(() => socket.bytesRead === 5)
      const { buffers, events, start, transport } = record(socket, Buffer.from("head"))
      start()
      yield* eventually(() => events.length === 2)
      peer.write("late")
      yield* eventually(() => events.length === 3)
      peer.end()
      yield* eventually(() => events.includes("eof"))
      transport.write([Buffer.from("half-open")])
      transport.end()
      yield* eventually(() => events.includes("close"))
      assert.strictEqual((yield* peer.rest).toString(), "half-open")
      assert.deepStrictEqual(events, ["head", "early", "late in the buffer", "eof", "close"])
      assert.strictEqual(buffers.size, 1)
    })
  )

  it.live("reads nothing while it is paused, and loses nothing", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const { sink, start, transport } = record(socket)
      const sent = Buffer.from(Uint8Array.from({ length: 32 * mebibyte }, (_, i) => i % 251))
      const parts: Array<Uint8Array> = []
      let received = 0
      sink.onChunk = (chunk) => {
        parts.push(chunk.slice())
        received += chunk.length
        transport.pause()
        if (parts.length > 1) transport.resume()
      }
      start()
      peer.write(sent)
      yield* eventually(() => received > 0)
      assert.strictEqual(yield* settled(() => received), parts[0]!.length)
      assert.isAbove(peer.socket.writableLength, 0)
      transport.resume()
      yield* eventually(() => received === sent.length)
      assert.isTrue(Buffer.concat(parts).equals(sent))
      transport.abort()
    })
  )

  it.live("leaves the stream to other listeners", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const { events, start, transport } = record(socket)
      start()
      const heard: Array<string> = []
      const listener = (chunk: Buffer) => heard.push(chunk.toString())
      socket.on("data", listener)
      peer.write("for both")
      yield* eventually(() => events.length === 1)
      socket.off("data", listener)
      peer.write("for one")
      yield* eventually(() => events.length === 2)
      assert.deepStrictEqual(events, ["for both", "for one in the buffer"])
      assert.deepStrictEqual(heard, ["for both"])
      transport.abort()
    })
  )

  it.live("may be dropped while it delivers, and reports a reset", () =>
    Effect.gen(function* () {
      const first = yield* pair
      const dropped = record(first.socket)
      dropped.sink.onChunk = () => dropped.transport.abort()
      dropped.start()
      first.peer.write("x")
      yield* eventually(() => dropped.events.includes("close"))
      const second = yield* pair
      const reset = record(second.socket)
      const errors: Array<unknown> = []
      reset.sink.onError = (error) => errors.push(error.reason)
      reset.start()
      second.peer.reset()
      yield* eventually(() => reset.events.includes("close"))
      assert.deepStrictEqual(errors, ["Reset"])
    })
  )
})

describe("an accepted socket", () => {
  it.live("reads as usual if Node lacks what the buffer needs, or if it is patched", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      for (const change of [
        (socket: Socket) => Reflect.set(Reflect.get(socket, "_handle") as object, "useUserBuffer", undefined),
        (socket: Socket) => Object.defineProperty(socket, "push", { value: socket.push.bind(socket) })
      ]) {
        const peer = yield* rawClient(server.port)
        const { socket } = yield* server.next
        change(socket)
        ReadBuffer.adopt(socket)
        const { events, start, transport } = record(socket)
        start()
        peer.write("as usual")
        yield* eventually(() => events.length === 1)
        assert.deepStrictEqual(events, ["as usual"])
        transport.abort()
      }
    })
  )
})

describe("unsafeReadBuffer", () => {
  const unsafeReadBuffer = true

  /** Sends messages of many sizes on several connections at once, and checks that each gets its own back. */
  const exchange = (url: string) =>
    Effect.forEach(
      [1, 2, 3, 4],
      (seed) =>
        Effect.scoped(
          Effect.gen(function* () {
            const socket = yield* connect(url)
            const sizes = [1, 100, 5000, 16_384, 70_000, 300_000, 125, 64]
            const sent = sizes.map((size) => Uint8Array.from({ length: size }, (_, i) => (i * seed) % 253))
            for (const bytes of sent) yield* socket.send(bytes)
            yield* socket.send(`text ${seed}`.repeat(10_000))
            for (const bytes of sent) {
              const { data } = yield* socket.receive
              assert.isTrue(typeof data !== "string" && Buffer.from(data).equals(bytes))
            }
            assert.strictEqual((yield* socket.receive).data, `text ${seed}`.repeat(10_000))
          })
        ),
      { concurrency: "unbounded" }
    )

  it.live("is used by a server of its own", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ unsafeReadBuffer })
      yield* exchange(server.address.url)
    })
  )

  it.live("is used by a server on an HTTP server of the app", () =>
    Effect.gen(function* () {
      const http = Http.createServer()
      const service = yield* NodeWebSocketServer.attach(http, { unsafeReadBuffer })
      yield* Effect.forkScoped(service.run((socket) => socket.run((message) => socket.send(message))))
      yield* exchange(`ws://127.0.0.1:${yield* listen(http)}`)
    })
  )

  it.live("is used by fromUpgrade", () =>
    Effect.gen(function* () {
      const http = Http.createServer()
      const upgrades = yield* Queue.unbounded<readonly [Http.IncomingMessage, Duplex, Buffer]>()
      http.on("upgrade", (...upgrade) => Queue.offerUnsafe(upgrades, upgrade))
      const port = yield* listen(http)
      const serving = Effect.scoped(
        Effect.gen(function* () {
          const socket = yield* NodeWebSocketServer.fromUpgrade(...(yield* Queue.take(upgrades)), { unsafeReadBuffer })
          yield* socket.run((message) => socket.send(message))
        })
      )
      for (let i = 0; i < 4; i++) yield* Effect.forkScoped(serving)
      yield* exchange(`ws://127.0.0.1:${port}`)
    })
  )
})
