import { assert, describe, it } from "vitest"
import { readCorpus } from "../src/corpus.js"
import { targets } from "../src/targets.js"

describe.each(Object.entries(targets))("%s", (name, target) => {
  it("finds nothing in its corpus", async () => {
    const corpus = readCorpus(name)
    assert.isAbove(corpus.length, 0)
    for (const [index, bytes] of corpus.entries()) {
      try {
        await target(bytes)
      } catch (error) {
        throw new Error(`input ${index}, ${Buffer.from(bytes).toString("base64")}`, { cause: error })
      }
    }
  })

  it("takes any prefix of it", async () => {
    for (const bytes of readCorpus(name)) {
      await target(bytes.slice(0, bytes.length >> 1))
    }
  })
})
