/** The results of a run, as they are written to a file. */
import { Schema } from "effect"

export const Verdict = Schema.Struct({
  /** The target in words. */
  wanted: Schema.String,
  ratio: Schema.Number,
  holds: Schema.Boolean
})
export type Verdict = typeof Verdict.Type

export const Row = Schema.Struct({
  subject: Schema.String,
  /** One value for each round: CPU microseconds of the subject per message, or another quantity that `unit` names. */
  values: Schema.Array(Schema.Number),
  /** Their mean. */
  mean: Schema.Number,
  /** Ratios of the means. */
  toBaseline: Schema.NullOr(Schema.Number),
  toFloor: Schema.NullOr(Schema.Number),
  toBun: Schema.NullOr(Schema.Number),
  /** How far the ratio to the baseline in odd rounds (or processes) is from the one in even ones, divided by the ratio. */
  noise: Schema.NullOr(Schema.Number),
  targets: Schema.Array(Verdict),
  /** Messages per second. */
  rate: Schema.NullOr(Schema.Number),
  /** The shares of the time in which the subject and the load generator were busy: 1 is one core. */
  busy: Schema.NullOr(Schema.Number),
  loadBusy: Schema.NullOr(Schema.Number),
  /** In milliseconds, if messages were timed: at half load in cases that have it. */
  latency: Schema.NullOr(Schema.Struct({ p50: Schema.Number, p99: Schema.Number, max: Schema.Number })),
  /** Medians in milliseconds, if connections were opened and closed. */
  opening: Schema.NullOr(Schema.Number),
  closing: Schema.NullOr(Schema.Number),
  /** KiB of JavaScript's heap and the memory that it owns, if memory was measured and the runtime reports it. */
  heap: Schema.NullOr(Schema.Number),
  /** CPU microseconds of Redis per message, if messages went through one. */
  redis: Schema.optionalWith(Schema.NullOr(Schema.Number), { default: () => null })
})
export type Row = typeof Row.Type

export const CaseResult = Schema.Struct({
  name: Schema.String,
  title: Schema.String,
  /** The version of the Node that ran the measured processes. */
  node: Schema.String,
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
  /** The versions of Node that ran the measured processes. The first one also ran the cases that run on one. */
  nodes: Schema.Array(Schema.String),
  versions: Schema.Record({ key: Schema.String, value: Schema.String }),
  system: Schema.String,
  cpu: Schema.String,
  cores: Schema.Number,
  memoryGibibytes: Schema.Number,
  /** The load average over one minute before the run. */
  load: Schema.Number,
  /** Whether V8's garbage collector had no helper threads. By default it has. */
  singleThreadedGc: Schema.Boolean,
  rounds: Schema.Number,
  seconds: Schema.Number,
  cases: Schema.Array(CaseResult)
})
export type Results = typeof Results.Type

export const CodecResults = Schema.Struct({
  node: Schema.String,
  found: Schema.Array(Schema.Struct({ group: Schema.String, name: Schema.String, nanos: Schema.NullOr(Schema.Number) }))
})
export type CodecResults = typeof CodecResults.Type
