import type { Settings } from "../Settings.js"
import { notSet, type Alarm, type Timers } from "./Timers.js"

/** The deadlines of a connection. */
export type Deadline = "close" | "heartbeat" | "idle" | "lifetime" | "message" | "write"

/** The connection that owns the deadlines. */
export interface DeadlineOwner {
  /** Whether reading is paused, so that nothing can arrive. */
  readonly paused: boolean
  /** How many bytes the transport holds because they cannot leave yet. */
  readonly stuckBytes: number
  /** How many bytes have left the transport since the start. */
  readonly leftBytes: number
  sendHeartbeat(): void
  expire(deadline: Deadline): void
}

const never = Number.POSITIVE_INFINITY
/**
 * A time in milliseconds; `undefined` if it never comes. Infinity would do too, but each number that is not a small integer
 * takes memory of its own.
 */
type Time = number | undefined
// An estimate of the most bytes that the kernels and proxies between the two ends hold.
const maxBytesOnTheWay = 8 * 1024 * 1024
// A kernel reports that a peer reads only when a third of its send buffer is free. So a buffer of `maxSendBuffer` bytes may
// hide for some seconds that a slow peer reads: one that takes at most `hiddenBytesPerMilli` (1 Mbit per second).
const maxSendBuffer = 4 * 1024 * 1024
const hiddenBytesPerMilli = 125

/** Whether a connection with these settings has a deadline from its start on. */
export const hasDeadlineAtStart = ({ heartbeatInterval, idleTimeout, maxLifetime }: Settings): boolean =>
  Math.min(heartbeatInterval, idleTimeout, maxLifetime) !== never

/**
 * The deadlines of one connection. One alarm serves all of them and is set to the earliest. If an event postpones a
 * deadline, the event is only recorded. When the alarm fires, it sees the record and is set again.
 */
export class Deadlines implements Alarm {
  alarmTime = 0
  alarmIndex = notSet

  private readonly timers: Timers
  private readonly settings: Settings
  private readonly owner: DeadlineOwner

  // Once this is set, no other deadline counts. It is `never` after the end.
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
  // Created when output has to wait for the first time. For most connections this never happens.
  private progress: Progress | undefined = undefined

  constructor(timers: Timers, settings: Settings, owner: DeadlineOwner) {
    this.timers = timers
    this.settings = settings
    this.owner = owner
  }

  start(): void {
    if (!hasDeadlineAtStart(this.settings)) return
    const { heartbeatInterval, idleTimeout, maxLifetime } = this.settings
    const { now } = this.timers
    this.lifetimeTime = after(now, maxLifetime)
    this.idleTime = after(now, idleTimeout)
    this.messaged()
    this.heartbeatTime = after(now, heartbeatInterval)
    this.lastHeard = this.timers.timeOfDay
    this.setAlarm()
  }

  /** Something arrived. This runs for each chunk, so it reads only the time of day. */
  heard(): void {
    if (this.settings.heartbeatInterval === never) return
    this.lastHeard = this.timers.timeOfDay
    if (!this.awaitsSign) return
    this.awaitsSign = false
    clearTimeout(this.grace)
    this.heartbeatTime = this.timers.now + this.settings.heartbeatInterval
    this.setAlarm()
  }

  /** A message was received or sent. */
  messaged(): void {
    if (this.settings.idleTimeout !== never) this.lastMessage = this.timers.now
  }

  /**
   * `underWay`: a message has begun to arrive and has not ended. `another`: it is not the message that was under way at the
   * last call.
   */
  receiving(underWay: boolean, another: boolean): void {
    if (this.settings.messageTimeout === never) return
    if (!underWay) this.messageTime = undefined
    else if (another || this.messageTime === undefined) {
      this.messageTime = this.timers.now + this.settings.messageTimeout
      this.setAlarm()
    }
  }

  /** Records whether the transport is above its high-water mark. */
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
        // A peer that takes the waiting bytes shows a sign of life.
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

  /** The connection is closing: from now on only the close deadline applies. */
  closing(): void {
    if (this.closeTime === undefined) this.endAt(this.timers.now + this.settings.closeTimeout)
  }

  /** Shortens the close deadline: `waited` milliseconds of the close timeout had passed before the closing began. */
  closingSince(waited: number): void {
    if (this.closeTime === undefined || this.closeTime === never) return
    this.closeTime = Math.min(this.closeTime, this.timers.now + Math.max(this.settings.closeTimeout - waited, 0))
    this.setAlarm()
  }

  /** The connection has ended: from now on no deadline applies. */
  stop(): void {
    this.endAt(never)
  }

  private endAt(closeTime: number): void {
    this.closeTime = closeTime
    this.awaitsSign = false
    clearTimeout(this.grace)
    clearTimeout(this.progress?.writeGrace)
    this.setAlarm()
  }

