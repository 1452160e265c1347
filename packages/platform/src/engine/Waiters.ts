/** Callbacks that wait for an event, in the order in which they were added. Each is called at most once. */
export class Waiters {
  // Made for the first one.
  private wakes: Set<() => void> | undefined = undefined

  get size(): number {
    return this.wakes?.size ?? 0
  }

  /** Adds a callback. Returns a function that removes it, even while other callbacks are being called. */
  add(wake: () => void): () => void {
    const wakes = (this.wakes ??= new Set())
    wakes.add(wake)
    return () => {
      wakes.delete(wake)
    }
  }

  /** Calls the first callback. Returns whether there was one. */
  wakeOne(): boolean {
    const { wakes } = this
    if (wakes === undefined) return false
    for (const wake of wakes) {
      wakes.delete(wake)
      wake()
      return true
    }
    return false
  }

  /** Calls all current callbacks. If the app's code adds more during these calls, they wait for the next call. */
  wakeAll(): void {
    const woken = this.wakes
    if (woken === undefined) return
    this.wakes = undefined
    for (const wake of woken) wake()
  }
}
