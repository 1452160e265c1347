import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Backlog } from "../../../src/node/internal/backlog.js"

const blockBytes = 64 * 1024

const noise = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 17) & 0xff)

/** A view of a larger buffer, as a frame in a shared block is. */
const view = (bytes: Uint8Array): Uint8Array => {
  const block = new Uint8Array(Math.max(blockBytes, bytes.length))
  block.set(bytes, block.length - bytes.length)
  return block.subarray(block.length - bytes.length)
}

/** The buffers that it keeps alive, in bytes. */
const retained = (backlog: Backlog): number => {
  const buffers = new Set([backlog["tail"], ...backlog["chunks"]].map(({ buffer }) => buffer))
  return [...buffers].reduce((size, { byteLength }) => size + byteLength, 0)
}

describe("Backlog", () => {
  it("keeps the order, and at most twice its size and a block alive, whatever is added and taken", () => {
    const size = fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: 1, max: 500 }) },
      { weight: 2, arbitrary: fc.integer({ min: 500, max: 40_000 }) },
      { weight: 1, arbitrary: fc.integer({ min: blockBytes - 10, max: 3 * blockBytes }) }
    )
    const action = fc.record({ what: fc.constantFrom("copy", "copy", "refer", "take"), size })
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const backlog = new Backlog()
        let waiting = Buffer.alloc(0)
        for (const [i, { size, what }] of actions.entries()) {
          if (what === "take") {
            const taken = Buffer.concat(backlog.take(size))
            assert.isTrue(taken.equals(waiting.subarray(0, size)))
            waiting = waiting.subarray(size)
          } else {
            const bytes = noise(size, i)
            backlog[what]([view(bytes)])
            if (what === "refer") backlog.settle()
            waiting = Buffer.concat([waiting, bytes])
          }
          backlog.trim()
          assert.strictEqual(backlog.size, waiting.length)
          assert.isAtMost(retained(backlog), 2 * backlog.size + blockBytes)
        }
        assert.isTrue(Buffer.concat(backlog.take(backlog.size)).equals(waiting))
        assert.strictEqual(retained(backlog), 0)
      }),
      {
        numRuns: 50,
        examples: [
          [
            [
              { what: "copy", size: 65_542 },
              { what: "take", size: 65_539 },
              { what: "copy", size: 1 }
            ]
          ],
          [
            [
              { what: "copy", size: 65_536 },
              { what: "copy", size: 1 },
              { what: "take", size: 65_535 }
            ]
          ]
        ]
      }
    )
  })

  it("needs little for many small chunks", () => {
    const backlog = new Backlog()
    for (let i = 0; i < 1000; i++) backlog.copy([view(noise(6, i))])
    assert.isAtMost(backlog["chunks"].length, 20)
  })

  it("does not copy a large chunk", () => {
    const backlog = new Backlog()
    const large = noise(2 * blockBytes, 1)
    backlog.copy([large])
    assert.deepStrictEqual(
      backlog.take(backlog.size).map(({ buffer }) => buffer),
      [large.buffer]
    )
  })
})
