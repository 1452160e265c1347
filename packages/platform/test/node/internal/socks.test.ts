import * as fc from "fast-check"
import { assert, describe, it } from "@effect/vitest"
import { Duplex } from "node:stream"
import { Effect } from "../../effect/index.js"
import { perform, version4, version5 } from "../../../src/node/internal/socks.js"

const target = { host: "a.test", port: 80 }
const userInfo = { username: "me", password: "secret" }
const handshakes = {
  4: () => version4(target, "me"),
  5: () => version5(target, userInfo)
}

/** The result of a handshake with a proxy that sends these bytes, piece by piece, and the bytes that are left. */
const answered = (version: 4 | 5, pieces: ReadonlyArray<Uint8Array>) =>
  Effect.callback<{ readonly refusal: string | undefined; readonly rest: Buffer }>((resume) => {
    const stream = new Duplex({
      allowHalfOpen: false,
      read() {},
      write: (_chunk, _encoding, callback) => callback()
    })
    perform(stream, handshakes[version](), (refusal) => {
      const chunks: Array<Buffer> = []
      const end = () => resume(Effect.succeed({ refusal, rest: Buffer.concat(chunks) }))
      stream.on("data", (chunk: Buffer) => chunks.push(chunk))
      if (stream.closed) end()
      else stream.once("close", end)
    })
    for (const piece of pieces) stream.push(piece)
    stream.push(null)
  })

const split = (bytes: Uint8Array, cuts: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end)).filter(({ length }) => length > 0)
}

const granted = {
  4: [[0, 90, 1, 2, 3, 4, 5, 6]],
  5: [
    [5, 0, 5, 0, 0, 1, 1, 2, 3, 4, 5, 6],
    [5, 2, 1, 0, 5, 0, 0, 3, 2, 97, 98, 0, 80],
    [5, 0, 5, 0, 0, 4, ...Array.from({ length: 18 }, (_, i) => i)]
  ]
}

describe("a handshake with a SOCKS proxy", () => {
  for (const version of [4, 5] as const) {
    it(`of version ${version} reads its answers in any pieces, and nothing behind them`, () =>
      fc.assert(
        fc.asyncProperty(
          fc.constantFrom(...granted[version]),
          fc.uint8Array({ minLength: 1, maxLength: 20 }),
          fc.array(fc.nat(), { maxLength: 8 }),
          async (answers, behind, cuts) => {
            const { refusal, rest } = await Effect.runPromise(
              answered(version, split(Uint8Array.from([...answers, ...behind]), cuts))
            )
            assert.isUndefined(refusal)
            assert.deepStrictEqual(rest, Buffer.from(behind))
          }
        )
      ))

    it(`of version ${version} ends for any answer`, () =>
      fc.assert(
        fc.asyncProperty(
          fc.uint8Array({ maxLength: 30 }),
          fc.constantFrom(...granted[version]),
          fc.nat(30),
          fc.array(fc.nat(), { maxLength: 8 }),
          async (noise, answers, kept, cuts) => {
            const bytes = Uint8Array.from([...answers.slice(0, kept), ...noise])
            const { refusal } = await Effect.runPromise(answered(version, split(bytes, cuts)))
            if (kept < answers.length && noise.length === 0) assert.isString(refusal)
          }
        )
      ))
  }
})
