import { size, type Message } from "@effect-websocket/protocol/Message"
import type { HistoryPage, Position, Publication } from "./Publication.js"

/** The bounds of a history. A publication leaves it as soon as one of them is exceeded, the oldest first. */
export interface HistoryLimits {
  readonly maxPublications: number
  /** The bytes of the messages together. */
  readonly maxBytes: number
  /** In milliseconds. */
  readonly maxAge: number
}

/** What several histories take together, in bytes: each publication takes those of its message and `publicationBytes`. */
export interface HistoryUsage {
  bytes: number
}

/** About what V8 takes for a publication without its message. */
export const publicationBytes = 200

interface Entry {
  readonly publication: Publication
  readonly bytes: number
  readonly expiresAt: number
}

// Expired entries at the front are removed from the array when they are at least this many, and half of it.
const minWaste = 32

/** The newest publications of one epoch of a topic. All times are those of the caller's clock, which never goes back. */
export class History {
  private readonly limits: HistoryLimits
  private readonly usage: HistoryUsage
  private readonly entries: Array<Entry | undefined> = []
  // The index of the oldest entry.
  private head = 0
  private bytes = 0
  /** The position behind the newest publication. */
  newest: Position

  constructor(epoch: string, limits: HistoryLimits, usage: HistoryUsage) {
    this.limits = limits
    this.usage = usage
    this.newest = { epoch, offset: 0 }
  }

  /** How many publications it has. */
  get length(): number {
    return this.entries.length - this.head
  }

  /** The time at which the oldest publication leaves. `undefined` without one. */
  get expiresAt(): number | undefined {
    return this.entries[this.head]?.expiresAt
  }

  add(message: Message, publisher: string | undefined, now: number): Publication {
    const { epoch, offset } = this.newest
    const publication: Publication = {
      _tag: "Publication",
      position: { epoch, offset: offset + 1 },
      message,
      publisher
    }
    this.newest = publication.position
    const bytes = size(message)
    this.entries.push({ publication, bytes, expiresAt: now + this.limits.maxAge })
    this.bytes += bytes
    this.usage.bytes += publicationBytes + bytes
    this.trim(now)
    return publication
  }

  /** The publications behind `since`, at most `limit`. */
  after(since: Position, limit: number, now: number): HistoryPage {
    this.trim(now)
    const { newest } = this
    const missed = newest.offset - since.offset
    const isComplete = since.epoch === newest.epoch && missed >= 0 && missed <= this.length
    const start = this.entries.length - missed
    return { isComplete, publications: isComplete ? this.slice(start, start + limit) : [], newest }
  }

  /** The newest publications, at most `limit`. */
  last(limit: number, now: number): HistoryPage {
    this.trim(now)
    const { length } = this.entries
    return {
      isComplete: true,
      publications: this.slice(Math.max(this.head, length - limit), length),
      newest: this.newest
    }
  }

  private slice(start: number, end: number): ReadonlyArray<Publication> {
    // Everything from `head` on is an entry.
    return this.entries.slice(start, end).flatMap((entry) => (entry === undefined ? [] : [entry.publication]))
  }

  /** Removes all publications. The position stays. */
  clear(): void {
    this.usage.bytes -= this.length * publicationBytes + this.bytes
    this.bytes = 0
    this.head = 0
    this.entries.length = 0
  }

  /** Removes what exceeds the bounds. */
  trim(now: number): void {
    const { entries } = this
    const { maxBytes, maxPublications } = this.limits
    for (let oldest = entries[this.head]; oldest !== undefined; oldest = entries[this.head]) {
      if (this.length <= maxPublications && this.bytes <= maxBytes && oldest.expiresAt > now) break
      this.bytes -= oldest.bytes
      this.usage.bytes -= publicationBytes + oldest.bytes
      entries[this.head++] = undefined
    }
    if (this.head < minWaste || this.head * 2 < entries.length) return
    entries.splice(0, this.head)
    this.head = 0
  }
}
