import type * as Clock from "effect/Clock"
import type { Settings } from "./settings.js"
import { notSet, type Alarm, type Timers } from "./timers.js"

/** What passes with time. */
export type Deadline = "close" | "heartbeat" | "idle" | "lifetime" | "message" | "write"

/** The owner of the deadlines. */
export interface Mortal {
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
// An estimate of what the kernels and proxies between the two ends hold at most.
const maxBytesOnTheWay = 8 * 1024 * 1024
// A kernel tells that a peer reads only when a third of its send buffer is free, so a buffer of this size may hide for some
// seconds that a peer reads, if that takes it no more than so many bytes per millisecond.
const maxSendBuffer = 4 * 1024 * 1024
const hiddenBytesPerMilli = 256

/**
 * The deadlines of one connection: one alarm, set to the next of them. What moves a deadline on is only remembered; the
 * alarm finds it when it rings, and is set again.
 */
export class Deadlines implements Alarm {
  alarmTime = 0
  alarmIndex = notSet

  private readonly timers: Timers
  private readonly clock: Clock.Clock
  private readonly settings: Settings
  private readonly mortal: Mortal

  private closeTime = never
  private lifetimeTime = never
  private writeTime = never
  private writeLeft = 0
  private writeGrace: ReturnType<typeof setTimeout> | undefined = undefined
  private messageTime = never
  private idleTime = never
  private lastMessage = 0
  private idleLeft = -1
  private heartbeatTime = never
  private lastHeard = 0
  private awaitsSign = false
  private grace: ReturnType<typeof setTimeout> | undefined = undefined
  // At the last beat.
  private beatStuck = 0
  private beatLeft = 0
  // The last time in which the transport was congested, again and again, in milliseconds of the day, and what left in it.
  private slowFrom = 0
  private slowUntil = 0
  private slowFromLeft = 0
  private slowBytes = 0
  private slowMillis = 0

  constructor(timers: Timers, clock: Clock.Clock, settings: Settings, mortal: Mortal) {
    this.timers = timers
    this.clock = clock
    this.settings = settings
    this.mortal = mortal
  }

  start(): void {
    const { heartbeatInterval, idleTimeout, maxLifetime } = this.settings
    if (Math.min(heartbeatInterval, idleTimeout, maxLifetime) === never) return
    const { now } = this.timers
    this.lifetimeTime = now + maxLifetime
    this.idleTime = now + idleTimeout
    this.lastMessage = now
    this.heartbeatTime = now + heartbeatInterval
    this.lastHeard = this.clock.unsafeCurrentTimeMillis()
    this.setAlarm()
  }

  /** Something arrived. Called for each chunk, so it asks for no more than the time of day. */
  heard(): void {
    if (this.settings.heartbeatInterval === never) return
    this.lastHeard = this.clock.unsafeCurrentTimeMillis()
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
    if (!underWay) this.messageTime = never
    else if (another || this.messageTime === never) {
      this.messageTime = this.timers.now + this.settings.messageTimeout
      this.setAlarm()
    }
  }

  /** Whether the transport is above its high-water mark. */
  congested(isCongested: boolean): void {
    const { heartbeatInterval, writeTimeout } = this.settings
    if (heartbeatInterval !== never) {
      const { leftBytes } = this.mortal
      const timeOfDay = this.clock.unsafeCurrentTimeMillis()
      if (!isCongested) {
        this.slowUntil = timeOfDay
        this.slowBytes += leftBytes - this.slowFromLeft
        this.slowMillis += Math.max(0, timeOfDay - this.slowFrom)
        // That the peer takes what waits for it is a sign of life.
        this.heard()
      } else {
        if (timeOfDay - this.slowUntil > heartbeatInterval || timeOfDay < this.slowUntil) {
          this.slowBytes = this.slowMillis = 0
        }
        this.slowFrom = timeOfDay
        this.slowFromLeft = leftBytes
      }
    }
    if (writeTimeout === never || isCongested === (this.writeTime !== never)) return
    clearTimeout(this.writeGrace)
    if (!isCongested) this.writeTime = never
    else {
      this.writeLeft = this.mortal.leftBytes
      this.writeTime = this.timers.now + this.writePatience
      this.setAlarm()
    }
  }

  /** From now on there is only the deadline of the closing. */
  closing(): void {
    if (this.closeTime !== never) return
    this.stop()
    this.closeTime = this.timers.now + this.settings.closeTimeout
    this.setAlarm()
  }

  /** A part of the time for closing, in milliseconds, had passed when the closing began. */
  closingSince(waited: number): void {
    if (this.closeTime === never) return
    this.closeTime = Math.min(this.closeTime, this.timers.now + Math.max(this.settings.closeTimeout - waited, 0))
    this.setAlarm()
  }

