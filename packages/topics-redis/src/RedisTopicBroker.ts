/**
 * The topics of several processes, over a Redis or Valkey server (7.0 or newer). Publications travel by pub/sub, and streams
 * keep their history. Each operation is one Lua script, so that it happens as a whole or not at all.
 *
 * Each broker has two connections of its own: one for scripts, and one for subscriptions. It makes them again when they break,
 * and every subscription then gets `Interrupted`. Scripts may also run over a client of the app (`fromClient`).
 *
 * @since 0.1.0
 */
import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Channels } from "./internal/Channels.js"
import { RedisLink } from "./internal/RedisLink.js"
import { AppClient } from "./internal/AppClient.js"
import { Outages } from "./internal/Outages.js"
import { RedisPresence } from "./internal/RedisPresence.js"
import { RedisTopics } from "./internal/RedisTopics.js"
import { connectionOf, integer, millis } from "./internal/settings.js"
import type * as settings from "./internal/settings.js"
import type { ClientOptions, DurationInput, Settings } from "./internal/settings.js"

/**
 * A connected client of `@redis/client` or `redis`. Only what the broker uses of it.
 *
 * @since 0.1.0
 * @category models
 */
export type Client = settings.Client

/**
 * The options of a broker. Durations are those of the Effect that is installed. Invalid ones are a defect.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * How to connect: options of `createClient` of `@redis/client`, such as `url`, `socket`, `username` and `password`. Default:
   * `localhost`, port 6379.
   */
  readonly client?: ClientOptions | undefined
  /**
   * The beginning of all keys and channels. Processes with the same prefix share their topics. Channels are the same in all
   * databases of a server. Default: `"topics:"`.
   */
  readonly prefix?: string | undefined
  /**
   * The bounds of the history of each topic. Beyond any of them the oldest publications are removed. The server may keep a
   * sixteenth more of them for a while, which nobody is given.
   *
   * - `maxPublications`: default 1,000. With 0 there is no history.
   * - `maxBytes`: the bytes of the messages together. Default: 1 MiB.
   * - `maxAge`: default 5 minutes.
   */
  readonly history?:
    | {
        readonly maxPublications?: number | undefined
        readonly maxBytes?: number | undefined
        readonly maxAge?: DurationInput | undefined
      }
    | undefined
  /**
   * How many idempotency keys of each topic are remembered, and for how long. Default: 1,000 keys, 5 minutes. Beyond either
   * bound the oldest is forgotten.
   */
  readonly idempotency?:
    { readonly maxKeys?: number | undefined; readonly maxAge?: DurationInput | undefined } | undefined
  /**
   * How long a topic without subscriptions is kept after its last use, with its history. Default: 10 minutes. A process with a
   * subscription uses its topic three times in this time.
   */
  readonly unusedAge?: DurationInput | undefined
  /**
   * How long an operation waits for a connection, and then for the reply. Then it fails with `TopicError` (`"Unavailable"`).
   * If the server does not reply, the connection is made again. Default: 5 seconds.
   */
  readonly timeout?: DurationInput | undefined
  /**
   * How often each connection is tested with a `PING`, whose reply may take `timeout`. Default: 10 seconds. So a link that broke
   * without a sign is noticed after 15 seconds at most.
   */
  readonly heartbeat?: DurationInput | undefined
}

const resolve = (options: Options): Settings => {
  const { client, heartbeat, history, idempotency, prefix, timeout, unusedAge } = options
  return {
    client: connectionOf(client ?? {}),
    prefix: prefix ?? "topics:",
    maxPublications: integer("history.maxPublications", history?.maxPublications ?? 1_000, 0),
    maxBytes: integer("history.maxBytes", history?.maxBytes ?? 1024 * 1024, 0),
    maxAge: millis("history.maxAge", history?.maxAge ?? "5 minutes"),
    maxKeys: integer("idempotency.maxKeys", idempotency?.maxKeys ?? 1_000, 1),
    maxKeyAge: millis("idempotency.maxAge", idempotency?.maxAge ?? "5 minutes"),
    unusedAge: millis("unusedAge", unusedAge ?? "10 minutes"),
    timeout: millis("timeout", timeout ?? "5 seconds"),
    heartbeat: millis("heartbeat", heartbeat ?? "10 seconds")
  }
}

interface Broker {
  readonly topics: RedisTopics
  readonly presence: RedisPresence
  readonly outages: Outages
  readonly end: () => void
}

/** Scripts run over a connection of its own, or over the client of the app. */
const start = (settings: Settings, client: Client | undefined): Broker => {
  const outages = new Outages()
  const channels = new Channels(settings, outages)
  const onReadOnly = (cause: unknown): void => channels.link.restartNow(cause)
  const runner =
    client === undefined
      ? startLink(settings, outages, onReadOnly)
      : new AppClient(client, settings.timeout, onReadOnly)
  channels.link.start()
  return {
    topics: new RedisTopics(runner, channels, settings),
    presence: new RedisPresence(runner, channels, settings.prefix),
    outages,
    end: () => {
      outages.end()
      runner.end()
      channels.link.end()
    }
  }
}

const startLink = (settings: Settings, outages: Outages, onReadOnly: (cause: unknown) => void): RedisLink => {
  const link = new RedisLink(settings, outages, () => {}, onReadOnly)
  link.start()
  return link
}

