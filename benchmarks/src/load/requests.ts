/** The requests to the load generator, and its answers. */
import { Schema } from "effect"

export const Shape = Schema.Struct({
  kind: Schema.Literal("text", "binary", "json"),
  bytes: Schema.Number,
  fragments: Schema.Number,
  compressed: Schema.Boolean
})

export const Request = Schema.Union(
  /** Opens connections, which stay open, until there are this many. */
  Schema.TaggedStruct("Open", { port: Schema.Number, connections: Schema.Number, compressed: Schema.Boolean }),
  /** Keeps `inFlight` messages in flight on each connection, written in chunks of this size. */
  Schema.TaggedStruct("Exchange", {
    shape: Shape,
    inFlight: Schema.Number,
    chunkBytes: Schema.NullOr(Schema.Number),
    millis: Schema.Number
  }),
  /**
   * Sends at a rate of messages per second, independent of the echoes, `burst` messages in one write. Times every message
   * from the moment at which it was due.
   */
  Schema.TaggedStruct("Pace", {
    shape: Shape,
    rate: Schema.Number,
    burst: Schema.Number,
    millis: Schema.Number
  }),
  /** One connection sends, all receive. */
  Schema.TaggedStruct("Broadcast", { shape: Shape, millis: Schema.Number }),
  /** The first connection sends one message at a fixed interval. The others keep `inFlight` messages in flight. */
  Schema.TaggedStruct("Beside", {
    shape: Shape,
    inFlight: Schema.Number,
    intervalMillis: Schema.Number,
    millis: Schema.Number
  }),
  /** Opens a connection, exchanges a message, and performs the closing handshake; `connections` at a time. */
  Schema.TaggedStruct("Churn", {
    port: Schema.Number,
    connections: Schema.Number,
    shape: Shape,
    millis: Schema.Number
  }),
  /** Serves a port. Its connections replace the opened ones. */
  Schema.TaggedStruct("Serve", { compressed: Schema.Boolean }),
  /** Sends messages to the last connection as fast as it takes them. */
  Schema.TaggedStruct("Pour", { shape: Shape, millis: Schema.Number })
)
export type Request = typeof Request.Type

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
