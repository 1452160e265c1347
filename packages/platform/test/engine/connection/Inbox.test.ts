import { assert, describe, it } from "@effect/vitest"
import * as Connection from "@effect-websocket/protocol/Connection"
import { FrameReceived } from "@effect-websocket/protocol/Frame"
import * as Message from "@effect-websocket/protocol/Message"
import {
  Inbox,
  pausedByBudget,
  pausedByInbox,
  pausedByRate,
  weight,
  type Delivered
} from "../../../src/engine/connection/Inbox.js"
import { close, sentTo, text } from "../support.js"
import { FakeTransport } from "./FakeTransport.js"

const overhead = weight(Message.text(""))

/** An inbox of at most `receiveHighWaterMark` bytes, and its connection. */
const make = (receiveHighWaterMark = 1000) => {
  const connection = Connection.make({ role: "server" })
  const transport = new FakeTransport()
  const state = { closed: false, accounts: 0 }
  const inbox: Inbox<Delivered> = new Inbox({
    connection,
    transport,
    settings: { receiveHighWaterMark },
    get closed() {
      return state.closed
    },
    account: () => void state.accounts++,
    settle: () => void connection.settle()
  })
  const push = (...data: ReadonlyArray<string>) => {
    for (const each of data) inbox.push(Message.text(each))
  }
  return { connection, inbox, push, state, transport }
}

/** What the items say. */
const texts = (items: ReadonlyArray<Delivered | undefined>) =>
  items.map((item) => (item?._tag === "Text" ? item.data : undefined))

/** Everything that a reader gets, one by one. */
const drained = (inbox: Inbox<Delivered>) => {
  const items: Array<Delivered> = []
  for (let item = inbox.next(); item !== undefined; item = inbox.next()) items.push(item)
  return texts(items)
}

const wakesOf = (wait: (wake: () => void) => void) => {
  const log: Array<string> = []
  wait(() => log.push("woken"))
  return log
}

it("an item weighs its payload, and something besides", () => {
  assert.strictEqual(overhead, 64)
  assert.strictEqual(weight(Message.text("abc")), overhead + 3)
  assert.strictEqual(weight(Message.binary(new Uint8Array(5))), overhead + 5)
  assert.strictEqual(weight(new FrameReceived(text("abcd"))), overhead + 4)
})

describe("the waiting items", () => {
  it("come in order, one by one or all at once", () => {
    const { inbox, push } = make()
    push("one", "two")
    assert.strictEqual(inbox.first, inbox.next())
    push("three")
    assert.deepStrictEqual(texts([inbox.first]), ["two"])
    assert.deepStrictEqual(texts(inbox.takeAll()), ["two", "three"])
    push("four", "five")
    assert.deepStrictEqual(drained(inbox), ["four", "five"])
    push("six", "seven")
    assert.deepStrictEqual(texts(inbox.takeAll()), ["six", "seven"])
    assert.isUndefined(inbox.next())
    assert.deepStrictEqual(inbox.takeAll(), [])
  })

  it("are counted in bytes, however they are taken", () => {
    const { inbox, push, state } = make()
    push("one", "four")
    assert.strictEqual(inbox.bytes, 2 * overhead + 7)
    inbox.next()
    assert.strictEqual(inbox.bytes, overhead + 4)
    inbox.next()
    assert.strictEqual(inbox.bytes, 0)
    assert.isTrue(inbox.isEmpty)
    push("one", "four")
    // Whoever takes one by one says so itself.
    assert.strictEqual(state.accounts, 0)
    inbox.takeAll()
    assert.strictEqual(inbox.bytes, 0)
    assert.strictEqual(state.accounts, 1)
    push("one")
    inbox.clear()
    assert.strictEqual(inbox.bytes, 0)
    assert.isUndefined(inbox.first)
  })

  it("are all kept while the connection is open, also above the high-water mark", () => {
    const { inbox, push } = make(1)
    push("one", "two", "three")
    assert.isTrue(inbox.isAboveHighWater)
    assert.deepStrictEqual(drained(inbox), ["one", "two", "three"])
  })

  it("are kept without a gap while the connection closes, up to the high-water mark", () => {
    const { connection, inbox, push } = make(overhead + 3)
    connection.close(1000)
    push("one", "two")
    assert.isTrue(inbox.isAboveHighWater)
    push("dropped")
    assert.deepStrictEqual(drained(inbox), ["one", "two"])
    push("behind the gap")
    assert.deepStrictEqual(drained(inbox), [])
  })

  it("are dropped for good once they are discarded, also while the connection is open", () => {
    const { inbox, push } = make()
    push("one")
    inbox.discard()
    push("two")
    assert.deepStrictEqual(drained(inbox), [])
    assert.strictEqual(inbox.bytes, 0)
  })

  it("are not dropped if a reader is about to take them", () => {
    const { inbox, push } = make()
    push("one")
    inbox.taking = true
    inbox.discard()
    push("two")
    assert.deepStrictEqual(texts(inbox.takeAll()), ["one"])
    assert.isFalse(inbox.taking)
  })
})

