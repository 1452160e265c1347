import { Scheduler } from "effect"

export * from "effect/Scheduler"

/** How many turns of the event loop pass until everything that is ready has had its turns: fibers yield to microtasks. */
export const turnsToSettle: number = 1

/** How many turns a reader takes to go on once there is something to read. */
export const turnsToResume: number = 1

/** Counts the turns that it gives. */
export class CountingScheduler extends Scheduler.MixedScheduler {
  turns = 0
  constructor() {
    super(2048)
  }
  override scheduleTask(...task: Parameters<Scheduler.MixedScheduler["scheduleTask"]>): void {
    this.turns++
    super.scheduleTask(...task)
  }
}
