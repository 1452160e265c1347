/** Topics over brokers that lose, repeat, delay and fail. */
import * as MemoryTopicBroker from "@effect-websocket/platform/MemoryTopicBroker"
import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as Topics from "@effect-websocket/platform/Topics"
import * as Message from "@effect-websocket/protocol/Message"
import { Option, Stream } from "effect"
import { Deferred, Effect, Fiber, Layer, type Scope, TestClock } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { connected, settled } from "../support.js"

type Event = TopicBroker.Publication | TopicBroker.Interrupted

/** What a broker does wrong. */
interface Faults {
  /** What arrives in place of an event. */
  deliver: (event: Event) => ReadonlyArray<Event>
  /** Before each of these operations. */
  before: (operation: "subscribe" | "history" | "position") => Effect.Effect<void, TopicBroker.TopicError>
}

const unavailable = new TopicBroker.TopicError({ reason: "Unavailable", topic: "a", cause: new Error("no link") })

/** Topics over a broker in memory with faults. */
const withFaults = <A, E>(
  test: (
    faults: Faults,
    broker: TopicBroker.Service,
    listeners: Set<(event: Event) => void>
  ) => Effect.Effect<A, E, Topics.Topics | Scope.Scope>,
  isReliable = true
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.gen(function* () {
    const broker = yield* MemoryTopicBroker.make({ history: { maxPublications: 10 } })
    const faults: Faults = { deliver: (event) => [event], before: () => Effect.void }
    const listeners = new Set<(event: Event) => void>()
    const faulty: TopicBroker.Service = {
      ...broker,
      isReliable,
      position: (topic) =>
        Effect.andThen(
          Effect.suspend(() => faults.before("position")),
          broker.position(topic)
        ),
      history: (topic, options) =>
        Effect.andThen(
          Effect.suspend(() => faults.before("history")),
          broker.history(topic, options)
        ),
      subscribe: (topic, listener) =>
        Effect.gen(function* () {
          yield* Effect.acquireRelease(
            Effect.sync(() => listeners.add(listener)),
            () => Effect.sync(() => listeners.delete(listener))
          )
          yield* Effect.suspend(() => faults.before("subscribe"))
          return yield* broker.subscribe(topic, (event) => faults.deliver(event).forEach(listener))
        })
    }
    const layer = Topics.layerBroker({ checkInterval: "30 seconds" }).pipe(
      Layer.provide(TopicBroker.layer(Effect.succeed(faulty)))
    )
    return yield* Effect.provide(test(faults, broker, listeners), layer)
  })

const show = (event: Topics.TopicEvent): string =>
  event._tag === "Publication" ? `${event.position.offset}` : `${event._tag} ${event.position.offset}`

const listen = (options?: Topics.SubscribeOptions) =>
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    const seen: Array<string> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(topics.subscribe("a", options), (event) => Effect.sync(() => void seen.push(show(event))))
    )
    yield* settled
    return { fiber, seen }
  })

const publish = (broker: TopicBroker.Service, count: number) =>
  Effect.gen(function* () {
    for (let n = 0; n < count; n++) yield* broker.publish("a", Message.text("x"))
    yield* settled
  })

