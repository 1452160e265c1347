/** What a batch of messages costs, in numbers that do not depend on the clock: writes, turns of fibers, bytes allocated. */
import type { Transport, TransportSink } from "@effect-websocket/platform/Transport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { identity } from "effect/Function"
import { schedulerOver } from "../src/internal/effect.js"
import { Effect, Scheduler, Stream } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { collectGarbage } from "./collectGarbage.js"
import { binary, deafSink, ping, roles, sentTo, settled, text, type Role } from "./support.js"

/** A transport whose peer takes everything at once. */
const counting = () => {
  let sink: TransportSink = deafSink
  const counts = { writes: 0 }
  const over = () => queueMicrotask(() => sink.onClose())
  const transport: Transport = {
    remoteAddress: undefined,
    bufferedBytes: 0,
    start: (started) => {
      sink = started
    },
    pause: () => {},
    resume: () => {},
    write: () => {
      counts.writes++
      return { taken: true, belowHighWater: true }
    },
    end: over,
    abort: over
  }
  return { transport, counts, receive: (chunk: Uint8Array) => sink.onChunk(chunk, true) }
}

type Socket = WebSocket.WebSocket
const echoes = {
  run: (socket: Socket) => socket.run((message) => socket.send(message)),
  "run, with an effect that is not ours": (socket: Socket) =>
    socket.run((message) => Effect.andThen(Effect.void, socket.send(message))),
  receive: (socket: Socket) =>
    Effect.gen(function* () {
      for (;;) yield* socket.send(yield* socket.receive)
    }),
  receiveAll: (socket: Socket) =>
    Effect.gen(function* () {
      for (;;) yield* socket.sendAll(yield* socket.receiveAll)
    }),
  messages: (socket: Socket) => Stream.runForEach(socket.messages, (message) => socket.send(message))
}

/** An echo that waits for its first chunk. */
const echoing = (
  role: Role,
  echo: (socket: Socket) => Effect.Effect<unknown, unknown>,
  over: (scheduler: Scheduler.Scheduler) => Scheduler.Scheduler = identity
) =>
  Effect.gen(function* () {
    const { counts, receive, transport } = counting()
    const scheduler = new Scheduler.CountingScheduler()
    const socket = yield* WebSocket.fromTransport(transport, { role })
    yield* Effect.addFinalizer(() => socket.abort)
    yield* Effect.forkScoped(Effect.withScheduler(echo(socket), over(scheduler)))
    yield* settled
    scheduler.turns = 0
    return { counts, receive, scheduler }
  })

const messages = (role: Role, count: number): Uint8Array =>
  sentTo(role, ...Array.from({ length: count }, (_, i) => (i % 2 === 0 ? text(`${i}`) : binary(Uint8Array.of(i)))))

const counts = [1, 2, 16, 100]

for (const role of roles) {
  describe(`a batch, as ${role}`, () => {
    for (const [name, echo] of Object.entries(echoes)) {
      for (const count of counts) {
        it.effect(`of ${count} messages that ${name} answers is one write`, () =>
          Effect.gen(function* () {
            const { counts, receive } = yield* echoing(role, echo)
            for (let chunk = 1; chunk <= 3; chunk++) {
              receive(messages(role, count))
              yield* settled
              assert.strictEqual(counts.writes, chunk)
            }
          })
        )
      }
    }

    for (const [name, echo] of Object.entries(echoes)) {
      it.effect(`is answered within the read by ${name}, with the scheduler of handlers`, () =>
        Effect.gen(function* () {
          const { counts, receive, scheduler } = yield* echoing(role, echo, schedulerOver)
          for (let chunk = 1; chunk <= 3; chunk++) {
            receive(messages(role, 16))
            assert.strictEqual(counts.writes, chunk)
          }
          assert.strictEqual(scheduler.turns, 0)
        })
      )
    }

    it.effect("of messages and pings is one write with run", () =>
      Effect.gen(function* () {
        const { counts, receive } = yield* echoing(role, echoes.run)
        receive(sentTo(role, ping("1"), text("a"), ping("2"), text("b"), ping("3")))
        yield* settled
        assert.strictEqual(counts.writes, 1)
      })
    )

    for (const [name, turns] of [
      ["run", 0],
      ["run, with an effect that is not ours", 0],
      ["receive", Scheduler.turnsToResume],
      ["receiveAll", Scheduler.turnsToResume],
      ["messages", Scheduler.turnsToResume]
    ] as const) {
      for (const count of counts) {
        it.effect(`of ${count} messages takes ${turns} turns of the fiber with ${name}`, () =>
          Effect.gen(function* () {
            const { receive, scheduler } = yield* echoing(role, echoes[name])
            for (let chunk = 1; chunk <= 3; chunk++) {
              receive(messages(role, count))
              yield* settled
              assert.strictEqual(scheduler.turns, chunk * turns)
            }
          })
        )
      }
    }
  })
}

describe("allocations", () => {
  // A string of 125 characters takes 144 bytes, and its message 24. In batches a message takes 310 where this file is run alone,
  // but 440 were seen behind other files in the same worker; why is not known.
  for (const [count, limit] of [
    [1, 1400],
    [16, 500]
  ] as const) {
    it.effect(`for a message of 125 B that run echoes are at most ${limit} bytes, in batches of ${count}`, () =>
      Effect.gen(function* () {
        const { receive } = yield* echoing("server", echoes.run)
        const chunk = sentTo("server", ...Array.from({ length: count }, () => text("x".repeat(125))))
        const chunks = 256 / count
        const bytes = chunk.slice()
        const echoAll = () => {
          for (let i = 0; i < chunks; i++) {
            // Unmasked in place the last time.
            bytes.set(chunk)
            receive(bytes)
          }
        }
        let least = Number.POSITIVE_INFINITY
        // The first rounds, on a busy machine many, are those of code that is not compiled yet, and in any a collection may
        // intervene.
        for (let round = 0; round < 2000 && least > limit; round++) {
          yield* settled
          collectGarbage({ type: "minor" })
          const before = process.memoryUsage().heapUsed
          echoAll()
          const allocated = process.memoryUsage().heapUsed - before
          if (allocated > 0) least = Math.min(least, allocated / chunks / count)
        }
        assert.isAtMost(least, limit)
      })
    )
  }
})
