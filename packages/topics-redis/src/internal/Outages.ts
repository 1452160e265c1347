/** Why the server cannot be reached. `undefined`: it can be again. */
export type OutageEvent = { readonly reason: string } | undefined

// How long there are connections before the outage is over. A server that breaks them again and again is one outage.
const settleDelay = 1_000

/** Tells of a server that cannot be reached: once, and once more when it can be. */
export class Outages {
  private readonly lost = new Set<object>()
  private readonly events: Array<OutageEvent> = []
  private isOutage = false
  private timer: NodeJS.Timeout | undefined = undefined
  private wake: (() => void) | undefined = undefined

  /** A connection was lost, or could not be made. */
  lose(link: object, cause: unknown): void {
    clearTimeout(this.timer)
    this.lost.add(link)
    if (this.isOutage) return
    this.isOutage = true
    this.tell({ reason: reasonOf(cause) })
  }

  /** The connection is there. */
  find(link: object): void {
    this.lost.delete(link)
    if (!this.isOutage || this.lost.size > 0) return
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      this.isOutage = false
      this.tell(undefined)
    }, settleDelay)
  }

  /** The next event, as soon as there is one. One reader at a time. */
  async next(): Promise<OutageEvent> {
    if (this.events.length === 0) await new Promise<void>((resolve) => (this.wake = resolve))
    return this.events.shift()
  }

  /** There are no more events. */
  end(): void {
    clearTimeout(this.timer)
  }

  private tell(event: OutageEvent): void {
    this.events.push(event)
    this.wake?.()
    this.wake = undefined
  }
}

/** Of a host with several addresses, the reasons of all. */
const reasonOf = (cause: unknown): string => {
  if (cause instanceof AggregateError) return cause.errors.map(reasonOf).join("; ")
  return cause instanceof Error ? cause.message : String(cause)
}
