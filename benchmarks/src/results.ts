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
  target: Schema.NullOr(Schema.Number),
  floorTarget: Schema.NullOr(Schema.Number),
  holds: Schema.NullOr(Schema.Boolean),
  /** Messages per second. */
  rate: Schema.NullOr(Schema.Number),
  /** Parts of the time for which the subject and the load generator were busy. */
  busy: Schema.NullOr(Schema.Number),
  loadBusy: Schema.NullOr(Schema.Number),
  /** In milliseconds, where messages were timed. */
  latency: Schema.NullOr(
    Schema.Struct({ p50: Schema.Number, p90: Schema.Number, p99: Schema.Number, max: Schema.Number })
  )
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
  node: Schema.String,
  bun: Schema.NullOr(Schema.String),
  cpu: Schema.String,
  cores: Schema.Number,
  pinned: Schema.Boolean,
  rounds: Schema.Number,
  seconds: Schema.Number,
  cases: Schema.Array(CaseResult)
})
export type Results = typeof Results.Type

export const CodecResults = Schema.Array(
  Schema.Struct({ group: Schema.String, name: Schema.String, nanos: Schema.NullOr(Schema.Number) })
)
