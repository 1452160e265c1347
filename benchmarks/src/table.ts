/** Formats results as tables, whose first row names the columns, and as text. */
import { majorOf } from "./names.js"
import type { CaseResult, Row } from "./results.js"
import { groupBy, median, quantile } from "./statistics.js"

export type Table = ReadonlyArray<ReadonlyArray<string>>

/** Three significant digits. */
export const figure = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)

const optional = (value: number | null, show: (value: number) => string): string => (value === null ? "" : show(value))

const percent = (value: number): string => `${Math.round(value * 100)} %`

const millis = (value: number): string => value.toFixed(value < 1 ? 3 : value < 100 ? 2 : 0)

/** ✓ if all targets hold, ✗ if one does not, and nothing without targets. */
const mark = ({ targets }: Row): string =>
  targets.length === 0 ? "" : targets.every(({ holds }) => holds) ? " ✓" : " ✗"

const verdicts = ({ targets }: Row): string =>
  targets.map(({ holds, wanted }) => `${holds ? "✓" : "✗"} ${wanted}`).join(", ")

/** A column, and whether a case has it if any row does. */
interface Column {
  readonly title: string
  readonly cell: (row: Row) => string
}

const ratio = (value: number | null): string => optional(value, (found) => found.toFixed(2))

const columns = (unit: string): ReadonlyArray<Column> => [
  { title: unit === "µs" ? "CPU µs each" : `${unit} each`, cell: ({ mean }) => figure(mean) },
  { title: "KiB of heap", cell: ({ heap }) => optional(heap, (value) => value.toFixed(1)) },
  { title: "Redis µs", cell: ({ redis }) => optional(redis, figure) },
  { title: "to ws", cell: ({ toBaseline }) => ratio(toBaseline) },
  { title: "noise", cell: ({ noise }) => optional(noise, percent) },
  { title: "to raw", cell: ({ toFloor }) => ratio(toFloor) },
  { title: "to Bun", cell: ({ toBun }) => ratio(toBun) },
  { title: "target", cell: verdicts },
  { title: "per second", cell: ({ rate }) => optional(rate, (value) => value.toFixed(0)) },
  { title: "busy", cell: ({ busy }) => optional(busy, percent) },
  { title: "load busy", cell: ({ loadBusy }) => optional(loadBusy, percent) },
  { title: "open ms", cell: ({ opening }) => optional(opening, millis) },
  { title: "close ms", cell: ({ closing }) => optional(closing, millis) },
  { title: "p50 ms", cell: ({ latency }) => optional(latency && latency.p50, millis) },
  { title: "p99 ms", cell: ({ latency }) => optional(latency && latency.p99, millis) }
]

/** All that was measured of a case on one Node. Columns without any value are left out. */
export const cells = ({ rows, unit }: CaseResult): Table => {
  const used = columns(unit).filter(({ cell }) => rows.some((row) => cell(row) !== ""))
  return [
    ["", ...used.map(({ title }) => title)],
    ...rows.map((row) => [row.subject, ...used.map(({ cell }) => cell(row))])
  ]
}

/** The subjects of all results, in the order in which they were measured. */
const subjectsOf = (results: ReadonlyArray<CaseResult>): ReadonlyArray<string> => [
  ...new Set(results.flatMap(({ rows }) => rows.map(({ subject }) => subject)))
]

/** The columns of a case that are shown for each Node in one table. */
const compared = new Set(["CPU µs each", "KiB each", "B each", "to ws", "to raw", "to Bun", "p50 ms", "p99 ms"])

/** What was measured of one case on several versions of Node, side by side. */
export const sideBySide = (results: ReadonlyArray<CaseResult>): Table => {
  const used = results.flatMap((result) =>
    columns(result.unit)
      .filter(({ cell, title }) => compared.has(title) && result.rows.some((row) => cell(row) !== ""))
      .map((column) => ({ ...column, result }))
  )
  return [
    ["", ...used.map(({ result, title }) => (results.length === 1 ? title : `${majorOf(result.node)}: ${title}`))],
    ...subjectsOf(results).map((subject) => [
      subject,
      ...used.map(({ cell, result, title }) => {
        const row = result.rows.find((row) => row.subject === subject)
        return row === undefined ? "–" : `${cell(row)}${title === "to ws" ? mark(row) : ""}`
      })
    ])
  ]
}

/** The median and the 90th percentile of the noise of ratios to `ws`. */
export const noise = (results: ReadonlyArray<CaseResult>): string => {
  const found = results.flatMap(({ rows }) => rows.flatMap(({ noise }) => noise ?? []))
  return found.length === 0
    ? ""
    : `Between odd and even rounds (in c and d: processes), ratios to ws differ by ${percent(median(found))} in the median, and by ${percent(quantile(found, 0.9))} at the 90th percentile.`
}

/** The cases of which the headline consists. */
export const headlineCases = ["a", "b", "c", "d", "e", "f", "g", "h", "memory"]

/** The ratio to `ws` of each subject in each case, on one Node. */
export const headline = (results: ReadonlyArray<CaseResult>): Table => {
  const shown = headlineCases.flatMap((name) => results.find((result) => result.name === name) ?? [])
  return [
    [`to ws, Node ${majorOf(results[0]?.node ?? "")}`, ...shown.map(({ name }) => name)],
    ...subjectsOf(shown).map((subject) => [
      subject,
      ...shown.map(({ rows }) => {
        const row = rows.find((row) => row.subject === subject)
        return row === undefined || row.toBaseline === null ? "" : `${row.toBaseline.toFixed(2)}${mark(row)}`
      })
    ])
  ]
}

/** Pads each column to one width. The first column is aligned to the left. */
export const align = (rows: Table): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  ")
    )
    .join("\n")
}

/** A case as text. */
export const format = (result: CaseResult): string =>
  [
    `${result.name}: ${result.title}; Node ${result.node}`,
    ...(result.rows.length === 0 ? [] : [align(cells(result))]),
    ...result.notes
  ].join("\n")

/** How many targets hold on one Node, and those that were missed, in a line for each subject. */
export const summary = (
  node: string,
  results: ReadonlyArray<CaseResult>
): { readonly count: string; readonly missed: ReadonlyArray<string> } => {
  const targets = results.flatMap(({ name, rows }) =>
    rows.flatMap(({ subject, targets }) => targets.map((target) => ({ ...target, name, subject })))
  )
  const missed = targets.filter(({ holds }) => !holds)
  return {
    count:
      targets.length === 0
        ? `Node ${majorOf(node)}: the measured cases have no targets.`
        : `Node ${majorOf(node)}: ${targets.length - missed.length} of ${targets.length} targets hold.`,
    missed: [...groupBy(missed, ({ subject }) => subject)].map(
      ([subject, all]) =>
        `${subject} misses ${all.map(({ name, ratio, wanted }) => `${name} (${ratio}, ${wanted})`).join(", ")}`
    )
  }
}
