import type { Transport, TransportSink } from "@effect-websocket/platform/Transport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { deafSink, fields, ping, sentTo, settled, text } from "../support.js"

const methods = ["start", "pause", "resume", "write", "end", "abort", "release", "bufferedBytes"] as const

/** A transport that throws from the time on when the test says so. */
const throwing = (method: (typeof methods)[number]) => {
  const bug = new Error(`bug in ${method}`)
  const state = { throws: false, sink: deafSink as TransportSink, aborted: 0 }
  const call = (name: (typeof methods)[number]): void => {
    if (name === "abort") state.aborted++
    if (state.throws && name === method) throw bug
  }
  const transport: Transport = {
    remoteAddress: undefined,
    get bufferedBytes() {
      call("bufferedBytes")
      return 0
    },
    start: (sink) => {
      state.sink = sink
      call("start")
    },
    pause: () => call("pause"),
    resume: () => call("resume"),
    release: () => call("release"),
    write: () => {
      call("write")
      return { taken: true, belowHighWater: true }
    },
    end: () => {
      call("end")
      queueMicrotask(() => state.sink.onClose())
    },
    abort: () => {
      call("abort")
      queueMicrotask(() => state.sink.onClose())
    }
  }
  return { transport, state, bug }
}

describe("a transport of the app's that throws", () => {
  for (const method of methods) {
    it.effect(`in ${method}, breaks its own connection only`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { bug, state, transport } = throwing(method)
          state.throws = method === "start"
          const socket = yield* WebSocket.fromTransport(transport, { role: "server", receiveHighWaterMark: 1 })
          state.throws = true
          // As a socket would: nothing may be thrown here.
          state.sink.onChunk(sentTo("server", ping("answered")), true)
          state.sink.onChunk(sentTo("server", text("unread"), text("unread, too")), true)
          yield* settled
          yield* Effect.exit(socket.receiveAll)
          yield* settled
          yield* Effect.exit(socket.send("from a fiber"))
          yield* socket.bufferedBytes
          yield* Effect.fork(socket.close())
          state.sink.onEof()
          yield* socket.abort
          const { error } = yield* socket.closeStatus
          if (["start", "pause", "resume", "release", "write"].includes(method)) {
            assert.deepInclude(fields(error), { _tag: "Io_error", reason: "Reset" })
            assert.strictEqual(error.cause, bug)
            assert.isAbove(state.aborted, 0)
          }
          // What it reports later has no effect.
          state.sink.onChunk(sentTo("server", text("too late")), true)
          state.sink.onDrain()
          state.sink.onClose()
          assert.isTrue(Exit.isFailure(yield* Effect.exit(socket.receive)))
        })
      )
    )
  }
})
