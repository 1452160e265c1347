import { assert, describe, it } from "@effect/vitest"
import * as Message from "@effect-websocket/protocol/Message"
import * as fc from "fast-check"
import { publicationBytes } from "../../../src/engine/topics/History.js"
import { MemoryTopics, tooManyTopics, type MemoryTopicsSettings } from "../../../src/engine/topics/MemoryTopics.js"
import type { Listener, Position } from "../../../src/engine/topics/Publication.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { ManualClock } from "../ManualClock.js"
import { at, show } from "./support.js"

const make = (settings: Partial<MemoryTopicsSettings> = {}) => {
  const clock = new ManualClock()
  let epochs = 0
  const topics = new MemoryTopics(
    {
      history: { maxPublications: 100, maxBytes: 1_000, maxAge: 1_000, maxTotalBytes: 10_000 },
      idempotency: { maxKeys: 10, maxAge: 100 },
      maxTopics: 3,
      unusedAge: 500,
      ...settings
    },
    new Timers(clock),
    () => `e${++epochs}-`
  )
  const publish = (topic: string, text = "x"): string => {
    const published = topics.publish(topic, Message.text(text), undefined, undefined)
    return published === tooManyTopics ? published : show(published)
  }
  const subscribe = (topic: string, listener: Listener = () => {}): (() => void) => {
    const subscribed = topics.subscribe(topic, listener)
    assert(subscribed !== tooManyTopics)
    return subscribed.end
  }
  return { clock, publish, subscribe, topics }
}

