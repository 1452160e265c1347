/**
 * Topics: what is published to a topic reaches all its members, with positions, recovery and backpressure for each of them.
 *
 * @since 3.0.0
 */
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Name as CloseCodeName } from "@effect-websocket/protocol/CloseCode"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { bytes, count } from "./engine/checks.js"
import { toCloseCode } from "./engine/connection/sendable.js"
import { charge, overdraft, type Rate } from "./engine/Rate.js"
import { TopicPattern } from "./engine/topics/TopicName.js"
import { ContextService, forever, layerEffect, runtime, type DurationInput } from "./internal/effect.js"
import { named, namedStream } from "./internal/named.js"
import { integerFromZero, timeout } from "./internal/settings.js"
import type { MemberSettings } from "./internal/SocketMember.js"
import * as internalError from "./internal/TopicError.js"
import type * as internal from "./internal/topicEvents.js"
import { timers } from "./internal/timers.js"
import { currentMetering, meteredTopics } from "./internal/metered.js"
import { TopicHub, type Beginning } from "./internal/TopicHub.js"
import * as MemoryTopicBroker from "./MemoryTopicBroker.js"
import * as TopicBroker from "./TopicBroker.js"
import type * as WebSocket from "./WebSocket.js"

/**
 * How a subscriber begins.
 *
 * - `New`: behind `position`.
 * - `Recovered`: behind `position`, which it asked for. `missed` publications follow that have been published since, and then
 *   the later ones.
 * - `Gap`: publications are missing. It goes on behind `position`.
 *
 * @since 3.0.0
 * @category models
 */
export type Started = internal.Started

/**
 * What a subscriber gets: how it begins, then publications. A `Gap` may also come later. Between two elements without a gap
 * nothing is missing.
 *
 * @since 3.0.0
 * @category models
 */
export type TopicEvent = internal.TopicEvent

/**
 * What happens to a publication if a member does not read fast enough.
 *
 * - `"suspend"`: `publish` waits for it, if it was called in this process.
 * - `"dropping"`: the member does not get it.
 * - `"sliding"`: the member does not get the oldest of those that wait.
 * - `"close"`: the connection is closed; a stream fails with `TopicError` (`"TooSlow"`).
 *
 * @since 3.0.0
 * @category models
 */
export type SlowStrategy = "suspend" | "dropping" | "sliding" | "close"

/**
 * The options of one publish.
 *
 * - `idempotencyKey`: if a publish with this key has succeeded in this topic a short time ago, nothing is published, and the
 *   position of that one is the result.
 * - `except`: a connection that does not get the publication.
 *
 * @since 3.0.0
 * @category models
 */
export interface PublishOptions {
  readonly idempotencyKey?: string | undefined
  readonly except?: WebSocket.AnyWebSocket | undefined
}

/**
 * Where a subscriber begins.
 *
 * @since 3.0.0
 * @category models
 */
export interface BeginOptions {
  /** The position behind which it goes on. Default: it begins now. */
  readonly since?: TopicBroker.Position | undefined
  /** How many of the newest publications it gets first, if there is no `since`. Default: 0. */
  readonly last?: number | undefined
}

/**
 * The options of `subscribe`.
 *
 * @since 3.0.0
 * @category models
 */
export interface SubscribeOptions extends BeginOptions {
  /** What happens if the reader is slow. Default: `"close"`. */
  readonly slowStrategy?: SlowStrategy | undefined
  /** How many bytes of publications may wait for the reader; each counts 64 bytes more. Default: 1 MiB. */
  readonly maxWaitingBytes?: number | undefined
}

/**
 * The options of `attach`.
 *
 * @since 3.0.0
 * @category models
 */
