import { MemoryTopicBroker, Presence, TopicBroker, Topics } from "@effect-websocket/platform"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { maxMembers, take } from "../../src/chat/Seats.js"

/** As over a network: each operation takes an unknown number of turns. */
const slowly = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const turns = Effect.suspend(() => Effect.repeatN(Effect.yieldNow(), Math.floor(Math.random() * 8)))
  return Effect.zipLeft(Effect.zipRight(turns, effect), turns)
}

const broker = TopicBroker.layer(
  Effect.map(MemoryTopicBroker.make(), (broker): TopicBroker.Service => ({
    ...broker,
    publish: (...args) => slowly(broker.publish(...args)),
    presence: {
      ...broker.presence,
      set: (...args) => slowly(broker.presence.set(...args)),
      list: (...args) => slowly(broker.presence.list(...args))
    }
  }))
)
const layer = Layer.provide(Layer.merge(Topics.layerBroker(), Presence.layerBroker()), broker)

/** Whether each of them gets a seat, if all ask for one at once. */
const takeAll = (requests: ReadonlyArray<{ readonly name: string; readonly owner: string }>) => {
  const seats = Effect.forEach(
    requests,
    (request) =>
      Effect.match(take("rooms/tea", { room: "tea", ...request }), {
        onSuccess: () => "in",
        onFailure: (error) => (error._tag === "Refused" ? error.reason : error.message)
      }),
    { concurrency: "unbounded" }
  )
  const time = Effect.forever(Effect.zipRight(Effect.yieldNow(), TestClock.adjust("1 millis")))
  return Effect.scoped(Effect.raceFirst(seats, time)).pipe(Effect.provide(layer))
}

describe("Seats", () => {
  it.effect("give a name that several ask for at once to exactly one of them", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 10; round++) {
        const outcomes = yield* takeAll([1, 2, 3].map((n) => ({ name: "Ada", owner: String(n) })))
        assert.deepStrictEqual(outcomes.sort(), ["in", "this name is taken", "this name is taken"])
      }
    })
  )

  it.effect("are all given away, and no more, if more ask for them at once", () =>
    Effect.gen(function* () {
      const people = Array.from({ length: maxMembers + 10 }, (_, n) => ({ name: String(n), owner: String(n) }))
      const outcomes = yield* takeAll(people)
      assert.strictEqual(outcomes.filter((outcome) => outcome === "in").length, maxMembers)
    })
  )
})
