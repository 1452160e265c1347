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
import { bytes } from "./engine/checks.js"
import { toCloseCode } from "./engine/connection/sendable.js"
import { ContextService, layerEffect, runtime } from "./internal/effect.js"
import { integerFromZero } from "./internal/settings.js"
import type { MemberSettings } from "./internal/SocketMember.js"
import type * as internal from "./internal/topicEvents.js"
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
  /** The code of the Close with the strategy `"close"`. Default: 1008. */
  readonly slowCloseCode?: number | CloseCodeName | undefined
  /** Whether publications are compressed. Default: the options of the connection decide. */
  readonly compress?: boolean | undefined
  /**
   * What the peer is sent for an element; nothing if that is `undefined`. Members that share this function share its results,
   * so make it once. Default: a publication is sent as it is, the beginning is not sent, and a gap closes the connection with
   * 1013. If it throws, the connection is closed with 1011.
   */
  readonly encode?: ((event: TopicEvent) => WebSocket.Data | undefined) | undefined
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

const beginning = ({ last = 0, since }: BeginOptions): Beginning => ({ since, last: integerFromZero("last", last) })

const memberSettings = ({
  compress,
  encode,
  slowCloseCode,
  slowStrategy = "close"
}: AttachOptions): MemberSettings => ({
  slow: {
    sendStrategy: slowStrategy,
    closeCode: slowCloseCode === undefined ? undefined : toCloseCode(slowCloseCode)
  },
  compress,
  encode
})

/**
 * Makes topics over a broker. They end with the scope.
 *
 * @since 3.0.0
 * @category constructors
 */
export const make: Effect.Effect<Service, never, TopicBroker.TopicBroker | Scope.Scope> = Effect.gen(function* () {
  const broker = yield* TopicBroker.TopicBroker
  const services = yield* runtime<never>()
  const hub = yield* Effect.acquireRelease(
    Effect.sync(() => new TopicHub(broker, services)),
    (hub) => Effect.sync(() => hub.end())
  )
  return {
    publish: (topic, data, options) => hub.publish(topic, data, options?.idempotencyKey, options?.except),
    subscribe: (topic, options = {}) =>
      hub.stream(
        topic,
        options.slowStrategy ?? "close",
        bytes("maxWaitingBytes", options.maxWaitingBytes ?? 1024 * 1024),
        beginning(options)
      ),
    attach: (socket, topic, options = {}) =>
      Effect.suspend(() => hub.attach(socket, topic, memberSettings(options), beginning(options))),
    detach: (socket, topic) => Effect.sync(() => hub.detach(socket, topic)),
    position: broker.position,
    history: broker.history,
    remove: broker.remove,
    memberCount: (topic) => Effect.sync(() => hub.memberCount(topic))
  } satisfies Service
})

/**
 * Topics over the broker in the context.
 *
 * @since 3.0.0
 * @category layers
 */
export const layerBroker: Layer.Layer<Topics, never, TopicBroker.TopicBroker> = layerEffect(Topics, make)

/**
 * Topics in the memory of this process.
 *
 * @since 3.0.0
 * @category layers
 */
export const layer = (options?: MemoryTopicBroker.Options): Layer.Layer<Topics> =>
  Layer.provide(layerBroker, MemoryTopicBroker.layer(options))
