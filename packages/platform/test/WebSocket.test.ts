import { isFrameWebSocket } from "@effect-websocket/platform/FrameWebSocket"
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import { isStreamingWebSocket } from "@effect-websocket/platform/StreamingWebSocket"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import { closeCodeOf, type ConnectionError, IoError, type PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import type * as Frame from "@effect-websocket/protocol/Frame"
import { frames as decodeFrames } from "@effect-websocket/protocol/FrameDecoder"
import { Binary, frames, type Message, size, Text } from "@effect-websocket/protocol/Message"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { Option } from "effect"
import { Cause, Context, Deferred, Duration, Effect, Exit, Fiber, Scope, Stream, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import {
  alone,
  close,
  closedError,
  concat,
  connected,
  continuation,
  deafPeer,
  facts,
  fields,
  framesFrom,
  from,
  isDefect,
  isInterrupted,
  isPending,
  latin1,
  mistakes,
  other,
  outcome,
  ping,
  pong,
  resetError,
  roles,
  sentTo,
  settled,
  settledLate,
  spy,
  text,
  utf8,
  wrote,
  type Role
} from "./support.js"

/** Runs `body` with a socket in a scope of its own, and hands the socket out. */
const inScope = <E>(
  transport: MockTransport.Pair[Role],
  options: WebSocket.Options & { readonly role: Role },
  body: (socket: WebSocket.WebSocket) => Effect.Effect<unknown, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const opened = yield* Deferred.make<WebSocket.WebSocket>()
    const fiber = yield* Effect.forkChild(
      Effect.scoped(
        Effect.gen(function* () {
          const socket = yield* WebSocket.fromTransport(transport, options)
          yield* Deferred.succeed(opened, socket)
          return yield* body(socket)
        })
      )
    )
    return { fiber, socket: yield* Deferred.await(opened) }
  })

/** What everything that can be asked of a connection fails with. */
const failures = (socket: WebSocket.WebSocket) =>
  Effect.forEach(
    [socket.receive, socket.send("late"), socket.ping(), socket.pong()] as ReadonlyArray<
      Effect.Effect<unknown, ConnectionError>
    >,
    (effect) => Effect.flip(effect)
  )

const assertRemembered = (socket: WebSocket.WebSocket) =>
  Effect.gen(function* () {
    const { error } = yield* socket.closeStatus
    for (const failure of yield* failures(socket)) assert.strictEqual(failure, error)
    assert.isFalse(yield* socket.isOpen)
    return error
  })

const endings: ReadonlyArray<readonly [name: string, code: number, body: Effect.Effect<void, string>]> = [
  ["success", 1000, Effect.void],
  ["interruption", 1001, Effect.interrupt],
  ["failure", 1011, Effect.fail("no")],
  ["defect", 1011, Effect.die("no")]
]

for (const role of roles) {
  const peerRole = other(role)

  describe(`closing, as ${role}`, () => {
    for (const [name, code, body] of endings) {
      it.effect(`the scope sends ${code} after ${name}, and waits for the answer`, () =>
        Effect.gen(function* () {
          const pair = yield* MockTransport.make()
          const peer = yield* WebSocket.fromTransport(pair[peerRole], { role: peerRole })
          const reading = yield* Effect.forkChild(peer.run(() => {}))
          const { fiber, socket } = yield* inScope(pair[role], { role }, () => body)
          const exit = yield* Fiber.await(fiber)
          assert.strictEqual(Exit.isSuccess(exit), name === "success")
          assert.strictEqual(isInterrupted(exit), name === "interruption")

          assert.deepStrictEqual(yield* wrote(pair, role), [`Close ${code}`])
          assert.deepStrictEqual(yield* wrote(pair, peerRole), [`Close ${code}`])
          assert.deepStrictEqual(outcome(yield* socket.closeStatus), [code, code, "local", true])
          assert.deepStrictEqual(outcome(yield* peer.closeStatus), [code, code, "remote", true])
          assert.deepStrictEqual(fields(yield* assertRemembered(socket)), closedError(code, "local", true))
          const seen = yield* assertRemembered(peer)
          assert.deepStrictEqual(fields(seen), closedError(code, "remote", true))
          const read = yield* Fiber.await(reading)
          assert.deepStrictEqual(read, code === 1011 ? Exit.fail(seen) : Exit.void)
        })
      )
    }

    for (const [args, code, reason] of [
      [[], 1000, ""],
      [[1001], 1001, ""],
      [[4321, "bye"], 4321, "bye"],
      [["ServiceRestart", "soon"], 1012, "soon"],
      [[3000, "r".repeat(123)], 3000, "r".repeat(123)]
    ] as const) {
      it.effect(`close(${args.join(", ").slice(0, 30)}) sends ${code}, once, and waits for the answer`, () =>
        Effect.gen(function* () {
          const { pair, ...sockets } = yield* connected()
          const socket = sockets[role]
          const [asked, why] = args
          const ask = asked === undefined ? socket.close() : socket.close(asked, why)
          yield* Effect.all([ask, ask, socket.close(4000, "another")], { concurrency: "unbounded" })
          yield* socket.close(4001)
          const line = `Close ${code} ${reason}`.trim()
          assert.deepStrictEqual(yield* wrote(pair, role), [line])
          // RFC 6455 §5.5.1: the answer repeats the code.
          assert.deepStrictEqual(yield* wrote(pair, peerRole), [`Close ${code}`])
          assert.deepStrictEqual(fields(yield* assertRemembered(socket)), closedError(code, "local", true, reason))
          assert.deepStrictEqual(
            fields(yield* assertRemembered(sockets[peerRole])),
            closedError(code, "remote", true, reason)
          )
          assert.deepStrictEqual((yield* sockets[peerRole].closeStatus).received, { code, reason })
        })
      )
    }

    it.effect("close refuses a code or reason that may not be sent, and sends nothing", () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected()
        const socket = sockets[role]
        for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5, NaN, "AbnormalClosure"] as const) {
          assert.deepStrictEqual(facts(yield* Effect.flip(socket.close(code))), {
            _tag: "Protocol_error",
            origin: "local",
            section: "RFC 6455 §7.4",
            closeCode: undefined
          })
        }
        assert.deepStrictEqual(fields(yield* Effect.flip(socket.close(1000, "é".repeat(62)))), {
          _tag: "Payload_too_large",
          limit: "closeReason",
          max: 123,
          size: 124,
          direction: "outbound"
        })
        assert.isTrue(yield* socket.isOpen)
        assert.deepStrictEqual(yield* wrote(pair, role), [])
        yield* socket.send("still here")
        assert.strictEqual((yield* sockets[peerRole].receive).data, "still here")
      })
    )

    it.effect("in both directions at once is clean, with both codes", () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected()
        yield* Effect.andThen(pair.clientToServer.delay("10 millis"), pair.serverToClient.delay("10 millis"))
        const closing = yield* Effect.forkChild(
          Effect.all([sockets[role].close(4001), sockets[peerRole].close(4002)], { concurrency: "unbounded" })
        )
        // The Closes, the end of the server's output, the end of the client's.
        for (let i = 0; i < 3; i++) {
          assert.isTrue(yield* isPending(closing))
          yield* TestClock.adjust("10 millis")
        }
        yield* Fiber.join(closing)
        for (const [end, sent, received] of [
          [role, 4001, 4002],
          [peerRole, 4002, 4001]
        ] as const) {
          assert.deepStrictEqual(yield* wrote(pair, end), [`Close ${sent}`])
          assert.deepStrictEqual(outcome(yield* sockets[end].closeStatus), [sent, received, "local", true])
          assert.deepStrictEqual(fields(yield* assertRemembered(sockets[end])), closedError(sent, "local", true))
        }
      })
    )

    // From an interrupted fiber, in whose finalizers nothing can be interrupted.
    for (const [behaviour, silence, backlog] of [
      ["never answers", (pair: MockTransport.Pair) => from(pair, peerRole).stall, 0],
      ["never reads", (pair: MockTransport.Pair) => from(pair, role).stall, 0],
      ["never reads what fills its buffer", (pair: MockTransport.Pair) => from(pair, role).stall, 200_000],
      ["vanishes", (pair: MockTransport.Pair) => Effect.andThen(from(pair, role).drop, from(pair, peerRole).drop), 0]
    ] as const) {
      it.effect(`is bounded by closeTimeout if the peer ${behaviour}`, () =>
        Effect.gen(function* () {
          const pair = yield* MockTransport.make()
          const seen = deafPeer(pair, peerRole)
          yield* silence(pair)
          const { fiber, socket } = yield* inScope(pair[role], { role, closeTimeout: "3 seconds" }, (socket) =>
            Effect.andThen(Effect.forkScoped(socket.send(new Uint8Array(backlog))), Effect.never)
          )
          yield* settled
          yield* Fiber.interruptFork(fiber)
          yield* TestClock.adjust("2999 millis")
          assert.isTrue(yield* isPending(fiber))
          assert.deepStrictEqual(yield* wrote(pair, role).pipe(Effect.map((lines) => lines.at(-1))), "Close 1001")
          yield* TestClock.adjust("1 millis")
          assert.isTrue(isInterrupted(yield* Fiber.await(fiber)))
          assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1001, undefined, "local", false])
          assert.deepStrictEqual(fields(yield* assertRemembered(socket)), closedError(1006, "local", false))
          assert.strictEqual(yield* socket.bufferedBytes, 0)
          yield* settled
          assert.deepStrictEqual(seen, behaviour === "vanishes" ? [] : ["error", "close"])
        })
      )
    }

    it.effect("is bounded if the peer answers and does not end TCP, and is clean in any case", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* alone(role, { closeTimeout: "3 seconds" })
        yield* inject(close(1000))
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Close 1000"])
        const closing = yield* Effect.forkChild(socket.close())
        yield* TestClock.adjust("2999 millis")
        assert.isTrue(yield* isPending(closing))
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(closing)
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1000, 1000, "remote", true])
        assert.deepStrictEqual(fields(yield* assertRemembered(socket)), closedError(1000, "remote", true))
      })
    )

    it.effect("closes all connections of a scope within one closeTimeout", () =>
      Effect.gen(function* () {
        const pairs = yield* Effect.all(Array.from({ length: 5 }, () => MockTransport.make()))
        const fiber = yield* Effect.forkChild(
          Effect.scoped(
            Effect.forEach(pairs, (pair) => WebSocket.fromTransport(pair[role], { role, closeTimeout: "1 seconds" }))
          )
        )
        yield* TestClock.adjust("999 millis")
        assert.isTrue(yield* isPending(fiber))
        for (const pair of pairs) assert.deepStrictEqual(yield* wrote(pair, role), ["Close 1000"])
        yield* TestClock.adjust("1 millis")
        for (const socket of yield* Fiber.join(fiber)) {
          assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1000, undefined, "local", false])
        }
      })
    )

    it.effect("in a scope that has ended before is immediate", () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const peer = yield* WebSocket.fromTransport(pair[peerRole], { role: peerRole })
        const scope = yield* Scope.make()
        yield* Scope.close(scope, Exit.void)
        const socket = yield* WebSocket.fromTransport(pair[role], { role }).pipe(Scope.provide(scope))
        assert.isFalse(yield* socket.isOpen)
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1001, 1001, "local", true])
        assert.deepStrictEqual(outcome(yield* peer.closeStatus), [1001, 1001, "remote", true])
      })
    )

    it.effect("sends what the app's own finalizers send, before the Close", () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const peer = yield* WebSocket.fromTransport(pair[peerRole], { role: peerRole })
        const { fiber } = yield* inScope(pair[role], { role }, (socket) =>
          Effect.addFinalizer(() => Effect.orDie(socket.send("goodbye")))
        )
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(yield* wrote(pair, role), ["Text goodbye", "Close 1000"])
        assert.strictEqual((yield* peer.receive).data, "goodbye")
      })
    )

    it.effect("abort drops the connection without a Close", () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected()
        const socket = sockets[role]
        const peer = sockets[peerRole]
        yield* socket.abort
        yield* socket.abort
        yield* socket.close()
        assert.deepStrictEqual(fields(yield* assertRemembered(socket)), closedError(1006, "local", false))
        assert.deepStrictEqual(fields(yield* assertRemembered(peer)), resetError)
        for (const end of [socket, peer]) {
          assert.deepStrictEqual((yield* end.closeStatus).clean, false)
        }
        assert.deepStrictEqual(yield* wrote(pair, role), [])
      })
    )

    it.effect("abort cuts a close short", () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role)
        const closing = yield* Effect.forkChild(socket.close(4000))
        assert.isTrue(yield* isPending(closing))
        yield* socket.abort
        yield* Fiber.join(closing)
        assert.deepStrictEqual(yield* wrote, ["Close 4000"])
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [4000, undefined, "local", false])
        assert.deepStrictEqual(fields(yield* assertRemembered(socket)), closedError(1006, "local", false))
      })
    )

    it.effect("the end of the peer's input without a Close is 1006, not clean", () =>
      Effect.gen(function* () {
        const { eof, inject, socket, wrote } = yield* alone(role)
        yield* inject(text("before"))
        yield* eof
        assert.strictEqual((yield* socket.receive).data, "before")
        const error = yield* assertRemembered(socket)
        assert.deepStrictEqual(fields(error), closedError(1006, "remote", false))
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [undefined, undefined, "remote", false])
        assert.deepStrictEqual(yield* wrote, [])
        assert.strictEqual(yield* Effect.flip(socket.run(() => {})), error)
        assert.strictEqual(yield* Effect.flip(Stream.runDrain(socket.messages)), error)
      })
    )

    it.effect("a reset is an Io_error, also while closing", () =>
      Effect.gen(function* () {
        for (const closes of [false, true]) {
          const { pair, socket } = yield* alone(role)
          const closing = yield* Effect.forkChild(closes ? socket.close() : Effect.void)
          yield* settled
          yield* pair.reset
          yield* Fiber.join(closing)
          const error = yield* assertRemembered(socket)
          assert.deepStrictEqual(fields(error), resetError)
          assert.strictEqual(yield* Effect.flip(socket.run(() => {})), error)
          assert.strictEqual((yield* socket.closeStatus).clean, false)
        }
      })
    )

    it.effect("leaves what arrives to be read until the peer's Close", () =>
      Effect.gen(function* () {
        const { eof, inject, socket, wrote } = yield* alone(role)
        const closing = yield* Effect.forkChild(socket.close(4000))
        yield* settled
        assert.deepStrictEqual(fields(yield* Effect.flip(socket.send("late"))), closedError(4000, "local", false))
        yield* inject(text("one"), text("two"), close(4000), text("after"))
        assert.strictEqual((yield* socket.receive).data, "one")
        yield* eof
        yield* Fiber.join(closing)
        const rest = yield* Stream.runCollect(socket.messages)
        assert.deepStrictEqual(
          Array.from(rest, ({ data }) => data),
          ["two"]
        )
        assert.deepStrictEqual(fields(yield* assertRemembered(socket)), closedError(4000, "local", true))
        assert.deepStrictEqual(yield* wrote, ["Close 4000"])
      })
    )

    it.effect(
      "resumes a paused transport, since the peer's Close is behind what nobody reads, and keeps a bounded part",
      () =>
        Effect.gen(function* () {
          const { pair, ...sockets } = yield* connected({ receiveHighWaterMark: 1000 })
          const socket = sockets[role]
          const texts = Array.from({ length: 100 }, (_, i) => `${i}`.padStart(100, "."))
          yield* Effect.forEach(texts, (text) => Effect.andThen(sockets[peerRole].send(text), settled))
          yield* socket.close()
          assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1000, 1000, "local", true])
          const kept = yield* Stream.runCollect(socket.messages)
          assert.isAbove(kept.length, 0)
          assert.isBelow(kept.length, 20)
          assert.deepStrictEqual(
            Array.from(kept, ({ data }) => data),
            texts.slice(0, kept.length)
          )
          assert.deepStrictEqual(yield* wrote(pair, role), ["Close 1000"])
        })
    )

    it.effect("fails senders that wait, sends none of their messages, and sends the Close behind sent ones", () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected({ sendHighWaterMark: 10, sendLowWaterMark: 1 })
        const socket = sockets[role]
        yield* from(pair, role).stall
        const first = yield* Effect.forkChild(socket.send("0123456789"))
        yield* settled
        const second = yield* Effect.forkChild(socket.send("never"))
        const pinging = yield* Effect.forkChild(socket.ping())
        assert.isTrue(yield* isPending(second))
        const closing = yield* Effect.forkChild(socket.close(4000))
        for (const refused of [Fiber.join(second), Effect.asVoid(Fiber.join(pinging))]) {
          const error = yield* Effect.flip(refused)
          assert.deepStrictEqual(fields(error), closedError(4000, "local", false))
        }
        yield* from(pair, role).unstall
        yield* Fiber.join(closing)
        yield* Fiber.await(first)
        assert.deepStrictEqual(yield* wrote(pair, role), ["Text 0123456789", "Close 4000"])
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [4000, 4000, "local", true])
      })
    )

    it.effect("by the peer ends TCP from the server's side first", () =>
      Effect.gen(function* () {
        const { eof, inject, seen, socket, spied, wrote } = yield* alone(role)
        yield* inject(close(4001, "bye"))
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Close 4001"])
        assert.deepStrictEqual(spied.calls, role === "server" ? ["end"] : [])
        yield* eof
        yield* socket.close()
        yield* settled
        assert.deepStrictEqual(spied.calls, ["end"])
        assert.deepStrictEqual(seen, ["eof", "close"])
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [4001, 4001, "remote", true])
        assert.deepStrictEqual(fields(yield* assertRemembered(socket)), closedError(4001, "remote", true, "bye"))
      })
    )
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading
// ---------------------------------------------------------------------------------------------------------------------

