import { assert, describe, it } from "vitest"
import { Ledger, SubscriberLog, Violation } from "../src/Model.js"
import type { Begin, Element } from "../src/programs/protocol.js"

const at = (offset: number, epoch = "1") => ({ epoch, offset })
const publication = (offset: number, text: string, epoch?: string): Element => ({
  tag: "Publication",
  position: at(offset, epoch),
  text
})

/** A ledger with the publications `p1` to `p9`, the odd ones of which `client` has published without an echo. */
const ledger = (keepsData = false): Ledger => {
  const made = new Ledger(keepsData)
  for (let n = 1; n < 10; n++) {
    const publishers = new Set(n % 2 === 1 ? ["client"] : [])
    const [attempts, isAcknowledged] = [1, false]
    made.add({ text: `p${n}`, topic: "a", echo: n % 2 === 0, publishers, attempts, isAcknowledged, listening: [] })
  }
  return made
}

/** The rule that a log breaks; `undefined` if it is right. */
const rule = (elements: ReadonlyArray<Element>, begin: Begin = {}, client?: string): string | undefined => {
  const log = new SubscriberLog(ledger(), "subscriber", "a", client)
  log.begins(begin)
  try {
    for (const element of elements) log.take(element)
    log.settle(at(9))
    return undefined
  } catch (cause) {
    return cause instanceof Violation ? cause.rule : String(cause)
  }
}

const start: Element = { tag: "New", position: at(0) }

describe("a log", () => {
  it("has everything, or a gap for a reason", () => {
    assert.isUndefined(rule([start, publication(1, "p1"), publication(2, "p2")]))
    assert.isUndefined(rule([start, { tag: "Gap", position: at(4, "2") }, publication(5, "p2", "2")]))
    assert.isUndefined(rule([{ tag: "Recovered", position: at(3) }, publication(4, "p2")], { since: at(3) }))
    assert.isUndefined(rule([{ tag: "Gap", position: at(1, "2") }], { since: at(3) }))
  })

  it.each<[string, ReadonlyArray<Element>, Begin?]>([
    ["nothing is missing without a gap", [start, publication(2, "p2")]],
    ["nothing is repeated, and the order is kept", [start, publication(1, "p1"), publication(1, "p1")]],
    ["a new epoch begins with a gap", [start, publication(1, "p1", "2")]],
    ["a gap has a reason", [start, { tag: "Gap", position: at(1) }]],
    [
      "an epoch that has ended does not return",
      [start, ...["2", "1"].map((epoch): Element => ({ tag: "Gap", position: at(1, epoch) }))]
    ],
    ["a publication is published once", [start, publication(1, "p2"), publication(2, "p2")]],
    ["nobody published this", [start, publication(1, "other")]],
    ["the first element says how it begins", [publication(1, "p1")]],
    ["it begins once", [start, start]],
    ["it begins as it was asked to", [start], { since: at(0) }],
    ["it recovers from the position that it named", [{ tag: "Recovered", position: at(1) }], { since: at(0) }],
    ["nothing is ahead of the topic", [{ tag: "New", position: at(10) }]]
  ])("breaks the rule: %s", (broken, elements, begin) => {
    assert.strictEqual(rule(elements, begin), broken)
  })

  it("of a client may lack its own publications, and no others", () => {
    const log = (text: string) => {
      const own = ledger()
      own.see("other", "a", at(1), text)
      const client = new SubscriberLog(own, "subscriber", "a", "client")
      client.take(start)
      client.take(publication(2, "p4"))
      return () => client.settle(at(9))
    }
    assert.doesNotThrow(log("p1"))
    assert.throws(log("p2"), "except what it published itself")
  })
})

describe("a ledger", () => {
  it("has one publication at each position", () => {
    const made = ledger()
    made.see("one", "a", at(1), "p1")
    assert.throws(() => made.see("other", "a", at(1), "p2"), "a position has one publication")
    assert.doesNotThrow(() => made.see("other", "a", at(1, "2"), "p2"))
  })

  it("of an engine that keeps its data has them in all epochs", () => {
    const made = ledger(true)
    made.see("one", "a", at(1), "p1")
    assert.throws(() => made.see("other", "a", at(2, "2"), "p1"), "a publication is published once")
  })

  it("has everything that was acknowledged in the history", () => {
    const made = ledger()
    const acknowledged = made.get("p1")
    assert.isDefined(acknowledged)
    made.acknowledge("one", acknowledged!, at(1))
    assert.doesNotThrow(() => made.history("node", "a", at(2), ["p1", "p2"]))
    assert.throws(() => made.history("node", "a", at(2), ["p2"]), "what was acknowledged is in the history")
  })
})
