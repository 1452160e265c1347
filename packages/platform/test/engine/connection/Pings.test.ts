import { assert, describe, it } from "@effect/vitest"
import { Ended, PingReceived, PongReceived } from "@effect-websocket/protocol/Connection"
import { IoError } from "@effect-websocket/protocol/Errors"
import { PendingPing, Pings, type Answer, type ControlEvent } from "../../../src/engine/connection/Pings.js"
import { utf8 } from "../support.js"

const error = new IoError({ reason: "Reset", operation: "read" })

const answersOf = (ping: PendingPing): ReadonlyArray<Answer> => {
  const answers: Array<Answer> = []
  ping.whenAnswered((answer) => answers.push(answer))
  return answers
}

/** Pings that were sent at 10, 20 and 30 milliseconds, and what was answered to each. */
const three = () => {
  const pings = new Pings()
  const sent = ["one", "two", "three"].map((payload, index) => new PendingPing(utf8(payload), 10 * (index + 1)))
  for (const ping of sent) pings.add(ping)
  return { pings, sent, answers: sent.map(answersOf) }
}

describe("pings", () => {
  it("are answered by their pong, with the time that it took", () => {
    const { answers, pings } = three()
    pings.answer(utf8("one"), 15)
    assert.deepStrictEqual(answers, [[5], [], []])
    pings.answer(utf8("two"), 25)
    pings.answer(utf8("three"), 37)
    assert.deepStrictEqual(answers, [[5], [5], [7]])
  })

  it("are answered by the pong to a later one", () => {
    const { answers, pings } = three()
    pings.answer(utf8("two"), 100)
    assert.deepStrictEqual(answers, [[90], [80], []])
    // A late pong answers nothing twice.
    pings.answer(utf8("one"), 200)
    assert.deepStrictEqual(answers, [[90], [80], []])
  })

  it("are not answered by a pong that none of them asked for", () => {
    const { answers, pings } = three()
    for (const payload of ["", "four", "oneone"]) pings.answer(utf8(payload), 100)
    assert.deepStrictEqual(answers, [[], [], []])
  })

  it("with one payload are answered in their order", () => {
    const pings = new Pings()
    const sent = [0, 0].map(() => new PendingPing(utf8("same"), 0))
    for (const ping of sent) pings.add(ping)
    const answers = sent.map(answersOf)
    pings.answer(utf8("same"), 1)
    assert.deepStrictEqual(answers, [[1], []])
    pings.answer(utf8("same"), 2)
    assert.deepStrictEqual(answers, [[1], [2]])
  })

  it("that are forgotten are answered no more, and stand for none", () => {
    const { answers, pings, sent } = three()
    pings.forget(sent[1]!)
    pings.forget(sent[1]!)
    pings.answer(utf8("two"), 100)
    assert.deepStrictEqual(answers, [[], [], []])
    pings.answer(utf8("three"), 100)
    assert.deepStrictEqual(answers, [[90], [], [70]])
  })

  it("fail with the connection, and are not answered then", () => {
    const { answers, pings } = three()
    pings.answer(utf8("one"), 20)
    pings.fail(error)
    pings.answer(utf8("three"), 100)
    pings.fail(error)
    assert.deepStrictEqual(answers, [[10], [error], [error]])
  })

  it("report an answer that came before a callback was set", () => {
    for (const answer of [5, 0, error]) {
      const ping = new PendingPing(utf8("early"), 0)
      ping.complete(answer)
      assert.deepStrictEqual(answersOf(ping), [answer])
    }
  })
})

describe("listeners for control frames", () => {
  it("get every event until they are removed", () => {
    const pings = new Pings()
    const log: Array<readonly [string, ControlEvent]> = []
    const stopFirst = pings.listen((event) => log.push(["first", event]))
    pings.listen((event) => log.push(["second", event]))
    const [ping, pong, end] = [new PingReceived(utf8("a")), new PongReceived(utf8("b")), new Ended(error)]
    pings.tell(ping)
    stopFirst()
    stopFirst()
    pings.tell(pong)
    pings.tell(end)
    assert.deepStrictEqual(log, [
      ["first", ping],
      ["second", ping],
      ["second", pong],
      ["second", end]
    ])
  })

  it("may remove each other while they are called", () => {
    const pings = new Pings()
    const log: Array<string> = []
    pings.listen(() => {
      log.push("first")
      stopSecond()
    })
    const stopSecond = pings.listen(() => log.push("second"))
    pings.tell(new PingReceived(utf8("a")))
    assert.deepStrictEqual(log, ["first"])
  })
})

describe("an observer", () => {
  it("is told of round trips, and a heartbeat replaces an earlier one", () => {
    const answered: Array<number> = []
    const pings = new Pings({
      opened: () => {},
      closed: () => {},
      paused: () => {},
      answered: (millis) => answered.push(millis)
    })
    const [first, second, own] = [1, 2, 3].map((byte) => new PendingPing(Uint8Array.of(byte), byte))
    pings.beat(first!)
    pings.beat(second!)
    pings.add(own!)
    // The first one is forgotten.
    pings.answer(Uint8Array.of(1), 10)
    assert.deepStrictEqual(answered, [])
    // The answer to the newest ping says nothing about when the others arrived.
    pings.answer(Uint8Array.of(3), 10)
    assert.deepStrictEqual(answered, [7])
  })
})
