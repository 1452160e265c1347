import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { IoError } from "@effect-websocket/protocol/Errors"
import { guarded, GuardedTransport, neverThrows } from "../../../src/engine/connection/GuardedTransport.js"
import type { Transport, TransportSink } from "../../../src/Transport.js"
import { fields } from "../support.js"
import { FakeTransport } from "./FakeTransport.js"
import { settings, turn } from "./open.js"

const marks = settings.sendMarks

/** A sink that writes down what is reported. */
const recorder = () => {
  const log: Array<unknown> = []
  const sink: TransportSink = {
    onChunk: (chunk, owned) => log.push(["chunk", chunk, owned]),
    onEof: () => log.push("eof"),
    onDrain: () => log.push("drain"),
    onError: (error) => log.push(error),
    onClose: () => log.push("close")
  }
  return { log, sink }
}

const chunk = Uint8Array.of(1)

/** Everything that a connection does with a transport, and the operation that its failure is reported as. */
const uses: ReadonlyArray<readonly [keyof Transport, (transport: GuardedTransport) => unknown, string]> = [
  ["pause", (transport) => transport.pause(), "read"],
  ["resume", (transport) => transport.resume(), "read"],
  ["release", (transport) => transport.release(chunk), "read"],
  ["write", (transport) => transport.write([chunk]), "write"],
  ["bufferedBytes", (transport) => transport.bufferedBytes, "write"],
  ["end", (transport) => transport.end(), "end"]
]

describe("a guarded transport", () => {
  it("passes on calls and reports", () => {
    const transport = new FakeTransport()
    const { log, sink } = recorder()
    const guard = new GuardedTransport(transport)
    guard.start(sink, marks)
    assert.strictEqual(guard.remoteAddress, "fake")
    transport.stall()
    assert.deepStrictEqual(guard.write([chunk, chunk]), { taken: false, belowHighWater: true })
    assert.strictEqual(guard.bufferedBytes, 2)
    guard.pause()
    guard.resume()
    guard.release(chunk)
    guard.end()
    assert.deepStrictEqual(transport.calls, ["pause", "resume", "end"])
    assert.strictEqual(transport.released, 1)
    const error = new IoError({ reason: "Reset", operation: "read" })
    transport.sink.onChunk(chunk, false)
    transport.sink.onDrain()
    transport.sink.onEof()
    transport.sink.onError(error)
    transport.sink.onClose()
    transport.sink.onClose()
    assert.deepStrictEqual(log, [["chunk", chunk, false], "drain", "eof", error, "close"])
  })

  it("goes around every transport but those that never throw", () => {
    const transport = new FakeTransport()
    const guard = guarded(transport)
    assert.instanceOf(guard, GuardedTransport)
    assert.strictEqual(guarded(guard), guard)
    const own = Object.assign(new FakeTransport(), { [neverThrows]: true })
    assert.strictEqual(guarded(own), own)
  })

  for (const [method, use, operation] of uses) {
    it(`that throws in ${method} breaks its connection, in a turn of its own, and once`, async () => {
      const transport = new FakeTransport()
      const { log, sink } = recorder()
      const guard = new GuardedTransport(transport)
      guard.start(sink, marks)
      const { sink: reports } = transport
      const cause = new Error("bug")
      const broken = () => {
        throw cause
      }
      if (method === "bufferedBytes") Object.defineProperty(transport, method, { get: broken })
      else Object.defineProperty(transport, method, { value: broken })
      use(guard)
      assert.deepStrictEqual(log, [])
      assert.deepStrictEqual(transport.calls, ["abort"])
      // Nothing is asked of it any more, and nothing is kept.
      for (const [, again] of uses) again(guard)
      assert.deepStrictEqual(guard.write([chunk]), { taken: false, belowHighWater: true })
      assert.strictEqual(guard.bufferedBytes, 0)
      reports.onChunk(chunk, true)
      await turn()
      assert.lengthOf(log, 2)
      const [error, end] = log
      if (!(error instanceof IoError)) throw new Error("It reported no error")
      assert.deepInclude(fields(error), { reason: "Reset", operation })
      assert.strictEqual(error.cause, cause)
      assert.strictEqual(end, "close")
      for (const report of [reports.onDrain, reports.onEof, reports.onClose]) report.call(reports)
      reports.onError(new IoError({ reason: "Reset", operation: "read" }))
      await turn()
      assert.lengthOf(log, 2)
      assert.deepStrictEqual(transport.calls, ["abort"])
    })
  }

  it("may throw in start, and when it is aborted for it", async () => {
    const { log, sink } = recorder()
    const transport = new FakeTransport()
    for (const method of ["start", "abort"] as const) {
      Object.defineProperty(transport, method, {
        value: () => {
          throw new Error(method)
        }
      })
    }
    new GuardedTransport(transport).start(sink, marks)
    assert.deepStrictEqual(log, [])
    await turn()
    assert.lengthOf(log, 2)
  })
})

