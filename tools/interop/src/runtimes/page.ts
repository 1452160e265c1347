/** The tables of docs/runtimes.md that a run writes, each between its two markers. */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { format, resolveConfig } from "prettier"

const page = fileURLToPath(new URL("../../../../docs/runtimes.md", import.meta.url))

/** A table as it was seen now. */
export interface SeenTable {
  readonly marker: string
  /** What the head of the first column says. */
  readonly head: string
  readonly rows: ReadonlyArray<string>
  readonly columns: ReadonlyArray<Column>
  /** The runtimes that were left out, so that their columns cannot be compared. */
  readonly leftOut: ReadonlyArray<string>
}

export interface Column {
  readonly name: string
  readonly version: string
  /** The cells by their rows. A row that could not be observed has none. */
  readonly cells: Readonly<Record<string, string>>
}

const formatted = async (text: string): Promise<string> =>
  format(text, { ...(await resolveConfig(page)), parser: "markdown" })

const line = (cells: ReadonlyArray<string>): string =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`

const render = ({ columns, head, rows }: SeenTable): string => {
  const heads = [head, ...columns.map(({ name, version }) => `${name} ${version}`)]
  const body = rows.map((row) => line([row, ...columns.map(({ cells }) => cells[row] ?? "")]))
  return [line(heads), line(heads.map(() => "---")), ...body].join("\n")
}

/** What stands before, between and behind the markers of a table. */
const split = (text: string, marker: string): readonly [string, string, string] => {
  const [begin, end] = [`<!-- ${marker}: begin -->`, `<!-- ${marker}: end -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`docs/runtimes.md has no "${begin}" with a "${end}" behind it`)
  return [text.slice(0, from + begin.length), text.slice(from + begin.length, to), text.slice(to)]
}

export const writeTable = async (table: SeenTable): Promise<void> => {
  const [before, , behind] = split(readFileSync(page, "utf8"), table.marker)
  writeFileSync(page, await formatted(`${before}\n\n${render(table)}\n\n${behind}`))
}

/** A table as text says it: without versions, because they change more often than what is seen. */
interface ReadTable {
  readonly columns: ReadonlyArray<string>
  readonly rows: ReadonlyArray<readonly [name: string, ...cells: ReadonlyArray<string>]>
}

const read = (text: string): ReadTable => {
  const [heads = [], , ...body] = text
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))
  return {
    columns: heads.slice(1).map((head) => head.replace(/ \S+$/, "")),
    rows: body.map(([name = "", ...cells]) => [name, ...cells])
  }
}

const namesOf = ({ rows }: ReadTable): ReadonlyArray<string> => rows.map(([name]) => name)

const differentRows = (seen: ReadonlyArray<string>, said: ReadonlyArray<string>): ReadonlyArray<string> => {
  const wrong = [
    ...seen.filter((name) => !said.includes(name)).map((name) => `the page has no row ${name}`),
    ...said.filter((name) => !seen.includes(name)).map((name) => `no run shows the row ${name} of the page`)
  ]
  if (wrong.length > 0 || seen.join("|") === said.join("|")) return wrong
  return ["the rows of the page are in another order, or some are there twice"]
}

/** Where the page says something else than what was seen, one line each. */
export const differences = async (table: SeenTable): Promise<ReadonlyArray<string>> => {
  const [, there] = split(readFileSync(page, "utf8"), table.marker)
  const [seen, said] = [read(await formatted(render(table))), read(there)]
  const known = new Set([...seen.columns, ...table.leftOut])
  const cell = ({ columns, rows }: ReadTable, column: string, row: string): string | undefined =>
    rows.find(([name]) => name === row)?.[columns.indexOf(column) + 1]
  return [
    ...differentRows(namesOf(seen), namesOf(said)),
    ...said.columns
      .filter((column) => !known.has(column))
      .map((column) => `no runtime shows the column ${column} of the page`),
    ...seen.columns.flatMap((column) => {
      if (!said.columns.includes(column)) return [`the page has no column ${column}`]
      const rows = namesOf(seen).filter((row) => namesOf(said).includes(row))
      return rows.flatMap((row) => {
        const [now, before] = [cell(seen, column, row), cell(said, column, row)]
        // What could not be observed is empty here.
        return now === "" || now === before
          ? []
          : [`${column}, ${row}: the page says "${before}", but "${now}" was seen`]
      })
    })
  ]
}
