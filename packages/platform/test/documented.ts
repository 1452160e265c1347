/** The generated parts of a page of the documentation. */
import { readFileSync, writeFileSync } from "node:fs"
import { assert } from "./effect/vitest.js"

/** Compares a part of a page in `docs` with the result of a run. With `pnpm docs:write` it writes the page instead. */
export const assertDocumented = (page: string, name: string, generated: string): void => {
  const file = new URL(`../../../docs/${page}`, import.meta.url)
  const text = readFileSync(file, "utf8")
  const begin = `<!-- generated: ${name} -->\n`
  const end = `\n<!-- end: ${name} -->`
  const [from, to] = [text.indexOf(begin) + begin.length, text.indexOf(end)]
  assert.isTrue(from >= begin.length && to >= from, `docs/${page} has no part for ${name}`)
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(file, text.slice(0, from) + generated + text.slice(to))
  else assert.strictEqual(text.slice(from, to), generated, `docs/${page} is out of date; pnpm docs:write updates it`)
}

export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")
