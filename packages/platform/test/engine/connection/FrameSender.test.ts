import { assert, describe, it } from "@effect/vitest"
import { PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import * as Frame from "@effect-websocket/protocol/Frame"
import { Budget } from "../../../src/engine/connection/Budget.js"
import { FrameSender } from "../../../src/engine/connection/FrameSender.js"
import { close, fields, mistakes, ping, pong, text, utf8 } from "../support.js"
import { openWith, Sending, turn, type Choice } from "./open.js"

const open = (choice?: Choice) => {
  const opened = openWith((link) => new FrameSender(link), { mode: { delivery: "frames" }, ...choice })
  const { sender, transport } = opened
  return {
    ...opened,
    send: (frame: Frame.Frame) => new Sending(sender.sendNow(frame)),
    /** Fills the transport, so that nothing more has room. The sending is done when there is some. */
    fill: () => {
      transport.stall()
      return new Sending(sender.sendNow(text("x".repeat(98))))
    },
    get wroteBehind() {
      return opened.wrote().slice(1)
    }
  }
}

describe("frames", () => {
  it("are sent as they are, in one write for a turn", async () => {
    const opened = open()
    const sendings = [text("a", false), ping("b"), Frame.continuation(utf8("c")), pong("d")].map(opened.send)
    for (const { outcomes } of sendings) assert.deepStrictEqual(outcomes, [undefined])
    await turn()
    assert.deepStrictEqual(opened.writes(), [["Text… a", "Ping b", "Continuation c", "Pong d"]])
    // A message counts when it has ended.
    assert.strictEqual(opened.sender.sentMessages, 1)
  })

  it("of data wait for room in their order, and are done when there is room behind them", () => {
    const opened = open()
    const first = opened.fill()
    const [second, third] = [opened.send(text("y".repeat(98))), opened.send(text("z"))]
    assert.deepStrictEqual(
      [first, second, third].map(({ isWaiting }) => isWaiting),
      [true, true, true]
    )
    opened.transport.take(opened.transport.bufferedBytes)
    assert.deepStrictEqual(
      [first, second, third].map(({ isWaiting }) => isWaiting),
      [false, true, true]
    )
    opened.transport.drain()
    for (const { outcomes } of [first, second, third]) assert.deepStrictEqual(outcomes, [undefined])
    assert.deepStrictEqual(opened.wroteBehind, [`Text ${"y".repeat(98)}`, "Text z"])
  })

  it("of data do not overtake one that waits, if there is room that was not reported yet", () => {
    const budget = new Budget(100)
    const opened = open({ settings: { budget, sendMarks: { high: 1000, low: 10 } } })
    opened.transport.stall()
    opened.sender.sendNow(text("x".repeat(98)))
    opened.link.flusher.flush()
    assert.isTrue(budget.sendsSparingly)
    const second = opened.send(text("second"))
    assert.isTrue(second.isWaiting)
    // Bytes leave a transport without notice.
    opened.transport.bufferedBytes = 0
    const third = opened.send(text("third"))
    opened.transport.drain()
    opened.link.flusher.flush()
    opened.link.onDrain()
    assert.deepStrictEqual(opened.wroteBehind, ["Text second", "Text third"])
    for (const { outcomes } of [second, third]) assert.deepStrictEqual(outcomes, [undefined])
    opened.transport.sink.onClose()
  })

  it("of control overtake data that waits", () => {
    const opened = open()
    opened.fill()
    const data = opened.send(text("data"))
    const control = opened.send(ping("control"))
    assert.isTrue(control.isWaiting)
    data.cancel()
    opened.transport.drain()
    assert.deepStrictEqual(opened.wroteBehind, ["Ping control"])
    assert.deepStrictEqual([data.outcomes, control.outcomes], [[], [undefined]])
  })

  it("that close are sent at once, also without room, and end everything that waits", () => {
    const opened = open()
    const [, data, control] = [opened.fill(), opened.send(text("data")), opened.send(ping("control"))]
    opened.send(close(1001))
    assert.deepStrictEqual(opened.wroteBehind, ["Close 1001"])
    for (const { outcomes } of [data, control, opened.send(text("late")), opened.send(close(1000))]) {
      assert.lengthOf(outcomes, 1)
      assert.deepInclude(fields(outcomes[0]!), { _tag: "Connection_closed" })
    }
    // The time for closing runs.
    assert.strictEqual(opened.clock.sleeping, 1)
    opened.transport.drain()
    assert.deepStrictEqual(opened.wroteBehind, ["Close 1001"])
  })
})

describe("a frame that may not be sent", () => {
  it("is refused without waiting if it is larger than maxSendBytes, and nothing else is", () => {
    for (const full of [false, true]) {
      const opened = open({ settings: { maxSendBytes: 3 } })
      if (full) {
        opened.transport.stall()
        for (let i = 0; i < 10; i++) opened.link.connection.pong(new Uint8Array(10))
        opened.link.flusher.flush()
      }
      const { outcomes } = opened.send(text("four"))
      assert.lengthOf(outcomes, 1)
      assert.instanceOf(outcomes[0], PayloadTooLarge)
      assert.deepInclude(fields(outcomes[0]!), { limit: "frame", max: 3, size: 4, direction: "outbound" })
      const next = opened.send(text("ok"))
      opened.transport.drain()
      assert.deepStrictEqual(next.outcomes, [undefined])
    }
  })

  it("is refused in its turn if it breaks the protocol", () => {
    const opened = open()
    opened.fill()
    const [wrong, right] = [opened.send(Frame.continuation(utf8("nothing before"))), opened.send(text("right"))]
    opened.transport.drain()
    assert.lengthOf(wrong.outcomes, 1)
    assert.deepInclude(fields(wrong.outcomes[0]!), { _tag: "Protocol_error", origin: "local" })
    assert.deepStrictEqual(right.outcomes, [undefined])
    assert.deepStrictEqual(opened.wroteBehind, ["Text right"])
    assert.strictEqual(opened.sender.sentMessages, 2)
  })

  it("throws before anything is queued if it is not a frame", () => {
    const opened = open()
    opened.fill()
    for (const [, mistake] of mistakes) assert.throws(() => opened.sender.sendNow(mistake as never), TypeError)
    assert.isTrue(opened.sender.roomAwaited)
    opened.transport.drain()
    assert.deepStrictEqual(opened.wroteBehind, [])
  })
})
