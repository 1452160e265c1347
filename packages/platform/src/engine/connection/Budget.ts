import { notSet, type Alarm, type Timers } from "../time/Timers.js"

/** A connection, as its budget sees it. */
export interface BudgetMember {
  /** The bytes that are held of messages that have not ended. */
  readonly unfinishedBytes: number
  /** How many received messages have ended. */
  readonly receivedMessages: number
  /** Reports to its ledger what it holds now. */
  account(): void
  /** Reads, pauses, or continues to send, as its ledger now allows. */
  obeyBudget(): void
  /** Fails the connection, which frees what it holds of unfinished messages. */
  shed(maxBytes: number): void
}

/** In bytes; see `ByteBudget.Usage`. */
export interface Usage {
  readonly maxBytes: number
  readonly usedBytes: number
  readonly unreadBytes: number
  readonly unfinishedBytes: number
  readonly unsentBytes: number
  readonly isExhausted: boolean
  readonly connections: number
}

// The budget looks at all connections at this interval, because a transport does not report that bytes have left.
const lookMillis = 50
// Between two looks, everything that has arrived is read, even if the process was busy. Other connections may begin a
// message after `maxStuckLooks` looks in a row at which nothing was freed, or after connections were held back at
// `maxHeldLooks` looks.
const maxStuckLooks = 4
const maxHeldLooks = 20
// An unfinished message that has not ended after this many looks may be dropped.
const maxCrowdedLooks = 40

/** A level that is exceeded once there are more than `high` bytes, and until at most `low` bytes are left. */
class Level {
  isExceeded = false
  readonly high: number
  readonly low: number

  constructor(high: number) {
    this.high = high
    this.low = high / 2
  }

  /** Returns whether `isExceeded` has changed. */
  update(bytes: number): boolean {
    const isExceeded = bytes > (this.isExceeded ? this.low : this.high)
    const changed = isExceeded !== this.isExceeded
    this.isExceeded = isExceeded
    return changed
  }
}

/**
 * The bytes that all connections of a budget hold. Half of the budget is for received bytes and half for bytes to send. The
 * two halves never wait for each other.
 *
 * If the connections together exceed a half, each of them works with the smallest possible marks:
 *
 * - receiving: a connection is not read while it has unread messages;
 * - sending: a connection does not send while more bytes than its low-water mark are unsent.
 *
 * The others never hold up a connection that holds nothing. So connections cannot wait for each other in a circle.
 *
 * Only a message that has begun costs more than that. If unfinished messages take more than a quarter of the budget, they
 * continue first. A connection then begins another message only if nothing else makes progress. A message that does not end
 * in time is dropped.
 */
