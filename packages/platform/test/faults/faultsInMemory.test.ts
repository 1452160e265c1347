/** Faults between two endpoints in memory, on a clock of the tests. */
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as fc from "fast-check"
import { Clock, Effect, Exit, Fiber, Scope } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { deafPeer, from, other, roles, settled, settledLate, type Role } from "../support.js"
import { assertOver, assertPrefix, ending, ManualClock, messages, noAlarms, plain, watch, wholeIn } from "./session.js"

const closeTimeout = 5000
const heartbeat = 45_000
/** However it ends: silence is noticed, then the closing is given up. */
const longest = heartbeat + closeTimeout + 1000

const options = { maxFrameSize: 20, closeTimeout }

/** Time that passes, with the turns that what happens in it asks for. */
const pass = (millis: number) =>
  Effect.clockWith((clock) =>
    clock instanceof ManualClock ? Effect.andThen(clock.pass(millis), settledLate) : Effect.die("not our clock")
  )

const onManualClock = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => Effect.withClock(effect, new ManualClock()))

/** What one endpoint writes in a whole session, its Close included. */
const record = (role: Role) =>
  Effect.scoped(
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      const socket = yield* WebSocket.fromTransport(pair[role], { role, ...options })
      const peer = yield* WebSocket.fromTransport(pair[other(role)], { role: other(role), ...options })
      const reading = yield* Effect.forkChild(peer.run(() => {}))
      for (const message of messages) {
        yield* socket.send(message)
        if (typeof message === "string") yield* Effect.forkChild(socket.ping(Buffer.from("p")))
        yield* settled
      }
      yield* socket.close(1000, "bye")
      yield* Fiber.join(reading)
      return yield* from(pair, role).written
    })
  )

describe("a session that is cut off", () => {
  for (const role of roles) {
    for (const manner of ["ends", "is reset"] as const) {
      it.effect(`behind every byte, as ${role}, if the connection ${manner}`, () =>
        Effect.gen(function* () {
          const bytes = yield* record(other(role))
          assert.deepStrictEqual(wholeIn(role, bytes), { messages: messages.length, closed: true })
          for (let size = 0; size <= bytes.length; size++) {
            const part = bytes.slice(0, size)
            const whole = wholeIn(role, part)
            const scope = yield* Scope.make()
            const pair = yield* MockTransport.make()
            deafPeer(pair, other(role))
            const { state, transport } = ending(pair[role])
            const socket = yield* Scope.provide(WebSocket.fromTransport(transport, { role, closeTimeout }), scope)
            const watched = yield* watch(socket)
            yield* from(pair, other(role)).inject(part)
            yield* settled
            if (manner === "ends") yield* from(pair, other(role)).end
            else yield* pair.reset
            yield* settled
            const { clean, error } = yield* assertOver(socket, watched)
            assert.deepStrictEqual(watched.received, messages.slice(0, whole.messages).map(plain))
            assert.strictEqual(clean, whole.closed)
            if (!whole.closed) {
              assert.strictEqual(error._tag, manner === "ends" ? "Connection_closed" : "Io_error")
            }
            assert.strictEqual(state.over, 1)
            yield* Scope.close(scope, Exit.void)
          }
          yield* noAlarms
        }).pipe(onManualClock)
      )
    }
  }
})

/** What happens to a connection, a step at a time. */
type Step =
  | { readonly _tag: "Send"; readonly role: Role; readonly index: number }
  | { readonly _tag: "Split"; readonly size: number | undefined }
  | { readonly _tag: "Delay"; readonly millis: number }
  | { readonly _tag: "Stall" | "Unstall" | "Drop" | "End"; readonly role: Role }
  | { readonly _tag: "Reset" }
  | { readonly _tag: "Close"; readonly role: Role }
  | { readonly _tag: "Pass"; readonly millis: number }

