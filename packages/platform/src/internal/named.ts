import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { refuseName } from "../engine/topics/TopicName.js"
import { TopicError } from "./TopicError.js"

const refuse = (topic: string): TopicError | undefined => {
  const cause = refuseName(topic)
  return cause === undefined ? undefined : new TopicError({ reason: "InvalidName", topic, cause })
}

/** Fails for an invalid name of a topic. */
export const named = <A, E, R>(topic: string, use: () => Effect.Effect<A, E, R>): Effect.Effect<A, E | TopicError, R> =>
  Effect.suspend((): Effect.Effect<A, E | TopicError, R> => {
    const refused = refuse(topic)
    return refused === undefined ? use() : Effect.fail(refused)
  })

/** Fails for an invalid name of a topic. */
export const namedStream = <A, E, R>(
  topic: string,
  use: () => Stream.Stream<A, E, R>
): Stream.Stream<A, E | TopicError, R> =>
  Stream.suspend((): Stream.Stream<A, E | TopicError, R> => {
    const refused = refuse(topic)
    return refused === undefined ? use() : Stream.fail(refused)
  })
