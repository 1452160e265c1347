import type { Changed, Present, PresentMember, Room, RoomObserver } from "../engine/topics/RoomReader.js"
import { Waiters } from "../engine/Waiters.js"
import type { FollowedRoom } from "./roomStream.js"
import type { TopicError } from "./TopicError.js"

/** Who is present in a topic, as the server has told this client. All readers share it. */
export class ClientRoom implements Room, FollowedRoom {
  readonly topic: string
  readonly isCount: boolean
  readonly observers = new Set<RoomObserver>()
  readonly wakes = new Waiters()
  hasBegun = false
  failure: { readonly error: TopicError } | undefined = undefined
  private readonly members = new Map<string, PresentMember>()
  private count = 0
  private snapshot: Present | undefined = undefined

  constructor(topic: string, isCount: boolean) {
    this.topic = topic
    this.isCount = isCount
  }

  get room(): Room {
    return this
  }

  get present(): Present {
    return (this.snapshot ??= { _tag: "Present", members: [...this.members.values()] })
  }

  get size(): number {
    return this.isCount ? this.count : this.members.size
  }

  begin(members: ReadonlyArray<PresentMember>): void {
    this.members.clear()
    this.put(members)
    this.restart()
  }

  counted(count: number): void {
    this.count = count
    this.restart()
  }

  changed(change: Changed): void {
    if (!this.hasBegun) return
    this.put([...change.joined, ...change.updated])
    for (const { key } of change.left) this.members.delete(key)
    for (const observer of this.observers) observer.changed(change)
  }

  fail(error: TopicError): void {
    this.failure ??= { error }
    this.wakes.wakeAll()
  }

  private put(members: ReadonlyArray<PresentMember>): void {
    this.snapshot = undefined
    for (const member of members) this.members.set(member.key, member)
  }

  private restart(): void {
    this.hasBegun = true
    this.snapshot = undefined
    for (const observer of this.observers) observer.restart()
    this.wakes.wakeAll()
  }
}
