/**
 * The topics of several processes, over NATS with JetStream (2.9 or newer). Each topic is a stream, which keeps the history and
 * counts the offsets. The server tells what the stream has taken to all processes, by core NATS.
 *
 * Each broker has a connection of its own. It makes it again when it breaks, and every subscription then gets `Interrupted`.
 *
 * @since 0.1.0
 */
import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { NatsLink } from "./internal/NatsLink.js"
import { NatsPresence } from "./internal/NatsPresence.js"
import { NatsTopics, TooLarge } from "./internal/NatsTopics.js"
import { Outages } from "./internal/Outages.js"
import { integer, millis, token, type ClientOptions, type DurationInput, type Settings } from "./internal/settings.js"
import { TopicStreams } from "./internal/TopicStreams.js"

/**
 * The options of a broker. Durations are those of the Effect that is installed. Invalid ones are a defect.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * How to connect: options of `connect` of `@nats-io/transport-node`, such as `servers`, `user`, `pass`, `authenticator` and
   * `tls`. Default: `127.0.0.1`, port 4222.
   */
  readonly client?: ClientOptions | undefined
  /**
   * The beginning of all subjects and names of streams: letters, digits, `-` and `_`. Processes with the same prefix share their
   * topics. Default: `"topics"`.
   */
  readonly prefix?: string | undefined
  /** How many servers of a cluster keep each stream, from 1 to 5. Default: 1. */
  readonly replicas?: number | undefined
  /**
   * The bounds of the history of each topic. Beyond any of them the oldest publications are removed. The process that was the
   * last to begin with a topic decides.
   *
   * - `maxPublications`: at least 1. Default: 1,000.
   * - `maxBytes`: as JetStream counts them, with subjects and headers. Default: 1 MiB.
   * - `maxAge`: at least 100 milliseconds. Default: 5 minutes.
   */
  readonly history?:
    | {
        readonly maxPublications?: number | undefined
        readonly maxBytes?: number | undefined
        readonly maxAge?: DurationInput | undefined
      }
    | undefined
  /**
   * How long idempotency keys are remembered: at least 100 milliseconds, and no longer than `history.maxAge`, because JetStream
   * allows no more. Default: 5 minutes, or `history.maxAge` if that is shorter.
   */
  readonly idempotency?: { readonly maxAge?: DurationInput | undefined } | undefined
  /**
   * How long a topic without subscriptions is kept after its last use, with its history, if the process that used it still runs;
   * else at least half as long. It is deleted within half of this time more. Default: 10 minutes.
   */
  readonly unusedAge?: DurationInput | undefined
  /**
   * The longest `expiry` of a session of presence, at least 100 milliseconds. A longer one is a defect. Default: 5 minutes.
   */
  readonly maxExpiry?: DurationInput | undefined
  /**
   * How long an operation waits for a connection, and then for each reply. Then it fails with `TopicError` (`"Unavailable"`).
   * Default: 5 seconds.
   */
  readonly timeout?: DurationInput | undefined
  /**
   * How often the connection is tested with a `PING`, whose reply may take `timeout`. Default: 10 seconds. So a link that broke
   * without a sign is noticed after 15 seconds at most.
   */
  readonly heartbeat?: DurationInput | undefined
}

// JetStream takes no shorter ages, in milliseconds.
const minAge = 100

const resolve = (options: Options): Settings => {
  const { client, heartbeat, history, idempotency, maxExpiry, prefix, replicas, timeout, unusedAge } = options
  const maxAge = millis("history.maxAge", history?.maxAge ?? "5 minutes", minAge)
  const maxKeyAge = idempotency?.maxAge
  return {
    client: client ?? {},
    prefix: token("prefix", prefix ?? "topics"),
    replicas: integer("replicas", replicas ?? 1, 1, 5),
    maxPublications: integer("history.maxPublications", history?.maxPublications ?? 1_000, 1),
    maxBytes: integer("history.maxBytes", history?.maxBytes ?? 1024 * 1024, 1),
    maxAge,
    maxKeyAge:
      maxKeyAge === undefined
        ? Math.min(maxAge, millis("", "5 minutes"))
        : millis("idempotency.maxAge", maxKeyAge, minAge, maxAge),
    unusedAge: millis("unusedAge", unusedAge ?? "10 minutes"),
    maxExpiry: millis("maxExpiry", maxExpiry ?? "5 minutes", minAge),
    timeout: millis("timeout", timeout ?? "5 seconds"),
    heartbeat: millis("heartbeat", heartbeat ?? "10 seconds")
  }
}

interface Broker {
  readonly link: NatsLink
  readonly outages: Outages
  readonly topics: NatsTopics
  readonly presence: NatsPresence
  readonly maxExpiry: number
  readonly end: () => void
}

