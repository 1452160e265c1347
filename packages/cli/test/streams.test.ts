import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { PassThrough, Readable, Writable } from "node:stream"
import { Failure } from "../src/Failure.js"
import { makeOutput, read } from "../src/streams.js"

const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** A writable whose reader takes one chunk at a time. */
const slowOutput = () => {
  const taken: Array<string> = []
  const callbacks: Array<() => void> = []
  const output = new Writable({
    highWaterMark: 1,
    write: (chunk: Buffer, _, done) => {
      taken.push(chunk.toString())
      callbacks.push(done)
    }
  })
  return {
    output,
    taken,
    take: Effect.andThen(
      Effect.sync(() => callbacks.shift()?.()),
      turn
    )
  }
}

describe("streams", () => {
  describe("read", () => {
    it.effect("returns chunks, and then the end", () =>
      Effect.gen(function* () {
        const input = Readable.from([Buffer.from("a"), Buffer.from("b")])
        let text = ""
        for (let chunk = yield* read(input); chunk !== undefined; chunk = yield* read(input)) text += chunk.toString()
        assert.strictEqual(text, "ab")
        assert.isUndefined(yield* read(input))
      })
    )

    it.effect("reads no more than it is asked for", () =>
      Effect.gen(function* () {
        let made = 0
        const input = new Readable({ highWaterMark: 1, read: () => void input.push(Buffer.alloc(1, made++)) })
        yield* read(input)
        yield* turn
        assert.isBelow(made, 5)
      })
    )

    it.effect("loses nothing when it is interrupted, and keeps no listener", () =>
      Effect.gen(function* () {
        const input = new PassThrough()
        const fiber = yield* Effect.forkChild(read(input))
        yield* turn
        yield* Fiber.interrupt(fiber)
        input.write("a")
        assert.strictEqual(String(yield* read(input)), "a")
        assert.deepStrictEqual(
          ["readable", "error"].map((event) => input.listenerCount(event)),
          [0, 0]
        )
      })
    )

    it.effect("fails if the stream does", () =>
      Effect.gen(function* () {
        const input = new PassThrough()
        const fiber = yield* Effect.forkChild(Effect.flip(read(input)))
        yield* turn
        input.destroy(Object.assign(new Error("no"), { code: "EIO" }))
        const failure = yield* Fiber.join(fiber)
        assert.deepStrictEqual([failure.exitCode, failure.message], [2, "stdin cannot be read: EIO"])
      })
    )
  })

  describe("makeOutput", () => {
    it.effect("waits until there is room", () =>
      Effect.gen(function* () {
        const { output, take, taken } = slowOutput()
        const { flush, write } = makeOutput(output)
        const fiber = yield* Effect.forkChild(Effect.andThen(write("a"), write("b")))
        yield* turn
        assert.deepStrictEqual(taken, ["a"])
        assert.strictEqual(output.writableLength, 1)
        yield* take
        assert.deepStrictEqual(taken, ["a", "b"])
        const flushed = yield* Effect.forkChild(flush)
        yield* take
        yield* take
        yield* Fiber.join(fiber)
        yield* Fiber.join(flushed)
      })
    )

    it.effect("ends with 0 if its reader has gone, and with 23 if it cannot be written", () =>
      Effect.gen(function* () {
        for (const [code, exitCode] of [
          ["EPIPE", 0],
          ["ENOSPC", 23]
        ] as const) {
          const output = new Writable({
            write: (_chunk, _encoding, done) => done(Object.assign(new Error(), { code }))
          })
          const { ended, flush, write } = makeOutput(output)
          yield* Effect.exit(write("a"))
          const failure = yield* Effect.flip(ended)
          assert(failure instanceof Failure)
          assert.strictEqual(failure.exitCode, exitCode)
          assert.isTrue(Exit.isFailure(yield* Effect.exit(write("b"))))
          yield* flush
        }
      })
    )
  })
})