const attempt = <A>(
  topic: string,
  call: (signal: AbortSignal) => Promise<A>
): Effect.Effect<A, TopicBroker.TopicError> =>
  Effect.tryPromise({
    // A function without a parameter costs no signal.
    try: call,
    catch: (cause) => new TopicBroker.TopicError({ reason: "Unavailable", topic, cause })
  })

/** Something that begins at once, ends with the scope, and succeeds once it is active. */
const listening = <A>(
  topic: string,
  subscribe: () => { readonly start: () => Promise<A>; readonly end: () => void }
): Effect.Effect<A, TopicBroker.TopicError, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(Effect.sync(subscribe), (subscription) => Effect.sync(() => subscription.end())),
    (subscription) =>
      Effect.onError(
        attempt(topic, () => subscription.start()),
        () => Effect.sync(() => subscription.end())
      )
  )

const service = ({ presence, topics }: Broker): TopicBroker.Service => ({
  isReliable: true,
  publish: (topic, message, options) => attempt(topic, () => topics.publish(topic, message, options)),
  history: (topic, { limit, since }) =>
    Effect.flatMap(
      Effect.sync(() => integer("limit", limit, 1)),
      (limit) => attempt(topic, () => topics.history(topic, { limit, since }))
    ),
  position: (topic) => attempt(topic, () => topics.position(topic)),
  remove: (topic) => attempt(topic, () => topics.remove(topic)),
  subscribe: (topic, listener) => listening(topic, () => topics.subscribe(topic, listener)),
  presence: {
    set: (topic, entry, expiry) =>
      Effect.flatMap(
        Effect.sync(() => millis("expiry", expiry)),
        (expiry) => attempt(topic, (signal) => presence.set(topic, entry, expiry, signal))
      ),
    remove: (topic, key, session) => attempt(topic, () => presence.remove(topic, key, session)),
    list: (topic) => attempt(topic, () => presence.list(topic)),
    changes: (topic, listener) => listening(topic, () => presence.listen(topic, listener))
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
            ? Effect.logInfo("There is a connection to Redis again")
            : Effect.logWarning(`There is no connection to Redis, so operations fail: ${event.reason}`)
      )
    )
  )

/**
 * Makes a broker. It succeeds at once: operations wait for the first connection, at most `timeout`, and fail with `TopicError`
 * (`"Unavailable"`) if there is none. The broker and its connections end with the scope.
 *
 * If a connection breaks or cannot be made, it logs a warning, once, and an information when there is one again.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<TopicBroker.Service, never, Scope.Scope> =>
  acquire(options, undefined)

const acquire = (
  options: Options,
  client: Client | undefined
): Effect.Effect<TopicBroker.Service, never, Scope.Scope> =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => start(resolve(options), client)),
      (broker) => Effect.sync(broker.end)
    ),
    (broker) => Effect.as(logOutages(broker.outages), service(broker))
  )

/**
 * Makes a broker that runs its scripts over the connected client of the app. It makes one more connection with the options of
 * that client, for subscriptions. The app ends its client, and says what happens when its connection breaks: meanwhile
 * operations wait, at most `timeout`, and fail with `TopicError` (`"Unavailable"`). `heartbeat` tests the other connection only.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromClient = (
  client: Client,
  options?: Omit<Options, "client">
): Effect.Effect<TopicBroker.Service, never, Scope.Scope> => acquire({ ...options, client: client.options }, client)

/**
 * A layer with a broker. See `make`.
 *
 * @example
 * ```ts
 * import { Topics } from "@effect-websocket/platform"
 * import { RedisTopicBroker } from "@effect-websocket/topics-redis"
 * import { Layer } from "effect"
 *
 * const layer = Topics.layerBroker().pipe(
 *   Layer.provide(
 *     RedisTopicBroker.layer({
 *       client: { url: "redis://localhost:6379" },
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
 * A layer with a broker over the client of the app. See `fromClient`. With Effect 4, the client may be that of its `NodeRedis`.
 *
 * @example
 * ```ts effect-4
 * import { Topics } from "@effect-websocket/platform"
 * import { RedisTopicBroker } from "@effect-websocket/topics-redis"
 * import { NodeRedis } from "@effect/platform-node"
 * import { Effect, Layer } from "effect"
 *
 * const layer = Topics.layerBroker().pipe(
 *   Layer.provide(RedisTopicBroker.layerClient(Effect.map(NodeRedis.NodeRedis, ({ client }) => client))),
 *   Layer.provide(NodeRedis.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerClient = <E, R>(
  client: Effect.Effect<Client, E, R>,
  options?: Omit<Options, "client">
): ReturnType<typeof TopicBroker.layer<E, R>> =>
  TopicBroker.layer(Effect.flatMap(client, (client) => fromClient(client, options)))

/**
 * A layer with a broker whose options come from a `Config`. It fails with `ConfigError` if the configuration is missing or
 * invalid. See `make`.
 *
 * @example
 * ```ts effect-4
 * import { RedisTopicBroker } from "@effect-websocket/topics-redis"
 * import { Config } from "effect"
 *
 * const layer = RedisTopicBroker.layerConfig(
 *   Config.String("REDIS_URL").pipe(Config.map((url) => ({ client: { url } })))
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (config: Config.Config<Options>): ReturnType<typeof TopicBroker.layerConfig> =>
  TopicBroker.layerConfig(config, make)
