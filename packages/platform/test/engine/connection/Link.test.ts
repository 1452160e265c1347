import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { resolveLimits } from "@effect-websocket/protocol/Connection"
import { IoError } from "@effect-websocket/protocol/Errors"
import { Budget } from "../../../src/engine/connection/Budget.js"
import { Closables } from "../../../src/engine/connection/Closables.js"
import { endsNormally } from "../../../src/engine/connection/endsNormally.js"
import { makePing } from "../../../src/engine/connection/Link.js"
import type { TransportSink } from "../../../src/Transport.js"
import {
  binary,
  close,
  closedError,
  continuation,
  fields,
  ping,
  pong,
  resetError,
  roles,
  sentTo,
  text,
  utf8
} from "../support.js"
import { FakeTransport } from "./FakeTransport.js"
import { open, Sending, turn, type Choice } from "./open.js"

type Opened = ReturnType<typeof open>

/** Reads all that comes, and does something for each text. */
const readAll = ({ link }: Opened, each: (data: string) => void): void => {
  const wake = (): void => {
    for (const item of link.inbox.takeAll()) if (item._tag === "Text") each(item.data)
    if (link.connection.error === undefined) link.inbox.waitOn({ wake })
  }
  link.inbox.whenReadable({ wake })
}

/** What waits in the inbox. */
const taken = ({ link }: Opened) => link.inbox.takeAll().map((item) => (item._tag === "Text" ? item.data : item._tag))

// A Close behind messages takes effect at the end of the turn at the latest.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
})
afterEach(() => {
  assert.strictEqual(vi.getTimerCount(), 0)
  vi.useRealTimers()
})

for (const role of roles) {
  describe(`a chunk that arrives, as ${role}`, () => {
    it("is answered in one write, by the pongs and by what its reader sends", async () => {
      const opened = open({ role })
      readAll(opened, (data) => void opened.sender.sendNow(`re ${data}`, undefined))
      opened.receive(ping("a"), text("one"), ping("b"), text("two"))
      const expected = [["Pong a", "Pong b", "Text re one", "Text re two"]]
      assert.deepStrictEqual(opened.writes(), expected)
      await turn()
      assert.deepStrictEqual(opened.writes(), expected)
    })

    it("goes to the listeners, then to the inbox, then to the reader, and is then answered", () => {
      const opened = open({ role })
      const log: Array<string> = []
      opened.link.listen((event) =>
        log.push(`${event._tag}, ${opened.link.inbox.isEmpty ? "nothing" : "much"} to read`)
      )
      readAll(opened, (data) => log.push(`${data}, ${opened.writes().length} writes`))
      opened.receive(text("one"), ping("a"), text("two"))
      log.push(`${opened.writes().length} writes`)
      assert.deepStrictEqual(log, ["Ping, much to read", "one, 0 writes", "two, 0 writes", "1 writes"])
    })

    it("is counted", () => {
      const opened = open({ role })
      opened.receive(text("a"), text("b", false))
      assert.strictEqual(opened.link.receivedMessages, 1)
      opened.receive(continuation("c"), ping("d"))
      assert.strictEqual(opened.link.receivedMessages, 2)
      assert.isAbove(opened.link.receivedBytes, 8)
      assert.deepStrictEqual(taken(opened), ["a", "bc"])
    })

    it("has each byte of its answer counted, also of a pong for the newest of many pings", () => {
      const opened = open({ role, settings: { limits: resolveLimits({ maxBufferedControlFrames: 1 }) } })
      for (const frames of [1, 2, 5]) {
        opened.receive(...Array.from({ length: frames }, (_, i) => ping("x".repeat(i))))
        const size = opened.transport.writes.reduce((sum, { length }) => sum + length, 0)
        assert.strictEqual(opened.link.sentBytes, size)
        assert.strictEqual(opened.link.leftBytes, size)
      }
    })
  })
}

