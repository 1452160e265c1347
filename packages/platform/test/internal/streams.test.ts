/** A stream of reads gives each sink what any other stream gives it. On Effect 3 it has a way of its own to run a sink. */
import { Sink } from "effect"
import { streamOfReads } from "../../src/internal/effect.js"
import { Cause, Effect, Exit, Fiber, Scheduler, Stream } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"

const batches: ReadonlyArray<ReadonlyArray<number>> = [[1, 2], [], [3], [4, 5, 6]]

/** A stream that waits before each batch, and then ends or fails. */
const reading = (end: Effect.Effect<never, string> | undefined): Stream.Stream<number, string> =>
  Stream.unwrap(
    Effect.sync(() => {
      const left = [...batches]
      return streamOfReads<number, string>(
        (taken, ended) =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.suspend(() => (left.length > 0 ? taken : (end ?? ended)))
          ),
        () => left.shift() ?? []
      )
    })
  )

/** The same stream, made with Effect alone. */
const usual = (end: Effect.Effect<never, string> | undefined): Stream.Stream<number, string> => {
  const items = Stream.fromIterable(batches.flat())
  return end === undefined ? items : Stream.concat(items, Stream.fromEffect(end))
}

type Run = (stream: Stream.Stream<number, string>) => Effect.Effect<unknown, string>

const noting =
  (
    run: (stream: Stream.Stream<number, string>, note: (value: unknown) => void) => Effect.Effect<unknown, string>
  ): Run =>
  (stream) =>
    Effect.suspend(() => {
      const seen: Array<unknown> = []
      return Effect.map(Effect.exit(run(stream, (value) => seen.push(value))), (exit) => [seen, shown(exit)])
    })

const shown = (exit: Exit.Exit<unknown, unknown>): unknown =>
  Exit.isSuccess(exit) ? { value: exit.value } : { error: Cause.squash(exit.cause) }

const runs: Readonly<Record<string, Run>> = {
  runForEach: noting((stream, note) => Stream.runForEach(stream, (value) => Effect.sync(() => note(value)))),
  "runForEach, with a handler that takes time": noting((stream, note) =>
    Stream.runForEach(stream, (value) =>
      Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => note(value))
      )
    )
  ),
  "runForEach, with a handler that fails": noting((stream, note) =>
    Stream.runForEach(stream, (value) => (value === 3 ? Effect.fail("failed") : Effect.sync(() => note(value))))
  ),
  "runForEach, with a handler that throws": noting((stream, note) =>
    Stream.runForEach(stream, (value) => {
      if (value === 5) throw "thrown"
      return Effect.sync(() => note(value))
    })
  ),
  runForEachArray: noting((stream, note) =>
    Stream.runForEachArray(stream, (values) => Effect.sync(() => Array.from(values).forEach(note)))
  ),
  "runForEachArray, with a handler that throws": noting((stream) =>
    Stream.runForEachArray(stream, () => {
      throw "thrown"
    })
  ),
  runForEachWhile: noting((stream, note) =>
    Stream.runForEachWhile(stream, (value) =>
      Effect.sync(() => {
        note(value)
        return value < 3
      })
    )
  ),
  runCollect: noting((stream) => Effect.map(Stream.runCollect(stream), (values) => Array.from(values))),
  runCount: noting(Stream.runCount),
  runDrain: noting(Stream.runDrain),
  runFold: noting((stream) =>
    Stream.runFold(
      stream,
      () => 0,
      (sum: number, value) => sum + value
    )
  ),
  runHead: noting(Stream.runHead),
  runLast: noting(Stream.runLast),
  "a sink that leaves a rest": noting((stream) =>
    Effect.map(Stream.run(stream, Sink.take<number>(3)), (values) => Array.from(values))
  ),
  "operators before the sink": noting((stream, note) =>
    Stream.runForEach(
      Stream.map(stream, (value) => value * 2),
      (value) => Effect.sync(() => note(value))
    )
  )
}

const ends = {
  "a stream that ends": undefined,
  "a stream that fails": Effect.fail("broken"),
  "a stream that dies": Effect.die("dead")
}

for (const [kind, end] of Object.entries(ends)) {
  describe(kind, () => {
    for (const [name, run] of Object.entries(runs)) {
      it.live(`gives ${name} the same as any other stream`, () =>
        Effect.gen(function* () {
          const expected = yield* run(usual(end))
          assert.deepStrictEqual(yield* run(reading(end)), expected)
          // It keeps nothing from one run to the next.
          assert.deepStrictEqual(yield* run(reading(end)), expected)
        })
      )
    }
  })
}

describe("a stream of reads in runForEach", () => {
  it.live("is interrupted while it waits, and in its handler", () =>
    Effect.gen(function* () {
      for (const stream of [
        streamOfReads(
          () => Effect.never,
          () => []
        ),
        streamOfReads(
          (taken) => taken,
          () => [1]
        )
      ]) {
        const fiber = yield* Effect.forkChild(Stream.runForEach(stream, () => Effect.never))
        yield* Effect.sleep(5)
        yield* Fiber.interrupt(fiber)
        const exit = yield* Fiber.await(fiber)
        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      }
    })
  )

  it.live("takes at most 16 operations for a batch", () =>
    Effect.gen(function* () {
      let operations = 0
      class Counting extends Scheduler.CountingScheduler {
        override shouldYield(...parameters: Parameters<Scheduler.CountingScheduler["shouldYield"]>) {
          operations++
          return super.shouldYield(...parameters)
        }
      }
      let left = 1000
      const stream = streamOfReads<number, never>(
        (taken, ended) => Effect.suspend(() => (left-- > 0 ? taken : ended)),
        () => [1]
      )
      yield* Effect.withScheduler(
        Stream.runForEach(stream, () => Effect.void),
        new Counting()
      )
      assert.isAtMost(operations, 16 * 1000)
    })
  )
})
