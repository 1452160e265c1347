/** `run` with the option `borrowed`: the bytes of a message are valid until its handler is done. */
import type { Transport, TransportSink } from "@effect-websocket/platform/Transport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as Connection from "@effect-websocket/protocol/Connection"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Message from "@effect-websocket/protocol/Message"
import { Cause, Deferred, Effect, Exit, Fiber } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import {
  alone,
  binary,
  close,
  connected,
  deafSink,
  from,
  isDefect,
  isPending,
  other,
  roles,
  sentTo,
  settled,
  text,
  type Role
} from "./support.js"

const payload = (size: number, value = 7): Uint8Array => new Uint8Array(size).fill(value)

/** The bytes of a binary message. */
const bytesOf = (message: Message.Message): Uint8Array =>
  message._tag === "Binary" ? message.data : assert.fail("a text message")

const isAll = (bytes: Uint8Array, size: number, value = 7): boolean =>
  bytes.length === size && bytes.every((byte) => byte === value)

/** The payloads of the messages in these bytes. */
const received = (role: Role, bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  Connection.make(role === "server" ? { role } : { role, maskKey: () => 0 })
    .receive(bytes)
    .flatMap((event) => (event._tag === "Binary" ? [event.data] : []))

const borrowed = { borrowed: true }
const sizes = [1, 100, 5000, 100_000]

for (const role of roles) {
  describe(`borrowed messages, as ${role}`, () => {
    for (const size of sizes) {
      it.effect(`${size} bytes that a handler keeps are gone when it is done`, () =>
        Effect.gen(function* () {
          const { inject, socket } = yield* alone(role)
          const kept: Array<Uint8Array> = []
          const right: Array<boolean> = []
          yield* Effect.forkScoped(
            socket.run((message) => {
              const bytes = bytesOf(message)
              right.push(isAll(bytes, size, kept.length))
              kept.push(bytes)
            }, borrowed)
          )
          yield* settled
          yield* inject(binary(payload(size, 0)), binary(payload(size, 1)))
          yield* inject(binary(payload(size, 2)))
          yield* settled
          assert.deepStrictEqual(right, [true, true, true])
          assert.deepStrictEqual(
            kept.map(({ length }) => length),
            [0, 0, 0]
          )
        })
      )
    }

    it.effect("are valid for as long as an effect of the handler takes", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* alone(role)
        const done = yield* Deferred.make<void>()
        const seen: Array<Uint8Array> = []
        const right: Array<boolean> = []
        yield* Effect.forkScoped(
          socket.run((message) => {
            const bytes = bytesOf(message)
            seen.push(bytes)
            return Effect.andThen(
              Deferred.await(done),
              Effect.sync(() => right.push(isAll(bytes, 5000, seen.length)))
            )
          }, borrowed)
        )
        yield* settled
        yield* inject(binary(payload(5000, 1)), binary(payload(5000, 2)), binary(payload(5000, 3)))
        yield* settled
        assert.deepStrictEqual([seen.length, seen[0]!.length], [1, 5000])
        yield* Deferred.succeed(done, undefined)
        yield* settled
        assert.deepStrictEqual(right, [true, true, true])
        assert.isTrue(seen.every(({ length }) => length === 0))
      })
    )

    for (const [how, end] of [
      ["fails", Effect.fail("no")],
      ["dies", Effect.die("no")]
    ] as const) {
      it.effect(`are gone when the effect of the handler ${how}`, () =>
        Effect.gen(function* () {
          const { inject, socket } = yield* alone(role)
          const seen: Array<Uint8Array> = []
          const running = yield* Effect.forkChild(
            socket.run((message) => {
              seen.push(bytesOf(message))
              return Effect.andThen(Effect.yieldNow, end)
            }, borrowed)
          )
          yield* settled
          yield* inject(binary(payload(5000)))
          assert.isTrue(Exit.isFailure(yield* Fiber.await(running)))
          assert.lengthOf(seen[0]!, 0)
        })
      )
    }

    it.effect("are gone when the handler is interrupted, and not before its finalizer has seen them", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* alone(role)
        const seen: Array<Uint8Array> = []
        let finalized = false
        const running = yield* Effect.forkChild(
          socket.run((message) => {
            const bytes = bytesOf(message)
            seen.push(bytes)
            return Effect.onInterrupt(Effect.never, () =>
              Effect.andThen(
                Effect.yieldNow,
                Effect.sync(() => {
                  finalized = isAll(bytes, 5000)
                })
              )
            )
          }, borrowed)
        )
        yield* settled
        yield* inject(binary(payload(5000)), binary(payload(5000, 8)))
        yield* settled
        yield* Fiber.interrupt(running)
        assert.isTrue(finalized)
        assert.lengthOf(seen[0]!, 0)
        // The next reader gets the next message, which is its own.
        const next = bytesOf(yield* socket.receive)
        yield* inject(binary(payload(5000, 9)))
        assert.isTrue(isAll(bytesOf(yield* socket.receive), 5000, 9))
        assert.isTrue(isAll(next, 5000, 8))
      })
    )

    it.effect("belong to the app if they came before `run`, or after it, and so does text", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* alone(role)
        yield* inject(binary(payload(5000, 1)))
        yield* settled
        const kept: Array<Message.Message> = []
        const running = yield* Effect.forkChild(socket.run((message) => void kept.push(message), borrowed))
        yield* settled
        yield* inject(text("hello"))
        yield* settled
        yield* Fiber.interrupt(running)
        yield* inject(binary(payload(5000, 2)))
        kept.push(yield* socket.receive)
        const second = yield* Effect.forkChild(socket.run((message) => void kept.push(message)))
        yield* settled
        yield* inject(binary(payload(5000, 3)))
        yield* settled
        yield* Fiber.interrupt(second)
        assert.strictEqual(kept[1]!.data, "hello")
        for (const [i, value] of [
          [0, 1],
          [2, 2],
          [3, 3]
        ] as const) {
          assert.isTrue(isAll(bytesOf(kept[i]!), 5000, value))
        }
      })
    )

    it.effect("can be kept as copies", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* alone(role)
        const kept: Array<Message.Message> = []
        yield* Effect.forkScoped(socket.run((message) => void kept.push(Message.keep(message)), borrowed))
        yield* settled
        yield* inject(binary(payload(5000, 1)), binary(payload(5000, 2)))
        yield* settled
        assert.isTrue(isAll(bytesOf(kept[0]!), 5000, 1) && isAll(bytesOf(kept[1]!), 5000, 2))
      })
    )

    it.effect("cannot be sent once their handler is done: a defect that sends nothing", () =>
      Effect.gen(function* () {
        const { inject, socket, wrote } = yield* alone(role)
        const kept: Array<Message.Message> = []
        yield* Effect.forkScoped(socket.run((message) => void kept.push(message), borrowed))
        yield* settled
        yield* inject(binary(payload(5000)))
        yield* settled
        for (const send of [socket.send(kept[0]!), socket.send(bytesOf(kept[0]!)), socket.sendAll(kept)]) {
          const exit = yield* Effect.exit(send)
          assert.isTrue(isDefect(exit))
          assert.match(Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "", /was borrowed, and has been given back/)
        }
        assert.deepStrictEqual(yield* wrote, [])
      })
    )

    for (const size of sizes) {
      it.effect(`${size} bytes are sent back whole, whenever the peer reads them`, () =>
        Effect.gen(function* () {
          const { client, pair, server } = yield* connected()
          const [echoing, sending] = role === "server" ? [server, client] : [client, server]
          yield* Effect.forkScoped(echoing.run((message) => echoing.send(message), borrowed))
          yield* settled
          const received: Array<boolean> = []
          yield* Effect.forkScoped(
            sending.run((message) => void received.push(isAll(bytesOf(message), size, received.length)))
          )
          const outbound = from(pair, role)
          yield* outbound.stall
          yield* Effect.forkScoped(
            sending.sendAll(Array.from({ length: 20 }, (_, i) => Message.binary(payload(size, i))))
          )
          yield* settled
          yield* outbound.unstall
          while (received.length < 20) yield* settled
          assert.isTrue(received.every((right) => right))
        })
      )
    }

    it.effect("stay as they are while a transport still has them", () =>
      Effect.gen(function* () {
        let sink: TransportSink = deafSink
        let taken = false
        const written: Array<Uint8Array> = []
        const over = () => queueMicrotask(() => sink.onClose())
        const transport: Transport = {
          remoteAddress: undefined,
          bufferedBytes: 0,
          start: (started) => {
            sink = started
          },
          pause: () => {},
          resume: () => {},
          write: (chunks) => {
            written.push(...chunks)
            return { taken, belowHighWater: true }
          },
          end: over,
          abort: over
        }
        const socket = yield* WebSocket.fromTransport(transport, { role })
        yield* Effect.addFinalizer(() => socket.abort)
        const seen: Array<Uint8Array> = []
        yield* Effect.forkScoped(
          socket.run((message) => {
            seen.push(bytesOf(message))
            return socket.send(message)
          }, borrowed)
        )
        yield* settled
        for (const value of [1, 2]) sink.onChunk(sentTo(role, binary(payload(100_000, value))), true)
        taken = true
        for (const value of [3, 4]) sink.onChunk(sentTo(role, binary(payload(100_000, value))), true)
        yield* settled
        const own = received(other(role), Buffer.concat(written.slice(0, written.length / 2)))
        assert.deepStrictEqual(
          own.map((bytes) => [isAll(bytes, 100_000, 1), isAll(bytes, 100_000, 2)]),
          [
            [true, false],
            [false, true]
          ]
        )
        // A client's bytes were copied, because it masks.
        assert.deepStrictEqual(
          seen.map(({ length }) => length > 0),
          role === "server" ? [true, true, false, false] : [false, false, false, false]
        )
      })
    )

    it.effect("can be sent to others by a fork that outlives the handler only as copies", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* alone(role)
        const target = yield* connected()
        const exits: Array<Exit.Exit<void, unknown>> = []
        yield* Effect.forkScoped(
          socket.run(
            (message) =>
              Effect.asVoid(
                Effect.forkDetach(
                  Effect.andThen(
                    settled,
                    Effect.flatMap(Effect.exit(target.client.send(message)), (exit) =>
                      Effect.sync(() => exits.push(exit))
                    )
                  )
                )
              ),
            borrowed
          )
        )
        yield* settled
        yield* inject(binary(payload(5000)))
        while (exits.length === 0) yield* settled
        assert.isTrue(isDefect(exits[0]!))
      })
    )

    for (const [what, size] of [
      ["pong", 100],
      ["frame", 100],
      ["frame", 100_000]
    ] as const) {
      it.effect(`can no longer be sent as a ${what} of ${size} bytes that waited: a defect of the caller`, () =>
        Effect.gen(function* () {
          const { inject, socket } = yield* alone(role)
          const target = yield* connected({ delivery: "frames" })
          const outbound = from(target.pair, role)
          yield* outbound.stall
          yield* Effect.forkScoped(target[role].send(Frame.binary(payload(200_000))))
          const sending: Array<Fiber.Fiber<void, unknown>> = []
          yield* Effect.forkScoped(
            socket.run((message) => {
              const bytes = bytesOf(message)
              const send = target[role].send(what === "pong" ? Frame.pong(bytes) : Frame.binary(bytes))
              return Effect.map(Effect.forkDetach(Effect.andThen(Effect.void, send)), (fiber) => {
                sending.push(fiber)
                return Effect.yieldNow
              })
            }, borrowed)
          )
          yield* settled
          yield* inject(binary(payload(size)))
          yield* settled
          yield* outbound.unstall
          assert.isTrue(isDefect(yield* Fiber.await(sending[0]!)))
        })
      )
    }

    it.effect("reach every connection of a broadcast", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* alone(role)
        const members = [yield* connected(), yield* connected()]
        yield* Effect.forkScoped(
          socket.run(
            (message) =>
              WebSocket.broadcast(
                members.map(({ server }) => server),
                message
              ),
            borrowed
          )
        )
        yield* settled
        yield* inject(binary(payload(100_000, 1)), binary(payload(100_000, 2)))
        for (const { client } of members) {
          for (const value of [1, 2]) assert.isTrue(isAll(bytesOf(yield* client.receive), 100_000, value))
        }
      })
    )

    it.effect("do not change how `run` ends", () =>
      Effect.gen(function* () {
        const { inject, socket } = yield* alone(role)
        const running = yield* Effect.forkChild(socket.run(() => {}, borrowed))
        yield* settled
        assert.isTrue(yield* isPending(running))
        yield* inject(binary(payload(100)), close(1000))
        yield* Fiber.join(running)
      })
    )
  })
}
