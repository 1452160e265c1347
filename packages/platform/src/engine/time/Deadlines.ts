import type { Settings } from "../../engine/Settings.js"
import { notSet, type Alarm, type Timers } from "./Timers.js"

/** What passes with time. */
export type Deadline = "close" | "heartbeat" | "idle" | "lifetime" | "message" | "write"

/** The owner of the deadlines. */
export interface DeadlineOwner {
  /** Whether nothing can arrive, because nothing is read. */
  readonly paused: boolean
  /** How many bytes the transport holds, because they cannot leave yet. */
  readonly stuckBytes: number
  /** How many bytes have left the transport since the start. */
  readonly leftBytes: number
  sendHeartbeat(): void
  expire(deadline: Deadline): void
}

const never = Number.POSITIVE_INFINITY
/** In milliseconds; not there where it never comes: a number with a fraction takes memory of its own. */
type Time = number | undefined
// An estimate of what the kernels and proxies between the two ends hold at most.
const maxBytesOnTheWay = 8 * 1024 * 1024
// A kernel tells that a peer reads only when a third of its send buffer is free, so a buffer of this size may hide for some
// seconds that a peer reads, if that takes it no more than so many bytes per millisecond: 1 Mbit per second.
const maxSendBuffer = 4 * 1024 * 1024
const hiddenBytesPerMilli = 125

/**
 * The deadlines of one connection: one alarm, set to the next of them. What moves a deadline on is only remembered; the
 * alarm finds it when it fires, and is set again.
 */
export class Deadlines implements Alarm {
  alarmTime = 0
  alarmIndex = notSet

  private readonly timers: Timers
  private readonly settings: Settings
  private readonly owner: DeadlineOwner

  private closeTime: Time = undefined
  private lifetimeTime: Time = undefined
  private writeTime: Time = undefined
  private messageTime: Time = undefined
  private idleTime: Time = undefined
  private lastMessage = 0
  private heartbeatTime: Time = undefined
  private lastHeard = 0
  private awaitsSign = false
  private grace: ReturnType<typeof setTimeout> | undefined = undefined
  // Made when something waits to be written for the first time: for most connections that never is.
  private progress: Progress | undefined = undefined

  constructor(timers: Timers, settings: Settings, owner: DeadlineOwner) {
    this.timers = timers
    this.settings = settings
    this.owner = owner
  }

  start(): void {
    const { heartbeatInterval, idleTimeout, maxLifetime } = this.settings
    if (Math.min(heartbeatInterval, idleTimeout, maxLifetime) === never) return
    const { now } = this.timers
    this.lifetimeTime = after(now, maxLifetime)
    this.idleTime = after(now, idleTimeout)
    this.lastMessage = now
    this.heartbeatTime = after(now, heartbeatInterval)
    this.lastHeard = this.timers.timeOfDay
    this.setAlarm()
  }

  /** Something arrived. Called for each chunk, so it asks for no more than the time of day. */
  heard(): void {
    if (this.settings.heartbeatInterval === never) return
    this.lastHeard = this.timers.timeOfDay
    if (!this.awaitsSign) return
    this.awaitsSign = false
    clearTimeout(this.grace)
    this.heartbeatTime = this.timers.now + this.settings.heartbeatInterval
    this.setAlarm()
  }

  /** A message came or went. */
  messaged(): void {
    if (this.settings.idleTimeout !== never) this.lastMessage = this.timers.now
  }

  /** Whether a message has begun to arrive and has not ended. `another`: it is not the one that was under way before. */
  receiving(underWay: boolean, another: boolean): void {
    if (this.settings.messageTimeout === never) return
    if (!underWay) this.messageTime = undefined
    else if (another || this.messageTime === undefined) {
      this.messageTime = this.timers.now + this.settings.messageTimeout
      this.setAlarm()
    }
  }

