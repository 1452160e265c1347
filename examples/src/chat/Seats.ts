/**
 * Who has a seat in a room, under which name, for all processes that share a broker. Presence says who is there; the order in
 * which the broker has counted the requests says who was first.
 */
import { Presence, type TopicBroker, Topics } from "@effect-websocket/platform"
import { Effect, Option, Schema, type Scope } from "effect"
import { Refused } from "./Protocol.js"

export const maxMembers = 50

/**
 * What a session in the presence of a room tells the other processes. The name is the key of the session.
 *
 * - `turn`: `undefined` until the session has asked for a seat, and 0 once it has it.
 */
const Meta = Schema.parseJson(
  Schema.Struct({ owner: Schema.String, isTyping: Schema.Boolean, turn: Schema.optional(Schema.NonNegativeInt) })
)
type Meta = typeof Meta.Type
const encodeMeta = Schema.encodeSync(Meta)
const decodeMeta = Schema.decodeUnknownOption(Meta)

const metasOf = ({ metas }: Presence.Member): ReadonlyArray<Meta> =>
  metas.flatMap((meta) => Option.toArray(decodeMeta(meta)))

export const isTyping = (member: Presence.Member): boolean => metasOf(member).some(({ isTyping }) => isTyping)

/** Who wants a seat. A name belongs to its owner for as long as a session of that owner is there. */
export interface Request {
  readonly room: string
  readonly name: string
  readonly owner: string
}

export interface Seat {
  readonly setTyping: (isTyping: boolean) => Effect.Effect<void>
}

/** Why there is no seat, if those sessions are first. */
const refusal = (
  members: ReadonlyArray<Presence.Member>,
  { name, owner }: Request,
  isFirst: (turn: number | undefined) => boolean
): Refused | undefined => {
  const first = members
    .map((member) => ({ key: member.key, metas: metasOf(member).filter(({ turn }) => isFirst(turn)) }))
    .filter(({ metas }) => metas.length > 0)
  if (first.some(({ key, metas }) => key === name && metas.some((meta) => meta.owner !== owner))) {
    return Refused.make({ reason: "this name is taken" })
  }
  const others = first.filter(({ key }) => key !== name)
  return others.length < maxMembers ? undefined : Refused.make({ reason: "this room is full" })
}

// How often, and how many times, a session looks for those who have not asked yet.
const interval = "20 millis"
const maxLooks = 50

/** Takes a seat for as long as the scope lives. */
export const take = (
  topic: string,
  request: Request
): Effect.Effect<Seat, Refused | TopicBroker.TopicError, Topics.Topics | Presence.Presence | Scope.Scope> =>
  Effect.gen(function* () {
    const topics = yield* Topics.Topics
    const presence = yield* Presence.Presence

    const full = refusal(yield* presence.list(topic), request, () => true)
    if (full !== undefined) return yield* Effect.fail(full)
    let meta: Meta = { owner: request.owner, isTyping: false }
    const tracked = yield* presence.track(topic, request.name, encodeMeta(meta))
    const update = (change: Partial<Meta>) =>
      Effect.suspend(() => {
        meta = { ...meta, ...change }
        return tracked.update(encodeMeta(meta))
      })

    // Several may be here by now, also from other processes. Whose publication was first, is first.
    const { offset: turn } = yield* topics.publish(`turns/${request.room}`, "")
    yield* update({ turn })
    const look = (looks: number): Effect.Effect<void, Refused | TopicBroker.TopicError> =>
      Effect.flatMap(presence.list(topic), (members) => {
        const certain = refusal(members, request, (other) => other !== undefined && other < turn)
        const possible = refusal(members, request, (other) => other === undefined || other < turn)
        if (possible === undefined) return Effect.void
        // Somebody may have asked earlier, who has not told yet.
        if (certain === undefined && looks < maxLooks) return Effect.delay(look(looks + 1), interval)
        return Effect.fail(certain ?? possible)
      })
    yield* look(1)
    yield* update({ turn: 0 })

    return {
      setTyping: (isTyping) =>
        Effect.suspend(() =>
          // If the broker cannot do it now, it is done when the session is renewed.
          isTyping === meta.isTyping ? Effect.void : Effect.ignore(update({ isTyping }))
        )
    }
  })
