/**
 * Presence: who is in a topic. Several sessions with the same key, for example two tabs of one person, are one member, who joins with the
 * first and leaves with the last of them.
 *
 * @since 3.0.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomToken } from "./engine/random.js"
import * as internal from "./engine/topics/RoomReader.js"
import { ContextService, forever, layerEffect, runtime, type DurationInput } from "./internal/effect.js"
import { named, namedStream } from "./internal/named.js"
import { PresenceHub } from "./internal/PresenceHub.js"
import { delay, timeout } from "./internal/settings.js"
import { timers } from "./internal/timers.js"
import * as MemoryTopicBroker from "./MemoryTopicBroker.js"
import * as TopicBroker from "./TopicBroker.js"

/**
 * Somebody who is present.
 *
 * - `metas`: the `meta` of each session, sorted. It is a text of the app, for example JSON.
 *
 * @since 3.0.0
 * @category models
 */
export type Member = internal.PresentMember

/**
 * Who is present now. Every stream of changes begins with it. It comes again if a slow reader missed changes.
 *
 * @since 3.0.0
 * @category models
 */
export type Present<M = Member> = internal.Present<M>

/**
 * What has changed, one element for all changes within an `interval`.
 *
 * - `joined`: members with their first session.
 * - `updated`: members whose `metas` are others than before.
 * - `left`: members without a session, with their last `metas`.
 *
 * @since 3.0.0
 * @category models
 */
export type Changed<M = Member> = internal.Changed<M>

/**
 * An element of `changes`: first who is present, and then each change.
 *
 * @since 3.0.0
 * @category models
 */
export type PresenceEvent<M = Member> = Present<M> | Changed<M>

/**
 * A session that is tracked.
 *
 * - `update`: changes its `meta`.
 *
 * @since 3.0.0
 * @category models
 */
export interface Tracked {
  readonly update: (meta: string) => Effect.Effect<void, TopicBroker.TopicError>
}

/**
 * The methods of the service.
 *
 * @since 3.0.0
 * @category models
 */
export interface Service {
  /**
   * Adds a session, which is present until the scope ends. It is renewed until then. If this process crashes, it leaves after
   * `expiry`.
   */
  readonly track: (
    topic: string,
    key: string,
    meta: string
  ) => Effect.Effect<Tracked, TopicBroker.TopicError, Scope.Scope>
  /** Who is present now. */
  readonly list: (topic: string) => Effect.Effect<ReadonlyArray<Member>, TopicBroker.TopicError>
  /** Who is present, and then the changes. Fails if the broker cannot begin it; later failures are retried. */
  readonly changes: (topic: string) => Stream.Stream<PresenceEvent, TopicBroker.TopicError>
  /** How many members are present, now and whenever that has changed. A slow reader gets only the newest number. */
  readonly counts: (topic: string) => Stream.Stream<number, TopicBroker.TopicError>
}

/**
 * The service tag of presence.
 *
 * @since 3.0.0
 * @category tags
 */
export class Presence extends ContextService<Presence, Service>()("@effect-websocket/platform/Presence") {}

/**
 * The options of `make`.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options {
  /** After which time the sessions of a process that crashed leave. Default: 30 seconds. Sessions are renewed three times as often. */
  readonly expiry?: DurationInput | undefined
  /**
   * How long a member without sessions still counts as present. If it comes back within this time, for example because it
   * has reconnected, nothing has changed. Default: 2 seconds.
   */
  readonly leaveDelay?: DurationInput | undefined
  /** How long changes are collected before they are told together. Default: 50 milliseconds. */
  readonly interval?: DurationInput | undefined
}

/**
 * Makes presence over a broker. It ends with the scope. Invalid options are a defect.
 *
 * @since 3.0.0
 * @category constructors
 */