describe("the reader", () => {
  it("is woken at once if something waits, or an end", () => {
    const something = make()
    something.push("one")
    const violated = make()
    violated.connection.receive(sentTo("client", text("not masked")))
    const unsettled = make()
    unsettled.connection.receive(sentTo("server", text("one"), close(1000)))
    assert.isTrue(unsettled.connection.unsettled)
    for (const { inbox } of [something, violated, unsettled]) {
      assert.deepStrictEqual(
        wakesOf((wake) => inbox.whenReadable({ wake })),
        ["woken"]
      )
      assert.isFalse(inbox.isAwaited)
    }
  })

  it("is woken once, by an item", () => {
    const { inbox, push } = make()
    const log = wakesOf((wake) => inbox.whenReadable({ wake }))
    assert.isTrue(inbox.isAwaited)
    // A ping brings nothing to read.
    inbox.wakeReader()
    assert.deepStrictEqual(log, [])
    push("one")
    inbox.wakeReader()
    inbox.wakeReader()
    assert.deepStrictEqual(log, ["woken"])
    assert.isFalse(inbox.isAwaited)
  })

  it("is woken by the end", () => {
    const { connection, inbox } = make()
    const log = wakesOf((wake) => inbox.whenReadable({ wake }))
    connection.receiveEof()
    inbox.wakeReader()
    assert.deepStrictEqual(log, ["woken"])
  })

  it("may wait again while it is woken, and is then woken only by later items", () => {
    const { inbox, push } = make()
    const log: Array<string | undefined> = []
    const wake = () => {
      log.push(...texts(inbox.takeAll()))
      inbox.waitOn({ wake })
    }
    inbox.whenReadable({ wake })
    push("one", "two")
    inbox.wakeReader()
    inbox.wakeReader()
    push("three")
    inbox.wakeReader()
    assert.deepStrictEqual(log, ["one", "two", "three"])
  })

  it("does not continue to wait if an item or the end has come since it looked", () => {
    const { connection, inbox, push } = make()
    const log: Array<string> = []
    const wait = () => inbox.waitOn({ wake: () => void log.push("woken") })
    push("one")
    assert.isFalse(wait())
    assert.isFalse(inbox.isAwaited)
    inbox.takeAll()
    assert.isTrue(wait())
    push("two")
    inbox.wakeReader()
    assert.deepStrictEqual(log, ["woken"])
    inbox.takeAll()
    connection.receiveEof()
    assert.isFalse(wait())
    assert.deepStrictEqual([log, inbox.isAwaited], [["woken"], false])
  })

  it("is forgotten, and then neither woken nor taking", () => {
    const { inbox, push } = make()
    const log = wakesOf((wake) => inbox.whenReadable({ wake }))
    inbox.taking = true
    inbox.forgetReader()
    assert.isFalse(inbox.taking)
    push("one")
    inbox.wakeReader()
    assert.deepStrictEqual(log, [])
    assert.deepStrictEqual(drained(inbox), ["one"])
  })

  it("sees a Close behind messages when it comes back for more", () => {
    const { connection, inbox } = make()
    assert.strictEqual(inbox.error, undefined)
    connection.receive(sentTo("server", text("one"), close(1000)))
    assert.strictEqual(connection.error, undefined)
    assert.deepInclude({ ...inbox.error }, { _tag: "Connection_closed", code: 1000 })
  })
})

describe("the transport", () => {
  it("is paused by the first reason and resumed with the last", () => {
    for (const reasons of [
      [pausedByInbox, pausedByBudget, pausedByRate],
      [pausedByRate, pausedByInbox, pausedByBudget]
    ]) {
      const { inbox, transport } = make()
      for (const reason of reasons) {
        inbox.pause(reason)
        inbox.pause(reason)
      }
      assert.deepStrictEqual(transport.calls, ["pause"])
      assert.isTrue(inbox.paused)
      for (const reason of reasons) {
        assert.deepStrictEqual(transport.calls, ["pause"])
        inbox.resume(reason)
      }
      assert.deepStrictEqual(transport.calls, ["pause", "resume"])
      assert.isFalse(inbox.paused)
      inbox.resume(pausedByInbox)
      assert.lengthOf(transport.calls, 2)
    }
  })

  it("is resumed whatever paused it, and once", () => {
    const { inbox, transport } = make()
    inbox.pause(pausedByInbox)
    inbox.pause(pausedByRate)
    inbox.resumeAll()
    inbox.resumeAll()
    assert.deepStrictEqual(transport.calls, ["pause", "resume"])
  })

  it("is resumed once half of the high-water mark is free", () => {
    const { inbox, push, transport } = make(2 * overhead)
    push("", "", "")
    inbox.pause(pausedByInbox)
    inbox.next()
    inbox.taken()
    assert.deepStrictEqual(transport.calls, ["pause"])
    inbox.next()
    inbox.taken()
    assert.deepStrictEqual(transport.calls, ["pause", "resume"])
  })

  it("is not paused while the connection closes: the peer's Close is to come", () => {
    const { connection, inbox, transport } = make()
    connection.close(1000)
    inbox.pause(pausedByInbox)
    assert.deepStrictEqual(transport.calls, [])
  })

  it("is left alone once nothing is left of it", () => {
    const { inbox, state, transport } = make()
    inbox.pause(pausedByInbox)
    state.closed = true
    inbox.resumeAll()
    assert.deepStrictEqual(transport.calls, ["pause"])
  })
})