describe("reading", () => {
  it("is paused above the high-water mark if nobody waits, and resumed below half of it", () => {
    const opened = open()
    opened.receive(text("x".repeat(2000)))
    assert.deepStrictEqual(opened.transport.calls, ["pause"])
    assert.isTrue(opened.link.paused)
    taken(opened)
    assert.deepStrictEqual(opened.transport.calls, ["pause", "resume"])
    readAll(opened, () => {})
    opened.receive(text("x".repeat(2000)))
    assert.lengthOf(opened.transport.calls, 2)
  })

  it("is paused by the rate, until it is kept", () => {
    const receiveRate = { perMessage: 500, perByte: 0, burst: 1000, closes: false }
    const opened = open({ settings: { receiveRate } })
    opened.receive(text("a"), text("b"), text("c"))
    assert.deepStrictEqual(opened.transport.calls, ["pause"])
    assert.deepStrictEqual(taken(opened), ["a", "b", "c"])
    opened.clock.advance(499)
    assert.deepStrictEqual(opened.transport.calls, ["pause"])
    opened.clock.advance(1)
    assert.deepStrictEqual(opened.transport.calls, ["pause", "resume"])
  })

  it("may have a rate whose breach closes with 1008", () => {
    const receiveRate = { perMessage: 500, perByte: 0, burst: 1000, closes: true }
    const opened = open({ settings: { receiveRate } })
    opened.receive(text("a"), text("b"), text("c"))
    assert.deepStrictEqual(opened.wrote(), ["Close 1008 too much per time"])
    assert.deepStrictEqual(taken(opened), ["a", "b", "c"])
  })

  it("goes on only when all reasons are gone, and in any case to see the peer's Close", () => {
    const receiveRate = { perMessage: 500, perByte: 0, burst: 500, closes: false }
    const opened = open({ settings: { receiveRate } })
    const data = "x".repeat(2000)
    opened.receive(text(data), text(data))
    opened.clock.advance(500)
    assert.deepStrictEqual(opened.transport.calls, ["pause"])
    opened.link.startClosing(1000)
    assert.deepStrictEqual(opened.transport.calls, ["pause", "resume"])
  })

  it("is paused by a budget that is exhausted, and its bytes are counted until the end", () => {
    const budget = new Budget(2000)
    const opened = open({ settings: { budget, receiveHighWaterMark: 100_000 } })
    const other = open({ settings: { budget }, clock: opened.clock, timers: opened.timers })
    opened.receive(text("x".repeat(1100)))
    assert.deepStrictEqual(opened.transport.calls, ["pause"])
    assert.deepStrictEqual(other.transport.calls, [])
    assert.strictEqual(budget.unreadBytes, opened.link.unreadBytes)
    taken(opened)
    assert.deepStrictEqual(opened.transport.calls, ["pause", "resume"])
    opened.transport.stall()
    opened.sender.sendNow("x".repeat(500), undefined)
    opened.link.flusher.flush()
    opened.receive(text("unfinished", false))
    assert.deepInclude(budget.measure(), { unreadBytes: 0, unsentBytes: 504, connections: 2 })
    assert.strictEqual(budget.unfinishedBytes, opened.link.unfinishedBytes)
    assert.isAbove(budget.unfinishedBytes, 0)
    opened.transport.sink.onClose()
    assert.deepInclude(budget.measure(), { usedBytes: 0, connections: 1 })
  })

  it("fails with 1013 if the budget drops its unfinished message", () => {
    const budget = new Budget(1000)
    const opened = open({ settings: { budget } })
    opened.link.shed(1000)
    assert.deepStrictEqual(
      opened.wrote().map((frame) => frame.slice(0, 10)),
      ["Close 1013"]
    )
    assert.deepInclude(fields(opened.link.connection.error!), { _tag: "Payload_too_large", limit: "budget", max: 1000 })
  })

  it("gives back the memory of chunks of which nothing is kept", () => {
    const opened = open()
    opened.receive(ping("hello"))
    assert.strictEqual(opened.transport.released, 1)
    // A view of this one waits to be read.
    opened.receive(binary(new Uint8Array(100)))
    // This one is not ours to give back.
    opened.link.onChunk(sentTo("server", ping("hello")), false)
    assert.strictEqual(opened.transport.released, 1)
  })
})

