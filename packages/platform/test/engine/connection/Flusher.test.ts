import { assert, describe, it } from "@effect/vitest"
import * as Connection from "@effect-websocket/protocol/Connection"
import * as Message from "@effect-websocket/protocol/Message"
import { Flusher } from "../../../src/engine/connection/Flusher.js"
import type { Settings } from "../../../src/engine/Settings.js"
import { Deadlines } from "../../../src/engine/time/Deadlines.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { ManualClock } from "../ManualClock.js"
import { close, deafSink, sentTo, shown, text } from "../support.js"
import { FakeTransport } from "./FakeTransport.js"
import { settings, turn } from "./open.js"

/** A flusher whose connection and budget are the test's. */
const make = (own: Partial<Settings> = {}) => {
  const clock = new ManualClock()
  const timers = new Timers(clock)
  const connection = Connection.make({ role: "server" })
  const transport = new FakeTransport()
  const state = { closed: false, unreadBytes: 0, budgetIsShort: false }
  const log: Array<string> = []
  const all = { ...settings, ...own }
  const deadlines = new Deadlines(timers, all, {
    paused: false,
    stuckBytes: 0,
    leftBytes: 0,
    sendHeartbeat: () => {},
    expire: (deadline) => void log.push(deadline)
  })
  const flusher = new Flusher({
    connection,
    transport,
    settings: all,
    congested: (isCongested) => deadlines.congested(isCongested),
    timers,
    get closed() {
      return state.closed
    },
    get unreadBytes() {
      return state.unreadBytes
    },
    get budgetIsShort() {
      return state.budgetIsShort
    },
    account: () => {},
    leaveOpen: () => deadlines.closing(),
    serveBudget: () => void log.push("serve")
  })
  transport.start({ ...deafSink, onDrain: () => flusher.setWritable(true) }, all.sendMarks)
  const send = (data: string) => {
    connection.send(Message.text(data))
    flusher.sent()
  }
  return {
    clock,
    connection,
    flusher,
    log,
    send,
    state,
    transport,
    get writes() {
      return transport.writes.map((bytes) => shown("client", bytes))
    }
  }
}

describe("the output of one turn", () => {
  it("is written at its end, in one write", async () => {
    const sending = make()
    sending.send("one")
    sending.send("two")
    assert.deepStrictEqual(sending.writes, [])
    await turn()
    assert.deepStrictEqual(sending.writes, [["Text one", "Text two"]])
    assert.strictEqual(sending.flusher.sentBytes, 10)
    await turn()
    assert.lengthOf(sending.writes, 1)
  })

  it("is written by each connection of its own", async () => {
    const many = [make(), make(), make()]
    for (const { send } of many) send("hello")
    await turn()
    for (const { writes } of many) assert.deepStrictEqual(writes, [["Text hello"]])
  })

  it("is written at once if it is as much as the high-water mark, or 64 KiB", () => {
    const sending = make()
    sending.send("x".repeat(97))
    assert.lengthOf(sending.writes, 0)
    sending.send("y")
    assert.lengthOf(sending.writes, 1)
    const wide = make({ sendMarks: { high: 10_000_000, low: 1 } })
    wide.send("x".repeat(64 * 1024))
    assert.lengthOf(wide.writes, 1)
  })

  it("is written once by a flush, and not again at the end of the turn", async () => {
    const sending = make()
    sending.send("one")
    sending.flusher.flush()
    assert.deepStrictEqual(sending.writes, [["Text one"]])
    await turn()
    assert.lengthOf(sending.writes, 1)
    assert.deepStrictEqual(sending.log, ["serve"])
  })

  it("waits for the end of a cork, and for nothing if nothing was sent", async () => {
    const sending = make()
    sending.flusher.cork()
    sending.send("one")
    await turn()
    assert.deepStrictEqual(sending.writes, [])
    sending.flusher.uncork()
    await turn()
    assert.deepStrictEqual(sending.writes, [["Text one"]])
    sending.flusher.cork()
    sending.flusher.uncork()
    await turn()
    assert.deepStrictEqual(sending.log, ["serve"])
  })

  it("waits for a reader that answers more of one read, as long as it makes progress", async () => {
    const sending = make()
    sending.state.unreadBytes = 100
    sending.send("one")
    for (let unread = 99; unread > 0; unread--) {
      await Promise.resolve()
      sending.state.unreadBytes = unread
    }
    assert.deepStrictEqual(sending.writes, [])
    sending.send("two")
    sending.state.unreadBytes = 0
    await turn()
    assert.deepStrictEqual(sending.writes, [["Text one", "Text two"]])
  })

  it("waits only a few turns for a reader that makes none", async () => {
    const sending = make()
    sending.state.unreadBytes = 100
    sending.send("one")
    for (let i = 0; i < 20; i++) await Promise.resolve()
    assert.deepStrictEqual(sending.writes, [["Text one"]])
  })

  describe("of a reader that yields to the event loop", () => {
    /** A flusher with output and `unread` bytes, once microtasks alone no longer help. */
    const yielding = async (unread: number) => {
      const sending = make()
      const turns: Array<() => void> = []
      sending.clock.afterYield = (callback) => void turns.push(callback)
      sending.state.unreadBytes = unread
      sending.send("one")
      for (let i = 0; i < 20; i++) await Promise.resolve()
      return {
        ...sending,
        /** A turn of the event loop after which `left` bytes are unread. Returns what was written. */
        turn: (left: number) => {
          sending.state.unreadBytes = left
          for (const callback of turns.splice(0)) callback()
          return sending.writes
        }
      }
    }

    it("waits as long as each turn makes progress, and for all that is sent meanwhile", async () => {
      const { send, turn, writes } = await yielding(100)
      assert.deepStrictEqual(writes, [])
      for (let left = 99; left > 0; left--) assert.deepStrictEqual(turn(left), [])
      send("two")
      assert.deepStrictEqual(turn(0), [["Text one", "Text two"]])
      assert.lengthOf(turn(0), 1)
    })

    it("outlasts the end of another read, but not a Close", async () => {
      const { connection, flusher, send, turn, writes } = await yielding(100)
      flusher.flushAnswers()
      assert.deepStrictEqual(writes, [])
      send("two")
      connection.close(1000)
      flusher.flushAnswers()
      assert.deepStrictEqual(turn(99), [["Text one", "Text two", "Close 1000"]])
    })

    it("waits one turn for a reader that makes no progress", async () => {
      const { turn } = await yielding(100)
      assert.deepStrictEqual(turn(100), [["Text one"]])
    })

    it("waits 5 milliseconds at most", async () => {
      const { clock, turn } = await yielding(100)
      clock.advance(4)
      assert.deepStrictEqual(turn(99), [])
      clock.advance(1)
      assert.deepStrictEqual(turn(98), [["Text one"]])
    })

    it("does not wait if nothing is unread", async () => {
      assert.deepStrictEqual((await yielding(0)).writes, [["Text one"]])
    })
  })
})

