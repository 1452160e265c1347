/** Formats results as text. */
import type { CaseResult, Row } from "./results.js"

const number = (value: number | null, digits: number): string => (value === null ? "" : value.toFixed(digits))

/** Three significant digits. */
export const figure = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)

const percent = (value: number | null): string => (value === null ? "" : `${Math.round(value * 100)} %`)

const verdicts = ({ targets }: Row): string =>
  targets.map(({ holds, wanted }) => `${holds ? "✓" : "✗"} ${wanted}`).join(", ")

/** The first row names the columns. */
export const cells = ({ rows, unit }: CaseResult): ReadonlyArray<ReadonlyArray<string>> => {
  const timed = rows.some(({ latency }) => latency !== null)
  const loaded = rows.some(({ rate }) => rate !== null)
  const opened = rows.some(({ opening }) => opening !== null)
  const measuresMemory = unit === "KiB"
  const header = [
    "",
    measuresMemory ? "KiB resident each" : "CPU µs each",
    "spread",
    ...(measuresMemory ? ["KiB heap"] : []),
    "to ws",
    "to raw",
    "platform / this",
    "target",
    ...(loaded ? ["per second", "server busy", "load busy"] : []),
    ...(opened ? ["open ms", "close ms"] : []),
    ...(timed ? ["p50 ms", "p90 ms", "p99 ms", "max ms"] : [])
  ]
  return [
    header,
    ...rows.map((row) => [
      row.subject,
      figure(row.median),
      percent(row.spread),
      ...(measuresMemory ? [number(row.heap, 1)] : []),
      number(row.toBaseline, 2),
      number(row.toFloor, 2),
      row.platformToThis === null ? "" : `${figure(row.platformToThis)}×`,
      verdicts(row),
      ...(loaded ? [number(row.rate, 0), percent(row.busy), percent(row.loadBusy)] : []),
      ...(opened ? [number(row.opening, 3), number(row.closing, 3)] : []),
      ...(timed
        ? [row.latency?.p50, row.latency?.p90, row.latency?.p99, row.latency?.max].map((value) =>
            number(value ?? null, 3)
          )
        : [])
    ])
  ]
}

/** Pads each column to one width. The first column is aligned to the left. */
export const format = (result: CaseResult): string => {
  const rows = result.rows.length === 0 ? [] : cells(result)
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  ")
  )
  return [`${result.name}: ${result.title}`, ...lines, ...result.notes].join("\n")
}

/** The number of targets that hold, and a list of those that were missed. */
export const summary = (results: ReadonlyArray<CaseResult>): string => {
  const targets = results.flatMap(({ name, rows }) =>
    rows.flatMap(({ subject, targets }) => targets.map((target) => ({ ...target, name, subject })))
  )
  const missed = targets.filter(({ holds }) => !holds)
  if (targets.length === 0) return "The measured cases have no targets."
  return [
    `${targets.length - missed.length} of ${targets.length} targets hold.`,
    ...(missed.length === 0
      ? []
      : [`Missed: ${missed.map(({ name, subject, wanted }) => `${subject} in ${name} (${wanted})`).join(", ")}.`])
  ].join(" ")
}