describe("a ping", () => {
  it("is answered by its pong, with the time that it took", () => {
    const opened = open()
    const sent = makePing(opened.link, utf8("x"))
    assert.isUndefined(opened.link.sendPing(sent))
    opened.link.flusher.flush()
    assert.deepStrictEqual(opened.wrote(), ["Ping x"])
    const answers: Array<unknown> = []
    sent.whenAnswered((answer) => answers.push(answer))
    opened.clock.advance(5)
    opened.receive(pong("y"))
    opened.receive(pong("x"))
    opened.receive(pong("x"))
    assert.deepStrictEqual(answers, [5])
  })

  it("fails with the connection", () => {
    const opened = open()
    const sent = makePing(opened.link)
    opened.link.sendPing(sent)
    const answers: Array<unknown> = []
    sent.whenAnswered((answer) => answers.push(answer))
    opened.transport.sink.onClose()
    assert.lengthOf(answers, 1)
    assert.strictEqual(answers[0], opened.link.connection.error)
    const late = opened.link.sendPing(makePing(opened.link))
    assert.strictEqual(late, opened.link.connection.error)
  })

  it("of the heartbeat goes out after silence, unless something waits to be written", () => {
    const random = { getRandomValues: (bytes: Uint8Array) => bytes.fill(65) }
    const heartbeat = { heartbeatInterval: 25_000, random }
    const opened = open({ settings: heartbeat })
    opened.clock.advance(25_000)
    assert.deepStrictEqual(opened.wrote(), ["Ping AAAAAAAA"])
    opened.receive(pong("any"))
    opened.clock.advance(25_000)
    assert.lengthOf(opened.writes(), 2)
    opened.clock.advance(20_000)
    vi.runAllTimers()
    assert.strictEqual(opened.wrote().at(-1), "Close 1011")
    assert.deepInclude(fields(opened.link.connection.error!), { reason: "Timeout", operation: "heartbeat" })
    const stuck = open({ settings: heartbeat })
    stuck.transport.stall()
    stuck.sender.sendNow("x".repeat(98), undefined)
    stuck.clock.advance(25_000)
    assert.lengthOf(stuck.writes(), 1)
  })
})

describe("a Close behind messages", () => {
  it("takes effect at the end of the turn, whether or not the reader has made progress", () => {
    const opened = open()
    opened.receive(text("one"), text("two"), close(1000))
    opened.link.inbox.next()
    assert.deepStrictEqual(opened.wrote(), [])
    vi.advanceTimersToNextTimer()
    assert.deepStrictEqual(opened.wrote(), ["Close 1000"])
  })

  it("waits as long as each turn makes progress if the reader yields to the event loop", () => {
    const opened = open()
    let goOn = () => {}
    opened.clock.afterYield = (callback) => {
      goOn = callback
    }
    opened.receive(text("one"), text("two"), text("three"), close(1000))
    for (let read = 1; read <= 2; read++) {
      vi.advanceTimersToNextTimer()
      opened.link.inbox.next()
      goOn()
      assert.deepStrictEqual(opened.wrote(), [])
    }
    vi.advanceTimersToNextTimer()
    assert.deepStrictEqual(opened.wrote(), [])
    goOn()
    assert.deepStrictEqual(opened.wrote(), ["Close 1000"])
  })

  it("is not looked at again once the connection closes by itself", () => {
    const opened = open()
    const late: Array<() => void> = []
    opened.clock.afterYield = (callback) => void late.push(callback)
    opened.receive(text("one"), close(1000))
    vi.advanceTimersToNextTimer()
    opened.link.startClosing(1001)
    for (const goOn of late) goOn()
    assert.deepStrictEqual(opened.wrote(), ["Close 1001"])
  })
})

