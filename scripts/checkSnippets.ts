/** Type-checks every `ts` block of the README, of docs/ and of the `@example`s in the sources. */
import { spawnSync } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"

const out = ".snippets"
rmSync(out, { recursive: true, force: true })
mkdirSync(out)

const snippets: Array<string> = []
const within = (folder: string, ending: string) =>
  readdirSync(folder, { encoding: "utf8", recursive: true })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`)

const files = [
  "README.md",
  "packages/protocol/README.md",
  "packages/platform/README.md",
  ...within("docs", ".md"),
  ...within("packages/protocol/src", ".ts"),
  ...within("packages/platform/src", ".ts")
]
for (const file of files) {
  const text = readFileSync(file, "utf8").replaceAll(/^[ \t]*\* ?/gm, "")
  for (const [, code] of text.matchAll(/^```ts\n(.*?)^```/gms)) {
    const name = file.replaceAll(/[^a-zA-Z0-9]+/g, "-")
    const snippet = `${name}-${snippets.length + 1}.ts`
    writeFileSync(`${out}/${snippet}`, `// ${file}\n${code}`)
    snippets.push(snippet)
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
process.exitCode = status ?? 1
