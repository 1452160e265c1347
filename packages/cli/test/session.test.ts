import { localProtocolError, remoteProtocolError } from "@effect-websocket/protocol/Errors"
import * as Message from "@effect-websocket/protocol/Message"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Peer } from "../src/Peer.js"
import type { Input, Screen } from "../src/Screen.js"
import * as session from "../src/session.js"

interface Setting {
  readonly isInteractive?: boolean
  readonly inputs?: ReadonlyArray<Input>
  readonly send?: Peer["send"]
  readonly received?: Screen["received"]
}

/** A session with a peer that ends once it is closed, and what happened. */
const start = ({ inputs = [], isInteractive = false, received, send }: Setting, wait: Duration.Input) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const closed = yield* Deferred.make<void>()
    let deliver: (message: Message.Message) => Effect.Effect<void, unknown> = () => Effect.void
    const screen: Screen = {
      isInteractive,
      received: received ?? ((message) => Effect.sync(() => void log.push(`received ${message.data.toString()}`))),
      note: (text) => void log.push(text),
      warn: (text) => void log.push(`warning: ${text}`),
      run: (handle) => Effect.forEach(inputs, handle, { discard: true })
    }
    const peer: Peer = {
      current: () => undefined,
      send: send ?? ((message) => Effect.sync(() => void log.push(`sent ${message.data.toString()}`))),
      run: (handler) => {
        deliver = handler
        return Deferred.await(closed)
      },
      close: (code) =>
        Effect.andThen(
          Effect.sync(() => void log.push(`closed ${code}`)),
          Deferred.succeed(closed, undefined)
        )
    }
    const fiber = yield* Effect.forkChild(Effect.scoped(session.run(peer, screen, Duration.fromInputUnsafe(wait))))
    yield* TestClock.adjust(0)
    return { fiber, log, receive: (text: string) => deliver(Message.text(text)) }
  })

const hello: Input = { _tag: "Message", message: Message.text("hello") }

describe("session", () => {
  it.effect("closes once its input has ended and nothing was received for a while", () =>
    Effect.gen(function* () {
      const { fiber, log, receive } = yield* start({ inputs: [hello] }, "2 seconds")
      yield* TestClock.adjust("1 second")
      yield* receive("a")
      yield* TestClock.adjust("1 second")
      yield* receive("b")
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(log, ["sent hello", "received a", "received b"])
      yield* TestClock.adjust("1 milli")
      yield* Fiber.join(fiber)
      assert.strictEqual(log.at(-1), "closed 1000")
    })
  )

  it.effect("does not close while a reader is slow", () =>
    Effect.gen(function* () {
      const room = yield* Deferred.make<void>()
      const { fiber, log, receive } = yield* start({ received: () => Deferred.await(room) }, "2 seconds")
      const receiving = yield* Effect.forkChild(receive("a"))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(log, [])
      yield* Deferred.succeed(room, undefined)
      yield* Fiber.join(receiving)
      yield* TestClock.adjust("1999 millis")
      assert.deepStrictEqual(log, [])
      yield* TestClock.adjust("1 milli")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(log, ["closed 1000"])
    })
  )

  it.effect("leaves the end to the peer if it waits for ever", () =>
    Effect.gen(function* () {
      const { fiber, log } = yield* start({}, Duration.infinity)
      yield* TestClock.adjust("1 day")
      assert.deepStrictEqual(log, [])
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("closes at once when a person ends the input", () =>
    Effect.gen(function* () {
      const { fiber, log } = yield* start({ isInteractive: true }, "1 day")
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(log, ["closed 1000"])
    })
  )

  const refusal = localProtocolError("The code may not be sent", "RFC 6455 §7.4")

  it.effect("shows a person what was refused, and goes on", () =>
    Effect.gen(function* () {
      const { log } = yield* start({ isInteractive: true, inputs: [hello], send: () => Effect.fail(refusal) }, 0)
      assert.deepStrictEqual(log, [`warning: ${refusal.message}`, "closed 1000"])
    })
  )

  it.effect("fails in a pipe with what was refused, and not with the end of the connection", () =>
    Effect.gen(function* () {
      const refused = yield* start({ inputs: [hello], send: () => Effect.fail(refusal) }, 0)
      assert.strictEqual(yield* Effect.flip(Fiber.join(refused.fiber)), refusal)
      const broken = remoteProtocolError("A frame", "RFC 6455 §5.2", 1002)
      const ended = yield* start({ inputs: [hello], send: () => Effect.fail(broken) }, 0)
      yield* Fiber.join(ended.fiber)
    })
  )

  it.effect("says that there is no connection to ping", () =>
    Effect.gen(function* () {
      const { log } = yield* start({ isInteractive: true, inputs: [{ _tag: "Ping", data: "" }] }, 0)
      assert.deepStrictEqual(log, ["warning: There is no connection now", "closed 1000"])
    })
  )
})
