import { assert, describe, it } from "@effect/vitest"
import { MemoryPresence } from "../../../src/engine/topics/MemoryPresence.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { ManualClock } from "../ManualClock.js"

const ann = { key: "ann", session: "1", meta: "" }

const make = () => {
  const clock = new ManualClock()
  const presence = new MemoryPresence(new Timers(clock))
  const log: Array<string> = []
  const end = presence.listen("a", ({ _tag, entry }) => void log.push(`${_tag} ${entry.key}${entry.session}`))
  return { clock, end, log, presence }
}

describe("presence in memory", () => {
  it("renews a session when it is set again", () => {
    const { clock, log, presence } = make()
    presence.set("a", ann, 100)
    clock.advance(99)
    presence.set("a", ann, 100)
    clock.advance(99)
    assert.deepStrictEqual([presence.list("a"), log], [[ann], ["Entered ann1"]])
    clock.advance(1)
    assert.deepStrictEqual([presence.list("a"), log], [[], ["Entered ann1", "Left ann1"]])
    assert.strictEqual(clock.sleeping, 0)
  })

  it("tells keys and sessions apart, whatever is in them", () => {
    const { presence } = make()
    presence.set("a", { key: "1:a", session: "b", meta: "" }, 100)
    presence.set("a", { key: "1", session: ":ab", meta: "" }, 100)
    presence.set("b", ann, 100)
    assert.strictEqual(presence.list("a").length, 2)
    presence.remove("a", "1", ":ab")
    assert.deepStrictEqual(
      presence.list("a").map(({ key }) => key),
      ["1:a"]
    )
  })

  it("ends with its listeners and its timers", () => {
    const { clock, end, log, presence } = make()
    end()
    presence.set("a", ann, 100)
    presence.remove("a", "ann", "2")
    assert.deepStrictEqual(log, [])
    presence.stop()
    assert.strictEqual(clock.sleeping, 0)
  })
})