type Reader = (socket: WebSocket.WebSocket) => Effect.Effect<ReadonlyArray<string | Uint8Array>, ConnectionError>

/** Reads again and again, until that fails because of a clean close. */
const untilClosed = (read: Effect.Effect<Iterable<Message>, ConnectionError>): ReturnType<Reader> =>
  Effect.suspend(() => {
    const seen: Array<string | Uint8Array> = []
    const loop: Effect.Effect<void, ConnectionError> = Effect.flatMap(read, (messages) => {
      for (const { data } of messages) seen.push(data)
      return loop
    })
    return Effect.catchIf(
      loop,
      (error) => error._tag === "Connection_closed" && error.clean,
      () => Effect.void
    ).pipe(Effect.as(seen))
  })

/** The ways to read everything until the end of the connection. */
const readers: Record<"run" | "receive" | "receiveAll" | "messages", Reader> = {
  run: (socket) =>
    Effect.suspend(() => {
      const seen: Array<string | Uint8Array> = []
      return Effect.as(
        socket.run(({ data }) => void seen.push(data)),
        seen
      )
    }),
  receive: (socket) => untilClosed(Effect.map(socket.receive, (message) => [message])),
  receiveAll: (socket) => untilClosed(socket.receiveAll),
  messages: (socket) =>
    Effect.map(Stream.runCollect(socket.messages), (messages) => Array.from(messages, ({ data }) => data))
}
const ways = ["run", "receive", "receiveAll", "messages"] as const

for (const way of ways) {
  describe(`reading with ${way}`, () => {
    it.effect("delivers all messages in order, however they were split", () =>
      Effect.gen(function* () {
        for (const size of [1, 7, undefined]) {
          const { client, pair, server } = yield* connected()
          yield* pair.clientToServer.split(size)
          const sent = Array.from({ length: 100 }, (_, i) => (i % 3 === 0 ? new Uint8Array(i).fill(i) : `é${i}`))
          const reading = yield* Effect.forkChild(readers[way](server))
          yield* Effect.forEach(sent, (data, i) =>
            i % 10 === 0 ? Effect.andThen(settled, client.send(data)) : client.send(data)
          )
          yield* client.close()
          assert.deepStrictEqual(yield* Fiber.join(reading), sent)
        }
      })
    )

    it.effect(
      "that stops pauses the transport, so that the sender waits; a bounded part is held and nothing is lost",
      () =>
        Effect.gen(function* () {
          const chunk = 4 * 1024
          const count = 200
          const pair = yield* MockTransport.make()
          yield* Effect.all([pair.clientToServer.split(chunk), pair.serverToClient.split(chunk)])
          const spied = spy(pair.server)
          const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
          const server = yield* WebSocket.fromTransport(spied.transport, { role: "server" })
          const sending = yield* Effect.forkChild(
            Effect.forEach(Array.from({ length: count }), (_, i) => client.send(new Uint8Array(chunk).fill(i)), {
              discard: true
            })
          )
          assert.isTrue(yield* isPending(sending))
          assert.deepStrictEqual(spied.calls, ["pause"])
          const held = spied.state.received
          // The inbox's 64 KiB, and the chunk that went beyond.
          assert.isAtLeast(held, 64 * 1024)
          assert.isAtMost(held, 64 * 1024 + 2 * chunk)
          assert.isAtMost(yield* client.bufferedBytes, 128 * 1024)
          yield* settled
          assert.strictEqual(spied.state.received, held)

          const reading = yield* Effect.forkChild(readers[way](server))
          yield* Fiber.join(sending)
          yield* client.close()
          const received = yield* Fiber.join(reading)
          assert.deepStrictEqual(
            received.map((data) => data[0]),
            Array.from({ length: count }, (_, i) => i)
          )
          assert.include(spied.calls, "resume")
        })
    )

    // `run` has no wake-up: its handler is called within the read.
    if (way !== "run") {
      it.effect("interrupted between its wake-up and its turn, loses no message", () =>
        Effect.gen(function* () {
          const { inject, socket, spied } = yield* alone("server")
          const reading = yield* Effect.forkChild(readers[way](socket))
          yield* settled
          spied.state.afterChunk = () => Fiber.interruptUnsafe(reading)
          yield* inject(text("first"), text("second"))
          assert.isTrue(isInterrupted(yield* Fiber.await(reading)))
          assert.strictEqual((yield* socket.receive).data, "first")
          assert.strictEqual((yield* socket.receive).data, "second")
        })
      )
    }

    it.effect("while another fiber reads is a defect, and the other goes on", () =>
      Effect.gen(function* () {
        for (const first of ways) {
          const { inject, socket } = yield* alone("server")
          const reading = yield* Effect.forkChild(readers[first](socket))
          assert.isTrue(yield* isPending(reading))
          assert.isTrue(isDefect(yield* Effect.exit(readers[way](socket))), first)
          yield* inject(text("a"), close(1000))
          assert.deepStrictEqual(yield* Fiber.join(reading), ["a"])
        }
      })
    )

    it.effect("may follow another way that was interrupted, also while its fiber cleans up, and within that", () =>
      Effect.gen(function* () {
        for (const first of ways) {
          const { inject, socket } = yield* alone("server")
          const cleaning = yield* Deferred.make<void>()
          const reading = yield* Effect.forkChild(
            Effect.onInterrupt(readers[first](socket), () => Deferred.await(cleaning))
          )
          yield* settled
          yield* Fiber.interruptFork(reading)
          yield* settled
          const cleaner = yield* Effect.forkChild(
            Effect.ensuring(readers[first](socket), Effect.orDie(readers[way](socket)))
          )
          yield* settled
          yield* Fiber.interruptFork(cleaner)
          yield* settled
          // Its reading cannot be interrupted.
          assert.isTrue(isDefect(yield* Effect.exit(readers[way](socket))), first)
          yield* inject(text("a"), close(1000))
          assert.isTrue(isInterrupted(yield* Fiber.await(cleaner)))
          yield* Deferred.succeed(cleaning, undefined)
          yield* Fiber.await(reading)
        }
      })
    )

    it.effect("may follow another way that was interrupted", () =>
      Effect.gen(function* () {
        for (const first of ways) {
          const { inject, socket } = yield* alone("server")
          const reading = yield* Effect.forkChild(readers[first](socket))
          yield* settled
          yield* Fiber.interrupt(reading)
          yield* inject(text("a"), text("b"), close(1000))
          assert.deepStrictEqual(yield* readers[way](socket), ["a", "b"], first)
        }
      })
    )
  })
}