  stop(): void {
    this.closeTime = this.lifetimeTime = this.writeTime = this.messageTime = this.idleTime = this.heartbeatTime = never
    this.awaitsSign = false
    clearTimeout(this.grace)
    clearTimeout(this.writeGrace)
    this.timers.clear(this)
  }

  ring(): void {
    const { now } = this.timers
    if (this.closeTime <= now) return this.mortal.expire("close")
    if (this.lifetimeTime <= now) return this.mortal.expire("lifetime")
    if (this.messageTime <= now) {
      // While nothing is read, it is not the peer that takes its time.
      if (!this.mortal.paused) return this.mortal.expire("message")
      this.messageTime = now + this.settings.messageTimeout
    }
    if (this.writeTime <= now) {
      this.writeTime = now + this.writePatience
      // It may have read while this process was busy: what can leave does before the next timer fires.
      if (!this.hasWritten()) this.writeGrace = setTimeout(() => this.hasWritten() || this.mortal.expire("write"), 0)
    }
    if (this.idleTime <= now) {
      this.idleTime = this.lastMessage + this.settings.idleTimeout
      if (this.idleTime <= now) {
        // A message that is on its way out has not gone yet, as long as more of it leaves.
        const { leftBytes, stuckBytes } = this.mortal
        if (stuckBytes === 0 || leftBytes === this.idleLeft) return this.mortal.expire("idle")
        this.idleLeft = leftBytes
        this.idleTime = now + this.settings.idleTimeout
      }
    }
    if (this.heartbeatTime <= now) this.heartbeatTime = this.beat(now)
    this.setAlarm()
  }

  private get writePatience(): number {
    const hiddenBytes = Math.min(this.mortal.leftBytes, maxSendBuffer) / 3
    return this.settings.writeTimeout + Math.floor(hiddenBytes / hiddenBytesPerMilli)
  }

  /** Whether anything has left since the last time. */
  private hasWritten(): boolean {
    const { leftBytes } = this.mortal
    const hasWritten = leftBytes > this.writeLeft
    this.writeLeft = leftBytes
    return hasWritten
  }

  /** Returns the time of the next beat. */
  private beat(now: number): number {
    const { heartbeatInterval, heartbeatTimeout } = this.settings
    if (this.progresses()) this.heard()
    if (this.mortal.paused) {
      // A sign of life would not be read.
      this.awaitsSign = false
      return now + heartbeatInterval
    }
    if (this.awaitsSign) {
      // It may have come while this process was busy: what waits is read before the next timer fires.
      this.grace = setTimeout(() => (this.progresses() ? this.heard() : this.mortal.expire("heartbeat")), 0)
      return never
    }
    const timeOfDay = this.clock.unsafeCurrentTimeMillis()
    // Where the computer's time was set back, silence is counted from now on.
    if (timeOfDay < this.lastHeard) this.lastHeard = timeOfDay
    const silence = timeOfDay - this.lastHeard
    if (silence < heartbeatInterval) return now + heartbeatInterval - silence
    this.awaitsSign = true
    this.mortal.sendHeartbeat()
    // A ping that is stuck is given up when nothing leaves. One that has left is behind what left before it.
    return now + heartbeatTimeout + (this.beatStuck > 0 ? 0 : this.timeOnTheWay(timeOfDay))
  }

  /**
   * Whether some of what was stuck at the last beat has left: its peer has taken what was before it. What was not stuck
   * tells nothing, since a kernel takes much for a peer that is gone.
   */
  private progresses(): boolean {
    const { leftBytes, stuckBytes } = this.mortal
    const progresses = this.beatStuck > 0 && leftBytes > this.beatLeft
    this.beatStuck = stuckBytes
    this.beatLeft = leftBytes
    return progresses
  }

  /** How long what has left may take to reach a peer that was slow, at the pace at which it took what was stuck. */
  private timeOnTheWay(timeOfDay: number): number {
    const { slowBytes, slowMillis, slowUntil } = this
    if (slowBytes === 0) return 0
    const time = slowMillis * Math.min(1, maxBytesOnTheWay / slowBytes)
    return Math.max(0, slowUntil + time - timeOfDay)
  }

  private setAlarm(): void {
    const time = Math.min(
      this.closeTime,
      this.lifetimeTime,
      this.writeTime,
      this.messageTime,
      this.idleTime,
      this.heartbeatTime
    )
    if (time === never) this.timers.clear(this)
    else if (this.alarmIndex === notSet || time !== this.alarmTime) this.timers.set(this, time)
  }
}
