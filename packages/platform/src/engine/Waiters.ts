/** Callbacks that wait for an event, in the order in which they were added. Each is called at most once. */
export class Waiters {
  private wakes = new Set<() => void>()

  get size(): number {
    return this.wakes.size
  }

  /** Adds a callback. Returns a function that removes it, even while other callbacks are being called. */
  add(wake: () => void): () => void {
    const { wakes } = this
    wakes.add(wake)
    return () => {
      wakes.delete(wake)
    }
  }

  /** Calls the first callback. Returns whether there was one. */
  wakeOne(): boolean {
    for (const wake of this.wakes) {
      this.wakes.delete(wake)
      wake()
      return true
    }
    return false
  }

  /** Calls all current callbacks. If the app's code adds more during these calls, they wait for the next call. */
  wakeAll(): void {
    if (this.wakes.size === 0) return
    const woken = this.wakes
    this.wakes = new Set()
    for (const wake of woken) {
      woken.delete(wake)
      wake()
    }
  }
}
