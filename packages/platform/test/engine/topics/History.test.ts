import { assert, describe, it } from "@effect/vitest"
import * as Message from "@effect-websocket/protocol/Message"
import * as fc from "fast-check"
import { History, publicationBytes } from "../../../src/engine/topics/History.js"
import { at } from "./support.js"

interface Kept {
  readonly offset: number
  readonly bytes: number
  readonly time: number
}

describe("a history", () => {
  it("is empty before its first publication, and complete there", () => {
    const history = new History("e", { maxPublications: 10, maxBytes: 10, maxAge: 10 }, { bytes: 0 })
    assert.deepStrictEqual(history.after(at("e", 0), 10, 0), {
      isComplete: true,
      publications: [],
      newest: at("e", 0)
    })
    assert.isUndefined(history.expiresAt)
  })

  it("keeps nothing of a publication that exceeds its bytes, but counts it", () => {
    const history = new History("e", { maxPublications: 10, maxBytes: 4, maxAge: 10 }, { bytes: 0 })
    history.add(Message.text("ab"), undefined, 0)
    history.add(Message.text("large"), undefined, 0)
    assert.deepStrictEqual([history.length, history.newest.offset], [0, 2])
    assert.isFalse(history.after(at("e", 1), 10, 0).isComplete)
    assert.isTrue(history.after(at("e", 2), 10, 0).isComplete)
  })

  it("has what a model has, within all bounds, whatever is added and read", () => {
    const commands = fc.array(
      fc.oneof(
        fc.record({ add: fc.nat(12), wait: fc.nat(30) }),
        fc.record({ since: fc.integer({ min: -2, max: 2 }), back: fc.nat(120), limit: fc.integer({ min: 1, max: 40 }) })
      ),
      { maxLength: 300 }
    )
    const limits = fc.record({
      maxPublications: fc.nat(60),
      maxBytes: fc.nat(400),
      maxAge: fc.integer({ min: 1, max: 400 })
    })
    fc.assert(
      fc.property(limits, commands, (limits, commands) => {
        // Others have a byte.
        const usage = { bytes: 1 }
        const history = new History("e", limits, usage)
        let model: Array<Kept> = []
        let now = 0
        let newest = 0
        const trim = (): void => {
          model = model.filter(({ time }) => time + limits.maxAge > now).slice(-limits.maxPublications || model.length)
          if (limits.maxPublications === 0) model = []
          while (model.reduce((sum, { bytes }) => sum + bytes, 0) > limits.maxBytes) model.shift()
        }
        for (const command of commands) {
          if ("add" in command) {
            now += command.wait
            const { position } = history.add(Message.text("x".repeat(command.add)), undefined, now)
            assert.deepStrictEqual(position, at("e", ++newest))
            model.push({ offset: newest, bytes: command.add, time: now })
            trim()
          } else {
            trim()
            const since = newest - command.back
            const page = history.after(at("e", since), command.limit, now)
            const missed = model.filter(({ offset }) => offset > since)
            const isComplete = since >= 0 && missed.length === newest - since
            assert.strictEqual(page.isComplete, isComplete)
            assert.deepStrictEqual(
              page.publications.map(({ position }) => position.offset),
              isComplete ? missed.slice(0, command.limit).map(({ offset }) => offset) : []
            )
            assert.deepStrictEqual(
              history.last(command.limit, now).publications.map(({ position }) => position.offset),
              model.slice(-command.limit).map(({ offset }) => offset)
            )
          }
          assert.strictEqual(history.length, model.length)
          assert.strictEqual(history.expiresAt, model[0] && model[0].time + limits.maxAge)
          const bytes = model.reduce((sum, { bytes }) => sum + bytes, model.length * publicationBytes)
          assert.strictEqual(usage.bytes, 1 + bytes)
        }
        history.clear()
        assert.deepStrictEqual([history.length, usage.bytes], [0, 1])
        assert.strictEqual(history.after(at("e", newest), 1, now).isComplete, true)
      })
    )
  })
})
