import { type Exit, type Fiber as Fibers, FiberId } from "effect"

export * from "effect/Fiber"

export type Fiber<A, E = never> = Fibers.RuntimeFiber<A, E>

/** Begins to interrupt a fiber, but does not wait for its end. */
export const interruptUnsafe = (fiber: Fiber<unknown, unknown>): void => fiber.unsafeInterruptAsFork(FiberId.none)

/** How a fiber has ended. `undefined` while it runs. */
export const pollUnsafe = <A, E>(fiber: Fiber<A, E>): Exit.Exit<A, E> | undefined => fiber.unsafePoll() ?? undefined
