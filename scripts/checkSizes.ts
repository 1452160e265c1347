/**
 * Checks that no file of the packages' sources has more than 450 lines of code and no class more than 300. Blank lines and
 * lines of comments do not count.
 */
import { readdirSync, readFileSync } from "node:fs"
import ts from "typescript"

const maxFileLines = 450
const maxClassLines = 300

/** What may be larger, and why: a file, or a class as `file#Class`. An entry that is no longer needed is an error. */
const exceptions: Readonly<Record<string, string>> = {}

const source = (file: string): ts.SourceFile =>
  ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.ES2022, /* setParentNodes */ true)

/** How many lines of a node have a token, or a part of one. Comments are no tokens. */
const codeLines = (node: ts.Node, file: ts.SourceFile): number => {
  const lines = new Set<number>()
  const visit = (child: ts.Node): void => {
    if (ts.isJSDoc(child)) return
    const children = child.getChildren(file)
    if (children.length > 0) return children.forEach(visit)
    if (child.getWidth(file) === 0) return
    const first = file.getLineAndCharacterOfPosition(child.getStart(file)).line
    const last = file.getLineAndCharacterOfPosition(child.getEnd()).line
    for (let line = first; line <= last; line++) lines.add(line)
  }
  visit(node)
  return lines.size
}

const sizesOf = (file: string): ReadonlyArray<readonly [name: string, lines: number, limit: number]> => {
  const whole = source(file)
  const sizes: Array<readonly [string, number, number]> = [[file, codeLines(whole, whole), maxFileLines]]
  const visit = (node: ts.Node): void => {
    if (ts.isClassLike(node)) {
      sizes.push([`${file}#${node.name?.text ?? "class"}`, codeLines(node, whole), maxClassLines])
    }
    ts.forEachChild(node, visit)
  }
  visit(whole)
  return sizes
}

const files = ["protocol", "platform", "topics-redis", "topics-nats", "cli"].flatMap((name) =>
  readdirSync(`packages/${name}/src`, { encoding: "utf8", recursive: true })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `packages/${name}/src/${file.replaceAll("\\", "/")}`)
)
const large = files.flatMap(sizesOf).filter(([, lines, limit]) => lines > limit)
const problems = [
  ...large
    .filter(([name]) => !Object.hasOwn(exceptions, name))
    .map(([name, lines, limit]) => `${name} has ${lines} lines of code; ${limit} are allowed`),
  ...Object.keys(exceptions)
    .filter((name) => !large.some(([other]) => other === name))
    .map((name) => `${name} is small enough and needs no exception`)
]
for (const problem of problems) console.error(problem)
console.log(`${files.length} files, ${large.length} above the limits, ${problems.length} problems`)
process.exitCode = files.length > 0 && problems.length === 0 ? 0 : 1
