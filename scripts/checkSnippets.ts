/**
 * Type-checks every `ts` block of the READMEs, of docs/ and of the `@example`s in the sources on Effect 4 and on Effect 3, and the
 * code in each table whose last column is `example`, behind the last block before it. A block that is for one of them only says so
 * behind its language, as in "ts effect-4". A block that begins with the path of a file in a comment is an excerpt, which must be
 * in that file, white space apart.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import ts from "typescript"

/** Where the programs for each version of Effect are checked, because that version is found from there, and what is not. */
const versions = [
  {
    name: "Effect 4",
    mark: "effect-4",
    folder: "packages/platform-effect4",
    foreign: /\/(effect@3|@effect\+platform@)/
  },
  { name: "Effect 3", mark: "effect-3", folder: ".", foreign: /\/effect@4/ }
] as const
type Version = (typeof versions)[number]

interface Snippet {
  readonly file: string
  readonly line: number
  readonly code: string
  /** How many lines of the program are not in the document. */
  readonly added: number
  readonly mark: string
}

const within = (folder: string, ending: string) =>
  readdirSync(folder, { encoding: "utf8", recursive: true })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`)

/** The examples of a table, each row in a function of its own, so that it may wait for effects. One line for each row. */
const examplesOf = (rows: string): string =>
  rows
    .trim()
    .split("\n")
    .map((row) => [...row.slice(row.lastIndexOf(" | ")).matchAll(/`([^`]+)`/g)].map(([, code]) => code))
    .map((codes) => `;(function* () { ${codes.join("; ")} })\n`)
    .join("")

const withoutSpace = (text: string) => text.replaceAll(/\s/g, "")
const lines = (text: string) => text.split("\n").length - 1

const files = [
  "README.md",
  "packages/protocol/README.md",
  "packages/platform/README.md",
  "packages/platform-effect4/README.md",
  "packages/topics-redis/README.md",
  "packages/topics-nats/README.md",
  ...within("docs", ".md"),
  ...within("packages/protocol/src", ".ts"),
  ...within("packages/platform/src", ".ts"),
  ...within("packages/topics-redis/src", ".ts"),
  ...within("packages/topics-nats/src", ".ts")
]

const snippets: Array<Snippet> = []
const problems: Array<string> = []

for (const file of files) {
  const whole = readFileSync(file, "utf8")
  const text = file.endsWith(".ts") ? whole.replaceAll(/^[ \t]*\* ?/gm, "") : whole
  let preamble = { code: "", mark: "" }
  for (const match of text.matchAll(
    /^```ts(?: (\S+))?\n(.*?)^```|^\|[^\n]*\| example *\|\n[^\n]*\n((?:\|[^\n]*\n)+)/gms
  )) {
    const [, mark = "", code, rows = ""] = match
    const line = lines(text.slice(0, match.index)) + 1
    if (code === undefined) {
      const { code: before, mark } = preamble
      snippets.push({ file, line: line + 2, code: `${before}${examplesOf(rows)}`, added: lines(before), mark })
      continue
    }
    if (mark !== "" && !versions.some((version) => version.mark === mark)) {
      problems.push(`${file}:${line}: "${mark}" is no version of Effect`)
    }
    const [, source, excerpt = ""] = /^\/\/ (\S+\/\S+\.ts)\n(.*)/s.exec(code) ?? []
    if (source !== undefined) {
      if (!withoutSpace(readFileSync(source, "utf8")).includes(withoutSpace(excerpt))) {
        problems.push(`${file}:${line}: this is not in ${source} any more`)
      }
      continue
    }
    preamble = { code, mark }
    snippets.push({ file, line: line + 1, code, added: 0, mark })
  }
}

const { config } = ts.readConfigFile("tsconfig.base.json", (path) => ts.sys.readFile(path))
const { options } = ts.convertCompilerOptionsFromJson(
  {
    ...(config as { readonly compilerOptions: object }).compilerOptions,
    noEmit: true,
    composite: false,
    incremental: false,
    declaration: false,
    declarationMap: false,
    noUnusedLocals: false
  },
  "."
)

/** One program of all that is for a version. */
const check = ({ folder, foreign, mark, name }: Version): void => {
  const out = `${folder}/.snippets`
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out)
  const programs = new Map<string, Snippet>()
  for (const snippet of snippets) {
    if (snippet.mark !== "" && snippet.mark !== mark) continue
    const path = resolve(out, `${snippet.file.replaceAll(/[^a-zA-Z0-9]+/g, "-")}-${programs.size + 1}.ts`)
    writeFileSync(path, snippet.code)
    programs.set(path, snippet)
  }
  const program = ts.createProgram([...programs.keys()], options)
  for (const { file, messageText, start = 0 } of ts.getPreEmitDiagnostics(program)) {
    const snippet = programs.get(file?.fileName ?? "")
    const at = file === undefined ? 0 : ts.getLineAndCharacterOfPosition(file, start).line
    const place =
      snippet === undefined ? file?.fileName : `${snippet.file}:${snippet.line + Math.max(0, at - snippet.added)}`
    problems.push(`${place}: on ${name}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`)
  }
  // The compiler looks for a module that one of them lacks in the root, too.
  for (const [path, { code, file, line }] of programs) {
    for (const { fileName } of ts.preProcessFile(code).importedFiles) {
      const { resolvedModule } = ts.resolveModuleName(
        fileName,
        path,
        options,
        ts.sys,
        undefined,
        undefined,
        ts.ModuleKind.ESNext
      )
      if (foreign.test(resolvedModule?.resolvedFileName ?? "")) {
        problems.push(`${file}:${line}: on ${name}: there is no "${fileName}"`)
      }
    }
  }
  console.log(`${programs.size} snippets on ${name}`)
}
for (const version of versions) check(version)

for (const problem of problems) console.error(problem)
process.exitCode = snippets.length > 0 && problems.length === 0 ? 0 : 1
