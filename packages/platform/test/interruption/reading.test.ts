/**
 * An interruption at every operation of every way to read: each message is handled once, or is there for the next reader.
 * `INTERRUPTIONS` says how many operations are looked at, as in `pnpm interruptions`.
 */
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import type * as Serialization from "@effect-websocket/platform/Serialization"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketChannel from "@effect-websocket/platform/WebSocketChannel"
import type { Message } from "@effect-websocket/protocol/Message"
import { Option } from "effect"
import { identity } from "effect/Function"
import { schedulerOver } from "../../src/internal/effect.js"
import { Effect, Fiber, Schema, Stream, type Scope } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { forEachOperation } from "../operations.js"
import { interruptedAt, yieldingAt, yieldingOnce } from "../scheduling.js"
import { settled, text, sentTo } from "../support.js"

/** Reads, and notes each message in the step that it was handed over in. */
type Read<S> = (socket: S, note: (text: string) => void) => Effect.Effect<unknown, unknown, Scope.Scope>

interface Way<S> {
  readonly open: (transport: MockTransport.Pair["server"]) => Effect.Effect<S, never, Scope.Scope>
  readonly read: Read<S>
  /** What is left, as another reader gets it. */
  readonly rest: Read<S>
  /** What the peer sends. */
  readonly bytes?: Uint8Array
}

const textOf = (message: Message): string => String(message.data)
const collect = (note: (text: string) => void) => (messages: Iterable<Message>) => {
  for (const message of messages) note(textOf(message))
}

const openMessages = (transport: MockTransport.Pair["server"]) =>
  WebSocket.fromTransport(transport, { role: "server", delivery: "messages" })
const openStreams = (transport: MockTransport.Pair["server"]) =>
  WebSocket.fromTransport(transport, { role: "server", delivery: "streams" })
const openFrames = (transport: MockTransport.Pair["server"]) =>
  WebSocket.fromTransport(transport, { role: "server", delivery: "frames" })

/**
 * When the messages arrive: before the reader begins, while it waits, or while it waits with the scheduler of handlers, so that
 * it continues within the read.
 */
const arrivals = ["before", "meanwhile", "meanwhile, for a handler"] as const

const sent = ["a", "b", "c"]
const bytes = sentTo("server", ...sent.map((data) => text(data)))

type Trial = (
  arrival: (typeof arrivals)[number],
  k: number,
  reached: () => void
) => Effect.Effect<ReadonlyArray<string>, unknown>

/** What became of the messages when a reader was interrupted before its `k`-th operation. */
const trialOf =
  <S>(way: Way<S>): Trial =>
  (arrival, k, onInterrupt) =>
    Effect.scoped(
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const socket = yield* way.open(pair.server)
        const got: Array<string> = []
        const note = (data: string): void => {
          got.push(data)
        }
        const deliver = Effect.sync(() => void pair.client.write([way.bytes ?? bytes]))
        pair.client.start(
          { onChunk() {}, onEof() {}, onDrain() {}, onError() {}, onClose() {} },
          { high: 1e6, low: 1e6 }
        )
        if (arrival === "before") yield* Effect.andThen(deliver, settled)
        const over = arrival === "meanwhile, for a handler" ? schedulerOver : identity
        const reading = yield* Effect.forkChild(
          interruptedAt(k, Effect.scoped(way.read(socket, note)), { onInterrupt, over })
        )
        yield* settled
        if (arrival !== "before") yield* Effect.andThen(deliver, settled)
        // It waits for more, or is done.
        yield* Fiber.interrupt(reading)
        for (let before = -1; got.length > before && got.length < sent.length;) {
          before = got.length
          yield* Effect.timeoutOption(Effect.raceFirst(way.rest(socket, note), settled), "1 seconds")
        }
        pair.client.abort()
        return got
      })
    )

const messages = (read: Read<WebSocket.WebSocket>): Trial =>
  trialOf({ open: openMessages, read, rest: (socket, note) => Effect.map(socket.receiveAll, collect(note)) })

/** The value of an effect that may be interrupted, noted where nothing can be interrupted any more. */
const noted = <A, E, R>(effect: Effect.Effect<A, E, R>, note: (value: A) => void): Effect.Effect<void, E, R> =>
  Effect.uninterruptibleMask((restore) => Effect.map(restore(effect), note))

const lines: Serialization.Serialization = {
  kind: "Text",
  name: "lines",
  joins: true,
  encode: (values) => values.join("\n"),
  decode: (text) => text.split("\n")
}

/** Decodes with an effect that yields. */
const Slow = Schema.transformEffect(Schema.String, Schema.String, {
  decode: (value: string) => Effect.as(Effect.yieldNow, value),
  encode: (value: string) => Effect.succeed(value)
})

