/**
 * A rate by the generic cell rate algorithm, in milliseconds. `cost` is the cost of one piece. `burst` is the size of a
 * burst: how much may be owed. The state of a rate is one number: the time at which everything that was taken is paid for.
 */
export interface Rate {
  readonly cost: number
  readonly burst: number
}

/** The state after something that costs `cost` was taken. */
export const charge = (paidAt: number, now: number, cost: number): number => Math.max(paidAt, now) + cost

/** The milliseconds until at most `allowed` is owed. */
export const overdraft = (paidAt: number, now: number, allowed: number): number =>
  Math.max(0, paidAt - now - allowed - rounding)

// Tolerates rounding errors, because a sum of many costs is not exact.
const rounding = 1e-6
