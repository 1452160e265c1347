import type { Clock } from "./Clock.js"

/** Something that fires at a given time. Only the `Timers` that it is set in write its two numbers. */
export interface Alarm {
  alarmTime: number
  alarmIndex: number
  /** Called when the time has come. The alarm is no longer set; it may set itself again. */
  fire(): void
}

/** The `alarmIndex` of an alarm that is not set. */
export const notSet = -1

// A runtime's timer with a longer time fires at once or never.
const maxSleepMillis = 2 ** 31 - 1

/**
 * The alarms of all connections on one clock: a heap, and one sleep until the earliest alarm. An idle connection costs one
 * entry in the heap. When no alarm is set, nothing sleeps.
 */
export class Timers {
  private readonly clock: Clock
  private readonly heap: Array<Alarm> = []
  private stopSleeper: (() => void) | undefined = undefined
  private wakeTime = Number.POSITIVE_INFINITY
  private firing = false

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** The time in milliseconds. It never goes back, and a change of the computer's time does not affect it. */
  get now(): number {
    return this.clock.monotonic()
  }

  /** Milliseconds since 1970. This time goes on while the computer sleeps, and may be set back. */
  get timeOfDay(): number {
    return this.clock.timeOfDay()
  }

  get afterYield(): Clock["afterYield"] {
    return this.clock.afterYield
  }

  /** Sets an alarm to a time on the scale of `now`. If the alarm is already set, its time changes. */
  set(alarm: Alarm, time: number): void {
    if (alarm.alarmIndex === notSet) {
      alarm.alarmIndex = this.heap.push(alarm) - 1
      alarm.alarmTime = time
      this.up(alarm)
    } else {
      const earlier = time < alarm.alarmTime
      alarm.alarmTime = time
      if (earlier) this.up(alarm)
      else this.down(alarm)
    }
    // If an alarm was cleared, the sleep may end too early. This costs less than a new sleep for each change.
    if (!this.firing && this.heap[0]!.alarmTime < this.wakeTime) this.sleep()
  }

  clear(alarm: Alarm): void {
    this.remove(alarm)
    if (this.heap.length === 0) this.stopSleeping()
  }

  private readonly wake = (): void => {
    this.stopSleeper = undefined
    this.wakeTime = Number.POSITIVE_INFINITY
    this.firing = true
    const now = this.now
    try {
      for (let first = this.heap[0]; first !== undefined && first.alarmTime <= now; first = this.heap[0]) {
        this.remove(first)
        first.fire()
      }
    } finally {
      // This runs also if an alarm threw, so that the other alarms still fire.
      this.firing = false
      if (this.heap.length > 0) this.sleep()
    }
  }

  /** Sleeps until the earliest alarm. This replaces any earlier sleep. */
  private sleep(): void {
    this.stopSleeping()
    this.wakeTime = this.heap[0]!.alarmTime
    const millis = Math.min(Math.max(Math.ceil(this.wakeTime - this.now), 0), maxSleepMillis)
    this.stopSleeper = this.clock.sleep(millis, this.wake)
  }

  private stopSleeping(): void {
    this.stopSleeper?.()
    this.stopSleeper = undefined
    this.wakeTime = Number.POSITIVE_INFINITY
  }

  private remove(alarm: Alarm): void {
    const index = alarm.alarmIndex
    if (index === notSet) return
    alarm.alarmIndex = notSet
    const last = this.heap.pop()!
    if (last === alarm) return
    this.place(last, index)
    this.up(last)
    this.down(last)
  }

  private up(alarm: Alarm): void {
    for (;;) {
      const index = (alarm.alarmIndex - 1) >> 1
      const parent = this.heap[index]
      if (parent === undefined || parent.alarmTime <= alarm.alarmTime) return
      this.place(parent, alarm.alarmIndex)
      this.place(alarm, index)
    }
  }

  private down(alarm: Alarm): void {
    for (;;) {
      const left = 2 * alarm.alarmIndex + 1
      const child = this.earlier(this.heap[left], this.heap[left + 1])
      if (child === undefined || child.alarmTime >= alarm.alarmTime) return
      const index = child.alarmIndex
      this.place(child, alarm.alarmIndex)
      this.place(alarm, index)
    }
  }

  private earlier(left: Alarm | undefined, right: Alarm | undefined): Alarm | undefined {
    return right !== undefined && left !== undefined && right.alarmTime < left.alarmTime ? right : left
  }

  private place(alarm: Alarm, index: number): void {
    this.heap[index] = alarm
    alarm.alarmIndex = index
  }
}