const channels = {
  values: { schema: Schema.String, bytes },
  "several values in a message": { schema: Schema.String, bytes: sentTo("server", text("a\nb"), text("c")) },
  "values that are decoded by an effect": { schema: Slow, bytes: sentTo("server", text("a\nb"), text("c")) }
}

type Typed = WebSocketChannel.TypedWebSocket<string, string>

const typed = ({ bytes, schema }: (typeof channels)[keyof typeof channels], read: Read<Typed>): Trial => {
  const channel = WebSocketChannel.make({ fromClient: schema, fromServer: schema, serialization: lines })
  return trialOf({
    open: (transport) => Effect.flatMap(openMessages(transport), (socket) => WebSocketChannel.client(channel, socket)),
    read,
    rest: (socket, note) => noted(socket.receive, note),
    bytes
  })
}

const typedReads: Readonly<Record<string, Read<Typed>>> = {
  "receive, again and again,": (socket, note) => Effect.forever(noted(socket.receive, note)),
  receiveOption: (socket, note) => noted(socket.receiveOption, Option.match({ onNone: () => {}, onSome: note })),
  receiveAll: (socket, note) => noted(socket.receiveAll, (values) => Array.from(values).forEach(note)),
  run: (socket, note) => socket.run((value) => Effect.uninterruptible(Effect.sync(() => note(value)))),
  messages: (socket, note) => Stream.consume(socket.messages, (values) => Array.from(values).forEach(note))
}

const ways = {
  receive: messages((socket, note) => noted(socket.receive, (message) => note(textOf(message)))),
  "receive, again and again": messages((socket, note) =>
    Effect.forever(noted(socket.receive, (message) => note(textOf(message))))
  ),
  receiveOption: messages((socket, note) =>
    noted(socket.receiveOption, Option.match({ onNone: () => {}, onSome: (message) => note(textOf(message)) }))
  ),
  "receiveOption, again and again": messages((socket, note) =>
    Effect.forever(
      noted(socket.receiveOption, Option.match({ onNone: () => {}, onSome: (message) => note(textOf(message)) }))
    )
  ),
  receiveWith: messages((socket, note) =>
    noted(socket.receiveWith({ maxMessageBytes: 1 }), (message) => note(textOf(message)))
  ),
  receiveAll: messages((socket, note) => noted(socket.receiveAll, collect(note))),
  "run, with a handler that cannot be interrupted": messages((socket, note) =>
    socket.run((message) => Effect.uninterruptible(Effect.sync(() => note(textOf(message)))))
  ),
  "run, with a handler of several steps": messages((socket, note) =>
    socket.run((message) =>
      Effect.uninterruptible(
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => note(textOf(message)))
        )
      )
    )
  ),
  "run of borrowed messages, with a handler that cannot be interrupted": messages((socket, note) =>
    socket.run((message) => Effect.uninterruptible(Effect.sync(() => note(textOf(message)))), { borrowed: true })
  ),
  "run, with a handler that returns nothing": messages((socket, note) =>
    socket.run((message) => note(textOf(message)))
  ),
  "run, where nothing can be interrupted but the handler": messages((socket, note) =>
    Effect.interruptible(socket.run((message) => Effect.uninterruptible(Effect.sync(() => note(textOf(message))))))
  ),
  messages: messages((socket, note) => Stream.consume(socket.messages, collect(note))),
  "messages, each batch of them": messages((socket, note) =>
    Stream.runForEachArray(socket.messages, (batch) => {
      collect(note)(batch)
      return Effect.void
    })
  ),
  ...Object.fromEntries(
    Object.entries(channels).flatMap(([name, channel]) =>
      Object.entries(typedReads).map(([read, way]) => [`${read} of ${name}`, typed(channel, way)])
    )
  ),
  "receive of streams": trialOf({
    open: openStreams,
    read: (socket, note) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(socket.receive), (message) =>
          Effect.map(Stream.runCollect<string | Uint8Array, unknown, never>(message.data), (parts) =>
            note(Array.from(parts).join(""))
          )
        )
      ),
    rest: (socket, note) =>
      Effect.flatMap(socket.receive, (message) =>
        Effect.map(Stream.runCollect<string | Uint8Array, unknown, never>(message.data), (parts) =>
          note(Array.from(parts).join(""))
        )
      )
  }),
  "receiveOption of streams": trialOf({
    open: openStreams,
    read: (socket, note) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(socket.receiveOption), (message) =>
          Effect.map(Stream.runCollect<string | Uint8Array, unknown, never>(Option.getOrThrow(message).data), (parts) =>
            note(Array.from(parts).join(""))
          )
        )
      ),
    rest: (socket, note) =>
      Effect.flatMap(socket.receive, (message) =>
        Effect.map(Stream.runCollect<string | Uint8Array, unknown, never>(message.data), (parts) =>
          note(Array.from(parts).join(""))
        )
      )
  }),
  "receive of frames": trialOf({
    open: openFrames,
    read: (socket, note) => noted(socket.receive, (frame) => note(Buffer.from(frame.payload).toString())),
    rest: (socket, note) => Effect.map(socket.receive, (frame) => note(Buffer.from(frame.payload).toString()))
  }),
  "receiveOption of frames": trialOf({
    open: openFrames,
    read: (socket, note) =>
      noted(socket.receiveOption, (frame) => note(Buffer.from(Option.getOrThrow(frame).payload).toString())),
    rest: (socket, note) => Effect.map(socket.receive, (frame) => note(Buffer.from(frame.payload).toString()))
  }),
  "run of frames": trialOf({
    open: openFrames,
    read: (socket, note) =>
      socket.run((frame) => Effect.uninterruptible(Effect.sync(() => note(Buffer.from(frame.payload).toString())))),
    rest: (socket, note) => Effect.map(socket.receive, (frame) => note(Buffer.from(frame.payload).toString()))
  })
}

