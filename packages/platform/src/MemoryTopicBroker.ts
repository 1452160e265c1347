/**
 * The topics of one process, in its memory. It is reliable. It does not survive the process: each position of an earlier
 * process has another epoch, and is a gap.
 *
 * @since 3.0.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { count } from "./engine/checks.js"
import { toMessage } from "./engine/connection/sendable.js"
import { randomToken } from "./engine/random.js"
import { MemoryPresence } from "./engine/topics/MemoryPresence.js"
import {
  MemoryTopics,
  tooManyTopics,
  type MemoryTopicsSettings,
  type TooManyTopics
} from "./engine/topics/MemoryTopics.js"
import type { DurationInput } from "./internal/effect.js"
import { integerFromZero, timeout } from "./internal/settings.js"
import { timers } from "./internal/timers.js"
import * as TopicBroker from "./TopicBroker.js"

/**
 * The options of `layer`.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options {
  /**
   * The bounds of the history of each topic. Beyond any of them the oldest publications are removed.
   *
   * - `maxPublications`: default 1,000. With 0 there is no history.
   * - `maxBytes`: the bytes of the messages together. Default: 1 MiB.
   * - `maxAge`: default 5 minutes.
   * - `maxTotalBytes`: the bytes of the messages of all topics together, and 200 more for each. Default: 256 MiB. Beyond it,
   *   the topic whose last publication is the longest ago loses its history. Its positions stay, and who missed something is
   *   told of a gap.
   */
  readonly history?:
    | {
        readonly maxPublications?: number | undefined
        readonly maxBytes?: number | undefined
        readonly maxAge?: DurationInput | undefined
        readonly maxTotalBytes?: number | undefined
      }
    | undefined
  /**
   * How many idempotency keys of each topic are remembered, and for how long. Default: 1,000 keys, 5 minutes. Beyond either
   * bound the oldest is forgotten.
   */
  readonly idempotency?:
    { readonly maxKeys?: number | undefined; readonly maxAge?: DurationInput | undefined } | undefined
  /**
   * How many topics are kept. Default: 100,000. For one more, the topic without subscriptions whose last use is the longest
   * ago is forgotten with its history. If every topic has a subscription, the operation fails with `TopicError`
   * (`"TooManyTopics"`).
   */
  readonly maxTopics?: number | undefined
  /** How long a topic without subscriptions is kept after its last use, with its history. Default: 10 minutes. */
  readonly unusedAge?: DurationInput | undefined
}

const resolve = ({ history, idempotency, maxTopics, unusedAge }: Options): MemoryTopicsSettings => ({
  history: {
    maxPublications: integerFromZero("history.maxPublications", history?.maxPublications ?? 1_000),
    maxBytes: integerFromZero("history.maxBytes", history?.maxBytes ?? 1024 * 1024),
    maxAge: timeout("history.maxAge", history?.maxAge ?? "5 minutes"),
    maxTotalBytes: integerFromZero("history.maxTotalBytes", history?.maxTotalBytes ?? 256 * 1024 * 1024)
  },
  idempotency: {
    maxKeys: count("idempotency.maxKeys", idempotency?.maxKeys ?? 1_000),
    maxAge: timeout("idempotency.maxAge", idempotency?.maxAge ?? "5 minutes")
  },
  maxTopics: count("maxTopics", maxTopics ?? 100_000),
  unusedAge: timeout("unusedAge", unusedAge ?? "10 minutes")
})

/**
 * Makes a broker for one process. It ends with the scope. Invalid options are a defect.
 *
 * @since 3.0.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<TopicBroker.Service, never, Scope.Scope> =>
  Effect.flatMap(timers, (timers) =>
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => ({
          topics: new MemoryTopics(resolve(options), timers, randomToken),
          presence: new MemoryPresence(timers)
        })),
        ({ presence, topics }) =>
          Effect.sync(() => {
            topics.stop()
            presence.stop()
          })
      ),
      ({ presence, topics }) => service(topics, presence)
    )
  )

/**
 * A layer with a broker for one process. Invalid options are a defect.
 *
 * @example
 * ```ts
 * import { MemoryTopicBroker, Topics } from "@effect-websocket/platform"
 * import { Layer } from "effect"
 *
 * const layer = Topics.layerBroker().pipe(
 *   Layer.provide(MemoryTopicBroker.layer({ history: { maxPublications: 100, maxAge: "1 hour" }, unusedAge: "1 hour" }))
 * )
 * ```
 *
 * @since 3.0.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<TopicBroker.TopicBroker> => TopicBroker.layer(make(options))

const service = (topics: MemoryTopics, presence: MemoryPresence): TopicBroker.Service => {
  const attempt = <A>(topic: string, call: () => A | TooManyTopics): Effect.Effect<A, TopicBroker.TopicError> =>
    Effect.suspend(() => {
      const result = call()
      return result === tooManyTopics
        ? Effect.fail(new TopicBroker.TopicError({ reason: "TooManyTopics", topic, max: topics.settings.maxTopics }))
        : Effect.succeed(result)
    })
  return {
    isReliable: true,
    publish: (topic, message, options) =>
      attempt(topic, () => topics.publish(topic, toMessage(message), options?.idempotencyKey, options?.publisher)),
    history: (topic, { limit, since }) => attempt(topic, () => topics.history(topic, since, count("limit", limit))),
    position: (topic) => attempt(topic, () => topics.position(topic)),
    remove: (topic) => Effect.sync(() => topics.remove(topic)),
    subscribe: (topic, listener) =>
      Effect.map(
        Effect.acquireRelease(
          attempt(topic, () => topics.subscribe(topic, listener)),
          ({ end }) => Effect.sync(end)
        ),
        ({ position }) => position
      ),
    presence: {
      set: (topic, entry, expiry) => Effect.sync(() => presence.set(topic, entry, timeout("expiry", expiry))),
      remove: (topic, key, session) => Effect.sync(() => presence.remove(topic, key, session)),
      list: (topic) => Effect.sync(() => presence.list(topic)),
      changes: (topic, listener) =>
        Effect.asVoid(
          Effect.acquireRelease(
            Effect.sync(() => presence.listen(topic, listener)),
            (end) => Effect.sync(end)
          )
        )
    }
  }
}
