/**
 * What a member of a room may do and is told. Rooms are topics with presence, so they are the same for all processes that share
 * a broker.
 */
import { MemoryTopicBroker, Presence, type TopicBroker, Topics, type WebSocket } from "@effect-websocket/platform"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { RedisTopicBroker } from "@effect-websocket/topics-redis"
import { Clock, type Duration, Effect, FiberHandle, Layer, Option, type Scope, Stream } from "effect"
import { createHash } from "node:crypto"
import {
  Changed,
  decodeLine,
  encodeLine,
  encodeServer,
  type Join,
  type Person,
  type Position,
  Present,
  type Refused,
  Said,
  type Say,
  Started
} from "./Protocol.js"
import * as Seats from "./Seats.js"

/** A member who has not typed for this long is no longer listed as typing. */
export const typingTime: Duration.DurationInput = "4 seconds"
/** How many of the newest messages a page gets that is new, or that has a gap. */
export const newest = 30

/** An empty room is forgotten after this time. */
const unusedAge = "1 hour"
const history = { maxPublications: 200, maxBytes: 128 * 1024, maxAge: "1 day" } as const

/** In the memory of this process, or over the Redis server at this URL, which several processes share. */
export const layer = (redis?: string): Layer.Layer<Topics.Topics | Presence.Presence> =>
  Layer.merge(Topics.layerBroker(), Presence.layerBroker({ expiry: "10 seconds" })).pipe(
    Layer.provide(
      redis === undefined
        ? MemoryTopicBroker.layer({ history, maxTopics: 2000, unusedAge })
        : RedisTopicBroker.layer({ client: { url: redis }, prefix: "chat:", history, unusedAge })
    )
  )

/** All members of a room share this function, and so its results. */
const encodeEvent = (event: Topics.TopicEvent): string => {
  const { position } = event
  if (event._tag !== "Publication") return encodeServer(Started.make({ position }))
  return Option.match(decodeLine(event.message.data), {
    onSome: (line) => encodeServer(Said.make({ position, ...line })),
    // A newer version of the server has said something that this one does not understand. It is missing here.
    onNone: () => encodeServer(Started.make({ position }))
  })
}

/**
 * What a member of a room may do.
 *
 * - `people`: tells the member who is there, and goes on until it is interrupted.
 */
export interface Seat {
  readonly say: (message: Say) => Effect.Effect<void, TopicBroker.TopicError>
  readonly typing: Effect.Effect<void>
  readonly people: Effect.Effect<void, TopicBroker.TopicError>
}

/** Takes a seat for as long as the scope lives. The member is told what it missed, and then what is said. */
export const enter = (
  socket: WebSocket.WebSocket,
  { key, name, room, since }: Join
): Effect.Effect<
  Seat,
  Refused | TopicBroker.TopicError | ConnectionError,
  Topics.Topics | Presence.Presence | Scope.Scope
> =>
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    const presence = yield* Presence.Presence
    const topic = `rooms/${room}`
    const owner = createHash("sha256").update(key).digest("base64url")

    const { setTyping } = yield* Seats.take(topic, { room, name, owner })
    yield* topics.attach(socket, topic, { ...(yield* beginning(topic, since)), encode: encodeEvent })

    const pause = yield* FiberHandle.make<void>()

    return {
      say: ({ id, text }) =>
        Effect.gen(function* () {
          const time = yield* Clock.currentTimeMillis
          yield* topics.publish(topic, encodeLine({ id, name, text, time }), { idempotencyKey: `${owner} ${id}` })
          yield* FiberHandle.clear(pause)
          yield* setTyping(false)
        }),
      typing: Effect.zipRight(FiberHandle.run(pause, Effect.delay(setTyping(false), typingTime)), setTyping(true)),
      // If a send fails, the connection is over, and its reader notices.
      people: Stream.runForEach(presence.changes(topic), (event) =>
        Effect.ignore(socket.send(encodeServer(peopleOf(event))))
      )
    }
  })

/** Goes on where the page was. If the history does not reach back to there, it begins with the newest messages. */
const beginning = (topic: string, since: Position | undefined) =>
  Effect.gen(function* () {
    if (since === undefined) return { last: newest }
    const { isComplete } = yield* (yield* Topics.Topics).history(topic, { since, limit: 1 })
    return isComplete ? { since } : { last: newest }
  })

const personOf = (member: Presence.Member): Person => ({ name: member.key, isTyping: Seats.isTyping(member) })

const peopleOf = (event: Presence.PresenceEvent) =>
  event._tag === "Present"
    ? Present.make({ people: event.members.map(personOf) })
    : Changed.make({
        entered: event.joined.map(personOf),
        updated: event.updated.map(personOf),
        left: event.left.map(personOf)
      })