export const make = ({
  expiry = "30 seconds",
  interval = "50 millis",
  leaveDelay = "2 seconds"
}: Options = {}): Effect.Effect<Service, never, TopicBroker.TopicBroker | Scope.Scope> =>
  Effect.gen(function* () {
    const { presence } = yield* TopicBroker.TopicBroker
    const clock = yield* timers
    const services = yield* runtime<never>()
    const expiryMillis = yield* Effect.sync(() => timeout("expiry", expiry))
    const hub = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const settings = { interval: delay("interval", interval), leaveDelay: delay("leaveDelay", leaveDelay) }
        return new PresenceHub(presence, settings, clock, services)
      }),
      (hub) => Effect.sync(() => hub.end())
    )
    return {
      track: (topic, key, meta) => named(topic, () => track(presence, topic, key, meta, expiryMillis)),
      list: (topic) => named(topic, () => Effect.map(presence.list(topic), membersOf)),
      changes: (topic) =>
        namedStream(topic, () => hub.stream(topic, (room, onReady) => new internal.ChangesReader(room, onReady))),
      counts: (topic) =>
        namedStream(topic, () => hub.stream(topic, (room, onReady) => new internal.CountReader(room, onReady)))
    } satisfies Service
  })

/** A session that is renewed until the scope ends. */
const track = (
  presence: TopicBroker.Presence,
  topic: string,
  key: string,
  meta: string,
  expiryMillis: number
): Effect.Effect<Tracked, TopicBroker.TopicError, Scope.Scope> =>
  Effect.gen(function* () {
    const session = randomToken()
    let current = meta
    const set = Effect.suspend(() =>
      presence.set(topic, { key, session, meta: current }, Duration.millis(expiryMillis))
    )
    // Before the session is set, so that it leaves even if that is interrupted. If it fails, the session expires.
    yield* Effect.addFinalizer(() => Effect.ignore(presence.remove(topic, key, session)))
    yield* set
    // The renewal ends before the session is removed.
    yield* Effect.forkScoped(forever(Effect.delay(Effect.ignore(set), Duration.millis(expiryMillis / 3))))
    return {
      update: (meta) =>
        Effect.suspend(() => {
          current = meta
          return set
        })
    }
  })

const membersOf = (entries: ReadonlyArray<TopicBroker.PresenceEntry>): ReadonlyArray<Member> => {
  const members = new Map<string, Array<string>>()
  for (const { key, meta } of entries) members.set(key, [...(members.get(key) ?? []), meta])
  return [...members].map(([key, metas]) => ({ key, metas: metas.sort() }))
}

/**
 * A member with what the app knows about its key. `profile` is `undefined` if the app knows nothing.
 *
 * @since 3.0.0
 * @category models
 */
export interface Profiled<A> extends Member {
  readonly profile: A | undefined
}

/**
 * Adds a profile to each member, for example from a database. `profiles` is called once for each element of the stream, with all keys
 * that joined, were updated or are present, if there are any.
 *
 * @example
 * ```ts
 * import { Presence } from "@effect-websocket/platform"
 * import { Effect, Stream } from "effect"
 *
 * declare const namesOf: (ids: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, { readonly name: string }>>
 *
 * const people = Stream.unwrap(
 *   Effect.map(Presence.Presence, (presence) => presence.changes("rooms/1").pipe(Presence.withProfiles(namesOf)))
 * )
 * ```
 *
 * @since 3.0.0
 * @category combinators
 */
export const withProfiles =
  <A, E, R>(profiles: (keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, A>, E, R>) =>
  <E2, R2>(events: Stream.Stream<PresenceEvent, E2, R2>): Stream.Stream<PresenceEvent<Profiled<A>>, E | E2, R | R2> =>
    Stream.mapEffect(events, (event): Effect.Effect<PresenceEvent<Profiled<A>>, E, R> => {
      const members = event._tag === "Present" ? event.members : [...event.joined, ...event.updated]
      const found =
        members.length === 0 ? Effect.succeed(new Map<string, A>()) : profiles(members.map(({ key }) => key))
      return Effect.map(found, (found): PresenceEvent<Profiled<A>> => {
        const profiled = (member: Member): Profiled<A> => ({ ...member, profile: found.get(member.key) })
        return event._tag === "Present"
          ? { ...event, members: event.members.map(profiled) }
          : { ...event, joined: event.joined.map(profiled), updated: event.updated.map(profiled) }
      })
    })

/**
 * Presence over the broker in the context. Invalid options are a defect.
 *
 * @since 3.0.0
 * @category layers
 */
export const layerBroker = (options?: Options): Layer.Layer<Presence, never, TopicBroker.TopicBroker> =>
  layerEffect(Presence, make(options))

/**
 * Presence in the memory of this process. Invalid options are a defect.
 *
 * @since 3.0.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<Presence> =>
  Layer.provide(layerBroker(options), MemoryTopicBroker.layer())