describe("a guarded transport that reports during a call to it", () => {
  const error = new IoError({ reason: "Reset", operation: "read" })
  const reports: ReadonlyArray<(sink: TransportSink) => void> = [
    (sink) => sink.onChunk(Uint8Array.of(1), false),
    (sink) => sink.onDrain(),
    (sink) => sink.onChunk(Uint8Array.of(2), true),
    (sink) => sink.onEof(),
    (sink) => sink.onError(error),
    (sink) => sink.onClose()
  ]
  const expected = [
    ["chunk", Uint8Array.of(1), false],
    "drain",
    ["chunk", Uint8Array.of(2), true],
    "eof",
    error,
    "close"
  ]

  /** A transport that reports everything in one of its methods, if it is its turn. */
  const reporting = (method: keyof Transport, report: (sink: TransportSink) => void) => {
    const transport = new FakeTransport()
    const { log, sink } = recorder()
    const guard = new GuardedTransport(transport)
    const original: unknown = Reflect.get(transport, method)
    assert(typeof original === "function")
    let isOver = false
    Object.defineProperty(transport, method, {
      value: (...args: ReadonlyArray<unknown>) => {
        const result: unknown = Reflect.apply(original, transport, args)
        if (!isOver) {
          isOver = true
          report(transport.sink)
        }
        return result
      }
    })
    if (method !== "start") guard.start(sink, marks)
    return { guard, log, sink, transport }
  }

  for (const method of ["start", "pause", "resume", "release", "write", "end", "abort"] as const) {
    it(`has its reports passed on after ${method}, in order`, async () => {
      const { guard, log, sink } = reporting(method, (reportsTo) => {
        for (const report of reports) report(reportsTo)
        assert.deepStrictEqual(log, [])
      })
      if (method === "start") guard.start(sink, marks)
      else if (method === "write") guard.write([chunk])
      else if (method === "release") guard.release(chunk)
      else guard[method]()
      assert.deepStrictEqual(log, [])
      await turn()
      assert.deepStrictEqual(log, expected)
    })
  }

  it("passes on a copy of a chunk that is valid only during the report", async () => {
    const reused = Uint8Array.of(1)
    const { guard, log } = reporting("write", (sink) => {
      sink.onChunk(reused, false)
      reused[0] = 9
    })
    guard.write([chunk])
    await turn()
    assert.deepStrictEqual(log, [["chunk", Uint8Array.of(1), false]])
  })

  it("passes on whether the sink may change a chunk", async () => {
    const { guard, sink, transport } = reporting("write", (sink) => sink.onChunk(chunk, false, true))
    const passed: Array<unknown> = []
    sink.onChunk = (_chunk, _owned, mutable) => passed.push(mutable)
    transport.sink.onChunk(chunk, false, true)
    guard.write([chunk])
    await turn()
    assert.deepStrictEqual(passed, [true, true])
  })

  it("passes on later reports behind those that wait", async () => {
    const { guard, log, transport } = reporting("write", (sink) => sink.onDrain())
    guard.write([chunk])
    transport.sink.onEof()
    assert.deepStrictEqual(log, [])
    await turn()
    assert.deepStrictEqual(log, ["drain", "eof"])
    transport.sink.onDrain()
    assert.deepStrictEqual(log, ["drain", "eof", "drain"])
  })

  it("is not called within a report, however often it answers in the same step", async () => {
    const transport = new FakeTransport()
    const guard = new GuardedTransport(transport)
    let depth = 0
    let count = 0
    const sink: TransportSink = {
      ...recorder().sink,
      onChunk: () => {
        assert.strictEqual(depth++, 0)
        if (++count < 1000) guard.write([chunk])
        depth--
      }
    }
    Object.defineProperty(transport, "write", {
      value: () => {
        transport.sink.onChunk(chunk, false)
        return { taken: true, belowHighWater: true }
      }
    })
    guard.start(sink, marks)
    guard.write([chunk])
    for (let i = 0; i < 1000; i++) await Promise.resolve()
    assert.strictEqual(count, 1000)
  })

  it("has none passed on once it is broken", async () => {
    const { guard, log, transport } = reporting("write", (sink) => sink.onDrain())
    guard.write([chunk])
    Object.defineProperty(transport, "pause", {
      value: () => {
        throw new Error("bug")
      }
    })
    guard.pause()
    await turn()
    assert.lengthOf(log, 2)
    assert.instanceOf(log[0], IoError)
    assert.strictEqual(log[1], "close")
  })
})

describe("a guarded transport that was aborted", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const aborted = () => {
    const transport = new FakeTransport()
    const { log, sink } = recorder()
    const guard = new GuardedTransport(transport)
    guard.start(sink, marks)
    guard.abort()
    return { guard, log, transport }
  }

  it("is given up if it does not report its end within 100 milliseconds", () => {
    const { guard, log, transport } = aborted()
    vi.advanceTimersByTime(99)
    // Nobody has more patience because it is aborted again.
    guard.abort()
    assert.deepStrictEqual(log, [])
    vi.advanceTimersByTime(1)
    assert.deepStrictEqual(log, ["close"])
    transport.sink.onChunk(chunk, true)
    transport.sink.onClose()
    guard.abort()
    assert.deepStrictEqual(log, ["close"])
    assert.strictEqual(vi.getTimerCount(), 0)
  })

  it("leaves no timer once it has reported its end", () => {
    const { log, transport } = aborted()
    transport.sink.onClose()
    assert.deepStrictEqual(log, ["close"])
    assert.strictEqual(vi.getTimerCount(), 0)
  })

  it("leaves none if nobody listens", () => {
    new GuardedTransport(new FakeTransport()).abort()
    assert.strictEqual(vi.getTimerCount(), 0)
  })
})
