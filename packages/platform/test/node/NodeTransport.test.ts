import type { Transport } from "@effect-websocket/platform/Transport"
import { NodeTransport } from "@effect-websocket/platform/node"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { Socket } from "node:net"
import { Duplex, type DuplexOptions, PassThrough } from "node:stream"
import { Effect, Fiber, TestClock } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { deafSink } from "../support.js"
import { eventually, facts, ioFacts, mebibyte, noHandlesLeft, rawClient, rawServer, settled, start } from "./support.js"

afterEach(noHandlesLeft)

/** Both ends of a TCP connection: the socket for a transport, and its peer. */
const pair = Effect.gen(function* () {
  const server = yield* rawServer()
  const near = yield* rawClient(server.port)
  return { socket: near.socket, peer: yield* server.next }
})

const marks = { high: 65536, low: 16384 }

/** Writes until the high-water mark is reached. */
const fill = (transport: Transport): number => {
  let written = 0
  for (;;) {
    written += 65536
    if (!transport.write([new Uint8Array(65536)]).belowHighWater) return written
  }
}

describe("writing", () => {
  it.live("reports that the kernel has taken everything", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket)
      start(transport)
      const parts = ["one", "two", "three"].map((part) => Buffer.from(part))
      assert.deepStrictEqual(transport.write(parts), { taken: true, belowHighWater: true })
      assert.strictEqual(transport.bufferedBytes, 0)
      assert.strictEqual(yield* peer.until("three"), "onetwothree")
      transport.abort()
    })
  )

  it.live("reports that bytes wait, and whether they are below the mark", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket)
      const sink = start(transport, { high: 3 * 65536, low: 65536 })
      peer.socket.pause()
      let result = transport.write([new Uint8Array(65536)])
      let written = 65536
      while (result.taken) {
        result = transport.write([new Uint8Array(65536)])
        written += 65536
      }
      assert.deepStrictEqual(result, { taken: false, belowHighWater: true })
      assert.strictEqual(transport.bufferedBytes, 65536)
      assert.deepStrictEqual(transport.write([new Uint8Array(65536)]), { taken: false, belowHighWater: true })
      assert.deepStrictEqual(transport.write([new Uint8Array(65536)]), { taken: false, belowHighWater: false })
      assert.strictEqual(transport.bufferedBytes, 3 * 65536)
      yield* settled(() => transport.bufferedBytes)
      assert.deepStrictEqual(sink.events, [])
      yield* peer.count((total) => total === written + 2 * 65536)
      yield* sink.event("drain")
      assert.isAtMost(transport.bufferedBytes, 65536)
      assert.deepStrictEqual(sink.events, ["drain"])
      assert.deepStrictEqual(transport.write([Buffer.from("a")]), { taken: true, belowHighWater: true })
      transport.abort()
    })
  )

  it.live("drains again after every time it was above the mark", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket)
      const sink = start(transport, marks)
      let written = 0
      for (let round = 1; round <= 3; round++) {
        peer.socket.pause()
        written += fill(transport)
        yield* peer.count((total) => total > 0 && sink.events.length === round)
      }
      assert.deepStrictEqual(sink.events, ["drain", "drain", "drain"])
      transport.abort()
    })
  )

  it.live("does no harm after the end, or without a byte", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket)
      const sink = start(transport)
      assert.deepStrictEqual(transport.write([]), { taken: true, belowHighWater: true })
      transport.abort()
      assert.deepStrictEqual(transport.write([Buffer.from("late")]), { taken: true, belowHighWater: true })
      assert.strictEqual(transport.bufferedBytes, 0)
      transport.end()
      transport.pause()
      transport.resume()
      transport.abort()
      yield* sink.event("close")
      assert.deepStrictEqual(transport.write([Buffer.from("late")]), { taken: true, belowHighWater: true })
      yield* peer.left
      assert.deepStrictEqual(sink.events, ["close"])
    })
  )

  it.live("half-closes behind what was written, and reads on", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket)
      const sink = start(transport)
      const bytes = Buffer.alloc(8 * mebibyte, "x")
      transport.write([bytes])
      transport.end()
      assert.strictEqual((yield* peer.rest).length, bytes.length)
      peer.write("still here")
      yield* sink.received("still here")
      assert.notInclude(sink.events, "close")
      peer.end()
      yield* sink.event("close")
      assert.deepStrictEqual(
        sink.events.filter((event) => event !== "drain"),
        ["chunk", "eof", "close"]
      )
    })
  )

  it.live("drops everything when it is aborted", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket)
      const sink = start(transport)
      peer.socket.pause()
      fill(transport)
      transport.abort()
      yield* sink.event("close")
      assert.strictEqual(transport.bufferedBytes, 0)
      assert.deepStrictEqual(sink.events, ["close"])
      peer.socket.resume()
      yield* peer.left
    })
  )
})

