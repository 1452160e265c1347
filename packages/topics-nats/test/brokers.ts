import type * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import type { TopicError } from "@effect-websocket/platform/TopicBroker"
import * as NatsTopicBroker from "@effect-websocket/topics-nats/NatsTopicBroker"
import * as Message from "@effect-websocket/protocol/Message"
import { Effect, Logger, type Scope } from "./platform.js"

/** A broker that notices soon when something is wrong, and does not log it. */
export const node = (
  servers: string,
  options?: NatsTopicBroker.Options
): Effect.Effect<TopicBroker.Service, never, Scope.Scope> =>
  Effect.provide(
    NatsTopicBroker.make({ client: { servers }, timeout: "1 second", heartbeat: "150 millis", ...options }),
    Logger.layer([])
  )

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
export const eventually = <A>(operation: Effect.Effect<A, TopicError>): Effect.Effect<A> =>
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
