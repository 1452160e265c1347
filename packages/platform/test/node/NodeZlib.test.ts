import { NodeZlib } from "@effect-websocket/platform/node"
import type { DeflateOptions } from "@effect-websocket/protocol/Compressor"
import { assert, describe, it } from "@effect/vitest"
import { syncBuiltinESMExports } from "node:module"
import nodeZlib from "node:zlib"

const { zlib } = NodeZlib
const empty = new Uint8Array(0)
const text = Buffer.from("a text that repeats itself, and a text that repeats itself. ".repeat(100))
const noise = Buffer.from(Array.from({ length: 3000 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 24))

const deflateOptions = (options: Partial<DeflateOptions> = {}): DeflateOptions => ({
  dictionary: empty,
  windowBits: 12,
  level: 6,
  memLevel: 5,
  ...options
})

const deflate = (data: Uint8Array, options?: Partial<DeflateOptions>): Buffer => {
  const deflated = zlib.deflate(data, deflateOptions(options))
  return deflated === undefined ? assert.fail("not smaller") : Buffer.from(deflated)
}

const inflate = (data: Uint8Array, { dictionary = empty, maxBytes = 1024 * 1024, windowBits = 15 } = {}) =>
  zlib.inflate(data, { dictionary, maxBytes, windowBits })

const inflated = (data: Uint8Array, options?: Parameters<typeof inflate>[1]) => {
  const result = inflate(data, options)
  return typeof result === "string" ? assert.fail(result) : result
}

const finalBlock = Buffer.from([3, 0])
const ended = (data: Uint8Array) => Buffer.concat([data, finalBlock])

describe("deflate", () => {
  it("ends with an empty block, and starts where the dictionary ends", () => {
    const alone = deflate(text)
    assert.strictEqual(alone.subarray(-4).toString("hex"), "0000ffff")
    const behind = deflate(text, { dictionary: text })
    assert.isBelow(behind.length, alone.length)
    assert.strictEqual(Buffer.compare(inflated(ended(alone)).data, text), 0)
    assert.strictEqual(Buffer.compare(inflated(ended(behind), { dictionary: text }).data, text), 0)
    assert.strictEqual(inflate(ended(behind)), "Corrupt")
  })

  it.each([8, 9, 10, 11, 12, 13, 14, 15])("refers back no further than a window of %i bits", (windowBits) => {
    const random = Buffer.concat([noise, Buffer.from(noise).reverse()])
    const data = Buffer.concat([random, text, Buffer.alloc(700, 65), random, text])
    for (const dictionary of [empty, data.subarray(-(2 ** windowBits))]) {
      const deflated = ended(deflate(data, { windowBits, dictionary }))
      // In small chunks of output zlib has nothing to refer back to but the window.
      const decoded = nodeZlib.inflateRawSync(deflated, { windowBits, dictionary, chunkSize: 64 })
      assert.strictEqual(Buffer.compare(decoded, data), 0)
    }
  })

  it("compresses runs in a window of 8 bits", () => {
    assert.isBelow(deflate(Buffer.alloc(1000, 65), { windowBits: 8 }).length, 20)
  })

  it("returns undefined for data that would not become smaller", () => {
    assert.isUndefined(zlib.deflate(noise.subarray(0, 500), deflateOptions()))
    assert.isUndefined(zlib.deflate(empty, deflateOptions()))
  })

  it("throws what is not the data's fault", () => {
    assert.throws(() => zlib.deflate(text, deflateOptions({ windowBits: 16 })), RangeError)
  })
})

describe("inflate", () => {
  const data = ended(deflate(text))

  it("returns where the final block ended", () => {
    assert.strictEqual(inflated(data).consumed, data.length)
    assert.strictEqual(inflated(Buffer.concat([data, text])).consumed, data.length)
  })

  it("refuses data that is corrupt or cut off", () => {
    assert.strictEqual(inflate(data.subarray(0, -1)), "Corrupt")
    assert.strictEqual(inflate(data.subarray(0, 20)), "Corrupt")
    assert.strictEqual(inflate(Buffer.from([7])), "Corrupt")
    assert.strictEqual(inflate(empty), "Corrupt")
  })

  it("stops at the limit, whatever that is", () => {
    assert.strictEqual(inflated(data, { maxBytes: text.length }).data.length, text.length)
    for (const maxBytes of [0, 1, 100, text.length - 1]) assert.strictEqual(inflate(data, { maxBytes }), "TooLarge")
    assert.strictEqual(inflated(finalBlock, { maxBytes: 0 }).data.length, 0)
    assert.strictEqual(inflate(ended(deflate(Buffer.from("aaaaaaaa"))), { maxBytes: 0 }), "TooLarge")
  })

  it("holds little more than the limit on the way", () => {
    const bomb = ended(deflate(Buffer.alloc(64 * 1024 * 1024)))
    const before = process.memoryUsage().arrayBuffers
    assert.strictEqual(inflate(bomb, { maxBytes: 1024 * 1024 }), "TooLarge")
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 1.2 * 1024 * 1024)
  })

  it("throws what is not the data's fault", () => {
    assert.throws(() => inflate(data, { windowBits: 16 }), RangeError)
  })
})

