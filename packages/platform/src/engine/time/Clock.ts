/** The time as the engine knows it. A runtime, or a test, hands it in. */
export interface Clock {
  /** Milliseconds with fractions, from any start. The number never goes back, and a change of the computer's time does not move it. */
  monotonic(): number
  /** Milliseconds since 1970. */
  timeOfDay(): number
  /** Calls `wake` once after this many milliseconds, unless the returned function is called before. */
  sleep(millis: number, wake: () => void): () => void
}