describe("reading", () => {
  it.live("delivers the head first, and nothing before the start", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket, Buffer.from("head "))
      peer.write("body")
      yield* eventually(() => socket.bytesRead === 4)
      const sink = start(transport)
      assert.deepStrictEqual(sink.events, [])
      yield* sink.received("head body")
      peer.end()
      yield* sink.event("eof")
      assert.deepStrictEqual(sink.events, ["chunk", "eof"])
      transport.abort()
    })
  )

  it.live("delivers the head even if the peer has already gone", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket, Buffer.from("head"))
      peer.end()
      const sink = start(transport)
      yield* sink.event("eof")
      assert.strictEqual(sink.bytes.toString(), "head")
      assert.deepStrictEqual(sink.events, ["chunk", "eof"])
      transport.end()
      yield* sink.event("close")
    })
  )

  it.live("pushes back while it is paused, and loses nothing", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket)
      const sink = start(transport)
      peer.write("a")
      yield* sink.received("a")
      transport.pause()
      const sent = 64 * mebibyte
      peer.write(Buffer.alloc(sent))
      yield* settled(() => socket.bytesRead)
      assert.isAbove(peer.socket.writableLength, 0)
      assert.strictEqual(sink.bytes.length, 1)
      let received = 0
      sink.onChunk = (chunk) => {
        received += chunk.length
      }
      transport.resume()
      yield* eventually(() => received === sent)
      assert.strictEqual(peer.socket.writableLength, 0)
      transport.abort()
    })
  )

  it.live("gives back the memory of chunks if Node supports it and nobody else may use them", () =>
    Effect.gen(function* () {
      const { socket } = yield* pair
      const transport = NodeTransport.make(socket)
      const size = 64 * 1024
      const released = (bytes: Uint8Array, by = transport): boolean => {
        by.release?.(bytes)
        return bytes.length === 0
      }
      assert.strictEqual(released(new Uint8Array(size)), "transfer" in ArrayBuffer.prototype)
      assert.isFalse(released(new Uint8Array(new ArrayBuffer(size + 1), 0, size)))
      assert.isFalse(released(new Uint8Array(100)))
      assert.isFalse(released(new Uint8Array(size), NodeTransport.make(new PassThrough())))
      transport.abort()
    })
  )

  it.live("passes on as owned only chunks that nobody else can hold", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket, Buffer.from("head "))
      const owned: Array<readonly [string, boolean]> = []
      transport.start(
        { ...deafSink, onChunk: (chunk, isOwned) => owned.push([Buffer.from(chunk).toString(), isOwned]) },
        marks
      )
      yield* eventually(() => owned.length === 1)
      peer.write("read")
      yield* eventually(() => owned.length === 2)
      const listener = () => {}
      socket.on("data", listener)
      peer.write("by two")
      yield* eventually(() => owned.length === 3)
      assert.deepStrictEqual(owned, [
        ["head ", false],
        ["read", true],
        ["by two", false]
      ])
      transport.abort()
    })
  )

  it.live("reports a reset, and then its end, once", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket)
      const sink = start(transport)
      assert.strictEqual(transport.remoteAddress, "127.0.0.1")
      peer.reset()
      yield* sink.event("close")
      transport.abort()
      yield* settled(() => sink.events.length)
      assert.deepStrictEqual(sink.events, ["error", "close"])
      assert.deepStrictEqual(facts(sink.errors[0]), ioFacts("Reset", "read"))
      assert.strictEqual((sink.errors[0]!.cause as NodeJS.ErrnoException).code, "ECONNRESET")
    })
  )

  it.live("reports a write that fails", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket)
      const sink = start(transport)
      // Paused, so that writing learns of the reset before reading does.
      transport.pause()
      peer.reset()
      yield* peer.closed
      while (!socket.destroyed) {
        transport.write([Buffer.from("a")])
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      yield* sink.event("close")
      assert.deepStrictEqual(sink.events, ["error", "close"])
      assert.deepInclude(facts(sink.errors[0]), { _tag: "Io_error", reason: "Reset" })
    })
  )

  it.live.each(["destroyed", "closed"] as const)("ends at once where the socket was %s before the start", (state) =>
    Effect.gen(function* () {
      const { peer, socket } = yield* pair
      const transport = NodeTransport.make(socket)
      let closed = false
      socket.once("close", () => (closed = true))
      if (state === "destroyed") socket.destroy()
      else peer.reset()
      yield* eventually(() => (state === "destroyed" ? socket.destroyed : closed))
      const sink = start(transport)
      assert.deepStrictEqual(sink.events, [])
      yield* sink.event("close")
      yield* settled(() => sink.events.length)
      assert.deepStrictEqual(sink.events, ["close"])
    }).pipe(Effect.scoped)
  )
})

