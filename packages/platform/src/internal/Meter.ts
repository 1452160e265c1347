import type { Attributes, Instrument } from "./instruments.js"
import { seriesUnsafe, type Runtime } from "./effect.js"

/** Records values in the metrics of a runtime. */
export class Meter {
  private readonly runtime: Runtime<never>
  private readonly series = new Map<string, (value: number) => void>()
  // What this meter has added to each gauge. Several meters may share a gauge, whose value is then their sum.
  private readonly levels = new Map<string, Level>()
  private hasEnded = false

  constructor(runtime: Runtime<never>) {
    this.runtime = runtime
  }

  /** Adds to a counter or a gauge, or records a value of a histogram. */
  record(instrument: Instrument, attributes: Attributes, value: number): void {
    if (this.hasEnded) return
    const key = keyOf(instrument, attributes)
    let record = this.series.get(key)
    if (record === undefined) {
      record = seriesUnsafe(this.runtime, instrument, attributes)
      this.series.set(key, record)
    }
    record(value)
  }

  /** Sets the part of a gauge that is this meter's. */
  set(instrument: Instrument, attributes: Attributes, value: number): void {
    const key = keyOf(instrument, attributes)
    const before = this.levels.get(key)?.value
    if (before === value) return
    this.levels.set(key, { instrument, attributes, value })
    this.record(instrument, attributes, value - (before ?? 0))
  }

  /** Takes back what this meter has added to gauges by `set`, and records nothing more: connections may last longer than it. */
  end(): void {
    for (const { attributes, instrument } of this.levels.values()) this.set(instrument, attributes, 0)
    this.hasEnded = true
  }
}

interface Level {
  readonly instrument: Instrument
  readonly attributes: Attributes
  readonly value: number
}

const keyOf = ({ name }: Instrument, attributes: Attributes): string => [name, ...Object.values(attributes)].join("|")