export interface AttachOptions extends BeginOptions {
  /**
   * What happens if the peer is slow, that is, if `send` would have to wait. It counts in place of the option `sendStrategy`
   * of the connection. Default: `"close"`.
   */
  readonly slowStrategy?: SlowStrategy | undefined
  /** How many topics the connection may be attached to. Default: no limit. One more fails with `TopicError` (`"TooManyTopics"`). */
  readonly maxTopics?: number | undefined
  /** The code of the Close with the strategy `"close"`. Default: 1008. */
  readonly slowCloseCode?: number | CloseCodeName | undefined
  /** Whether publications are compressed. Default: the options of the connection decide. */
  readonly compress?: boolean | undefined
  /**
   * What the peer is sent for an element of a topic; nothing if that is `undefined`. Members that share this function share its results,
   * so make it once. Default: a publication is sent as it is, the beginning is not sent, and a gap closes the connection with
   * 1013. If it throws, the connection is closed with 1011.
   */
  readonly encode?: ((event: TopicEvent, topic: string) => WebSocket.Data | undefined) | undefined
}

/**
 * The methods of the service.
 *
 * @since 3.0.0
 * @category models
 */
export interface Service {
  /** Publishes a message to all members, and succeeds with its position. If it is interrupted, it has happened or not. */
  readonly publish: (
    topic: string,
    data: WebSocket.Data,
    options?: PublishOptions
  ) => Effect.Effect<TopicBroker.Position, TopicBroker.TopicError>
  /** The publications of a topic. The first element says how it begins. */
  readonly subscribe: (topic: string, options?: SubscribeOptions) => Stream.Stream<TopicEvent, TopicBroker.TopicError>
  /**
   * Sends the publications of a topic to a connection, until the scope ends, `detach` is called or the connection ends.
   * Succeeds with how it begins, once the peer has been sent what it missed.
   */
  readonly attach: (
    socket: WebSocket.WebSocket | WebSocket.StreamingWebSocket,
    topic: string,
    options?: AttachOptions
  ) => Effect.Effect<Started, TopicBroker.TopicError | ConnectionError, Scope.Scope>
  /** Ends an `attach`. Does nothing if there is none. */
  readonly detach: (socket: WebSocket.WebSocket | WebSocket.StreamingWebSocket, topic: string) => Effect.Effect<void>
  /** The position behind the newest publication. It exists before the first one. */
  readonly position: (topic: string) => Effect.Effect<TopicBroker.Position, TopicBroker.TopicError>
  /** Part of the history; see `TopicBroker.Service`. */
  readonly history: (
    topic: string,
    options: TopicBroker.HistoryOptions
  ) => Effect.Effect<TopicBroker.HistoryPage, TopicBroker.TopicError>
  /** Removes the history of a topic. Its members are told of a gap. */
  readonly remove: (topic: string) => Effect.Effect<void, TopicBroker.TopicError>
  /** How many members of this process get the publications of a topic. */
  readonly memberCount: (topic: string) => Effect.Effect<number>
}

/**
 * The service tag of topics.
 *
 * @since 3.0.0
 * @category tags
 */
export class Topics extends ContextService<Topics, Service>()("@effect-websocket/platform/Topics") {}

const defaultWaitingBytes = 1024 * 1024

const beginning = ({ last = 0, since }: BeginOptions): Beginning => ({ since, last: integerFromZero("last", last) })

/** Makes the settings of members. Members in a row with the same options share them. */
const settingsOf = () => {
  let last: MemberSettings | undefined
  return ({ compress, encode, slowCloseCode, slowStrategy = "close" }: AttachOptions): MemberSettings => {
    const closeCode = slowCloseCode === undefined ? undefined : toCloseCode(slowCloseCode)
    if (
      last?.slow.sendStrategy !== slowStrategy ||
      last.slow.closeCode !== closeCode ||
      last.encode !== encode ||
      last.sendOptions?.compress !== compress
    ) {
      last = {
        slow: { sendStrategy: slowStrategy, closeCode },
        sendOptions: compress === undefined ? undefined : { compress },
        encode
      }
    }
    return last
  }
}

/**
 * The options of topics over a broker.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options {
  /**
   * How often the positions of topics with members are compared with those of a broker that is not reliable, so that a quiet
   * topic notices a publication that it missed. Default: 30 seconds.
   */
  readonly checkInterval?: DurationInput | undefined
}

