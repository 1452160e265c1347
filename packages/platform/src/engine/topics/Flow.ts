import type { HistoryPage, Interrupted, Position, Publication } from "./Publication.js"

/** Gets what a flow has put in order. */
export interface FlowHost {
  /** The publication behind all that came before. */
  deliver(publication: Publication): void
  /** Publications are missing. The next one follows `position`. */
  gap(position: Position): void
  /** Asks for the history behind a position. `Flow.read` gets the answer, at once or later. */
  read(since: Position): void
}

// Publications that arrive while the history is read. If there are more, the history has them.
const maxBuffered = 1024
// How often the history is read without an answer that explains what has arrived.
const maxReads = 2

/**
 * Puts the publications of one topic in order. A broker may deliver one twice, skip some, or lose its link. Whenever
 * something is missing, it reads the history before it goes on, and says so if the history no longer has it.
 */
export class Flow {
  private readonly host: FlowHost
  // Those that wait for the history; `undefined` while none is read.
  private buffer: Array<Publication> | undefined = []
  // The history has to be read once more.
  private again = false
  private reads = 0
  // `undefined` until the subscription has begun.
  private current: Position | undefined = undefined

  constructor(host: FlowHost) {
    this.host = host
  }

  /** The position behind everything that was delivered. `undefined` before `begin`. */
  get position(): Position | undefined {
    return this.current
  }

  /** The subscription is active. Everything behind `position` arrives from now on, or has arrived already. */
  begin(position: Position): void {
    this.current = position
    this.join(position)
  }

  receive(event: Publication | Interrupted): void {
    if (event._tag === "Interrupted") {
      this.lose()
      return
    }
    const { buffer, current } = this
    if (buffer === undefined && current !== undefined) {
      if (isPast(event, current)) return
      if (isNext(event, current)) {
        this.deliver(event)
        return
      }
      this.buffer = [event]
      this.readFrom(current)
      return
    }
    if (buffer === undefined) return
    if (buffer.length >= maxBuffered) {
      buffer.length = 0
      this.again = true
    }
    buffer.push(event)
  }

  /** Publications may have been missed. */
  private lose(): void {
    if (this.buffer !== undefined || this.current === undefined) {
      this.again = true
      return
    }
    this.buffer = []
    this.readFrom(this.current)
  }

  /** The answer to `FlowHost.read`. */
  read({ isComplete, newest, publications }: HistoryPage): void {
    const { buffer, current } = this
    if (buffer === undefined || current === undefined) return
    if (!isComplete) {
      const run = startOfRun(newest, buffer)
      const first = buffer[run]?.position.offset
      if (first === undefined || first > newest.offset) this.skipTo(newest)
      else {
        // What arrived before the run belongs to the past.
        buffer.splice(0, run)
        this.skipTo({ epoch: newest.epoch, offset: first - 1 })
      }
      this.join(newest)
      return
    }
    for (const publication of publications) {
      if (this.current !== undefined && isNext(publication, this.current)) this.deliver(publication)
    }
    this.join(newest)
  }

  /** Delivers what has arrived meanwhile. If something is still missing, reads again. */
  private join(newest: Position): void {
    const buffer = this.buffer ?? []
    let next = 0
    for (let current = this.current; current !== undefined; current = this.current) {
      const publication = buffer[next]
      // A page need not be all of the history.
      const mustRead = this.again || (current.epoch === newest.epoch && current.offset < newest.offset)
      if (publication === undefined) {
        if (mustRead) break
        this.buffer = undefined
        this.reads = 0
        return
      }
      if (isNext(publication, current)) this.deliver(publication)
      else if (!isPast(publication, current)) {
        if (mustRead || this.reads < maxReads) break
        // The history does not know it, even after it has arrived.
        if (publication.position.epoch === current.epoch) {
          this.skipTo({ epoch: current.epoch, offset: publication.position.offset - 1 })
          continue
        }
      }
      next++
    }
    if (this.current === undefined) return
    buffer.splice(0, next)
    if (this.again) this.reads = 0
    this.again = false
    this.readFrom(this.current)
  }

  private deliver(publication: Publication): void {
    this.current = publication.position
    this.reads = 0
    this.host.deliver(publication)
  }

  private skipTo(position: Position): void {
    this.current = position
    this.reads = 0
    this.host.gap(position)
  }

  private readFrom(position: Position): void {
    this.reads++
    this.host.read(position)
  }
}

const isPast = ({ position }: Publication, current: Position): boolean =>
  position.epoch === current.epoch && position.offset <= current.offset

const isNext = ({ position }: Publication, current: Position): boolean =>
  position.epoch === current.epoch && position.offset === current.offset + 1

/** The index at which the last consecutive publications of the newest epoch begin; the length if there are none. */
const startOfRun = ({ epoch }: Position, buffer: ReadonlyArray<Publication>): number => {
  let start = buffer.length
  while (start > 0) {
    const position = buffer[start - 1]?.position
    const next = buffer[start]?.position
    if (position?.epoch !== epoch || (next !== undefined && next.offset !== position.offset + 1)) break
    start--
  }
  return start
}