  /** Whether the transport is above its high-water mark. */
  congested(isCongested: boolean): void {
    const { heartbeatInterval, writeTimeout } = this.settings
    if (heartbeatInterval === never && writeTimeout === never) return
    const { leftBytes } = this.owner
    const progress = (this.progress ??= new Progress())
    if (heartbeatInterval !== never) {
      const timeOfDay = this.timers.timeOfDay
      if (isCongested) progress.slowsDown(timeOfDay, leftBytes, heartbeatInterval)
      else {
        progress.goesOn(timeOfDay, leftBytes)
        // That the peer takes what waits for it is a sign of life.
        this.heard()
      }
    }
    if (writeTimeout === never || isCongested === (this.writeTime !== undefined)) return
    clearTimeout(progress.writeGrace)
    if (!isCongested) this.writeTime = undefined
    else {
      progress.writeLeft = leftBytes
      this.writeTime = this.timers.now + this.writePatience
      this.setAlarm()
    }
  }

  /** From now on there is only the deadline of the closing. */
  closing(): void {
    if (this.closeTime !== undefined) return
    this.stop()
    this.closeTime = this.timers.now + this.settings.closeTimeout
    this.setAlarm()
  }

  /** A part of the time for closing, in milliseconds, had passed when the closing began. */
  closingSince(waited: number): void {
    if (this.closeTime === undefined) return
    this.closeTime = Math.min(this.closeTime, this.timers.now + Math.max(this.settings.closeTimeout - waited, 0))
    this.setAlarm()
  }

  stop(): void {
    this.closeTime = this.lifetimeTime = this.writeTime = undefined
    this.messageTime = this.idleTime = this.heartbeatTime = undefined
    this.awaitsSign = false
    clearTimeout(this.grace)
    clearTimeout(this.progress?.writeGrace)
    this.timers.clear(this)
  }

  fire(): void {
    const { now } = this.timers
    if (isOver(this.closeTime, now)) return this.owner.expire("close")
    if (isOver(this.lifetimeTime, now)) return this.owner.expire("lifetime")
    if (isOver(this.messageTime, now)) {
      // While nothing is read, it is not the peer that takes its time.
      if (!this.owner.paused) return this.owner.expire("message")
      this.messageTime = now + this.settings.messageTimeout
    }
    if (isOver(this.writeTime, now)) {
      this.writeTime = now + this.writePatience
      const progress = (this.progress ??= new Progress())
      const hasWritten = (): boolean => progress.hasWritten(this.owner.leftBytes)
      // It may have read while this process was busy: what can leave does before the next timer fires.
      if (!hasWritten()) progress.writeGrace = setTimeout(() => hasWritten() || this.owner.expire("write"), 0)
    }
    if (isOver(this.idleTime, now)) {
      this.idleTime = this.lastMessage + this.settings.idleTimeout
      if (this.idleTime <= now) {
        // A message that is on its way out has not gone yet, as long as more of it leaves.
        const { leftBytes, stuckBytes } = this.owner
        if (stuckBytes === 0 || leftBytes === this.progress?.idleLeft) return this.owner.expire("idle")
        const progress = (this.progress ??= new Progress())
        progress.idleLeft = leftBytes
        this.idleTime = now + this.settings.idleTimeout
      }
    }
    if (isOver(this.heartbeatTime, now)) this.heartbeatTime = this.beat(now)
    this.setAlarm()
  }

  private get writePatience(): number {
    const hiddenBytes = Math.min(this.owner.leftBytes, maxSendBuffer) / 3
    return this.settings.writeTimeout + Math.floor(hiddenBytes / hiddenBytesPerMilli)
  }

