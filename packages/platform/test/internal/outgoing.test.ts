import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as Connection from "@effect-websocket/protocol/Connection"
import * as Message from "@effect-websocket/protocol/Message"
import { IoError } from "@effect-websocket/protocol/Errors"
import { Effect, Exit, Fiber } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { Outbox } from "../../src/engine/client/Outbox.js"
import { Wait } from "../../src/engine/connection/Wait.js"
import { offer, OutgoingMessage, sendAll } from "../../src/internal/outgoing.js"
import { interruptedAt } from "../scheduling.js"
import { isPending, settled } from "../support.js"

const message = () => new OutgoingMessage("a", undefined)

describe("OutgoingMessage", () => {
  it("has a copy of borrowed bytes, because it may wait longer than they are valid", () => {
    const connection = Connection.make({ role: "client", maskKey: () => 0 })
    connection.borrowing = true
    const [borrowed] = connection.receive(Uint8Array.of(0x82, 3, 1, 2, 3))
    assert.isTrue(Message.isMessage(borrowed))
    if (!Message.isMessage(borrowed)) return
    const { data } = new OutgoingMessage(borrowed, undefined)
    connection.giveBack(borrowed)
    assert.deepStrictEqual(data, Message.binary(Uint8Array.of(1, 2, 3)))
  })
})

describe("the deadline of a message", () => {
  /** A send that waits until the test settles it. */
  class Waiting extends Wait {
    hasBegun = false
    protected begin(): void {
      this.hasBegun = true
    }
    protected undo(): void {}
  }

  it.effect("may pass between the begin of the send and its wait: nothing is sent", () =>
    Effect.gen(function* () {
      const [late, wait] = [message(), new Waiting()]
      late.expire(new Outbox<OutgoingMessage>(1, "suspend"))
      yield* late.awaitSent(wait)
      assert.isFalse(wait.hasBegun)
      assert.strictEqual(yield* late.outcome, "dropped")
    })
  )

  it.effect("does not change the outcome of a later send that did not wait", () =>
    Effect.gen(function* () {
      const [again, wait] = [message(), new Waiting()]
      const sending = yield* Effect.forkChild(Effect.exit(again.awaitSent(wait)))
      yield* settled
      wait.settle(new IoError({ reason: "Reset", operation: "read" }))
      assert.isTrue(Exit.isFailure(yield* Fiber.join(sending)))
      assert.isTrue(again.mayWait)
      again.expire(new Outbox<OutgoingMessage>(1, "suspend"))
      again.settle(Exit.succeed("delivered"))
      assert.strictEqual(yield* again.outcome, "delivered")
      assert.isFalse(again.mayWait)
    })
  )
})

describe("offer", () => {
  it.effect("hands over its value once the message has a place", () =>
    Effect.gen(function* () {
      const outbox = new Outbox<OutgoingMessage>(1, "suspend")
      const [first, second] = [message(), message()]
      assert.strictEqual(yield* offer(outbox, first, 1), 1)
      const offering = yield* Effect.forkChild(offer(outbox, second, 2))
      assert.isTrue(yield* isPending(offering))
      outbox.remove(first)
      assert.strictEqual(yield* Fiber.join(offering), 2)
      assert.strictEqual(outbox.first, second)
    })
  )

  it.effect("hands the value over in the step in which the message gets its place, if there is room", () =>
    Effect.gen(function* () {
      let k = 1
      for (let isInterrupted = true; isInterrupted; k++) {
        const outbox = new Outbox<OutgoingMessage>(1, "suspend")
        const offered = message()
        const values: Array<number> = []
        const offering = Effect.flatMap(offer(outbox, offered, 1), (value) => {
          values.push(value)
          return Effect.void
        })
        isInterrupted = (yield* interruptedAt(k, offering)).isInterrupted
        assert.strictEqual(outbox.has(offered), values.length === 1, `interrupted before operation ${k}`)
      }
      assert.isAbove(k, 2)
    })
  )

  it.effect("takes the message back if it is interrupted while it waits", () =>
    Effect.gen(function* () {
      const outbox = new Outbox<OutgoingMessage>(1, "suspend")
      const [first, second] = [message(), message()]
      outbox.place(first)
      const offering = yield* Effect.forkChild(offer(outbox, second, 1))
      yield* settled
      yield* Fiber.interrupt(offering)
      outbox.remove(first)
      assert.strictEqual(outbox.size, 0)
    })
  )

  it.effect("reports the outcome once, also to a caller that asks later", () =>
    Effect.gen(function* () {
      const dropped = message()
      const waiting = yield* Effect.forkChild(dropped.outcome)
      yield* settled
      dropped.drop()
      dropped.settle(Exit.succeed("delivered"))
      assert.strictEqual(yield* Fiber.join(waiting), "dropped")
      assert.strictEqual(yield* dropped.outcome, "dropped")
    })
  )
})

describe("an interruption of offer after a wait", () => {
  it.effect("leaves the message in the outbox only if the value was handed over", () =>
    Effect.gen(function* () {
      let handedOver = 0
      for (let k = 1, isInterrupted = true; isInterrupted; k++) {
        const outbox = new Outbox<OutgoingMessage>(1, "suspend")
        const [first, second] = [message(), message()]
        outbox.place(first)
        const values: Array<number> = []
        const offering = Effect.flatMap(offer(outbox, second, 2), (value) => {
          values.push(value)
          return Effect.void
        })
        const trial = yield* Effect.forkChild(interruptedAt(k, offering))
        yield* settled
        outbox.remove(first)
        isInterrupted = (yield* Fiber.join(trial)).isInterrupted
        assert.strictEqual(outbox.size, values.length, `interrupted before operation ${k}`)
        assert.strictEqual(outbox.has(second), values.length === 1)
        handedOver += values.length
      }
      assert.isAbove(handedOver, 1)
    })
  )
})

describe("sendAll on a connection that breaks", () => {
  /** No room is left, so the message of the outbox waits for its turn. */
  const waiting = Effect.gen(function* () {
    const pair = yield* MockTransport.make()
    const marks = { sendHighWaterMark: 1, sendLowWaterMark: 1 }
    const socket = yield* WebSocket.fromTransport(pair.client, { role: "client", ...marks })
    yield* pair.clientToServer.stall
    yield* Effect.forkChild(Effect.ignore(socket.send("first")))
    yield* settled
    const outbox = new Outbox<OutgoingMessage>(1, "suspend")
    const waits = message()
    outbox.place(waits)
    const sending = yield* Effect.forkChild(sendAll(outbox, socket))
    yield* settled
    assert.isFalse(outbox.has(waits))
    return { outbox, pair, sending, waits }
  })

  it.effect("keeps a message of which nothing was sent", () =>
    Effect.gen(function* () {
      const { outbox, pair, sending, waits } = yield* waiting
      yield* pair.reset
      yield* settled
      assert.strictEqual(outbox.first, waits)
      yield* Fiber.interrupt(sending)
      outbox.close()
      assert.strictEqual(yield* waits.outcome, "dropped")
    })
  )

  it.effect("keeps that message also if it is interrupted first", () =>
    Effect.gen(function* () {
      const { outbox, pair, sending, waits } = yield* waiting
      yield* Fiber.interrupt(sending)
      yield* pair.reset
      assert.strictEqual(outbox.first, waits)
    })
  )

  it.effect("does not keep a message that its caller has taken back", () =>
    Effect.gen(function* () {
      const { outbox, pair, sending, waits } = yield* waiting
      outbox.remove(waits)
      yield* pair.reset
      yield* Fiber.interrupt(sending)
      assert.strictEqual(outbox.size, 0)
    })
  )
})