const start = (settings: Settings): Broker => {
  const outages = new Outages()
  const link = new NatsLink(settings, outages)
  const streams = new TopicStreams(link, settings)
  link.start()
  return {
    link,
    outages,
    topics: new NatsTopics(link, streams, settings.prefix),
    presence: new NatsPresence(link, settings),
    maxExpiry: settings.maxExpiry,
    end: () => {
      outages.end()
      streams.end()
      link.end()
    }
  }
}

const attempt = <A>(link: NatsLink, topic: string, call: () => Promise<A>): Effect.Effect<A, TopicBroker.TopicError> =>
  Effect.tryPromise({
    try: call,
    catch: (cause) =>
      cause instanceof TooLarge
        ? new TopicBroker.TopicError({ reason: "TooLarge", topic, max: cause.max })
        : new TopicBroker.TopicError({ reason: "Unavailable", topic, cause: link.explain(cause) })
  })

/** Something that begins at once, ends with the scope, and succeeds once it is active. */
const listening = <A>(
  link: NatsLink,
  topic: string,
  subscribe: () => { readonly start: () => Promise<A>; readonly end: () => void }
): Effect.Effect<A, TopicBroker.TopicError, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(Effect.sync(subscribe), (subscription) => Effect.sync(() => subscription.end())),
    (subscription) =>
      Effect.onError(
        attempt(link, topic, () => subscription.start()),
        () => Effect.sync(() => subscription.end())
      )
  )

const service = ({ link, maxExpiry, presence, topics }: Broker): TopicBroker.Service => ({
  // A cluster that elects another leader may not tell the last publications of the one before.
  isReliable: false,
  publish: (topic, message, options) => attempt(link, topic, () => topics.publish(topic, message, options)),
  history: (topic, { limit, since }) =>
    Effect.flatMap(
      Effect.sync(() => integer("limit", limit, 1)),
      (limit) => attempt(link, topic, () => topics.history(topic, { limit, since }))
    ),
  position: (topic) => attempt(link, topic, () => topics.position(topic)),
  remove: (topic) => attempt(link, topic, () => topics.remove(topic)),
  subscribe: (topic, listener) => listening(link, topic, () => topics.subscribe(topic, listener)),
  presence: {
    set: (topic, entry, expiry) =>
      Effect.flatMap(
        Effect.sync(() => millis("expiry", expiry, 1, maxExpiry)),
        (expiry) => attempt(link, topic, () => presence.set(topic, entry, expiry))
      ),
    remove: (topic, key, session) => attempt(link, topic, () => presence.remove(topic, key, session)),
    list: (topic) => attempt(link, topic, () => presence.list(topic)),
    changes: (topic, listener) => listening(link, topic, () => presence.listen(topic, listener))
  }
})

/** Logs for as long as the scope lives. */
const logOutages = (outages: Outages): Effect.Effect<unknown, never, Scope.Scope> =>
  Effect.forkScoped(
    Effect.forever(
      Effect.flatMap(
        Effect.promise(() => outages.next()),
        (event) =>
          event === undefined
            ? Effect.logInfo("There is a connection to NATS again")
            : Effect.logWarning(`There is no connection to NATS, so operations fail: ${event.reason}`)
      )
    )
  )

/**
 * Makes a broker. It succeeds at once: operations wait for the first connection, at most `timeout`, and fail with `TopicError`
 * (`"Unavailable"`) if there is none. The broker and its connection end with the scope.
 *
 * If the connection breaks or cannot be made, it logs a warning, once, and an information when there is one again.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<TopicBroker.Service, never, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => start(resolve(options))),
      (broker) => Effect.sync(broker.end)
    ),
    (broker) => Effect.as(logOutages(broker.outages), service(broker))
  )

/**
 * A layer with a broker. See `make`.
 *
 * @example
 * ```ts
 * import { Topics } from "@effect-websocket/platform"
 * import { NatsTopicBroker } from "@effect-websocket/topics-nats"
 * import { Layer } from "effect"
 *
 * const layer = Topics.layerBroker().pipe(
 *   Layer.provide(
 *     NatsTopicBroker.layer({
 *       client: { servers: "nats://localhost:4222" },
 *       history: { maxPublications: 100, maxAge: "1 hour" }
 *     })
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<TopicBroker.TopicBroker> => TopicBroker.layer(make(options))

/**
 * A layer with a broker whose options come from a `Config`. It fails with `ConfigError` if the configuration is missing or
 * invalid. See `make`.
 *
 * @example
 * ```ts effect-4
 * import { NatsTopicBroker } from "@effect-websocket/topics-nats"
 * import { Config } from "effect"
 *
 * const layer = NatsTopicBroker.layerConfig(
 *   Config.String("NATS_URL").pipe(Config.map((servers) => ({ client: { servers } })))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (config: Config.Config<Options>): ReturnType<typeof TopicBroker.layerConfig> =>
  TopicBroker.layerConfig(config, make)