describe("deflateLater", () => {
  const later = (data: Uint8Array, options?: Partial<DeflateOptions>) =>
    new Promise<Uint8Array | undefined>((resolve) => zlib.deflateLater(data, deflateOptions(options), resolve))

  it("does what deflate does, never before it has returned", async () => {
    let done = false
    const result = new Promise<Uint8Array | undefined>((resolve) => {
      zlib.deflateLater(text, deflateOptions({ dictionary: text }), (deflated) => {
        done = true
        resolve(deflated)
      })
      assert.isFalse(done)
    })
    assert.strictEqual(Buffer.compare((await result)!, deflate(text, { dictionary: text })), 0)
    assert.isUndefined(await later(noise.subarray(0, 500)))
  })

  it("goes on after messages that zlib could not begin, which are not deflated", async () => {
    // A window that zlib does not have.
    const failing = [16, 16, 16].map((windowBits) => later(text, { windowBits }))
    assert.deepStrictEqual(await Promise.all(failing), [undefined, undefined, undefined])
    const running = [later(text), later(text)]
    // It begins in a callback of zlib.
    const waiting = [later(text, { windowBits: 16 }), later(text)]
    for (const deflated of await Promise.all([...running, waiting[1]!])) assert.isDefined(deflated)
    assert.isUndefined(await waiting[0]!)
    const cancel = zlib.deflateLater(text, deflateOptions({ windowBits: 16 }), () => assert.fail("cancelled"))
    cancel()
    await new Promise((resolve) => setImmediate(resolve))
  })

  it("runs two at once, in the order in which they came, and those that were given up not at all", async () => {
    const started: Array<Uint8Array> = []
    const callbacks: Array<() => void> = []
    const original = nodeZlib.deflateRaw
    const held = (data: Uint8Array, options: nodeZlib.ZlibOptions, callback: nodeZlib.CompressCallback) => {
      started.push(data)
      callbacks.push(() => original(data, options, callback))
    }
    nodeZlib.deflateRaw = held as typeof nodeZlib.deflateRaw
    syncBuiltinESMExports()
    try {
      const messages = Array.from({ length: 6 }, (_, i) => Buffer.from(`${i}`.repeat(100)))
      const finished: Array<number> = []
      let wake = () => {}
      const cancels = messages.map((message, i) =>
        zlib.deflateLater(message, deflateOptions(), () => {
          finished.push(i)
          wake()
        })
      )
      const until = (count: number) =>
        new Promise<void>((resolve) => {
          wake = () => finished.length >= count && resolve()
          wake()
        })
      assert.deepStrictEqual(started, messages.slice(0, 2))
      cancels[1]!()
      cancels[3]!()
      // One that runs keeps its thread until it is done, given up or not.
      assert.lengthOf(started, 2)
      callbacks[0]!()
      await until(1)
      assert.deepStrictEqual(started, messages.slice(0, 3))
      callbacks[2]!()
      await until(2)
      assert.deepStrictEqual(started.slice(3), messages.slice(4, 5))
      callbacks[1]!()
      callbacks[3]!()
      await until(3)
      while (callbacks.length < 5) await new Promise((resolve) => setImmediate(resolve))
      callbacks[4]!()
      await until(4)
      assert.deepStrictEqual(finished, [0, 2, 4, 5])
    } finally {
      nodeZlib.deflateRaw = original
      syncBuiltinESMExports()
    }
  })
})