for (const role of roles) {
  const peerRole = other(role)

  describe(`the end of reading, as ${role}`, () => {
    for (const [name, code, ends] of [
      ["no code", undefined, true],
      ["1000", 1000, true],
      ["1001", 1001, true],
      ["1002", 1002, false],
      ["1011", 1011, false],
      ["4000", 4000, false]
    ] as const) {
      it.effect(`run and messages ${ends ? "end" : "fail"} when the peer closes with ${name}; receive fails`, () =>
        Effect.gen(function* () {
          const { eof, inject, socket, wrote } = yield* alone(role)
          const reading = yield* Effect.forkChild(Effect.exit(socket.run(() => {})))
          yield* settled
          yield* inject(close(code))
          yield* eof
          const { error } = yield* socket.closeStatus
          assert.deepStrictEqual(fields(error), closedError(code ?? 1005, "remote", true))
          const expected = ends ? Exit.void : Exit.fail(error)
          assert.deepStrictEqual(yield* Fiber.join(reading), expected)
          assert.deepStrictEqual(yield* Effect.exit(socket.run(() => {})), expected)
          assert.deepStrictEqual(yield* Effect.exit(Stream.runDrain(socket.messages)), expected)
          assert.strictEqual(yield* Effect.flip(socket.receive), error)
          // RFC 6455 §5.5.1: the answer repeats the code.
          assert.deepStrictEqual(yield* wrote, [code === undefined ? "Close" : `Close ${code}`])
        })
      )
    }

    it.effect("run and messages end after a closing handshake that we began, whatever the code", () =>
      Effect.gen(function* () {
        for (const code of [1000, 1011, 4000]) {
          const sockets = yield* connected()
          const reading = yield* Effect.forkChild(sockets[role].run(() => {}))
          yield* settled
          yield* sockets[role].close(code)
          yield* Fiber.join(reading)
          yield* Stream.runDrain(sockets[role].messages)
          assert.deepStrictEqual(fields(yield* Effect.flip(sockets[role].receive)), closedError(code, "local", true))
        }
      })
    )

    it.effect("a message and a Close in one chunk: the answers of run go out before the Close", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* alone(role)
        const reading = yield* Effect.forkChild(socket.run(({ data }) => socket.send(`re: ${String(data)}`)))
        yield* settled
        yield* inject(text("one"), text("two"), close(1000, "bye"), text("after"))
        yield* Fiber.join(reading)
        assert.deepStrictEqual(yield* wrote, ["Text re: one", "Text re: two", "Close 1000"])
      })
    )

    for (const [name, read] of [
      ["nobody reads", () => Effect.never],
      ["the handler takes its time", (socket: WebSocket.WebSocket) => socket.run(() => Effect.never)],
      ["one message is read", (socket: WebSocket.WebSocket) => Effect.andThen(socket.receive, Effect.never)]
    ] as const) {
      it.effect(`a message and a Close in one chunk: the Close is answered if ${name}`, () =>
        Effect.gen(function* () {
          const { eof, inject, socket, wrote } = yield* alone(role)
          const reading = yield* Effect.forkChild(read(socket))
          yield* settled
          yield* inject(text("one"), text("two"), text("three"), close(1000))
          yield* eof
          assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1000, 1000, "remote", true])
          assert.deepStrictEqual(yield* wrote, ["Close 1000"])
          yield* Fiber.interrupt(reading)
          // What was not read can still be.
          assert.strictEqual((yield* Effect.map(Stream.runLast(socket.messages), Option.getOrThrow)).data, "three")
        })
      )
    }
  })

  // -------------------------------------------------------------------------------------------------------------------
  // What a peer may not send
  // -------------------------------------------------------------------------------------------------------------------

  /** A frame from its first byte and the parts of its header that follow, masked as its reader expects unless inverted. */
  const raw = (first: number, length: ReadonlyArray<number>, payload = new Uint8Array(0), inverted = false) => {
    const masked = (role === "server") !== inverted
    const [short = 0, ...extended] = length
    // With a key of zeros the payload stays as it is.
    return concat(
      Uint8Array.of(first, short | (masked ? 0x80 : 0), ...extended, ...(masked ? [0, 0, 0, 0] : [])),
      payload
    )
  }
  const bytes = (...values: ReadonlyArray<number>) => Uint8Array.from(values)
  const frame = (value: Frame.Frame) => sentTo(role, value)
  const protocolError = (section: string, closeCode: number) => ({
    _tag: "Protocol_error",
    origin: "remote",
    section: `RFC 6455 §${section}`,
    closeCode
  })
  const tooLarge = (limit: string, max: number, size: number | undefined) => ({
    _tag: "Payload_too_large",
    limit,
    max,
    size,
    direction: "inbound"
  })
  const limits = { maxMessageBytes: 1000, maxFrameBytes: 800, maxFragments: 3 }

  const violations: ReadonlyArray<readonly [name: string, input: Uint8Array, error: object, code: number]> = [
    ["the wrong masking", raw(0x81, [1], bytes(0x61), true), protocolError("5.1", 1002), 1002],
    ...[0xc1, 0xa1, 0x91, 0xc9, 0xf1].map(
      (first) => [`RSV bits (${first.toString(16)})`, raw(first, [0]), protocolError("5.2", 1002), 1002] as const
    ),
    ...[3, 7, 0xb, 0xf].map(
      (opcode) => [`opcode ${opcode}`, raw(0x80 | opcode, [0]), protocolError("5.2", 1002), 1002] as const
    ),
    ["a fragmented control frame", raw(0x09, [0]), protocolError("5.5", 1002), 1002],
    ["a control frame of 126 bytes", raw(0x89, [126, 0, 126], new Uint8Array(126)), protocolError("5.5", 1002), 1002],
    ["a continuation without a start", frame(continuation("a")), protocolError("5.4", 1002), 1002],
    ["a new message inside one", concat(frame(text("a", false)), frame(text("b"))), protocolError("5.4", 1002), 1002],
    ["a length of 16 bits below 126", raw(0x82, [126, 0, 125]), protocolError("5.2", 1002), 1002],
    ["a length of 64 bits below 65536", raw(0x82, [127, 0, 0, 0, 0, 0, 0, 255, 255]), protocolError("5.2", 1002), 1002],
    ["a Close of one byte", raw(0x88, [1], bytes(3)), protocolError("5.5.1", 1002), 1002],
    ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535].map(
      (code) => [`a Close with ${code}`, frame(close(code)), protocolError("7.4", 1002), 1002] as const
    ),
    ["text that is not UTF-8", raw(0x81, [2], bytes(0x61, 0xff)), protocolError("8.1", 1007), 1007],
    ["text that ends within a character", raw(0x81, [1], bytes(0xc3)), protocolError("8.1", 1007), 1007],
    [
      "text that is not UTF-8 in a message that has not ended",
      raw(0x01, [126, 2, 0], bytes(0x61, 0xff)),
      protocolError("8.1", 1007),
      1007
    ],
    ["a reason that is not UTF-8", frame(close(1000, bytes(0xff))), protocolError("8.1", 1007), 1007],
    ["a frame above the limit", raw(0x82, [126, 3, 33]), tooLarge("frame", 800, 801), 1009],
    ["a frame of 2^53 bytes", raw(0x82, [127, 0, 0x20, 0, 0, 0, 0, 0, 0]), tooLarge("frame", 800, undefined), 1009],
    [
      "a message above the limit",
      concat(raw(0x02, [126, 2, 88], new Uint8Array(600)), raw(0x80, [126, 2, 88])),
      tooLarge("message", 1000, undefined),
      1009
    ],
    [
      "too many fragments, empty ones too",
      concat(frame(text("", false)), ...Array.from({ length: 3 }, () => frame(continuation("", false)))),
      tooLarge("fragments", 3, undefined),
      1009
    ]
  ]

  describe(`a violation, as ${role}`, () => {
    for (const [name, input, error, code] of violations) {
      it.effect(`${name} is answered with ${code}, behind the messages before it`, () =>
        Effect.gen(function* () {
          const { injectBytes, pair, seen, socket, spied } = yield* alone(role, { limits })
          yield* injectBytes(concat(sentTo(role, text("before")), input, sentTo(role, text("after"))))
          assert.strictEqual((yield* socket.receive).data, "before")
          const failure = yield* Effect.flip(socket.receive)
          const expected =
            "size" in error && error.size === undefined ? { ...error, size: (failure as PayloadTooLarge).size } : error
          assert.deepStrictEqual(facts(failure), expected)
          const [written, ...more] = yield* framesFrom(pair, role)
          assert.isDefined(written)
          assert.lengthOf(more, 0)
          assert.strictEqual(written.opcode, Opcode.Close)
          assert.strictEqual((written.payload[0]! << 8) | written.payload[1]!, code)
          assert.strictEqual(latin1(written.payload.subarray(2)).includes("RFC"), failure._tag === "Protocol_error")
          // Both roles end TCP, since nothing of what comes can be understood.
          assert.deepStrictEqual(spied.calls, ["end"])
          yield* from(pair, peerRole).end
          assert.strictEqual(yield* assertRemembered(socket), failure)
          assert.strictEqual(yield* Effect.flip(socket.run(() => {})), failure)
          assert.strictEqual(yield* Effect.flip(Stream.runDrain(socket.messages)), failure)
          assert.deepStrictEqual(outcome(yield* socket.closeStatus), [code, undefined, "local", false])
          assert.deepStrictEqual(seen, ["eof", "close"])
        })
      )
    }

    it.effect("is answered even if nobody reads, and TCP ends within closeTimeout", () =>
      Effect.gen(function* () {
        const { injectBytes, socket, wrote } = yield* alone(role, { closeTimeout: "1 seconds" })
        yield* injectBytes(concat(sentTo(role, text("before")), raw(0x83, [0])))
        const over = yield* Effect.forkChild(socket.closeStatus)
        yield* settledLate
        assert.deepStrictEqual(
          (yield* wrote).map((line) => line.slice(0, 10)),
          ["Close 1002"]
        )
        yield* TestClock.adjust("999 millis")
        assert.isTrue(yield* isPending(over))
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(outcome(yield* Fiber.join(over)), [1002, undefined, "local", false])
      })
    )

    it.effect("ends the scope without a second Close", () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        deafPeer(pair, peerRole)
        const { fiber } = yield* inScope(pair[role], { role }, (socket) => socket.receive)
        yield* from(pair, peerRole).inject(raw(0x83, [0]))
        yield* from(pair, peerRole).end
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isFailure(exit))
        assert.deepStrictEqual(
          (yield* wrote(pair, role)).map((line) => line.slice(0, 10)),
          ["Close 1002"]
        )
      })
    )
  })
}

