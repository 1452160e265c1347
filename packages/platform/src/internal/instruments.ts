import type { Outcome } from "../engine/client/Outbox.js"
import type { PauseReason } from "../engine/connection/Observer.js"

/** The metrics of this library. docs/observability.md has them as a table, which a test compares with this one. */
export interface Instrument {
  readonly type: "counter" | "gauge" | "histogram"
  readonly name: string
  /** As UCUM writes units: `s` for seconds, `By` for bytes, and what is counted in braces. */
  readonly unit: string
  readonly description: string
  /** The attributes of its series, besides `unit`. */
  readonly attributes: ReadonlyArray<AttributeName>
  /** The upper bounds of the buckets of a histogram. */
  readonly boundaries?: ReadonlyArray<number>
}

/** The attributes, with their values. Those that are only texts also have few values. */
export interface AttributeValues {
  "error.type": string
  "network.io.direction": "receive" | "transmit"
  "websocket.budget.part": "unread" | "unfinished" | "unsent"
  "websocket.close.clean": "true" | "false"
  "websocket.close.code": string
  "websocket.close.initiator": "local" | "remote" | "none"
  "websocket.handshake.outcome": "accepted" | "refused"
  "websocket.outbox.outcome": Outcome | "refused"
  "websocket.pause.reason": PauseReason
  "websocket.role": "client" | "server"
  "websocket.topic.start": "new" | "recovered" | "gap"
}

export type AttributeName = keyof AttributeValues

export type Attributes = Readonly<Partial<AttributeValues>>

// Those of `http.client.request.duration` in OpenTelemetry's conventions.
const seconds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

const role = "websocket.role"

export const activeHandshakes: Instrument = {
  type: "gauge",
  name: "websocket.handshake.active",
  unit: "{handshake}",
  description: "Handshakes that are under way",
  attributes: [role]
}

export const handshakeDuration: Instrument = {
  type: "histogram",
  name: "websocket.handshake.duration",
  unit: "s",
  description: "Duration of handshakes, by outcome. The count is the number of handshakes",
  attributes: [role, "websocket.handshake.outcome", "error.type"],
  boundaries: seconds
}

export const activeConnections: Instrument = {
  type: "gauge",
  name: "websocket.connection.active",
  unit: "{connection}",
  description: "Connections that are open or closing",
  attributes: [role]
}

export const closedConnections: Instrument = {
  type: "counter",
  name: "websocket.connection.closed",
  unit: "{connection}",
  description: "Connections that have ended",
  attributes: [role, "websocket.close.code", "websocket.close.initiator", "websocket.close.clean"]
}

export const messages: Instrument = {
  type: "counter",
  name: "websocket.messages",
  unit: "{message}",
  description: "Messages that were sent or received as a whole",
  attributes: [role, "network.io.direction"]
}

export const io: Instrument = {
  type: "counter",
  name: "websocket.io",
  unit: "By",
  description: "Bytes of frames, without the handshake and TLS",
  attributes: [role, "network.io.direction"]
}

export const pingDuration: Instrument = {
  type: "histogram",
  name: "websocket.ping.duration",
  unit: "s",
  description: "Time from a ping to its pong",
  attributes: [role],
  boundaries: seconds
}

export const heartbeatFailures: Instrument = {
  type: "counter",
  name: "websocket.heartbeat.failures",
  unit: "{connection}",
  description: "Connections that ended because the peer did not answer the heartbeat",
  attributes: [role]
}

export const unreadSize: Instrument = {
  type: "gauge",
  name: "websocket.unread.size",
  unit: "By",
  description: "Messages that wait to be read",
  attributes: [role]
}

export const unsentSize: Instrument = {
  type: "gauge",
  name: "websocket.unsent.size",
  unit: "By",
  description: "Data that waits to be sent",
  attributes: [role]
}

export const pauses: Instrument = {
  type: "counter",
  name: "websocket.read.pauses",
  unit: "{pause}",
  description: "Times that a connection stopped reading its transport",
  attributes: [role, "websocket.pause.reason"]
}

export const pausedConnections: Instrument = {
  type: "gauge",
  name: "websocket.read.paused",
  unit: "{connection}",
  description: "Connections that do not read their transport at present",
  attributes: [role]
}

export const budgetUsage: Instrument = {
  type: "gauge",
  name: "websocket.budget.usage",
  unit: "By",
  description: "Used bytes of the budgets of open connections",
  attributes: ["websocket.budget.part"]
}

export const budgetLimit: Instrument = {
  type: "gauge",
  name: "websocket.budget.limit",
  unit: "By",
  description: "Sizes of the budgets of open connections",
  attributes: []
}

export const reconnects: Instrument = {
  type: "counter",
  name: "websocket.client.reconnects",
  unit: "{connection}",
  description: "Connections of reconnecting clients after the first one",
  attributes: []
}

export const outboxMessages: Instrument = {
  type: "counter",
  name: "websocket.client.outbox.messages",
  unit: "{message}",
  description: "Messages that left the outbox of a reconnecting client, by outcome",
  attributes: ["websocket.outbox.outcome"]
}

export const drainingConnections: Instrument = {
  type: "gauge",
  name: "websocket.server.draining",
  unit: "{connection}",
  description: "Connections that a drain still waits for",
  attributes: []
}

export const topicMembers: Instrument = {
  type: "gauge",
  name: "websocket.topic.members",
  unit: "{member}",
  description: "Members of topics in this process",
  attributes: []
}

export const topicLagging: Instrument = {
  type: "gauge",
  name: "websocket.topic.lagging",
  unit: "{member}",
  description: "Members that read the history because they are behind",
  attributes: []
}

export const topicPublishDuration: Instrument = {
  type: "histogram",
  name: "websocket.topic.publish.duration",
  unit: "s",
  description: "Duration of publishes until the broker has the message. The count is the number of publishes",
  attributes: ["error.type"],
  boundaries: seconds
}

export const topicFanOutDuration: Instrument = {
  type: "histogram",
  name: "websocket.topic.fan_out.duration",
  unit: "s",
  description: "Time to hand one publication to all members in this process",
  attributes: [],
  boundaries: [0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1]
}

export const topicStarts: Instrument = {
  type: "counter",
  name: "websocket.topic.starts",
  unit: "{member}",
  description: "Beginnings of members: new, recovered from the history, or with a gap. A gap later counts, too",
  attributes: ["websocket.topic.start"]
}
