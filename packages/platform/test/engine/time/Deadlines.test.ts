import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import type { Settings } from "../../../src/engine/Settings.js"
import { Deadlines, type Deadline, type DeadlineOwner } from "../../../src/engine/time/Deadlines.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { settings } from "../connection/open.js"
import { ManualClock } from "../ManualClock.js"

const beats = { heartbeatInterval: 25_000, heartbeatTimeout: 20_000 }
const brisk = { heartbeatInterval: 5000, heartbeatTimeout: 4000 }

/** Deadlines whose owner does what the test says, and writes down what happens and when. */
const make = (own: Partial<Settings>, clock = new ManualClock(), timers = new Timers(clock)) => {
  const log: Array<readonly [what: Deadline | "ping", millis: number]> = []
  const owner = {
    paused: false as boolean,
    stuckBytes: 0,
    leftBytes: 0,
    sendHeartbeat: () => void log.push(["ping", clock.monotonic()]),
    expire: (deadline: Deadline) => void log.push([deadline, clock.monotonic()])
  } satisfies DeadlineOwner
  const deadlines = new Deadlines(timers, { ...settings, ...own }, owner)
  deadlines.start()
  /** Time goes on second by second, and each time what was put off to the end of a turn happens. */
  const seconds = (count: number, each = () => {}): void => {
    for (let second = 0; second < count; second++) {
      clock.advance(1000)
      each()
      vi.runAllTimers()
    }
  }
  return { clock, deadlines, log, owner, seconds }
}

// What may have come while the process was busy is looked for once, at the end of the turn.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
})
afterEach(() => {
  vi.useRealTimers()
})

