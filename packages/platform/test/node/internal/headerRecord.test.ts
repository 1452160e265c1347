import * as Http from "node:http"
// Not exported by the package.
import { Deferred, Effect } from "../../effect/index.js"
import { afterEach, assert, describe, it } from "../../effect/vitest.js"
import { headerRecord } from "../../../src/node/internal/headerRecord.js"
import { listen, noHandlesLeft, rawClient } from "../support.js"

afterEach(noHandlesLeft)

/** The record of a request with header lines. */
const recordOf = (...lines: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const received = yield* Deferred.make<Http.IncomingMessage>()
    const server = Http.createServer((request) => Deferred.doneUnsafe(received, Effect.succeed(request)))
    const peer = yield* rawClient(yield* listen(server))
    peer.write(`GET / HTTP/1.1\r\n${["Host: here", ...lines].map((line) => `${line}\r\n`).join("")}\r\n`)
    return headerRecord(yield* Deferred.await(received))
  })

describe("headerRecord", () => {
  it.live("has a string for a header that came once, and an array for one that came more than once", () =>
    Effect.gen(function* () {
      const record = yield* recordOf("X-Once: a, b", "X-Thrice: 1", "x-thrice: 2", "X-THRICE: 3", "X-Empty:")
      assert.deepStrictEqual(
        { ...record },
        { host: "here", "x-once": "a, b", "x-thrice": ["1", "2", "3"], "x-empty": "" }
      )
    })
  )

  it.live("has the names of properties of every object only if they were sent", () =>
    Effect.gen(function* () {
      assert.isUndefined((yield* recordOf())["constructor"])
      const record = yield* recordOf("constructor: a", "__proto__: b", "__proto__: c")
      assert.strictEqual(record["constructor"], "a")
      assert.deepStrictEqual(record["__proto__"], ["b", "c"])
    })
  )
})
