import * as Exit from "effect/Exit"
import type { ConnectError } from "../engine/client/Dial.js"
import type { Budget } from "../engine/connection/Budget.js"
import type { Outcome } from "../engine/client/Outbox.js"
import type { HandshakeObserver, ObserveHandshake } from "../engine/server/ObservedAttempt.js"
import type { Timers } from "../engine/time/Timers.js"
import { ConnectionMetrics } from "./ConnectionMetrics.js"
import type { Runtime } from "./effect.js"
import { errorTypeOf } from "./errorTypeOf.js"
import * as instruments from "./instruments.js"
import type { Attributes } from "./instruments.js"
import { Meter } from "./Meter.js"

/** A server, as the metrics see it. */
export interface DrainedServer {
  readonly drainingConnections: number
}

/** The topics of one process, as the metrics see them. */
export interface MeteredTopics {
  readonly members: number
  readonly lagging: number
}

/** Collects the metrics of clients, servers and topics. Rare events are recorded at once, and all else by `sample`. */
export class Metering {
  readonly client: ConnectionMetrics
  readonly server: ConnectionMetrics
  readonly servers = new Set<DrainedServer>()
  readonly topics = new Set<MeteredTopics>()
  readonly timers: Timers
  private readonly meter: Meter
  private readonly handshakes = { client: 0, server: 0 }
  private hasBudget = false

  constructor(runtime: Runtime<never>, timers: Timers) {
    this.meter = new Meter(runtime)
    this.timers = timers
    this.client = new ConnectionMetrics("client", this.meter)
    this.server = new ConnectionMetrics("server", this.meter)
  }

  /** A server has received a request to upgrade. */
  readonly observeHandshake: ObserveHandshake = (): HandshakeObserver => {
    const end = this.beginHandshake("server")
    return {
      accepted: () => end("accepted"),
      refused: (reason) => end("refused", reason)
    }
  }

  /** A client has begun to connect. What it returns is called once, with how that ends. */
  clientHandshake(): (exit: Exit.Exit<unknown, ConnectError>) => void {
    const end = this.beginHandshake("client")
    return (exit) => (Exit.isSuccess(exit) ? end("accepted") : end("refused", errorTypeOf(exit)))
  }

  private beginHandshake(role: "client" | "server"): (outcome: "accepted" | "refused", errorType?: string) => void {
    const start = this.timers.now
    this.changeHandshakes(role, 1)
    return (outcome, errorType) => {
      this.changeHandshakes(role, -1)
      const attributes: Attributes = { "websocket.role": role, "websocket.handshake.outcome": outcome }
      this.meter.record(
        instruments.handshakeDuration,
        errorType === undefined ? attributes : { ...attributes, "error.type": errorType },
        (this.timers.now - start) / 1000
      )
    }
  }

  private changeHandshakes(role: "client" | "server", by: number): void {
    this.handshakes[role] += by
    this.meter.set(instruments.activeHandshakes, { "websocket.role": role }, this.handshakes[role])
  }

  reconnected(): void {
    this.meter.record(instruments.reconnects, {}, 1)
  }

  /** A message has left an outbox. It was `"refused"` if no connection can send it. */
  outboxSettled(outcome: Outcome | "refused"): void {
    this.meter.record(instruments.outboxMessages, { "websocket.outbox.outcome": outcome }, 1)
  }

  published(millis: number, errorType: string | undefined): void {
    const attributes = errorType === undefined ? {} : { "error.type": errorType }
    this.meter.record(instruments.topicPublishDuration, attributes, millis / 1000)
  }

  fannedOut(millis: number): void {
    this.meter.record(instruments.topicFanOutDuration, {}, millis / 1000)
  }

  topicStarted(start: NonNullable<Attributes["websocket.topic.start"]>, members = 1): void {
    this.meter.record(instruments.topicStarts, { "websocket.topic.start": start }, members)
  }

  /** Reads what the library has counted itself. */
  sample(): void {
    this.client.sample()
    this.server.sample()
    this.sampleBudgets()
    this.meter.set(instruments.drainingConnections, {}, sumOf(this.servers, "drainingConnections"))
    this.meter.set(instruments.topicMembers, {}, sumOf(this.topics, "members"))
    this.meter.set(instruments.topicLagging, {}, sumOf(this.topics, "lagging"))
  }

  private sampleBudgets(): void {
    const budgets = new Set<Budget>()
    this.client.addBudgets(budgets)
    this.server.addBudgets(budgets)
    this.hasBudget ||= budgets.size > 0
    if (!this.hasBudget) return
    const usages = [...budgets].map((budget) => budget.measure())
    for (const part of budgetParts) {
      this.meter.set(instruments.budgetUsage, { "websocket.budget.part": part }, sumOf(usages, `${part}Bytes`))
    }
    this.meter.set(instruments.budgetLimit, {}, sumOf(usages, "maxBytes"))
  }

  /** The last sample. From now on nothing of this is in the gauges. */
  end(): void {
    this.sample()
    this.meter.end()
  }
}

const budgetParts = ["unread", "unfinished", "unsent"] as const

const sumOf = <Name extends string>(items: Iterable<Readonly<Record<Name, number>>>, name: Name): number => {
  let sum = 0
  for (const item of items) sum += item[name]
  return sum
}
