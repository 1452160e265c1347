import * as Effect from "effect/Effect"
import type { ByteBudget, Usage } from "../ByteBudget.js"
import { notSet, type Alarm, type Timers } from "./timers.js"

/** A connection, as its budget sees it. All in bytes. */
export interface Member {
  readonly unreadBytes: number
  readonly unfinishedBytes: number
  readonly unsentBytes: number
  /** Charges the budget with what is held now. */
  account(): void
  pauseForBudget(): void
  resumeForBudget(): void
  /** Fails the connection, which frees what it holds of unfinished messages. */
  shed(maxBytes: number): void
}

// While nothing is read, what leaves a transport is noticed only by looking.
const lookMillis = 50

/**
 * What all connections of a budget hold. Above its size all of them stop reading, until half of it is free. What apps read
 * and peers take goes by itself; unfinished messages do not, while nothing is read, so they may take no more than half:
 * beyond it the connection that holds most of them is failed.
 */
export class Budget implements ByteBudget, Alarm {
  readonly maxBytes: number
  alarmTime = 0
  alarmIndex = notSet
  isExhausted = false
  private recounting = false
  private usedBytes = 0
  private timers: Timers | undefined = undefined
  private readonly members = new Set<Member>()

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  readonly usage: Effect.Effect<Usage> = Effect.sync(() => {
    const { isExhausted, maxBytes, members } = this
    let unreadBytes = 0
    let unfinishedBytes = 0
    let unsentBytes = 0
    for (const member of members) {
      unreadBytes += member.unreadBytes
      unfinishedBytes += member.unfinishedBytes
      unsentBytes += member.unsentBytes
    }
    const usedBytes = unreadBytes + unfinishedBytes + unsentBytes
    return { maxBytes, usedBytes, unreadBytes, unfinishedBytes, unsentBytes, isExhausted, connections: members.size }
  })

  add(member: Member): void {
    this.members.add(member)
    if (this.isExhausted) member.pauseForBudget()
  }

  delete(member: Member): void {
    this.members.delete(member)
  }

  charge(bytes: number, timers: Timers): void {
    this.usedBytes += bytes
    if (!this.isExhausted) {
      if (this.usedBytes > this.maxBytes && !this.recounting) this.exhaust(timers)
    } else if (this.usedBytes <= this.maxBytes / 2) this.relieve()
  }

  ring(): void {
    for (const member of this.members) member.account()
    if (this.isExhausted) this.look()
  }

  private look(): void {
    this.timers?.set(this, this.timers.now + lookMillis)
  }

  private exhaust(timers: Timers): void {
    // What left the transports since they were looked at does not count.
    this.recounting = true
    for (const member of this.members) member.account()
    this.recounting = false
    if (this.usedBytes <= this.maxBytes) return
    this.isExhausted = true
    for (const member of this.members) member.pauseForBudget()
    this.shed()
    if (!this.isExhausted) return
    this.timers = timers
    this.look()
  }

  private shed(): void {
    const holders = [...this.members].filter(({ unfinishedBytes }) => unfinishedBytes > 0)
    let unfinished = holders.reduce((sum, { unfinishedBytes }) => sum + unfinishedBytes, 0)
    if (unfinished <= this.maxBytes / 2) return
    holders.sort((a, b) => b.unfinishedBytes - a.unfinishedBytes)
    for (const holder of holders) {
      if (unfinished <= this.maxBytes / 2) return
      unfinished -= holder.unfinishedBytes
      holder.shed(this.maxBytes)
    }
  }

  private relieve(): void {
    this.isExhausted = false
    this.timers?.clear(this)
    this.timers = undefined
    for (const member of this.members) member.resumeForBudget()
  }
}
