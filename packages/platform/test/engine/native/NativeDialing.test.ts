import { assert, describe, it } from "@effect/vitest"
import type { DialingResult } from "../../../src/engine/client/Dialing.js"
import { NativeDialing } from "../../../src/engine/native/NativeDialing.js"
import type { NativeDialed } from "../../../src/engine/native/NativeSocket.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import { ManualClock } from "../ManualClock.js"
import { FakeSocket } from "./FakeSocket.js"

const request = { url: new URL("ws://test"), protocols: [], headers: {} }

const make = () => {
  const clock = new ManualClock()
  const socket = new FakeSocket()
  const results: Array<DialingResult<string>> = []
  const state: { answer: (dialed: NativeDialed) => void; cancelled: number } = { answer: () => {}, cancelled: 0 }
  const dialing = new NativeDialing({
    dial: (_, done) => {
      state.answer = done
      return () => void state.cancelled++
    },
    openTimeout: 1000,
    timers: new Timers(clock),
    open: () => "connection"
  })
  const open = () => state.answer({ _tag: "Opened", opened: { socket, protocol: "", extensions: "" } })
  const start = () => dialing.start(request, (result) => results.push(result))
  return { clock, dialing, open, results, socket, start, state }
}

describe("NativeDialing", () => {
  it("opens", () => {
    const { clock, dialing, open, results, start } = make()
    start()
    open()
    assert.deepStrictEqual(results, [{ _tag: "Opened", connection: "connection" }])
    assert.strictEqual(dialing.connection, "connection")
    assert.strictEqual(clock.sleeping, 0)
  })

  it("fails at its deadline and drops the attempt", () => {
    const { clock, results, start, state } = make()
    start()
    clock.advance(1000)
    const [result] = results
    assert.deepInclude(
      { ...(result?._tag === "Failed" ? result.error : undefined) },
      { reason: "Timeout", operation: "open" }
    )
    assert.strictEqual(state.cancelled, 1)
  })

  it("closes a WebSocket that opens too late", () => {
    const { dialing, open, results, socket, start } = make()
    start()
    dialing.drop()
    open()
    assert.deepStrictEqual(results, [])
    assert.deepStrictEqual(socket.closes, [[]])
    assert.isUndefined(dialing.connection)
  })

  it("ends with its scope, also before it starts", () => {
    const started = make()
    started.start()
    started.dialing.beginClose()
    const early = make()
    early.dialing.beginClose()
    early.start()
    for (const { results } of [started, early]) assert.deepStrictEqual(results, [{ _tag: "Closed" }])
  })

  it("reports a dial that throws as a defect", () => {
    const defect = new Error("defect")
    const clock = new ManualClock()
    const results: Array<DialingResult<string>> = []
    new NativeDialing({
      dial: () => {
        throw defect
      },
      openTimeout: 1000,
      timers: new Timers(clock),
      open: () => "connection"
    }).start(request, (result) => results.push(result))
    assert.deepStrictEqual(results, [{ _tag: "Died", defect }])
    assert.strictEqual(clock.sleeping, 0)
  })
})
