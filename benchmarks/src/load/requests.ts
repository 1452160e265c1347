/** The requests to the load generator, and its answers. */
import { Schema } from "effect"
import type { Shape } from "./frames.js"

/** How messages are wrapped: not at all, or as Socket.IO does. */
export type Dialect = "plain" | "socket.io"

export type Request =
  /** Opens connections, which stay open, until there are this many. */
  | {
      readonly _tag: "Open"
      readonly port: number
      readonly connections: number
      readonly compressed: boolean
      readonly dialect: Dialect
    }
  /** Keeps `inFlight` messages in flight on each connection, written in chunks of this size. */
  | {
      readonly _tag: "Exchange"
      readonly shape: Shape
      readonly inFlight: number
      readonly chunkBytes: number | null
      readonly millis: number
    }
  /**
   * Sends at a rate of messages per second, independent of the echoes, `burst` messages in one write. Times every message
   * from the moment at which it was due.
   */
  | {
      readonly _tag: "Pace"
      readonly shape: Shape
      readonly rate: number
      readonly burst: number
      readonly millis: number
    }
  /** One connection sends, all receive, `atLeast` times. Times each broadcast until the last connection has received it. */
  | {
      readonly _tag: "Broadcast"
      readonly shape: Shape
      readonly dialect: Dialect
      readonly atLeast: number
      readonly millis: number
    }
  /** All connections but the last one send one message each, and another one for each message that the last one receives. */
  | { readonly _tag: "Relay"; readonly shape: Shape; readonly dialect: Dialect; readonly millis: number }
  /** The first connection sends one message at a fixed interval. The others keep `inFlight` messages in flight. */
  | {
      readonly _tag: "Beside"
      readonly shape: Shape
      readonly inFlight: number
      readonly intervalMillis: number
      readonly millis: number
    }
  /** Opens a connection, exchanges a message, and performs the closing handshake; `connections` at a time. */
  | {
      readonly _tag: "Churn"
      readonly port: number
      readonly connections: number
      readonly shape: Shape
      readonly millis: number
    }
  /** Serves a port. Its connections replace the opened ones. */
  | { readonly _tag: "Serve"; readonly compressed: boolean }
  /** Sends messages to the last connection as fast as it takes them. */
  | { readonly _tag: "Pour"; readonly shape: Shape; readonly millis: number }

const Times = Schema.Array(Schema.Number)

export const Result = Schema.Struct({
  messages: Schema.Number,
  /** In microseconds. */
  cpu: Schema.Number,
  millis: Schema.Number,
  /** The latency of each timed message, in milliseconds. */
  latencies: Times,
  /** The time to open and to close each connection, in milliseconds. */
  openings: Times,
  closings: Times
})
export type Result = typeof Result.Type

export const Port = Schema.Struct({ port: Schema.Number })
