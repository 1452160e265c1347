import { TopicError } from "../../src/internal/TopicError.js"
import { assert, describe, it } from "../effect/vitest.js"

const messageOf = (cause: unknown): string => new TopicError({ reason: "Unavailable", topic: "a", cause }).message

describe("a TopicError of a broker that failed", () => {
  it("says why", () => {
    assert.strictEqual(messageOf(new Error("no link")), 'The broker failed for the topic "a": no link')
    assert.strictEqual(messageOf("no link"), 'The broker failed for the topic "a": no link')
    const unshown = 'The broker failed for the topic "a": no reason can be shown'
    assert.strictEqual(messageOf(Object.create(null)), unshown)
  })

  it("says why each address of a host has failed, of which Node makes one error without a message", () => {
    const causes = [new Error("connect ECONNREFUSED ::1:6379"), new Error("connect ECONNREFUSED 127.0.0.1:6379")]
    assert.strictEqual(
      messageOf(new AggregateError(causes)),
      'The broker failed for the topic "a": connect ECONNREFUSED ::1:6379; connect ECONNREFUSED 127.0.0.1:6379'
    )
  })
})
