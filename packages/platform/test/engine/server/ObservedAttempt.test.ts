import { assert, describe, it } from "vitest"
import { endsWith, observedAttempt } from "../../../src/engine/server/ObservedAttempt.js"
import type { UpgradeAttempt } from "../../../src/engine/server/UpgradeAttempt.js"
import type { Transport } from "../../../src/Transport.js"

const transport: Transport = {
  remoteAddress: undefined,
  bufferedBytes: 0,
  start: () => {},
  pause: () => {},
  resume: () => {},
  write: () => ({ belowHighWater: true, taken: true }),
  end: () => {},
  abort: () => {}
}

const observed = (attempt: Partial<UpgradeAttempt> = {}) => {
  const told: Array<unknown> = []
  const answers: Array<number> = []
  const made = observedAttempt(
    {
      request: { method: "GET", url: "/", httpVersion: "1.1", headers: {} },
      remoteAddress: "::1",
      isGone: () => false,
      upgrade: () => transport,
      reject: (status) => answers.push(status),
      ...attempt
    },
    () => ({
      accepted: (transport) => told.push(transport),
      refused: (reason, status) => told.push([reason, status])
    })
  )
  return { answers, attempt: made, told }
}

describe("observedAttempt", () => {
  it("is the attempt itself without an observer", () => {
    const { attempt } = observed()
    assert.strictEqual(observedAttempt(attempt, undefined), attempt)
  })

  it("tells of the 101, once", () => {
    const { attempt, told } = observed()
    assert.strictEqual(attempt.remoteAddress, "::1")
    assert.isFalse(attempt.isGone())
    assert.strictEqual(attempt.upgrade({}), transport)
    attempt.reject(500, {}, "")
    assert.deepStrictEqual(told, [transport])
  })

  it("tells the reason of a refusal, or that there is none", () => {
    const named = observed()
    endsWith(named.attempt, "rate", 429)
    named.attempt.reject(429, {}, "")
    assert.deepStrictEqual(named.told, [["rate", 429]])
    assert.deepStrictEqual(named.answers, [429])
    const unnamed = observed()
    unnamed.attempt.reject(400, {}, "")
    assert.deepStrictEqual(unnamed.told, [["error", 400]])
  })

  it("tells that the client has gone, however that is found", () => {
    const asked = observed({ isGone: () => true })
    assert.isTrue(asked.attempt.isGone())
    assert.deepStrictEqual(asked.told, [["gone", undefined]])
    let leave = (): void => {}
    const watched = observed({
      onGone: (listener) => {
        leave = listener
      }
    })
    let heard = 0
    watched.attempt.onGone?.(() => heard++)
    leave()
    assert.deepStrictEqual(watched.told, [["gone", undefined]])
    assert.strictEqual(heard, 1)
    assert.isUndefined(observed().attempt.onGone)
  })

  it("tells of errors of the app, and passes them on", () => {
    for (const name of ["isGone", "upgrade"] as const) {
      const { attempt, told } = observed({
        [name]: () => {
          throw new Error("broken")
        }
      })
      assert.throws(() => attempt[name]({}), "broken")
      assert.deepStrictEqual(told, [["error", undefined]])
    }
  })
})
