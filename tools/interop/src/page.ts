/**
 * Tables of the documentation that a run writes, or compares with what it has seen. The first row is the head; a column is found by its
 * head, and a row by its first cell.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { format, resolveConfig } from "prettier"

export type Rows = ReadonlyArray<ReadonlyArray<string>>

/** A name without the versions in it, which differ from machine to machine. */
const withoutVersion = (head: string): string => head.replaceAll(/ v?\d[\w.]*/g, "")

const cellsOf = (text: string): Rows =>
  text
    .trim()
    .split("\n")
    .filter((_, index) => index !== 1)
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim())
    )

/** Each cell of a table, by its row and its column. */
const byPlace = ([head = [], ...body]: Rows): ReadonlyMap<string, string> =>
  new Map(
    body.flatMap(([name = "", ...cells]) =>
      cells.map((cell, column) => [`${name} | ${withoutVersion(head[column + 1] ?? "")}`, cell] as const)
    )
  )

/** What a page says in another way than a run has seen it. A column is not compared if what it is about is missing. */
const differences = (documented: Rows, seen: Rows, missing: ReadonlyArray<string>): ReadonlyArray<string> => {
  const [page, run] = [byPlace(documented), byPlace(seen)]
  const repeated = documented.map(([name = ""]) => name).filter((name, index, names) => names.indexOf(name) < index)
  const cells = [...new Set([...page.keys(), ...run.keys()])].flatMap((place) => {
    const [there, here] = [page.get(place), run.get(place)]
    const isMissing = here === undefined && missing.some((name) => place.endsWith(` | ${withoutVersion(name)}`))
    return there === here || isMissing
      ? []
      : [
          `${place}: the page ${there === undefined ? "has no such cell" : `says "${there}"`}, and the run ${here === undefined ? "did not try it" : `saw "${here}"`}`
        ]
  })
  return [...repeated.map((name) => `${name}: the page has this row twice`), ...cells]
}

/** A page of `docs`, and the part of it between the marks of a table. */
const partOf = (name: string, mark: string) => {
  const file = fileURLToPath(new URL(`../../../docs/${name}`, import.meta.url))
  const text = readFileSync(file, "utf8")
  const begin = `<!-- ${mark}: begin -->`
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(`<!-- ${mark}: end -->`)]
  if (from < begin.length || to < from) throw new Error(`docs/${name} has no part for ${mark}`)
  return { file, before: text.slice(0, from), part: text.slice(from, to), after: text.slice(to) }
}

const writeTable = async (name: string, mark: string, [head = [], ...body]: Rows): Promise<void> => {
  const { after, before, file } = partOf(name, mark)
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  const table = [line(head), line(head.map(() => "---")), ...body.map(line)].join("\n")
  const written = `${before}\n\n${table}\n\n${after}`
  writeFileSync(file, await format(written, { ...(await resolveConfig(file)), parser: "markdown" }))
}

/**
 * Writes a table, or compares it with its page, and says what differs. `missing` has the names of columns that could not be
 * tried. Returns whether the page now says what the run saw.
 */
export const settle = async (
  name: string,
  mark: string,
  seen: Rows,
  missing: ReadonlyArray<string>,
  isWriting: boolean
): Promise<boolean> => {
  if (!isWriting) {
    const found = differences(cellsOf(partOf(name, mark).part), seen, missing)
    for (const difference of found) console.error(`FAILED: docs/${name}, ${difference}`)
    return found.length === 0
  }
  if (missing.length === 0) await writeTable(name, mark, seen)
  else console.error(`FAILED: docs/${name} was not written, for lack of ${missing.join(", ")}`)
  return missing.length === 0
}
