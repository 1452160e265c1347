/**
 * The port under `Topics`: what carries publications from process to process, and keeps their history. `MemoryTopicBroker`
 * serves one process. Other packages implement it over existing engines.
 *
 * @since 3.0.0
 */
import type { Message } from "@effect-websocket/protocol/Message"
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as presence from "./engine/topics/MemoryPresence.js"
import type * as internal from "./engine/topics/Publication.js"
import { ContextService, layerEffect, type ConfigError, type DurationInput } from "./internal/effect.js"
import { fromConfig } from "./internal/settings.js"
import * as internalError from "./internal/TopicError.js"

/**
 * A position in a topic.
 *
 * - `epoch`: names one life of the topic. A topic that is made again, or whose history was lost, has another epoch. It is a
 *   text without meaning that cannot be guessed.
 * - `offset`: the offset of the last publication before this position. It is 0 before the first one. Within an epoch the
 *   offsets are consecutive.
 *
 * @since 3.0.0
 * @category models
 */
export type Position = internal.Position

/**
 * A message that was published to a topic.
 *
 * - `position`: the position behind it. Its offset is that of the publication.
 * - `message`: the message. Its bytes must not be changed.
 * - `publisher`: names the connection that does not get it. Brokers carry it as it is.
 *
 * @since 3.0.0
 * @category models
 */
export type Publication = internal.Publication

/**
 * Part of the history of a topic.
 *
 * - `isComplete`: nothing is missing between the position that was asked for and `publications`.
 * - `publications`: consecutive, oldest first. Empty if something is missing.
 * - `newest`: the position behind the newest publication of the topic. If it is behind the last of `publications`, there are
 *   more than the limit.
 *
 * @since 3.0.0
 * @category models
 */
export type HistoryPage = internal.HistoryPage

/**
 * The broker may have missed publications, for example because its link broke. It is active again: what is published from
 * now on arrives.
 *
 * @since 3.0.0
 * @category models
 */
export type Interrupted = internal.Interrupted

/**
 * Why an operation on a topic failed.
 *
 * - `"InvalidName"`: the name is empty, longer than 255 characters, or has an empty segment, a wildcard, a control character
 *   or a lone surrogate.
 * - `"Denied"`: no rule allows it, or a rule refused it.
 * - `"TooManyTopics"`: one more topic than `max`, of this connection or of the broker.
 * - `"AlreadyAttached"`: the connection is attached to this topic already.
 * - `"Detached"`: `detach` was called, or the scope ended, before `attach` was done.
 * - `"TooFast"`: more publications than the rate of this connection allows.
 * - `"TooSlow"`: a subscriber with the strategy `"close"` did not read fast enough.
 * - `"TooLarge"`: the message has more bytes than the broker takes, or a text that a connection chooses has more characters than it
 *   may have: 255 for an idempotency key or a key of presence, 4,096 for a `meta`. The limit is `max`.
 * - `"Unavailable"`: the broker could not do it; `cause` says why. Trying again may help.
 *
 * @since 3.0.0
 * @category errors
 */
export type TopicErrorReason = internalError.TopicErrorReason

/**
 * An operation on a topic failed. If it was a publish, nothing was published, with one exception: after `"Unavailable"` it is
 * not known. Then publish again with the same idempotency key.
 *
 * @since 3.0.0
 * @category errors
 */
export const TopicError = internalError.TopicError

/**
 * The type of a `TopicError`: its `reason`, the `topic`, and `max` or `cause` if the reason has one.
 *
 * @since 3.0.0
 * @category errors
 */
export type TopicError = internalError.TopicError

/**
 * The options of one publish.
 *
 * - `idempotencyKey`: if a publish with this key has succeeded in this topic a short time ago, nothing is published, and the
 *   position of that one is the result.
 * - `publisher`: passed on with the publication.
 *
 * @since 3.0.0
 * @category models
 */
export interface PublishOptions {
  readonly idempotencyKey?: string | undefined
  readonly publisher?: string | undefined
}

/**
 * The result of a publish: its position, and whether nothing was published because the idempotency key was known.
 *
 * @since 3.0.0
 * @category models
 */
export interface Published {
  readonly position: Position
  readonly isDuplicate: boolean
}

/**
 * Which part of a history to read: the publications behind `since`, oldest first, or without it the newest ones. At most
 * `limit` publications.
 *
 * @since 3.0.0
 * @category models
 */
export interface HistoryOptions {
  readonly since?: Position | undefined
  readonly limit: number
}

/**
 * One session of a member who is present in a topic. A member with two tabs has two sessions with the same key. `meta` is a
 * text of the app, for example JSON.
 *
 * @since 3.0.0
 * @category presence
 */
