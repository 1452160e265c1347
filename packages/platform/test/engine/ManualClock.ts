import type { Clock } from "../../src/engine/time/Clock.js"

interface Sleeper {
  readonly time: number
  readonly wake: () => void
}

/** A clock whose time goes on only when a test says so. */
export class ManualClock implements Clock {
  afterYield: Clock["afterYield"] = undefined
  private time = 0
  private offset = 0
  private readonly sleepers = new Set<Sleeper>()

  monotonic(): number {
    return this.time
  }

  timeOfDay(): number {
    return this.time + this.offset
  }

  sleep(millis: number, wake: () => void): () => void {
    const sleeper = { time: this.time + millis, wake }
    this.sleepers.add(sleeper)
    return () => void this.sleepers.delete(sleeper)
  }

  /** How many sleeps are under way. */
  get sleeping(): number {
    return this.sleepers.size
  }

  /** Goes on, and ends each sleep at its time, also those that begin meanwhile. */
  advance(millis: number): void {
    const end = this.time + millis
    for (let next = this.first(); next !== undefined && next.time <= end; next = this.first()) {
      this.sleepers.delete(next)
      this.time = Math.max(this.time, next.time)
      next.wake()
    }
    this.time = end
  }

  /** Changes the time of day alone, as somebody who sets the computer's clock does. */
  setTimeOfDay(timeOfDay: number): void {
    this.offset = timeOfDay - this.time
  }

  private first(): Sleeper | undefined {
    let first: Sleeper | undefined
    for (const sleeper of this.sleepers) if (first === undefined || sleeper.time < first.time) first = sleeper
    return first
  }
}
