import { assert, describe, it } from "@effect/vitest"
import { Closables, closedAtOnce, nothingToUndo, type Closable } from "../../../src/engine/connection/Closables.js"

const make = () => {
  const closables = new Closables()
  const log: Array<string> = []
  const member = (name: string, then = () => {}): Closable => ({
    patience: 0,
    beginClose: (code) => {
      log.push(`${name} ${code}`)
      then()
    },
    whenClosed: closedAtOnce
  })
  return { closables, log, member }
}

describe("Closables", () => {
  it("close all members in one step, and return them", () => {
    const { closables, log, member } = make()
    const [one, two, gone] = [member("one"), member("two"), member("gone")]
    for (const each of [one, two, gone]) closables.add(each)
    closables.delete(gone)
    closables.delete(gone)
    assert.deepStrictEqual(log, [])
    assert.deepStrictEqual(closables.beginClose(1001), [one, two])
    assert.deepStrictEqual(log, ["one 1001", "two 1001"])
  })

  it("close those that come later as they come, and return them from then on", () => {
    const { closables, log, member } = make()
    assert.deepStrictEqual(closables.beginClose(1000), [])
    const late = member("late")
    closables.add(late)
    assert.deepStrictEqual(log, ["late 1000"])
    assert.deepStrictEqual(closables.beginClose(1001), [late])
    closables.add(member("last"))
    assert.deepStrictEqual(log, ["late 1000", "late 1001", "last 1001"])
  })

  it("return also those that end as they begin to close", () => {
    const { closables, log, member } = make()
    const two = member("two")
    const one = member("one", () => {
      closables.delete(one)
      closables.delete(two)
      closables.add(member("three"))
    })
    closables.add(one)
    closables.add(two)
    assert.deepStrictEqual(closables.beginClose(1001), [one, two])
    assert.deepStrictEqual(log, ["one 1001", "three 1001", "two 1001"])
  })
})

it("closedAtOnce calls back at once, and leaves nothing to undo", () => {
  let calls = 0
  const undo = closedAtOnce(() => void calls++)
  assert.strictEqual(undo, nothingToUndo)
  undo()
  assert.strictEqual(calls, 1)
})
