import { Scheduler } from "effect"

export * from "effect/Scheduler"

/**
 * How many turns of the event loop pass until everything that is ready has had its turns: a fiber that begins or yields takes
 * one.
 */
export const turnsToSettle: number = 5

/** How many turns a reader takes to go on once there is something to read: it goes on in place. */
export const turnsToResume: number = 0

/** Counts the turns that it gives. */
export class CountingScheduler implements Scheduler.Scheduler {
  private readonly scheduler = new Scheduler.MixedScheduler()
  readonly executionMode = this.scheduler.executionMode
  turns = 0

  shouldYield(fiber: Parameters<Scheduler.Scheduler["shouldYield"]>[0]): boolean {
    return this.scheduler.shouldYield(fiber)
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    const dispatcher = this.scheduler.makeDispatcher()
    return {
      flush: () => dispatcher.flush(),
      scheduleTask: (task, priority) => {
        this.turns++
        dispatcher.scheduleTask(task, priority)
      }
    }
  }
}
