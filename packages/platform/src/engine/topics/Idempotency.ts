/** The bounds of a table. The oldest result leaves it as soon as one of them is exceeded. */
export interface IdempotencyLimits {
  readonly maxKeys: number
  /** In milliseconds. */
  readonly maxAge: number
}

interface Entry<A> {
  readonly result: A
  readonly expiresAt: number
}

/** The results of what was done with a key, so that it is not done again. */
export class Idempotency<A> {
  private readonly limits: IdempotencyLimits
  // In the order in which they expire.
  private readonly entries = new Map<string, Entry<A>>()

  constructor(limits: IdempotencyLimits) {
    this.limits = limits
  }

  get size(): number {
    return this.entries.size
  }

  get(key: string, now: number): A | undefined {
    const entry = this.entries.get(key)
    return entry !== undefined && entry.expiresAt > now ? entry.result : undefined
  }

  set(key: string, result: A, now: number): void {
    // A key that has expired moves to the end.
    this.entries.delete(key)
    this.entries.set(key, { result, expiresAt: now + this.limits.maxAge })
    this.trim(now)
  }

  /** Removes what exceeds the bounds. */
  trim(now: number): void {
    for (const [key, { expiresAt }] of this.entries) {
      if (expiresAt > now && this.entries.size <= this.limits.maxKeys) break
      this.entries.delete(key)
    }
  }
}
