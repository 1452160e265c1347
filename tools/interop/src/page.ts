/** Tables of the documentation that a run writes between two marks, or compares with what it has seen. */
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { format, resolveConfig } from "prettier"

type Rows = ReadonlyArray<ReadonlyArray<string>>

/** A table as a run has seen it. */
export interface SeenTable {
  /** The name of the page in `docs`. */
  readonly page: string
  readonly mark: string
  /** The first row is the head, and the first cell of each row its name. A cell that could not be observed is empty. */
  readonly rows: Rows
  /** The heads of the columns that could not be tried. */
  readonly missing: ReadonlyArray<string>
}

const fileOf = (page: string): string => fileURLToPath(new URL(`../../../docs/${page}`, import.meta.url))

const formatted = async (file: string, text: string): Promise<string> =>
  format(text, { ...(await resolveConfig(file)), parser: "markdown" })

const render = ([head = [], ...body]: Rows): string => {
  const line = (cells: ReadonlyArray<string>): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`
  return [line(head), line(head.map(() => "---")), ...body.map(line)].join("\n")
}

/** A page before, between and behind the marks of a table. */
const split = (page: string, mark: string): readonly [string, string, string] => {
  const text = readFileSync(fileOf(page), "utf8")
  const [begin, end] = [`<!-- ${mark}: begin -->`, `<!-- ${mark}: end -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`docs/${page} has no "${begin}" with a "${end}" behind it`)
  return [text.slice(0, from + begin.length), text.slice(from + begin.length, to), text.slice(to)]
}

/** A head without the version in it, which changes more often than what is seen. */
const withoutVersion = (head: string): string => head.replaceAll(/ v?\d+[.-][\w.-]*/g, "")

/** The rows of a table in a text, with heads without versions. The text has nothing else. */
const read = (text: string): Rows => {
  const [head = [], , ...body] = text
    .trim()
    .split("\n")
    .map((line) => line.split(/(?<!\\)\|/).slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))
  return [head.map(withoutVersion), ...body]
}

const differentNames = (
  what: "column" | "row",
  seen: ReadonlyArray<string>,
  said: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const wrong = [
    ...seen.filter((name) => !said.includes(name)).map((name) => `the page has no ${what} "${name}"`),
    ...said.filter((name) => !seen.includes(name)).map((name) => `no run shows the ${what} "${name}" of the page`)
  ]
  if (wrong.length > 0 || seen.join("|") === said.join("|")) return wrong
  return [`the ${what}s of the page are in another order, or some are there twice`]
}

const namesOf = (rows: Rows): ReadonlyArray<string> => rows.slice(1).map(([name = ""]) => name)

/** Where the page says something else than what was seen, one line each. */
const differences = async ({ missing, page, mark, rows }: SeenTable): Promise<ReadonlyArray<string>> => {
  const [, part] = split(page, mark)
  if (
    part
      .trim()
      .split("\n")
      .some((line) => !line.startsWith("|"))
  )
    return ["the page has more than the table"]
  const [seen, said] = [read(await formatted(fileOf(page), render(rows))), read(part)]
  const [seenHeads = [], saidHeads = []] = [seen[0], said[0]]
  const untried = new Set(missing.map(withoutVersion))
  const cell = (all: Rows, row: string, column: string): string | undefined =>
    all.find(([name]) => name === row)?.[all[0]?.indexOf(column) ?? -1]
  return [
    ...differentNames(
      "column",
      seenHeads,
      saidHeads.filter((head) => !untried.has(head))
    ),
    ...differentNames("row", namesOf(seen), namesOf(said)),
    ...namesOf(said)
      .filter((_, index) => said[index + 1]?.length !== saidHeads.length)
      .map((row) => `${row}: the page has more or fewer cells than columns`),
    ...namesOf(seen).flatMap((row) =>
      seenHeads.slice(1).flatMap((column) => {
        const [now, before] = [cell(seen, row, column), cell(said, row, column)]
        return now === "" || before === undefined || now === before
          ? []
          : [`${row}, ${column}: the page says "${before}", but "${now}" was seen`]
      })
    )
  ]
}

/** Writes a table, or compares it with its page. Returns what is wrong. */
export const settle = async (table: SeenTable, isWriting: boolean): Promise<ReadonlyArray<string>> => {
  const { mark, missing, page, rows } = table
  const name = `docs/${page}, ${mark}`
  if (!isWriting) return (await differences(table)).map((difference) => `${name}: ${difference}`)
  if (missing.length > 0) return [`${name}: it is not written without ${missing.join(", ")}`]
  const [before, , behind] = split(page, mark)
  writeFileSync(fileOf(page), await formatted(fileOf(page), `${before}\n\n${render(rows)}\n\n${behind}`))
  return []
}
