import { assert, describe, it, vi } from "vitest"
import * as fc from "fast-check"
import { maxPooledBytes, Output } from "../../src/internal/Output.js"
import * as arbitraries from "../arbitraries.js"
import { concat, hex } from "../support.js"

const blockBytes = 2 * maxPooledBytes

/** A new instance of the module, whose blocks no other test has used. */
const fresh = async (): Promise<new () => Output> => {
  vi.resetModules()
  return (await import("../../src/internal/Output.js")).Output
}

const write = (output: Output, bytes: Uint8Array): void => {
  output.reserve(bytes.length)
  output.bytes.set(bytes, output.offset)
  output.commit(output.offset + bytes.length)
}

const fill = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)

const sizesOf = (pieces: ReadonlyArray<Uint8Array>): ReadonlyArray<number> => pieces.map(({ length }) => length)

const buffersOf = (pieces: ReadonlyArray<Uint8Array>): ReadonlyArray<number> =>
  pieces.map(({ buffer }) => buffer.byteLength)

describe("Output", () => {
  it("is empty at first and after a take", () => {
    const output = new Output()
    assert.deepStrictEqual([output.size, output.take()], [0, []])
    write(output, fill(3, 1))
    assert.strictEqual(output.size, 3)
    output.take()
    assert.deepStrictEqual([output.size, output.take()], [0, []])
  })

  it("joins consecutive writes of one connection into one piece", () => {
    const output = new Output()
    for (let i = 1; i <= 100; i++) write(output, fill(i, i))
    assert.strictEqual(output.size, 5050)
    const pieces = output.take()
    assert.strictEqual(pieces.length, 1)
    assert.strictEqual(hex(concat(pieces)), hex(concat(Array.from({ length: 100 }, (_, i) => fill(i + 1, i + 1)))))
  })

  it("keeps only the committed part of a reservation", () => {
    const output = new Output()
    for (const value of [1, 2]) {
      output.reserve(100)
      output.bytes.set(fill(10, value), output.offset)
      output.commit(output.offset + 10)
    }
    assert.strictEqual(output.size, 20)
    assert.strictEqual(hex(concat(output.take())), "01".repeat(10) + "02".repeat(10))

    output.reserve(maxPooledBytes + 1)
    output.commit(output.offset + 5)
    assert.strictEqual(output.size, 5)
    assert.deepStrictEqual(sizesOf(output.take()), [5])
  })

  it("appends without copying, in order", () => {
    const output = new Output()
    const appended = fill(5, 2)
    write(output, fill(3, 1))
    output.append(appended)
    write(output, fill(4, 3))
    assert.strictEqual(output.size, 12)
    const pieces = output.take()
    assert.deepStrictEqual(sizesOf(pieces), [3, 5, 4])
    assert.strictEqual(pieces[1], appended)
  })

  it("joins what was appended alone with what follows", () => {
    const output = new Output()
    const frame = fill(5, 1)
    output.refer(frame)
    output.join()
    output.copy(fill(6, 2))
    assert.strictEqual(output.size, 11)
    const joined = output.take()
    assert.deepStrictEqual(sizesOf(joined), [11])
    assert.strictEqual(hex(concat(joined)), "01".repeat(5) + "02".repeat(6))
    output.recycle()
    // A piece that can grow stays, and so do several.
    output.copy(fill(1, 1))
    output.join()
    output.refer(frame)
    output.join()
    assert.deepStrictEqual(sizesOf(output.take()), [1, 5])
    output.recycle()
    output.join()
    assert.deepStrictEqual(output.take(), [])
  })

  it("gives a large frame a buffer of its own", async () => {
    const Output = await fresh()
    const output = new Output()
    write(output, fill(1, 1))
    write(output, fill(maxPooledBytes, 2))
    write(output, fill(maxPooledBytes + 1, 3))
    write(output, fill(1, 4))
    const pieces = output.take()
    assert.deepStrictEqual(
      pieces.map((piece) => [piece.length, piece.buffer.byteLength]),
      [
        [maxPooledBytes + 1, blockBytes],
        [maxPooledBytes + 1, maxPooledBytes + 1],
        [1, blockBytes]
      ]
    )
  })

  it("shares a block among connections, and each one takes its own bytes", async () => {
    const Output = await fresh()
    const [a, b] = [new Output(), new Output()]
    for (let i = 0; i < 3; i++) {
      write(a, fill(2, 0xa))
      write(b, fill(3, 0xb))
    }
    write(b, fill(3, 0xb))
    const [ofA, ofB] = [a.take(), b.take()]
    assert.strictEqual(hex(concat(ofA)), "0a".repeat(6))
    assert.strictEqual(hex(concat(ofB)), "0b".repeat(12))
    // Where another one wrote behind a piece, a new one begins.
    assert.deepStrictEqual(
      [sizesOf(ofA), sizesOf(ofB)],
      [
        [2, 2, 2],
        [3, 3, 6]
      ]
    )
    assert.strictEqual(new Set([...ofA, ...ofB].map(({ buffer }) => buffer)).size, 1)
  })

  it("reuses a block only once all of its pieces are recycled", async () => {
    const Output = await fresh()
    const [a, b] = [new Output(), new Output()]
    write(a, fill(10, 1))
    write(b, fill(10, 2))
    const [first] = a.take()
    const [second] = b.take()
    a.recycle()
    write(a, fill(10, 3))
    const [third] = a.take()
    assert.deepStrictEqual([first?.byteOffset, second?.byteOffset, third?.byteOffset], [0, 10, 20])
    b.recycle()
    a.recycle()
    write(a, fill(10, 4))
    const [fourth] = a.take()
    assert.strictEqual(fourth?.buffer, first?.buffer)
    assert.strictEqual(fourth?.byteOffset, 0)
  })

  it("does not overwrite a piece that still grows", async () => {
    const Output = await fresh()
    const output = new Output()
    write(output, fill(4, 1))
    output.take()
    write(output, fill(4, 2))
    output.recycle()
    write(output, fill(4, 3))
    assert.strictEqual(hex(concat(output.take())), "02".repeat(4) + "03".repeat(4))
  })

  it("never rewrites a piece that was not recycled", async () => {
    const Output = await fresh()
    const output = new Output()
    const kept: Array<Uint8Array> = []
    for (let i = 0; i < 20; i++) {
      write(output, fill(maxPooledBytes - 100, i))
      kept.push(...output.take())
    }
    for (const [i, piece] of kept.entries())
      assert.isTrue(
        piece.every((byte) => byte === i),
        `piece ${i}`
      )
    // Only the pieces of the last take are reported.
    output.recycle()
    output.recycle()
    for (let i = 0; i < 4; i++) write(output, fill(maxPooledBytes, 0xff))
    for (const [i, piece] of kept.slice(0, -1).entries())
      assert.isTrue(
        piece.every((byte) => byte === i),
        `piece ${i}`
      )
  })

  it("keeps no block alive for output behind a take that is not recycled", async () => {
    const Output = await fresh()
    const output = new Output()
    write(output, fill(400, 1))
    assert.deepStrictEqual(buffersOf(output.take()), [blockBytes])
    for (let i = 0; i < 3; i++) {
      write(output, fill(400, 2))
      write(output, fill(40, 3))
      const pieces = output.take()
      assert.deepStrictEqual(buffersOf(pieces), [440])
      assert.strictEqual(hex(concat(pieces)), "02".repeat(400) + "03".repeat(40))
    }
    output.recycle()
    write(output, fill(400, 4))
    assert.deepStrictEqual(buffersOf(output.take()), [blockBytes])
  })

  it("keeps at most one block alive for a few bytes that are spread over many blocks", async () => {
    const Output = await fresh()
    const [output, other] = [new Output(), new Output()]
    for (let i = 0; i < 20; i++) {
      write(output, fill(100, i))
      write(other, fill(maxPooledBytes - 1000, 0xff))
      write(other, fill(maxPooledBytes - 1000, 0xff))
      other.take()
      other.recycle()
    }
    const pieces = output.take()
    const retained = [...new Set(pieces.map(({ buffer }) => buffer))].reduce((sum, b) => sum + b.byteLength, 0)
    assert.isAtMost(retained, 2 * 2000 + blockBytes)
    assert.strictEqual(hex(concat(pieces)), hex(concat(Array.from({ length: 20 }, (_, i) => fill(100, i)))))
  })

  it("reuses a few blocks", async () => {
    const Output = await fresh()
    const output = new Output()
    const buffers = new Set<ArrayBufferLike>()
    for (let i = 0; i < 50; i++) {
      for (let j = 0; j < 5; j++) write(output, fill(maxPooledBytes - 1, i))
      for (const piece of output.take()) buffers.add(piece.buffer)
      output.recycle()
    }
    assert.isAtMost(buffers.size, 6)
  })

  it("keeps the bytes of all connections apart, in any order of operations", () => {
    const outputs = 3
    const size = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 0, max: 300 }) },
      { weight: 2, arbitrary: fc.integer({ min: 10_000, max: maxPooledBytes }) },
      { weight: 1, arbitrary: fc.integer({ min: maxPooledBytes, max: maxPooledBytes + 100 }) }
    )
    const action = fc.record({
      who: fc.nat(outputs - 1),
      what: fc.constantFrom("write", "write", "write", "append", "take", "recycle"),
      size,
      unused: fc.nat(50)
    })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const models = Array.from({ length: outputs }, () => ({
          output: new Output(),
          waiting: [] as Array<Uint8Array>,
          taken: [] as ReadonlyArray<Uint8Array>,
          takenBytes: concat([])
        }))
        for (const [i, { size, unused, what, who }] of actions.entries()) {
          const model = models[who]!
          const bytes = arbitraries.noise(size, i)
          if (what === "write") {
            model.output.reserve(size + unused)
            model.output.bytes.set(bytes, model.output.offset)
            model.output.commit(model.output.offset + size)
            model.waiting.push(bytes)
          } else if (what === "append") {
            model.output.append(bytes)
            model.waiting.push(bytes)
          } else if (what === "take") {
            model.taken = model.output.take()
            model.takenBytes = concat(model.waiting)
            model.waiting = []
          } else {
            model.output.recycle()
            model.taken = []
            model.takenBytes = concat([])
          }
          assert.strictEqual(
            model.output.size,
            model.waiting.reduce((sum, { length }) => sum + length, 0)
          )
          for (const { taken, takenBytes } of models) {
            assert.strictEqual(Buffer.compare(Buffer.concat(taken), takenBytes), 0)
          }
        }
        for (const { output, waiting } of models) {
          assert.strictEqual(Buffer.compare(Buffer.concat(output.take()), concat(waiting)), 0)
          output.recycle()
        }
      })
    )
  })
})