describe("topics over a broker with faults", () => {
  it.effect("deliver once what arrives twice, and read what does not arrive", () =>
    withFaults((faults, broker) =>
      Effect.gen(function* () {
        const { seen } = yield* listen()
        faults.deliver = (event) => [event, event]
        yield* publish(broker, 2)
        faults.deliver = () => []
        yield* publish(broker, 3)
        assert.deepStrictEqual(seen, ["New 0", "1", "2"])
        faults.deliver = (event) => [event]
        yield* publish(broker, 1)
        assert.deepStrictEqual(seen, ["New 0", "1", "2", "3", "4", "5", "6"])
      })
    )
  )

  it.effect("read the history after the link was lost, and again until that works", () =>
    withFaults((faults, broker, listeners) =>
      Effect.gen(function* () {
        const { seen } = yield* listen()
        faults.deliver = () => []
        yield* publish(broker, 2)
        let failures = 3
        faults.before = () => (failures-- > 0 ? Effect.fail(unavailable) : Effect.void)
        faults.deliver = (event) => [event]
        for (const listener of listeners) listener({ _tag: "Interrupted" })
        yield* publish(broker, 1)
        assert.deepStrictEqual(seen, ["New 0"])
        yield* TestClock.adjust("1 second")
        yield* settled
        assert.deepStrictEqual(seen, ["New 0", "1", "2", "3"])
      })
    )
  )

  it.effect("begin with a gap in the epoch of the history, although the subscription has not heard of it", () =>
    withFaults((faults, broker) =>
      Effect.gen(function* () {
        yield* listen()
        yield* publish(broker, 3)
        const since = yield* broker.position("a")
        faults.deliver = () => []
        yield* broker.remove("a")
        yield* publish(broker, 1)
        const newest = yield* broker.position("a")
        const topics = yield* Topics.Topics
        const streamed = yield* Effect.forkScoped(Stream.runHead(topics.subscribe("a", { since })))
        const { client, server } = yield* connected()
        const attached = yield* Effect.forkScoped(topics.attach(server, "a", { since, encode: show }))
        yield* settled
        yield* TestClock.adjust("10 millis")
        const gap = { _tag: "Gap", position: newest } as const
        assert.deepStrictEqual(yield* Fiber.join(attached), gap)
        assert.strictEqual((yield* client.receive).data, "Gap 1")
        const first = yield* Fiber.join(streamed)
        assert.deepStrictEqual(Option.getOrUndefined(first), gap)
      })
    )
  )

  it.effect("tell a gap if the history no longer has what was missed", () =>
    withFaults((faults, broker) =>
      Effect.gen(function* () {
        const { seen } = yield* listen()
        yield* publish(broker, 1)
        faults.deliver = () => []
        yield* publish(broker, 15)
        faults.deliver = (event) => [event]
        yield* publish(broker, 2)
        assert.deepStrictEqual(seen, ["New 0", "1", "Gap 16", "17", "18"])
      })
    )
  )

  it.effect("notice in time what a broker without guarantees has lost", () =>
    withFaults(
      (faults, broker) =>
        Effect.gen(function* () {
          const { seen } = yield* listen()
          faults.deliver = () => []
          yield* publish(broker, 2)
          yield* TestClock.adjust("29 seconds")
          yield* settled
          assert.deepStrictEqual(seen, ["New 0"])
          yield* TestClock.adjust("1 second")
          yield* settled
          assert.deepStrictEqual(seen, ["New 0", "1", "2"])
        }),
      false
    )
  )

  it.effect("miss nothing that is published while a subscription begins", () =>
    withFaults((faults, broker) =>
      Effect.gen(function* () {
        const latch = yield* Deferred.make<void>()
        faults.before = () => Deferred.await(latch)
        const since = yield* broker.position("a")
        yield* publish(broker, 2)
        const { seen } = yield* listen({ since })
        const { client, server } = yield* connected()
        const topics = yield* Topics.Topics
        const attached = yield* Effect.forkChild(topics.attach(server, "a", { encode: show, since }))
        yield* publish(broker, 2)
        yield* Deferred.succeed(latch, undefined)
        yield* publish(broker, 2)
        yield* Fiber.join(attached)
        yield* publish(broker, 1)
        const all = ["1", "2", "3", "4", "5", "6", "7"]
        assert.deepStrictEqual(seen.slice(1), all)
        const got: Array<string> = []
        for (let n = 0; n < 8; n++) got.push(String((yield* client.receive).data))
        assert.deepStrictEqual(got.slice(1), all)
      })
    )
  )

  it.effect("join what is read and what arrives meanwhile", () =>
    withFaults((faults, broker) =>
      Effect.gen(function* () {
        const since = yield* broker.position("a")
        yield* listen()
        yield* publish(broker, 2)
        let reads = 0
        // While each page is on its way, more is published.
        faults.before = (operation) => (operation === "history" && reads++ < 3 ? publish(broker, 1) : Effect.void)
        const { seen } = yield* listen({ since })
        yield* publish(broker, 1)
        assert.deepStrictEqual(
          seen.slice(1),
          Array.from({ length: seen.length - 1 }, (_, index) => String(index + 1))
        )
        assert.strictEqual(seen.at(-1), String((yield* broker.position("a")).offset))
      })
    )
  )

  it.effect("fail if the subscription cannot begin, and try again for the next member", () =>
    withFaults((faults, _, listeners) =>
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        faults.before = () => Effect.fail(unavailable)
        const { fiber } = yield* listen()
        assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), unavailable)
        const { server } = yield* connected()
        assert.strictEqual(yield* Effect.flip(topics.attach(server, "a")), unavailable)
        assert.strictEqual(listeners.size, 0)
        faults.before = () => Effect.void
        assert.strictEqual((yield* topics.attach(server, "a"))._tag, "New")
        assert.strictEqual(listeners.size, 1)
        yield* topics.detach(server, "a")
        yield* settled
        assert.strictEqual(listeners.size, 0)
      })
    )
  )

  it.effect("end a membership that is detached before it has begun", () =>
    withFaults((faults, _, listeners) =>
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const latch = yield* Deferred.make<void>()
        faults.before = (operation) => (operation === "history" ? Deferred.await(latch) : Effect.void)
        const { server } = yield* connected()
        const since = yield* topics.position("a")
        const attaching = yield* Effect.forkChild(Effect.flip(topics.attach(server, "a", { since })))
        yield* settled
        yield* topics.detach(server, "a")
        yield* Deferred.succeed(latch, undefined)
        const error = yield* Fiber.join(attaching)
        assert(error._tag === "Topic_error")
        assert.strictEqual(error.reason, "Detached")
        assert.deepStrictEqual([yield* topics.memberCount("a"), listeners.size], [0, 0])
      })
    )
  )
})