/**
 * Makes topics over a broker. They end with the scope. Invalid options are a defect.
 *
 * @since 3.0.0
 * @category constructors
 */
export const make = ({ checkInterval = "30 seconds" }: Options = {}): Effect.Effect<
  Service,
  never,
  TopicBroker.TopicBroker | Scope.Scope
> =>
  Effect.gen(function* () {
    const broker = yield* TopicBroker.TopicBroker
    const services = yield* runtime<never>()
    const memberSettings = settingsOf()
    const interval = yield* Effect.sync(() => timeout("checkInterval", checkInterval))
    const metering = yield* currentMetering
    const hub = yield* Effect.acquireRelease(
      Effect.sync(() => new TopicHub(broker, services, metering)),
      (hub) => Effect.sync(() => hub.end())
    )
    yield* meteredTopics(metering, hub)
    if (!broker.isReliable) yield* Effect.forkScoped(forever(Effect.delay(hub.check, interval)))
    return {
      publish: (topic, data, options) =>
        named(topic, () => hub.publish(topic, data, options?.idempotencyKey, options?.except)),
      subscribe: (topic, options = {}) =>
        namedStream(topic, () =>
          hub.stream(
            topic,
            options.slowStrategy ?? "close",
            bytes("maxWaitingBytes", options.maxWaitingBytes ?? defaultWaitingBytes),
            beginning(options)
          )
        ),
      attach: (socket, topic, options = {}) =>
        named(topic, () => hub.attach(socket, topic, memberSettings(options), beginning(options), options.maxTopics)),
      detach: (socket, topic) => Effect.sync(() => hub.detach(socket, topic)),
      position: (topic) => named(topic, () => broker.position(topic)),
      history: (topic, options) => named(topic, () => broker.history(topic, options)),
      remove: (topic) => named(topic, () => broker.remove(topic)),
      memberCount: (topic) => Effect.sync(() => hub.memberCount(topic))
    } satisfies Service
  })

/**
 * Topics over the broker in the context. Invalid options are a defect.
 *
 * @since 3.0.0
 * @category layers
 */
export const layerBroker = (options?: Options): Layer.Layer<Topics, never, TopicBroker.TopicBroker> =>
  layerEffect(Topics, make(options))

/**
 * Topics in the memory of this process. Invalid options are a defect.
 *
 * @since 3.0.0
 * @category layers
 */
export const layer = (options?: MemoryTopicBroker.Options): Layer.Layer<Topics> =>
  Layer.provide(layerBroker(), MemoryTopicBroker.layer(options))

/**
 * What a connection asks for.
 *
 * - `topic`: the name that it gave.
 * - `matched`: the segments that the asterisks of the pattern stand for.
 *
 * @since 3.0.0
 * @category access
 */
export interface Access {
  readonly topic: string
  readonly matched: ReadonlyArray<string>
}

/**
 * Whether something is allowed: always, never, or as an effect decides for each request. The effect may also fail with a
 * `TopicError` of its own.
 *
 * @since 3.0.0
 * @category access
 */
export type Permission<R> = boolean | ((access: Access) => Effect.Effect<boolean, TopicBroker.TopicError, R>)

/**
 * What a rule allows. Whatever it does not name is denied.
 *
 * - `subscribe`: `attach`, `position` and `history`.
 * - `publish`: `publish`.
 * - `presence`: to be present, and to see who is. `TopicsServer` asks for it.
 *
 * @since 3.0.0
 * @category access
 */
export interface Permissions<R> {
  readonly subscribe?: Permission<R> | undefined
  readonly publish?: Permission<R> | undefined
  readonly presence?: Permission<R> | undefined
}

/**
 * What connections may do in the topics that match a pattern. Made by `rule`.
 *
 * @since 3.0.0
 * @category access
 */
