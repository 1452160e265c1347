import { Cause, FiberId } from "effect"

export * from "effect/Cause"

export {
  failureOption as findErrorOption,
  isDie as hasDies,
  isInterruptedOnly as hasInterruptsOnly,
  parallel as combine
} from "effect/Cause"

export const interrupt = (): Cause.Cause<never> => Cause.interrupt(FiberId.none)

/** A text about a cause, with the causes of its errors. */
export const prettyWithCauses = <E>(cause: Cause.Cause<E>): string => Cause.pretty(cause, { renderErrorCause: true })
