/** The results of a run, as they are written to a file. */
import { Schema } from "effect"

export const Row = Schema.Struct({
  subject: Schema.String,
  /** One value for each round: CPU microseconds of the subject per message, or another quantity that `unit` names. */
  values: Schema.Array(Schema.Number),
  median: Schema.Number,
  /** The distance between the quartiles, divided by the median. */
  spread: Schema.Number,
  /** Medians of the ratios within each round. */
  toBaseline: Schema.NullOr(Schema.Number),
  toFloor: Schema.NullOr(Schema.Number),
  /** The cost of the better of the two subjects on `@effect/platform`, divided by the cost of this one. */
  platformToThis: Schema.NullOr(Schema.Number),
  /** Each target in words, and whether it holds. */
  targets: Schema.Array(Schema.Struct({ wanted: Schema.String, holds: Schema.Boolean })),
  /** Messages per second. */
  rate: Schema.NullOr(Schema.Number),
  /** The shares of the time in which the subject and the load generator were busy. */
  busy: Schema.NullOr(Schema.Number),
  loadBusy: Schema.NullOr(Schema.Number),
  /** In milliseconds, if messages were timed. */
  latency: Schema.NullOr(
    Schema.Struct({ p50: Schema.Number, p90: Schema.Number, p99: Schema.Number, max: Schema.Number })
  ),
  /** Medians in milliseconds, if connections were opened and closed. */
  opening: Schema.NullOr(Schema.Number),
  closing: Schema.NullOr(Schema.Number),
  /** KiB of JavaScript's heap and the memory that it owns, if memory was measured and the runtime reports it. */
  heap: Schema.NullOr(Schema.Number)
})
export type Row = typeof Row.Type

export const CaseResult = Schema.Struct({
  name: Schema.String,
  title: Schema.String,
  unit: Schema.String,
  sweep: Schema.NullOr(Schema.Struct({ name: Schema.String, x: Schema.Number, unit: Schema.String })),
  rows: Schema.Array(Row),
  notes: Schema.Array(Schema.String)
})
export type CaseResult = typeof CaseResult.Type

export const Results = Schema.Struct({
  date: Schema.String,
  /** The duration of the run. */
  minutes: Schema.Number,
  /** The version of the Node that ran the measured processes. */
  node: Schema.String,
  versions: Schema.Record({ key: Schema.String, value: Schema.String }),
  system: Schema.String,
  cpu: Schema.String,
  cores: Schema.Number,
  memoryGibibytes: Schema.Number,
  /** The load average over one minute before the run. */
  load: Schema.Number,
  pinned: Schema.Boolean,
  /** Whether V8's garbage collector had no helper threads. */
  singleThreadedGc: Schema.Boolean,
  rounds: Schema.Number,
  seconds: Schema.Number,
  cases: Schema.Array(CaseResult)
})
export type Results = typeof Results.Type

export const CodecResults = Schema.Array(
  Schema.Struct({ group: Schema.String, name: Schema.String, nanos: Schema.NullOr(Schema.Number) })
)