export interface Rule<R> extends Permissions<R> {
  readonly pattern: string
  readonly match: (topic: string) => ReadonlyArray<string> | undefined
}

/**
 * Makes a rule. In a pattern, `*` stands for one segment of a name, and `**`, at its end, for one or more: as in the globs
 * of files. Segments are separated by slashes, so a name can be the path of a URL. An invalid pattern is a defect
 * (`RangeError`).
 *
 * @example
 * ```ts
 * import { Topics } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * declare const isMember: (room: string, user: string) => Effect.Effect<boolean>
 *
 * const rules = (user: string) => [
 *   Topics.rule("rooms/*", { subscribe: ({ matched: [room = ""] }) => isMember(room, user), publish: true }),
 *   Topics.rule("news/**", { subscribe: true })
 * ]
 * ```
 *
 * @since 3.0.0
 * @category access
 */
export const rule = <R = never>(pattern: string, permissions: Permissions<R>): Rule<R> => {
  const compiled = new TopicPattern(pattern)
  return { ...permissions, pattern, match: (topic) => compiled.match(topic) }
}

/**
 * The options of `forConnection`.
 *
 * @since 3.0.0
 * @category access
 */
export interface ConnectionOptions<R> {
  /** The first rule whose pattern matches a topic decides. A topic without a rule is denied. */
  readonly rules: ReadonlyArray<Rule<R>>
  /** How many topics the connection may be attached to. Default: 100. One more fails with `TopicError` (`"TooManyTopics"`). */
  readonly maxTopics?: number | undefined
  /**
   * How much it may publish: at most `limit` publications per `interval`; bursts of up to `limit` are allowed. Default: no limit.
   * One more fails with `TopicError` (`"TooFast"`).
   */
  readonly publishRate?: { readonly limit: number; readonly interval: DurationInput } | undefined
  /**
   * Whose idempotency keys these are, for example an id of the user. The keys of different owners never meet. Default: all
   * connections without an owner share their keys.
   */
  readonly owner?: string | undefined
}

/**
 * Topics as one connection may use them. The methods are those of `Service`, but they follow the rules and limits of the
 * connection.
 *
 * @since 3.0.0
 * @category access
 */
export interface ConnectionTopics<R> {
  readonly attach: (
    topic: string,
    options?: Omit<AttachOptions, "maxTopics">
  ) => Effect.Effect<Started, TopicBroker.TopicError | ConnectionError, R | Scope.Scope>
  readonly detach: (topic: string) => Effect.Effect<void>
  /** Fails with `TopicError` (`"InvalidName"`, `"Denied"`) if the rules do not allow something. */
  readonly allow: (topic: string, operation: keyof Permissions<R>) => Effect.Effect<void, TopicBroker.TopicError, R>
  /**
   * The connection itself does not get the publication, unless `echo` is `true`. An idempotency key of more than 255 characters
   * fails with `TopicError` (`"TooLarge"`).
   */
  readonly publish: (
    topic: string,
    data: WebSocket.Data,
    options?: { readonly idempotencyKey?: string | undefined; readonly echo?: boolean | undefined }
  ) => Effect.Effect<TopicBroker.Position, TopicBroker.TopicError, R>
  readonly position: (topic: string) => Effect.Effect<TopicBroker.Position, TopicBroker.TopicError, R>
  readonly history: (
    topic: string,
    options: TopicBroker.HistoryOptions
  ) => Effect.Effect<TopicBroker.HistoryPage, TopicBroker.TopicError, R>
}

/**
 * Makes topics for a connection whose peer chooses the names. Code that you trust uses the service itself.
 *
 * @example
 * ```ts
 * import { Topics, WebSocketServer } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const rules = [Topics.rule("rooms/*", { subscribe: true, publish: true })]
 *
 * const Rooms = WebSocketServer.layerHandler((socket) =>
 *   Effect.gen(function* () {
 *     const topics = yield* Topics.forConnection(socket, {
 *       rules,
 *       maxTopics: 20,
 *       publishRate: { limit: 10, interval: "1 second" }
 *     })
 *     yield* topics.attach("rooms/lobby")
 *     yield* socket.run((message) => topics.publish("rooms/lobby", message))
 *   })
 * )
 * ```
 *
 * @since 3.0.0
 * @category access
 */