describe("closing", () => {
  it("sends a Close, reads on for the peer's, and is over when nothing is left of the transport", () => {
    const opened = open()
    const log: Array<string> = []
    opened.link.whenClosed(() => log.push("closed"))
    assert.isUndefined(opened.link.startClosing(1000, "bye"))
    opened.link.startClosing(1001)
    opened.receive(text("late"), close(1000))
    vi.runAllTimers()
    assert.deepStrictEqual(opened.wrote(), ["Close 1000 bye"])
    assert.deepStrictEqual(opened.transport.calls, ["end"])
    assert.deepStrictEqual(log, [])
    opened.transport.sink.onClose()
    opened.transport.sink.onClose()
    assert.deepStrictEqual(log, ["closed"])
    assert.strictEqual(opened.clock.sleeping, 0)
    assert.deepStrictEqual(taken(opened), ["late"])
    assert.deepInclude(opened.link.status, { clean: true, initiator: "local" })
    assert.strictEqual(opened.link.status.error, opened.link.connection.error)
  })

  it("calls back once, at once if it is over, and not after a callback was removed", () => {
    const { link, transport } = open()
    const log: Array<string> = []
    const [, undo] = ["first", "second"].map((name) => link.whenClosed(() => log.push(name)))
    undo!()
    transport.sink.onClose()
    assert.deepStrictEqual(log, ["first"])
    link.whenClosed(() => log.push("late"))()
    assert.deepStrictEqual(log, ["first", "late"])
  })

  it("answers the peer's Close, and echoes its code", () => {
    const opened = open()
    opened.receive(close(4001, "bye"))
    assert.deepStrictEqual(opened.wrote(), ["Close 4001"])
    assert.deepStrictEqual(opened.transport.calls.at(-1), "end")
    assert.deepStrictEqual(fields(opened.link.connection.error!), closedError(4001, "remote", true, "bye"))
  })

  it("lets messages before the peer's Close be answered, until the end of the turn", () => {
    for (const answers of [true, false]) {
      const opened = open()
      if (answers) readAll(opened, (data) => void opened.sender.sendNow(`re ${data}`, undefined))
      opened.receive(text("one"), close(1000))
      if (!answers) assert.deepStrictEqual(opened.wrote(), [])
      vi.runAllTimers()
      assert.deepStrictEqual(opened.wrote(), answers ? ["Text re one", "Close 1000"] : ["Close 1000"])
    }
  })

  const pauses: ReadonlyArray<readonly [string, () => Choice["settings"]]> = [
    ["the high-water mark", () => ({})],
    ["the rate", () => ({ receiveRate: { perMessage: 500, perByte: 0, burst: 500, closes: false } })],
    ["the budget", () => ({ budget: new Budget(2000), receiveHighWaterMark: 100_000 })]
  ]
  for (const [name, choose] of pauses) {
    it(`reads on behind the peer's Close, whatever came before it, so that ${name} does not hide the peer's end`, () => {
      const opened = open({ settings: choose() ?? {} })
      const data = "x".repeat(2000)
      opened.receive(text(data), text(data), close(1000))
      assert.isFalse(opened.link.paused)
      vi.runAllTimers()
      assert.deepStrictEqual(opened.wrote(), ["Close 1000"])
      assert.deepStrictEqual(opened.transport.calls, ["end"])
    })
  }

  const ways: ReadonlyArray<readonly [string, (opened: Opened) => void]> = [
    ["a Close of ours", ({ link }) => void link.startClosing(1000)],
    ["the peer's Close", ({ receive }) => receive(close(1000))],
    ["the peer's Close behind a message", ({ receive }) => receive(text("x"), close(1000))],
    ["a violation behind a message", ({ receive }) => receive(text("x"), continuation("x"))],
    ["the end of the input", ({ transport }) => transport.sink.onEof()],
    ["a budget that drops the message", ({ link }) => link.shed(1000)],
    ["zlib, which fails", ({ link }) => link.failDeflating(new Error("bug"))],
    ["an item that cannot be read", ({ link }) => link.failReading(1007, link.terminalError("local"))],
    ["messageTimeout", ({ link }) => link.expire("message")],
    ["heartbeatTimeout", ({ link }) => link.expire("heartbeat")],
    ["idleTimeout", ({ link }) => link.expire("idle")],
    ["maxLifetime", ({ link }) => link.expire("lifetime")]
  ]
  for (const [name, leave] of ways) {
    it(`reads on if it was paused, refuses to send and has its deadline, after ${name}`, () => {
      const opened = open({ settings: { messageTimeout: 60_000, maxLifetime: 60_000 } })
      const { clock, link, sender, transport } = opened
      opened.receive(text("x".repeat(2000)), text("begun", false))
      opened.receive(continuation("end"))
      transport.stall()
      const sending = new Sending(sender.sendNow("y".repeat(98), undefined))
      const waiting = new Sending(sender.sendNow("waits", undefined))
      assert.isTrue(link.paused)
      leave(opened)
      vi.runAllTimers()
      assert.isFalse(link.paused)
      assert.deepStrictEqual(
        transport.calls.filter((call) => call !== "end"),
        ["pause", "resume"]
      )
      assert.lengthOf(waiting.outcomes, 1)
      assert.isDefined(waiting.outcomes[0])
      clock.advance(4999)
      assert.notInclude(transport.calls, "abort")
      clock.advance(1)
      assert.strictEqual(transport.calls.at(-1), "abort")
      transport.sink.onClose()
      assert.isFalse(sending.isWaiting)
    })
  }

  it("takes effect when the reader comes back for more, before the end of the turn", () => {
    const opened = open()
    opened.receive(text("one"), close(1000))
    assert.deepStrictEqual(taken(opened), ["one"])
    assert.strictEqual(opened.link.inbox.error, opened.link.connection.error)
    assert.deepStrictEqual(opened.wrote(), ["Close 1000"])
  })

  it("with the scope discards unread items, and drops items that arrive later", () => {
    for (const taking of [false, true]) {
      const opened = open()
      opened.receive(text("one"))
      opened.link.inbox.taking = taking
      opened.link.beginClose(1001)
      opened.receive(text("two"))
      assert.deepStrictEqual(taken(opened), taking ? ["one"] : [])
      assert.deepStrictEqual(opened.wrote(), ["Close 1001"])
    }
  })

  it("has one deadline, from which the time is taken that had passed before", () => {
    for (const [waited, end] of [
      [0, 5000],
      [2000, 3000]
    ] as const) {
      const opened = open()
      opened.link.beginClose(1001, waited)
      opened.clock.advance(end - 1)
      assert.deepStrictEqual(opened.transport.calls, [])
      opened.clock.advance(1)
      assert.deepStrictEqual(opened.transport.calls, ["abort"])
      assert.isFalse(opened.link.status.clean)
      assert.strictEqual(opened.link.patience, 2500)
    }
  })

  it("refuses a code or a reason that may not be sent, and goes on", () => {
    const opened = open()
    assert.deepInclude(fields(opened.link.startClosing(1006)!), { _tag: "Protocol_error", origin: "local" })
    assert.deepInclude(fields(opened.link.startClosing(1000, "x".repeat(124))!), { _tag: "Payload_too_large" })
    assert.strictEqual(opened.link.connection.phase, "Open")
    assert.strictEqual(opened.clock.sleeping, 0)
  })
})

