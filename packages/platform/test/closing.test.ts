import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { assert, describe, it } from "@effect/vitest"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { Cause, Deferred, Effect, Exit, Fiber, TestClock } from "effect"

const roles = ["client", "server"] as const
type Role = (typeof roles)[number]
const other = (role: Role): Role => (role === "client" ? "server" : "client")

/** The codes of the Close frames that an endpoint wrote. */
const closesOf = (pair: MockTransport.Pair, role: Role) =>
  Effect.map(role === "client" ? pair.clientToServer.written : pair.serverToClient.written, (bytes) =>
    frames({ role: other(role) })(bytes)
      .frames.filter(({ opcode }) => opcode === Opcode.Close)
      .map(({ payload }) => ((payload[0] ?? 0) << 8) | (payload[1] ?? 0))
  )

const directionFrom = (pair: MockTransport.Pair, role: Role) =>
  role === "client" ? pair.clientToServer : pair.serverToClient

/** What an app does in the scope of its connection, and the code that its end sends. */
const endings: ReadonlyArray<readonly [name: string, code: number, body: Effect.Effect<void, string>]> = [
  ["success", 1000, Effect.void],
  ["failure", 1011, Effect.fail("no")],
  ["defect", 1011, Effect.die("no")],
  ["interruption", 1001, Effect.interrupt]
]

for (const role of roles) {
  describe(`the scope of a ${role}`, () => {
    for (const [name, code, body] of endings) {
      it.effect(`performs the closing handshake with ${code} after ${name}`, () =>
        Effect.gen(function* () {
          const pair = yield* MockTransport.make()
          const peer = yield* WebSocket.fromTransport(pair[other(role)], { role: other(role) })
          const opened = yield* Deferred.make<WebSocket.WebSocket>()
          const fiber = yield* Effect.fork(
            Effect.scoped(
              Effect.gen(function* () {
                const socket = yield* WebSocket.fromTransport(pair[role], { role })
                yield* Deferred.succeed(opened, socket)
                yield* body
              })
            )
          )
          const exit = yield* Fiber.await(fiber)
          assert.strictEqual(Exit.isSuccess(exit), name === "success")
          const status = yield* Effect.flatMap(Deferred.await(opened), (socket) => socket.closeStatus)
          assert.deepStrictEqual(
            [status.sent?.code, status.received?.code, status.initiator, status.clean],
            [code, code, "local", true]
          )
          const seen = yield* peer.closeStatus
          assert.deepStrictEqual(
            [seen.received?.code, seen.sent?.code, seen.initiator, seen.clean],
            [code, code, "remote", true]
          )
          assert.deepStrictEqual(yield* closesOf(pair, role), [code])
          assert.deepStrictEqual(yield* closesOf(pair, other(role)), [code])
        }).pipe(Effect.scoped)
      )
    }

    // From an interrupted fiber, in whose finalizers nothing can be interrupted.
    for (const [behaviour, silence] of [
      ["never answers", (pair: MockTransport.Pair) => directionFrom(pair, other(role)).stall],
      ["never reads", (pair: MockTransport.Pair) => directionFrom(pair, role).stall],
      ["vanishes", (pair: MockTransport.Pair) => Effect.zipRight(pair.clientToServer.drop, pair.serverToClient.drop)]
    ] as const) {
      it.effect(`is bounded by closeTimeout when the peer ${behaviour}`, () =>
        Effect.gen(function* () {
          const pair = yield* MockTransport.make()
          yield* WebSocket.fromTransport(pair[other(role)], { role: other(role) })
          const opened = yield* Deferred.make<WebSocket.WebSocket>()
          const fiber = yield* Effect.fork(
            Effect.scoped(
              Effect.gen(function* () {
                const socket = yield* WebSocket.fromTransport(pair[role], { role, closeTimeout: "3 seconds" })
                yield* Deferred.succeed(opened, socket)
                yield* socket.receive
              })
            )
          )
          const socket = yield* Deferred.await(opened)
          yield* silence(pair)
          yield* Fiber.interruptFork(fiber)
          yield* TestClock.adjust("2999 millis")
          assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None")
          yield* TestClock.adjust("1 millis")
          const exit = yield* Fiber.await(fiber)
          assert.isTrue(Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause))
          const status = yield* socket.closeStatus
          assert.deepStrictEqual([status.sent?.code, status.received, status.clean], [1001, undefined, false])
          // What the peer holds is released here, also where it never learned of the end.
          yield* pair.reset
        }).pipe(Effect.scoped)
      )
    }

    it.effect("closes all of its connections within one closeTimeout", () =>
      Effect.gen(function* () {
        const pairs = yield* Effect.all(Array.from({ length: 5 }, () => MockTransport.make()))
        const fiber = yield* Effect.fork(
          Effect.scoped(
            Effect.gen(function* () {
              for (const pair of pairs) yield* WebSocket.fromTransport(pair[role], { role, closeTimeout: "1 seconds" })
            })
          )
        )
        yield* TestClock.adjust("999 millis")
        assert.strictEqual((yield* Fiber.poll(fiber))._tag, "None")
        for (const pair of pairs) assert.deepStrictEqual(yield* closesOf(pair, role), [1000])
        yield* TestClock.adjust("1 millis")
        assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      })
    )
  })
}