export type PresenceEntry = presence.PresenceEntry

/**
 * A change of who is present: a session is new or has another `meta`, a session was removed or has expired, or the broker
 * may have missed changes, so that `list` has to be read again.
 *
 * @since 3.0.0
 * @category presence
 */
export type PresenceChange = presence.Entered | presence.Left | Interrupted

/**
 * Who is present in which topic, for all processes of a broker.
 *
 * @since 3.0.0
 * @category presence
 */
export interface Presence {
  /**
   * Adds a session, renews it, or changes its `meta`. It leaves after `expiry` if it is not set again, so that those of a
   * process that crashed leave, too.
   */
  readonly set: (topic: string, entry: PresenceEntry, expiry: DurationInput) => Effect.Effect<void, TopicError>
  /** Removes a session. Succeeds if there is none. */
  readonly remove: (topic: string, key: string, session: string) => Effect.Effect<void, TopicError>
  /** The sessions in a topic, in any order. */
  readonly list: (topic: string) => Effect.Effect<ReadonlyArray<PresenceEntry>, TopicError>
  /**
   * Calls `listener` for each change from now on, until the scope ends. Succeeds once it is active. Setting a session again
   * with the same `meta` is no change. The listener must not throw.
   */
  readonly changes: (
    topic: string,
    listener: (change: PresenceChange) => void
  ) => Effect.Effect<void, TopicError, Scope.Scope>
}

/**
 * The methods of a broker. A topic exists as soon as any of them names it, so `position` has a result before the first
 * publication.
 *
 * Every implementation passes the law suite, `test/topicBrokerLaws.ts` in the repository.
 *
 * @since 3.0.0
 * @category models
 */
export interface Service {
  /**
   * Whether each subscription gets every publication, or `Interrupted`. If not, a publication may be missed without a
   * sign. `Topics` then compares positions from time to time.
   */
  readonly isReliable: boolean

  /**
   * Publishes a message. All subscriptions, of all processes, get the publications of a topic in the order of their offsets.
   *
   * If it is interrupted, the message was published or not; no offset is left out.
   */
  readonly publish: (topic: string, message: Message, options?: PublishOptions) => Effect.Effect<Published, TopicError>

  /**
   * Reads part of the history. What was published before this effect began is part of the history, or has been removed from it by its
   * bounds.
   */
  readonly history: (topic: string, options: HistoryOptions) => Effect.Effect<HistoryPage, TopicError>

  /** The position behind the newest publication. */
  readonly position: (topic: string) => Effect.Effect<Position, TopicError>

  /** Removes a topic with its history and its idempotency keys. If it is used again, it has a new epoch. */
  readonly remove: (topic: string) => Effect.Effect<void, TopicError>

  /**
   * Calls `listener` for each publication, until the scope ends, also for those of this process. The listener is called
   * synchronously and must not throw. There may be several subscriptions to a topic.
   *
   * Succeeds with a position once the subscription is active: every publication behind that position is delivered. Some of
   * them may be delivered before the effect succeeds. A publication may be delivered twice, and after an interruption some may be
   * missing. `Topics` puts that in order.
   *
   * If the link to the engine breaks, the broker restores it, and then calls `listener` with `Interrupted`. It also does so after `remove`.
   */
  readonly subscribe: (
    topic: string,
    listener: (event: Publication | Interrupted) => void
  ) => Effect.Effect<Position, TopicError, Scope.Scope>

  readonly presence: Presence
}

/**
 * The service tag of the broker.
 *
 * @since 3.0.0
 * @category tags
 */
export class TopicBroker extends ContextService<TopicBroker, Service>()("@effect-websocket/platform/TopicBroker") {}

/**
 * Makes a layer from an effect that acquires a broker. The broker lasts as long as the layer. This function has the same
 * meaning on both versions of Effect.
 *
 * @since 3.0.0
 * @category layers
 */
export const layer = <E, R>(
  acquire: Effect.Effect<Service, E, R>
): Layer.Layer<TopicBroker, E, Exclude<R, Scope.Scope>> => layerEffect(TopicBroker, acquire)

/**
 * Makes a layer from options that come from a `Config`, and a function that acquires a broker with them. It fails with
 * `ConfigError` if the configuration is missing or invalid. This function has the same meaning on both versions of Effect.
 *
 * @since 3.0.0
 * @category layers
 */
export const layerConfig = <Options>(
  config: Config.Config<Options>,
  acquire: (options: Options) => Effect.Effect<Service, never, Scope.Scope>
): Layer.Layer<TopicBroker, ConfigError> => layerEffect(TopicBroker, fromConfig(Effect.flatMap(config, acquire)))
