/** A fiber of Effect 4 counts its operations, and yields by itself. It does so before it takes messages, not soon after. */
import { WebSocketChannel } from "@effect-websocket/platform"
import { Effect, Fiber, Schema, SchemaGetter, Scheduler, Stream } from "effect"
import { assert, it } from "@effect/vitest"
import { alone, isPending, settled, text } from "../support.js"

/** Interrupts the fiber that it runs when this fiber yields for the first time. */
class InterruptingScheduler extends Scheduler.MixedScheduler {
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined

  override makeDispatcher() {
    const dispatcher = super.makeDispatcher()
    const scheduleTask = dispatcher.scheduleTask.bind(dispatcher)
    dispatcher.scheduleTask = (task, priority) => {
      queueMicrotask(() => this.fiber?.interruptUnsafe())
      scheduleTask(task, priority)
    }
    return dispatcher
  }
}

for (const arrival of ["before", "meanwhile"] as const) {
  it.live(`a fiber that is interrupted where it yields has begun with the batch that it took, sent ${arrival}`, () =>
    Effect.gen(function* () {
      const outcomes = new Set<string>()
      for (let maxOperations = 8; maxOperations <= 128; maxOperations++) {
        const { inject, socket } = yield* alone("server")
        const handled: Array<unknown> = []
        const scheduler = new InterruptingScheduler()
        const deliver = inject(text("a"), text("b"), text("c"))
        if (arrival === "before") yield* Effect.andThen(deliver, settled)
        scheduler.fiber = yield* Stream.runForEach(
          Stream.map(socket.messages, ({ data }) => data),
          (data) => Effect.sync(() => handled.push(data))
        ).pipe(
          Effect.provideService(Scheduler.MaxOpsBeforeYield, maxOperations),
          Effect.provideService(Scheduler.Scheduler, scheduler),
          Effect.forkChild
        )
        yield* settled
        if (arrival === "meanwhile") yield* Effect.andThen(deliver, settled)
        if (scheduler.fiber.pollUnsafe() === undefined || handled.length > 0) {
          assert.strictEqual(handled[0], "a", `at most ${maxOperations} operations`)
          outcomes.add("begun")
        } else {
          const left = yield* socket.receiveAll
          assert.deepStrictEqual(
            left.map(({ data }) => data),
            ["a", "b", "c"],
            `at most ${maxOperations} operations`
          )
          outcomes.add("left")
        }
        yield* Fiber.interrupt(scheduler.fiber)
      }
      assert.deepStrictEqual([...outcomes], ["left", "begun"])
    })
  )
}

/** Decodes with an effect of many operations, and never waits. */
const Slow = Schema.Unknown.pipe(
  Schema.decodeTo(Schema.Unknown, {
    decode: SchemaGetter.transformEffect((value: unknown) =>
      Effect.as(
        Effect.forEach([1, 2, 3, 4, 5, 6, 7, 8], () => Effect.suspend(() => Effect.void)),
        value
      )
    ),
    encode: SchemaGetter.passthrough()
  })
)
const Slows = WebSocketChannel.make({ fromClient: Schema.Unknown, fromServer: Slow })

it.live("the same is true of a fiber whose schema took many operations since the read began", () =>
  Effect.gen(function* () {
    const outcomes = new Set<string>()
    for (let maxOperations = 8; maxOperations <= 256; maxOperations++) {
      const { inject, socket } = yield* alone("server")
      const values = yield* WebSocketChannel.client(Slows, socket)
      const handled: Array<unknown> = []
      const scheduler = new InterruptingScheduler()
      yield* Effect.andThen(inject(text("1")), settled)
      scheduler.fiber = yield* Stream.runForEach(values.messages, (value) =>
        Effect.sync(() => handled.push(value))
      ).pipe(
        Effect.provideService(Scheduler.MaxOpsBeforeYield, maxOperations),
        Effect.provideService(Scheduler.Scheduler, scheduler),
        Effect.forkChild
      )
      yield* settled
      if (scheduler.fiber.pollUnsafe() === undefined || handled.length > 0) {
        assert.deepStrictEqual(handled, [1], `at most ${maxOperations} operations`)
        outcomes.add("begun")
      } else {
        const reading = yield* Effect.forkChild(values.receive)
        assert.isFalse(yield* isPending(reading), `at most ${maxOperations} operations`)
        assert.strictEqual(yield* Fiber.join(reading), 1)
        outcomes.add("left")
      }
      yield* Fiber.interrupt(scheduler.fiber)
    }
    assert.deepStrictEqual([...outcomes].sort(), ["begun", "left"])
  })
)
