import type * as Clock from "effect/Clock"
import type { Settings } from "./settings.js"
import { notSet, type Alarm, type Timers } from "./timers.js"

/** What passes with time. */
export type Deadline = "close" | "heartbeat" | "idle" | "lifetime" | "message" | "write"

/** The connection that the deadlines are of. */
export interface Mortal {
  /** Whether nothing can arrive, because nothing is read. */
  readonly paused: boolean
  /** How many bytes wait to be written. */
  readonly waitingBytes: number
  sendHeartbeat(): void
  expire(deadline: Deadline): void
}

const never = Number.POSITIVE_INFINITY

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
  private writeLevel = 0
  private messageTime = never
  private idleTime = never
  private lastMessage = 0
  private heartbeatTime = never
  private lastHeard = 0
  private awaitsSign = false
  private grace: ReturnType<typeof setTimeout> | undefined = undefined

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
    if (this.settings.writeTimeout === never || isCongested === (this.writeTime !== never)) return
    if (!isCongested) this.writeTime = never
    else {
      this.writeLevel = this.mortal.waitingBytes
      this.writeTime = this.timers.now + this.settings.writeTimeout
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
      const level = this.mortal.waitingBytes
      if (level >= this.writeLevel) return this.mortal.expire("write")
      this.writeLevel = level
      this.writeTime = now + this.settings.writeTimeout
    }
    if (this.idleTime <= now) {
      this.idleTime = this.lastMessage + this.settings.idleTimeout
      if (this.idleTime <= now) return this.mortal.expire("idle")
    }
    if (this.heartbeatTime <= now) this.heartbeatTime = this.beat(now)
    this.setAlarm()
  }

  /** Returns the time of the next beat. */
  private beat(now: number): number {
    const { heartbeatInterval, heartbeatTimeout } = this.settings
    if (this.mortal.paused) {
      // A sign of life would not be read.
      this.awaitsSign = false
      return now + heartbeatInterval
    }
    if (this.awaitsSign) {
      // It may have come while this process was busy: what waits is read before the next timer fires.
      this.grace = setTimeout(() => this.mortal.expire("heartbeat"), 0)
      return never
    }
    const timeOfDay = this.clock.unsafeCurrentTimeMillis()
    // Where the computer's time was set back, silence is counted from now on.
    if (timeOfDay < this.lastHeard) this.lastHeard = timeOfDay
    const silence = timeOfDay - this.lastHeard
    if (silence < heartbeatInterval) return now + heartbeatInterval - silence
    this.awaitsSign = true
    this.mortal.sendHeartbeat()
    return now + heartbeatTimeout
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
