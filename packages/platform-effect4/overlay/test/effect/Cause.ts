import { Cause, type Option, Result } from "effect"

export * from "effect/Cause"

/** The first defect. */
export const dieOption = <E>(cause: Cause.Cause<E>): Option.Option<unknown> =>
  Result.getSuccess(Cause.findDefect(cause))

/** A text about a cause, with the causes of its errors. */
export { pretty as prettyWithCauses } from "effect/Cause"