describe("run", () => {
  it.effect("calls the handler for the next message when the effect for the last one is done", () =>
    Effect.gen(function* () {
      const { inject, socket } = yield* alone("server")
      const log: Array<string> = []
      const reading = yield* Effect.forkChild(
        socket.run(({ data }) =>
          Effect.andThen(
            Effect.sync(() => log.push(`${String(data)} begins`)),
            Effect.andThen(
              Effect.sleep("1 seconds"),
              Effect.sync(() => log.push(`${String(data)} ends`))
            )
          )
        )
      )
      yield* inject(text("a"), text("b"))
      yield* settled
      assert.deepStrictEqual(log, ["a begins"])
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual(log, ["a begins", "a ends", "b begins"])
      yield* TestClock.adjust("1 seconds")
      yield* inject(close(1000))
      yield* Fiber.join(reading)
      assert.deepStrictEqual(log, ["a begins", "a ends", "b begins", "b ends"])
    })
  )

  const failing: ReadonlyArray<
    readonly [string, () => Effect.Effect<void, string>, (exit: Exit.Exit<unknown, unknown>) => boolean]
  > = [
    [
      "fails",
      () => Effect.fail("no"),
      (exit) => Exit.isFailure(exit) && Option.contains(Cause.findErrorOption(exit.cause), "no")
    ],
    ["dies", () => Effect.die("no"), isDefect],
    ["interrupts itself", () => Effect.interrupt, isInterrupted],
    [
      "throws",
      () => {
        throw new Error("no")
      },
      isDefect
    ]
  ]
  for (const [name, handler, expected] of failing) {
    it.effect(`ends as its handler does, which ${name}; later messages can be read, and sent messages go out`, () =>
      Effect.gen(function* () {
        const { client, server } = yield* connected()
        yield* Effect.forEach(["a", "bad", "b"], (data) => client.send(data))
        const exit = yield* Effect.exit(server.run(({ data }) => (data === "bad" ? handler() : server.send(data))))
        assert.isTrue(expected(exit), String(exit))
        assert.strictEqual((yield* client.receive).data, "a")
        assert.strictEqual((yield* server.receive).data, "b")
        assert.isTrue(yield* server.isOpen)
      })
    )
  }

  it.effect("gives the handler's effects their services", () =>
    Effect.gen(function* () {
      class Suffix extends Context.Service<Suffix, string>()("Suffix") {}
      const { client, server } = yield* connected()
      yield* server
        .run(({ data }) => Effect.flatMap(Suffix, (suffix) => server.send(`${String(data)}${suffix}`)))
        .pipe(Effect.provideService(Suffix, "!"), Effect.forkChild)
      yield* client.send("hello")
      assert.strictEqual((yield* client.receive).data, "hello!")
    })
  )
})

// ---------------------------------------------------------------------------------------------------------------------
// Writing
// ---------------------------------------------------------------------------------------------------------------------

const texts = (socket: WebSocket.WebSocket, count: number) =>
  Effect.map(Effect.replicateEffect(socket.receive, count), (messages) => messages.map(({ data }) => data))

describe("sendAll", () => {
  for (const role of roles) {
    it.effect(`as ${role}, sends in order, and again when it is run again`, () =>
      Effect.gen(function* () {
        const sockets = yield* connected()
        const sendAll = sockets[role].sendAll(new Set(["a", utf8("b"), new Text("c")]))
        yield* sendAll
        yield* sendAll
        const received = yield* Effect.replicateEffect(sockets[other(role)].receive, 6)
        const once = ["a", utf8("b"), "c"]
        assert.deepStrictEqual(
          received.map(({ data }) => data),
          [...once, ...once]
        )
      })
    )

    it.effect(`as ${role}, waits for room; interrupted, it has sent a whole number of messages`, () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected({ sendHighWaterMark: 100, sendLowWaterMark: 10 })
        yield* from(pair, role).stall
        const all = Array.from({ length: 50 }, (_, i) => `${i} ${"x".repeat(40)}`)
        const sending = yield* Effect.forkChild(sockets[role].sendAll(all))
        assert.isTrue(yield* isPending(sending))
        yield* Fiber.interrupt(sending)
        yield* from(pair, role).unstall
        yield* sockets[role].sendAll(all.slice(3))
        const received = yield* Effect.forkChild(readers.receiveAll(sockets[other(role)]))
        yield* sockets[role].close()
        const sent = yield* Fiber.join(received)
        const count = sent.length - 47
        assert.isAbove(count, 0)
        assert.isBelow(count, 6)
        assert.deepStrictEqual(sent, [...all.slice(0, count), ...all.slice(3)])
      })
    )
  }

  it.effect("fails with the first that is not sent, and asks for no more", () =>
    Effect.gen(function* () {
      const { inject, socket, wrote } = yield* alone("server")
      let asked = 0
      const data = function* () {
        for (;;) yield `${asked++}`
      }
      yield* inject(close(1000))
      yield* settledLate
      const error = yield* Effect.flip(socket.sendAll(data()))
      assert.strictEqual(error._tag, "Connection_closed")
      assert.strictEqual(asked, 1)
      assert.deepStrictEqual(yield* wrote, ["Close 1000"])
    })
  )
})

describe("broadcast", () => {
  it.effect("to connections that are closing or over starts no fiber and makes no error for any of them", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* connected()
      yield* pair.stall
      yield* Effect.forkChild(server.close())
      yield* settled
      // With a fiber of its own for any of them it would not be done at once.
      assert.isUndefined(Effect.runSync(WebSocket.broadcast([server], "closing")))
      const refused = [yield* Effect.flip(server.send("a")), yield* Effect.flip(server.send("b"))]
      assert.strictEqual(refused[0], refused[1])
      yield* pair.reset
      yield* client.closeStatus
      assert.isUndefined(Effect.runSync(WebSocket.broadcast([server, client], "over")))
    })
  )

  it.effect("sends to all others if a member of the app's throws, dies or fails, and then reports the defect", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      const throws = {
        send: () => {
          throw new Error("bug")
        }
      }
      const fails = { send: () => Effect.fail(new IoError({ reason: "Reset", operation: "write" })) }
      const dies = { send: () => Effect.die("bug") }
      for (const member of [throws, dies, fails]) {
        const exit = yield* Effect.exit(WebSocket.broadcast([member, server], "hello"))
        assert.strictEqual(isDefect(exit), member !== fails)
        assert.strictEqual((yield* client.receive).data, "hello")
      }
      yield* Effect.forkChild(client.run(() => {}))
      yield* server.close()
    })
  )

  it.effect("sends to all, skips connections that are over, and accepts objects of the app", () =>
    Effect.gen(function* () {
      const pairs = yield* Effect.replicateEffect(connected(), 3)
      const double: Array<WebSocket.Data> = []
      yield* pairs[1]!.server.close()
      const sockets = [
        ...pairs.map(({ server }) => server),
        { send: (data: WebSocket.Data) => Effect.sync(() => double.push(data)) }
      ]
      yield* WebSocket.broadcast(sockets, "hello")
      assert.strictEqual((yield* pairs[0]!.client.receive).data, "hello")
      assert.strictEqual((yield* pairs[2]!.client.receive).data, "hello")
      assert.deepStrictEqual(double, [new Text("hello")])
    })
  )

  it.effect(
    "one that has no room holds up its end, but no other; it may end meanwhile, or the caller be interrupted",
    () =>
      Effect.gen(function* () {
        const slow = yield* connected({ sendHighWaterMark: 10, sendLowWaterMark: 1 })
        const gone = yield* connected({ sendHighWaterMark: 10, sendLowWaterMark: 1 })
        const quick = yield* connected()
        const sockets = [slow.server, gone.server, quick.server]
        yield* from(slow.pair, "server").stall
        yield* from(gone.pair, "server").stall
        const data = "more than its high-water mark"
        const first = yield* Effect.forkChild(WebSocket.broadcast(sockets, data))
        const second = yield* Effect.forkChild(WebSocket.broadcast(sockets, "second"))
        const third = yield* Effect.forkChild(WebSocket.broadcast(sockets, "third"))
        assert.deepStrictEqual(yield* texts(quick.client, 3), [data, "second", "third"])
        assert.isTrue(yield* isPending(first))
        assert.isTrue(yield* isPending(second))
        yield* Fiber.interrupt(second)
        yield* gone.server.abort
        assert.isTrue(yield* isPending(third))
        yield* from(slow.pair, "server").unstall
        yield* Fiber.join(first)
        yield* Fiber.join(third)
        assert.deepStrictEqual(yield* texts(slow.client, 2), [data, "third"])
      })
  )

  it.effect("each takes it as its strategy says", () =>
    Effect.gen(function* () {
      const options = { sendHighWaterMark: 10, sendLowWaterMark: 1, sendStrategy: "close" } as const
      const slow = yield* connected(options)
      yield* from(slow.pair, "server").stall
      yield* WebSocket.broadcast([slow.server], "more than its high-water mark")
      yield* WebSocket.broadcast([slow.server], "too much")
      assert.isFalse(yield* slow.server.isOpen)
    })
  )
})

