import { NodeZlib } from "@effect-websocket/platform/node"
import { Compressor, type Zlib } from "@effect-websocket/protocol/Compressor"
import * as Message from "@effect-websocket/protocol/Message"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import * as minizlib from "minizlib"
import { inflateRawSync } from "node:zlib"

/** Counts the compressors that were made and closed. */
const counting = () => {
  const seen = { made: 0, open: 0, mostOpen: 0 }
  class DeflateRaw extends minizlib.DeflateRaw {
    constructor(options: ConstructorParameters<typeof minizlib.DeflateRaw>[0]) {
      super(options)
      seen.made++
      seen.mostOpen = Math.max(seen.mostOpen, ++seen.open)
    }
    override close(): void {
      if (this.handle !== undefined) seen.open--
      super.close()
    }
  }
  return { seen, DeflateRaw }
}

const make = (zlib: Zlib, windowBits = 12, options: PermessageDeflate.Options = {}, contextTakeover = true) => {
  const direction = { windowBits, contextTakeover }
  return new Compressor({
    zlib,
    settings: PermessageDeflate.resolve(options),
    agreement: { extension: PermessageDeflate.format({}), outbound: direction, inbound: direction }
  })
}

/** The payload that a message is sent as; `undefined` if it is sent uncompressed. */
const deflate = (compressor: Compressor, data: Uint8Array): Uint8Array | undefined => {
  const deflation = compressor.deflation(Message.binary(data), true)
  return deflation && compressor.deflate(deflation)
}

const inflate = (compressor: Compressor, payload: Uint8Array): Uint8Array => {
  const result = compressor.inflate(payload, 0, payload.length, 1024 * 1024)
  return result instanceof Uint8Array ? result : assert.fail(String(result))
}

const same = (a: Uint8Array, b: Uint8Array) => assert.strictEqual(Buffer.compare(a, b), 0)

const bytes = (length: number, seed: number) =>
  Buffer.from(Array.from({ length }, (_, i) => Math.imul(i + seed + 1, 0x9e3779b1) >>> 24))
const record = (id: number, size = 1024) =>
  Buffer.from(
    JSON.stringify(
      Array.from({ length: size / 40 }, (_, i) => ({ id: id * 31 + i, name: `item ${i * 7919}`, even: i % 2 === 0 }))
    )
  )

// Each compressor counts as 116 KiB.
const room = (streams: number) => ({ maxBytes: streams * 116 * 1024 })

describe("a connection", () => {
  it("keeps one compressor, and makes what one with a dictionary would make", () => {
    const { DeflateRaw, seen } = counting()
    const kept = make(NodeZlib.fromMinizlib({ DeflateRaw }))
    const single = make(NodeZlib.zlib)
    const peer = make(NodeZlib.zlib)
    for (let i = 0; i < 100; i++) {
      const payload = deflate(kept, record(i))!
      same(inflate(peer, payload), record(i))
      assert.isAtMost(payload.length, deflate(single, record(i))!.length * 1.1)
    }
    assert.strictEqual(seen.made, 1)
  })

  it("starts again after a message that was not sent, or was deflated elsewhere", () => {
    const { DeflateRaw, seen } = counting()
    const kept = make(NodeZlib.fromMinizlib({ DeflateRaw }))
    const peer = make(NodeZlib.zlib)
    const next = (id: number) => same(inflate(peer, deflate(kept, record(id))!), record(id))
    next(0)
    next(1)
    assert.strictEqual(seen.made, 1)
    // It would not become smaller.
    assert.isUndefined(deflate(kept, bytes(300, 1)))
    next(2)
    assert.strictEqual(seen.made, 2)
    // Another thread deflated it.
    const large = kept.deflation(Message.binary(record(3)), true)!
    same(inflate(peer, kept.finish(large, NodeZlib.zlib.deflate(large.data, large.options))!), record(3))
    next(4)
    assert.strictEqual(seen.made, 3)
    // Another message came between.
    const overtaken = kept.deflation(Message.binary(record(5)), true)!
    const output = kept.run(overtaken)
    next(6)
    assert.isUndefined(kept.finish(overtaken, output))
    next(7)
    // The connection refused it after it was deflated.
    kept.run(kept.deflation(Message.binary(record(8)), true)!)
    next(9)
    assert.strictEqual(seen.open, 1)
  })

  it("keeps no compressor without context takeover, for a window of 8 bits, or for large messages", () => {
    const { DeflateRaw, seen } = counting()
    const zlib = NodeZlib.fromMinizlib({ DeflateRaw })
    for (const [compressor, peer] of [
      [make(zlib, 12, {}, false), make(NodeZlib.zlib, 12, {}, false)],
      [make(zlib, 8), make(NodeZlib.zlib, 8)]
    ] as const) {
      const run = Buffer.alloc(1000, 65)
      for (let i = 0; i < 3; i++) same(inflate(peer, deflate(compressor, run)!), run)
    }
    assert.strictEqual(seen.made, 0)
    const [compressor, peer] = [make(zlib), make(NodeZlib.zlib)]
    for (const size of [1024, 30_000, 1024]) {
      same(inflate(peer, deflate(compressor, record(1, size))!), record(1, size))
    }
    assert.strictEqual(seen.made, 2)
    assert.strictEqual(seen.open, 1)
  })

  it("sends an empty message uncompressed", () => {
    assert.isUndefined(deflate(make(NodeZlib.fromMinizlib(minizlib)), new Uint8Array(0)))
  })

  it("throws what zlib reports, and goes on", () => {
    let fails = true
    class DeflateRaw extends minizlib.DeflateRaw {
      override write(chunk: Uint8Array): boolean {
        if (!fails) return super.write(chunk)
        this.emit("error", new Error("out of memory"))
        return false
      }
    }
    const compressor = make(NodeZlib.fromMinizlib({ DeflateRaw }))
    assert.throws(() => deflate(compressor, record(0)), "out of memory")
    fails = false
    same(inflate(make(NodeZlib.zlib), deflate(compressor, record(0))!), record(0))
  })
})