describe("the end", () => {
  it("gives an aborted transport neither the answers of the read in which it was aborted nor an end", async () => {
    const opened = open()
    const { link, receive, sender, transport } = opened
    readAll(opened, (data) => {
      sender.sendNow(`answer to ${data}`, undefined)
      link.cutShort()
    })
    receive(text("question"), close(1000))
    await turn()
    assert.deepStrictEqual(transport.writes, [])
    assert.deepStrictEqual(transport.calls, ["abort"])
    assert.strictEqual(link.sentBytes, 0)
  })

  const ways: ReadonlyArray<readonly [string, (opened: Opened) => void, object]> = [
    ["an abort", ({ link }) => link.cutShort(), closedError(1006, "local", false)],
    [
      "an error of the transport",
      ({ transport }) => transport.sink.onError(new IoError({ reason: "Reset", operation: "read" })),
      resetError
    ],
    ["the end of the input", ({ transport }) => transport.sink.onEof(), closedError(1006, "remote", false)],
    ["nothing left of the transport", ({ transport }) => transport.sink.onClose(), closedError(1006, "remote", false)]
  ]
  it("is announced to listeners once this side closes, before the peer has answered", () => {
    const { link, receive } = open()
    const heard: Array<string> = []
    link.listen(({ _tag }) =>
      heard.push(`${_tag} ${link.connection.error === undefined ? "without" : "with"} an error`)
    )
    receive(text("before"))
    assert.deepStrictEqual(heard, [])
    link.startClosing(1000)
    assert.deepStrictEqual([...new Set(heard)], ["Closing without an error"])
    link.cutShort()
    link.onClose()
  })

  for (const [name, end, expected] of ways) {
    it(`by ${name} fails everything that waits with one error, and all that comes later`, () => {
      const opened = open()
      const { link, sender, transport } = opened
      transport.stall()
      const sent = makePing(link)
      link.sendPing(sent)
      const sendings = ["x".repeat(98), "waits"].map((data) => new Sending(sender.sendNow(data, undefined)))
      const errors: Array<unknown> = []
      sent.whenAnswered((answer) => errors.push(answer))
      link.inbox.whenReadable({ wake: () => void errors.push(link.inbox.error) })
      link.listen((event) => event._tag === "Ended" && errors.push(event.error))
      end(opened)
      transport.sink.onClose()
      const { error } = link.connection
      assert.deepStrictEqual(fields(error!), expected)
      for (const { outcomes } of sendings) errors.push(...outcomes)
      errors.push(sender.sendNow("late", undefined), link.sendPong(undefined), link.status.error)
      assert.lengthOf(errors, 8)
      for (const each of errors) assert.strictEqual(each, error)
      assert.strictEqual(opened.clock.sleeping, 0)
      assert.isFalse(link.status.clean)
      // Idempotent.
      const calls = [...transport.calls]
      link.cutShort()
      link.startClosing(1000)
      assert.deepStrictEqual(transport.calls, calls)
    })
  }

  it("comes with an abort if the transport fails", () => {
    const { transport } = open()
    transport.sink.onError(new IoError({ reason: "Reset", operation: "read" }))
    assert.deepStrictEqual(transport.calls, ["abort"])
  })

  it("is not clean if bytes of the Close were cut off", () => {
    const opened = open()
    opened.transport.stall()
    opened.link.startClosing(1000)
    opened.receive(close(1000))
    opened.link.cutShort()
    opened.transport.sink.onClose()
    assert.isFalse(opened.link.status.clean)
  })

  const drops: ReadonlyArray<readonly [string, (opened: Opened) => void]> = [
    ["an abort", ({ link }) => link.cutShort()],
    [
      "an error of the transport",
      ({ transport }) => transport.sink.onError(new IoError({ reason: "Reset", operation: "write" }))
    ]
  ]
  for (const [name, drop] of drops) {
    it(`is not clean if ${name} cut off bytes of the Close, although a second abort finds nothing left`, () => {
      const opened = open()
      opened.transport.stall()
      opened.sender.sendNow("lost", undefined)
      opened.receive(close(1000))
      assert.isAbove(opened.transport.bufferedBytes, 0)
      drop(opened)
      opened.transport.bufferedBytes = 0
      opened.link.cutShort()
      opened.transport.sink.onClose()
      assert.isFalse(opened.link.status.clean)
    })
  }

  const ends: ReadonlyArray<readonly [string, (opened: Opened) => void]> = [
    ...drops,
    ["nothing left of the transport", ({ transport }) => transport.sink.onClose()]
  ]
  for (const [name, end] of ends) {
    it(`is not clean if ${name} came before the answer to a Close behind messages`, () => {
      const opened = open()
      opened.receive(text("one"), close(1000))
      end(opened)
      opened.transport.sink.onClose()
      assert.deepStrictEqual(opened.wrote(), [])
      assert.isFalse(opened.link.status.clean)
    })
  }

  it("is reported to the owners, which begin to close it before", () => {
    const opened = open()
    const owner = new Closables()
    opened.link.addOwner(owner)
    assert.deepStrictEqual(owner.beginClose(1001), [opened.link])
    assert.deepStrictEqual(opened.wrote(), ["Close 1001"])
    opened.transport.sink.onClose()
    assert.deepStrictEqual(owner.beginClose(1001), [])
    opened.link.addOwner(owner)
    assert.deepStrictEqual(owner.beginClose(1001), [])
  })
})

