import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Outbox, type Outgoing } from "../../../src/engine/client/Outbox.js"

class Message implements Outgoing {
  readonly name: string
  drops = 0
  isTakenBack = false

  constructor(name: string) {
    this.name = name
  }

  drop(): void {
    this.drops++
  }
}

const messages = (count: number) => Array.from({ length: count }, (_, index) => new Message(`${index}`))

const take = (outbox: Outbox<Message>) => {
  const { first } = outbox
  if (first !== undefined) outbox.remove(first)
  return first
}

describe("Outbox", () => {
  it("returns the messages in the order in which they came", () => {
    const outbox = new Outbox<Message>(3, "suspend")
    const [a, b] = messages(2)
    assert(a !== undefined && b !== undefined)
    assert.isTrue(outbox.place(a))
    assert.isTrue(outbox.place(b))
    assert.strictEqual(outbox.size, 2)
    assert.strictEqual(outbox.first, a)
    assert.strictEqual(take(outbox), a)
    assert.isFalse(outbox.has(a))
    assert.strictEqual(take(outbox), b)
    assert.isUndefined(outbox.first)
  })

  it("lets a message wait for a place, unless it is removed", () => {
    const outbox = new Outbox<Message>(1, "suspend")
    const [a, b, c] = messages(3)
    assert(a !== undefined && b !== undefined && c !== undefined)
    const placed: Array<string> = []
    outbox.place(a)
    assert.isFalse(outbox.place(b))
    outbox.placeLater(b, () => placed.push("b"))
    outbox.placeLater(c, () => placed.push("c"))
    assert.isFalse(outbox.has(b))
    outbox.remove(b)
    outbox.remove(a)
    assert.deepStrictEqual(placed, ["c"])
    assert.strictEqual(outbox.first, c)
    assert.strictEqual(outbox.size, 1)
    assert.deepStrictEqual([a.drops, b.drops, c.drops], [0, 0, 0])
  })

  it("drops the newest or the oldest message, as its strategy says", () => {
    for (const [strategy, kept, dropped] of [
      ["dropping", 0, 1],
      ["sliding", 1, 0]
    ] as const) {
      const outbox = new Outbox<Message>(1, strategy)
      const all = messages(2)
      for (const message of all) assert.isTrue(outbox.place(message))
      assert.strictEqual(outbox.first, all[kept])
      assert.strictEqual(all[dropped]?.drops, 1)
      assert.strictEqual(all[kept]?.drops, 0)
    }
  })

  it("wakes a taker once there is a message", () => {
    const outbox = new Outbox<Message>(2, "suspend")
    const [a, b] = messages(2)
    assert(a !== undefined && b !== undefined)
    let wakes = 0
    const undo = outbox.whenFilled(() => wakes++)
    outbox.whenFilled(() => wakes++)
    undo()
    outbox.place(a)
    assert.strictEqual(wakes, 1)
    outbox.place(b)
    assert.strictEqual(wakes, 1)
    outbox.whenFilled(() => wakes++)
    assert.strictEqual(wakes, 2)
  })

  it("drops all messages once it is closed, also those that wait and those that come later", () => {
    const outbox = new Outbox<Message>(1, "suspend")
    const all = messages(4)
    const [a, b, c, d] = all
    assert(a !== undefined && b !== undefined && c !== undefined && d !== undefined)
    let placed = 0
    outbox.place(a)
    outbox.placeLater(b, () => placed++)
    outbox.close()
    assert.isTrue(outbox.place(c))
    outbox.placeLater(d, () => placed++)
    assert.strictEqual(placed, 2)
    assert.isTrue(all.every(({ drops }) => drops === 1))
    assert.strictEqual(outbox.size, 0)
  })

  it("takes or drops each message exactly once, and keeps their order, whatever happens", () => {
    const steps = fc.array(fc.constantFrom("offer", "take", "remove", "close"), { maxLength: 60 })
    fc.assert(
      fc.property(
        fc.constantFrom("suspend", "dropping", "sliding"),
        fc.integer({ min: 1, max: 3 }),
        steps,
        (strategy, capacity, steps) => {
          const outbox = new Outbox<Message>(capacity, strategy)
          const all: Array<Message> = []
          const placed = new Set<Message>()
          const taken: Array<Message> = []
          const removed = new Set<Message>()
          for (const step of steps) {
            if (step === "offer") {
              const message = new Message(`${all.length}`)
              all.push(message)
              outbox.placeLater(message, () => {
                assert.isFalse(placed.has(message))
                placed.add(message)
              })
            } else if (step === "take") {
              const first = take(outbox)
              if (first !== undefined) taken.push(first)
            } else if (step === "remove") {
              const last = all.at(-1)
              if (last !== undefined && !taken.includes(last) && last.drops === 0) {
                outbox.remove(last)
                removed.add(last)
              }
            } else outbox.close()
            assert.isAtMost(outbox.size, capacity)
          }
          outbox.close()
          for (const message of all) {
            const ends = message.drops + Number(taken.includes(message)) + Number(removed.has(message))
            assert.strictEqual(ends, 1, message.name)
            assert.isTrue(placed.has(message) || removed.has(message))
          }
          assert.deepStrictEqual(
            taken.map(({ name }) => Number(name)),
            taken.map(({ name }) => Number(name)).sort((a, b) => a - b)
          )
        }
      )
    )
  })
})

