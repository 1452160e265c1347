/**
 * The targets: the highest allowed ratios, in the same run, with the default flags of Node. A target that the measured cases
 * or subjects do not have is ignored.
 */
import { type EffectVersion, effects, nameOn } from "./names.js"
import type { Verdict } from "./results.js"

interface Target {
  /** This library's way to read. */
  readonly way: string
  readonly effects: ReadonlyArray<EffectVersion>
  readonly nodes: ReadonlyArray<string>
  /** What the cost is divided by: that of the baseline, or that of `run` on the same version of Effect. */
  readonly of: "ws" | "run"
  /** The highest allowed ratio in each case. */
  readonly limits: Readonly<Record<string, number>>
}

const nodes = ["24", "26"]

export const targets: ReadonlyArray<Target> = [
  {
    way: "run",
    effects,
    nodes: ["24"],
    of: "ws",
    limits: { a: 0.95, b: 0.16, c: 0.5, d: 0.55, e: 0.5, f: 1.3, g: 0.85, h: 0.45, memory: 1 }
  },
  {
    way: "run",
    effects,
    nodes: ["26"],
    of: "ws",
    limits: { a: 0.9, b: 0.14, c: 0.45, d: 0.5, e: 0.45, f: 1.3, g: 0.85, h: 0.45, memory: 1 }
  },
  { way: "run, borrowed", effects, nodes, of: "ws", limits: { a: 0.95, b: 0.15, c: 0.4, d: 0.4 } },
  { way: "run, borrowed + read buffer", effects, nodes, of: "ws", limits: { a: 0.85, b: 0.13, c: 0.35, d: 0.38 } },
  {
    way: "receiveAll",
    effects,
    nodes,
    of: "ws",
    limits: { a: 1.1, b: 0.18, c: 0.55, d: 0.58, e: 0.55, memory: 1.3 }
  },
  {
    way: "messages",
    effects: ["4"],
    nodes,
    of: "ws",
    limits: { a: 1.15, b: 0.22, c: 0.6, d: 0.6, e: 0.6, memory: 1.6 }
  },
  { way: "messages", effects: ["4"], nodes, of: "run", limits: { a: 1.2 } },
  { way: "typed", effects, nodes, of: "run", limits: { json: 1.3 } },
  { way: "typed, compiled", effects: ["4"], nodes, of: "run", limits: { json: 1.3, "json-16": 1.3 } }
]

/** A target that is below the floor times this is out of reach. The floor times this counts instead. */
const slack = 1.15

/** Figures are compared as they are printed. */
const rounded = (ratio: number): number => Math.round(ratio * 100) / 100

export interface Measured {
  /** The major of the Node that ran the subject. */
  readonly node: string
  readonly case: string
  readonly subject: string
  readonly toBaseline: number | null
  /** To `run` on the same version of Effect. */
  readonly toRun: number | null
  /** The ratio of the floor to the baseline. */
  readonly floorToBaseline: number | null
}

/** Compares a subject in a case with each of its targets. */
export const judge = (measured: Measured): ReadonlyArray<Verdict> =>
  targets.flatMap(({ effects, limits, nodes, of, way }) => {
    const target = limits[measured.case]
    const ratio = of === "ws" ? measured.toBaseline : measured.toRun
    if (target === undefined || ratio === null || !nodes.includes(measured.node)) return []
    if (!effects.some((effect) => nameOn(effect, way) === measured.subject)) return []
    const { floorToBaseline: floor } = measured
    const floorCounts = of === "ws" && floor !== null && target < floor * slack
    const limit = floorCounts ? rounded(floor * slack) : target
    const unit = floorCounts ? ` (raw × ${slack})` : of === "run" ? " of run" : ""
    return [{ wanted: `≤ ${limit}${unit}`, ratio: rounded(ratio), holds: rounded(ratio) <= limit }]
  })