describe("a transport without room", () => {
  it("gets nothing more until it has some, but a Close", () => {
    const { connection, flusher, send, transport } = make()
    transport.stall()
    send("x".repeat(98))
    assert.isFalse(flusher.writable)
    assert.isFalse(flusher.hasRoom())
    connection.ping()
    flusher.flush()
    assert.lengthOf(transport.writes, 1)
    connection.close(1000)
    flusher.flush()
    assert.lengthOf(transport.writes, 2)
    transport.drain()
    assert.isTrue(flusher.writable)
  })

  it("reports the bytes that wait and the bytes that have left", () => {
    const { connection, flusher, transport } = make()
    transport.stall()
    connection.send(Message.text("123"))
    assert.deepStrictEqual([flusher.waitingBytes, flusher.leftBytes, flusher.sentBytes], [5, 0, 0])
    flusher.flush()
    assert.deepStrictEqual([flusher.waitingBytes, flusher.leftBytes, flusher.sentBytes], [5, 0, 5])
    transport.take(4)
    assert.deepStrictEqual([flusher.waitingBytes, flusher.leftBytes, flusher.sentBytes], [1, 4, 5])
  })

  it("is reported to the deadlines", () => {
    const { clock, log, send, transport } = make({ writeTimeout: 1000 })
    transport.stall()
    send("x".repeat(98))
    transport.drain()
    clock.advance(10_000)
    assert.deepStrictEqual(log, [])
    assert.strictEqual(clock.sleeping, 0)
  })
})

describe("a budget that is short", () => {
  it("leaves room while no more than the low-water mark waits, and looks what finds room at once", () => {
    const { connection, flusher, send, state, transport } = make()
    state.budgetIsShort = true
    assert.isTrue(flusher.hasRoom())
    send("12345678")
    assert.isTrue(flusher.hasRoom())
    send("9")
    // It is written, and nothing waits.
    assert.isTrue(flusher.hasRoom())
    assert.lengthOf(transport.writes, 1)
    transport.stall()
    send("12345678")
    connection.ping()
    assert.isFalse(flusher.hasRoom())
    assert.lengthOf(transport.writes, 2)
    transport.take(2)
    assert.isTrue(flusher.hasRoom())
    state.budgetIsShort = false
    send("much that waits for the end of the turn")
    assert.isTrue(flusher.hasRoom())
    assert.lengthOf(transport.writes, 2)
  })
})

describe("the end of the output", () => {
  it("ends the transport once, behind the last bytes, and starts the deadline of closing", () => {
    const { clock, connection, flusher, log, transport } = make()
    connection.close(1000)
    flusher.flush()
    assert.deepStrictEqual(transport.calls, [])
    connection.receive(sentTo("server", close(1000)))
    flusher.flush()
    flusher.flush()
    assert.deepStrictEqual(transport.calls, ["end"])
    assert.lengthOf(transport.writes, 1)
    clock.advance(5000)
    assert.deepStrictEqual(log, ["close"])
  })

  it("writes and ends nothing once nothing is left of the transport", () => {
    const { clock, connection, flusher, state, transport } = make()
    connection.receive(sentTo("client", text("not masked")))
    assert.isAbove(connection.outputBytes, 0)
    state.closed = true
    flusher.stop()
    flusher.flush()
    assert.deepStrictEqual(transport.writes, [])
    assert.deepStrictEqual(transport.calls, [])
    assert.strictEqual(clock.sleeping, 0)
  })
})
