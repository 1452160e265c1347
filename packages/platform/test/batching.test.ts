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
  interface Case {
    readonly name: keyof typeof echoes
    readonly batch: number
    /** How many bytes a message may take, in the heap of V8. */
    readonly heap: number
  }

  /** Asserts what an echoed message takes: bytes of the heap, none outside of it, and one write for its batch. */
  const checkEcho = ({ batch, heap, name }: Case, frame: ReturnType<typeof text>, chunks: number) =>
    Effect.gen(function* () {
      const { counts, receive } = yield* echoing("server", echoes[name])
      const chunk = sentTo("server", ...Array.from({ length: batch }, () => frame))
      const bytes = chunk.slice()
      let leastHeap = Number.POSITIVE_INFINITY
      let leastOutside = Number.POSITIVE_INFINITY
      // The first rounds, on a busy machine many, are those of code that is not compiled yet, and in any a collection may
      // intervene.
      for (let round = 0; round < 2000 && (leastHeap > heap || leastOutside > 0); round++) {
        yield* settled
        collectGarbage({ type: "minor" })
        counts.writes = 0
        const before = process.memoryUsage()
        for (let i = 0; i < chunks; i++) {
          // Unmasked in place the last time.
          bytes.set(chunk)
          receive(bytes)
          if (name !== "run") yield* settled
        }
        const after = process.memoryUsage()
        assert.strictEqual(counts.writes, chunks)
        const allocated = after.heapUsed - before.heapUsed
        if (allocated > 0) leastHeap = Math.min(leastHeap, allocated / chunks / batch)
        const outside = after.arrayBuffers - before.arrayBuffers
        if (outside >= 0) leastOutside = Math.min(leastOutside, outside)
      }
      assert.isAtMost(leastHeap, heap)
      assert.strictEqual(leastOutside, 0)
    })

  // A string of 125 characters takes 144 bytes, its message 40, and the effect that sends it 48. In batches of 16 that `run`
  // answers, a message takes 270 to 310.
  const cases: ReadonlyArray<Case> = [
    { name: "run", batch: 1, heap: 1000 },
    { name: "run", batch: 16, heap: 400 },
    { name: "receiveAll", batch: 64, heap: 480 },
    { name: "messages", batch: 64, heap: Stream.bytesPerItem }
  ]
  for (const each of cases) {
    const { batch, heap, name } = each
    it.effect(`for a message of 125 B that ${name} echoes are at most ${heap} bytes, in batches of ${batch}`, () =>
      checkEcho(each, text("x".repeat(125)), 256 / batch)
    )
  }

  // The bytes are those of the chunk, and are sent as they are. Few messages, so that the turn around them counts, too.
  for (const [size, heap] of [
    [16384, 1100],
    [1048576, 1900]
  ] as const) {
    it.effect(
      `for a message of ${size} B that run echoes are at most ${heap} bytes, none of them outside the heap`,
      () => checkEcho({ name: "run", batch: 1, heap }, binary(new Uint8Array(size)), 4)
    )
  }
})