describe("topics in memory", () => {
  it("are forgotten a time after their last use, and then have another epoch", () => {
    const { clock, publish, topics } = make()
    assert.strictEqual(publish("a"), "e1-1")
    clock.advance(499)
    assert.strictEqual(publish("a"), "e1-2")
    clock.advance(499)
    assert.strictEqual(topics.size, 1)
    clock.advance(1)
    assert.deepStrictEqual([topics.size, clock.sleeping], [0, 0])
    assert.strictEqual(publish("a"), "e2-1")
  })

  it("are kept while there is a subscription", () => {
    const { clock, publish, subscribe, topics } = make()
    const end = subscribe("a")
    const endOther = subscribe("a")
    clock.advance(10_000)
    end()
    end()
    clock.advance(10_000)
    assert.strictEqual(publish("a"), "e1-1")
    endOther()
    clock.advance(499)
    assert.strictEqual(topics.size, 1)
    clock.advance(1)
    assert.strictEqual(topics.size, 0)
  })

  it("release the history of a topic that nobody uses when its time has come", () => {
    const { clock, publish, subscribe, topics } = make()
    subscribe("a")
    publish("a")
    clock.advance(1_000)
    // Nothing is left that time could change.
    assert.strictEqual(clock.sleeping, 0)
    assert.deepStrictEqual(topics.history("a", undefined, 10), {
      isComplete: true,
      publications: [],
      newest: at("e1-", 1)
    })
  })

  it("are at most a number: the one whose use is the longest ago is forgotten", () => {
    const { publish, subscribe, topics } = make()
    publish("a")
    publish("b")
    publish("c")
    topics.position("a")
    publish("d")
    assert.deepStrictEqual([publish("a"), publish("c"), publish("b")], ["e1-2", "e3-2", "e5-1"])
    const ends = ["a", "b", "c"].map((topic) => subscribe(topic))
    assert.strictEqual(publish("e"), tooManyTopics)
    assert.strictEqual(
      topics.subscribe("e", () => {}),
      tooManyTopics
    )
    assert.strictEqual(topics.position("e"), tooManyTopics)
    assert.strictEqual(topics.history("e", undefined, 1), tooManyTopics)
    ends[1]?.()
    assert.strictEqual(publish("e"), "e6-1")
    assert.strictEqual(topics.size, 3)
  })

  it("have a bound on their histories together: the one that published the longest ago loses its own", () => {
    const history = { maxPublications: 100, maxBytes: 1_000, maxAge: 1_000, maxTotalBytes: 3 * publicationBytes + 30 }
    const { publish, subscribe, topics } = make({ history })
    const kept = () =>
      ["a", "b", "c"].map((name) => {
        const page = topics.history(name, undefined, 10)
        return page === tooManyTopics ? page : page.publications.map(show).join(" ")
      })
    subscribe("a")
    for (const name of ["a", "b", "a"]) publish(name, "x".repeat(10))
    assert.deepStrictEqual(kept(), ["e1-1 e1-2", "e2-1", ""])
    // Reading is no publication.
    publish("c", "x".repeat(10))
    assert.deepStrictEqual(kept(), ["e1-1 e1-2", "", "e3-1"])
    assert.deepStrictEqual([publish("b", "x".repeat(30)), kept()], ["e2-2", ["", "e2-2", "e3-1"]])
    const missed = topics.history("b", at("e2-", 0), 10)
    assert.isFalse(missed !== tooManyTopics && missed.isComplete)
    // One that has no room alone.
    publish("b", "x".repeat(700))
    assert.deepStrictEqual([kept(), topics.usage.bytes], [["", "", ""], 0])
    publish("a")
    topics.remove("a")
    publish("c")
    topics.remove("c")
    assert.strictEqual(topics.usage.bytes, 0)
  })

  it("deliver what a listener publishes behind what it has got", () => {
    const { publish, subscribe } = make()
    const seen: Array<string> = []
    subscribe("a", (event) => {
      if (event._tag === "Publication" && event.position.offset === 1) publish("a")
    })
    subscribe("a", (event) => void seen.push(event._tag === "Publication" ? show(event) : event._tag))
    publish("a")
    assert.deepStrictEqual(seen, ["e1-1", "e1-2"])
  })

  it("keep bytes that the caller changes later", () => {
    const { topics } = make()
    const data = Uint8Array.of(1, 2)
    topics.publish("a", Message.binary(data), undefined, undefined)
    data.fill(0)
    const page = topics.history("a", undefined, 1)
    assert(page !== tooManyTopics)
    assert.deepStrictEqual(page.publications[0]?.message.data, Uint8Array.of(1, 2))
  })

  it("stop all timers", () => {
    const { clock, publish, topics } = make()
    publish("a")
    publish("b")
    topics.stop()
    assert.strictEqual(clock.sleeping, 0)
  })

  it("do what a model does, whatever is done", () => {
    const topic = fc.constantFrom("a", "b", "c", "d")
    const commands = fc.array(
      fc.oneof(
        fc.record({ publish: topic, key: fc.option(fc.constantFrom("k", "l"), { nil: undefined }) }),
        fc.record({ position: topic }),
        fc.record({ subscribe: topic }),
        fc.record({ end: fc.nat(5) }),
        fc.record({ remove: topic }),
        fc.record({ wait: fc.integer({ min: 1, max: 300 }) })
      ),
      { maxLength: 150 }
    )
    fc.assert(
      fc.property(commands, (commands) => {
        const { clock, topics } = make()
        interface Model {
          offset: number
          usedAt: number
          subscriptions: number
          keys: Map<string, { offset: number; time: number }>
        }
        const model = new Map<string, Model>()
        const epochs = new Set<string>()
        const ends: Array<() => void> = []
        let now = 0
        const use = (name: string): Model | undefined => {
          for (const [other, { subscriptions, usedAt }] of model) {
            if (subscriptions === 0 && usedAt + 500 <= now) model.delete(other)
          }
          let found = model.get(name)
          if (found === undefined && model.size === 3) {
            const unused = [...model].filter(([, { subscriptions }]) => subscriptions === 0)
            const [oldest] = unused.sort(([, a], [, b]) => a.usedAt - b.usedAt)
            if (oldest === undefined) return undefined
            model.delete(oldest[0])
          }
          found ??= { offset: 0, usedAt: now, subscriptions: 0, keys: new Map() }
          // Two uses at the same time keep their order.
          found.usedAt = now += 0.001
          clock.advance(0.001)
          model.set(name, found)
          return found
        }
        const check = (name: string, found: Model | undefined, position: Position | typeof tooManyTopics): void => {
          assert.strictEqual(position === tooManyTopics ? undefined : position.offset, found?.offset, name)
          if (position !== tooManyTopics) epochs.add(`${name} ${position.epoch}`)
        }
        for (const command of commands) {
          if ("wait" in command) {
            now += command.wait
            clock.advance(command.wait)
          } else if ("publish" in command) {
            const found = use(command.publish)
            const known = command.key === undefined ? undefined : found?.keys.get(command.key)
            const isDuplicate = known !== undefined && known.time + 100 > now
            if (found !== undefined && !isDuplicate) {
              found.offset++
              if (command.key !== undefined) found.keys.set(command.key, { offset: found.offset, time: now })
            }
            const published = topics.publish(command.publish, Message.text("x"), command.key, undefined)
            if (published === tooManyTopics) assert.isUndefined(found)
            else {
              assert.strictEqual(published.isDuplicate, isDuplicate)
              assert.strictEqual(published.position.offset, isDuplicate ? known.offset : found?.offset)
            }
          } else if ("position" in command) {
            check(command.position, use(command.position), topics.position(command.position))
          } else if ("subscribe" in command) {
            const found = use(command.subscribe)
            const subscribed = topics.subscribe(command.subscribe, () => {})
            check(command.subscribe, found, subscribed === tooManyTopics ? subscribed : subscribed.position)
            if (found === undefined || subscribed === tooManyTopics) continue
            found.subscriptions++
            ends.push(() => {
              subscribed.end()
              found.subscriptions--
              found.usedAt = now
            })
          } else if ("end" in command) {
            ends.splice(command.end, 1)[0]?.()
          } else {
            const found = model.get(command.remove)
            topics.remove(command.remove)
            if (found === undefined) continue
            if (found.subscriptions === 0) model.delete(command.remove)
            found.offset = 0
            found.keys.clear()
          }
        }
        assert.isAtMost(topics.size, 3)
      })
    )
  })
})