describe("a message that got its place after a wait", () => {
  const placed = () => {
    const outbox = new Outbox<Message>(1, "suspend")
    const [first, second, third] = messages(3)
    assert(first !== undefined && second !== undefined && third !== undefined)
    const told: Array<string> = []
    outbox.place(first)
    outbox.placeLater(second, () => told.push("second"))
    outbox.placeLater(third, () => told.push("third"))
    outbox.remove(first)
    assert.deepStrictEqual(told, ["second"])
    return { outbox, second, third, told }
  }

  it("is taken back if its caller is gone before it claims the place, and the next one gets it", () => {
    const looks: ReadonlyArray<(outbox: Outbox<Message>) => unknown> = [
      (outbox) => outbox.size,
      (outbox) => outbox.first,
      (outbox) => outbox.place(new Message("late")),
      (outbox) => outbox.whenFilled(() => {})
    ]
    for (const look of looks) {
      const { outbox, second, third, told } = placed()
      second.isTakenBack = true
      look(outbox)
      assert.deepStrictEqual([outbox.first, told], [third, ["second", "third"]])
      assert.deepStrictEqual([second.drops, outbox.has(second)], [0, false])
    }
  })

  it("stays once its caller has claimed the place", () => {
    const { outbox, second, told } = placed()
    outbox.claim(second)
    second.isTakenBack = true
    assert.deepStrictEqual([outbox.first, outbox.size, told], [second, 1, ["second"]])
  })

  it("is unclaimed also if there was room when it began to wait", () => {
    const outbox = new Outbox<Message>(1, "suspend")
    const message = new Message("")
    outbox.placeLater(message, () => {})
    assert.strictEqual(outbox.first, message)
    message.isTakenBack = true
    assert.strictEqual(outbox.size, 0)
  })
})

describe("a message of which nothing was sent", () => {
  const begun = (strategy: "suspend" | "dropping" | "sliding" = "suspend", capacity = 2) => {
    const outbox = new Outbox<Message>(capacity, strategy)
    const [first, second] = messages(2)
    assert(first !== undefined && second !== undefined)
    outbox.place(first)
    outbox.begin(first)
    outbox.place(second)
    return { first, outbox, second }
  }

  it("comes back before all others, and wakes whoever sends", () => {
    const { first, outbox, second } = begun()
    outbox.remove(second)
    let wakes = 0
    outbox.whenFilled(() => wakes++)
    outbox.restore(first)
    assert.strictEqual(wakes, 1)
    outbox.place(second)
    assert.deepStrictEqual([take(outbox), take(outbox)], [first, second])
  })

  it("comes back before those that have come meanwhile, also if there is no place", () => {
    for (const strategy of ["suspend", "dropping"] as const) {
      const { first, outbox, second } = begun(strategy, 1)
      outbox.restore(first)
      outbox.restore(first)
      assert.strictEqual(outbox.size, 2)
      assert.deepStrictEqual([take(outbox), take(outbox), outbox.size], [first, second, 0])
      assert.strictEqual(first.drops, 0)
    }
  })

  it("is dropped if the outbox is closed, or if it slides out", () => {
    const closed = begun()
    closed.outbox.close()
    closed.outbox.restore(closed.first)
    const full = begun("sliding", 1)
    full.outbox.restore(full.first)
    for (const { first } of [closed, full]) assert.strictEqual(first.drops, 1)
    assert.strictEqual(full.outbox.first, full.second)
  })

  it("does not come back if it was taken back meanwhile", () => {
    const removed = begun()
    removed.outbox.remove(removed.first)
    const gone = begun()
    gone.first.isTakenBack = true
    for (const { first, outbox, second } of [removed, gone]) {
      outbox.restore(first)
      assert.deepStrictEqual([outbox.first, outbox.size, first.drops], [second, 1, 0])
    }
  })
})

describe("drop", () => {
  // The only place is taken by `a`, and `b` waits for it.
  const full = () => {
    const outbox = new Outbox<Message>(1, "suspend")
    const [a, b] = messages(2)
    assert(a !== undefined && b !== undefined)
    const placed: Array<string> = []
    outbox.place(a)
    outbox.placeLater(b, () => placed.push("b"))
    return { a, b, outbox, placed }
  }

  it("drops a message with a place, and admits the next one", () => {
    const { a, b, outbox, placed } = full()
    assert.isTrue(outbox.drop(a))
    assert.isFalse(outbox.drop(a))
    assert.deepStrictEqual([a.drops, placed, outbox.first], [1, ["b"], b])
  })

  it("drops a message that waits for a place, and tells its caller", () => {
    const { b, outbox, placed } = full()
    assert.isTrue(outbox.drop(b))
    assert.deepStrictEqual([b.drops, placed, outbox.size], [1, ["b"], 1])
  })

  it("leaves a message that is being sent", () => {
    const outbox = new Outbox<Message>(1, "suspend")
    const [a] = messages(1)
    assert(a !== undefined)
    outbox.place(a)
    outbox.begin(a)
    assert.isFalse(outbox.drop(a))
    assert.strictEqual(a.drops, 0)
  })

  it("drops those that are selected", () => {
    const outbox = new Outbox<Message>(3, "suspend")
    const all = messages(4)
    for (const message of all) outbox.placeLater(message, () => {})
    outbox.dropWhere(({ name }) => name !== "1")
    assert.deepStrictEqual([all.map(({ drops }) => drops), outbox.size], [[1, 0, 1, 1], 1])
  })
})