  /** Returns the time of the next beat. */
  private beat(now: number): Time {
    const { heartbeatInterval, heartbeatTimeout } = this.settings
    if (this.progresses()) this.heard()
    if (this.owner.paused) {
      // A sign of life would not be read.
      this.awaitsSign = false
      return now + heartbeatInterval
    }
    if (this.awaitsSign) {
      // It may have come while this process was busy: what waits is read before the next timer fires.
      this.grace = setTimeout(() => (this.progresses() ? this.heard() : this.owner.expire("heartbeat")), 0)
      return undefined
    }
    const timeOfDay = this.timers.timeOfDay
    // Where the computer's time was set back, silence is counted from now on.
    if (timeOfDay < this.lastHeard) this.lastHeard = timeOfDay
    const silence = timeOfDay - this.lastHeard
    if (silence < heartbeatInterval) return now + heartbeatInterval - silence
    this.awaitsSign = true
    this.owner.sendHeartbeat()
    // A ping that is stuck is given up when nothing leaves. One that has left is behind what left before it.
    return now + heartbeatTimeout + (this.progress?.timeOnTheWay(timeOfDay) ?? 0)
  }

  /** Whether some of what was stuck at the last beat has left. */
  private progresses(): boolean {
    const { leftBytes, stuckBytes } = this.owner
    if (this.progress === undefined && stuckBytes === 0) return false
    return (this.progress ??= new Progress()).beat(leftBytes, stuckBytes)
  }

  private setAlarm(): void {
    const time = Math.min(
      this.closeTime ?? never,
      this.lifetimeTime ?? never,
      this.writeTime ?? never,
      this.messageTime ?? never,
      this.idleTime ?? never,
      this.heartbeatTime ?? never
    )
    if (time === never) this.timers.clear(this)
    else if (this.alarmIndex === notSet || time !== this.alarmTime) this.timers.set(this, time)
  }
}

const after = (now: number, duration: number): Time => (duration === never ? undefined : now + duration)
const isOver = (time: Time, now: number): boolean => time !== undefined && time <= now

/** What a peer takes of what waits for it, in bytes that have left the transport since the start. */
class Progress {
  /** When the write deadline was set, and the timer behind it. */
  writeLeft = 0
  writeGrace: ReturnType<typeof setTimeout> | undefined = undefined
  /** When the idle deadline last passed. */
  idleLeft = -1
  // At the last beat.
  private beatStuck = 0
  private beatLeft = 0
  // The last time in which the transport was congested, again and again, in milliseconds of the day, and what left in it.
  private slowFrom = 0
  private slowUntil = 0
  private slowFromLeft = 0
  private slowBytes = 0
  private slowMillis = 0

  slowsDown(timeOfDay: number, leftBytes: number, heartbeatInterval: number): void {
    if (timeOfDay - this.slowUntil > heartbeatInterval || timeOfDay < this.slowUntil) {
      this.slowBytes = this.slowMillis = 0
    }
    this.slowFrom = timeOfDay
    this.slowFromLeft = leftBytes
  }

  goesOn(timeOfDay: number, leftBytes: number): void {
    this.slowUntil = timeOfDay
    this.slowBytes += leftBytes - this.slowFromLeft
    this.slowMillis += Math.max(0, timeOfDay - this.slowFrom)
  }

  /** Whether anything has left since the last time. */
  hasWritten(leftBytes: number): boolean {
    const hasWritten = leftBytes > this.writeLeft
    this.writeLeft = leftBytes
    return hasWritten
  }

  /**
   * Whether some of what was stuck at the last beat has left: its peer has taken what was before it. What was not stuck
   * tells nothing, since a kernel takes much for a peer that is gone.
   */
  beat(leftBytes: number, stuckBytes: number): boolean {
    const progresses = this.beatStuck > 0 && leftBytes > this.beatLeft
    this.beatStuck = stuckBytes
    this.beatLeft = leftBytes
    return progresses
  }

  /**
   * How long what has left may take to reach a peer that was slow, at the pace at which it took what was stuck. Not at all
   * where something is stuck: a ping behind it is given up when nothing leaves.
   */
  timeOnTheWay(timeOfDay: number): number {
    const { slowBytes, slowMillis, slowUntil } = this
    if (this.beatStuck > 0 || slowBytes === 0) return 0
    const time = slowMillis * Math.min(1, maxBytesOnTheWay / slowBytes)
    return Math.max(0, slowUntil + time - timeOfDay)
  }
}
