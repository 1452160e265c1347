import { nothingToUndo } from "../connection/Closables.js"
import { notSet, type Alarm, type Timers } from "../time/Timers.js"
import { Waiters } from "../Waiters.js"
import type { ServerConnection } from "./ServerConnection.js"

/** How a server drains. Durations are in milliseconds. */
export interface DrainSettings {
  readonly code: 1001 | 1012
  readonly reason: string
  /** At most `timeout`. */
  readonly window: number
  readonly timeout: number
}

/** The outcome of a drain. The public `DrainReport` documents it. */
export interface DrainReport {
  readonly closed: number
  readonly dropped: number
  readonly interrupted: number
}

/** The handlers of connections, as a drain waits for them. */
export interface DrainedHandlers {
  readonly size: number
  /** Calls back once there are none; at once if there are none. Returns what undoes this. */
  whenEmpty(done: () => void): () => void
  /** Interrupts all of them, and returns how many there were. */
  interrupt(): number
}

/** A part of a server that can be drained alone. */
export interface Drainable {
  /** The drain that is under way or has ended. */
  readonly draining: Draining | undefined
  /** The drain that is under way, or one that begins now. */
  drain(settings: DrainSettings, random: () => number): Draining
}

/** A drain that has begun. */
export interface Draining {
  /** How many connections have not ended. */
  readonly remaining: number
  /** Calls back with the report, at once if there is one already. Returns what undoes this; the drain goes on. */
  whenReported(done: (report: DrainReport) => void): () => void
}

/**
 * Closes connections at random times within a window, and waits until they and their handlers have ended. At the deadline it
 * interrupts the handlers and drops the connections that are left.
 */
export class Drain implements Draining, Alarm {
  alarmTime = 0
  alarmIndex = notSet
  readonly settings: DrainSettings
  readonly timers: Timers
  private readonly random: () => number
  private readonly connections: ReadonlyArray<ServerConnection>
  private readonly handlers: Iterable<DrainedHandlers>
  private readonly waiters = new Waiters()
  private open: number
  private closed = 0
  private interrupted = 0
  private isOverdue = false
  private stopWaiting = nothingToUndo
  private report: DrainReport | undefined = undefined

  /** `handlers` may still change. `random` yields numbers from 0 to 1. */
  constructor(
    connections: ReadonlyArray<ServerConnection>,
    handlers: Iterable<DrainedHandlers>,
    settings: DrainSettings,
    timers: Timers,
    random: () => number
  ) {
    this.connections = connections
    this.handlers = handlers
    this.settings = settings
    this.timers = timers
    this.random = random
    this.open = connections.length
  }

  get remaining(): number {
    return this.open
  }

  begin(): this {
    const { now } = this.timers
    this.timers.set(this, now + this.settings.timeout)
    for (const connection of this.connections) {
      new Departure(connection, this).begin(now + this.random() * this.settings.window)
    }
    if (this.connections.length === 0) this.awaitHandlers()
    return this
  }

  whenReported(done: (report: DrainReport) => void): () => void {
    if (this.report !== undefined) {
      done(this.report)
      return nothingToUndo
    }
    return this.waiters.add(() => {
      if (this.report !== undefined) done(this.report)
    })
  }

  /** A connection has ended. */
  ended(connection: ServerConnection): void {
    if (!this.isOverdue && connection.status.clean) this.closed++
    if (--this.open > 0) return
    if (this.isOverdue) this.finish()
    else this.awaitHandlers()
  }

  /** The deadline has passed. */
  fire(): void {
    this.isOverdue = true
    this.stopWaiting()
    for (const each of this.handlers) this.interrupted += each.interrupt()
    for (const connection of this.connections) connection.cutShort()
    if (this.open === 0) this.finish()
  }

  private awaitHandlers(): void {
    for (const each of this.handlers) {
      if (each.size === 0) continue
      this.stopWaiting = each.whenEmpty(() => this.awaitHandlers())
      return
    }
    this.finish()
  }

  private finish(): void {
    if (this.report !== undefined) return
    this.timers.clear(this)
    const { closed, connections, interrupted } = this
    this.report = { closed, dropped: connections.length - closed, interrupted }
    this.waiters.wakeAll()
  }
}

/** A connection that is closed at its time, unless it ends before. */
class Departure implements Alarm {
  alarmTime = 0
  alarmIndex = notSet
  private readonly connection: ServerConnection
  private readonly drain: Drain

  constructor(connection: ServerConnection, drain: Drain) {
    this.connection = connection
    this.drain = drain
  }

  begin(time: number): void {
    const { settings, timers } = this.drain
    if (settings.window > 0) timers.set(this, time)
    this.connection.whenClosed(() => {
      timers.clear(this)
      this.drain.ended(this.connection)
    })
    if (settings.window === 0) this.fire()
  }

  fire(): void {
    this.connection.startClosing(this.drain.settings.code, this.drain.settings.reason)
  }
}

/** Several drains as one, whose report is the sum of theirs. */
export class JointDrain implements Draining {
  private readonly parts: ReadonlyArray<Draining>

  constructor(parts: ReadonlyArray<Draining>) {
    this.parts = parts
  }

  get remaining(): number {
    return this.parts.reduce((sum, { remaining }) => sum + remaining, 0)
  }

  whenReported(done: (report: DrainReport) => void): () => void {
    let missing = this.parts.length
    const sum = { closed: 0, dropped: 0, interrupted: 0 }
    const cancels = this.parts.map((part) =>
      part.whenReported(({ closed, dropped, interrupted }) => {
        sum.closed += closed
        sum.dropped += dropped
        sum.interrupted += interrupted
        if (--missing === 0) done(sum)
      })
    )
    return () => {
      for (const cancel of cancels) cancel()
    }
  }
}