describe("memory", () => {
  it("holds no more compressors than there is room for, and closes the others", () => {
    const { DeflateRaw, seen } = counting()
    const zlib = NodeZlib.fromMinizlib({ DeflateRaw }, room(10))
    const connections = Array.from({ length: 50 }, () => ({ sender: make(zlib), receiver: make(NodeZlib.zlib) }))
    for (let i = 0; i < 20; i++) {
      for (const [k, { receiver, sender }] of connections.entries()) {
        same(inflate(receiver, deflate(sender, record(i + k))!), record(i + k))
      }
    }
    assert.strictEqual(seen.open, 10)
    assert.strictEqual(seen.mostOpen, 10)
    // In turn they miss, but most of the compressors stay where they are used.
    assert.isBelow(seen.made, (50 * 20) / 7)
  })

  it("gives the place of the connection that was idle for longest to a busy one", () => {
    const { DeflateRaw, seen } = counting()
    const zlib = NodeZlib.fromMinizlib({ DeflateRaw }, room(1))
    deflate(make(zlib), record(0))
    const busy = make(zlib)
    for (let i = 0; i < 30; i++) deflate(busy, record(i))
    assert.deepStrictEqual(seen, { made: 2, open: 1, mostOpen: 1 })
  })

  it("counts compressors with large windows as such", () => {
    const { DeflateRaw, seen } = counting()
    const zlib = NodeZlib.fromMinizlib({ DeflateRaw }, { maxBytes: 3 * 340 * 1024 })
    for (let i = 0; i < 20; i++) deflate(make(zlib, 15, { memLevel: 8 }), record(i))
    assert.strictEqual(seen.mostOpen, 3)
    const none = counting()
    const tooSmall = make(NodeZlib.fromMinizlib(none, { maxBytes: 1 }))
    for (let i = 0; i < 20; i++) deflate(tooSmall, record(i))
    assert.strictEqual(none.seen.made, 0)
  })

  it("refuses a limit that makes no sense", () => {
    for (const maxBytes of [0, -1, 1.5, Number.NaN]) {
      assert.throws(() => NodeZlib.fromMinizlib(minizlib, { maxBytes }), RangeError, "maxBytes")
    }
  })
})

describe("properties", () => {
  const chunk = fc.oneof(
    fc.tuple(fc.nat({ max: 900 }), fc.nat({ max: 3 })).map(([length, seed]) => bytes(length, seed)),
    fc.tuple(fc.nat({ max: 50 }), fc.integer({ min: 40, max: 24_000 })).map(([id, size]) => record(id, size)),
    fc.nat({ max: 9000 }).map((length) => Buffer.alloc(length, 7))
  )
  // Which connection sends, what it sends, and whether the message is given up after it was deflated.
  const steps = fc.array(fc.tuple(fc.nat({ max: 3 }), fc.array(chunk, { maxLength: 3 }), fc.nat({ max: 9 })), {
    maxLength: 30
  })
  const parameters = fc.record({
    windowBits: fc.integer({ min: 8, max: 15 }),
    level: fc.integer({ min: 1, max: 9 }),
    memLevel: fc.integer({ min: 1, max: 9 }),
    places: fc.integer({ min: 1, max: 4 })
  })

  it("zlib reads all messages as one stream, and the peer each of them", () => {
    fc.assert(
      fc.property(parameters, steps, ({ level, memLevel, places, windowBits }, all) => {
        const maxBytes = places * (2 ** (windowBits + 2) + 2 ** (memLevel + 9) + 84 * 1024)
        const zlib = NodeZlib.fromMinizlib(minizlib, { maxBytes })
        const senders = Array.from({ length: 4 }, () => make(zlib, windowBits, { level, memLevel }))
        const sent = senders.map((): Array<{ readonly data: Uint8Array; readonly payload: Uint8Array }> => [])
        for (const [index, parts, fate] of all) {
          const data = Buffer.concat(parts)
          const sender = senders[index]!
          const deflation = sender.deflation(Message.binary(data), true)!
          const output = sender.run(deflation)
          if (fate === 0) continue
          const payload = sender.finish(deflation, output)
          if (payload === undefined) continue
          assert.isBelow(payload.length, data.length)
          sent[index]!.push({ data, payload })
        }
        for (const messages of sent) {
          const stream = Buffer.concat(
            messages.map(({ payload }) => Buffer.concat([payload, Buffer.from("0000ffff", "hex")]))
          )
          const ended = Buffer.concat([stream, Buffer.from("0300", "hex")])
          // In small chunks of output zlib has nothing to refer back to but the window.
          const options = { windowBits: Math.max(windowBits, 9), chunkSize: 64 }
          same(inflateRawSync(ended, options), Buffer.concat(messages.map(({ data }) => data)))
          const receiver = make(NodeZlib.zlib, windowBits)
          for (const { data, payload } of messages) same(inflate(receiver, payload), data)
        }
      }),
      { numRuns: 60 }
    )
  })
})
