import { notSet, type Alarm, type Timers } from "../time/Timers.js"
import type { Entered, Left, PresenceEntry } from "./MemoryPresence.js"
import type { Changed, Present, PresentMember, Room, RoomObserver } from "./RoomReader.js"

/** All times are in milliseconds. */
export interface RoomSettings {
  /** How long changes are collected. */
  readonly interval: number
  /** How long a key without sessions counts as present. */
  readonly leaveDelay: number
}

/** Who is present in one topic, as the observers of one process are told. */
export class PresenceRoom implements Alarm, Room {
  alarmTime = 0
  alarmIndex = notSet
  readonly observers = new Set<RoomObserver>()
  private readonly settings: RoomSettings
  private readonly timers: Timers
  /** The sessions of each key. */
  private readonly sessions = new Map<string, Map<string, string>>()
  /** What the observers know. */
  private readonly told = new Map<string, PresentMember>()
  /** The keys that may differ from what the observers know, and when they are told. */
  private readonly due = new Map<string, number>()
  private snapshot: Present | undefined = undefined

  constructor(settings: RoomSettings, timers: Timers) {
    this.settings = settings
    this.timers = timers
  }

  /** What the observers know. */
  get present(): Present {
    return (this.snapshot ??= { _tag: "Present", members: [...this.told.values()] })
  }

  /** How many keys the observers know. */
  get size(): number {
    return this.told.size
  }

  /** The sessions that there are when the first observer begins. */
  begin(entries: ReadonlyArray<PresenceEntry>): void {
    for (const entry of entries) this.set(entry)
    for (const key of this.sessions.keys()) this.told.set(key, this.memberOf(key))
  }

  apply(change: Entered | Left): void {
    const { entry } = change
    if (change._tag === "Entered") {
      this.set(entry)
      this.tellAt(entry.key, this.timers.now + this.settings.interval)
    } else if (this.sessions.get(entry.key)?.delete(entry.session) === true) {
      this.tellAt(entry.key, this.timers.now + Math.max(this.settings.interval, this.settings.leaveDelay))
    }
  }

  /** Changes may have been missed. These are the sessions now. */
  replace(entries: ReadonlyArray<PresenceEntry>): void {
    const gone = new Map([...this.sessions].map(([key, sessions]) => [key, new Map(sessions)]))
    for (const entry of entries) {
      gone.get(entry.key)?.delete(entry.session)
      if (this.sessions.get(entry.key)?.get(entry.session) !== entry.meta) this.apply({ _tag: "Entered", entry })
    }
    for (const [key, sessions] of gone) {
      for (const [session, meta] of sessions) this.apply({ _tag: "Left", entry: { key, session, meta } })
    }
  }

  stop(): void {
    this.timers.clear(this)
  }

  fire(): void {
    const { now } = this.timers
    const joined: Array<PresentMember> = []
    const updated: Array<PresentMember> = []
    const left: Array<PresentMember> = []
    for (const [key, time] of this.due) {
      // Those of the next interval are told with these.
      if (time > now + this.settings.interval) continue
      this.due.delete(key)
      const known = this.told.get(key)
      if (this.sessions.get(key)?.size === 0) {
        this.sessions.delete(key)
        this.told.delete(key)
        if (known !== undefined) left.push(known)
        continue
      }
      const member = this.memberOf(key)
      this.told.set(key, member)
      if (known === undefined) joined.push(member)
      else if (!isSame(known.metas, member.metas)) updated.push(member)
    }
    this.schedule()
    if (joined.length + updated.length + left.length === 0) return
    this.snapshot = undefined
    const change: Changed = { _tag: "Changed", joined, updated, left }
    for (const observer of this.observers) observer.changed(change)
  }

  private set({ key, meta, session }: PresenceEntry): void {
    let sessions = this.sessions.get(key)
    if (sessions === undefined) {
      sessions = new Map()
      this.sessions.set(key, sessions)
    }
    sessions.set(session, meta)
  }

  /** A change before another one that waits does not wait longer for it. */
  private tellAt(key: string, time: number): void {
    this.due.set(key, Math.min(time, this.due.get(key) ?? Number.POSITIVE_INFINITY))
    if (this.alarmIndex === notSet || time < this.alarmTime) this.timers.set(this, time)
  }

  private schedule(): void {
    let first = Number.POSITIVE_INFINITY
    for (const time of this.due.values()) first = Math.min(first, time)
    if (first === Number.POSITIVE_INFINITY) return
    this.timers.set(this, Math.max(first, this.timers.now + this.settings.interval))
  }

  private memberOf(key: string): PresentMember {
    return { key, metas: [...(this.sessions.get(key)?.values() ?? [])].sort() }
  }
}

const isSame = (one: ReadonlyArray<string>, other: ReadonlyArray<string>): boolean =>
  one.length === other.length && one.every((meta, index) => meta === other[index])
