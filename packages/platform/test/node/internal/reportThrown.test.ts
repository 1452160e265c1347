import { Socket } from "node:net"
import { Duplex, type DuplexOptions } from "node:stream"
// Not exported by the package.
import { Effect } from "../../effect/index.js"
import { assert, describe, it } from "../../effect/vitest.js"
import { reportThrown } from "../../../src/node/internal/reportThrown.js"

const bug = new Error("bug")
const read = (): void => {}

/** What the stream reports after it has written twice. */
const errorOf = (options: DuplexOptions) =>
  Effect.callback<Error>((resume) => {
    const stream = new Duplex({ read, ...options })
    reportThrown(stream)
    stream.on("error", (error) => resume(Effect.succeed(error)))
    stream.cork()
    stream.write("a")
    stream.write("b")
    stream.uncork()
  })

describe("reportThrown", () => {
  it.effect("turns an error that a stream throws while it writes into an error of the stream", () =>
    Effect.gen(function* () {
      const throws = (): void => {
        throw bug
      }
      assert.strictEqual(yield* errorOf({ write: throws }), bug)
      assert.strictEqual(yield* errorOf({ writev: throws }), bug)
      const text = yield* errorOf({
        write: () => {
          throw "no error"
        }
      })
      assert.deepStrictEqual([text.message, text.cause], ["no error", "no error"])
    })
  )

  it("changes nothing else, and does so once", () => {
    const written: Array<unknown> = []
    const stream = new Duplex({
      read,
      write: (chunk: Buffer, _encoding, done) => {
        written.push(chunk.toString())
        done()
      }
    })
    reportThrown(stream)
    const guarded: unknown = Reflect.get(stream, "_write")
    reportThrown(stream)
    assert.strictEqual(Reflect.get(stream, "_write"), guarded)
    assert.isNull(Reflect.get(stream, "_writev"))
    stream.write("a")
    assert.deepStrictEqual(written, ["a"])
  })

  it("leaves the sockets of Node alone", () => {
    const socket = new Socket()
    reportThrown(socket)
    assert.isFalse(Object.hasOwn(socket, "_write"))
    socket.destroy()
  })
})