describe("send", () => {
  for (const role of roles) {
    it.effect(`as ${role}, takes text, bytes and messages`, () =>
      Effect.gen(function* () {
        const sockets = yield* connected({ maxFrameSize: 1000 })
        const large = new Uint8Array(2500).map((_, i) => i)
        const copy = large.slice()
        const sent: ReadonlyArray<WebSocket.Data> = [
          "text",
          utf8("bytes"),
          new Text("Text"),
          new Binary(large),
          "",
          new Uint8Array(0)
        ]
        yield* Effect.forEach(sent, (data) => sockets[role].send(data))
        const received = yield* Effect.replicateEffect(sockets[other(role)].receive, sent.length)
        assert.deepStrictEqual(
          received.map((message) => [message._tag, message.data]),
          [
            ["Text", "text"],
            ["Binary", utf8("bytes")],
            ["Text", "Text"],
            ["Binary", copy],
            ["Text", ""],
            ["Binary", new Uint8Array(0)]
          ]
        )
        assert.deepStrictEqual(large, copy)
        const lengths = (yield* framesFrom(sockets.pair, role)).map(({ payload }) => payload.length)
        assert.deepStrictEqual(lengths, [4, 5, 4, 1000, 1000, 500, 0, 0])
      })
    )

    it.effect(`as ${role}, suspends above the high-water mark, and goes on below the low one, in order`, () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected({ sendHighWaterMark: 100, sendLowWaterMark: 10 })
        const socket = sockets[role]
        yield* from(pair, role).stall
        yield* socket.send("below the mark")
        const sent = Array.from({ length: 50 }, (_, i) => `${i} ${"x".repeat(40)}`)
        const sending = yield* Effect.forEach(sent, (data) => Effect.forkChild(socket.send(data)))
        yield* settled
        const held = yield* socket.bufferedBytes
        assert.isAtLeast(held, 100)
        assert.isBelow(held, 200)
        const exits = yield* Effect.forEach(sending, (fiber) => Fiber.poll(fiber))
        assert.isAtLeast(exits.filter(Option.isNone).length, 47)
        yield* from(pair, role).unstall
        assert.deepStrictEqual(yield* texts(sockets[other(role)], 51), ["below the mark", ...sent])
        yield* Effect.forEach(sending, (fiber) => Fiber.join(fiber))
        assert.strictEqual(yield* socket.bufferedBytes, 0)
      })
    )

    it.effect(`as ${role}, interrupted while it waits, sends all of its message or nothing`, () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected({ sendHighWaterMark: 10, sendLowWaterMark: 1 })
        const socket = sockets[role]
        yield* from(pair, role).stall
        const names = Array.from({ length: 10 }, (_, i) => `message ${i}`)
        const sending = yield* Effect.forEach(names, (data) => Effect.forkChild(socket.send(data)))
        yield* settled
        // The first is in the transport already and only waits for room.
        for (const i of [0, 3, 4, 9]) yield* Fiber.interrupt(sending[i]!)
        yield* from(pair, role).unstall
        yield* Effect.forEach(sending, (fiber) => Fiber.await(fiber))
        yield* socket.send("last")
        const expected = [...names.filter((_, i) => ![3, 4, 9].includes(i)), "last"]
        assert.deepStrictEqual(yield* texts(sockets[other(role)], expected.length), expected)
        const exits = yield* Effect.forEach(sending, (fiber) => Fiber.await(fiber))
        assert.deepStrictEqual(
          exits.map((exit, i) => (isInterrupted(exit) ? i : -1)).filter((i) => i >= 0),
          [0, 3, 4, 9]
        )
      })
    )

    it.effect(`as ${role}, fails when the connection ends while it waits, with the connection's error`, () =>
      Effect.gen(function* () {
        for (const end of ["reset", "abort", "timeout"] as const) {
          const { pair, ...sockets } = yield* connected({ sendHighWaterMark: 10, sendLowWaterMark: 1 })
          const socket = sockets[role]
          yield* from(pair, role).stall
          const sending = yield* Effect.forEach(["0123456789", "a", "b"], (data) => Effect.forkChild(socket.send(data)))
          assert.isTrue(yield* isPending(sending[0]!))
          if (end === "reset") yield* pair.reset
          else if (end === "abort") yield* socket.abort
          else {
            yield* Effect.forkChild(socket.close())
            yield* settled
            yield* TestClock.adjust("5 seconds")
          }
          const { error } = yield* socket.closeStatus
          const failed = yield* Effect.forEach(sending, (fiber) => Effect.flip(Fiber.join(fiber)))
          // Those that had not sent were told when the closing began.
          const told = end === "timeout" ? closedError(1000, "local", false) : fields(error)
          assert.deepStrictEqual(failed.map(fields), [fields(error), told, told], end)
        }
      })
    )
  }

  for (const role of roles) {
    const slow = (sendStrategy: WebSocket.SendStrategy, sendHighWaterMark = 10) =>
      Effect.gen(function* () {
        const ends = yield* connected({ sendHighWaterMark, sendLowWaterMark: 1, sendStrategy })
        const outbound = from(ends.pair, role)
        yield* outbound.stall
        const socket = ends[role]
        // What fills the buffer is sent, and nobody waits for its room.
        yield* socket.send("0123456789".repeat(sendHighWaterMark / 10))
        yield* settled
        return { ...ends, outbound, peer: ends[other(role)], socket }
      })

    it.effect(`as ${role}, with "dropping", drops messages that would have to wait, and no others`, () =>
      Effect.gen(function* () {
        const { outbound, peer, socket } = yield* slow("dropping")
        yield* socket.send("dropped")
        yield* outbound.unstall
        yield* settled
        yield* socket.send("sent")
        assert.strictEqual((yield* peer.receive).data, "0123456789")
        assert.strictEqual((yield* peer.receive).data, "sent")
      })
    )

    // Each of these weighs 65 bytes, so that three fit.
    const letters = ["a", "b", "c", "d", "e", "f"]

    it.effect(`as ${role}, with "sliding", keeps the newest messages until there is room`, () =>
      Effect.gen(function* () {
        const { outbound, peer, socket } = yield* slow("sliding", 200)
        const before = yield* socket.bufferedBytes
        for (const letter of letters) yield* socket.send(letter)
        assert.strictEqual((yield* socket.bufferedBytes) - before, 3 * 65)
        yield* outbound.unstall
        yield* peer.receive
        for (const letter of letters.slice(-3)) assert.strictEqual((yield* peer.receive).data, letter)
        yield* socket.send("at once")
        assert.strictEqual((yield* peer.receive).data, "at once")
        assert.strictEqual(yield* socket.bufferedBytes, 0)
      })
    )

    it.effect(`as ${role}, with "sliding", keeps a message that is larger than the mark, and a copy of bytes`, () =>
      Effect.gen(function* () {
        const { outbound, peer, socket } = yield* slow("sliding")
        const bytes = new Uint8Array(1000).fill(1)
        yield* socket.send("dropped")
        yield* socket.send(bytes)
        bytes.fill(2)
        yield* outbound.unstall
        yield* peer.receive
        assert.deepStrictEqual((yield* peer.receive).data, new Uint8Array(1000).fill(1))
      })
    )

    it.effect(`as ${role}, with "sliding", sends the kept messages before its own Close`, () =>
      Effect.gen(function* () {
        const { outbound, pair, peer, socket } = yield* slow("sliding", 200)
        for (const letter of letters) yield* socket.send(letter)
        yield* Effect.forkChild(socket.close())
        yield* outbound.unstall
        yield* Effect.forkChild(peer.run(() => {}))
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1000, 1000, "local", true])
        assert.deepStrictEqual((yield* wrote(pair, role)).slice(1), ["Text d", "Text e", "Text f", "Close 1000"])
        assert.deepStrictEqual(fields(yield* Effect.flip(socket.send("late"))), closedError(1000, "local", true))
      })
    )

    it.effect(`as ${role}, with "sliding", drops the kept messages with the connection`, () =>
      Effect.gen(function* () {
        const { pair, socket } = yield* slow("sliding", 200)
        for (const letter of letters) yield* socket.send(letter)
        yield* pair.reset
        assert.deepStrictEqual(fields((yield* socket.closeStatus).error), resetError)
        assert.strictEqual(yield* socket.bufferedBytes, 0)
      })
    )

    it.effect(`as ${role}, with "close", closes with 1008 instead of waiting`, () =>
      Effect.gen(function* () {
        const { outbound, pair, peer, socket } = yield* slow("close")
        const error = yield* Effect.flip(socket.send("one too many"))
        assert.deepStrictEqual(fields(error), closedError(1008, "local", false, "too slow"))
        yield* outbound.unstall
        yield* Effect.forkChild(peer.run(() => {}))
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1008, 1008, "local", true])
        assert.deepStrictEqual(yield* wrote(pair, role), ["Text 0123456789", "Close 1008 too slow"])
      })
    )

    it.effect(`as ${role}, with "abort", drops the connection instead of waiting`, () =>
      Effect.gen(function* () {
        const { pair, socket } = yield* slow("abort")
        const error = yield* Effect.flip(socket.send("one too many"))
        assert.deepStrictEqual(fields(error), closedError(1006, "local", false))
        assert.strictEqual((yield* socket.closeStatus).error, error)
        assert.deepStrictEqual(yield* wrote(pair, role), ["Text 0123456789"])
      })
    )
  }

  it.effect("by 10,000 fibers of 64 KiB each to a peer that does not read holds a bounded part of it", () =>
    Effect.gen(function* () {
      for (const role of roles) {
        const { pair, ...sockets } = yield* connected()
        const socket = sockets[role]
        yield* from(pair, role).stall
        const data = new Uint8Array(64 * 1024)
        const sending = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: 10_000 }), () => socket.send(data), { concurrency: "unbounded" })
        )
        assert.isTrue(yield* isPending(sending))
        assert.isAtLeast(yield* socket.bufferedBytes, 64 * 1024)
        assert.isBelow(yield* socket.bufferedBytes, 256 * 1024)
        yield* Fiber.interrupt(sending)
        yield* from(pair, role).unstall
        yield* socket.send("last")
        const received = yield* Stream.runCollect(
          Stream.takeUntil(sockets[other(role)].messages, ({ data }) => data === "last")
        )
        assert.isBelow(received.length, 5)
      }
    })
  )

  it.effect("by the echo to a peer that does not read stops reading: nothing piles up", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* connected()
      yield* pair.serverToClient.stall
      const echoing = yield* Effect.forkChild(server.run((message) => server.send(message)))
      const sending = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 100 }), () => client.send(new Uint8Array(16 * 1024)), { discard: true })
      )
      assert.isTrue(yield* isPending(sending))
      assert.isBelow(yield* server.bufferedBytes, 256 * 1024)
      yield* pair.serverToClient.unstall
      yield* texts(client, 100)
      yield* Fiber.join(sending)
      yield* Fiber.interrupt(echoing)
    })
  )

  it.effect("holds few bytes while a peer floods with pings: unread pongs coalesce to the newest", () =>
    Effect.gen(function* () {
      const { inject, pair, socket } = yield* alone("server", { sendHighWaterMark: 100, sendLowWaterMark: 10 })
      yield* pair.serverToClient.stall
      for (let i = 0; i < 20; i++) {
        yield* inject(...Array.from({ length: 100 }, (_, j) => ping(`${i * 100 + j}`.padStart(100, "0"))))
        yield* settled
      }
      assert.isBelow(yield* socket.bufferedBytes, 10_000)
      yield* pair.serverToClient.unstall
      yield* settled
      assert.strictEqual((yield* wrote(pair, "server")).at(-1), `Pong ${"1999".padStart(100, "0")}`)
    })
  )
})