/** A stream that calls back for a write when the test wants, and holds what it was given. */
const manualStream = () => {
  const held: Array<Uint8Array> = []
  let done: (() => void) | undefined
  const stream = new Duplex({
    read: () => {},
    writev: (chunks, callback) => {
      for (const { chunk } of chunks) held.push(chunk)
      done = callback
    },
    write: (chunk, _encoding, callback) => {
      held.push(chunk)
      done = callback
    }
  })
  const taken = Effect.promise(() => {
    done?.()
    return new Promise((resolve) => setImmediate(resolve))
  })
  return { stream, held, taken }
}

describe("any duplex", () => {
  it.live("carries bytes", () =>
    Effect.gen(function* () {
      const transport = NodeTransport.make(new PassThrough())
      const sink = start(transport)
      assert.strictEqual(transport.remoteAddress, undefined)
      transport.write([Buffer.from("around")])
      yield* sink.received("around")
      transport.end()
      yield* sink.event("close")
      assert.deepStrictEqual(sink.events, ["chunk", "eof", "close"])
    })
  )

  class Other extends Socket {}
  const patched = new Socket()
  patched._write = (_chunk, _encoding, callback) => callback()
  for (const [name, stream] of [
    ["a duplex", () => new Duplex({ read: () => {}, write: (_chunk, _encoding, callback) => callback() })],
    ["a subclass of Socket", () => Object.assign(new Other(), { _write: patched._write })],
    ["a socket that is patched", () => patched]
  ] as const) {
    it(`never reports bytes as taken, and passes on no chunk as owned: ${name}`, () => {
      const transport = NodeTransport.make(stream())
      const owned: Array<boolean> = []
      transport.start({ ...deafSink, onChunk: (_chunk, isOwned) => owned.push(isOwned) }, marks)
      assert.deepStrictEqual(transport.write([Buffer.from("a")]), { taken: false, belowHighWater: true })
      assert.strictEqual(transport.bufferedBytes, 0)
      const bytes = new Uint8Array(64 * 1024)
      transport.release?.(bytes)
      assert.strictEqual(bytes.length, 64 * 1024)
      transport.abort()
      assert.deepStrictEqual(owned, [])
    })
  }

  it.live("also passes on chunks that another stream may hold", () =>
    Effect.gen(function* () {
      const stream = new PassThrough()
      const owned: Array<boolean> = []
      NodeTransport.make(stream).start({ ...deafSink, onChunk: (_chunk, isOwned) => owned.push(isOwned) }, marks)
      stream.write("a")
      yield* eventually(() => owned.length > 0)
      assert.deepStrictEqual(owned, [false])
      stream.destroy()
    })
  )

  it.live("is given one slice at a time, in order, and the end behind the last", () =>
    Effect.gen(function* () {
      const { held, stream, taken } = manualStream()
      const transport = NodeTransport.make(stream)
      const sink = start(transport)
      const large = Uint8Array.from({ length: mebibyte }, (_, i) => i % 251)
      transport.write([Buffer.from("head"), large])
      transport.write([Buffer.from("small ")])
      transport.write([Buffer.from("ones")])
      transport.end()
      transport.write([Buffer.from("late")])
      let before = transport.bufferedBytes
      assert.strictEqual(before, 4 + mebibyte + 10)
      while (transport.bufferedBytes > 0) {
        yield* taken
        // No message is so large that nothing is seen to leave.
        assert.isAbove(before - transport.bufferedBytes, 0)
        assert.isAtMost(before - transport.bufferedBytes, 256 * 1024)
        before = transport.bufferedBytes
      }
      yield* eventually(() => stream.writableFinished)
      assert.isTrue(Buffer.concat(held).equals(Buffer.concat([Buffer.from("head"), large, Buffer.from("small ones")])))
      assert.deepStrictEqual(sink.events, ["drain"])
      transport.abort()
    })
  )

  it.effect("carries a message that takes minutes, and neither side counts as dead", () =>
    Effect.gen(function* () {
      const { held, stream, taken } = manualStream()
      const socket = yield* WebSocket.fromTransport(NodeTransport.make(stream), { role: "server" })
      const sending = yield* Effect.forkChild(socket.send(new Uint8Array(mebibyte)))
      yield* taken
      for (let slice = 0; slice < 4; slice++) {
        yield* TestClock.adjust("30 seconds")
        yield* taken
      }
      yield* Fiber.join(sending)
      assert.isTrue(yield* socket.isOpen)
      assert.isAtLeast(Buffer.concat(held).length, mebibyte)
      yield* Effect.forkChild(socket.abort)
    }).pipe(Effect.scoped)
  )
})

describe("a stream of the app's", () => {
  it.live.each<[string, DuplexOptions]>([
    ["emits no close", { emitClose: false }],
    ["is never done with its destruction", { destroy: () => {} }]
  ])("that %s is given up once it is dropped", ([, options]) =>
    Effect.callback<void>((resume) => {
      const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, callback) => callback(), ...options })
      const transport = NodeTransport.make(stream)
      transport.start({ ...deafSink, onClose: () => resume(Effect.void) }, marks)
      transport.abort()
      assert.isTrue(stream.destroyed)
    })
  )
})
