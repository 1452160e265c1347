/**
 * `pnpm topics-demo`: publishes to a topic while a subscriber is cut off, and shows how the subscriber comes back: recovered, or
 * with a gap. It needs no server.
 */
import { Topics, type TopicBroker } from "@effect-websocket/platform"
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Stream } from "effect"

const room = "rooms/lobby"

const show = (event: Topics.TopicEvent): string => {
  switch (event._tag) {
    case "New":
      return `begins at ${event.position.offset}`
    case "Recovered":
      return `recovered from ${event.position.offset}: ${event.missed} missed`
    case "Gap":
      return `GAP: goes on at ${event.position.offset}, load the state anew`
    case "Publication":
      return `${event.position.offset} ${String(event.message.data)}`
  }
}

/** Reads `count` elements, as a subscriber does until its connection breaks. Succeeds with its last position. */
const read = (count: number, since?: TopicBroker.Position) =>
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    let last = since
    const elements = Stream.take(topics.subscribe(room, { since }), count)
    yield* Stream.runForEach(elements, (event) => {
      last = event.position
      return Console.log(`  subscriber  ${show(event)}`)
    })
    return last
  })

const publish = (from: number, to: number) =>
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    for (let n = from; n <= to; n++) yield* topics.publish(room, `message ${n}`)
    yield* Console.log(`publisher     published ${from} to ${to}`)
  })

const program = Effect.gen(function* () {
  const topics = yield* Topics.Topics
  const start = yield* topics.position(room)
  yield* publish(1, 2)
  const first = yield* read(3, start)
  yield* Console.log("network       the subscriber is cut off")
  yield* publish(3, 5)
  yield* Console.log("network       the subscriber comes back")
  const second = yield* read(4, first)
  yield* Console.log("network       the subscriber is cut off for longer than the history of 5 publications")
  yield* publish(6, 12)
  yield* Console.log("network       the subscriber comes back")
  yield* read(1, second)
})

program.pipe(Effect.provide(Topics.layer({ history: { maxPublications: 5 } })), NodeRuntime.runMain)
