/** An interruption at every operation of what topics do: nothing stays behind, and no position is left out. */
import * as MemoryTopicBroker from "@effect-websocket/platform/MemoryTopicBroker"
import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as Topics from "@effect-websocket/platform/Topics"
import { Stream } from "effect"
import { Effect, Exit, Fiber, Layer, Scope } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { maxOperations } from "../operations.js"
import { interruptedAt, yieldingOnce } from "../scheduling.js"
import { connected, finalizersIn, settled } from "../support.js"

/** Topics, and how many subscriptions their broker has. */
const opened = Effect.gen(function* () {
  const broker = yield* MemoryTopicBroker.make()
  let subscriptions = 0
  const counted: TopicBroker.Service = {
    ...broker,
    subscribe: (topic, listener) =>
      Effect.acquireRelease(
        Effect.sync(() => void subscriptions++),
        () => Effect.sync(() => void subscriptions--)
      ).pipe(Effect.andThen(broker.subscribe(topic, listener)))
  }
  const topics = yield* Layer.build(
    Topics.layerBroker().pipe(Layer.provide(TopicBroker.layer(Effect.succeed(counted))))
  )
  return { subscriptions: () => subscriptions, topics: yield* Effect.provide(Topics.Topics, topics) }
})

const enumerate = (trial: (k: number) => Effect.Effect<boolean, unknown, Scope.Scope>) =>
  Effect.gen(function* () {
    let k = 1
    while (k <= maxOperations(400) && (yield* Effect.scoped(trial(k)))) k++
    assert.isAbove(k, 1)
  })

describe("topics that are interrupted at any operation", () => {
  it.effect("publish: it has happened or not, and offsets are consecutive", () =>
    enumerate((k) =>
      Effect.gen(function* () {
        const { topics } = yield* opened
        const { client, server } = yield* connected()
        yield* topics.attach(server, "a")
        const { isInterrupted } = yield* interruptedAt(k, topics.publish("a", "maybe"))
        const { offset } = yield* topics.publish("a", "last")
        const page = yield* topics.history("a", { limit: 10 })
        const texts = offset === 1 ? ["last"] : ["maybe", "last"]
        assert.deepStrictEqual(
          page.publications.map(({ message, position }) => [position.offset, message.data]),
          texts.map((text, index) => [index + 1, text])
        )
        for (const text of texts) assert.strictEqual((yield* client.receive).data, text)
        return isInterrupted
      })
    )
  )

  for (const [name, options] of [
    ["now", {}],
    ["from the history", { last: 2 }]
  ] as const) {
    it.effect(`attach, ${name}: nothing stays behind`, () =>
      enumerate((k) =>
        Effect.gen(function* () {
          const { subscriptions, topics } = yield* opened
          const { server } = yield* connected()
          for (const text of ["1", "2", "3"]) yield* topics.publish("a", text)
          const scope = yield* Scope.make()
          const { exit, isInterrupted } = yield* interruptedAt(
            k,
            Scope.provide(topics.attach(server, "a", options), scope)
          )
          yield* settled
          // If it has come to its end, it belongs to the scope.
          const members = yield* topics.memberCount("a")
          assert.deepStrictEqual([subscriptions(), finalizersIn(scope)], [members, members], `operation ${k}`)
          if (Exit.isSuccess(exit)) assert.strictEqual(members, 1)
          yield* Scope.close(scope, Exit.void)
          yield* settled
          assert.deepStrictEqual([yield* topics.memberCount("a"), subscriptions()], [0, 0], `operation ${k}`)
          // It can be attached again.
          yield* topics.attach(server, "a")
          return isInterrupted
        })
      )
    )

    it.effect(`subscribe, ${name}: nothing stays behind`, () =>
      enumerate((k) =>
        Effect.gen(function* () {
          const { subscriptions, topics } = yield* opened
          for (const text of ["1", "2", "3"]) yield* topics.publish("a", text)
          const taken = Stream.runDrain(Stream.take(topics.subscribe("a", options), options.last === undefined ? 1 : 3))
          const { isInterrupted } = yield* interruptedAt(k, taken)
          yield* settled
          assert.deepStrictEqual([yield* topics.memberCount("a"), subscriptions()], [0, 0], `operation ${k}`)
          return isInterrupted
        })
      )
    )
  }
})

describe("a publication at any operation of a subscriber that begins", () => {
  /** Runs an effect. A message is published before its `k`-th operation. Succeeds with whether it came that far. */
  type Over = <R>(effect: Effect.Effect<unknown, unknown, R>) => Effect.Effect<boolean, unknown, R>

  const enumerateYields = (
    trial: (over: Over, topics: Topics.Service) => Effect.Effect<boolean, unknown, Scope.Scope>
  ) =>
    enumerate((k) =>
      Effect.gen(function* () {
        const { topics } = yield* opened
        for (const text of ["1", "2", "3"]) yield* topics.publish("a", text)
        let hasYielded = false
        const scheduler = yieldingOnce(k, () => {
          hasYielded = true
          Effect.runSync(topics.publish("a", "meanwhile"))
        })
        return yield* trial((effect) => Effect.map(Effect.withScheduler(effect, scheduler), () => hasYielded), topics)
      })
    )

  for (const [name, options] of [
    ["now", () => ({})],
    ["from the history", () => ({ last: 2 })],
    ["with a gap", () => ({ since: { epoch: "another", offset: 1 } })]
  ] as const) {
    it.effect(`attach, ${name}: the peer is told how it begins first, and nothing is missing`, () =>
      enumerateYields((over, topics) =>
        Effect.gen(function* () {
          const { server } = yield* connected()
          const offsets: Array<number> = []
          const encode = (event: Topics.TopicEvent) => {
            offsets.push(event.position.offset)
            if (event._tag !== "Publication") offsets.push(-1)
            return undefined
          }
          const hasYielded = yield* over(topics.attach(server, "a", { ...options(), encode }))
          yield* topics.publish("a", "last")
          yield* settled
          const first = offsets[0] ?? Number.NaN
          const { offset } = yield* topics.position("a")
          const rest = Array.from({ length: offset - first }, (_, index) => first + 1 + index)
          assert.deepStrictEqual(offsets, [first, -1, ...rest])
          return hasYielded
        })
      )
    )

    it.effect(`subscribe, ${name}: the stream says how it begins first, and nothing is missing`, () =>
      enumerateYields((over, topics) =>
        Effect.gen(function* () {
          const offsets: Array<number> = []
          const count = "last" in options() ? 3 : 1
          const read = Stream.runForEach(Stream.take(topics.subscribe("a", options()), count + 1), (event) =>
            Effect.sync(() => {
              offsets.push(event.position.offset)
              if (event._tag !== "Publication") offsets.push(-1)
            })
          )
          const fiber = yield* Effect.forkChild(over(read))
          yield* settled
          yield* topics.publish("a", "last")
          const hasYielded = yield* Fiber.join(fiber)
          const first = offsets[0] ?? Number.NaN
          assert.deepStrictEqual(offsets, [
            first,
            -1,
            ...Array.from({ length: count }, (_, index) => first + 1 + index)
          ])
          return hasYielded
        })
      )
    )
  }
})
