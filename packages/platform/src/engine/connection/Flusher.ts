import type { Transport } from "../../Transport.js"
import type { Timers } from "../time/Timers.js"
import type { Settings } from "../Settings.js"
import type { Core } from "./Core.js"

/** The connection whose output a flusher writes. */
export interface FlusherHost {
  readonly connection: Core
  readonly transport: Transport
  readonly settings: Settings
  readonly timers: Timers
  /** Whether the transport has closed. */
  readonly closed: boolean
  /** The bytes that wait to be read. */
  readonly unreadBytes: number
  /** Whether all connections of the budget together have too many bytes to send. */
  readonly budgetIsShort: boolean
  /** Reports to the budget what the connection holds now. */
  account(): void
  /** Called by each flush once the connection has left the phase `Open`. */
  leaveOpen(): void
  /** Told whether the transport is above its high-water mark. */
  congested(isCongested: boolean): void
  /** Lets sends continue that wait for the budget. */
  serveBudget(): void
}

// Replies of one turn are written together. If there are more bytes than this, they do not wait for the end of the turn.
const maxFlushBytes = 64 * 1024
// A flush waits at most this many turns of the microtask queue for a reader that makes no progress.
const maxDeferrals = 8
// How long a flush waits for a reader that makes progress, but yields to the event loop again and again.
const maxYieldingMillis = 5

// Connections with output that was produced outside of a read. One microtask writes the output of all of them.
let dirty: Array<Flusher> = []
const flushDirty = (): void => {
  const flushers = dirty
  dirty = []
  for (const flusher of flushers) flusher.flushDirty()
}
// A promise callback costs less than `queueMicrotask`, which records where it was called.
const turn = Promise.resolve()
const markDirty = (flusher: Flusher): void => {
  if (dirty.push(flusher) === 1) void turn.then(flushDirty)
}

/**
 * Writes the output of a connection: once for each read that is answered, and once for everything that is sent in one
 * turn.
 */
export class Flusher {
  writable = true
  sentBytes = 0
  // The operations under way that flush when they end.
  private corks = 0
  // Something was sent in one of them.
  private answered = false
  private dirty = false
  private deferrals = 0
  private unreadBefore = 0
  private transportEnded = false
  private readonly host: FlusherHost

  constructor(host: FlusherHost) {
    this.host = host
  }

  /** From now on, output is not written before `uncork`, `endRead` or a flush. */
  cork(): void {
    this.corks++
  }

  uncork(): void {
    this.corks--
    // Later, because more may be sent in this turn.
    if (this.corks === 0 && this.host.connection.outputBytes > 0) this.flushLater()
  }

  /** Undoes a `cork`. The caller continues with `flushAnswers`. */
  endRead(): void {
    this.corks--
  }

  /** Something was sent. Writes it at once if it is large, otherwise at the end of the turn. */
  sent(): void {
    if (this.host.connection.outputBytes >= this.flushBytes) this.flush()
    else if (this.corks === 0) this.flushLater()
    else this.answered = true
  }

  /** Output that waits for the end of the turn counts towards the high-water mark. */
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
    // While the app still answers messages of one read, all answers share one write, but only as long as it makes progress.
    const unread = this.host.unreadBytes
    if (unread > 0 && (unread !== this.unreadBefore || this.deferrals < maxDeferrals)) {
      this.deferrals = unread === this.unreadBefore ? this.deferrals + 1 : 0
      this.unreadBefore = unread
      markDirty(this)
      return
    }
    const { timers } = this.host
    if (unread > 0 && timers.afterYield !== undefined) this.flushAfterYield(timers.afterYield, timers.now)
    else this.flushNow()
  }

  /** The reader may have yielded to the event loop. The flush waits for it, as long as it makes progress each time. */
  private flushAfterYield(afterYield: (callback: () => void) => void, since: number): void {
    afterYield(() => {
      const unread = this.host.unreadBytes
      const waits = unread > 0 && unread !== this.unreadBefore && this.host.timers.now - since < maxYieldingMillis
      this.unreadBefore = unread
      if (waits) this.flushAfterYield(afterYield, since)
      else this.flushNow()
    })
  }

  private flushNow(): void {
    this.dirty = false
    this.flush()
    this.host.serveBudget()
  }

  /** Writes the answers to what was read. If the reader is not done yet, they wait for its other answers. */
  flushAnswers(): void {
    const { connection, unreadBytes } = this.host
    const awaitsAnswers = unreadBytes > 0 && connection.phase === "Open"
    if (awaitsAnswers && (this.answered || this.dirty)) this.flushLater()
    else this.flush()
  }

  flush(): void {
    const { connection, transport } = this.host
    const open = connection.phase === "Open"
    this.answered = false
    // Pongs wait for room, and coalesce while they wait. A Close does not wait.
    if (connection.outputBytes > 0 && (this.writable || !open) && !this.transportEnded) {
      this.sentBytes += connection.outputBytes
      const { belowHighWater, taken } = transport.write(connection.takeOutput())
      if (taken) connection.recycleOutput()
      if (belowHighWater !== this.writable) this.setWritable(belowHighWater)
    }
    this.host.account()
    if (open || this.host.closed) return
    if (connection.outputEnded && !this.transportEnded) {
      this.transportEnded = true
      transport.end()
    }
    this.host.leaveOpen()
  }

  /** The transport is closed or about to be aborted: from now on, it gets no output, and no end. */
  stop(): void {
    this.transportEnded = true
  }

  setWritable(writable: boolean): void {
    this.writable = writable
    this.host.congested(!writable)
  }

  /**
   * Whether a message may be sent now. The transport must have room, and so must the budget. If the budget has none, a
   * connection may still send while few of its own bytes are unsent.
   */
  hasRoom(): boolean {
    return this.writable && (!this.host.budgetIsShort || this.waitsLittle())
  }

  private waitsLittle(): boolean {
    const { connection, settings } = this.host
    const { low } = settings.sendMarks
    // There may be room at once for the output of this turn.
    if (connection.outputBytes > 0 && this.waitingBytes > low) this.flush()
    return this.writable && this.waitingBytes <= low
  }

  /** The bytes that were sent and have not left the transport. */
  get waitingBytes(): number {
    return this.host.connection.outputBytes + this.host.transport.bufferedBytes
  }

  get leftBytes(): number {
    return this.sentBytes - this.host.transport.bufferedBytes
  }
}