describe("sink and channel", () => {
  it.effect("sink sends everything", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      yield* Stream.run(Stream.make<Array<WebSocket.Data>>("a", utf8("b"), new Text("c")), client.sink)
      assert.deepStrictEqual(yield* texts(server, 3), ["a", utf8("b"), "c"])
      yield* server.close(4000)
      const error = yield* Effect.flip(Stream.run(Stream.make("late"), client.sink))
      assert.deepStrictEqual(fields(error), closedError(4000, "remote", true))
    })
  )

  it.effect("channel sends its input and emits the messages; the end of its input closes with 1000", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* connected()
      const echoing = yield* Effect.forkChild(server.run((message) => server.send(message)))
      const replies = yield* Stream.make<Array<WebSocket.Data>>("a", "b").pipe(
        Stream.concat(Stream.make("c")),
        Stream.pipeThroughChannel(client.channel()),
        Stream.runCollect
      )
      assert.deepStrictEqual(
        Array.from(replies, ({ data }) => data),
        ["a", "b", "c"]
      )
      yield* Fiber.join(echoing)
      assert.deepStrictEqual(yield* wrote(pair, "client"), ["Text a", "Text b", "Text c", "Close 1000"])
    })
  )

  it.effect("channel fails with the error of its input, even if the peer sends nothing", () =>
    Effect.gen(function* () {
      const { client } = yield* connected()
      const error = yield* Stream.make<Array<WebSocket.Data>>("a").pipe(
        Stream.concat(Stream.fail("no" as const)),
        Stream.pipeThroughChannel(client.channel<"no">()),
        Stream.runDrain,
        Effect.flip
      )
      assert.strictEqual(error, "no")
      assert.isTrue(yield* client.isOpen)
    })
  )

  it.effect("channel fails or ends with the connection, even if its input continues", () =>
    Effect.gen(function* () {
      for (const code of [1000, 4000]) {
        const { client, server } = yield* connected()
        const piping = yield* Stream.make<Array<WebSocket.Data>>("a").pipe(
          Stream.concat(Stream.never),
          Stream.pipeThroughChannel(client.channel()),
          Stream.runDrain,
          Effect.forkChild
        )
        assert.strictEqual((yield* server.receive).data, "a")
        yield* server.close(code)
        const exit = yield* Fiber.await(piping)
        assert.deepStrictEqual(exit, code === 1000 ? Exit.void : Exit.fail((yield* client.closeStatus).error))
      }
    })
  )
})

// ---------------------------------------------------------------------------------------------------------------------
// Ping and pong
// ---------------------------------------------------------------------------------------------------------------------

for (const role of roles) {
  const peerRole = other(role)

  describe(`ping, as ${role}`, () => {
    it.effect("succeeds with the time of the round trip", () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected()
        yield* Effect.all([from(pair, role).delay("30 millis"), from(pair, peerRole).delay("12 millis")])
        const pinging = yield* Effect.forkChild(sockets[role].ping())
        yield* settled
        yield* TestClock.adjust("30 millis")
        assert.isTrue(yield* isPending(pinging))
        yield* TestClock.adjust("12 millis")
        assert.strictEqual(Duration.toMillis(yield* Fiber.join(pinging)), 42)
        const payloads = (yield* framesFrom(pair, role)).map(({ payload }) => payload.length)
        assert.deepStrictEqual(payloads, [8])
      })
    )

    it.effect("is answered by the pong with its payload, which also answers the pings before it", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* alone(role)
        const data = utf8("0")
        const pinging = yield* Effect.forEach([data, utf8("1"), utf8("2")], (payload) =>
          Effect.forkChild(socket.ping(payload))
        )
        yield* settled
        data[0] = 0
        assert.deepStrictEqual(yield* wrote, ["Ping 0", "Ping 1", "Ping 2"])
        yield* inject(pong("unasked"), pong("01"), pong(""))
        assert.isTrue(yield* isPending(pinging[0]!))
        yield* inject(pong("1"))
        yield* Fiber.join(pinging[0]!)
        yield* Fiber.join(pinging[1]!)
        assert.isTrue(yield* isPending(pinging[2]!))
        yield* inject(pong("0"))
        assert.isTrue(yield* isPending(pinging[2]!))
        yield* inject(pong("2"))
        yield* Fiber.join(pinging[2]!)
      })
    )

    it.effect("refuses more than 125 bytes, with nothing sent and the connection as it was", () =>
      Effect.gen(function* () {
        const { pair, ...sockets } = yield* connected()
        for (const ask of [sockets[role].ping(new Uint8Array(126)), sockets[role].pong(new Uint8Array(126))]) {
          assert.deepStrictEqual(fields(yield* Effect.flip(Effect.asVoid(ask))), {
            _tag: "Payload_too_large",
            limit: "controlPayload",
            max: 125,
            size: 126,
            direction: "outbound"
          })
        }
        yield* settled
        assert.deepStrictEqual(yield* wrote(pair, role), [])
        yield* sockets[role].ping(new Uint8Array(125))
      })
    )

    it.effect("fails when the connection ends", () =>
      Effect.gen(function* () {
        for (const end of ["reset", "close", "eof"] as const) {
          const { eof, inject, pair, socket } = yield* alone(role)
          const pinging = yield* Effect.forkChild(socket.ping())
          yield* settled
          if (end === "reset") yield* pair.reset
          else if (end === "eof") yield* eof
          else yield* Effect.andThen(inject(close(4000)), eof)
          const error = yield* Effect.flip(Fiber.join(pinging))
          assert.strictEqual(error, (yield* socket.closeStatus).error, end)
        }
      })
    )

    it.effect("is forgotten if interrupted: its pong answers nothing, later pongs do", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* alone(role)
        const first = yield* Effect.forkChild(socket.ping(utf8("0")))
        const second = yield* Effect.forkChild(socket.ping(utf8("1")))
        yield* settled
        yield* Fiber.interrupt(second)
        yield* inject(pong("1"))
        assert.isTrue(yield* isPending(first))
        yield* inject(pong("0"))
        yield* Fiber.join(first)
      })
    )

    it.effect("waits for room as send does, and interrupted then, sends nothing", () =>
      Effect.gen(function* () {
        const { pair, socket, wrote } = yield* alone(role, { sendHighWaterMark: 10, sendLowWaterMark: 1 })
        yield* from(pair, role).stall
        yield* Effect.forkChild(socket.send("0123456789"))
        yield* settled
        const dropped = yield* Effect.forkChild(socket.ping(utf8("dropped")))
        const kept = yield* Effect.forkChild(socket.pong(utf8("kept")))
        assert.isTrue(yield* isPending(kept))
        yield* Fiber.interrupt(dropped)
        yield* from(pair, role).unstall
        yield* Fiber.join(kept)
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text 0123456789", "Pong kept"])
      })
    )
  })

  it.effect(`pings and pongs emit those of the peer, as ${role}; slow readers miss all but the newest 16`, () =>
    Effect.gen(function* () {
      const { eof, inject, socket, wrote } = yield* alone(role)
      const decoded = (stream: Stream.Stream<Uint8Array>) =>
        // Not `runCollect`: that of effect 3.22 loses elements of what comes from a full sliding buffer.
        Effect.forkChild(
          Stream.runFold(
            stream,
            (): ReadonlyArray<string> => [],
            (all, data) => [...all, latin1(data)]
          )
        )
      const pings = yield* decoded(socket.pings)
      const again = yield* decoded(socket.pings)
      const pongs = yield* decoded(socket.pongs)
      yield* settled
      yield* inject(ping("a"), pong("b"), ping("c"), pong("d"))
      yield* settled
      const numbers = Array.from({ length: 30 }, (_, i) => `${i}`)
      // In one chunk, so that no reader has its turn between them.
      yield* inject(...numbers.map((data) => pong(data)))
      yield* settled
      yield* inject(close(1000))
      yield* eof
      assert.deepStrictEqual(yield* Fiber.join(pings), ["a", "c"])
      assert.deepStrictEqual(yield* Fiber.join(again), ["a", "c"])
      assert.deepStrictEqual(yield* Fiber.join(pongs), ["b", "d", ...numbers.slice(-16)])
      assert.deepStrictEqual(yield* wrote, ["Pong a", "Pong c", "Close 1000"])
      yield* socket.closeStatus
      assert.lengthOf(yield* Stream.runCollect(socket.pings), 0)
    })
  )
}

describe("fromTransport", () => {
  it.effect("has the properties of the connection", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const client = yield* WebSocket.fromTransport(pair.client, {
        role: "client",
        url: "ws://test/",
        limits: { maxMessageBytes: 10 }
      })
      yield* Effect.addFinalizer(() => pair.reset)
      assert.strictEqual(client.url, "ws://test/")
      assert.isUndefined(client.protocol)
      assert.deepStrictEqual(client.extensions, [])
      assert.strictEqual(client.limits.maxMessageBytes, 10)
      assert.strictEqual(client.limits.maxFragments, 1024)
      assert.strictEqual(client.remoteAddress, "mock-client")
      assert.isTrue(yield* client.isOpen)
    })
  )

  it.effect("with options that make no sense is a defect", () =>
    Effect.gen(function* () {
      for (const options of [
        { closeTimeout: Infinity },
        { closeTimeout: 0 },
        { sendHighWaterMark: 0 },
        { sendHighWaterMark: 10, sendLowWaterMark: 11 },
        { sendLowWaterMark: 1.5 },
        { receiveHighWaterMark: NaN },
        { maxFrameSize: 0 },
        { limits: { maxMessageBytes: 0 } },
        { limits: { maxFragments: -1 } },
        { limits: { maxFrameBytes: 0.5 } }
      ]) {
        const pair = yield* MockTransport.make()
        const exit = yield* Effect.exit(
          Effect.scoped(WebSocket.fromTransport(pair.client, { role: "client", ...options }))
        )
        assert.isTrue(isDefect(exit), JSON.stringify(options))
      }
    })
  )
})

/** The message of a defect. */
const defectOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const defect = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
  return defect instanceof TypeError || defect instanceof RangeError ? defect.message : `none: ${String(exit)}`
}

describe("the properties of a socket", () => {
  it.effect("are its role, and the sizes of its messages and frames", () =>
    Effect.gen(function* () {
      for (const role of roles) {
        const { socket } = yield* alone(role, { maxFrameSize: 10, maxSendBytes: 20 })
        assert.deepStrictEqual([socket.role, socket.maxFrameSize, socket.maxSendBytes], [role, 10, 20])
        const plain = yield* alone(role)
        assert.deepStrictEqual([plain.socket.maxFrameSize, plain.socket.maxSendBytes], [undefined, undefined])
      }
    })
  )

  it.effect("isWebSocket holds for whole messages only, whichever copy of the package made them", () =>
    Effect.gen(function* () {
      for (const delivery of ["messages", "streams", "frames"] as const) {
        const { socket } = yield* alone("server", { delivery })
        assert.deepStrictEqual(
          [WebSocket.isWebSocket(socket), isStreamingWebSocket(socket), isFrameWebSocket(socket)],
          [delivery === "messages", delivery === "streams", delivery === "frames"]
        )
        // It costs a connection nothing.
        assert.deepStrictEqual(Object.getOwnPropertySymbols(socket), [])
      }
      assert.strictEqual(WebSocket.TypeId, Symbol.for("@effect-websocket/platform/WebSocket"))
      assert.isTrue(WebSocket.isWebSocket({ [Symbol.for("@effect-websocket/platform/WebSocket")]: 0 }))
      for (const [, mistake] of mistakes) assert.isFalse(WebSocket.isWebSocket(mistake))
    })
  )
})

