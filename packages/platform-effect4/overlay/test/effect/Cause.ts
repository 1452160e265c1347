import { Cause, Option, Result } from "effect"

export * from "effect/Cause"

/** The first defect. */
export const dieOption = <E>(cause: Cause.Cause<E>): Option.Option<unknown> =>
  Result.getSuccess(Cause.findDefect(cause))
