import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Flow } from "../../../src/engine/topics/Flow.js"
import { interrupted, type HistoryPage, type Position } from "../../../src/engine/topics/Publication.js"
import { at, publication, show } from "./support.js"

const make = () => {
  const log: Array<string> = []
  const reads: Array<Position> = []
  const flow = new Flow({
    deliver: (publication) => void log.push(show(publication)),
    gap: ({ epoch, offset }) => void log.push(`gap ${epoch}${offset}`),
    read: (since) => void reads.push(since)
  })
  return { flow, log, reads }
}

const page = (epoch: string, from: number, to: number, newest = to): HistoryPage => ({
  isComplete: true,
  publications: Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => publication(epoch, from + index)),
  newest: at(epoch, newest)
})

describe("a flow", () => {
  it("holds what arrives before it begins, and drops what comes before its position", () => {
    const { flow, log, reads } = make()
    for (const offset of [2, 3, 4]) flow.receive(publication("a", offset))
    assert.deepStrictEqual([log, flow.position], [[], undefined])
    flow.begin(at("a", 2))
    assert.deepStrictEqual(log, ["a3", "a4"])
    flow.receive(publication("a", 4))
    flow.receive(publication("a", 5))
    assert.deepStrictEqual([log, reads, flow.position], [["a3", "a4", "a5"], [], at("a", 5)])
  })

  it("reads what was skipped, and then goes on with what arrived meanwhile", () => {
    const { flow, log, reads } = make()
    flow.begin(at("a", 0))
    flow.receive(publication("a", 3))
    flow.receive(publication("a", 4))
    assert.deepStrictEqual([log, reads], [[], [at("a", 0)]])
    flow.read(page("a", 1, 3))
    assert.deepStrictEqual([log, reads.length], [["a1", "a2", "a3", "a4"], 1])
  })

  it("reads one page after another", () => {
    const { flow, log, reads } = make()
    flow.begin(at("a", 0))
    flow.receive(interrupted)
    flow.read(page("a", 1, 2, 4))
    flow.read(page("a", 3, 4))
    assert.deepStrictEqual(
      [log, reads],
      [
        ["a1", "a2", "a3", "a4"],
        [at("a", 0), at("a", 2)]
      ]
    )
  })

  it("reads again if the link was lost while it read", () => {
    const { flow, reads } = make()
    flow.begin(at("a", 0))
    flow.receive(interrupted)
    flow.receive(interrupted)
    flow.read(page("a", 1, 1))
    assert.deepStrictEqual(reads, [at("a", 0), at("a", 1)])
    flow.read(page("a", 2, 1))
    flow.receive(publication("a", 2))
    assert.deepStrictEqual([reads.length, flow.position], [2, at("a", 2)])
  })

  it("tells a gap if the history no longer has what was missed, and loses nothing that arrived", () => {
    const { flow, log } = make()
    flow.begin(at("a", 7))
    flow.receive(publication("b", 1))
    flow.receive(publication("b", 2))
    flow.read({ isComplete: false, publications: [], newest: at("b", 2) })
    assert.deepStrictEqual(log, ["gap b0", "b1", "b2"])
  })

  it("goes on at the newest position if nothing has arrived that leads up to it", () => {
    const { flow, log } = make()
    flow.begin(at("a", 1))
    flow.receive(publication("a", 5))
    flow.read({ isComplete: false, publications: [], newest: at("b", 9) })
    // The straggler of the old epoch is explained by nothing that the history says.
    flow.read(page("b", 10, 9))
    flow.read(page("b", 10, 9))
    flow.receive(publication("b", 10))
    assert.deepStrictEqual(log, ["gap b9", "b10"])
  })

  it("tells a gap if the history never knows what has arrived", () => {
    const { flow, log } = make()
    flow.begin(at("a", 1))
    flow.receive(publication("a", 5))
    flow.read(page("a", 2, 1))
    flow.read(page("a", 2, 1))
    assert.deepStrictEqual(log, ["gap a4", "a5"])
  })

  it("holds a bounded number while it reads, and reads the rest", () => {
    const { flow, log, reads } = make()
    flow.begin(at("a", 0))
    flow.receive(interrupted)
    for (let offset = 1; offset <= 3_000; offset++) flow.receive(publication("a", offset))
    flow.read(page("a", 1, 500, 3_000))
    while (log.length < 3_000) flow.read(page("a", log.length + 1, log.length + 500, 3_000))
    assert.deepStrictEqual(
      log,
      Array.from({ length: 3_000 }, (_, index) => `a${index + 1}`)
    )
    assert.isBelow(reads.length, 10)
  })

  it("never skips without saying so, whatever a broker does", () => {
    const steps = fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.constant("publish" as const) },
        { weight: 2, arbitrary: fc.constant("lost" as const) },
        { weight: 2, arbitrary: fc.constant("twice" as const) },
        { weight: 1, arbitrary: fc.constant("late" as const) },
        { weight: 1, arbitrary: fc.constant("interrupted" as const) },
        { weight: 2, arbitrary: fc.constant("answer" as const) },
        { weight: 1, arbitrary: fc.constant("remove" as const) },
        { weight: 1, arbitrary: fc.constant("trim" as const) }
      ),
      { maxLength: 120 }
    )
    fc.assert(
      fc.property(
        steps,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 20 }),
        (steps, pageSize, beginsAt) => {
          const epochs = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"]
          let newest = at(epochs[0]!, 0)
          let kept = 0
          const late: Array<ReturnType<typeof publication>> = []
          const delivered: Array<{ readonly position: Position; readonly gap: boolean }> = []
          let asked: Position | undefined
          const flow = new Flow({
            deliver: ({ position }) => void delivered.push({ position, gap: false }),
            gap: (position) => void delivered.push({ position, gap: true }),
            read: (since) => {
              assert.isUndefined(asked)
              asked = since
            }
          })
          const history = (since: Position): HistoryPage => {
            const isComplete = since.epoch === newest.epoch && since.offset >= kept && since.offset <= newest.offset
            const last = Math.min(newest.offset, since.offset + pageSize)
            return isComplete
              ? page(newest.epoch, since.offset + 1, last, newest.offset)
              : { isComplete, publications: [], newest }
          }
          const answer = (): void => {
            if (asked === undefined) return
            const since = asked
            asked = undefined
            flow.read(history(since))
          }
          const begin = (): void => {
            delivered.push({ position: newest, gap: true })
            flow.begin(newest)
          }
          if (beginsAt === 0) begin()
          for (const [index, step] of steps.entries()) {
            if (index + 1 === beginsAt) begin()
            switch (step) {
              case "answer":
                answer()
                break
              case "interrupted":
                flow.receive(interrupted)
                break
              case "trim":
                kept = newest.offset
                break
              case "remove":
                newest = at(epochs[(epochs.indexOf(newest.epoch) + 1) % epochs.length]!, 0)
                kept = 0
                break
              default: {
                newest = at(newest.epoch, newest.offset + 1)
                const next = publication(newest.epoch, newest.offset)
                if (step === "late") late.push(next)
                else if (step !== "lost") flow.receive(next)
                if (step === "twice") flow.receive(next)
                if (step === "publish") late.splice(0).forEach((each) => flow.receive(each))
              }
            }
          }
          if (flow.position === undefined) begin()
          // Whatever was lost without a sign is noticed now.
          flow.receive(interrupted)
          const isAsked = (): boolean => asked !== undefined
          for (let rounds = 0; isAsked(); rounds++) {
            assert.isBelow(rounds, 300)
            answer()
          }
          assert.deepStrictEqual(flow.position, newest)
          assert.deepStrictEqual(delivered.at(-1)?.position, newest)
          for (const [index, { gap, position }] of delivered.entries()) {
            const before = delivered[index - 1]
            if (gap || before === undefined) continue
            assert.deepStrictEqual(position, at(before.position.epoch, before.position.offset + 1))
          }
        }
      ),
      { numRuns: 2_000 }
    )
  })
})
