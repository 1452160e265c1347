import * as Effect from "effect/Effect"
import type { RuntimeFiber } from "effect/Fiber"
import type { Scheduler, Task } from "effect/Scheduler"

/**
 * Between two operations a fiber may yield and be interrupted. An effect that was returned but has not begun is gone then,
 * and with it what it was made for. So a fiber that hands something over asks its scheduler not to yield before the next
 * operation.
 */
class HandOver implements Scheduler {
  private readonly scheduler: Scheduler

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler
  }

  shouldYield(fiber: RuntimeFiber<unknown, unknown>): number | false {
    if (fiber !== handing) return this.scheduler.shouldYield(fiber)
    handing = undefined
    return false
  }

  scheduleTask(task: Task, priority: number, fiber?: RuntimeFiber<unknown, unknown>): void {
    this.scheduler.scheduleTask(task, priority, fiber)
  }
}

// Nothing else runs between the step that sets it and the next operation of that fiber, so one is enough.
let handing: RuntimeFiber<unknown, unknown> | undefined

const byScheduler = new WeakMap<Scheduler, Scheduler>()

/** A scheduler of the same behavior under which `handOver` works. */
export const schedulerOver = (scheduler: Scheduler): Scheduler => {
  if (scheduler instanceof HandOver) return scheduler
  let over = byScheduler.get(scheduler)
  if (over === undefined) {
    over = new HandOver(scheduler)
    byScheduler.set(scheduler, over)
  }
  return over
}

/** Runs an effect under a scheduler under which `handOver` works. */
export const handingOver = <A, E, R>(
  fiber: RuntimeFiber<unknown, unknown>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  fiber.currentScheduler instanceof HandOver
    ? effect
    : Effect.withScheduler(effect, schedulerOver(fiber.currentScheduler))

/** The effect, which begins for certain if the fiber's current operation returns it. Only within `handingOver`. */
export const handOver = <A, E, R>(
  fiber: RuntimeFiber<unknown, unknown>,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  handing = fiber
  return effect
}
