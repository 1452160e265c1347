/** What a run found, as it is written to a file. */
import { Schema } from "effect"

export const Row = Schema.Struct({
  subject: Schema.String,
  /** One value of each round: CPU microseconds of the subject per message, or what `unit` says. */
  values: Schema.Array(Schema.Number),
  median: Schema.Number,
  /** The distance between the quartiles, as a part of the median. */
  spread: Schema.Number,
  /** Medians of the ratios within each round. */
  toBaseline: Schema.NullOr(Schema.Number),
  toFloor: Schema.NullOr(Schema.Number),
  /** How many times as much the better of the two servers on `@effect/platform` costs. */
  platformToThis: Schema.NullOr(Schema.Number),
  /** What was wanted, in words, and whether it came true. */
  targets: Schema.Array(Schema.Struct({ wanted: Schema.String, holds: Schema.Boolean })),
  /** Messages per second. */
  rate: Schema.NullOr(Schema.Number),
  /** Parts of the time for which the subject and the load generator were busy. */
  busy: Schema.NullOr(Schema.Number),
  loadBusy: Schema.NullOr(Schema.Number),
  /** In milliseconds, where messages were timed. */
  latency: Schema.NullOr(
    Schema.Struct({ p50: Schema.Number, p90: Schema.Number, p99: Schema.Number, max: Schema.Number })
  ),
  /** Medians in milliseconds, where connections were opened and closed. */
  opening: Schema.NullOr(Schema.Number),
  closing: Schema.NullOr(Schema.Number),
  /** KiB of JavaScript's heap and what it owns, where memory was measured and the runtime tells. */
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
  /** How long it took. */
  minutes: Schema.Number,
  /** Of the Node that ran what was measured. */
  node: Schema.String,
  versions: Schema.Record({ key: Schema.String, value: Schema.String }),
  system: Schema.String,
  cpu: Schema.String,
  cores: Schema.Number,
  memoryGibibytes: Schema.Number,
  /** Processes that were waiting to run before it began, on average over a minute. */
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