export class Budget implements Alarm {
  readonly maxBytes: number
  alarmTime = 0
  alarmIndex = notSet
  unreadBytes = 0
  unfinishedBytes = 0
  unsentBytes = 0
  private readonly received: Level
  private readonly unfinished: Level
  private readonly unsent: Level
  private readonly members = new Set<BudgetMember>()
  private timers: Timers | undefined = undefined
  private assessing = false
  // Whether no connection may begin another message.
  private holdsBack = false
  private heldLooks = 0
  private hasFreed = false
  private stuckLooks = 0
  // The bytes of unfinished messages at the time when other connections were allowed to begin one, too.
  private releasedBytes = 0
  // While unfinished messages take too much: the connections whose message has begun, each with its count of messages that
  // had ended by then.
  private readonly begun = new Map<BudgetMember, number>()
  private crowdedLooks = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
    this.received = new Level(maxBytes / 2)
    this.unfinished = new Level(maxBytes / 4)
    this.unsent = new Level(maxBytes / 2)
  }

  /** Whether new connections are refused. */
  get isExhausted(): boolean {
    return this.received.isExceeded || this.unfinished.isExceeded || this.unsent.isExceeded
  }

  /** Counts how much of the budget is used now. */
  measure(): Usage {
    this.recount()
    const { isExhausted, maxBytes, members, unfinishedBytes, unreadBytes, unsentBytes } = this
    const usedBytes = unreadBytes + unfinishedBytes + unsentBytes
    return { maxBytes, usedBytes, unreadBytes, unfinishedBytes, unsentBytes, isExhausted, connections: members.size }
  }

  /** Whether a connection may be read. */
  mayRead(unreadBytes: number, unfinishedBytes: number): boolean {
    if (this.received.isExceeded && unreadBytes > 0) return false
    return !this.holdsBack || unfinishedBytes > 0
  }

  /** Whether a connection sends only while at most as many bytes as its low-water mark are unsent. */
  get sendsSparingly(): boolean {
    return this.unsent.isExceeded
  }

  add(member: BudgetMember): void {
    this.members.add(member)
    member.obeyBudget()
  }

  delete(member: BudgetMember): void {
    this.members.delete(member)
    this.begun.delete(member)
  }

  charge(unreadBytes: number, unfinishedBytes: number, unsentBytes: number, timers: Timers): void {
    this.unreadBytes += unreadBytes
    this.unfinishedBytes += unfinishedBytes
    this.unsentBytes += unsentBytes
    if (unreadBytes < 0 || unfinishedBytes < 0) this.hasFreed = true
    // Charges that members cause during an assessment are part of that assessment.
    if (this.assessing) return
    this.assessing = true
    try {
      this.assess()
    } finally {
      this.assessing = false
    }
    if (!this.isExhausted) this.timers?.clear(this)
    else if (this.alarmIndex === notSet) {
      this.timers = timers
      timers.set(this, timers.now + lookMillis)
    }
  }

  private assess(): void {
    // Bytes that have left the transports since the last look do not count.
    if (!this.unsent.isExceeded && this.unsentBytes > this.unsent.high) this.recount()
    if (this.unfinishedBytes > this.maxBytes) this.shed([...this.members], this.unfinished.high, 1)
    while (this.updateLevels()) for (const member of this.members) member.obeyBudget()
  }

  private updateLevels(): boolean {
    const received = this.received.update(this.unreadBytes + this.unfinishedBytes)
    const unfinished = this.unfinished.update(this.unfinishedBytes)
    const unsent = this.unsent.update(this.unsentBytes)
    if (unfinished) {
      this.holdsBack = this.unfinished.isExceeded
      this.heldLooks = this.stuckLooks = this.crowdedLooks = 0
      this.begun.clear()
      if (this.unfinished.isExceeded) this.rememberBegun()
    }
    // Another message has begun.
    const heldAgain = this.unfinished.isExceeded && !this.holdsBack && this.unfinishedBytes > this.releasedBytes
    if (heldAgain) this.holdsBack = true
    this.releasedBytes = Math.min(this.releasedBytes, this.unfinishedBytes)
    return received || unfinished || unsent || heldAgain
  }

  private recount(): void {
    for (const member of this.members) member.account()
  }

  private rememberBegun(): void {
    this.begun.clear()
    for (const member of this.members) if (member.unfinishedBytes > 0) this.begun.set(member, member.receivedMessages)
  }

  fire(): void {
    const { timers } = this
    if (timers === undefined) return
    timers.set(this, timers.now + lookMillis)
    this.recount()
    this.stuckLooks = this.hasFreed ? 0 : this.stuckLooks + 1
    this.hasFreed = false
    if (this.unfinished.isExceeded) this.lookAtUnfinished()
    if (this.isExhausted) for (const member of this.members) member.obeyBudget()
  }

  private lookAtUnfinished(): void {
    if (++this.crowdedLooks >= maxCrowdedLooks) {
      this.crowdedLooks = 0
      const old = [...this.begun].filter(([member, ended]) => member.receivedMessages === ended)
      this.shed(
        old.map(([member]) => member),
        this.unfinished.low,
        0
      )
      if (this.unfinished.isExceeded) this.rememberBegun()
    }
    // An unfinished message may depend on one that has not begun, for example if its peer must read first.
    const isLong = ++this.heldLooks >= maxHeldLooks || this.stuckLooks >= maxStuckLooks
    if (this.holdsBack && isLong && this.unfinishedBytes <= this.maxBytes / 2) {
      this.holdsBack = false
      this.heldLooks = this.stuckLooks = 0
      this.releasedBytes = this.unfinishedBytes
    }
  }

  /**
   * Drops the largest unfinished messages of `members` until at most `maxBytes` bytes, or only `spared` messages, are
   * left.
   */
  private shed(members: ReadonlyArray<BudgetMember>, maxBytes: number, spared: number): void {
    const holders = members.filter(({ unfinishedBytes }) => unfinishedBytes > 0)
    holders.sort((a, b) => b.unfinishedBytes - a.unfinishedBytes)
    let left = this.unfinishedBytes
    for (const holder of holders.slice(0, holders.length - spared)) {
      if (left <= maxBytes) return
      left -= holder.unfinishedBytes
      holder.shed(this.maxBytes)
    }
  }
}

/** The account of one connection in a budget. */
export class Ledger {
  readonly budget: Budget
  private readonly timers: Timers
  private unreadBytes = 0
  private unfinishedBytes = 0
  private unsentBytes = 0

  constructor(budget: Budget, timers: Timers) {
    this.budget = budget
    this.timers = timers
  }

  /** Whether the connection may be read. */
  get mayRead(): boolean {
    return this.budget.mayRead(this.unreadBytes, this.unfinishedBytes)
  }

  /** Charges the difference from the last report. */
  update(unreadBytes: number, unfinishedBytes: number, unsentBytes: number): void {
    const unread = unreadBytes - this.unreadBytes
    const unfinished = unfinishedBytes - this.unfinishedBytes
    const unsent = unsentBytes - this.unsentBytes
    if (unread === 0 && unfinished === 0 && unsent === 0) return
    this.unreadBytes = unreadBytes
    this.unfinishedBytes = unfinishedBytes
    this.unsentBytes = unsentBytes
    this.budget.charge(unread, unfinished, unsent, this.timers)
  }
}
