/** What the load generator is asked to do, and what it answers. */
import { Schema } from "effect"

export const Shape = Schema.Struct({
  kind: Schema.Literal("text", "binary", "json"),
  bytes: Schema.Number,
  fragments: Schema.Number,
  compressed: Schema.Boolean
})

export const Request = Schema.Union(
  /** Opens connections, which stay open until `Close`. */
  Schema.TaggedStruct("Open", { port: Schema.Number, connections: Schema.Number, compressed: Schema.Boolean }),
  Schema.TaggedStruct("Close", {}),
  /** Keeps `inFlight` messages on the way, on each connection, written in chunks of this size. */
  Schema.TaggedStruct("Exchange", {
    shape: Shape,
    inFlight: Schema.Number,
    chunkBytes: Schema.NullOr(Schema.Number),
    millis: Schema.Number
  }),
  /** Sends at a rate per second, whatever comes back, and times every message from when it was due. */
  Schema.TaggedStruct("Pace", { shape: Shape, rate: Schema.Number, millis: Schema.Number }),
  /** One connection sends, all receive. */
  Schema.TaggedStruct("Broadcast", { shape: Shape, millis: Schema.Number }),
  /** The first connection sends one message every so often, beside the others, which keep `inFlight` on the way. */
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
  /** Serves a port, whose connections take the place of those that were opened. */
  Schema.TaggedStruct("Serve", { compressed: Schema.Boolean }),
  /** Sends the last connection as many messages as it takes. */
  Schema.TaggedStruct("Pour", { shape: Shape, millis: Schema.Number })
)
export type Request = typeof Request.Type

const Times = Schema.Array(Schema.Number)

export const Result = Schema.Struct({
  messages: Schema.Number,
  /** In microseconds. */
  cpu: Schema.Number,
  millis: Schema.Number,
  /** Of each message that was timed, in milliseconds. */
  latencies: Times,
  /** How long opening and closing each connection took, in milliseconds. */
  openings: Times,
  closings: Times
})
export type Result = typeof Result.Type

export const Port = Schema.Struct({ port: Schema.Number })