describe("the heartbeat", () => {
  it("pings after 25 seconds of silence, and gives up 20 seconds later, at the end of the turn", () => {
    const { clock, log } = make(beats)
    clock.advance(24_999)
    assert.deepStrictEqual(log, [])
    clock.advance(1)
    assert.deepStrictEqual(log, [["ping", 25_000]])
    clock.advance(19_999)
    vi.runAllTimers()
    assert.lengthOf(log, 1)
    clock.advance(1)
    assert.lengthOf(log, 1)
    vi.runAllTimers()
    assert.deepStrictEqual(log.slice(1), [["heartbeat", 45_000]])
  })

  it("takes anything that arrives for a sign of life, and counts anew from it", () => {
    const { clock, deadlines, log } = make(beats)
    clock.advance(44_000)
    deadlines.heard()
    clock.advance(24_999)
    vi.runAllTimers()
    assert.deepStrictEqual(log, [["ping", 25_000]])
    clock.advance(1)
    assert.deepStrictEqual(log.slice(1), [["ping", 69_000]])
  })

  it("sends no ping as long as something arrives", () => {
    const { clock, deadlines, log } = make(beats)
    for (let i = 0; i < 10; i++) {
      clock.advance(20_000)
      deadlines.heard()
    }
    assert.deepStrictEqual(log, [])
    clock.advance(25_000)
    assert.deepStrictEqual(log, [["ping", 225_000]])
  })

  it("looks again if the sign waits to be read because this process was busy", () => {
    const { clock, deadlines, log } = make(beats)
    clock.advance(45_000)
    deadlines.heard()
    vi.runAllTimers()
    assert.deepStrictEqual(log, [["ping", 25_000]])
    clock.advance(25_000)
    assert.deepStrictEqual(log.slice(1), [["ping", 70_000]])
  })

  it("looks again if stuck bytes leave late because this process was busy", () => {
    const { clock, log, owner } = make(beats)
    owner.stuckBytes = 100
    clock.advance(45_000)
    owner.leftBytes = 1
    vi.runAllTimers()
    assert.deepStrictEqual(log, [["ping", 25_000]])
  })

  it("expects no sign while nothing is read", () => {
    const { clock, log, owner } = make(beats)
    owner.paused = true
    clock.advance(3_600_000)
    vi.runAllTimers()
    assert.deepStrictEqual(log, [])
    owner.paused = false
    clock.advance(25_000)
    assert.lengthOf(log, 1)
    // Also if it has pinged before.
    owner.paused = true
    clock.advance(3_600_000)
    vi.runAllTimers()
    assert.lengthOf(log, 1)
  })

  it("does not fail while a peer takes stuck bytes, however slowly", () => {
    const { log, owner, seconds } = make(brisk)
    owner.stuckBytes = 1000
    seconds(60, () => {
      owner.leftBytes++
      owner.stuckBytes--
    })
    // At the first ping, nothing was known of what is stuck.
    assert.deepStrictEqual(log, [["ping", 5000]])
  })

  it("finds a peer that takes nothing more, at most one interval later than others", () => {
    const { log, owner, seconds } = make(brisk)
    owner.stuckBytes = 1000
    seconds(11, () => {
      owner.leftBytes++
      owner.stuckBytes--
    })
    assert.isFalse(log.some(([what]) => what === "heartbeat"))
    seconds(14)
    assert.strictEqual(log.at(-1)![0], "heartbeat")
  })

  it("does not count bytes that leave at once as a sign of life", () => {
    const { log, owner, seconds } = make(brisk)
    seconds(9, () => {
      owner.leftBytes += 100
    })
    assert.deepStrictEqual(log, [
      ["ping", 5000],
      ["heartbeat", 9000]
    ])
  })

  it("waits longer for the answer to a ping behind a slow transfer, up to the time that the transfer took", () => {
    const { clock, deadlines, log, owner } = make(brisk)
    deadlines.congested(true)
    owner.stuckBytes = 1_000_000
    for (let second = 0; second < 20; second++) {
      clock.advance(1000)
      owner.stuckBytes -= 50_000
      owner.leftBytes += 50_000
    }
    deadlines.congested(false)
    clock.advance(23_999)
    vi.runAllTimers()
    assert.deepStrictEqual(log, [
      ["ping", 5000],
      ["ping", 29_000]
    ])
    // Four seconds, and what is left of the twenty that the transfer took.
    clock.advance(1)
    vi.runAllTimers()
    assert.deepStrictEqual(log.slice(2), [["heartbeat", 44_000]])
  })

  it("finds a peer that is gone as soon after many short congestions", () => {
    const { clock, deadlines, log, owner } = make(brisk)
    // Five minutes of messages that take a tenth of a second each.
    for (let i = 0; i < 50; i++) {
      deadlines.congested(true)
      clock.advance(100)
      owner.leftBytes += 100_000
      deadlines.congested(false)
      clock.advance(5900)
      deadlines.heard()
    }
    assert.isFalse(log.some(([what]) => what === "heartbeat"))
    clock.advance(10_000)
    vi.runAllTimers()
    assert.strictEqual(log.at(-1)![0], "heartbeat")
  })

  it("counts the time in which the computer slept as silence, and nothing twice if its time is set back", () => {
    const { clock, deadlines, log } = make(beats)
    clock.advance(20_000)
    deadlines.heard()
    clock.setTimeOfDay(3_600_000)
    clock.advance(5000)
    // The timer fired after 25 seconds of running; an hour has passed outside.
    assert.deepStrictEqual(log, [["ping", 25_000]])
    deadlines.heard()
    clock.setTimeOfDay(0)
    clock.advance(25_000)
    assert.lengthOf(log, 1)
    clock.advance(25_000)
    assert.deepStrictEqual(log.slice(1), [["ping", 75_000]])
  })

  it("can be off", () => {
    const { clock, deadlines, log } = make({})
    deadlines.heard()
    deadlines.congested(true)
    deadlines.congested(false)
    assert.strictEqual(clock.sleeping, 0)
    clock.advance(86_400_000)
    assert.deepStrictEqual(log, [])
  })
})

