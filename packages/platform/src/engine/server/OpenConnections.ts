import { beginCloseAll, type Closable, type Owner } from "../connection/Closables.js"
import { notSet, type Alarm, type Timers } from "../time/Timers.js"
import type { Drainable } from "./Drain.js"
import type { Entry, Gate, Holder } from "./Gate.js"
import type { Policy } from "./Policy.js"
import type { ServerConnection } from "./ServerConnection.js"
import type { ServerRequest } from "./ServerRequest.js"

/** An open connection with what only its server knows about it. */
export interface OpenConnection {
  readonly connection: ServerConnection
  readonly request: ServerRequest
  /** Counts the connections of the server, from 1. */
  readonly id: number
  /** When it was accepted, in milliseconds of the timers. */
  readonly since: number
  /** The value that it was accepted with. */
  readonly value: unknown
}

interface Tracked extends OpenConnection {
  // Not the entry, which would take 48 bytes more.
  readonly holder: Holder | undefined
  readonly firstMessageAlarm: Alarm | undefined
  readonly route: Drainable
}

type FirstMessagePolicy = Pick<Policy, "firstMessageTimeout" | "firstMessageCloseCode">

/** The open connections of a server. They end together as `Closables` do, whose own set would take 36 bytes for each. */
export class OpenConnections implements Owner {
  private readonly tracked = new Map<Closable, Tracked>()
  private code: number | undefined = undefined
  private readonly timers: Timers
  private readonly policy: FirstMessagePolicy
  private readonly gate: Pick<Gate, "left">
  private lastId = 0

  constructor(timers: Timers, policy: FirstMessagePolicy, gate: Pick<Gate, "left">) {
    this.timers = timers
    this.policy = policy
    this.gate = gate
  }

  /** Tracks a connection, which must not have started yet. `route` accepted it. */
  track(connection: ServerConnection, request: ServerRequest, entry: Entry, value: unknown, route: Drainable): void {
    const holder = entry.open()
    const firstMessageAlarm = this.awaitFirstMessage(connection)
    // An integer, because each other number takes memory of its own.
    const since = Math.floor(this.timers.now)
    const id = ++this.lastId
    this.tracked.set(connection, { connection, request, id, since, holder, value, firstMessageAlarm, route })
  }

  /** A tracked connection has started. */
  add(member: Closable): void {
    if (this.code !== undefined) member.beginClose(this.code)
  }

  beginClose(code: number): ReadonlyArray<Closable> {
    this.code = code
    return beginCloseAll(this.tracked.keys(), code)
  }

  delete(member: Closable): void {
    const tracked = this.tracked.get(member)
    if (tracked === undefined) return
    this.tracked.delete(member)
    this.gate.left(tracked.holder)
    if (tracked.firstMessageAlarm !== undefined) this.timers.clear(tracked.firstMessageAlarm)
  }

  /** All of them, oldest first. */
  get all(): ReadonlyArray<OpenConnection> {
    return [...this.tracked.values()]
  }

  /** The routes that accepted them, also those that the server has no more. */
  get routes(): ReadonlySet<Drainable> {
    return new Set(Array.from(this.tracked.values(), ({ route }) => route))
  }

  /** Those that a route accepted. */
  of(route: Drainable): ReadonlyArray<ServerConnection> {
    return [...this.tracked.values()].flatMap((tracked) => (tracked.route === route ? [tracked.connection] : []))
  }

  private awaitFirstMessage(connection: ServerConnection): Alarm | undefined {
    const { firstMessageCloseCode, firstMessageTimeout } = this.policy
    if (firstMessageTimeout === Number.POSITIVE_INFINITY) return undefined
    const alarm: Alarm = {
      alarmTime: 0,
      alarmIndex: notSet,
      fire: () => {
        if (connection.receivedMessages === 0) connection.startClosing(firstMessageCloseCode, "no message in time")
      }
    }
    this.timers.set(alarm, this.timers.now + firstMessageTimeout)
    return alarm
  }
}
