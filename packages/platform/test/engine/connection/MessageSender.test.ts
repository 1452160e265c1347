import { assert, describe, it } from "@effect/vitest"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import * as Message from "@effect-websocket/protocol/Message"
import { Defect } from "../../../src/engine/Defect.js"
import type { SendStrategy } from "../../../src/engine/Settings.js"
import { concat, fields, mistakes, show, utf8 } from "../support.js"
import { FakeZlib } from "./FakeZlib.js"
import { open, permutations, Sending, turn, type Choice } from "./open.js"

/** Large enough to be deflated on another thread. */
const large = (name: string) => name.padEnd(64 * 1024, ".")

/** An open connection whose messages are known by their first letters. */
const make = (choice: Choice = {}) => {
  const zlib = new FakeZlib()
  const opened = open({ zlib, ...choice, settings: { sendMarks: { high: 1000, low: 100 }, ...choice.settings } })
  const { link, sender, transport } = opened
  return {
    ...opened,
    zlib,
    send: (data: string | Uint8Array, options?: { readonly compress?: boolean; readonly maxFrameSize?: number }) =>
      new Sending(sender.sendNow(data, options)),
    /** Fills the transport, so that nothing more has room. */
    fill: () => {
      transport.stall()
      const size = link.settings.sendMarks.high
      const sending = new Sending(sender.sendNow("#".repeat(size), { compress: false }))
      assert.isFalse(link.flusher.writable)
      return sending
    },
    /** The messages and Closes that were written: of each, its first letters. */
    get names() {
      const { frames: found } = frames({ role: "client" })(concat(...transport.writes))
      return found
        .map((frame) => show({ ...frame, payload: frame.payload.subarray(0, 20) }).replace(/^Text |[.#]+$/g, ""))
        .filter((name) => name !== "")
    }
  }
}

/** What came of some sends. */
const waiting = (...sendings: ReadonlyArray<Sending>) => sendings.map(({ isWaiting }) => isWaiting)

describe("a message", () => {
  it("is sent at once while there is room", async () => {
    const opened = make()
    assert.deepStrictEqual(opened.send("one").outcomes, [undefined])
    assert.deepStrictEqual(opened.send("two").outcomes, [undefined])
    assert.strictEqual(opened.sender.sentMessages, 2)
    await turn()
    assert.deepStrictEqual(opened.writes(), [["Text one", "Text two"]])
  })

  it("waits for room behind others, in the order of the calls", () => {
    const opened = make()
    const sendings = [opened.fill(), opened.send("one"), opened.send("two")]
    assert.deepStrictEqual(waiting(...sendings), [true, true, true])
    assert.isTrue(opened.sender.roomAwaited)
    opened.transport.drain()
    for (const { outcomes } of sendings) assert.deepStrictEqual(outcomes, [undefined])
    assert.deepStrictEqual(opened.names, ["one", "two"])
    assert.isFalse(opened.sender.roomAwaited)
  })

  it("that is large is deflated elsewhere, and those behind it wait", () => {
    const opened = make()
    const sendings = [opened.send(large("L")), opened.send("one"), opened.send(large("M"))]
    assert.deepStrictEqual(waiting(...sendings), [true, true, true])
    assert.lengthOf(opened.zlib.jobs, 1)
    opened.zlib.finishOne()
    assert.deepStrictEqual(waiting(...sendings), [false, false, true])
    opened.zlib.finishOne()
    assert.deepStrictEqual(waiting(...sendings), [false, false, false])
    assert.deepStrictEqual(opened.names, ["L", "one", "M"])
  })

  it("that is large and shared is deflated once for all connections", () => {
    const zlib = new FakeZlib()
    const message = Message.share(Message.text(large("L")))
    const each = [make({ zlib }), make({ zlib }), make({ zlib })]
    const sendings = each.map(({ sender }) => new Sending(sender.sendNow(message, undefined)))
    assert.lengthOf(zlib.jobs, 1)
    each[0]!.link.onClose()
    zlib.finishOne()
    assert.deepStrictEqual(waiting(...sendings), [false, false, false])
    assert.deepStrictEqual(
      each.map(({ names }) => names),
      [[], ["L"], ["L"]]
    )
    // One that comes later does not wait for it.
    const late = make({ zlib })
    assert.deepStrictEqual(new Sending(late.sender.sendNow(message, undefined)).outcomes, [undefined])
  })

  it("that is large and not to be compressed does not wait", () => {
    const opened = make()
    assert.deepStrictEqual(opened.send(large("L"), { compress: false }).outcomes, [undefined])
    assert.lengthOf(opened.zlib.jobs, 0)
  })

  it("is sent in fragments of its own size, also from another thread", () => {
    const opened = make()
    opened.send(large("L"), { maxFrameSize: 32 * 1024 })
    opened.zlib.finishOne()
    opened.send("abcd", { maxFrameSize: 3 })
    opened.link.flusher.flush()
    assert.deepStrictEqual(
      opened.wrote().map((frame) => frame.split(" ")[0]),
      ["Text…", "Continuation", "Text…", "Continuation"]
    )
  })

  it("that is too large is refused before it waits, or deflates", () => {
    for (const prepare of [() => {}, (opened: ReturnType<typeof make>) => void opened.fill()]) {
      const opened = make({ settings: { maxSendBytes: 1_000_000 } })
      prepare(opened)
      const { outcomes } = opened.send(new Uint8Array(1_000_001))
      assert.lengthOf(outcomes, 1)
      assert.deepInclude(fields(outcomes[0]!), { _tag: "Payload_too_large", size: 1_000_001, max: 1_000_000 })
      assert.lengthOf(opened.zlib.jobs, 0)
    }
  })

  it("that is not data throws before anything is queued, also behind others", () => {
    const opened = make()
    opened.send(large("L"))
    for (const [, mistake] of mistakes) assert.throws(() => opened.sender.sendNow(mistake as never, {}), TypeError)
    assert.throws(() => opened.send("x", { maxFrameSize: 0 }), RangeError)
    opened.zlib.finishOne()
    assert.deepStrictEqual(opened.names, ["L"])
  })

  it("whose caller gives up while it is deflated makes room for the next", () => {
    const opened = make()
    const [first, second] = [opened.send(large("L")), opened.send("one")]
    const [job] = opened.zlib.jobs
    first.cancel()
    assert.isTrue(job!.cancelled)
    // Whatever zlib makes of that.
    job!.done(utf8("late"))
    assert.deepStrictEqual([first.outcomes, second.outcomes], [[], [undefined]])
    opened.link.flusher.flush()
    assert.deepStrictEqual(opened.names, ["one"])
  })

  it("is a defect of its caller if zlib throws, and the next has its turn", () => {
    const opened = make()
    const bug = new Error("bug")
    const waits = opened.send(large("first"))
    const throws = opened.send(large("L"))
    const next = opened.send("next")
    opened.zlib.deflateLater = () => {
      throw bug
    }
    opened.zlib.finishOne()
    assert.deepStrictEqual(waits.outcomes, [undefined])
    assert.deepStrictEqual(throws.outcomes, [new Defect(bug)])
    assert.deepStrictEqual(next.outcomes, [undefined])
    assert.strictEqual(opened.link.connection.phase, "Open")
  })

  it("is sent once, whatever zlib does besides calling back", () => {
    const opened = make()
    const sending = opened.send(large("L"))
    const [job] = opened.zlib.jobs
    job!.done()
    job!.done()
    opened.link.flusher.flush()
    assert.deepStrictEqual(opened.names, ["L"])
    assert.deepStrictEqual(sending.outcomes, [undefined])
    // It calls back at once, and then throws.
    opened.zlib.deflateLater = (_data, _options, done) => {
      done(undefined)
      throw new Error("too late")
    }
    assert.deepStrictEqual(opened.send(large("M")).outcomes, [undefined])
    opened.link.flusher.flush()
    assert.deepStrictEqual(opened.names, ["L", "M"])
  })
})

describe("without room, with the strategy", () => {
  const withStrategy = (sendStrategy: SendStrategy, marks = { high: 1000, low: 100 }) => {
    const opened = make({ settings: { sendStrategy, sendMarks: marks } })
    assert.deepStrictEqual(opened.fill().outcomes, [undefined])
    return opened
  }

  it("dropping, the message is dropped", () => {
    const opened = withStrategy("dropping")
    assert.deepStrictEqual(opened.send("dropped").outcomes, [undefined])
    opened.transport.drain()
    assert.deepStrictEqual(opened.send("kept").outcomes, [undefined])
    opened.link.flusher.flush()
    assert.deepStrictEqual(opened.names, ["kept"])
  })

  it("close, the connection is closed with 1008", () => {
    const opened = withStrategy("close")
    const { outcomes } = opened.send("late")
    assert.deepInclude(fields(outcomes[0]!), { _tag: "Connection_closed" })
    assert.deepStrictEqual(opened.names, ["Close 1008 too slow"])
  })

  it("abort, the transport is aborted", () => {
    const opened = withStrategy("abort")
    const { outcomes } = opened.send("late")
    assert.strictEqual(outcomes[0], opened.link.connection.error)
    assert.deepStrictEqual(opened.transport.calls, ["abort"])
    assert.deepStrictEqual(opened.names, [])
  })

  it("sliding, the oldest are dropped for the newest, and each is a copy", () => {
    const opened = make({ settings: { sendStrategy: "sliding", sendMarks: { high: 3 * 65, low: 10 } } })
    opened.transport.stall()
    opened.send("#".repeat(1000))
    const bytes = utf8("e")
    for (const data of ["a", "b", "c", "d", bytes]) assert.deepStrictEqual(opened.send(data).outcomes, [undefined])
    bytes.fill(0)
    assert.strictEqual(opened.link.unsentBytes - opened.transport.bufferedBytes, 3 * 65)
    opened.transport.drain()
    assert.deepStrictEqual(opened.names, ["c", "d", "Binary e"])
    assert.strictEqual(opened.sender.droppableBytes, 0)
  })

  it("sliding, one message is kept however large it is", () => {
    const opened = make({ settings: { sendStrategy: "sliding", sendMarks: { high: 100, low: 10 } } })
    opened.transport.stall()
    opened.send("#".repeat(1000))
    opened.send("a")
    opened.send("b".padEnd(500, "."))
    opened.transport.drain()
    assert.deepStrictEqual(opened.names, ["b"])
  })

  it("sliding, one that is lost because zlib throws ends the connection with 1011", () => {
    const opened = withStrategy("sliding")
    opened.zlib.deflateLater = () => {
      throw new Error("bug")
    }
    opened.send(large("L"))
    opened.transport.drain()
    assert.deepStrictEqual(
      opened.names.map((name) => name.slice(0, 10)),
      ["Close 1011"]
    )
    assert.deepInclude(fields(opened.link.connection.error!), { _tag: "Protocol_error", origin: "local" })
  })
})

describe("a Close that may not be sent", () => {
  it("is refused, and neither cancels a message that is being deflated nor sends those that wait", () => {
    for (const [code, reason] of [
      [1005, ""],
      [1000, "x".repeat(124)]
    ] as const) {
      const opened = make({ settings: { sendStrategy: "sliding", sendMarks: { high: 200_000, low: 100 } } })
      const sending = opened.send(large("L"))
      opened.send("a")
      assert.isDefined(opened.link.startClosing(code, reason))
      assert.isFalse(opened.zlib.jobs[0]!.cancelled)
      opened.link.flusher.flush()
      assert.deepStrictEqual(opened.names, [])
      opened.zlib.finishOne()
      opened.link.flusher.flush()
      assert.deepStrictEqual(sending.outcomes, [undefined])
      assert.deepStrictEqual(opened.names, ["L", "a"])
    }
  })
})

describe("a zlib of the app that closes the connection as it begins", () => {
  for (const sendStrategy of ["suspend", "sliding"] as const) {
    it(`is told to cancel, and the messages are sent or refused, with the strategy ${sendStrategy}`, () => {
      const opened = make({ settings: { sendStrategy, sendMarks: { high: 200_000, low: 100 } } })
      const first = opened.send(large("L"))
      const sendings = [opened.send(large("M")), opened.send("a")]
      const { zlib } = opened
      const deflateLater = zlib.deflateLater.bind(zlib)
      zlib.deflateLater = (...args) => {
        opened.link.startClosing(1000)
        return deflateLater(...args)
      }
      zlib.finishOne()
      assert.deepStrictEqual(first.outcomes, [undefined])
      opened.link.flusher.flush()
      const isAccepted = sendStrategy === "sliding"
      assert.deepStrictEqual(opened.names, isAccepted ? ["L", "M", "a", "Close 1000"] : ["L", "Close 1000"])
      for (const { outcomes } of sendings) {
        assert.lengthOf(outcomes, 1)
        assert.strictEqual(outcomes[0] === undefined, isAccepted)
      }
      assert.isTrue(zlib.jobs[0]!.cancelled)
      assert.isTrue(opened.sender["underWay"] === undefined)
    })
  }
})

describe("a filter of the app that closes the connection", () => {
  for (const sendStrategy of ["suspend", "dropping", "sliding", "close", "abort"] as const) {
    it(`refuses the message, so that nothing follows the Close, with the strategy ${sendStrategy}`, () => {
      for (const data of ["small", large("L")]) {
        for (const full of [false, true]) {
          let armed = false
          const filter = () => {
            if (armed) opened.link.startClosing(1000)
            return true
          }
          const opened: ReturnType<typeof make> = make({ filter, settings: { sendStrategy } })
          if (full) opened.fill()
          armed = true
          const { outcomes } = opened.send(data.padEnd(1024, "."))
          assert.lengthOf(outcomes, 1)
          assert.deepInclude(fields(outcomes[0]!), { _tag: "Connection_closed" })
          opened.transport.drain()
          opened.link.flusher.flush()
          assert.deepStrictEqual(opened.names, ["Close 1000"])
          assert.isFalse(opened.sender.roomAwaited)
          assert.strictEqual(opened.sender.droppableBytes, 0)
        }
      }
    })
  }
})

/** A step of a program, by its name. */
type Step = (state: ReturnType<typeof make> & { readonly sendings: Map<string, Sending> }) => void

const sends =
  (name: string, data = name): Step =>
  ({ send, sendings }) =>
    void sendings.set(name, send(data))
const cancels =
  (name: string): Step =>
  ({ sendings }) =>
    sendings.get(name)?.cancel()
const steps = {
  a: sends("a"),
  b: sends("b"),
  L: sends("L", large("L")),
  M: sends("M", large("M")),
  "cancel a": cancels("a"),
  "cancel L": cancels("L"),
  deflated: ({ zlib }) => zlib.finishOne(),
  drained: ({ transport }) => transport.drain(),
  filled: ({ transport }) => transport.stall(),
  closes: ({ link }) => void link.startClosing(1000),
  // A Close with a code that may not be sent changes nothing.
  refused: ({ link }) => void link.startClosing(1005),
  ends: ({ transport }) => transport.sink.onClose()
} satisfies Record<string, Step>
type Name = keyof typeof steps

const isMessage = (name: Name) => name.length === 1

/** Runs a program and then lets everything end. Checks what is true of every program. */
const check = (program: ReadonlyArray<Name>, full: boolean, sendStrategy: SendStrategy): void => {
  const opened = make({
    settings: { sendStrategy, sendMarks: { high: sendStrategy === "sliding" ? 200_000 : 1000, low: 100 } }
  })
  const sendings = new Map<string, Sending>()
  const state = Object.assign(opened, { sendings })
  const { clock, link, sender, transport, zlib } = opened
  if (full) opened.fill()
  const cancelled = new Set<string>()
  // Those that were done before anything closed.
  let accepted: ReadonlyArray<string> = []
  let isOver = false
  for (const name of program) {
    if (!isOver && (name === "closes" || name === "ends")) {
      isOver = true
      if (name === "closes") accepted = [...sendings].filter(([, { isWaiting }]) => !isWaiting).map(([each]) => each)
    }
    if (name.startsWith("cancel") && sendings.get(name.at(-1)!)?.isWaiting === true) cancelled.add(name.at(-1)!)
    steps[name](state)
    // Nothing is written after its caller gave up.
    if (name.startsWith("cancel")) link.flusher.flush()
  }
  const writtenBefore = new Set(opened.names)
  for (let i = 0; i < 3; i++) {
    zlib.finishOne()
    transport.drain()
  }
  link.flusher.flush()
  const { names } = opened
  const context = `${program.join(", ")}${full ? ", without room" : ""}: ${names.join(", ")}`

  const calls = program.filter(isMessage)
  const messages = names.filter((name) => !name.startsWith("Close"))
  // In the order of the calls, and none twice. Nothing is behind a Close.
  assert.deepStrictEqual(
    messages,
    calls.filter((name) => messages.includes(name)),
    context
  )
  assert.isAtMost(names.length - messages.length, 1, context)
  if (names.length > messages.length) assert.strictEqual(names.at(-1), "Close 1000", context)
  for (const name of accepted) assert.include(messages, name, context)
  if (!isOver) {
    for (const name of calls) assert.isTrue(messages.includes(name) || cancelled.has(name), context)
  }

  transport.sink.onClose()
  for (const [name, { outcomes }] of sendings) {
    if (cancelled.has(name)) {
      assert.lengthOf(outcomes, 0, context)
      continue
    }
    // Each settles once. One that succeeded is on the wire, unless nothing is left of the wire.
    assert.lengthOf(outcomes, 1, context)
    if (outcomes[0] === undefined && !program.includes("ends")) assert.include(messages, name, context)
    if (outcomes[0] !== undefined) assert.deepInclude(fields(outcomes[0]), { _tag: "Connection_closed" }, context)
  }
  for (const name of cancelled) {
    if (messages.includes(name)) assert.isTrue(writtenBefore.has(name), context)
  }
  // Nothing is left.
  assert.isFalse(sender.roomAwaited, context)
  assert.strictEqual(sender.droppableBytes, 0, context)
  assert.isTrue(sender["underWay"] === undefined, context)
  assert.strictEqual(clock.sleeping, 0, context)
}

describe("in every order of", () => {
  const programs: ReadonlyArray<readonly [SendStrategy, ReadonlyArray<Name>]> = [
    ["suspend", ["L", "a", "cancel L", "deflated", "closes"]],
    ["suspend", ["L", "a", "cancel a", "deflated", "drained"]],
    ["suspend", ["L", "M", "cancel L", "deflated", "ends"]],
    ["suspend", ["L", "a", "filled", "deflated", "closes"]],
    ["suspend", ["L", "M", "cancel L", "refused", "deflated"]],
    ["sliding", ["L", "a", "deflated", "refused", "drained"]],
    ["sliding", ["L", "a", "deflated", "closes", "drained"]],
    ["sliding", ["L", "M", "deflated", "drained", "ends"]]
  ]
  for (const [strategy, names] of programs) {
    it(`${names.join(", ")}, with the strategy ${strategy}: each message goes out once, in order, or is refused`, () => {
      for (const program of permutations(names)) {
        for (const full of [false, true]) check(program, full, strategy)
      }
    })
  }
})
