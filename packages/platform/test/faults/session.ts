/** What is said over a connection that something goes wrong with, and what must hold of it all the same. */
import type { Transport } from "@effect-websocket/platform/Transport"
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import { assert } from "@effect/vitest"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { Option } from "effect"
import { Clock, Duration, Effect, Exit, Fiber } from "../effect/index.js"
import { timersOf } from "../../src/internal/timers.js"
import { settled, settledLate, type Role } from "../support.js"

export type Data = string | Uint8Array

/** Messages of every kind, told apart by their number. Some go out in several frames where `maxFrameSize` is 20. */
export const messages: ReadonlyArray<Data> = [
  "0 hello",
  Uint8Array.of(1, 0, 255),
  "",
  "3 世界 🎉 in more than one frame",
  new Uint8Array(0),
  Uint8Array.from({ length: 130 }, (_, i) => i),
  "6 last"
]

export const plain = (data: Data): string | ReadonlyArray<number> =>
  typeof data === "string" ? data : Array.from(data)

/** One side of a connection: what came, and how it ended. */
export interface Watched {
  readonly received: Array<ReturnType<typeof plain>>
  readonly errors: Array<ConnectionError>
  readonly running: Fiber.Fiber<Exit.Exit<void, ConnectionError>>
}

export const watch = (socket: WebSocket.WebSocket): Effect.Effect<Watched> =>
  Effect.gen(function* () {
    const received: Watched["received"] = []
    const errors: Watched["errors"] = []
    const running = yield* Effect.forkDetach(
      Effect.exit(
        Effect.tapError(
          socket.run((message) => void received.push(plain(message.data))),
          (error) => Effect.sync(() => errors.push(error))
        )
      )
    )
    return { received, errors, running }
  })

interface Sleeper {
  readonly time: number
  readonly wake: () => void
}

/** Time that passes when it is told to. `TestClock` waits 10 ms of real time in each step, which is too long for properties. */
export class ManualClock extends Clock.ClockClass {
  private time = 0
  private readonly sleepers = new Set<Sleeper>()

  now(): number {
    return this.time
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const sleeper = { time: this.time + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      this.sleepers.add(sleeper)
      return Effect.sync(() => this.sleepers.delete(sleeper))
    })
  }

  /** Lets time pass from one sleeper to the next, each with the turns that it asks for. */
  pass(millis: number): Effect.Effect<void> {
    return Effect.gen(() => this.passing(this.time + millis))
  }

  /** Lets time pass while the process sleeps: those whose time has come wake at its end. */
  sleepThrough(millis: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.time += millis
      return this.pass(0)
    })
  }

  private *passing(end: number) {
    yield* settledLate
    // What an alarm has put off to another turn may sleep in its turn.
    for (let idle = 0; idle < 3;) {
      const [first] = [...this.sleepers].sort((a, b) => a.time - b.time)
      if (first === undefined || first.time > end) {
        idle++
      } else {
        idle = 0
        this.time = Math.max(this.time, first.time)
        this.sleepers.delete(first)
        first.wake()
      }
      yield* settledLate
    }
    this.time = end
  }
}

/** The connection is over: one terminal error, which is also what everything that is asked later fails with. */
export const assertOver = (socket: WebSocket.WebSocket, { errors, running }: Watched) =>
  Effect.gen(function* () {
    const over = yield* Effect.forkChild(socket.closeStatus)
    yield* settled
    const status = yield* Fiber.poll(over)
    if (Option.isNone(status) || !Exit.isSuccess(status.value)) return assert.fail("The connection is not over")
    const { error } = status.value.value
    yield* Fiber.join(running)
    assert.isAtMost(errors.length, 1)
    if (errors.length === 1) assert.strictEqual(errors[0], error)
    assert.strictEqual(yield* Effect.flip(socket.send("late")), error)
    assert.strictEqual(yield* Effect.flip(socket.receive), error)
    assert.strictEqual(yield* Effect.flip(socket.ping()), error)
    return status.value.value
  })

/** No alarm is set on the clock of the moment. */
export const noAlarms = Effect.map(Effect.clock, (clock) => assert.strictEqual(timersOf(clock)["heap"].length, 0))

export const assertPrefix = (received: ReadonlyArray<unknown>, sent: ReadonlyArray<unknown>): void =>
  assert.deepStrictEqual(received, sent.slice(0, received.length))

/** A transport that tells whether it is over. */
export const ending = (transport: Transport) => {
  const state = { over: 0 }
  const watching: Transport = {
    remoteAddress: transport.remoteAddress,
    get bufferedBytes() {
      return transport.bufferedBytes
    },
    start: (sink, marks) =>
      transport.start(
        {
          onChunk: (chunk, owned) => sink.onChunk(chunk, owned),
          onEof: () => sink.onEof(),
          onDrain: () => sink.onDrain(),
          onError: (error) => sink.onError(error),
          onClose: () => {
            state.over++
            sink.onClose()
          }
        },
        marks
      ),
    pause: () => transport.pause(),
    resume: () => transport.resume(),
    write: (chunks) => transport.write(chunks),
    end: () => transport.end(),
    abort: () => transport.abort()
  }
  return { transport: watching, state }
}

/** How many whole messages are in the first bytes of what was sent to `role`, and whether a Close is. */
export const wholeIn = (role: Role, bytes: Uint8Array): { readonly messages: number; readonly closed: boolean } => {
  const { frames: found } = frames({ role })(bytes)
  return {
    messages: found.filter(({ fin, opcode }) => fin && !Opcode.isControl(opcode)).length,
    closed: found.some(({ opcode }) => opcode === Opcode.Close)
  }
}
