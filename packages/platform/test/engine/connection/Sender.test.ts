import { assert, describe, it } from "@effect/vitest"
import { Budget } from "../../../src/engine/connection/Budget.js"
import { Sender } from "../../../src/engine/connection/Sender.js"
import { closedError, close, fields } from "../support.js"
import { openWith, Sending, turn, type Choice } from "./open.js"

const open = (choice?: Choice) => {
  const opened = openWith((link) => new Sender(link), choice)
  const { link, sender, transport } = opened
  /** A control frame that is sent at once, or as soon as there is room. */
  const pong = (data: string) =>
    new Sending(sender.sendControl(() => link.connection.pong(new TextEncoder().encode(data))))
  /** Fills the transport, so that nothing more has room. */
  const fill = () => {
    transport.stall()
    for (let i = 0; i < 10; i++) link.connection.pong(new Uint8Array(10))
    link.flusher.flush()
    assert.isFalse(link.flusher.writable)
    return transport.writes.length
  }
  /** The frames that were written since there was no room. */
  const wroteSince = (writes: number) => opened.writes().slice(writes).flat()
  return { ...opened, fill, pong, wroteSince }
}

describe("a control frame", () => {
  it("is sent at once while the transport has room, and is done then", async () => {
    const opened = open()
    assert.deepStrictEqual(opened.pong("one").outcomes, [undefined])
    assert.deepStrictEqual(opened.pong("two").outcomes, [undefined])
    await turn()
    assert.deepStrictEqual(opened.transport.writes.length, 1)
    assert.isFalse(opened.sender.roomAwaited)
  })

  it("waits for room, and those that wait keep their order", () => {
    const { fill, pong, sender, transport, wroteSince } = open()
    const writes = fill()
    const sendings = ["one", "two", "three"].map(pong)
    assert.isTrue(sendings.every(({ isWaiting }) => isWaiting))
    assert.isTrue(sender.roomAwaited)
    transport.take(50)
    assert.isTrue(sendings.every(({ isWaiting }) => isWaiting))
    transport.drain()
    assert.deepStrictEqual(wroteSince(writes), ["Pong one", "Pong two", "Pong three"])
    for (const { outcomes } of sendings) assert.deepStrictEqual(outcomes, [undefined])
    assert.isFalse(sender.roomAwaited)
  })

  it("is not sent if its caller gives up, and leaves nothing behind", () => {
    const { fill, pong, sender, transport, wroteSince } = open()
    const writes = fill()
    const [one, two] = [pong("one"), pong("two")]
    one.cancel()
    transport.drain()
    assert.deepStrictEqual(wroteSince(writes), ["Pong two"])
    assert.deepStrictEqual([one.outcomes, two.outcomes], [[], [undefined]])
    assert.isFalse(sender.roomAwaited)
  })

  it("stops being admitted once one of them has taken the room", () => {
    const { fill, link, pong, sender, transport } = open()
    fill()
    const first = new Sending(
      sender.sendControl(() => {
        for (let i = 0; i < 10; i++) link.connection.pong(new Uint8Array(10))
        return undefined
      })
    )
    const second = pong("second")
    transport.take(transport.bufferedBytes)
    assert.isFalse(link.flusher.writable)
    // The first has been sent, and is done when there is room behind it.
    assert.isTrue(first.isWaiting)
    assert.isTrue(second.isWaiting)
    transport.take(transport.bufferedBytes)
    assert.deepStrictEqual([first.outcomes, second.outcomes], [[undefined], [undefined]])
  })

  it("is refused by a Close, with why", () => {
    const { fill, link, pong, wroteSince } = open()
    const writes = fill()
    const waiting = pong("one")
    link.startClosing(1001)
    const after = pong("two")
    assert.deepStrictEqual(wroteSince(writes), ["Close 1001"])
    for (const { outcomes } of [waiting, after]) {
      assert.lengthOf(outcomes, 1)
      assert.strictEqual((outcomes[0] as Error & { _tag: string })._tag, "Connection_closed")
    }
  })

  it("fails with the connection, and all that come later fail with the same error", () => {
    const { fill, link, pong, sender, transport } = open()
    fill()
    const waiting = pong("one")
    transport.sink.onClose()
    const after = pong("two")
    const { error } = link.connection
    assert.deepStrictEqual(fields(error!), closedError(1006, "remote", false))
    assert.lengthOf(waiting.outcomes, 1)
    assert.strictEqual(waiting.outcomes[0], error)
    assert.strictEqual(after.outcomes[0], error)
    assert.isFalse(sender.roomAwaited)
  })
})

describe("a wait for room", () => {
  it("does not begin if there is room by then", () => {
    const { fill, link, sender, transport } = open()
    fill()
    const sent = sender.sendControl(() => link.connection.pong())
    transport.drain()
    const sending = new Sending(sent)
    assert.deepStrictEqual(sending.outcomes, [undefined])
    assert.isFalse(sender.roomAwaited)
  })

  it("fails if the connection is over by then", () => {
    const { fill, link, sender, transport } = open()
    fill()
    const sent = sender.sendControl(() => link.connection.pong())
    transport.sink.onClose()
    assert.strictEqual(new Sending(sent).outcomes[0], link.connection.error)
  })

  it("ends with the connection's error if the peer closes before there is room", () => {
    const { fill, link, receive, sender, transport } = open()
    fill()
    // It has been sent, and waits for room behind it.
    const sending = new Sending(sender.sent(link.connection.pong()))
    assert.isTrue(sending.isWaiting)
    link.startClosing(1000)
    assert.isTrue(sending.isWaiting)
    receive(close(1000))
    assert.lengthOf(sending.outcomes, 1)
    assert.strictEqual(sending.outcomes[0], link.connection.error)
    assert.strictEqual(transport.calls.at(-1), "end")
  })

  it("is not needed with a strategy that does not wait", () => {
    const { fill, link, sender } = open({ settings: { sendStrategy: "dropping" } })
    fill()
    assert.isUndefined(sender.sent(link.connection.pong()))
  })
})

it("a control frame does not wait for an exceeded budget, a sent message does", async () => {
  const budget = new Budget(100)
  const { link, pong, sender, transport } = open({ settings: { budget, sendMarks: { high: 1000, low: 10 } } })
  transport.stall()
  link.connection.pong(new Uint8Array(60))
  link.flusher.flush()
  assert.isTrue(budget.sendsSparingly)
  assert.isTrue(link.flusher.writable)
  assert.deepStrictEqual(pong("one").outcomes, [undefined])
  const sending = new Sending(sender.sent(undefined))
  assert.isTrue(sending.isWaiting)
  transport.drain()
  link.account()
  await turn()
  assert.deepStrictEqual(sending.outcomes, [undefined])
  transport.sink.onClose()
})
