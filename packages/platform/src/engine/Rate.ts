/**
 * A rate by the generic cell rate algorithm, in milliseconds: what one piece costs, and how much may be owed, which is the
 * size of a burst. The state of a rate is one number: the time at which everything that was taken is paid for.
 */
export interface Rate {
  readonly cost: number
  readonly burst: number
}

/** The state after something was taken. */
export const charge = (paidAt: number, now: number, cost: number): number => Math.max(paidAt, now) + cost

/** How long until no more than `allowed` is owed, in milliseconds. */
export const overdraft = (paidAt: number, now: number, allowed: number): number =>
  Math.max(0, paidAt - now - allowed - rounding)

// A sum of many costs is not exact.
const rounding = 1e-6