describe("a transport that closes as it starts", () => {
  it("leaves no deadline, and no member of a budget", () => {
    class Closing extends FakeTransport {
      override start(sink: TransportSink): void {
        sink.onClose()
      }
    }
    const budget = new Budget(1000)
    const owner = new Closables()
    const opened = open({
      transport: new Closing(),
      settings: { budget, maxLifetime: 1000, idleTimeout: 1000, heartbeatInterval: 1000 }
    })
    opened.link.addOwner(owner)
    assert.strictEqual(opened.clock.sleeping, 0)
    assert.strictEqual(budget.measure().connections, 0)
    assert.deepStrictEqual(owner.beginClose(1001), [])
    assert.isTrue(opened.link.closed)
  })
})

describe("a deadline", () => {
  const cases: ReadonlyArray<readonly [string, Choice["settings"], (opened: Opened) => void, string]> = [
    ["idleTimeout", { idleTimeout: 1000 }, () => {}, "Close 1001 idle"],
    ["maxLifetime", { maxLifetime: 1000 }, () => {}, "Close 1001 maximum lifetime"],
    ["messageTimeout", { messageTimeout: 1000 }, ({ receive }) => receive(text("begun", false)), "Close 1008"]
  ]
  for (const [name, settings, prepare, expected] of cases) {
    it(`${name} closes with its code`, () => {
      const opened = open({ settings: settings ?? {} })
      prepare(opened)
      opened.clock.advance(999)
      assert.deepStrictEqual(opened.wrote(), [])
      opened.clock.advance(1)
      assert.deepStrictEqual(opened.wrote(), [expected])
    })
  }

  it("messageTimeout does not count for messages that are not held whole", () => {
    const opened = open({ settings: { messageTimeout: 1000 }, mode: { delivery: "streams" } })
    opened.receive(text("begun", false))
    opened.clock.advance(60_000)
    assert.deepStrictEqual(opened.wrote(), [])
  })

  it("messageTimeout does not end a closing handshake", () => {
    const opened = open({ settings: { messageTimeout: 1000 } })
    opened.link.startClosing(1000)
    opened.receive(text("begun", false))
    opened.clock.advance(4000)
    opened.receive(continuation("end"), close(1000))
    assert.deepStrictEqual(opened.wrote(), ["Close 1000"])
    assert.isTrue(opened.link.status.clean)
    opened.transport.sink.onClose()
  })

  it("does nothing to a transport that was aborted", () => {
    const opened = open({ settings: { idleTimeout: 1000, heartbeatInterval: 1000, heartbeatTimeout: 1000 } })
    opened.link.cutShort()
    opened.clock.advance(4999)
    vi.runAllTimers()
    assert.deepStrictEqual(opened.transport.calls, ["abort"])
    assert.deepStrictEqual(opened.wrote(), [])
    opened.transport.sink.onClose()
    assert.strictEqual(opened.clock.sleeping, 0)
  })

  it("writeTimeout drops the peer", () => {
    const opened = open({ settings: { writeTimeout: 1000 } })
    opened.transport.stall()
    const sending = new Sending(opened.sender.sendNow("x".repeat(98), undefined))
    opened.clock.advance(1000)
    vi.runAllTimers()
    assert.deepStrictEqual(opened.transport.calls, ["abort"])
    assert.deepInclude(fields(sending.outcomes[0]!), { reason: "Timeout", operation: "write" })
  })
})

it("endsNormally after a clean Close of ours, or one of the peer's that says nothing else", () => {
  const cases: ReadonlyArray<readonly [(opened: Opened) => void, boolean]> = [
    [({ receive }) => receive(close(1000)), true],
    [({ receive }) => receive(close(1001)), true],
    [({ receive }) => receive(close()), true],
    [({ receive }) => receive(close(1011)), false],
    [({ receive }) => receive(close(4000)), false],
    [({ transport }) => transport.sink.onEof(), false],
    [({ link }) => link.cutShort(), false]
  ]
  for (const [end, expected] of cases) {
    const opened = open()
    end(opened)
    assert.strictEqual(endsNormally(opened.link.connection.error!), expected)
  }
  const ours = open()
  ours.link.startClosing(4000)
  ours.receive(close(4000))
  assert.isTrue(endsNormally(ours.link.connection.error!))
})
