import { Exit, FiberId } from "effect"

export * from "effect/Exit"

export { causeOption as getCause, isInterrupted as hasInterrupts } from "effect/Exit"

export const interrupt = (): Exit.Exit<never> => Exit.interrupt(FiberId.none)