// All 4,096 operations take longer than the tests of the other files.
const timeout = 600_000

describe("an interruption at each operation loses no message", () => {
  for (const [name, trial] of Object.entries(ways)) {
    for (const arrival of arrivals) {
      it.live(
        `${name}, messages that arrive ${arrival}`,
        () =>
          forEachOperation(64, (k, reached) =>
            Effect.map(trial(arrival, k, reached), (got) =>
              assert.deepStrictEqual(got, sent, `interrupted before operation ${k}`)
            )
          ),
        timeout
      )
    }
  }
})

describe("a scheduler that yields at every k-th operation", () => {
  for (const [name, trial] of Object.entries(ways)) {
    it.live(
      `${name}: the messages arrive in order, once`,
      () =>
        forEachOperation(32, (k, reached) =>
          Effect.map(
            Effect.withScheduler(
              trial("meanwhile", Number.POSITIVE_INFINITY, () => {}),
              yieldingAt(k, reached)
            ),
            (got) => assert.deepStrictEqual(got, sent, `yielding at every ${k}`)
          )
        ),
      timeout
    )
  }
})

describe("receiveWith, of a message that is larger", () => {
  it.live(
    "fails the connection or leaves the message, wherever it is interrupted",
    () =>
      Effect.gen(function* () {
        const outcomes = new Set<string>()
        yield* forEachOperation(64, (k, onInterrupt) =>
          Effect.scoped(
            Effect.gen(function* () {
              const pair = yield* MockTransport.make()
              const socket = yield* openMessages(pair.server)
              pair.client.start(
                { onChunk() {}, onEof() {}, onDrain() {}, onError() {}, onClose() {} },
                { high: 1e6, low: 1e6 }
              )
              pair.client.write([sentTo("server", text("ab"))])
              yield* settled
              yield* Effect.exit(
                interruptedAt(k, Effect.exit(socket.receiveWith({ maxMessageBytes: 1 })), { onInterrupt })
              )
              const next = yield* Effect.match(socket.receive, { onFailure: ({ _tag }) => _tag, onSuccess: textOf })
              pair.client.abort()
              outcomes.add(next)
            })
          )
        )
        assert.deepStrictEqual([...outcomes], ["ab", "Payload_too_large"])
      }),
    timeout
  )
})

describe("a handler of run during whose call the fiber is interrupted", () => {
  it.live(
    "is handled, wherever the fiber yields",
    () =>
      forEachOperation(128, (k, onYield) =>
        Effect.scoped(
          Effect.gen(function* () {
            const pair = yield* MockTransport.make()
            const socket = yield* openMessages(pair.server)
            const handled: Array<string> = []
            const reading: Fiber.Fiber<void, unknown> = yield* Effect.forkChild(
              Effect.withScheduler(
                socket.run((message) => {
                  Fiber.interruptUnsafe(reading)
                  return Effect.uninterruptible(Effect.sync(() => handled.push(textOf(message))))
                }),
                yieldingOnce(k, onYield)
              )
            )
            yield* settled
            pair.client.start(
              { onChunk() {}, onEof() {}, onDrain() {}, onError() {}, onClose() {} },
              { high: 1e6, low: 1e6 }
            )
            pair.client.write([sentTo("server", text("a"))])
            yield* Fiber.await(reading)
            pair.client.abort()
            assert.deepStrictEqual(handled, ["a"], `yielding before operation ${k}`)
          })
        )
      ),
    timeout
  )
})