export const forConnection = <R = never>(
  socket: WebSocket.WebSocket | WebSocket.StreamingWebSocket,
  { maxTopics = 100, owner, publishRate, rules }: ConnectionOptions<R>
): Effect.Effect<ConnectionTopics<R>, never, Topics> =>
  Effect.gen(function* () {
    const topics = yield* Topics
    const clock = yield* timers
    const max = yield* Effect.sync(() => count("maxTopics", maxTopics))
    const rate = yield* Effect.sync(() => publishRate && rateOf(publishRate))
    let paidAt = 0
    const allow = (topic: string, operation: keyof Permissions<R>): Effect.Effect<void, TopicBroker.TopicError, R> =>
      named(topic, () =>
        Effect.flatMap(permitted(rules, topic, operation), (isAllowed) =>
          isAllowed ? Effect.void : Effect.fail(new TopicBroker.TopicError({ reason: "Denied", topic }))
        )
      )
    const withinRate = (topic: string): Effect.Effect<void, TopicBroker.TopicError> =>
      Effect.suspend(() => {
        if (rate === undefined) return Effect.void
        const { now } = clock
        if (overdraft(paidAt, now, rate.burst - rate.cost) > 0) {
          return Effect.fail(new TopicBroker.TopicError({ reason: "TooFast", topic }))
        }
        paidAt = charge(paidAt, now, rate.cost)
        return Effect.void
      })
    return {
      allow,
      attach: (topic, options) =>
        Effect.andThen(allow(topic, "subscribe"), topics.attach(socket, topic, { ...options, maxTopics: max })),
      detach: (topic) => topics.detach(socket, topic),
      publish: (topic, data, { echo = false, idempotencyKey } = {}) =>
        Effect.andThen(
          // The rate comes first, so that it also limits how often the rules are asked.
          Effect.andThen(
            Effect.andThen(withinRate(topic), withinKeyLength(topic, idempotencyKey)),
            allow(topic, "publish")
          ),
          topics.publish(topic, data, {
            idempotencyKey: idempotencyKey === undefined ? undefined : keyOf(owner, idempotencyKey),
            except: echo ? undefined : socket
          })
        ),
      position: (topic) => Effect.andThen(allow(topic, "subscribe"), topics.position(topic)),
      history: (topic, options) => Effect.andThen(allow(topic, "subscribe"), topics.history(topic, options))
    } satisfies ConnectionTopics<R>
  })

const rateOf = ({ interval, limit }: { readonly interval: DurationInput; readonly limit: number }): Rate => {
  const burst = timeout("publishRate.interval", interval)
  return { cost: burst / count("publishRate.limit", limit), burst }
}

// A broker bounds how many keys it remembers, but not how many bytes they have.
const maxKeyLength = 255

const withinKeyLength = (topic: string, key: string | undefined): Effect.Effect<void, TopicBroker.TopicError> =>
  key !== undefined && key.length > maxKeyLength
    ? Effect.fail(internalError.tooLarge(topic, maxKeyLength))
    : Effect.void

/** The length of the owner tells where it ends. Without an owner there is no length. */
const keyOf = (owner: string | undefined, key: string): string =>
  owner === undefined ? `:${key}` : `${owner.length}:${owner}${key}`

const permitted = <R>(
  rules: ReadonlyArray<Rule<R>>,
  topic: string,
  operation: keyof Permissions<R>
): Effect.Effect<boolean, TopicBroker.TopicError, R> => {
  for (const each of rules) {
    const matched = each.match(topic)
    if (matched === undefined) continue
    const permission = each[operation] ?? false
    return typeof permission === "boolean" ? Effect.succeed(permission) : permission({ topic, matched })
  }
  return Effect.succeed(false)
}