const role = fc.constantFrom(...roles)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({ _tag: fc.constant("Send" as const), role, index: fc.nat(messages.length - 1) })
  },
  {
    weight: 2,
    arbitrary: fc.record({ _tag: fc.constant("Split" as const), size: fc.constantFrom(undefined, 1, 3, 50) })
  },
  {
    weight: 2,
    arbitrary: fc.record({ _tag: fc.constant("Delay" as const), millis: fc.constantFrom(0, 1, 100, 3000) })
  },
  { weight: 4, arbitrary: fc.record({ _tag: fc.constantFrom("Stall" as const, "Unstall" as const), role }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constantFrom("Drop" as const, "End" as const), role }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("Reset" as const) }) },
  { weight: 1, arbitrary: fc.record({ _tag: fc.constant("Close" as const), role }) },
  {
    weight: 6,
    arbitrary: fc.record({ _tag: fc.constant("Pass" as const), millis: fc.constantFrom(1, 50, 1000, 20_000) })
  }
)

describe("any faults in any order", () => {
  const run = (steps: ReadonlyArray<Step>) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const pair = yield* MockTransport.make()
      const ends = { client: ending(pair.client), server: ending(pair.server) }
      const open = (role: Role) =>
        Scope.provide(WebSocket.fromTransport(ends[role].transport, { role, ...options }), scope)
      const sockets = { client: yield* open("client"), server: yield* open("server") }
      const watched = { client: yield* watch(sockets.client), server: yield* watch(sockets.server) }
      const sent: Record<Role, Array<unknown>> = { client: [], server: [] }
      let lossy = false

      for (const each of steps) {
        switch (each._tag) {
          case "Send": {
            const message = messages[each.index]!
            // A send that waits, or fails, is not counted: its message may arrive or not.
            if (yield* sockets[each.role].isOpen) {
              yield* sockets[each.role].send(message)
              sent[each.role].push(plain(message))
            }
            break
          }
          case "Split":
            yield* pair.split(each.size)
            break
          case "Delay":
            yield* pair.delay(each.millis)
            break
          case "Stall":
            yield* from(pair, each.role).stall
            break
          case "Unstall":
            yield* from(pair, each.role).unstall
            break
          case "Drop":
            lossy = true
            yield* from(pair, each.role).drop
            break
          case "End":
            lossy = true
            yield* from(pair, each.role).end
            break
          case "Reset":
            lossy = true
            yield* pair.reset
            break
          case "Close":
            yield* Effect.forkChild(sockets[each.role].close(4000))
            break
          case "Pass":
            yield* pass(each.millis)
        }
      }
      const untouched = !lossy && (yield* sockets.client.isOpen) && (yield* sockets.server.isOpen)
      yield* pair.split(undefined)
      yield* pair.delay(0)
      yield* pair.unstall
      yield* pass(3000)
      for (const role of roles) {
        assertPrefix(watched[other(role)].received, sent[role])
        if (untouched && (yield* sockets.client.isOpen) && (yield* sockets.server.isOpen)) {
          assert.deepStrictEqual(watched[other(role)].received, sent[role])
        }
      }

      const begin = yield* Clock.currentTimeMillis
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* pass(closeTimeout + 1000)
      yield* Fiber.join(closing)
      assert.isAtMost((yield* Clock.currentTimeMillis) - begin, longest)
      for (const role of roles) {
        yield* assertOver(sockets[role], watched[role])
        assert.strictEqual(ends[role].state.over, 1)
      }
      yield* noAlarms
    }).pipe(onManualClock)

  it("lose nothing before the first, and leave nothing behind the last", () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) => Effect.runPromise(run(steps))),
      { numRuns: 100 }
    ))
})

