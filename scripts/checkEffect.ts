/**
 * Checks that `packages/platform/src` uses no API of Effect that Effect 4 lacks or gives another meaning, apart from the modules
 * that are written once for each. It reads the sources of both only, and knows what a module exports, not the types.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import ts from "typescript"

const root = "packages/platform/src"
const effect4 = "packages/protocol/node_modules/effect4/src"

/** The modules that have a twin for Effect 4. */
const twins = new Set(["internal/effect.ts", "internal/http.ts", "internal/httpServer.ts"])

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

/** The names that statements export; those of a namespace with its name before them. */
const namesIn = (statements: ReadonlyArray<ts.Statement>, prefix = ""): ReadonlyArray<string> =>
  statements.flatMap((statement) => {
    if (ts.isExportDeclaration(statement)) {
      const clause = statement.exportClause
      return clause === undefined || ts.isNamespaceExport(clause)
        ? []
        : clause.elements.map(({ name }) => prefix + name.text)
    }
    // Everything in a namespace that is declared is exported.
    if (prefix === "" && !isExported(statement)) return []
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.map(({ name }) => prefix + name.getText())
    }
    const name = (statement as ts.DeclarationStatement).name?.getText()
    if (name === undefined) return []
    const inner = ts.isModuleDeclaration(statement) && statement.body !== undefined && ts.isModuleBlock(statement.body)
    return [prefix + name, ...(inner ? namesIn(statement.body.statements, `${prefix}${name}.`) : [])]
  })

const exportsOf = new Map<string, ReadonlySet<string> | undefined>()

/** What a module of Effect 4 exports, or `undefined` if there is none. */
const effect4Exports = (module: string): ReadonlySet<string> | undefined => {
  if (!exportsOf.has(module)) {
    const file = `${effect4}/${module}.ts`
    exportsOf.set(module, existsSync(file) ? new Set(namesIn(parse(file).statements)) : undefined)
  }
  return exportsOf.get(module)
}

/** What is wrong with a name of a module, such as `["Effect", "async"]`. */
const faultOf = (module: string, name: string): string | undefined => {
  const changed = different[module]
  if (changed === true || changed?.includes(name) === true) return "means something else in Effect 4"
  return effect4Exports(module)?.has(name) === true ? undefined : "does not exist in Effect 4"
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
    const fault = faultOf(module, name)
    if (fault !== undefined) report(node, `${module}.${name} ${fault}`)
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
    if (names === undefined || effect4Exports(module) === undefined || different[module] === true) {
      report(statement, `"${specifier.text}" does not exist in Effect 4, or means something else`)
    } else if (ts.isNamespaceImport(names)) namespaces.set(names.name.text, module)
    else if (ts.isNamespaceExport(names)) report(statement, `"${specifier.text}" is exported as a whole`)
    else names.elements.forEach((element) => check(element, module, (element.propertyName ?? element.name).text))
  }
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAccessExpression(node) || ts.isQualifiedName(node)) {
      const [first = "", name = "", inner] = pathOf(node)
      const module = namespaces.get(first)
      if (module !== undefined) {
        check(node, module, name)
        // A type of a namespace within the module.
        if (ts.isQualifiedName(node) && inner !== undefined) check(node, module, `${name}.${inner}`)
        return
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return problems
}

const problems = readdirSync(root, { encoding: "utf8", recursive: true })
  .map((file) => file.replaceAll("\\", "/"))
  .filter((file) => file.endsWith(".ts") && !twins.has(file))
  .flatMap(problemsIn)

for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1
