/** The engine's source of time. A runtime or a test provides it. */
export interface Clock {
  /**
   * Milliseconds with fractions, counted from an arbitrary start. The number never goes back, and a change of the computer's
   * time does not affect it.
   */
  monotonic(): number
  /** Milliseconds since the start of 1970 (UTC). */
  timeOfDay(): number
  /** Calls `wake` once after `millis` milliseconds. The returned function cancels this. */
  sleep(millis: number, wake: () => void): () => void
  /**
   * Calls back once each fiber that has yielded to the event loop has gone on. `undefined` if fibers that yield go on within a
   * few microtasks.
   */
  readonly afterYield?: ((callback: () => void) => void) | undefined
}
