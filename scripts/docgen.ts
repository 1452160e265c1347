/**
 * Writes the reference of the public modules to `.api`, one file per module, from the declarations that are published.
 * Fails where an export has no description, `@since` or `@category`, where something that can fail does not say when, and
 * where an option is not described.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, dirname } from "node:path"
import ts from "typescript"

const out = ".api"
const problems: Array<string> = []

interface Comment {
  readonly text: string
  readonly tags: ReadonlyMap<string, string>
}

const commentOf = (node: ts.Node): Comment => {
  const comment = ts.getJSDocCommentsAndTags(firstOverload(node)).findLast(ts.isJSDoc)
  return {
    text: ts.getTextOfJSDocComment(comment?.comment)?.trim() ?? "",
    tags: new Map(comment?.tags?.map((tag) => [tag.tagName.text, ts.getTextOfJSDocComment(tag.comment)?.trim() ?? ""]))
  }
}

/** Of overloads, the first one tells. */
const firstOverload = (node: ts.Node): ts.Node => {
  if (!ts.isFunctionDeclaration(node) || !ts.isSourceFile(node.parent)) return node
  const isOverload = (other: ts.Statement) => ts.isFunctionDeclaration(other) && nameOf(other) === nameOf(node)
  return node.parent.statements.find(isOverload) ?? node
}

/** The comment at the top of a module; declarations lose it with the imports below it. */
const moduleComment = (text: string): Comment => {
  const end = text.indexOf("*/") + 2
  // Before a statement of its own, because it belongs to none.
  const source = ts.createSourceFile("", `${text.slice(0, end)}\nexport {}`, ts.ScriptTarget.ES2022, true)
  return commentOf(source.statements[0]!)
}

const nameOf = (statement: ts.Statement): string => {
  if (ts.isVariableStatement(statement)) return statement.declarationList.declarations[0]!.name.getText()
  if (ts.isExportDeclaration(statement))
    return (
      statement.exportClause
        ?.getText()
        .replaceAll(/\* as |[{}]/g, "")
        .trim() ?? "*"
    )
  return (statement as ts.DeclarationStatement).name?.getText() ?? "default"
}

const isExported = (statement: ts.Statement): boolean => {
  if (!ts.isExportDeclaration(statement)) {
    return (
      ts.canHaveModifiers(statement) &&
      ts.getModifiers(statement)?.some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword) === true
    )
  }
  // `export {}` marks a module and exports nothing.
  const { exportClause } = statement
  return exportClause === undefined || ts.isNamespaceExport(exportClause) || exportClause.elements.length > 0
}

type Member = ts.TypeElement | ts.ClassElement

/** The members of an interface, a class, or the object types that an alias is made of. */
const membersOf = (node: ts.Node): ReadonlyArray<Member> => {
  if (ts.isInterfaceDeclaration(node) || ts.isClassDeclaration(node) || ts.isTypeLiteralNode(node)) {
    return [...node.members].filter((member) => (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) === 0)
  }
  if (ts.isTypeAliasDeclaration(node)) return membersOf(node.type)
  if (ts.isParenthesizedTypeNode(node)) return membersOf(node.type)
  if (ts.isIntersectionTypeNode(node) || ts.isUnionTypeNode(node)) return node.types.flatMap(membersOf)
  return []
}

/** What a declaration is or, of a function, returns, as it is written. */
const resultOf = (node: ts.Node): string => {
  const type = (ts.isVariableStatement(node) ? node.declarationList.declarations[0]! : (node as Member & ts.Node)) as {
    readonly type?: ts.TypeNode
  }
  const result = type.type !== undefined && ts.isFunctionTypeNode(type.type) ? type.type.type : type.type
  return result === undefined || ts.isTypePredicateNode(result) ? "" : result.getText()
}

const canFail = (node: ts.Node): boolean =>
  /\b(\w+Error|ConnectionClosed|PayloadTooLarge|HandshakeRejected|Violation)\b/.test(resultOf(node))

const tellsWhen = (comment: string): boolean => /\bfail|error|\bviolat|\brefus|\bbroken?\b/i.test(comment)

const checkExport = (where: string, statement: ts.Statement): void => {
  const { tags, text } = commentOf(statement)
  if (!tags.get("since")) problems.push(`${where}: no @since`)
  // Re-exported modules describe themselves.
  if (ts.isExportDeclaration(statement)) return
  if (text === "") problems.push(`${where}: no description`)
  if (!tags.get("category")) problems.push(`${where}: no @category`)
  if (ts.isVariableStatement(statement) || ts.isFunctionDeclaration(statement)) {
    if (canFail(statement) && !tellsWhen(text)) problems.push(`${where}: can fail, and does not say when`)
  }
  const members = membersOf(statement)
  for (const member of members) {
    const name = member.name?.getText() ?? ""
    // Of overloads, the first one tells.
    const own = commentOf(members.find((other) => other.name?.getText() === name) ?? member).text
    const described = own !== "" || text.includes(`\`${name}\``)
    if (/(Options|Limits)$/.test(nameOf(statement)) && !described) {
      problems.push(`${where}.${name}: an option without a description`)
    }
    if ((ts.isMethodSignature(member) || ts.isMethodDeclaration(member)) && canFail(member) && !tellsWhen(own)) {
      problems.push(`${where}.${name}: can fail, and does not say when`)
    }
  }
}

const section = (statement: ts.Statement): string => {
  const { tags, text } = commentOf(statement)
  return [
    `### ${nameOf(statement)}`,
    text,
    `\`\`\`ts\n${statement.getText()}\n\`\`\``,
    ...(tags.has("example") ? [tags.get("example")] : []),
    `Since ${tags.get("since")}`
  ].join("\n\n")
}

const document = (module: string, comment: Comment, source: ts.SourceFile): string => {
  const statements = source.statements.filter(isExported)
  for (const statement of statements) checkExport(`${module}#${nameOf(statement)}`, statement)
  const isBarrel = statements.every(ts.isExportDeclaration)
  if (!isBarrel && (comment.text === "" || !comment.tags.get("since"))) {
    problems.push(`${module}: no description with @since at the top`)
  }
  const categoryOf = (statement: ts.Statement) => commentOf(statement).tags.get("category") ?? "modules"
  return [
    `# ${module}`,
    ...(isBarrel ? [] : [comment.text]),
    ...[...new Set(statements.map(categoryOf))].flatMap((category) => [
      `## ${category}`,
      ...statements.filter((statement) => categoryOf(statement) === category).map(section)
    ])
  ].join("\n\n")
}

rmSync(out, { recursive: true, force: true })
let count = 0
for (const name of ["protocol", "platform", "topics-redis", "topics-nats"]) {
  for (const file of readdirSync(`packages/${name}/src`, { encoding: "utf8", recursive: true })) {
    if (!file.endsWith(".ts") || /(^|\/)(internal|engine|native)\//.test(file)) continue
    const declarations = `packages/${name}/dist/${dirname(file)}/${basename(file, ".ts")}.d.ts`
    const source = ts.createSourceFile(
      declarations,
      readFileSync(declarations, "utf8"),
      ts.ScriptTarget.ES2022,
      /* setParentNodes */ true
    )
    const module = `${name}/${file}`
    const comment = moduleComment(readFileSync(`packages/${name}/src/${file}`, "utf8"))
    mkdirSync(dirname(`${out}/${module}`), { recursive: true })
    writeFileSync(`${out}/${module.replace(/ts$/, "md")}`, `${document(module, comment, source)}\n`)
    count++
  }
}
for (const problem of problems) console.error(problem)
console.log(`${count} modules, ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
