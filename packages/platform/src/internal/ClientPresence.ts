import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Position } from "../engine/topics/Publication.js"
import type { Answer, Request } from "../engine/topics/wire/TopicsMessage.js"
import { ClientRoom } from "./ClientRoom.js"
import { deferredDoneUnsafe, deferredMakeUnsafe } from "./effect.js"
import { TopicError } from "./TopicError.js"

/** Called with what the server answered. */
export type Done = (outcome: Position | undefined | TopicError) => void

/** Asks for something. If there is no connection, or if it ends, there is no answer. */
type Ask = (topic: string, make: (id: number) => Request, done: Done) => void

/** A session that is tracked. It is tracked again on each connection. */
interface TrackedSession {
  readonly topic: string
  readonly session: number
  readonly key: string
  meta: string
  /** Whether the server of this connection knows it, or is being asked. */
  phase: Phase
  /** Called with the next answer. */
  done: Done
}

type Phase = "unknown" | "asked" | "known"

export const unavailable = (topic: string, cause: unknown): TopicError =>
  new TopicError({ reason: "Unavailable", topic, cause })

/** The presence of a client: its sessions, and the rooms that it watches. Each new connection is told. */
export class ClientPresence {
  private readonly request: Ask
  private readonly rooms = new Map<string, ClientRoom>()
  // Those that the server could not begin to follow.
  private readonly refused = new Set<ClientRoom>()
  private readonly tracked = new Set<TrackedSession>()
  private lastSession = 0
  private failure: { readonly cause: unknown } | undefined = undefined

  constructor(request: Ask) {
    this.request = request
  }

  /** Tells a new connection everything. */
  connected(): void {
    this.refused.clear()
    for (const session of this.tracked) this.sendTrack(session)
    for (const room of this.rooms.values()) this.sendWatch(room)
  }

  /** Asks again for whatever the server could not do. */
  check(): void {
    for (const session of this.tracked) if (session.phase === "unknown") this.sendTrack(session)
    const rooms = [...this.refused]
    this.refused.clear()
    for (const room of rooms) this.sendWatch(room)
  }

  /** There will be no other connection. */
  end(cause: unknown): void {
    this.failure = { cause }
    for (const session of this.tracked) session.done(unavailable(session.topic, cause))
    for (const room of this.rooms.values()) room.fail(unavailable(room.topic, cause))
    this.rooms.clear()
  }

  take(answer: Extract<Answer, { readonly type: "present" | "changed" | "count" }>): void {
    const room = this.rooms.get(roomKey(answer.topic, answer.type === "count"))
    if (room === undefined) return
    if (answer.type === "present") room.begin(answer.members)
    else if (answer.type === "count") room.counted(answer.count)
    else {
      const { joined, left, updated } = answer
      room.changed({ _tag: "Changed", joined, updated, left })
    }
  }

  /** Tracks a session on this connection and all later ones, until the returned function is called. */
  track(session: Pick<TrackedSession, "topic" | "key" | "meta">): {
    readonly tracked: Effect.Effect<void, TopicError>
    readonly update: (meta: string) => Effect.Effect<void, TopicError>
    readonly end: () => void
  } {
    const tracked: TrackedSession = { ...session, session: ++this.lastSession, phase: "asked", done: ignore }
    this.tracked.add(tracked)
    const send = Effect.suspend(() => {
      if (this.failure !== undefined) return Effect.fail(unavailable(tracked.topic, this.failure.cause))
      const answered = deferredMakeUnsafe<void, TopicError>()
      const { done } = tracked
      tracked.done = (outcome) => {
        done(outcome)
        deferredDoneUnsafe(answered, outcome instanceof TopicError ? Exit.fail(outcome) : Exit.void)
      }
      this.sendTrack(tracked)
      return Deferred.await(answered)
    })
    return {
      tracked: send,
      update: (meta) =>
        Effect.suspend(() => {
          tracked.meta = meta
          return send
        }),
      end: () => {
        if (!this.tracked.delete(tracked)) return
        this.request(tracked.topic, (id) => ({ type: "untrack", id, session: tracked.session }), ignore)
      }
    }
  }

  private sendTrack(tracked: TrackedSession): void {
    const { key, meta, session, topic } = tracked
    tracked.phase = "asked"
    this.request(
      topic,
      (id) => ({ type: "track", id, topic, session, key, meta }),
      (outcome) => {
        const { done } = tracked
        tracked.done = ignore
        tracked.phase = isUnavailable(outcome) ? "unknown" : "known"
        done(outcome)
      }
    )
  }

  room(topic: string, isCount: boolean): ClientRoom {
    const key = roomKey(topic, isCount)
    const known = this.rooms.get(key)
    if (known !== undefined) return known
    const room = new ClientRoom(topic, isCount)
    if (this.failure !== undefined) {
      room.fail(unavailable(topic, this.failure.cause))
      return room
    }
    this.rooms.set(key, room)
    this.sendWatch(room)
    return room
  }

  /** A reader has left. */
  leaveRoom(room: ClientRoom): void {
    const key = roomKey(room.topic, room.isCount)
    if (room.observers.size > 0 || this.rooms.get(key) !== room) return
    this.rooms.delete(key)
    this.refused.delete(room)
    this.request(room.topic, (id) => ({ type: "unwatch", id, topic: room.topic, counts: room.isCount }), ignore)
  }

  private sendWatch(room: ClientRoom): void {
    const { isCount, topic } = room
    this.request(
      topic,
      (id) => ({ type: "watch", id, topic, counts: isCount }),
      (outcome) => {
        if (!(outcome instanceof TopicError) || this.rooms.get(roomKey(topic, isCount)) !== room) return
        if (room.hasBegun && isUnavailable(outcome)) {
          this.refused.add(room)
          return
        }
        this.rooms.delete(roomKey(topic, isCount))
        room.fail(outcome)
      }
    )
  }
}

const ignore = (): void => {}

/** Whether asking again may help. */
const isUnavailable = (outcome: Position | undefined | TopicError): boolean =>
  outcome instanceof TopicError && outcome.reason === "Unavailable"

const roomKey = (topic: string, isCount: boolean): string => `${isCount ? "#" : ""} ${topic}`
