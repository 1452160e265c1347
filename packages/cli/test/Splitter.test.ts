import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Failure } from "../src/Failure.js"
import { Splitter } from "../src/Splitter.js"

/** The records of some chunks, as texts; a failure as its status. */
const split = (chunks: ReadonlyArray<string>, maxBytes = 1000): ReadonlyArray<string | number> => {
  const splitter = new Splitter(10, maxBytes)
  const records = chunks.flatMap((chunk) => splitter.push(Buffer.from(chunk)))
  const last = splitter.end()
  return [...records, ...(last === undefined ? [] : [last])].map((record) =>
    record instanceof Failure ? record.exitCode : Buffer.from(record).toString()
  )
}

describe("Splitter", () => {
  it("splits a text as String.split does, however it arrives", () => {
    const chunks = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "\n") }))
    fc.assert(
      fc.property(chunks, (chunks) => {
        const expected = chunks.join("").split("\n")
        // There is no record behind the last separator.
        if (expected.at(-1) === "") expected.pop()
        assert.deepStrictEqual(split(chunks), expected)
      })
    )
  })

  it("refuses a record above the limit, whether it has ended or not", () => {
    assert.deepStrictEqual(split(["1234\n12345"], 5), ["1234", "12345"])
    assert.deepStrictEqual(split(["123456\n"], 5).slice(0, 1), [63])
    assert.deepStrictEqual(split(["123", "456\n"], 5).slice(0, 1), [63])
    assert.deepStrictEqual(split(["a\n123456"], 5).slice(0, 2), ["a", 63])
  })
})
