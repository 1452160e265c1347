import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { assert, describe, it } from "@effect/vitest"
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import { Cause, Effect, Exit, Fiber, TestClock } from "effect"

/** A dial that a test answers, and a record of what became of it. */
const scripted = (answer?: (headers: HeaderRecord) => WebSocketClient.Dialed) => {
  const calls: Array<string> = []
  let done: (dialed: WebSocketClient.Dialed) => void = () => {}
  let sent: HeaderRecord = {}
  const client = WebSocketClient.make((url, headers, callback) => {
    calls.push(`dial ${url.href}`)
    done = callback
    sent = headers
    if (answer !== undefined) queueMicrotask(() => callback(answer(headers)))
    return () => calls.push("drop")
  })
  return { calls, client, answerNow: (make: (headers: HeaderRecord) => WebSocketClient.Dialed) => done(make(sent)) }
}

const accepted =
  (transport: MockTransport.Pair, extra: HeaderRecord = {}) =>
  (headers: HeaderRecord): WebSocketClient.Dialed => ({
    _tag: "Upgraded",
    headers: {
      upgrade: "websocket",
      connection: "upgrade",
      "sec-websocket-accept": Handshake.acceptValue(String(headers["Sec-WebSocket-Key"])),
      ...extra
    },
    transport: transport.client
  })

describe("connect", () => {
  const refused: ReadonlyArray<readonly [url: string, options?: WebSocketClient.ConnectOptions]> = [
    ["no url"],
    ["http://test"],
    ["ws://test/#fragment"],
    ["ws://test/#"],
    ["ws://user:secret@test"],
    ["ws://te\nst"],
    ["ws://test", { protocols: ["a b"] }],
    ["ws://test", { protocols: ["a", "a"] }],
    ["ws://test", { protocols: [""] }],
    ["ws://test", { headers: { "X-A": "1\r\nX-B: 2" } }],
    ["ws://test", { headers: { "X A": "1" } }],
    ["ws://test", { headers: { "Sec-WebSocket-Key": "1" } }],
    ["ws://test", { origin: "http://a\r\nX-B: 2" }]
  ]
  for (const [url, options] of refused) {
    it.effect(`sends nothing for ${JSON.stringify([url, options])}`, () =>
      Effect.gen(function* () {
        const { calls, client } = scripted()
        const error = yield* Effect.flip(Effect.scoped(client.connect(url, options)))
        assert(error._tag === "Protocol_error")
        assert.strictEqual(error.origin, "local")
        assert.notInclude(error.message, "secret")
        assert.deepStrictEqual(calls, [])
      })
    )
  }

  const faulty: ReadonlyArray<readonly [name: string, headers: HeaderRecord]> = [
    ["a wrong accept value", { "sec-websocket-accept": "x" }],
    ["a missing token", { connection: "keep-alive" }],
    ["a subprotocol that was not asked for", { "sec-websocket-protocol": "b" }],
    ["an extension that was not asked for", { "sec-websocket-extensions": "permessage-deflate" }]
  ]
  for (const [name, headers] of faulty) {
    it.effect(`fails for ${name}, and leaves nothing open`, () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const server = yield* WebSocket.fromTransport(pair.server, { role: "server" })
        const { client } = scripted(accepted(pair, headers))
        const error = yield* Effect.flip(Effect.scoped(client.connect("ws://test", { protocols: ["a"] })))
        assert(error._tag === "Protocol_error")
        assert.strictEqual(error.origin, "remote")
        assert.isFalse((yield* server.closeStatus).clean)
      }).pipe(Effect.scoped)
    )
  }

  it.effect("gives up after openTimeout, also where nothing can be interrupted", () =>
    Effect.gen(function* () {
      for (const region of [Effect.interruptible, Effect.uninterruptible]) {
        const { calls, client } = scripted()
        const connecting = region(Effect.flip(Effect.scoped(client.connect("ws://test", { openTimeout: "2 seconds" }))))
        const fiber = yield* Effect.fork(connecting)
        yield* TestClock.adjust("1999 millis")
        assert.deepStrictEqual(calls, ["dial ws://test/"])
        yield* TestClock.adjust("1 millis")
        const error = yield* Fiber.join(fiber)
        assert(error._tag === "Io_error")
        assert.deepStrictEqual([error.reason, error.operation], ["Timeout", "open"])
        assert.deepStrictEqual(calls, ["dial ws://test/", "drop"])
      }
    })
  )

  it.effect("interrupted while it dials, drops the attempt, and does not wait for its scope to do so", () =>
    Effect.gen(function* () {
      const { calls, client } = scripted()
      const fiber = yield* Effect.fork(client.connect("ws://test"))
      yield* TestClock.adjust(1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(calls, ["dial ws://test/", "drop"])
    }).pipe(Effect.scoped)
  )

  it.effect("interrupted in the moment in which it opens, performs the closing handshake", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const server = yield* WebSocket.fromTransport(pair.server, { role: "server" })
      const { answerNow, calls, client } = scripted()
      const fiber = yield* Effect.fork(client.connect("ws://test"))
      yield* TestClock.adjust(1)
      answerNow(accepted(pair))
      const exit = yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
      const status = yield* server.closeStatus
      assert.deepStrictEqual([status.received?.code, status.clean], [1001, true])
      assert.deepStrictEqual(calls, ["dial ws://test/"])
    }).pipe(Effect.scoped)
  )

  it.effect("takes options that make no sense for a defect", () =>
    Effect.gen(function* () {
      const { client } = scripted()
      const nonsense: ReadonlyArray<WebSocketClient.ConnectOptions> = [
        { openTimeout: 0 },
        { openTimeout: Infinity },
        { closeTimeout: "0 millis" },
        { sendHighWaterMark: Number.NaN },
        { sendHighWaterMark: 10, sendLowWaterMark: 11 },
        { receiveHighWaterMark: -1 }
      ]
      for (const options of nonsense) {
        const exit = yield* Effect.exit(Effect.scoped(client.connect("ws://test", options)))
        assert.isTrue(Exit.isFailure(exit) && Cause.isDie(exit.cause), JSON.stringify(options))
      }
    })
  )
})
