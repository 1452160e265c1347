import { keyOf } from "../../src/internal/keys.js"
import { assert, describe, it } from "../platform.js"

/** What a cluster hashes: what is between the first `{` and the first `}` behind it, if that is not empty. */
const hashed = (key: string): string => {
  const start = key.indexOf("{")
  const end = key.indexOf("}", start + 1)
  return start < 0 || end <= start + 1 ? key : key.slice(start + 1, end)
}

describe("keys", () => {
  it("those of a topic are in one slot, whatever its name", () => {
    for (const topic of ["rooms/1", "}", "{}", "a}b", "%7D", "{a}"]) {
      assert.strictEqual(hashed(keyOf("topics:", topic, "state")), hashed(keyOf("topics:", topic, "log")))
    }
  })

  it("those of different topics differ", () => {
    const topics = ["}", "%7D", "%257D", "a}:state", "a"]
    assert.strictEqual(new Set(topics.map((topic) => keyOf("topics:", topic, "state"))).size, topics.length)
  })
})
