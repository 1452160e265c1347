/**
 * Checks what the compiler cannot see of the one source tree for Effect 3 and Effect 4. `pnpm check` runs it after the compiler,
 * which has compiled the tree against both:
 *
 * - no file uses a name that both have and that means different things, apart from the modules that are written once for each;
 * - the twins of such a module export the same names;
 * - what only one of them has is imported in a folder whose name says what to install, because the import fails if the other one
 *   is there;
 * - nothing of Effect 3 is in the program for Effect 4: the compiler looks for a module that Effect 4 lacks in the root, too.
 */
import { readdirSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { resolve } from "node:path"
import ts from "typescript"

const root = "packages/platform/src"
const overlay = "packages/platform-effect4/overlay/src"
const buildInfo = ".tsbuildinfo/platform-effect4.src"

const filesIn = (folder: string): ReadonlyArray<string> =>
  readdirSync(folder, { encoding: "utf8", recursive: true })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.endsWith(".ts"))

/** The folders of what only one of them has. */
const folders = {
  [root]: "internal/install-effect@3-or-platform@4/",
  [overlay]: "internal/install-effect@4-or-platform@3/"
}

/** The modules that have a twin for Effect 4. */
const twins = filesIn(overlay).filter((file) => !file.startsWith(folders[overlay]))

/** What both have and means different things: single exports, or whole modules. */
const different: Readonly<Record<string, true | ReadonlyArray<string>>> = {
  // A stream holds arrays in Effect 4, and a channel has its type parameters in another order.
  Channel: true,
  Chunk: true,
  // Wall time in Effect 4.
  Clock: ["currentTimeNanos"],
  // A function in Effect 3, an effect in Effect 4. A loop that yields to the event loop each time in Effect 4.
  Effect: ["yieldNow", "forever"],
  // In Effect 3 it may be no fiber that runs.
  Fiber: ["Fiber"],
  // Other parameters in Effect 4.
  Schema: ["Schema", "decode", "encode"],
  Stream: ["fromChannel", "toChannel"]
}

const parse = (file: string): ts.SourceFile =>
  ts.createSourceFile(file, readFileSync(file, "utf8"), ts.ScriptTarget.ES2022, /* setParentNodes */ true)

const isExported = (statement: ts.Statement): boolean =>
  ts.canHaveModifiers(statement) &&
  ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true

/** The names that a module exports. */
const exportsOf = (file: string): ReadonlyArray<string> =>
  parse(file)
    .statements.flatMap((statement) => {
      if (ts.isExportDeclaration(statement)) {
        const clause = statement.exportClause
        return clause !== undefined && ts.isNamedExports(clause) ? clause.elements.map(({ name }) => name.text) : []
      }
      if (!isExported(statement)) return []
      if (ts.isVariableStatement(statement))
        return statement.declarationList.declarations.map(({ name }) => name.getText())
      return (statement as ts.DeclarationStatement).name?.getText() ?? []
    })
    .sort()

const isDifferent = (module: string, name: string): boolean => {
  const changed = different[module]
  return changed === true || changed?.includes(name) === true
}

/** `A.B.C` as its parts, of a type or a value. */
const pathOf = (node: ts.Node): ReadonlyArray<string> => {
  if (ts.isIdentifier(node)) return [node.text]
  if (ts.isPropertyAccessExpression(node)) return [...pathOf(node.expression), node.name.text]
  if (ts.isQualifiedName(node)) return [...pathOf(node.left), node.right.text]
  return [""]
}

const problemsIn = (file: string): ReadonlyArray<string> => {
  const source = parse(`${root}/${file}`)
  const problems: Array<string> = []
  const report = (node: ts.Node, what: string): void => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart())
    problems.push(`${root}/${file}:${line + 1}: ${what}; see internal/effect.ts`)
  }
  const namespaces = new Map<string, string>()
  const check = (node: ts.Node, module: string, name: string): void => {
    if (isDifferent(module, name)) report(node, `${module}.${name} means something else in Effect 4`)
  }
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue
    const specifier = statement.moduleSpecifier
    if (specifier === undefined || !ts.isStringLiteral(specifier)) continue
    if (specifier.text === "effect" || specifier.text.startsWith("@effect/platform/")) {
      report(statement, `"${specifier.text}" is imported`)
    }
    if (!specifier.text.startsWith("effect/")) continue
    const module = specifier.text.slice("effect/".length)
    const names = ts.isImportDeclaration(statement) ? statement.importClause?.namedBindings : statement.exportClause
    if (different[module] === true) report(statement, `"${specifier.text}" means something else in Effect 4`)
    else if (names === undefined) report(statement, `"${specifier.text}" is imported as a whole`)
    else if (ts.isNamespaceImport(names)) namespaces.set(names.name.text, module)
    else if (ts.isNamespaceExport(names)) report(statement, `"${specifier.text}" is exported as a whole`)
    else names.elements.forEach((element) => check(element, module, (element.propertyName ?? element.name).text))
  }
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) || ts.isQualifiedName(node)) {
      const [first = "", name = ""] = pathOf(node)
      const module = namespaces.get(first)
      if (module !== undefined) {
        check(node, module, name)
        return
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return problems
}

const twinProblems = twins.flatMap((file) => {
  const [ours, theirs] = [`${root}/${file}`, `${overlay}/${file}`].map(exportsOf) as [Array<string>, Array<string>]
  const unequal = [...ours.filter((name) => !theirs.includes(name)), ...theirs.filter((name) => !ours.includes(name))]
  return unequal.map((name) => `${file}: only one of the twins exports ${name}`)
})

/** The modules that a file needs when it runs. */
const neededBy = (file: string): ReadonlyArray<string> =>
  parse(file).statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return []
    const typeOnly = ts.isImportDeclaration(statement) ? statement.importClause?.isTypeOnly : statement.isTypeOnly
    const specifier = statement.moduleSpecifier
    return typeOnly !== true && specifier !== undefined && ts.isStringLiteral(specifier) ? [specifier.text] : []
  })

/** The modules of Effect that exist for the code in a package. */
const existsIn = (folder: string): ((module: string) => boolean) => {
  const require = createRequire(resolve(folder, "package.json"))
  return (module) => {
    try {
      require.resolve(module)
      return true
    } catch {
      return false
    }
  }
}
const existsOnBoth = [existsIn("packages/platform"), existsIn("packages/platform-effect4")]

const misplaced = ([root, overlay] as const).flatMap((base) =>
  twins.flatMap((file) =>
    neededBy(`${base}/${file}`)
      .filter((module) => /^(effect|@effect\/platform)\//.test(module))
      .filter((module) => module.startsWith("@") || !existsOnBoth.every((exists) => exists(module)))
      .map((module) => `${base}/${file}: only one Effect has "${module}"; import it in ${folders[base]}`)
  )
)

const { fileNames } = JSON.parse(readFileSync(buildInfo, "utf8")) as { readonly fileNames: ReadonlyArray<string> }
const strays = fileNames
  .filter((file) => /\/(effect@3|@effect\+platform@)/.test(file))
  .map((file) => `The program for Effect 4 has ${file}`)
const ofEffect4 = fileNames.filter((file) => file.includes("/effect@4")).length

const sources = filesIn(root).filter((file) => !twins.includes(file) && !file.startsWith(folders[root]))
const problems = [...sources.flatMap(problemsIn), ...twinProblems, ...misplaced, ...strays]
for (const problem of problems) console.error(problem)
console.log(`${sources.length} files for both, ${twins.length} twins, ${problems.length} problems`)
process.exitCode = problems.length === 0 && sources.length > 0 && ofEffect4 > 0 ? 0 : 1
