import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import type { Zlib } from "@effect-websocket/platform/Zlib"
import { NodeZlib } from "@effect-websocket/platform/node"
import { HandshakeRejected, IoError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import { Option } from "effect"
import { Cause, Duration, Effect, Exit, Fiber, Scope, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { finalizersIn, isInterrupted, settled } from "./support.js"

/** A dial that a test answers, and a record of its calls. */
const scripted = (answer?: (headers: HeaderRecord) => WebSocketClient.Dialed, zlib?: Zlib) => {
  const calls: Array<string> = []
  let done: (dialed: WebSocketClient.Dialed) => void = () => {}
  let sent: HeaderRecord = {}
  const dial: WebSocketClient.Dial = (url, headers, callback) => {
    calls.push(`dial ${url.href}`)
    done = callback
    sent = headers
    if (answer !== undefined) queueMicrotask(() => callback(answer(headers)))
    return () => calls.push("drop")
  }
  const client = WebSocketClient.make(dial, { zlib })
  return { calls, client, answerNow: (make: (headers: HeaderRecord) => WebSocketClient.Dialed) => done(make(sent)) }
}

const timedOut = { ...new IoError({ reason: "Timeout", operation: "open" }) }

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
    ["ws://us%3Aer:secret@test"],
    ["ws://user:secret%0d%0a@test"],
    ["ws://user:secret%ff@test"],
    ["ws://te\nst"],
    ["ws://test/\u0001"],
    ["ws://test/\u007f"],
    ["wss:"],
    ["/relative"],
    ["ws+unix:///tmp/test.sock:/"],
    ["ws://test", { headers: { Host: "x" } }],
    ["ws://test", { headers: { "X-A": ["1", "\u0000"] } }],
    ["ws://test", { protocols: ["a\r\n"] }],
    ["ws://test", { protocols: ["a b"] }],
    ["ws://test", { protocols: ["a", "a"] }],
    ["ws://test", { protocols: [""] }],
    ["ws://test", { headers: { "X-A": "1\r\nX-B: 2" } }],
    ["ws://test", { headers: { "X A": "1" } }],
    ["ws://test", { headers: { "Sec-WebSocket-Key": "1" } }],
    ["ws://test", { headers: { Trailer: "X-A" } }],
    ["ws://test", { origin: "http://a\r\nX-B: 2" }],
    ["ws://test", { origin: "a\tb" }],
    ["ws://test", { headers: { "X-A": ["1", "a\tb"] } }],
    ["ws://test", { headers: { Cookie: "a\tb" } }],
    ["ws://test", { userAgent: "a\tb" }]
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

  const declined = [
    "permessage-deflate; unknown",
    "permessage-deflate; server_max_window_bits=13",
    "permessage-deflate; server_max_window_bits=12, permessage-deflate"
  ]
  for (const answer of declined) {
    it.effect(`fails for the answer ${answer}, and leaves nothing open`, () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const server = yield* WebSocket.fromTransport(pair.server, { role: "server" })
        const { client } = scripted(accepted(pair, { "sec-websocket-extensions": answer }), NodeZlib.zlib)
        const options = { compression: { offers: [{ serverMaxWindowBits: 12 }] } }
        const error = yield* Effect.flip(Effect.scoped(client.connect("ws://test", options)))
        assert(error._tag === "Protocol_error")
        assert.strictEqual(error.origin, "remote")
        assert.isFalse((yield* server.closeStatus).clean)
      }).pipe(Effect.scoped)
    )
  }

  it.effect("offers compression if the options say so, and works if the server declines", () =>
    Effect.gen(function* () {
      const offered: Array<unknown> = []
      for (const [compression, zlib] of [
        [true, NodeZlib.zlib],
        [{ offers: [{}] }, NodeZlib.zlib],
        [false, NodeZlib.zlib],
        [undefined, NodeZlib.zlib],
        [true, undefined]
      ] as const) {
        const pair = yield* MockTransport.make()
        const { client } = scripted((headers) => {
          offered.push(headers["Sec-WebSocket-Extensions"])
          return accepted(pair)(headers)
        }, zlib)
        const socket = yield* client.connect("ws://test", { compression })
        yield* Effect.addFinalizer(() => pair.reset)
        assert.deepStrictEqual(socket.extensions, [])
      }
      assert.deepStrictEqual(offered, [
        "permessage-deflate; server_max_window_bits=12; client_max_window_bits, permessage-deflate; client_max_window_bits",
        "permessage-deflate",
        undefined,
        undefined,
        undefined
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("fails after openTimeout, also if the caller cannot be interrupted", () =>
    Effect.gen(function* () {
      for (const region of [Effect.interruptible, Effect.uninterruptible]) {
        const { calls, client } = scripted()
        const connecting = region(Effect.flip(Effect.scoped(client.connect("ws://test", { openTimeout: "2 seconds" }))))
        const fiber = yield* Effect.forkChild(connecting)
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

  it.effect("drops the request if it is interrupted while it dials, and does not wait for the end of its scope", () =>
    Effect.gen(function* () {
      const { calls, client } = scripted()
      const fiber = yield* Effect.forkChild(client.connect("ws://test"))
      yield* TestClock.adjust(1)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(calls, ["dial ws://test/", "drop"])
    }).pipe(Effect.scoped)
  )

  it.effect("performs the closing handshake if it is interrupted in the step in which it opens", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const server = yield* WebSocket.fromTransport(pair.server, { role: "server" })
      const { answerNow, calls, client } = scripted()
      const fiber = yield* Effect.forkChild(client.connect("ws://test"))
      yield* TestClock.adjust(1)
      answerNow(accepted(pair))
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      const status = yield* server.closeStatus
      assert.deepStrictEqual([status.received?.code, status.clean], [1001, true])
      assert.deepStrictEqual(calls, ["dial ws://test/"])
    }).pipe(Effect.scoped)
  )

  it.effect("dies for options that make no sense", () =>
    Effect.gen(function* () {
      const { calls, client } = scripted()
      const nonsense: ReadonlyArray<WebSocketClient.ConnectOptions> = [
        { openTimeout: 0 },
        { openTimeout: Infinity },
        { closeTimeout: "0 millis" },
        { sendHighWaterMark: Number.NaN },
        { sendHighWaterMark: 10, sendLowWaterMark: 11 },
        { receiveHighWaterMark: -1 },
        { maxFrameSize: 0 },
        { limits: { maxMessageBytes: -1 } }
      ]
      for (const options of nonsense) {
        const exit = yield* Effect.exit(Effect.scoped(client.connect("ws://test", options)))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), JSON.stringify(options))
      }
      assert.deepStrictEqual(calls, [])
    })
  )

  it.effect("uses the options of its client, and prefers its own", () =>
    Effect.gen(function* () {
      const limits = { maxMessageBytes: 10, maxFragments: 20 }
      const client = WebSocketClient.make(() => () => {}, { openTimeout: "2 seconds", limits })
      const attempt = (options?: WebSocketClient.ConnectOptions) =>
        Effect.forkChild(Effect.exit(Effect.scoped(client.connect("ws://test", options))))
      const short = yield* attempt()
      const long = yield* attempt({ openTimeout: "3 seconds" })
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual({ ...(yield* Effect.flip(Effect.flatten(Fiber.join(short)))) }, timedOut)
      assert.isTrue(Option.isNone(yield* Fiber.poll(long)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual({ ...(yield* Effect.flip(Effect.flatten(Fiber.join(long)))) }, timedOut)

      const pair = yield* MockTransport.make()
      const answering = WebSocketClient.make(
        (_url, headers, done) => {
          queueMicrotask(() => done(accepted(pair)(headers)))
          return () => {}
        },
        { limits }
      )
      const socket = yield* answering.connect("ws://test", { limits: { maxFragments: 21 } })
      assert.deepInclude(socket.limits, { maxMessageBytes: 10, maxFragments: 21 })
      yield* socket.abort
    }).pipe(Effect.scoped)
  )

  it.effect("aborts the transport of a dial's second callback, and of one after the drop", () =>
    Effect.gen(function* () {
      const pairs = [yield* MockTransport.make(), yield* MockTransport.make(), yield* MockTransport.make()] as const
      let callBack = (_pair: MockTransport.Pair): void => {}
      const client = WebSocketClient.make((_url, headers, done) => {
        callBack = (pair) => done(accepted(pair)(headers))
        return () => {}
      })
      const connecting = yield* Effect.forkChild(client.connect("ws://test"))
      yield* settled
      callBack(pairs[0])
      callBack(pairs[1])
      const socket = yield* Fiber.join(connecting)
      yield* Effect.addFinalizer(() => socket.abort)
      assert.isTrue(yield* socket.isOpen)
      const interrupted = yield* Effect.forkChild(client.connect("ws://test"))
      yield* settled
      yield* Fiber.interrupt(interrupted)
      callBack(pairs[2])
      for (const pair of [pairs[1], pairs[2]]) {
        const peer = yield* WebSocket.fromTransport(pair.server, { role: "server" })
        assert.isFalse((yield* peer.closeStatus).clean)
      }
    })
  )

  it.effect("sends the headers of its options, and another key each time", () =>
    Effect.gen(function* () {
      const asked: Array<readonly [string, HeaderRecord]> = []
      const error = new IoError({ reason: "Resolve", operation: "connect" })
      const client = WebSocketClient.make((url, headers, done) => {
        asked.push([url.href, headers])
        queueMicrotask(() => done({ _tag: "Failed", error }))
        return () => {}
      })
      const options = { protocols: ["b", "a"], headers: { Authorization: "Bearer x" }, origin: "https://a.example" }
      for (const url of ["WSS://Example.com:443/a?b=c", new URL("wss://example.com/a?b=c")]) {
        assert.strictEqual(yield* Effect.flip(Effect.scoped(client.connect(url, options))), error)
      }
      const keys = asked.map(([href, { "Sec-WebSocket-Key": key, ...headers }]) => {
        assert.strictEqual(href, "wss://example.com/a?b=c")
        assert.deepStrictEqual(headers, {
          Authorization: "Bearer x",
          Upgrade: "websocket",
          Connection: "Upgrade",
          "Sec-WebSocket-Version": "13",
          "Sec-WebSocket-Protocol": "b, a",
          Origin: "https://a.example"
        })
        return String(key)
      })
      assert.isTrue(keys.every(Handshake.isKey))
      assert.notStrictEqual(keys[0], keys[1])
    })
  )

  it.effect("is interrupted and drops the request if its scope ends while it dials, and the scope holds nothing", () =>
    Effect.gen(function* () {
      const { calls, client } = scripted()
      const scope = yield* Scope.make()
      const fiber = yield* Effect.forkChild(client.connect("ws://test").pipe(Scope.provide(scope)))
      yield* settled
      assert.deepStrictEqual(calls, ["dial ws://test/"])
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(isInterrupted(yield* Fiber.await(fiber)))
      assert.deepStrictEqual(calls, ["dial ws://test/", "drop"])
      // In a scope that is over.
      const late = yield* Effect.exit(client.connect("ws://test").pipe(Scope.provide(scope)))
      assert.isTrue(isInterrupted(late))
      assert.strictEqual(calls.filter((call) => call === "drop").length, calls.length / 2)
    })
  )

  it.effect("leaves nothing of the dialing in a scope that lives on", () =>
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const pair = yield* MockTransport.make()
      yield* WebSocket.fromTransport(pair.server, { role: "server" }).pipe(Scope.provide(yield* Scope.make()))
      const before = finalizersIn(scope)
      const socket = yield* scripted(accepted(pair)).client.connect("ws://test/x", { limits: { maxFragments: 3 } })
      assert.deepStrictEqual(
        [socket.url, socket.limits.maxFragments, finalizersIn(scope)],
        ["ws://test/x", 3, before + 1]
      )
      yield* socket.close()
      assert.strictEqual(finalizersIn(scope), before)
      const refusing = scripted(accepted(yield* MockTransport.make(), { "sec-websocket-accept": "x" }))
      yield* Effect.flip(refusing.client.connect("ws://test"))
      assert.strictEqual(finalizersIn(scope), before)
    }).pipe(Effect.scoped)
  )

  it.effect("reads a message that arrives right behind the answer", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const server = yield* WebSocket.fromTransport(pair.server, { role: "server" })
      yield* server.send("early")
      const socket = yield* scripted(accepted(pair)).client.connect("ws://test")
      assert.strictEqual((yield* socket.receive).data, "early")
    }).pipe(Effect.scoped)
  )
})

describe("the scope of a connection", () => {
  for (const [name, body, code] of [
    ["success", Effect.void, 1000],
    ["interruption", Effect.interrupt, 1001],
    ["failure", Effect.fail("no"), 1011],
    ["defect", Effect.die("no"), 1011]
  ] as const) {
    it.effect(`closes with ${code} after ${name}`, () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const server = yield* WebSocket.fromTransport(pair.server, { role: "server" })
        const { client } = scripted(accepted(pair))
        yield* client.connect("ws://test").pipe(
          Effect.flatMap(() => body as Effect.Effect<void, string>),
          Effect.scoped,
          Effect.exit
        )
        const status = yield* server.closeStatus
        assert.deepStrictEqual([status.received?.code, status.initiator, status.clean], [code, "remote", true])
      }).pipe(Effect.scoped)
    )
  }
})

