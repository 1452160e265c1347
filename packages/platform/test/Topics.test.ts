import { Topics } from "@effect-websocket/platform"
import type { TopicBroker } from "@effect-websocket/platform"
import { Stream } from "effect"
import { Effect, Exit, Fiber, Scope } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { connected, settled } from "./support.js"

const show = (event: Topics.TopicEvent): string => {
  switch (event._tag) {
    case "Publication":
      return `${event.position.offset} ${String(event.message.data)}`
    case "Recovered":
      return `Recovered ${event.position.offset}, missed ${event.missed}`
    default:
      return `${event._tag} ${event.position.offset}`
  }
}

/** A subscription whose elements are shown as they arrive. */
const listen = (topic: string, options?: Topics.SubscribeOptions) =>
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    const seen: Array<string> = []
    const fiber = yield* Effect.forkScoped(
      Stream.runForEach(topics.subscribe(topic, options), (event) => Effect.sync(() => void seen.push(show(event))))
    )
    yield* settled
    return { fiber, seen }
  })

const withTopics = <A, E>(test: Effect.Effect<A, E, Topics.Topics | Scope.Scope>): Effect.Effect<A, E, Scope.Scope> =>
  Effect.provide(test, Topics.layer())

const positionAt = ({ epoch }: TopicBroker.Position, offset: number): TopicBroker.Position => ({ epoch, offset })

describe("subscribe", () => {
  it.effect("begins now, and gets what is published from then on", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        yield* topics.publish("a", "before")
        const { seen } = yield* listen("a")
        yield* topics.publish("a", "one")
        yield* topics.publish("b", "elsewhere")
        yield* topics.publish("a", "two")
        yield* settled
        assert.deepStrictEqual(seen, ["New 1", "2 one", "3 two"])
      })
    )
  )

  it.effect("recovers what was missed", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const start = yield* topics.position("a")
        for (let n = 1; n <= 600; n++) yield* topics.publish("a", `m${n}`)
        const { seen } = yield* listen("a", { since: positionAt(start, 2) })
        yield* topics.publish("a", "m601")
        yield* settled
        assert.strictEqual(seen[0], "Recovered 2, missed 598")
        assert.deepStrictEqual(
          seen.slice(1),
          Array.from({ length: 599 }, (_, index) => `${index + 3} m${index + 3}`)
        )
      })
    )
  )

  it.effect("says gap if the history no longer has it", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        yield* topics.publish("a", "one")
        const { seen } = yield* listen("a", { since: { epoch: "old", offset: 1 } })
        yield* topics.publish("a", "two")
        yield* settled
        assert.deepStrictEqual(seen, ["Gap 1", "2 two"])
      })
    )
  )
})

describe("attach", () => {
  it.effect("sends publications to a connection until the scope ends", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const { client, server } = yield* connected()
        const scope = yield* Scope.make()
        const started = yield* Scope.provide(topics.attach(server, "a"), scope)
        assert.strictEqual(started._tag, "New")
        yield* topics.publish("a", "one")
        yield* topics.publish("a", "not to the sender", { except: server })
        yield* topics.publish("a", Uint8Array.of(1, 2))
        assert.strictEqual((yield* client.receive).data, "one")
        assert.deepStrictEqual((yield* client.receive).data, Uint8Array.of(1, 2))
        assert.strictEqual(yield* topics.memberCount("a"), 1)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* topics.memberCount("a"), 0)
        yield* topics.publish("a", "nobody")
        yield* server.send("last")
        assert.strictEqual((yield* client.receive).data, "last")
      })
    )
  )

  it.effect("ends with the connection, and by detach", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const { pair, server } = yield* connected()
        yield* topics.attach(server, "a")
        yield* topics.attach(server, "b")
        assert.strictEqual((yield* Effect.flip(topics.attach(server, "a")))._tag, "Topic_error")
        yield* topics.detach(server, "a")
        assert.deepStrictEqual([yield* topics.memberCount("a"), yield* topics.memberCount("b")], [0, 1])
        yield* pair.reset
        yield* server.closeStatus
        assert.strictEqual(yield* topics.memberCount("b"), 0)
        const error = yield* Effect.flip(topics.attach(server, "a"))
        assert.notStrictEqual(error._tag, "Topic_error")
      })
    )
  )

  it.effect("sends what was missed first", () =>
    withTopics(
      Effect.gen(function* () {
        const topics = yield* Topics.Topics
        const { client, server } = yield* connected()
        const start = yield* topics.position("a")
        for (let n = 1; n <= 300; n++) yield* topics.publish("a", `m${n}`)
        const attached = yield* Effect.forkChild(topics.attach(server, "a", { since: start, encode: show }))
        const got: Array<string> = []
        for (let n = 0; n <= 300; n++) got.push(String((yield* client.receive).data))
        yield* Fiber.join(attached)
        yield* topics.publish("a", "m301")
        got.push(String((yield* client.receive).data))
        assert.deepStrictEqual(got, [
          "Recovered 0, missed 300",
          ...Array.from({ length: 301 }, (_, index) => `${index + 1} m${index + 1}`)
        ])
      })
    )
  )
})