for (const role of roles) {
  describe(`receiveOption, as ${role}`, () => {
    it.effect("returns messages, and None after an end that is normal for run", () =>
      Effect.gen(function* () {
        for (const [code, ends] of [
          [undefined, true],
          [1000, true],
          [1001, true],
          [1011, false],
          [4000, false]
        ] as const) {
          const { eof, inject, socket } = yield* alone(role)
          const waiting = yield* Effect.forkChild(socket.receiveOption)
          yield* settled
          yield* inject(text("a"), text("b"), close(code))
          yield* eof
          const read = [yield* Fiber.join(waiting), yield* socket.receiveOption]
          assert.deepStrictEqual(
            read.map((message) => Option.getOrThrow(message).data),
            ["a", "b"]
          )
          const { error } = yield* socket.closeStatus
          const end = ends ? Exit.succeed(Option.none()) : Exit.fail(error)
          assert.deepStrictEqual(yield* Effect.exit(socket.receiveOption), end)
          assert.deepStrictEqual(yield* Effect.exit(socket.receiveOption), end)
        }
      })
    )

    it.effect("ends while it waits, by our own Close; and fails with a connection that breaks", () =>
      Effect.gen(function* () {
        const sockets = yield* connected()
        const waiting = yield* Effect.forkChild(sockets[role].receiveOption)
        yield* settled
        yield* sockets[role].close(4000)
        assert.deepStrictEqual(yield* Fiber.join(waiting), Option.none())
        const { pair, socket } = yield* alone(role)
        const failing = yield* Effect.forkChild(Effect.flip(socket.receiveOption))
        yield* settled
        yield* pair.reset
        assert.deepInclude(fields(yield* Fiber.join(failing)), resetError)
      })
    )
  })

  describe(`receiveWith, as ${role}`, () => {
    it.effect("takes messages up to the limit in bytes, with any characters", () =>
      Effect.gen(function* () {
        const sockets = yield* connected()
        const peer = sockets[other(role)]
        yield* Effect.forEach(["€€", new Uint8Array(6), "abcdef", ""], (data) => peer.send(data))
        for (const expected of [6, 6, 6, 0]) {
          const message = yield* sockets[role].receiveWith({ maxMessageBytes: 6 })
          assert.strictEqual(size(message), expected)
        }
        const later = yield* Effect.forkChild(sockets[role].receiveWith({ maxMessageBytes: 1 }))
        yield* settled
        yield* peer.send("x")
        assert.strictEqual((yield* Fiber.join(later)).data, "x")
      })
    )

    for (const arrival of ["before", "meanwhile"] as const) {
      it.effect(
        `fails the connection with 1009 for a larger one that arrives ${arrival}, and drops what is behind`,
        () =>
          Effect.gen(function* () {
            const { eof, inject, socket, wrote } = yield* alone(role)
            yield* inject(text("small"))
            assert.strictEqual((yield* socket.receiveWith({ maxMessageBytes: 5 })).data, "small")
            const deliver = inject(text("€€".repeat(1)), text("behind"))
            if (arrival === "before") yield* Effect.andThen(deliver, settled)
            const reading = yield* Effect.forkChild(Effect.flip(socket.receiveWith({ maxMessageBytes: 3 })))
            yield* settled
            if (arrival === "meanwhile") yield* deliver
            const error = yield* Fiber.join(reading)
            assert.deepStrictEqual(fields(error), {
              _tag: "Payload_too_large",
              limit: "message",
              max: 3,
              size: latin1(utf8("€€")).length,
              direction: "inbound"
            })
            assert.strictEqual(closeCodeOf(error), 1009)
            yield* settled
            const [written] = yield* wrote
            assert.match(written!, /^Close 1009 .*allows 3/)
            yield* inject(close(1009))
            yield* eof
            assert.strictEqual(yield* assertRemembered(socket), error)
            assert.strictEqual(yield* Effect.flip(socket.run(() => {})), error)
          })
      )
    }

    it.effect("fails a connection that is not read, whose peer's Close is found then", () =>
      Effect.gen(function* () {
        const { eof, inject, socket, spied } = yield* alone(role, { receiveHighWaterMark: 1 })
        yield* inject(text("large"))
        yield* settled
        yield* inject(text("behind"), close(1009))
        yield* eof
        assert.deepStrictEqual(spied.calls, ["pause"])
        const error = yield* Effect.flip(socket.receiveWith({ maxMessageBytes: 3 }))
        assert.strictEqual((yield* socket.closeStatus).error, error)
        assert.strictEqual(yield* Effect.flip(socket.receive), error)
        assert.deepStrictEqual(spied.calls, ["pause", "end", "resume"])
      })
    )

    it.effect("fails with the limit even if the connection has already ended", () =>
      Effect.gen(function* () {
        const { eof, inject, socket } = yield* alone(role)
        yield* inject(text("large"), close(1000))
        yield* eof
        const { error } = yield* socket.closeStatus
        assert.deepInclude(fields(yield* Effect.flip(socket.receiveWith({ maxMessageBytes: 3 }))), { max: 3, size: 5 })
        assert.strictEqual(yield* Effect.flip(socket.receiveWith({ maxMessageBytes: 3 })), error)
      })
    )

    it.effect("with a limit that makes no sense is a defect, and takes nothing", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* alone(role)
        yield* inject(text("a"))
        for (const maxMessageBytes of [0, -1, 1.5, NaN, Infinity]) {
          assert.isTrue(isDefect(yield* Effect.exit(socket.receiveWith({ maxMessageBytes }))))
        }
        assert.strictEqual((yield* socket.receive).data, "a")
      })
    )
  })

  describe(`maxSendBytes, as ${role}`, () => {
    const tooLarge = (size: number) => ({ ...outbound, limit: "message", max: 6, size })
    const outbound = { _tag: "Payload_too_large", direction: "outbound" }

    it.effect("refuses a larger message, sends nothing, and the connection goes on", () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role, { maxSendBytes: 6 })
        for (const [data, bytes] of [
          ["1234567", 7],
          ["€€€", 9],
          [new Uint8Array(7), 7],
          [new Text("1234567"), 7]
        ] as const) {
          for (const refused of [
            socket.send(data),
            socket.send(data, { maxFrameSize: 1 }),
            Stream.run(Stream.make(data), socket.sink),
            Stream.runDrain(Stream.pipeThroughChannel(Stream.make(data), socket.channel()))
          ]) {
            assert.deepStrictEqual(fields(yield* Effect.flip(refused)), tooLarge(bytes))
          }
        }
        yield* socket.send("€€")
        yield* socket.send(new Uint8Array(6))
        yield* settled
        assert.lengthOf(yield* wrote, 2)
        assert.isTrue(yield* socket.isOpen)
      })
    )

    it.effect("sendAll sends the messages before the refused one, and none behind it", () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role, { maxSendBytes: 6 })
        const refused = yield* Effect.flip(socket.sendAll(["a", "b", "1234567", "c"]))
        assert.deepStrictEqual(fields(refused), tooLarge(7))
        yield* socket.send("d")
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text a", "Text b", "Text d"])
      })
    )

    it.effect("sendStream: of each part; before anything was sent the connection goes on, later it is closed", () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role, { maxSendBytes: 6 })
        yield* socket.sendStream(Stream.make("123456", "123456"))
        const part = { ...outbound, limit: "frame", max: 6, size: 7 }
        assert.deepStrictEqual(fields(yield* Effect.flip(socket.sendStream(Stream.make("1234567")))), part)
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text… 123456", "Continuation… 123456", "Continuation"])
        assert.deepStrictEqual(fields(yield* Effect.flip(socket.sendStream(Stream.make("a", "1234567")))), part)
        yield* settled
        assert.deepStrictEqual((yield* wrote).slice(3), ["Text… a", "Close 1011"])
      })
    )

    for (const sendStrategy of ["suspend", "dropping", "sliding", "close", "abort"] as const) {
      it.effect(`is refused at once even if there is no room, with the strategy ${sendStrategy}`, () =>
        Effect.gen(function* () {
          const { pair, socket, wrote } = yield* alone(role, {
            maxSendBytes: 100,
            sendHighWaterMark: 10,
            sendLowWaterMark: 1,
            sendStrategy
          })
          yield* from(pair, role).stall
          yield* Effect.forkChild(socket.send("0123456789"))
          yield* settled
          const refused = yield* Effect.forkChild(Effect.flip(socket.send("x".repeat(101))))
          yield* settled
          // It does not wait for room.
          assert.isFalse(yield* isPending(refused))
          assert.deepInclude(fields(yield* Fiber.join(refused)), { ...outbound, max: 100, size: 101 })
          assert.isTrue(yield* socket.isOpen)
          yield* from(pair, role).unstall
          yield* settled
          assert.deepStrictEqual(yield* wrote, ["Text 0123456789"])
        })
      )
    }

    it.effect("is refused after the connection's error, while that is closing", () =>
      Effect.gen(function* () {
        const { socket } = yield* alone(role, { maxSendBytes: 6 })
        yield* Effect.forkChild(socket.close())
        yield* settled
        assert.strictEqual((yield* Effect.flip(socket.send("1234567")))._tag, "Connection_closed")
      })
    )
  })

  describe(`maxFrameSize of one send, as ${role}`, () => {
    it.effect("replaces that of the connection, smaller or larger", () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role, { maxFrameSize: 3 })
        yield* socket.send("abcd", { maxFrameSize: 2 })
        yield* socket.send("abcd", { maxFrameSize: 4 })
        yield* socket.send(utf8("abcd"))
        yield* socket.sendAll(["ab", "c"], { maxFrameSize: 1 })
        yield* WebSocket.broadcast([socket], "ab", { maxFrameSize: 1 })
        yield* settled
        assert.deepStrictEqual(yield* wrote, [
          "Text… ab",
          "Continuation cd",
          "Text abcd",
          "Binary… abc",
          "Continuation d",
          "Text… a",
          "Continuation b",
          "Text c",
          "Text… a",
          "Continuation b"
        ])
      })
    )

    it.effect("also of a message that waits for room, or is kept by the strategy sliding", () =>
      Effect.gen(function* () {
        for (const sendStrategy of ["suspend", "sliding"] as const) {
          const { pair, socket, wrote } = yield* alone(role, {
            sendHighWaterMark: 100,
            sendLowWaterMark: 1,
            sendStrategy
          })
          yield* from(pair, role).stall
          yield* Effect.forkChild(socket.send("x".repeat(100)))
          yield* settled
          const waiting = yield* Effect.forkChild(socket.send("abc", { maxFrameSize: 2 }))
          yield* settled
          yield* from(pair, role).unstall
          yield* Fiber.join(waiting)
          yield* settled
          assert.deepStrictEqual((yield* wrote).slice(1), ["Text… ab", "Continuation c"])
        }
      })
    )

    it.effect("that makes no sense is a defect, with nothing sent and the connection as it was", () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role)
        for (const maxFrameSize of [0, -1, 1.5, NaN, Infinity]) {
          for (const send of [
            socket.send("x", { maxFrameSize }),
            socket.sendAll(["x"], { maxFrameSize }),
            WebSocket.broadcast([socket], "x", { maxFrameSize })
          ]) {
            const exit = yield* Effect.exit(send)
            assert.include(defectOf(exit), "maxFrameSize must")
          }
        }
        yield* settled
        assert.deepStrictEqual(yield* wrote, [])
        assert.isTrue(yield* socket.isOpen)
      })
    )
  })

  it.effect(`sendAll refuses a single message, as ${role}`, () =>
    Effect.gen(function* () {
      const { socket, wrote } = yield* alone(role)
      for (const one of ["", "hello", new Uint8Array(0), utf8("hello"), new Text("a"), 3, null, undefined]) {
        assert.include(defectOf(yield* Effect.exit(socket.sendAll(one as never))), "iterable of messages")
      }
      assert.deepStrictEqual(yield* wrote, [])
      assert.isTrue(yield* socket.isOpen)
    })
  )

  describe(`a value that is not data, as ${role}`, () => {
    /** Every way to send it. Nothing throws before the effect runs. */
    const sends = (socket: WebSocket.WebSocket, data: never): ReadonlyArray<Effect.Effect<unknown, unknown>> => [
      socket.send(data),
      socket.send(data, { compress: false }),
      socket.sendAll([data]),
      WebSocket.broadcast([socket], data),
      Stream.run(Stream.make(data), socket.sink),
      Stream.runDrain(Stream.pipeThroughChannel(Stream.make(data), socket.channel())),
      socket.sendStream(Stream.make(data)),
      socket.sendStream({ _tag: "Text", data: Stream.make(data) }),
      socket.sendStream(data),
      ...(data === undefined ? [] : [socket.ping(data), socket.pong(data)])
    ]

    it.effect("is a defect of every function that sends, sends nothing, and leaves the connection unchanged", () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role)
        for (const [name, mistake] of mistakes) {
          for (const [i, send] of sends(socket, mistake as never).entries()) {
            const exit = yield* Effect.exit(send)
            assert.include(defectOf(exit), "must be", `${name}, ${i}`)
          }
        }
        yield* socket.send("after")
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text after"])
      })
    )

    it.effect("is a defect at once even if there is no room, and waiting messages are sent", () =>
      Effect.gen(function* () {
        const { pair, socket, wrote } = yield* alone(role, { sendHighWaterMark: 10, sendLowWaterMark: 1 })
        yield* from(pair, role).stall
        const first = yield* Effect.forkChild(socket.send("0123456789"))
        yield* settled
        const waiting = yield* Effect.forkChild(socket.send("waiting"))
        for (const [name, mistake] of mistakes) {
          const exits = yield* Effect.forEach(sends(socket, mistake as never).slice(0, 5), Effect.exit)
          assert.isTrue(exits.every(isDefect), name)
        }
        const pong = yield* Effect.forkChild(socket.pong(new Uint8Array(3).buffer as never))
        assert.isTrue(isDefect(yield* Effect.exit(socket.pong(3 as never))))
        yield* settled
        yield* from(pair, role).unstall
        yield* Effect.forEach([first, waiting, pong], Fiber.join)
        yield* settled
        assert.deepStrictEqual([...(yield* wrote)].sort(), ["Pong \0\0\0", "Text 0123456789", "Text waiting"])
      })
    )

    it.effect("in a handler of run ends the run with the defect, and the next one goes on", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* alone(role)
        for (const arrival of ["before", "meanwhile"] as const) {
          for (const [name, mistake] of mistakes) {
            if (arrival === "before") yield* inject(text("a"), text("b"))
            const running = yield* Effect.forkChild(Effect.exit(socket.run(() => socket.send(mistake as never))))
            yield* settled
            if (arrival === "meanwhile") yield* inject(text("a"), text("b"))
            assert.isTrue(isDefect(yield* Fiber.join(running)), name)
            assert.strictEqual((yield* socket.receive).data, "b")
          }
        }
        yield* socket.send("after")
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text after"])
      })
    )

    it.effect("in the middle of a stream closes the connection, because sent parts cannot be taken back", () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role)
        assert.isTrue(isDefect(yield* Effect.exit(socket.sendStream(Stream.make("a", 3 as never)))))
        yield* settled
        assert.deepStrictEqual(yield* wrote, ["Text… a", "Close 1011"])
      })
    )

    it.effect("holds an ArrayBuffer or another view: that is sent as its bytes, and a ping of it is answered", () =>
      Effect.gen(function* () {
        const sockets = yield* connected()
        const { buffer } = utf8("buffer").slice()
        const view = new DataView(buffer, 1, 2)
        const socket = sockets[role]
        yield* socket.send(buffer as never)
        yield* socket.sendAll([view as never])
        yield* WebSocket.broadcast([socket], { _tag: "Binary", data: buffer } as never)
        yield* socket.sendStream(Stream.make(view as never, buffer as never))
        yield* Effect.andThen(socket.ping(view as never), socket.ping(buffer as never))
        const received = yield* Effect.replicateEffect(sockets[other(role)].receive, 4)
        assert.deepStrictEqual(
          received.map(({ data }) => data),
          [utf8("buffer"), utf8("uf"), utf8("buffer"), utf8("ufbuffer")]
        )
      })
    )

    it.effect("an invalid close code is a defect, and sends no Close", () =>
      Effect.gen(function* () {
        const { socket, wrote } = yield* alone(role)
        for (const code of ["Kicked", null, {}])
          assert.isTrue(isDefect(yield* Effect.exit(socket.close(code as never))))
        yield* settled
        assert.deepStrictEqual(yield* wrote, [])
      })
    )
  })

  it.effect(`recordFrames tells in which frames a message came, as ${role}`, () =>
    Effect.gen(function* () {
      const { inject, socket } = yield* alone(role, { recordFrames: true })
      yield* inject(text("hel", false), ping("p"), continuation("lo"), text("whole"))
      const framing = (message: Message) =>
        frames(message)?.map(({ fin, opcode, payload }) => [opcode, fin, latin1(payload)])
      assert.deepStrictEqual(framing(yield* socket.receive), [
        [Opcode.Text, false, "hel"],
        [Opcode.Continuation, true, "lo"]
      ])
      assert.deepStrictEqual(framing(yield* socket.receive), [[Opcode.Text, true, "whole"]])
      const plain = yield* alone(role)
      yield* plain.inject(text("a"))
      assert.isUndefined(frames(yield* plain.socket.receive))
    })
  )

  it.effect(`an app's own close codes have names, as ${role}`, () =>
    Effect.gen(function* () {
      const codes = CloseCode.makeRegistry({ Kicked: 4001 })
      const sockets = yield* connected()
      yield* sockets[role].close(codes.fromName("Kicked"), "no spam")
      const { received } = yield* sockets[other(role)].closeStatus
      assert.deepStrictEqual(received && [codes.toName(received.code), received.reason], ["Kicked", "no spam"])
    })
  )
}

