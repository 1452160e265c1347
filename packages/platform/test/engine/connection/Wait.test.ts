import { assert, describe, it } from "@effect/vitest"
import { ConnectionClosed } from "@effect-websocket/protocol/Errors"
import { Defect } from "../../../src/engine/Defect.js"
import { Wait, type Outcome } from "../../../src/engine/connection/Wait.js"
import { closedError } from "../support.js"

class TestWait extends Wait {
  readonly log: Array<string> = []
  readonly onBegin: () => void

  constructor(onBegin: (self: TestWait) => void = () => {}) {
    super()
    this.onBegin = () => onBegin(this)
  }

  protected begin(): void {
    this.log.push("begin")
    this.onBegin()
  }

  protected undo(): void {
    this.log.push("undo")
  }
}

const started = (wait: Wait) => {
  const outcomes: Array<Outcome> = []
  wait.start((outcome) => outcomes.push(outcome))
  return outcomes
}

const { _tag, ...status } = closedError(1000, "local", true)
const error = new ConnectionClosed({ ...status, initiator: "local" })

describe("Wait", () => {
  it("does nothing before it is started", () => {
    const wait = new TestWait()
    assert.deepStrictEqual(wait.log, [])
    const outcomes = started(wait)
    assert.deepStrictEqual(wait.log, ["begin"])
    assert.deepStrictEqual(outcomes, [])
  })

  it("passes on each kind of outcome, once", () => {
    for (const outcome of [undefined, error, new Defect("bug")]) {
      const wait = new TestWait()
      const outcomes = started(wait)
      wait.settle(outcome)
      wait.settle(undefined)
      assert.lengthOf(outcomes, 1)
      assert.strictEqual(outcomes[0], outcome)
    }
  })

  it("knows whether anything of its message was sent", () => {
    const isSent = (sent: Outcome | Wait) => {
      const wait = new TestWait()
      started(wait)
      wait.settle(sent)
      return wait.isSent
    }
    assert.deepStrictEqual([undefined, new TestWait(), error, new Defect("bug")].map(isSent), [
      true,
      true,
      false,
      false
    ])
    const cancelled = new TestWait()
    started(cancelled)
    cancelled.cancel()
    cancelled.settle(undefined)
    assert.isFalse(cancelled.isSent)
  })

  it("may settle as it begins", () => {
    const outcomes = started(new TestWait((wait) => wait.settle(error)))
    assert.lengthOf(outcomes, 1)
    assert.strictEqual(outcomes[0], error)
  })

  it("leaves its place when it is cancelled, and then calls nobody", () => {
    const wait = new TestWait()
    const outcomes = started(wait)
    wait.cancel()
    wait.settle(error)
    assert.deepStrictEqual(wait.log, ["begin", "undo"])
    assert.deepStrictEqual(outcomes, [])
  })

  it("waits on, with the same caller", () => {
    const [wait, next] = [new TestWait(), new TestWait()]
    const outcomes = started(wait)
    wait.settle(next)
    wait.settle(error)
    assert.deepStrictEqual(next.log, ["begin"])
    assert.deepStrictEqual(outcomes, [])
    next.settle(undefined)
    next.settle(error)
    assert.deepStrictEqual(outcomes, [undefined])
  })

  it("is cancelled at its current wait", () => {
    const [wait, next, last] = [new TestWait(), new TestWait(), new TestWait()]
    const outcomes = started(wait)
    wait.settle(next)
    next.settle(last)
    wait.cancel()
    last.settle(error)
    assert.deepStrictEqual([wait.log, next.log, last.log], [["begin"], ["begin"], ["begin", "undo"]])
    assert.deepStrictEqual(outcomes, [])
  })

  it("does not begin another wait once it is cancelled", () => {
    const [wait, next] = [new TestWait(), new TestWait()]
    started(wait)
    wait.cancel()
    wait.settle(next)
    assert.deepStrictEqual(next.log, [])
  })
})