describe("the other deadlines", () => {
  it("are none unless asked for", () => {
    const { clock, deadlines, log } = make({})
    deadlines.messaged()
    deadlines.receiving(true, true)
    deadlines.congested(true)
    assert.strictEqual(clock.sleeping, 0)
    assert.deepStrictEqual(log, [])
  })

  it("maxLifetime passes, however busy the connection is", () => {
    const { log, deadlines, seconds } = make({ maxLifetime: 60_000 })
    const busy = () => {
      deadlines.heard()
      deadlines.messaged()
    }
    seconds(59, busy)
    assert.deepStrictEqual(log, [])
    seconds(1, busy)
    assert.deepStrictEqual(log, [["lifetime", 60_000]])
  })

  it("idleTimeout passes after a time without a message", () => {
    const { clock, deadlines, log } = make({ idleTimeout: 10_000 })
    clock.advance(9000)
    deadlines.messaged()
    clock.advance(9000)
    deadlines.messaged()
    clock.advance(5000)
    // No message.
    deadlines.heard()
    clock.advance(4999)
    assert.deepStrictEqual(log, [])
    clock.advance(1)
    assert.deepStrictEqual(log, [["idle", 28_000]])
  })

  it("idleTimeout waits for a message on its way out, as long as more of it leaves", () => {
    const { clock, log, owner } = make({ idleTimeout: 3000 })
    owner.stuckBytes = 10
    for (let i = 0; i < 5; i++) {
      owner.leftBytes++
      clock.advance(3000)
    }
    assert.deepStrictEqual(log, [])
    clock.advance(3000)
    assert.deepStrictEqual(log, [["idle", 18_000]])
  })

  it("messageTimeout passes if a message that has begun does not end", () => {
    const { clock, deadlines, log } = make({ messageTimeout: 10_000 })
    deadlines.receiving(false, true)
    clock.advance(60_000)
    deadlines.receiving(true, false)
    clock.advance(9000)
    // It has ended, and behind it another one has begun.
    deadlines.receiving(true, true)
    clock.advance(9000)
    deadlines.receiving(true, false)
    clock.advance(999)
    assert.deepStrictEqual(log, [])
    clock.advance(1)
    assert.deepStrictEqual(log, [["message", 79_000]])
  })

  it("messageTimeout is over once the message has ended", () => {
    const { clock, deadlines, log } = make({ messageTimeout: 10_000 })
    deadlines.receiving(true, true)
    clock.advance(9000)
    deadlines.receiving(false, true)
    clock.advance(60_000)
    assert.deepStrictEqual(log, [])
  })

  it("messageTimeout does not pass while nothing is read", () => {
    const { clock, deadlines, log, owner } = make({ messageTimeout: 10_000 })
    deadlines.receiving(true, true)
    owner.paused = true
    clock.advance(100_000)
    owner.paused = false
    clock.advance(9999)
    assert.deepStrictEqual(log, [])
    clock.advance(1)
    assert.deepStrictEqual(log, [["message", 110_000]])
  })

  it("writeTimeout passes if nothing leaves, at the end of the turn", () => {
    const { clock, deadlines, log, owner } = make({ writeTimeout: 10_000 })
    deadlines.congested(true)
    clock.advance(9999)
    vi.runAllTimers()
    clock.advance(1)
    assert.deepStrictEqual(log, [])
    vi.runAllTimers()
    assert.deepStrictEqual(log, [["write", 10_000]])
    // What leaves before the end of the turn counts.
    clock.advance(10_000)
    owner.leftBytes = 1
    vi.runAllTimers()
    assert.lengthOf(log, 1)
  })

  it("writeTimeout does not drop a peer that reads slowly, whatever else waits meanwhile", () => {
    const { clock, deadlines, log, owner } = make({ writeTimeout: 2000 })
    deadlines.congested(true)
    for (let i = 0; i < 10; i++) {
      clock.advance(1999)
      owner.leftBytes++
      owner.stuckBytes += 100
      deadlines.congested(true)
      clock.advance(1)
      vi.runAllTimers()
    }
    assert.deepStrictEqual(log, [])
  })

  it("writeTimeout counts from the congestion, and is over with it", () => {
    const { clock, deadlines, log } = make({ writeTimeout: 2000 })
    for (let i = 0; i < 3; i++) {
      deadlines.congested(true)
      clock.advance(1999)
      deadlines.congested(false)
      clock.advance(60_000)
    }
    deadlines.congested(true)
    clock.advance(2000)
    // Its last look is called off, too.
    deadlines.congested(false)
    vi.runAllTimers()
    assert.deepStrictEqual(log, [])
  })

  it("writeTimeout is longer by the time in which 1 Mbit per second frees a third of a kernel's buffer", () => {
    const { clock, deadlines, log, owner } = make({ writeTimeout: 1000 })
    const buffer = 4 * 1024 * 1024
    owner.leftBytes = buffer
    deadlines.congested(true)
    for (let i = 0; i < 3; i++) {
      clock.advance(11_000)
      vi.runAllTimers()
      assert.deepStrictEqual(log, [])
      owner.leftBytes += buffer / 3
      clock.advance(1184)
      vi.runAllTimers()
    }
    assert.deepStrictEqual(log, [])
    clock.advance(12_184)
    vi.runAllTimers()
    assert.lengthOf(log, 1)
  })
})

