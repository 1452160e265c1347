import { notSet, type Alarm, type Timers } from "../time/Timers.js"

/** One session of a member of a topic. Several sessions may have the same key: two tabs of one person. */
export interface PresenceEntry {
  readonly key: string
  readonly session: string
  /** Text of the app, for example JSON. */
  readonly meta: string
}

/** A session was added, or has another `meta` than before. */
export interface Entered {
  readonly _tag: "Entered"
  readonly entry: PresenceEntry
}

/** A session was removed, or has expired. */
export interface Left {
  readonly _tag: "Left"
  readonly entry: PresenceEntry
}

export type PresenceListener = (change: Entered | Left) => void

interface Room {
  readonly name: string
  readonly sessions: Map<string, Session>
  readonly listeners: Set<PresenceListener>
}

/** The sessions that are present in topics, in one process. */
export class MemoryPresence {
  readonly timers: Timers
  private readonly rooms = new Map<string, Room>()

  constructor(timers: Timers) {
    this.timers = timers
  }

  /** Adds or renews a session. It leaves `millis` milliseconds later, unless it is renewed. */
  set(topic: string, entry: PresenceEntry, millis: number): void {
    const room = this.room(topic)
    const id = idOf(entry)
    const known = room.sessions.get(id)
    const session = known ?? new Session(this, topic, entry)
    const isNew = known === undefined || known.entry.meta !== entry.meta
    session.entry = entry
    room.sessions.set(id, session)
    this.timers.set(session, this.timers.now + millis)
    if (isNew) tell(room, { _tag: "Entered", entry })
  }

  remove(topic: string, key: string, session: string): void {
    const room = this.rooms.get(topic)
    const id = idOf({ key, session })
    const known = room?.sessions.get(id)
    if (room === undefined || known === undefined) return
    this.timers.clear(known)
    room.sessions.delete(id)
    tell(room, { _tag: "Left", entry: known.entry })
    this.release(room)
  }

  list(topic: string): ReadonlyArray<PresenceEntry> {
    return [...(this.rooms.get(topic)?.sessions.values() ?? [])].map(({ entry }) => entry)
  }

  /** Calls `listener` for each later change. Returns a function that ends this. */
  listen(topic: string, listener: PresenceListener): () => void {
    const room = this.room(topic)
    const own: PresenceListener = (change) => listener(change)
    room.listeners.add(own)
    return () => {
      room.listeners.delete(own)
      this.release(room)
    }
  }

  /** Ends all timers. */
  stop(): void {
    for (const { sessions } of this.rooms.values()) for (const session of sessions.values()) this.timers.clear(session)
  }

  private room(name: string): Room {
    let room = this.rooms.get(name)
    if (room === undefined) {
      room = { name, sessions: new Map(), listeners: new Set() }
      this.rooms.set(name, room)
    }
    return room
  }

  private release(room: Room): void {
    if (room.sessions.size === 0 && room.listeners.size === 0 && this.rooms.get(room.name) === room) {
      this.rooms.delete(room.name)
    }
  }
}

class Session implements Alarm {
  entry: PresenceEntry
  alarmTime = 0
  alarmIndex = notSet
  private readonly owner: MemoryPresence
  private readonly topic: string

  constructor(owner: MemoryPresence, topic: string, entry: PresenceEntry) {
    this.owner = owner
    this.topic = topic
    this.entry = entry
  }

  fire(): void {
    this.owner.remove(this.topic, this.entry.key, this.entry.session)
  }
}

const tell = (room: Room, change: Entered | Left): void => {
  for (const listener of room.listeners) listener(change)
}

// The length of the key tells where it ends.
const idOf = ({ key, session }: Pick<PresenceEntry, "key" | "session">): string => `${key.length}:${key}${session}`
