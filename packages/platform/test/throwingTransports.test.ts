import type { Transport, TransportSink } from "@effect-websocket/platform/Transport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import { Effect, Exit, Scope } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { deafSink, fields, ping, type Role, sentTo, settled, text, upgradeRequest } from "./support.js"

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

const options = { receiveHighWaterMark: 1 }

/** The ways in which a transport of the app's gets under a connection. */
const ways: Readonly<
  Record<string, readonly [Role, (transport: Transport) => Effect.Effect<WebSocket.WebSocket, unknown, Scope.Scope>]>
> = {
  fromTransport: [
    "server",
    (transport) => WebSocket.fromTransport(transport, { role: "server", delivery: "messages", ...options })
  ],
  "a dial": [
    "client",
    (transport) =>
      WebSocketClient.make((_url, sent, done) => {
        const accept = Handshake.acceptValue(String(sent["Sec-WebSocket-Key"]))
        const headers = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-accept": accept }
        queueMicrotask(() => done({ _tag: "Upgraded", headers, transport }))
        return () => {}
      }, options).connect<"messages">("ws://test")
  ],
  "an attempt": [
    "server",
    (transport) =>
      Effect.gen(function* () {
        const listening = { hostname: "test", port: 80, url: "ws://test" }
        const { offer, service } = yield* WebSocketServer.make(listening, options)
        offer({
          request: upgradeRequest,
          remoteAddress: undefined,
          isGone: () => false,
          upgrade: () => transport,
          reject: () => {}
        })
        return yield* service.accept()
      })
  ]
}

describe("a transport of the app's that throws", () => {
  for (const [method, [way, [role, open]]] of methods.flatMap((each) =>
    Object.entries(ways).map((entry) => [each, entry] as const)
  )) {
    it.effect(`in ${method}, breaks its own connection only, from ${way}`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const { bug, state, transport } = throwing(method)
          state.throws = method === "start"
          const socket = yield* open(transport)
          state.throws = true
          // As a socket would: nothing may be thrown here.
          state.sink.onChunk(sentTo(role, ping("answered")), true)
          state.sink.onChunk(sentTo(role, text("unread"), text("unread, too")), true)
          yield* settled
          yield* Effect.exit(socket.receiveAll)
          yield* settled
          yield* Effect.exit(socket.send("from a fiber"))
          yield* socket.bufferedBytes
          yield* Effect.forkChild(socket.close())
          state.sink.onEof()
          yield* socket.abort
          const { error } = yield* socket.closeStatus
          if (["start", "pause", "resume", "release", "write"].includes(method)) {
            assert.deepInclude(fields(error), { _tag: "Io_error", reason: "Reset" })
            assert.strictEqual(error.cause, bug)
            assert.isAbove(state.aborted, 0)
          }
          // What it reports later has no effect.
          state.sink.onChunk(sentTo(role, text("too late")), true)
          state.sink.onDrain()
          state.sink.onClose()
          assert.isTrue(Exit.isFailure(yield* Effect.exit(socket.receive)))
        })
      )
    )
  }

  it.live("is given up if it never reports its end", () =>
    Effect.gen(function* () {
      const { state, transport } = throwing("start")
      let deaf = 0
      const silent: Transport = { ...transport, bufferedBytes: 0, abort: () => void deaf++, end: () => void deaf++ }
      const scope = yield* Scope.make()
      const open = WebSocket.fromTransport(silent, { role: "server", closeTimeout: "1 millis" })
      const socket = yield* Scope.provide(open, scope)
      yield* Scope.close(scope, Exit.void)
      assert.isFalse((yield* socket.closeStatus).clean)
      assert.isAbove(deaf, 0)
      // What it reports after all has no effect.
      state.sink.onChunk(sentTo("server", text("too late")), true)
      state.sink.onClose()
    })
  )
})
