/** Turns the samples of a case into rows of a table. */
import { baseline, bunName, type EffectVersion, floor, nameOn } from "./names.js"
import type { Row } from "./results.js"
import { mean, median, quantile } from "./statistics.js"
import { judge } from "./targets.js"

/** The result of one round for one subject. */
export interface Sample {
  readonly value: number
  readonly messages: number
  readonly millis: number
  readonly cpu: number
  readonly loadCpu: number
  readonly latencies: ReadonlyArray<number>
  readonly openings: ReadonlyArray<number>
  readonly closings: ReadonlyArray<number>
  /** In KiB, if memory was measured and the runtime's report means the same as Node's. */
  readonly heap: number | null
  /** The CPU time of Redis in µs per message, if messages went through one. */
  readonly redis: number | null
}

/** The subjects that finished, with one sample for each round. */
export interface Samples {
  readonly subject: string
  readonly effect: EffectVersion | undefined
  readonly rounds: ReadonlyArray<Sample>
  /** The number of rounds in the same process, if several processes share the rounds; else 1. */
  readonly roundsTogether: number
  /** The latencies at half load, if the case has it. */
  readonly halfLoad: ReadonlyArray<number>
}

/** Messages per second. */
export const rateOf = (rounds: ReadonlyArray<Sample>): number => {
  const sum = (of: (sample: Sample) => number) => rounds.reduce((total, sample) => total + of(sample), 0)
  return (sum(({ messages }) => messages) * 1000) / sum(({ millis }) => millis)
}

const costOf = ({ rounds }: Samples): number => mean(rounds.map(({ value }) => value))

/**
 * The ratio of the means. A mean counts costs that few rounds have, such as a collection of all garbage. What slows down the
 * machine for a while slows down all subjects, because the rounds are short and take turns.
 */
const ratio = (of: Samples | undefined, to: Samples | undefined): number | null =>
  of === undefined || to === undefined || of.rounds.length === 0 || to.rounds.length === 0
    ? null
    : costOf(of) / costOf(to)

const half = (samples: Samples | undefined, parity: number): Samples | undefined =>
  samples && {
    ...samples,
    rounds: samples.rounds.filter((_, round) => Math.floor(round / samples.roundsTogether) % 2 === parity)
  }

const noiseOf = (of: Samples, to: Samples | undefined): number | null => {
  if (of === to) return null
  const [all, even, odd] = [ratio(of, to), ratio(half(of, 0), half(to, 0)), ratio(half(of, 1), half(to, 1))]
  return all === null || even === null || odd === null ? null : Math.abs(even - odd) / all
}

/** The rows of a case that was measured on this major version of Node. */
export const toRows = (name: string, node: string, all: ReadonlyArray<Samples>): ReadonlyArray<Row> => {
  const find = (subject: string) => all.find((one) => one.subject === subject)
  const floorToBaseline = ratio(find(floor), find(baseline))
  return all.map((one) => {
    const { effect, rounds, subject } = one
    const values = rounds.map(({ value }) => value)
    const toBaseline = ratio(one, find(baseline))
    const toRun = effect === undefined ? null : ratio(one, find(nameOn(effect, "run")))
    const total = (of: (sample: Sample) => number) => rounds.reduce((sum, sample) => sum + of(sample), 0)
    const millis = total((sample) => sample.millis)
    const timed = one.halfLoad.length > 0 ? one.halfLoad : rounds.flatMap(({ latencies }) => latencies)
    const medianOrNull = (found: ReadonlyArray<number>) => (found.length === 0 ? null : median(found))
    const meanOrNull = (found: ReadonlyArray<number>) => (found.length === 0 ? null : mean(found))
    return {
      subject,
      values,
      mean: mean(values),
      toBaseline,
      toFloor: ratio(one, find(floor)),
      toBun: ratio(one, find(bunName)),
      noise: noiseOf(one, find(baseline)),
      targets: judge({ node, case: name, subject, toBaseline, toRun, floorToBaseline }),
      rate: millis === 0 ? null : rateOf(rounds),
      busy: millis === 0 ? null : total(({ cpu }) => cpu) / 1000 / millis,
      loadBusy: millis === 0 ? null : total(({ loadCpu }) => loadCpu) / 1000 / millis,
      latency:
        timed.length === 0 ? null : { p50: quantile(timed, 0.5), p99: quantile(timed, 0.99), max: quantile(timed, 1) },
      opening: medianOrNull(rounds.flatMap(({ openings }) => openings)),
      closing: medianOrNull(rounds.flatMap(({ closings }) => closings)),
      heap: medianOrNull(rounds.flatMap(({ heap }) => heap ?? [])),
      redis: meanOrNull(rounds.flatMap(({ redis }) => redis ?? []))
    }
  })
}