describe("the end", () => {
  const all = { ...brisk, maxLifetime: 1000, idleTimeout: 1000, messageTimeout: 1000, writeTimeout: 1000 }

  it("has one deadline, from the first time that closing is called", () => {
    const { clock, deadlines, log } = make(all)
    deadlines.receiving(true, true)
    deadlines.congested(true)
    deadlines.closing()
    clock.advance(4000)
    deadlines.closing()
    vi.runAllTimers()
    assert.deepStrictEqual(log, [])
    clock.advance(1000)
    assert.deepStrictEqual(log, [["close", 5000]])
  })

  it("comes earlier by the time that had passed before, and never later", () => {
    for (const [waited, end] of [
      [0, 5000],
      [2000, 4000],
      [5000, 1000],
      [60_000, 1000]
    ] as const) {
      const { clock, deadlines, log } = make(all)
      deadlines.closing()
      clock.advance(1000)
      deadlines.closingSince(waited)
      clock.advance(10_000)
      assert.deepStrictEqual(log[0], ["close", end])
    }
  })

  const events: ReadonlyArray<readonly [string, (made: ReturnType<typeof make>) => void]> = [
    ["the start", ({ deadlines }) => deadlines.start()],
    ["something that arrives", ({ deadlines }) => deadlines.heard()],
    ["a message", ({ deadlines }) => deadlines.messaged()],
    ["the begin of a message", ({ deadlines }) => deadlines.receiving(true, true)],
    ["a transport without room", ({ deadlines }) => deadlines.congested(true)],
    ["a transport with room", ({ deadlines }) => deadlines.congested(false)],
    ["a call of closing", ({ deadlines }) => deadlines.closing()]
  ]
  for (const [name, happens] of events) {
    it(`has no other deadline after ${name} meanwhile, and none at all after the end`, () => {
      const settings = { ...all, heartbeatInterval: 100, heartbeatTimeout: 100, closeTimeout: 60_000 }
      for (const isAwaited of [false, true]) {
        const made = make(settings)
        const { clock, deadlines, log } = made
        // A ping is out, or not.
        if (isAwaited) clock.advance(100)
        const before = log.length
        deadlines.closing()
        happens(made)
        for (let i = 0; i < 59; i++) {
          clock.advance(1000)
          vi.runAllTimers()
        }
        assert.lengthOf(log, before)
        deadlines.stop()
        happens(made)
        deadlines.closingSince(10_000)
        assert.strictEqual(clock.sleeping, 0)
        clock.advance(60_000)
        vi.runAllTimers()
        assert.lengthOf(log, before)
      }
    })
  }

  it("is not brought on by a time that has passed, as long as nothing closes", () => {
    const { clock, deadlines, log } = make({})
    deadlines.closingSince(60_000)
    clock.advance(60_000)
    assert.deepStrictEqual(log, [])
  })

  it("leaves nothing: no alarm, and no last look", () => {
    const { clock, deadlines, log, owner } = make({ ...brisk, writeTimeout: 9000 })
    owner.stuckBytes = 1
    deadlines.congested(true)
    clock.advance(9000)
    assert.strictEqual(vi.getTimerCount(), 2)
    deadlines.stop()
    assert.strictEqual(vi.getTimerCount(), 0)
    assert.strictEqual(clock.sleeping, 0)
    clock.advance(60_000)
    assert.deepStrictEqual(log, [["ping", 5000]])
  })
})

it("the deadlines of many connections take one sleep, and fire for pings and for nothing else", () => {
  const clock = new ManualClock()
  const timers = new Timers(clock)
  const connections = Array.from({ length: 200 }, () => make(beats, clock, timers))
  const fires = connections.map(({ deadlines }) => vi.spyOn(deadlines, "fire"))
  const fireCount = () => fires.reduce((count, fire) => count + fire.mock.calls.length, 0)
  const pingCount = () => connections.reduce((count, { log }) => count + log.length, 0)
  assert.strictEqual(clock.sleeping, 1)
  clock.advance(24_000)
  assert.strictEqual(fireCount(), 0)
  for (let second = 0; second < 100; second++) {
    const before = pingCount()
    clock.advance(1000)
    // Each peer answers at once, and the answer is a sign of life.
    if (pingCount() > before) for (const { deadlines } of connections) deadlines.heard()
  }
  assert.strictEqual(pingCount(), 4 * 200)
  assert.isAtMost(fireCount(), pingCount())
})