describe("a Close and data that cross", () => {
  for (const role of roles) {
    it.effect(`delivers what the peer sent before it knew, as ${role}`, () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const socket = yield* WebSocket.fromTransport(pair[role], { role, ...options })
        const peer = yield* WebSocket.fromTransport(pair[other(role)], { role: other(role), ...options })
        yield* Effect.addFinalizer(() => pair.reset)
        const watched = { socket: yield* watch(socket), peer: yield* watch(peer) }
        // The Close is on its way for longer than it takes the peer to send.
        yield* from(pair, role).delay("1 second")
        yield* socket.send("before the Close")
        const closing = yield* Effect.forkChild(socket.close(4000, "crossing"))
        yield* Effect.yieldNow
        for (const message of messages) yield* peer.send(message)
        yield* pass(2000)
        yield* Fiber.join(closing)
        assert.deepStrictEqual(watched.peer.received, ["before the Close"])
        assertPrefix(watched.socket.received, messages.map(plain))
        for (const [side, seen] of [
          [socket, watched.socket],
          [peer, watched.peer]
        ] as const) {
          const { clean, received, sent } = yield* assertOver(side, seen)
          assert.deepStrictEqual([clean, sent?.code, received?.code], [true, 4000, 4000])
        }
        yield* noAlarms
      }).pipe(onManualClock)
    )

    it.effect(`completes if both sides close at once, the ${role} first`, () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        yield* pair.delay("1 second")
        const socket = yield* WebSocket.fromTransport(pair[role], { role, ...options })
        const peer = yield* WebSocket.fromTransport(pair[other(role)], { role: other(role), ...options })
        yield* Effect.addFinalizer(() => pair.reset)
        const watched = { socket: yield* watch(socket), peer: yield* watch(peer) }
        yield* Effect.forkChild(socket.close(4001))
        yield* pass(500)
        yield* Effect.forkChild(peer.close(4002))
        yield* pass(4000)
        const ours = yield* assertOver(socket, watched.socket)
        const theirs = yield* assertOver(peer, watched.peer)
        assert.deepStrictEqual([ours.clean, ours.sent?.code, ours.received?.code], [true, 4001, 4002])
        assert.deepStrictEqual([theirs.clean, theirs.sent?.code, theirs.received?.code], [true, 4002, 4001])
        yield* noAlarms
      }).pipe(onManualClock)
    )
  }
})

describe("a clock that jumps", () => {
  /** The time of day jumps; the monotonic time goes on. */
  class JumpingClock extends ManualClock {
    offset = 0
    override timeOfDay(): number {
      return this.now() + this.offset
    }
  }

  for (const [name, offset] of [
    ["forward by a year", 365 * 86_400_000],
    ["back by a year", -365 * 86_400_000]
  ] as const) {
    it.effect(`ends nothing, ${name}, and goes on to notice silence`, () =>
      Effect.gen(function* () {
        const clock = new JumpingClock()
        yield* Effect.withClock(
          Effect.gen(function* () {
            const pair = yield* MockTransport.make()
            const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
            const server = yield* WebSocket.fromTransport(pair.server, { role: "server" })
            yield* Effect.addFinalizer(() => pair.reset)
            const watched = { client: yield* watch(client), server: yield* watch(server) }
            yield* pass(10_000)
            clock.offset = offset
            yield* pass(120_000)
            yield* client.send("still here")
            yield* settled
            assert.deepStrictEqual(watched.server.received, ["still here"])
            yield* pair.drop
            yield* pass(longest)
            for (const [socket, seen] of [
              [client, watched.client],
              [server, watched.server]
            ] as const) {
              const { error } = yield* assertOver(socket, seen)
              assert.deepInclude(error, { _tag: "Io_error", reason: "Timeout" })
            }
          }),
          clock
        )
      })
    )
  }

  for (const [deadlines, options, expected] of [
    ["the heartbeat's", {}, { _tag: "Io_error", reason: "Timeout" }],
    ["all", { idleTimeout: "1 minute" }, { _tag: "Connection_closed", initiator: "local", clean: false }]
  ] as const) {
    it.effect(`ends a connection once if the process slept through its deadlines: ${deadlines}`, () =>
      Effect.gen(function* () {
        const clock = new ManualClock()
        yield* Effect.withClock(
          Effect.gen(function* () {
            const pair = yield* MockTransport.make()
            const client = yield* WebSocket.fromTransport(pair.client, { role: "client", ...options })
            yield* Effect.addFinalizer(() => pair.reset)
            const watched = yield* watch(client)
            deafPeer(pair, "server")
            yield* clock.sleepThrough(86_400_000)
            yield* clock.sleepThrough(longest)
            yield* pass(longest)
            const { error } = yield* assertOver(client, watched)
            assert.deepInclude(error, expected)
            yield* noAlarms
          }),
          clock
        )
      })
    )
  }
})