  fire(): void {
    const { now } = this.timers
    if (this.closeTime !== undefined) return this.owner.expire("close")
    if (isOver(this.lifetimeTime, now)) return this.owner.expire("lifetime")
    if (isOver(this.messageTime, now)) {
      // While reading is paused, the delay is not the peer's fault.
      if (!this.owner.paused) return this.owner.expire("message")
      this.messageTime = now + this.settings.messageTimeout
    }
    if (isOver(this.writeTime, now)) {
      this.writeTime = now + this.writePatience
      const progress = (this.progress ??= new Progress())
      const hasWritten = (): boolean => progress.hasWritten(this.owner.leftBytes)
      // The peer may have read while this process was busy. Bytes that can leave do so before the next timer fires.
      if (!hasWritten()) progress.writeGrace = setTimeout(() => hasWritten() || this.owner.expire("write"), 0)
    }
    if (isOver(this.idleTime, now)) {
      this.idleTime = this.lastMessage + this.settings.idleTimeout
      if (this.idleTime <= now) {
        // While more bytes of an outgoing message leave, the connection is not idle.
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

  /** Checks for signs of life, or asks for one. Returns the time of the next beat. */
  private beat(now: number): Time {
    const { heartbeatInterval, heartbeatTimeout } = this.settings
    if (this.progresses()) this.heard()
    if (this.owner.paused) {
      // Nobody would read a sign of life.
      this.awaitsSign = false
      return now + heartbeatInterval
    }
    if (this.awaitsSign) {
      // A sign may have come while this process was busy. Bytes that wait are read before the next timer fires.
      this.grace = setTimeout(() => (this.progresses() ? this.heard() : this.owner.expire("heartbeat")), 0)
      return undefined
    }
    const timeOfDay = this.timers.timeOfDay
    // If the computer's time was set back, the silence is counted from now on.
    if (timeOfDay < this.lastHeard) this.lastHeard = timeOfDay
    const silence = timeOfDay - this.lastHeard
    if (silence < heartbeatInterval) return now + heartbeatInterval - silence
    this.awaitsSign = true
    this.owner.sendHeartbeat()
    // If a ping is stuck, its wait ends when no bytes leave. A ping that has left arrives after the bytes that left before
    // it.
    return now + heartbeatTimeout + (this.progress?.timeOnTheWay(timeOfDay) ?? 0)
  }

  /** Whether some of the bytes that were stuck at the last beat have left. */
  private progresses(): boolean {
    const { leftBytes, stuckBytes } = this.owner
    if (this.progress === undefined && stuckBytes === 0) return false
    return (this.progress ??= new Progress()).beat(leftBytes, stuckBytes)
  }

  private setAlarm(): void {
    const time =
      this.closeTime ??
      Math.min(
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

/**
 * How fast a peer takes the bytes that wait for it. `leftBytes` counts the bytes that have left the transport since the
 * start.
 */
class Progress {
  /** The bytes that had left when the write deadline was set, and the timer that gives a busy process one more chance. */
  writeLeft = 0
  writeGrace: ReturnType<typeof setTimeout> | undefined = undefined
  /** The bytes that had left when the idle deadline last passed. */
  idleLeft = -1
  // The bytes that were stuck, and the bytes that had left, at the last beat.
  private beatStuck = 0
  private beatLeft = 0
  // The last period in which the transport was congested, possibly several times in a row: its times in milliseconds since
  // 1970, and the bytes that left in it.
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

  /** Whether any bytes have left since the last call. */
  hasWritten(leftBytes: number): boolean {
    const hasWritten = leftBytes > this.writeLeft
    this.writeLeft = leftBytes
    return hasWritten
  }

  /**
   * Whether some of the bytes that were stuck at the last beat have left. Then the peer has taken bytes before them. Bytes
   * that were not stuck prove nothing, because a kernel accepts many bytes even for a peer that is gone.
   */
  beat(leftBytes: number, stuckBytes: number): boolean {
    const progresses = this.beatStuck > 0 && leftBytes > this.beatLeft
    this.beatStuck = stuckBytes
    this.beatLeft = leftBytes
    return progresses
  }

  /**
   * How long the bytes that have left may take to reach a slow peer, at the pace at which it took the stuck bytes. Zero if
   * bytes are stuck now: the wait for a ping behind them ends when no bytes leave.
   */
  timeOnTheWay(timeOfDay: number): number {
    const { slowBytes, slowMillis, slowUntil } = this
    if (this.beatStuck > 0 || slowBytes === 0) return 0
    const time = slowMillis * Math.min(1, maxBytesOnTheWay / slowBytes)
    return Math.max(0, slowUntil + time - timeOfDay)
  }
}
