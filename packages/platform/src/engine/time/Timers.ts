import type { Clock } from "./Clock.js"

/** Something that fires at a time. Its two numbers are those of the timers that it is set in. */
export interface Alarm {
  alarmTime: number
  alarmIndex: number
  /** It is set no more; it may set itself again. */
  fire(): void
}

/** The `alarmIndex` of an alarm that is not set. */
export const notSet = -1

// More than this, and a runtime's timer fires at once or never.
const maxSleepMillis = 2 ** 31 - 1

/**
 * The alarms of all connections on one clock: a heap, and one sleep until the first of them. An idle connection
 * costs an entry, and nothing is left when none is set.
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

  /** In milliseconds. It never goes back, and no change of the computer's time moves it. */
  get now(): number {
    return this.clock.monotonic()
  }

  /** In milliseconds since 1970. It goes on while the computer sleeps, and may be set back. */
  get timeOfDay(): number {
    return this.clock.timeOfDay()
  }

  /** Sets an alarm to a time of `now`; one that is set already is moved. */
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
    // A sleep that ends too early, because its alarm was cleared, costs less than another sleep for each change.
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
      // Also where one of them threw: the others are not its victims.
      this.firing = false
      if (this.heap.length > 0) this.sleep()
    }
  }

  /** Until the first alarm, in place of any sleep before. */
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
