import { Effect, type Fiber, Scheduler } from "effect"

/** Knows the fibers that run. Effect 4 has no supervisors, but each fiber asks its scheduler whether to yield. */
export class Supervisor extends Scheduler.MixedScheduler {
  private readonly fibers = new Set<Fiber.Fiber<unknown, unknown>>()
  private readonly seen = new WeakSet<Fiber.Fiber<unknown, unknown>>()

  readonly value: Effect.Effect<ReadonlyArray<Fiber.Fiber<unknown, unknown>>> = Effect.sync(() => [...this.fibers])

  ignore(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.seen.add(fiber)
  }

  override shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    if (!this.seen.has(fiber)) {
      this.seen.add(fiber)
      this.fibers.add(fiber)
      fiber.addObserver(() => this.fibers.delete(fiber))
    }
    return super.shouldYield(fiber)
  }
}

export const track: Effect.Effect<Supervisor> = Effect.sync(() => new Supervisor())