describe("broadcast of a message above maxSendBytes", () => {
  it.effect("skips the connections that refuse it, without a fiber for any of them", () =>
    Effect.gen(function* () {
      const strict = yield* connected({ maxSendBytes: 3 })
      const free = yield* connected()
      assert.isUndefined(Effect.runSync(WebSocket.broadcast([strict.server, free.server], "large")))
      yield* WebSocket.broadcast([strict.server, free.server], "all")
      assert.deepStrictEqual(yield* texts(free.client, 2), ["large", "all"])
      assert.deepStrictEqual(yield* texts(strict.client, 1), ["all"])
    })
  )
})

describe("random", () => {
  /** Counts, so that a test knows what comes. */
  const counting = () => {
    let next = 0
    return {
      getRandomValues: (bytes: Uint8Array) => {
        for (let i = 0; i < bytes.length; i++) bytes[i] = next++
      }
    }
  }

  it.effect("is the source of a client's mask keys, and of the payloads of pings and heartbeats", () =>
    Effect.gen(function* () {
      const run = Effect.gen(function* () {
        const { pair, socket } = yield* alone("client", { random: counting() })
        yield* Effect.forkChild(socket.ping())
        yield* settled
        yield* socket.send("hello")
        yield* TestClock.adjust("25 seconds")
        return yield* from(pair, "client").written
      })
      const written = yield* run
      assert.deepStrictEqual(yield* run, written)
      const { frames: sent } = decodeFrames({ role: "server" })(written)
      assert.deepStrictEqual(
        sent.map(({ opcode, payload }) => [opcode, payload.length]),
        [
          [Opcode.Ping, 8],
          [Opcode.Text, 5],
          [Opcode.Ping, 8]
        ]
      )
      // The bytes of the pings; the keys were drawn between them, many at once.
      assert.deepStrictEqual([...sent[0]!.payload], [0, 1, 2, 3, 4, 5, 6, 7])
      const { pair, socket } = yield* alone("server", { random: counting() })
      yield* Effect.forkChild(socket.ping())
      yield* settled
      assert.deepStrictEqual([...(yield* framesFrom(pair, "server"))[0]!.payload], [0, 1, 2, 3, 4, 5, 6, 7])
    })
  )

  it.effect("that throws is replaced by the secure source, and no callback throws", () =>
    Effect.gen(function* () {
      const random = {
        getRandomValues: () => {
          throw new Error("no more")
        }
      }
      const { pair, socket } = yield* alone("client", { random })
      yield* socket.send("hello")
      yield* TestClock.adjust("25 seconds")
      const [, beat] = yield* framesFrom(pair, "client")
      assert.strictEqual(beat!.opcode, Opcode.Ping)
      assert.isTrue(beat!.payload.some((byte) => byte !== 0))
      assert.isTrue(yield* socket.isOpen)
    })
  )
})

describe("broadcast over an iterable that throws", () => {
  it.effect(
    "sends to all connections before the error, also to those that have to wait, and shows the error then",
    () =>
      Effect.gen(function* () {
        const slow = yield* connected({ sendHighWaterMark: 10, sendLowWaterMark: 1 })
        const quick = yield* connected()
        yield* from(slow.pair, "server").stall
        yield* Effect.forkChild(slow.server.send("x".repeat(20)))
        yield* settled
        const bug = new Error("bug")
        const sockets = function* () {
          yield slow.server
          yield quick.server
          throw bug
        }
        const sending = yield* Effect.forkChild(WebSocket.broadcast(sockets(), "to all"))
        assert.isTrue(yield* isPending(sending))
        yield* from(slow.pair, "server").unstall
        assert.deepStrictEqual(yield* Fiber.await(sending), Exit.die(bug))
        assert.deepStrictEqual(
          (yield* Effect.replicateEffect(slow.client.receive, 2)).map(({ data }) => data),
          ["x".repeat(20), "to all"]
        )
        assert.strictEqual((yield* quick.client.receive).data, "to all")
      })
  )
})
