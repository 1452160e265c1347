/** Results as a run would have them. */
import { toRows, type Sample } from "../src/rows.js"
import type { CaseResult } from "../src/results.js"
import type { EffectVersion } from "../src/names.js"

export const sample = (value: number): Sample => ({
  value,
  messages: 100,
  millis: 10,
  cpu: 100 * value,
  loadCpu: 5000,
  latencies: [],
  openings: [],
  closings: [],
  heap: null,
  redis: null
})

/** The samples of a subject. Its version of Effect is told by its name. */
export const samples = (subject: string, values: ReadonlyArray<number>, halfLoad: ReadonlyArray<number> = []) => {
  const effect: EffectVersion = subject.endsWith("on Effect 3") ? "3" : "4"
  return {
    subject,
    effect: ["ws", "raw net", "Bun"].includes(subject) ? undefined : effect,
    rounds: values.map(sample),
    roundsTogether: 1,
    halfLoad
  }
}

/** A case whose subjects cost what `costs` says, in each of two rounds. */
export const caseResult = (
  name: string,
  node: string,
  costs: Readonly<Record<string, number>>,
  sweep: CaseResult["sweep"] = null
): CaseResult => ({
  name,
  node: `v${node}.1.0`,
  title: `case ${name}`,
  unit: "µs",
  sweep,
  notes: [],
  rows: toRows(
    name,
    node,
    Object.entries(costs).map(([subject, cost]) => samples(subject, [cost, cost]))
  )
})
