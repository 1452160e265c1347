/** Callbacks that wait for something, in the order in which they were added. Each is called once, or not at all. */
export class Waiters {
  private wakes = new Set<() => void>()

  get size(): number {
    return this.wakes.size
  }

  /** Adds a callback. The function that it returns removes it again, also while others are being called. */
  add(wake: () => void): () => void {
    const { wakes } = this
    wakes.add(wake)
    return () => {
      wakes.delete(wake)
    }
  }

  /** Calls the first one. Returns whether there was one. */
  wakeOne(): boolean {
    for (const wake of this.wakes) {
      this.wakes.delete(wake)
      wake()
      return true
    }
    return false
  }

  /** Calls all that are there now. One of them may run code of the app, which may add others: these wait for the next time. */
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
