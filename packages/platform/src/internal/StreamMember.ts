import { weight } from "../engine/connection/Inbox.js"
import type { Slow } from "../engine/connection/MessageSender.js"
import type { Delivery, Member } from "../engine/topics/LocalTopic.js"
import type { Position, Publication } from "../engine/topics/Publication.js"
import { Waiters } from "../engine/Waiters.js"
import { gap, type Started, type TopicEvent } from "./topicEvents.js"

/** The subscriber could not keep up, and its strategy is `"close"`. */
export const tooSlow: unique symbol = Symbol("tooSlow")

/** A stream that is subscribed to a topic. It holds what its reader has not taken yet. */
export class StreamMember implements Member {
  index = -1
  ahead = 0
  isOver = false
  /** Why the stream fails once everything was taken. */
  failure: { readonly cause: unknown } | undefined = undefined
  /** The position from which the history has to be read before anything else. */
  behind: Position | undefined = undefined
  readonly wakes = new Waiters()
  private readonly strategy: Slow["sendStrategy"]
  private readonly maxBytes: number
  private readonly maxSuspendedBytes: number
  /** Called when it no longer gets publications. */
  private readonly remove: (member: Member) => void
  private items: Array<TopicEvent> = []
  private bytes = 0
  private hasLost = false
  // Ends the waits of publishers.
  private releases: Array<() => void> = []

  /** `maxSuspendedBytes` bounds what publishers add that do not wait although the strategy is `"suspend"`. */
  constructor(
    strategy: Slow["sendStrategy"],
    maxBytes: number,
    remove: (member: Member) => void,
    maxSuspendedBytes: number = 2 * maxBytes
  ) {
    this.strategy = strategy
    this.maxBytes = maxBytes
    this.maxSuspendedBytes = maxSuspendedBytes
    this.remove = remove
  }

  get isReady(): boolean {
    return this.items.length > 0
  }

  /** Adds something that the reader has asked for, so it is not limited. */
  add(event: TopicEvent): void {
    this.items.push(event)
    if (event._tag === "Publication") this.bytes += weight(event.message)
    this.wakes.wakeAll()
  }

  /** Adds how it begins. */
  tell(event: Started): void {
    this.add(event)
  }

  take(): ReadonlyArray<TopicEvent> {
    const { items, releases } = this
    this.items = []
    this.releases = []
    this.bytes = 0
    for (const release of releases) release()
    return items
  }

  deliver(delivery: Delivery): void {
    const { publication } = delivery
    if (publication.position.offset <= this.ahead) return
    const isFull = this.items.length > 0 && this.bytes + weight(publication.message) > this.maxBytes
    if (isFull && !this.makesRoom(delivery)) return
    if (this.hasLost) {
      this.hasLost = false
      this.add(gap({ ...publication.position, offset: publication.position.offset - 1 }))
    }
    this.add(publication)
  }

  /** Whether the publication can be added although too many bytes wait. */
  private makesRoom(delivery: Delivery): boolean {
    switch (this.strategy) {
      case "suspend":
        // Publishers that do not wait must not fill the memory. The rest is in the history.
        if (this.bytes > this.maxSuspendedBytes) {
          const { epoch, offset } = delivery.publication.position
          this.behind = { epoch, offset: offset - 1 }
          this.remove(this)
          return false
        }
        this.releases.push(delivery.wait())
        return true
      case "dropping":
        this.hasLost = true
        return false
      case "sliding":
        this.slide(delivery.publication)
        return true
      case "close":
      case "abort":
        this.fail(tooSlow)
        this.remove(this)
        return false
    }
  }

  /** Drops the oldest publications, and says so. */
  private slide(publication: Publication): void {
    let dropped: Position | undefined
    let first = 0
    for (const item of this.items) {
      if (this.bytes + weight(publication.message) <= this.maxBytes) break
      first++
      if (item._tag !== "Publication") continue
      this.bytes -= weight(item.message)
      dropped = item.position
    }
    this.items.splice(0, first)
    if (dropped !== undefined) this.items.unshift(gap(dropped))
  }

  gap(position: Position): void {
    this.hasLost = false
    this.add(gap(position))
  }

  fail(cause: unknown): void {
    this.failure ??= { cause }
    this.end()
    this.wakes.wakeAll()
  }

  /** From now on it makes no publisher wait. */
  end(): void {
    this.isOver = true
    for (const release of this.releases) release()
    this.releases = []
  }
}
