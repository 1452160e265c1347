/**
 * Topics and presence for clients, over one logical connection. After each reconnect, subscriptions go on where they were, and
 * publications that were not acknowledged are sent again.
 *
 * @since 3.0.0
 */
import { remoteProtocolError, type ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { bytes, count } from "./engine/checks.js"
import { invalidPayload } from "./engine/connection/closeCodes.js"
import { formOf, forms } from "./engine/topics/wire/Form.js"
import { ChangesReader, CountReader, type Room, type RoomReader } from "./engine/topics/RoomReader.js"
import { findErrorOption, forever, streamOfReads, type DurationInput } from "./internal/effect.js"
import { roomStream } from "./internal/roomStream.js"
import { named, namedStream } from "./internal/named.js"
import { integerFromZero, timeout } from "./internal/settings.js"
import { StreamMember, tooSlow } from "./internal/StreamMember.js"
import { TopicsSession } from "./internal/TopicsSession.js"
import { waitUntil } from "./internal/waiting.js"
import type * as Presence from "./Presence.js"
import * as ReconnectingWebSocket from "./ReconnectingWebSocket.js"
import { TopicError, type Position } from "./TopicBroker.js"
import type * as Topics from "./Topics.js"
import type * as WebSocket from "./WebSocket.js"
import type { WebSocketClient } from "./WebSocketClient.js"

/**
 * The options, besides those of the logical connection.
 *
 * - `form`: how messages are written. Default: the server chooses, and prefers `"binary"`.
 * - `publishTimeout`: how long a publish waits for its acknowledgement, reconnects included. Default: 30 seconds.
 * - `maxPublishes`: how many publishes may wait. Default: 1,024. One more fails with `TopicError` (`"Unavailable"`).
 * - `pingInterval`: how often the client asks whether the connection is alive, and whether one of its topics has everything.
 *   If nothing has arrived within one interval after a ping, it reconnects. Default: 25 seconds.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options<E = never, R = never> extends Omit<
  ReconnectingWebSocket.Options<E, R>,
  "protocols" | "onConnect" | "outboxCapacity" | "outboxStrategy"
> {
  readonly form?: "binary" | "json" | undefined
  readonly publishTimeout?: DurationInput | undefined
  readonly maxPublishes?: number | undefined
  readonly pingInterval?: DurationInput | undefined
}

/**
 * The options of `publish`.
 *
 * - `echo`: whether the subscribers of this client get the publication, too. Default: `false`.
 * - `idempotencyKey`: names the publication, so that it is published once even if the app publishes it again after a failure.
 *   Default: a random text.
 *
 * @since 3.0.0
 * @category models
 */
export interface PublishOptions {
  readonly echo?: boolean | undefined
  readonly idempotencyKey?: string | undefined
}

/**
 * A client of topics. All errors of the server, and the end of the logical connection (`"Unavailable"`, whose `cause` is the final
 * failure), are a `TopicError`.
 *
 * @since 3.0.0
 * @category models
 */
export interface TopicsClient<E = never> {
  /** The logical connection. */
  readonly connection: Pick<
    ReconnectingWebSocket.ReconnectingWebSocket<E | ProtocolError>,
    "state" | "awaitOpen" | "reconnect" | "close"
  >

  /**
   * The publications of a topic. The first element says how it begins. After a reconnect, the publications that were missed follow
   * without any sign. If the server no longer has them, there is a `Gap`.
   *
   * All streams of a topic share one subscription. If others have begun, `last` has no effect, and with a `since` that is not the
   * current position the stream begins with a `Gap`.
   *
   * With the strategy `"suspend"`, a slow reader delays everything on the connection.
   */
  readonly subscribe: (topic: string, options?: Topics.SubscribeOptions) => Stream.Stream<Topics.TopicEvent, TopicError>

  /**
   * Publishes a message, and succeeds with its position. It is sent again on the next connection, until it is acknowledged, and is
   * published once. Publishes keep their order.
   *
   * Fails with `"Unavailable"` after `publishTimeout`, if the broker of the server fails, or if too many wait. Then, and if it is
   * interrupted, it is not known whether the message was published. If it was, the subscribers of this client may get it.
   */
  readonly publish: (
    topic: string,
    data: WebSocket.Data,
    options?: PublishOptions
  ) => Effect.Effect<Position, TopicError>

  /**
   * Is present until the scope ends, on each connection. Succeeds once the server knows it for the first time. If its broker fails
   * later, the client asks again with each ping.
   */
  readonly track: (topic: string, key: string, meta: string) => Effect.Effect<Presence.Tracked, TopicError, Scope.Scope>

  /**
   * Who is present, and then the changes. After each reconnect it begins again with who is present. Fails if the server cannot begin
   * it; if its broker fails later, the client asks again with each ping.
   */
  readonly presence: (topic: string) => Stream.Stream<Presence.PresenceEvent, TopicError>

  /** How many members are present, now and whenever that has changed. */
  readonly presenceCounts: (topic: string) => Stream.Stream<number, TopicError>
}

/**
 * Connects to a server with `TopicsServer`, and reconnects until the scope ends. It does not wait for the first connection.
 *
 * @example
 * ```ts
 * import { TopicsClient } from "@effect-websocket/platform"
 * import { Console, Effect, Stream } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const client = yield* TopicsClient.make("wss://example.com/topics")
 *   const position = yield* client.publish("rooms/1", "hello")
 *   yield* Console.log(`published at ${position.offset}`)
 *   yield* Stream.runForEach(client.subscribe("rooms/1", { last: 20 }), (event) => {
 *     switch (event._tag) {
 *       case "Publication":
 *         return Console.log(event.message.data)
 *       case "Gap":
 *         return Console.log("Some messages are missing")
 *       default:
 *         return Effect.void
 *     }
 *   })
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const make = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  {
    form,
    maxPublishes = 1024,
    pingInterval = "25 seconds",
    publishTimeout = "30 seconds",
    ...options
  }: Options<E, R> = {}
): Effect.Effect<TopicsClient<E>, never, WebSocketClient | Scope.Scope | R> =>
  Effect.gen(function* () {
    const { pingMillis, publishMillis, session } = yield* Effect.sync(() => ({
      session: new TopicsSession(count("maxPublishes", maxPublishes)),
      pingMillis: timeout("pingInterval", pingInterval),
      publishMillis: timeout("publishTimeout", publishTimeout)
    }))
    yield* Effect.addFinalizer(() => Effect.sync(() => session.end("the scope has ended")))
    const connection = yield* ReconnectingWebSocket.make<E | ProtocolError, R>(url, {
      ...options,
      protocols: forms.map(({ protocol }) => protocol).filter((name) => form === undefined || name.endsWith(form)),
      onConnect: (socket) =>
        Effect.suspend(() => {
          const agreed = formOf(socket.protocol)
          if (agreed === undefined) return Effect.fail(noProtocol())
          session.connected(socket, agreed)
          return Effect.void
        })
    })
    const refuse = Effect.ignore(connection.close(invalidPayload, "not a message of a server of topics"))
    const reading = Stream.runForEach(connection.messages, (message) =>
      Effect.suspend(() => session.receive(message) ?? refuse)
    )
    yield* Effect.forkScoped(
      Effect.matchCause(reading, {
        onFailure: (cause) => session.end(Option.getOrElse(findErrorOption(cause), () => cause)),
        onSuccess: () => session.end("the connection has ended")
      })
    )
    yield* Effect.forkScoped(session.send)
    const check = Effect.flatMap(connection.state.get, ({ _tag }) =>
      _tag === "Open" && !session.check() ? connection.reconnect : Effect.void
    )
    yield* Effect.forkScoped(forever(Effect.delay(check, Duration.millis(pingMillis))))
    return {
      connection,
      subscribe: (topic, options) => namedStream(topic, () => subscribe(session, topic, options)),
      publish: (topic, data, { echo, idempotencyKey } = {}) =>
        Effect.flatMap(
          Effect.timeoutOption(
            named(topic, () => session.publish(topic, data, idempotencyKey, echo)),
            Duration.millis(publishMillis)
          ),
          Option.match({
            onNone: () =>
              Effect.fail(
                new TopicError({ reason: "Unavailable", topic, cause: "the server has not acknowledged it in time" })
              ),
            onSome: (position) => Effect.succeed(position)
          })
        ),
      track: (topic, key, meta) =>
        Effect.flatMap(
          Effect.acquireRelease(
            named(topic, () => Effect.sync(() => session.presence.track({ topic, key, meta }))),
            ({ end }) => Effect.sync(end)
          ),
          // What failed is not tracked later.
          ({ end, tracked, update }) =>
            Effect.as(
              Effect.onError(tracked, () => Effect.sync(end)),
              { update }
            )
        ),
      presence: (topic) => followed(session, topic, false, (room, onReady) => new ChangesReader(room, onReady)),
      presenceCounts: (topic) => followed(session, topic, true, (room, onReady) => new CountReader(room, onReady))
    } satisfies TopicsClient<E>
  })

const noProtocol = (): ProtocolError =>
  remoteProtocolError("The server agreed to none of the subprotocols of topics", "RFC 6455 §4.1")

const followed = <A>(
  session: TopicsSession,
  topic: string,
  isCount: boolean,
  make: (room: Room, onReady: () => void) => RoomReader<A>
): Stream.Stream<A, TopicError> =>
  namedStream(topic, () =>
    roomStream(
      () => session.presence.room(topic, isCount),
      (room) => session.presence.leaveRoom(room),
      make
    )
  )

const subscribe = (
  session: TopicsSession,
  topic: string,
  { last = 0, maxWaitingBytes = 1024 * 1024, since, slowStrategy = "close" }: Topics.SubscribeOptions = {}
): Stream.Stream<Topics.TopicEvent, TopicError> =>
  Stream.suspend(() => {
    const beginning = { since, last: integerFromZero("last", last) }
    let leave: (() => void) | undefined
    // With `"suspend"`, the connection is not read before there is room.
    const member = new StreamMember(
      slowStrategy,
      bytes("maxWaitingBytes", maxWaitingBytes),
      () => leave?.(),
      Number.POSITIVE_INFINITY
    )
    const isReady = (): boolean => member.isReady || member.failure !== undefined
    const more: Effect.Effect<void, TopicError> = Effect.suspend(() => {
      leave ??= session.enter(topic, member, beginning)
      if (member.isReady) return Effect.void
      if (member.failure !== undefined) return Effect.fail(errorOf(topic, member.failure.cause, maxWaitingBytes))
      return Effect.andThen(waitUntil(member.wakes, isReady), more)
    })
    return Stream.ensuring(
      streamOfReads<Topics.TopicEvent, TopicError>(
        (taken) => Effect.andThen(more, taken),
        () => member.take()
      ),
      Effect.sync(() => {
        member.end()
        leave?.()
      })
    )
  })

const errorOf = (topic: string, cause: unknown, max: number): TopicError => {
  if (cause instanceof TopicError) return cause
  return new TopicError(cause === tooSlow ? { reason: "TooSlow", topic, max } : { reason: "Unavailable", topic, cause })
}
