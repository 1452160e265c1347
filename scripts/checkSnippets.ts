/**
 * Type-checks every `ts` block of the README, of docs/ and of the `@example`s in the sources, and the code in each table whose
 * last column is `example`, behind the last block before it. A block that begins with the path of a file in a comment is an
 * excerpt, which must be in that file, white space apart.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"

const out = ".snippets"
rmSync(out, { recursive: true, force: true })
mkdirSync(out)

const snippets: Array<string> = []
const strayed: Array<string> = []
const within = (folder: string, ending: string) =>
  readdirSync(folder, { encoding: "utf8", recursive: true })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`)

/** The examples of a table, each row in a function of its own, so that it may wait for effects. */
const examplesOf = (rows: string): string =>
  rows
    .trim()
    .split("\n")
    .map((row) => [...row.slice(row.lastIndexOf(" | ")).matchAll(/`([^`]+)`/g)].map(([, code]) => code))
    .map((codes) => `;(function* () {\n${codes.join("\n")}\n})\n`)
    .join("")

const withoutSpace = (text: string) => text.replaceAll(/\s/g, "")

const files = [
  "README.md",
  "packages/protocol/README.md",
  "packages/platform/README.md",
  ...within("docs", ".md"),
  ...within("packages/protocol/src", ".ts"),
  ...within("packages/platform/src", ".ts")
]
for (const file of files) {
  const whole = readFileSync(file, "utf8")
  const text = file.endsWith(".ts") ? whole.replaceAll(/^[ \t]*\* ?/gm, "") : whole
  const name = file.replaceAll(/[^a-zA-Z0-9]+/g, "-")
  const check = (code: string): void => {
    const snippet = `${name}-${snippets.length + 1}.ts`
    writeFileSync(`${out}/${snippet}`, `// ${file}\n${code}`)
    snippets.push(snippet)
  }
  let preamble = ""
  for (const [, code, rows] of text.matchAll(
    /^```ts\n(.*?)^```|^\|[^\n]*\| example *\|\n[^\n]*\n((?:\|[^\n]*\n)+)/gms
  )) {
    if (code === undefined) {
      check(`${preamble}\n${examplesOf(rows ?? "")}`)
      continue
    }
    const [, source, excerpt = ""] = /^\/\/ (\S+\/\S+\.ts)\n(.*)/s.exec(code) ?? []
    if (source !== undefined) {
      if (!withoutSpace(readFileSync(source, "utf8")).includes(withoutSpace(excerpt))) strayed.push(`${file}: ${code}`)
      continue
    }
    preamble = code
    check(code)
  }
}
writeFileSync(
  `${out}/tsconfig.json`,
  JSON.stringify({
    extends: "../tsconfig.base.json",
    files: snippets,
    compilerOptions: { noEmit: true, composite: false, incremental: false, noUnusedLocals: false }
  })
)
console.log(`${snippets.length} snippets`)
const { status } = spawnSync("tsc", ["-p", out], { stdio: "inherit", shell: true })
for (const excerpt of strayed) console.error(`not in its file any more: ${excerpt}`)
process.exitCode = strayed.length > 0 ? 1 : (status ?? 1)
