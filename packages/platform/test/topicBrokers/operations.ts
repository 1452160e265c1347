/** What the tests of brokers over real servers do with them. */
import type * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as Message from "@effect-websocket/protocol/Message"
import { Effect, Logger } from "../effect/index.js"

let made = 0
/** The name of a topic that no other test has. */
export const freshTopic = (): string => `topic/${++made}`

/** Numbers as texts. */
export const numbers = (from: number, to: number): ReadonlyArray<string> =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index))

export const publish = (broker: TopicBroker.Service, topic: string, text: string) =>
  broker.publish(topic, Message.text(text))

export const textOf = ({ message }: TopicBroker.Publication): string => String(message.data)

/** Waits until a condition holds. A test that waits for too long fails by its own timeout. */
export const until = <E>(condition: Effect.Effect<boolean, E>): Effect.Effect<void, E> =>
  Effect.flatMap(condition, (holds) =>
    holds ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(condition))
  )

export const untilTrue = (condition: () => boolean): Effect.Effect<void> => until(Effect.sync(condition))

/** Waits until an operation succeeds. */
export const eventually = <A>(operation: Effect.Effect<A, TopicBroker.TopicError>): Effect.Effect<A> =>
  Effect.matchEffect(operation, {
    onFailure: () => Effect.andThen(Effect.sleep("20 millis"), eventually(operation)),
    onSuccess: Effect.succeed
  })

/** What a subscription gets: texts, and `!` for `Interrupted`. */
export const listen = (broker: TopicBroker.Service, topic: string) =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    const epochs = new Set<string>()
    const position = yield* broker.subscribe(topic, (event) => {
      if (event._tag === "Publication") epochs.add(event.position.epoch)
      seen.push(event._tag === "Publication" ? textOf(event) : "!")
    })
    return { position, seen, epochs }
  })

/** The entries of the log, with their levels. */
export const recordLog = () => {
  const entries: Array<string> = []
  const logger = Logger.make<unknown, void>((entry) => {
    entries.push(`${Logger.levelOf(entry)} ${String(entry.message)}`)
  })
  return { entries, layer: Logger.layer([logger]) }
}
