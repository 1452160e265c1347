/** Schedulers that make fibers yield where a test wants them to, and interruptions that arrive there. */
import { identity } from "effect/Function"
import { Effect, Fiber, Scheduler, type Exit } from "./effect/index.js"

// What Effect 3 does when a fiber goes on: it restores the fiber's priority, and comes back to where it was. Were these counted
// too, a fiber that yields at each operation would never get on.
const operationsToResume = 10

/** Counts the operations of all fibers that it runs, and makes a fiber yield before the ones that are due. */
class YieldingScheduler extends Scheduler.MixedScheduler {
  private operations = 0
  private readonly resuming = new WeakMap<Fiber.Fiber<unknown, unknown>, number>()
  private readonly isDue: (operation: number) => boolean
  private readonly onYield: () => void

  constructor(isDue: (operation: number) => boolean, onYield: () => void = () => {}) {
    super(2048)
    this.isDue = isDue
    this.onYield = onYield
  }

  override shouldYield(fiber: Fiber.Fiber<unknown, unknown>): number | false {
    const resuming = this.resuming.get(fiber) ?? 0
    if (resuming > 0) {
      this.resuming.set(fiber, resuming - 1)
      return false
    }
    this.operations++
    if (!this.isDue(this.operations)) return false
    this.resuming.set(fiber, operationsToResume)
    // The fiber has yielded by then, and goes on later.
    queueMicrotask(this.onYield)
    return 0
  }
}

/** Makes a fiber yield at exactly every `k`-th operation; with 1, between any two. `onYield` is called each time. */
export const yieldingAt = (k: number, onYield?: () => void): Scheduler.Scheduler =>
  new YieldingScheduler((operation) => operation % k === 0, onYield)

/**
 * Makes a fiber yield once, before the `k`-th operation since the scheduler was made. `onYield` is called when it has
 * yielded, before it goes on.
 */
export const yieldingOnce = (k: number, onYield?: () => void): Scheduler.Scheduler =>
  new YieldingScheduler((operation) => operation === k, onYield)

/**
 * Runs an effect and interrupts it where it yields before its `k`-th operation. `isInterrupted` says whether it came that
 * far, so that a loop over all `k` knows where to end; `onInterrupt` is called then. `over` changes the scheduler.
 */
export const interruptedAt = <A, E, R>(
  k: number,
  effect: Effect.Effect<A, E, R>,
  {
    onInterrupt = () => {},
    over = identity
  }: { readonly onInterrupt?: () => void; readonly over?: (scheduler: Scheduler.Scheduler) => Scheduler.Scheduler } = {}
): Effect.Effect<{ readonly exit: Exit.Exit<A, E>; readonly isInterrupted: boolean }, never, R> =>
  Effect.gen(function* () {
    let isInterrupted = false
    const scheduler = yieldingOnce(k, () => {
      isInterrupted = true
      onInterrupt()
      Fiber.interruptUnsafe(fiber)
    })
    const fiber: Fiber.Fiber<A, E> = yield* Effect.forkChild(Effect.withScheduler(effect, over(scheduler)))
    const exit = yield* Fiber.await(fiber)
    return { exit, isInterrupted }
  })
