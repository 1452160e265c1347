/** Tables of the documentation that tests write. */
import { strictEqual } from "node:assert"
import { readFileSync, writeFileSync } from "node:fs"

/** A table as Prettier lays it out. */
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(3, ...all.map((row) => row[column]!.length)))
  const line = (row: ReadonlyArray<string>) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n")
}

/**
 * Compares a part of a page of `docs`, between `<!-- generated: part -->` and `<!-- end: part -->`, with what a run has made.
 * With `pnpm docs:write` it writes the part instead.
 */
export const assertDocumented = (page: string, part: string, generated: string): void => {
  const file = new URL(`../../../docs/${page}`, import.meta.url)
  const text = readFileSync(file, "utf8")
  const begin = `<!-- generated: ${part} -->`
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(`<!-- end: ${part} -->`)]
  strictEqual(from >= begin.length && to >= from, true, `docs/${page} has no part for ${part}`)
  const written = `\n\n${generated}\n\n`
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(file, text.slice(0, from) + written + text.slice(to))
  else strictEqual(text.slice(from, to), written, `docs/${page} is out of date; pnpm docs:write updates it`)
}
