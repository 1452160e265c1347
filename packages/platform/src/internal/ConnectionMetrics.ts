import { abnormalClosure } from "../engine/connection/closeCodes.js"
import type { FinalStatus } from "../engine/connection/FinalStatus.js"
import type { Budget } from "../engine/connection/Budget.js"
import type { ConnectionObserver, ObservedConnection, PauseReason } from "../engine/connection/Observer.js"
import * as instruments from "./instruments.js"
import type { Attributes, Instrument } from "./instruments.js"
import type { Meter } from "./Meter.js"

/** What connections count themselves. */
interface Counts {
  receivedMessages: number
  receivedBytes: number
  sentMessages: number
  sentBytes: number
}

const noCounts = (): Counts => ({ receivedMessages: 0, receivedBytes: 0, sentMessages: 0, sentBytes: 0 })

const addTo = (sum: Counts, counts: Counts): void => {
  sum.receivedMessages += counts.receivedMessages
  sum.receivedBytes += counts.receivedBytes
  sum.sentMessages += counts.sentMessages
  sum.sentBytes += counts.sentBytes
}

const counters: ReadonlyArray<readonly [keyof Counts, Instrument, "receive" | "transmit"]> = [
  ["receivedMessages", instruments.messages, "receive"],
  ["receivedBytes", instruments.io, "receive"],
  ["sentMessages", instruments.messages, "transmit"],
  ["sentBytes", instruments.io, "transmit"]
]

/** The metrics of all connections of clients, or of servers. */
export class ConnectionMetrics implements ConnectionObserver {
  private readonly role: "client" | "server"
  private readonly meter: Meter
  private readonly open = new Set<ObservedConnection>()
  /** The counts of those that have ended. */
  private readonly ended = noCounts()
  private reported = noCounts()

  constructor(role: "client" | "server", meter: Meter) {
    this.role = role
    this.meter = meter
  }

  opened(connection: ObservedConnection): void {
    this.open.add(connection)
    this.report(instruments.activeConnections, this.open.size)
  }

  closed(connection: ObservedConnection): void {
    if (!this.open.delete(connection)) return
    addTo(this.ended, connection)
    const { role } = this
    const { status } = connection
    this.report(instruments.activeConnections, this.open.size)
    this.meter.record(instruments.closedConnections, { "websocket.role": role, ...closeAttributes(status) }, 1)
    if (isHeartbeatFailure(status)) this.meter.record(instruments.heartbeatFailures, { "websocket.role": role }, 1)
  }

  paused(reason: PauseReason): void {
    this.meter.record(instruments.pauses, { "websocket.role": this.role, "websocket.pause.reason": reason }, 1)
  }

  answered(millis: number): void {
    this.meter.record(instruments.pingDuration, { "websocket.role": this.role }, millis / 1000)
  }

  /** Reads what the connections have counted, and what they hold. */
  sample(): void {
    const counts = noCounts()
    addTo(counts, this.ended)
    let unread = 0
    let unsent = 0
    let paused = 0
    for (const connection of this.open) {
      addTo(counts, connection)
      unread += connection.unreadBytes
      unsent += connection.unsentBytes
      if (connection.paused) paused++
    }
    for (const [name, instrument, direction] of counters) {
      const attributes = { "websocket.role": this.role, "network.io.direction": direction }
      this.meter.record(instrument, attributes, counts[name] - this.reported[name])
    }
    this.reported = counts
    this.report(instruments.unreadSize, unread)
    this.report(instruments.unsentSize, unsent)
    this.report(instruments.pausedConnections, paused)
  }

  addBudgets(budgets: Set<Budget>): void {
    for (const { settings } of this.open) if (settings.budget !== undefined) budgets.add(settings.budget)
  }

  private report(gauge: Instrument, value: number): void {
    this.meter.set(gauge, { "websocket.role": this.role }, value)
  }
}

const closeAttributes = ({ clean, initiator, received, sent }: FinalStatus): Attributes => {
  // Whoever began may have ended the transport without a Close.
  const code = (initiator === "local" ? sent : received)?.code ?? abnormalClosure
  return {
    "websocket.close.code": codeOf(code),
    "websocket.close.initiator": initiator ?? "none",
    "websocket.close.clean": clean ? "true" : "false"
  }
}

/** A peer can send 2,000 codes of its own, and each would be a series. */
const codeOf = (code: number): string => (code >= 3000 ? `${Math.floor(code / 1000)}xxx` : String(code))

const isHeartbeatFailure = ({ error }: FinalStatus): boolean =>
  error._tag === "Io_error" && error.reason === "Timeout" && error.operation === "heartbeat"
