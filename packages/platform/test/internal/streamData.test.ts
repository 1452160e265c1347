import { assert, describe, it } from "@effect/vitest"
import { Stream } from "../effect/index.js"
import { toStream } from "../../src/internal/streamData.js"
import { mistakes, utf8 } from "../support.js"

describe("toStream", () => {
  it("takes streams, and messages of streams", () => {
    const parts = Stream.make("x")
    assert.deepStrictEqual(toStream(parts), { tag: undefined, parts })
    assert.deepStrictEqual(toStream({ _tag: "Text", data: parts }), { tag: "Text", parts })
    for (const [name, also] of Stream.alsoStreams) assert.strictEqual(toStream(also).parts, also, name)
  })

  for (const [name, mistake] of [...mistakes, ["a text", "x"], ["bytes", utf8("x")]] as const) {
    it(`refuses ${name}`, () => {
      assert.throws(() => toStream(mistake as never), TypeError)
      assert.throws(() => toStream({ _tag: "Text", data: mistake as never }), TypeError)
    })
  }
})