describe("retryAfter", () => {
  const rejected = (retryAfter: HeaderRecord[string]) =>
    new HandshakeRejected({
      status: 503,
      headers: { "retry-after": retryAfter },
      body: new Uint8Array(0),
      bodyTruncated: false
    })

  it.effect("is in seconds or a date, and None for any other text", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.parse("2026-01-01T00:00:00Z"))
      for (const [header, seconds] of [
        ["120", 120],
        [["7", "8"], 7],
        ["0", 0],
        ["Thu, 01 Jan 2026 00:01:30 GMT", 90],
        ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
        ["soon", undefined],
        ["-1x", undefined],
        ["1.5", undefined],
        ["-5", undefined],
        ["3, 4", undefined],
        ["2026-01-02", undefined],
        ["9999999999", 9_999_999_999],
        ["Thursday, 01-Jan-26 00:01:30 GMT", 90],
        ["Thu Jan  1 00:01:30 2026", 90],
        ["Thu, 99 Jan 2026 00:01:30 GMT", undefined],
        ["", undefined],
        [undefined, undefined]
      ] as const) {
        const asked = yield* WebSocketClient.retryAfter(rejected(header))
        assert.strictEqual(Option.getOrUndefined(Option.map(asked, Duration.toSeconds)), seconds, `${header}`)
      }
    })
  )
})
