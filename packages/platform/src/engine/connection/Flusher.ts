import type { Connection } from "@effect-websocket/protocol/Connection"
import type { Transport } from "../../Transport.js"
import type { Deadlines } from "../time/Deadlines.js"
import type { Settings } from "../Settings.js"

/** The connection whose output is written. */
export interface FlusherHost {
  readonly connection: Connection
  readonly transport: Transport
  readonly settings: Settings
  readonly deadlines: Deadlines
  /** Nothing is left of the transport. */
  readonly closed: boolean
  /** What waits to be read. */
  readonly unreadBytes: number
  /** Whether all connections of the budget together have too much to send. */
  readonly budgetIsShort: boolean
  /** Tells the budget what is held now. */
  account(): void
  /** Lets sends go on that wait for the budget. */
  serveBudget(): void
}

// Replies made in one turn are written at once; above this many bytes they do not wait for the end of the turn.
const maxFlushBytes = 64 * 1024
// How many turns of the microtask queue a flush waits for a reader that makes no progress.
const maxDeferrals = 8

// Connections with output that was made outside of a read; one microtask writes for all of them.
let dirty: Array<Flusher> = []
const flushDirty = (): void => {
  const flushers = dirty
  dirty = []
  for (const flusher of flushers) flusher.flushDirty()
}
// A promise's turn costs less than `queueMicrotask`, which keeps a record of where it was asked for.
const turn = Promise.resolve()
const markDirty = (flusher: Flusher): void => {
  if (dirty.push(flusher) === 1) void turn.then(flushDirty)
}

/** Writes what a connection has to send: once for each read that is answered, and once for all that is sent in one turn. */
export class Flusher {
  writable = true
  sentBytes = 0
  // The end of what is being done will flush.
  private corked = false
  private dirty = false
  private deferrals = 0
  private unreadBefore = 0
  private transportEnded = false
  private readonly host: FlusherHost

  constructor(host: FlusherHost) {
    this.host = host
  }

  /** What is sent from now on is not written before `uncork` or a flush. */
  cork(): void {
    this.corked = true
  }

  uncork(): void {
    this.corked = false
    // What is done later may send more.
    if (this.host.connection.outputBytes > 0) this.flushLater()
  }

  /** Something was sent: writes it at once if it is much, else at the end of the turn. */
  sent(): void {
    if (this.host.connection.outputBytes >= this.flushBytes) this.flush()
    else if (!this.corked) this.flushLater()
  }

  /** What waits for the end of the turn counts towards the high-water mark. */
  private get flushBytes(): number {
    return Math.min(maxFlushBytes, this.host.settings.sendMarks.high)
  }

  flushLater(): void {
    if (this.dirty) return
    this.dirty = true
    this.deferrals = 0
    markDirty(this)
  }

  flushDirty(): void {
    // While more of one read is being answered, one write for all of it; but only as long as the answers keep coming.
    const unread = this.host.unreadBytes
    if (unread > 0 && (unread !== this.unreadBefore || this.deferrals < maxDeferrals)) {
      this.deferrals = unread === this.unreadBefore ? this.deferrals + 1 : 0
      this.unreadBefore = unread
      markDirty(this)
      return
    }
    this.dirty = false
    this.flush()
    this.host.serveBudget()
  }

  flush(): void {
    const { closed, connection, deadlines, transport } = this.host
    const open = connection.phase === "Open"
    // Pongs wait for room, where they coalesce; a Close does not.
    if (connection.outputBytes > 0 && (this.writable || !open) && !closed) {
      this.sentBytes += connection.outputBytes
      const { belowHighWater, taken } = transport.write(connection.takeOutput())
      if (taken) connection.recycleOutput()
      if (belowHighWater !== this.writable) this.setWritable(belowHighWater)
    }
    this.host.account()
    if (open || this.host.closed) return
    deadlines.closing()
    if (connection.outputEnded && !this.transportEnded) {
      this.transportEnded = true
      transport.end()
    }
  }

  setWritable(writable: boolean): void {
    this.writable = writable
    this.host.deadlines.congested(!writable)
  }

  /**
   * Whether a message may be sent now: the transport has room, and so has the budget; while that has none, little of this
   * connection's own is unsent.
   */
  hasRoom(): boolean {
    return this.writable && (!this.host.budgetIsShort || this.waitsLittle())
  }

  private waitsLittle(): boolean {
    const { connection, settings } = this.host
    const { low } = settings.sendMarks
    // What was sent in this turn may find room at once.
    if (connection.outputBytes > 0 && this.waitingBytes > low) this.flush()
    return this.writable && this.waitingBytes <= low
  }

  /** What has been sent and has not left. */
  get waitingBytes(): number {
    return this.host.connection.outputBytes + this.host.transport.bufferedBytes
  }

  get leftBytes(): number {
    return this.sentBytes - this.host.transport.bufferedBytes
  }
}
