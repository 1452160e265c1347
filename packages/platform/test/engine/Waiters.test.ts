import { assert, describe, it } from "@effect/vitest"
import { Waiters } from "../../src/engine/Waiters.js"

const make = () => {
  const waiters = new Waiters()
  const log: Array<string> = []
  return { waiters, log, add: (name: string) => waiters.add(() => void log.push(name)) }
}

describe("Waiters", () => {
  it("wakes one, in the order in which they came", () => {
    const { add, log, waiters } = make()
    assert.isFalse(waiters.wakeOne())
    add("one")
    add("two")
    assert.isTrue(waiters.wakeOne())
    assert.deepStrictEqual(log, ["one"])
    assert.strictEqual(waiters.size, 1)
    assert.isTrue(waiters.wakeOne())
    assert.isFalse(waiters.wakeOne())
    assert.deepStrictEqual(log, ["one", "two"])
  })

  it("wakes all that are there, and none that was removed", () => {
    const { add, log, waiters } = make()
    add("one")
    const remove = add("two")
    add("three")
    remove()
    remove()
    waiters.wakeAll()
    waiters.wakeAll()
    assert.deepStrictEqual(log, ["one", "three"])
    assert.strictEqual(waiters.size, 0)
  })

  it("leaves those that come while it wakes all to the next time", () => {
    const { log, waiters } = make()
    const again = (): void => {
      log.push("again")
      waiters.add(again)
    }
    waiters.add(again)
    waiters.wakeAll()
    assert.deepStrictEqual(log, ["again"])
    waiters.wakeAll()
    assert.deepStrictEqual(log, ["again", "again"])
  })

  it("does not wake what another one removes while it wakes all", () => {
    const { add, log, waiters } = make()
    waiters.add(() => removeSecond())
    const removeSecond = add("second")
    add("third")
    waiters.wakeAll()
    assert.deepStrictEqual(log, ["third"])
  })

  it("lets nobody wake the same one twice from within", () => {
    const { add, log, waiters } = make()
    waiters.add(() => waiters.wakeAll())
    add("second")
    waiters.wakeAll()
    assert.deepStrictEqual(log, ["second"])
  })

  it("does not mistake one that came again for the one before", () => {
    const { log, waiters } = make()
    const wake = () => void log.push("woken")
    const removeFirst = waiters.add(wake)
    waiters.wakeAll()
    waiters.add(wake)
    removeFirst()
    waiters.wakeAll()
    assert.deepStrictEqual(log, ["woken", "woken"])
  })
})
