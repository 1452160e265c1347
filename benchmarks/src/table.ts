/** Results as text. */
import type { CaseResult, Row } from "./results.js"

const number = (value: number | null, digits: number): string => (value === null ? "" : value.toFixed(digits))

/** Three digits that count. */
export const figure = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)

const percent = (value: number | null): string => (value === null ? "" : `${Math.round(value * 100)} %`)

export const verdict = ({ floorTarget, holds, target }: Row): string => {
  if (target === null) return ""
  const wanted = `≤ ${target}${floorTarget === null ? "" : ` or ≤ ${floorTarget} of raw`}`
  return holds === null ? wanted : `${holds ? "✓" : "✗"} ${wanted}`
}

/** The first row names the columns. */
export const cells = ({ rows, unit }: CaseResult): ReadonlyArray<ReadonlyArray<string>> => {
  const timed = rows.some(({ latency }) => latency !== null)
  const loaded = rows.some(({ rate }) => rate !== null)
  const header = [
    "",
    unit === "KiB" ? "KiB each" : "CPU µs each",
    "spread",
    "to ws",
    "to raw",
    "target",
    ...(loaded ? ["per second", "server busy", "load busy"] : []),
    ...(timed ? ["p50 ms", "p90 ms", "p99 ms", "max ms"] : [])
  ]
  return [
    header,
    ...rows.map((row) => [
      row.subject,
      figure(row.median),
      percent(row.spread),
      number(row.toBaseline, 2),
      number(row.toFloor, 2),
      verdict(row),
      ...(loaded ? [number(row.rate, 0), percent(row.busy), percent(row.loadBusy)] : []),
      ...(timed
        ? [row.latency?.p50, row.latency?.p90, row.latency?.p99, row.latency?.max].map((value) =>
            number(value ?? null, 3)
          )
        : [])
    ])
  ]
}

/** Columns of one width; the first is aligned to the left. */
export const format = (result: CaseResult): string => {
  const rows = cells(result)
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const lines = rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  ")
  )
  return [`${result.name}: ${result.title}`, ...lines, ...result.notes].join("\n")
}
