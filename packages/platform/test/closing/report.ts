/** The generated parts of docs/closing.md. */
import {
  behaviours,
  closeCodeOf,
  endings,
  impossible,
  moments,
  openingOutcome,
  type Cell,
  type OpeningCell,
  type Result,
  type Role
} from "./cells.js"

/** Without the padding of other pages, because these tables are too wide for it. */
const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")

/** The results of one role, with `c` for the code. Endings with the same results share a row. */
export const roleTable = (role: Role, results: ReadonlyMap<string, Result>): string => {
  const rows: Array<ReadonlyArray<string>> = []
  for (const moment of moments) {
    const byCells = new Map<string, Array<string>>()
    for (const ending of endings) {
      const line = behaviours.map((behaviour) => {
        const cell = { role, moment, ending, behaviour }
        return describeResult(cell, results.get(keyOf(cell))!)
      })
      const key = line.join(" | ")
      byCells.set(key, [...(byCells.get(key) ?? []), ending])
    }
    for (const [key, names] of byCells) rows.push([moment, names.join(", "), ...key.split(" | ")])
  }
  return table(["when", "ended by", ...behaviours.map((behaviour) => `the peer ${behaviour}`)], rows)
}

export const keyOf = ({ behaviour, ending, moment, role }: Cell): string => [role, moment, ending, behaviour].join("; ")

const describeResult = (cell: Cell, { activity, error, peerError, time, wrote }: Result): string => {
  const generic = (text: string) => text.replaceAll(String(closeCodeOf(cell)), "c")
  const lines = [
    `\`${generic(wrote.join(", "))}\``,
    `we: \`${generic(error)}\``,
    `peer: ${peerError === "none" ? "learns nothing" : `\`${generic(peerError)}\``}`,
    time === 0 ? "at once" : `${time} ms`
  ]
  if (activity !== "interrupted") lines.push(`the app: ${activity === "done" ? activity : `\`${generic(activity)}\``}`)
  return lines.join("<br>")
}

/**
 * Groups cells for which `tell` returns the same text. Each row has: role and opening, ended by, the peer, that text.
 */
const grouped = (
  cells: ReadonlyArray<OpeningCell>,
  tell: (cell: OpeningCell) => string | undefined
): ReadonlyArray<ReadonlyArray<string>> => {
  const groups = new Map<string, { readonly endings: Set<string>; readonly behaviours: Set<string> }>()
  for (const cell of cells) {
    const told = tell(cell)
    if (told === undefined) continue
    const key = [`${cell.role}, ${cell.opening}`, told].join("\0")
    const group = groups.get(key) ?? { endings: new Set(), behaviours: new Set() }
    groups.set(key, group)
    group.endings.add(cell.ending)
    group.behaviours.add(cell.behaviour)
  }
  const list = (names: ReadonlySet<string>, all: number) => (names.size === all ? "any" : [...names].join(", "))
  return [...groups].map(([key, group]) => {
    const [when = "", told = ""] = key.split("\0")
    return [when, list(group.endings, endings.length), list(group.behaviours, behaviours.length), told]
  })
}

export const openingTable = (cells: ReadonlyArray<OpeningCell>): string =>
  table(
    ["when", "ended by", "the peer", "what happens"],
    grouped(cells, (cell) => (impossible(cell) === undefined ? openingOutcome(cell) : undefined))
  )

export const impossibleTable = (cells: ReadonlyArray<OpeningCell>): string =>
  table(["when", "ended by", "the peer", "why not"], grouped(cells, impossible))
