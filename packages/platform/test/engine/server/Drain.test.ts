import { assert, describe, it } from "@effect/vitest"
import {
  Drain,
  JointDrain,
  type Draining,
  type DrainReport,
  type DrainedHandlers,
  type DrainSettings
} from "../../../src/engine/server/Drain.js"
import { Waiters } from "../../../src/engine/Waiters.js"
import { FakeConnection, makeTimers, requestOf } from "./fakes.js"

class FakeHandlers implements DrainedHandlers {
  size: number
  interrupted = 0
  private readonly waiters = new Waiters()

  constructor(size: number) {
    this.size = size
  }

  whenEmpty(done: () => void): () => void {
    return this.waiters.add(done)
  }

  interrupt(): number {
    this.interrupted += this.size
    return this.size
  }

  end(): void {
    this.size = 0
    this.waiters.wakeAll()
  }
}

const settings: DrainSettings = { code: 1012, reason: "restart", window: 0, timeout: 30_000 }

/** Random numbers that a test has written. */
const numbers =
  (...values: Array<number>) =>
  () =>
    values.shift() ?? assert.fail("too many random numbers")

const begin = (
  connections: ReadonlyArray<FakeConnection>,
  handlers: ReadonlyArray<FakeHandlers>,
  own: Partial<DrainSettings> = {},
  random: () => number = () => 0
) => {
  const { clock, timers } = makeTimers()
  const drain = new Drain(connections, handlers, { ...settings, ...own }, timers, random).begin()
  return { clock, timers, drain, reports: reportsOf(drain) }
}

const reportsOf = (draining: Draining) => {
  const reports: Array<DrainReport> = []
  draining.whenReported((report) => reports.push(report))
  return reports
}

const prompt = () => new FakeConnection(requestOf(), true)

describe("Drain", () => {
  it("reports at once if there is nothing to drain, and leaves no timer", () => {
    const { clock, reports } = begin([], [])
    assert.deepStrictEqual(reports, [{ closed: 0, dropped: 0, interrupted: 0 }])
    assert.strictEqual(clock.sleeping, 0)
  })

  it("closes all in its first step without a window, and waits for them and their handlers", () => {
    const connections = [new FakeConnection(), new FakeConnection()]
    const handlers = [new FakeHandlers(0), new FakeHandlers(2), new FakeHandlers(1)]
    const { clock, drain, reports } = begin(connections, handlers)
    for (const { codes } of connections) assert.deepStrictEqual(codes, [1012])
    connections[1]!.end()
    handlers[1]!.end()
    connections[0]!.end()
    assert.deepStrictEqual(reports, [])
    handlers[2]!.end()
    const report = { closed: 2, dropped: 0, interrupted: 0 }
    assert.deepStrictEqual(reports, [report])
    assert.deepStrictEqual(reportsOf(drain), [report])
    assert.strictEqual(clock.sleeping, 0)
  })

  it("closes each at its own random time within the window", () => {
    const connections = [prompt(), prompt(), prompt()]
    const { clock, reports } = begin(connections, [], { window: 10_000 }, numbers(0.5, 0.9, 0.1))
    const closed = () => connections.map(({ codes }) => codes.length)
    clock.advance(999)
    assert.deepStrictEqual(closed(), [0, 0, 0])
    clock.advance(1)
    assert.deepStrictEqual(closed(), [0, 0, 1])
    clock.advance(4_000)
    assert.deepStrictEqual(closed(), [1, 0, 1])
    assert.deepStrictEqual(reports, [])
    clock.advance(4_000)
    assert.deepStrictEqual(reports, [{ closed: 3, dropped: 0, interrupted: 0 }])
    assert.strictEqual(clock.sleeping, 0)
  })

  it("does not close a connection that ended before its turn, and counts those that were not clean as dropped", () => {
    const [clean, dropped] = [new FakeConnection(), new FakeConnection()]
    const { clock, reports } = begin([clean, dropped], [], { window: 10_000 }, numbers(0.5, 0.5))
    clean.end()
    dropped.cutShort()
    assert.deepStrictEqual(reports, [{ closed: 1, dropped: 1, interrupted: 0 }])
    assert.deepStrictEqual([clean.codes, dropped.codes], [[], []])
    assert.strictEqual(clock.sleeping, 0)
  })

  it("knows connections that have ended before it begins", () => {
    const ended = new FakeConnection()
    ended.end()
    const { clock, reports } = begin([ended], [], { window: 10_000 }, numbers(0.5))
    assert.deepStrictEqual(reports, [{ closed: 1, dropped: 0, interrupted: 0 }])
    assert.strictEqual(clock.sleeping, 0)
  })

  it("interrupts handlers and drops connections at the deadline", () => {
    const [silent, other] = [new FakeConnection(), prompt()]
    const handlers = new FakeHandlers(2)
    const { clock, reports } = begin([silent, other], [handlers])
    clock.advance(29_999)
    assert.deepStrictEqual(reports, [])
    clock.advance(1)
    assert.deepStrictEqual(reports, [{ closed: 1, dropped: 1, interrupted: 2 }])
    handlers.end()
    assert.strictEqual(reports.length, 1)
    assert.strictEqual(clock.sleeping, 0)
  })

  it("does not wait for handlers that cannot be interrupted", () => {
    const handlers = new FakeHandlers(1)
    const { clock, reports } = begin([prompt()], [handlers])
    clock.advance(30_000)
    assert.deepStrictEqual(reports, [{ closed: 1, dropped: 0, interrupted: 1 }])
  })

  it("does not call callers that no longer wait", () => {
    const connection = new FakeConnection()
    const { drain, reports } = begin([connection], [])
    let told = 0
    drain.whenReported(() => told++)()
    connection.end()
    assert.strictEqual(reports.length, 1)
    assert.strictEqual(told, 0)
  })
})

describe("JointDrain", () => {
  it("reports the sum once all have reported", () => {
    const [one, two] = [new FakeConnection(), new FakeConnection()]
    const joint = new JointDrain([begin([one], []).drain, begin([two], []).drain, begin([], []).drain])
    const reports = reportsOf(joint)
    let told = 0
    joint.whenReported(() => told++)()
    two.cutShort()
    assert.deepStrictEqual(reports, [])
    one.end()
    assert.deepStrictEqual(reports, [{ closed: 1, dropped: 1, interrupted: 0 }])
    assert.deepStrictEqual(reportsOf(joint), reports)
    assert.strictEqual(told, 0)
  })
})
