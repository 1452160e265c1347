/**
 * Writes docs/options.md from the docstrings of the options. With `--check` it fails if the page is stale.
 *
 * The first sentence of a docstring and its `Default: …` are in a table, everything else is below it.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { format, resolveConfig } from "prettier"
import ts from "typescript"

const page = "docs/options.md"
const src = "packages/platform/src"

/** An interface of options, with the heading under which its options are. */
interface Part {
  readonly file: string
  readonly name: string
  readonly title: string
  /** What the options are written in, if they are not options themselves. */
  readonly within?: string
}

const parts: ReadonlyArray<Part> = [
  { file: `${src}/Options.ts`, name: "ConnectionOptions", title: "Connections" },
  { file: `${src}/Options.ts`, name: "SendStrategy", title: "The values of `sendStrategy`" },
  { file: "packages/protocol/src/Limits.ts", name: "Limits", title: "Limits", within: "`limits`" },
  { file: `${src}/Options.ts`, name: "ReceiveRate", title: "Receive rate", within: "`receiveRate`" },
  {
    file: "packages/protocol/src/PermessageDeflate.ts",
    name: "Options",
    title: "Compression",
    within: "`compression`"
  },
  { file: `${src}/Options.ts`, name: "DeliveryOptions", title: "Deliveries" },
  { file: `${src}/Options.ts`, name: "SendOptions", title: "One `send`" },
  { file: `${src}/Options.ts`, name: "ReceiveOptions", title: "One `receiveWith`" },
  { file: `${src}/Options.ts`, name: "ClientOptions", title: "Clients" },
  { file: `${src}/Options.ts`, name: "RequestOptions", title: "Requests of clients" },
  { file: `${src}/node/NodeOptions.ts`, name: "ZlibOptions", title: "Compression on Node" },
  { file: `${src}/node/NodeOptions.ts`, name: "MinizlibOptions", title: "`NodeZlib.fromMinizlib`" },
  { file: `${src}/node/NodeOptions.ts`, name: "ClientOptions", title: "Clients on Node" },
  {
    file: `${src}/node/NodeOptions.ts`,
    name: "TlsOptions",
    title: "TLS of clients on Node",
    within: "`tls` and `proxyTls`"
  },
  {
    file: `${src}/native/NativeOptions.ts`,
    name: "ConnectOptions",
    title: "Clients over the WebSocket of a platform"
  },
  { file: `${src}/Options.ts`, name: "ClientMakeOptions", title: "`WebSocketClient.make`" },
  { file: `${src}/internal/makeReconnecting.ts`, name: "ReconnectingOptions", title: "Clients that reconnect" },
  { file: `${src}/Options.ts`, name: "ServerOptions", title: "Servers" },
  { file: `${src}/Options.ts`, name: "AdmissionOptions", title: "Admission", within: "`admission`" },
  {
    file: `${src}/Options.ts`,
    name: "Rate",
    title: "Rates of handshakes",
    within: "`handshakeRate` and `handshakeRatePerKey`"
  },
  { file: `${src}/Options.ts`, name: "Proxies", title: "Proxies", within: "`proxies`" },
  { file: `${src}/Options.ts`, name: "DrainOptions", title: "Drain", within: "`drain`" },
  { file: `${src}/WebSocketServer.ts`, name: "RunOptions", title: "Handlers" },
  { file: `${src}/WebSocketServer.ts`, name: "RouteOptions", title: "Routes" },
  { file: `${src}/UpgradeCheck.ts`, name: "AcceptOptions", title: "An accepted request" },
  { file: `${src}/WebSocketUpgrade.ts`, name: "UpgradeOptions", title: "`WebSocketUpgrade.upgrade`" },
  { file: `${src}/node/NodeOptions.ts`, name: "UnsafeOptions", title: "Unsafe options of servers on Node" },
  { file: `${src}/node/NodeOptions.ts`, name: "ListenOptions", title: "Servers that listen on Node" },
  { file: `${src}/node/NodeOptions.ts`, name: "PortOptions", title: "Servers on a port" },
  { file: `${src}/node/NodeOptions.ts`, name: "SocketPathOptions", title: "Servers on a Unix domain socket" },
  { file: `${src}/node/NodeOptions.ts`, name: "DuplexOptions", title: "`NodeWebSocketServer.fromDuplex`" },
  { file: `${src}/native/NativeServerOptions.ts`, name: "UnreadOptions", title: "Servers on a host that cannot pause" },
  { file: `${src}/bun/BunWebSocketServer.ts`, name: "ListenOptions", title: "Servers that listen on Bun" },
  { file: `${src}/deno/DenoWebSocketServer.ts`, name: "ServerOptions", title: "Servers on Deno" },
  { file: `${src}/deno/DenoWebSocketServer.ts`, name: "ListenOptions", title: "Servers that listen on Deno" },
  { file: `${src}/Options.ts`, name: "ServerMakeOptions", title: "`WebSocketServer.make`" }
]

const textOf = (node: ts.Node): string => {
  const comment = ts.getJSDocCommentsAndTags(node).findLast(ts.isJSDoc)
  return ts.getTextOfJSDocComment(comment?.comment)?.trim() ?? ""
}

/** The first sentence, which ends with a full stop before a space. */
const firstSentence = (text: string): string => /^.*?\.(?=\s|$)/s.exec(text)?.[0] ?? text

const withoutBreaks = (text: string): string => text.replaceAll(/\s+/g, " ").trim()

const problems: Array<string> = []

const section = ({ file, name, title, within }: Part): string => {
  const source = ts.createSourceFile(
    file,
    readFileSync(file, "utf8"),
    ts.ScriptTarget.ES2022,
    /* setParentNodes */ true
  )
  const declaration = source.statements.find(
    (node) => (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) && node.name.text === name
  )
  if (declaration === undefined) throw new Error(`${file} has no ${name}`)
  // The values of an option, which its docstring describes.
  if (!ts.isInterfaceDeclaration(declaration)) return `## ${title}\n\n${textOf(declaration)}`
  const rows: Array<string> = []
  const notes: Array<string> = []
  for (const member of declaration.members) {
    // An option of type `undefined` only says that another kind of options has it.
    if (!ts.isPropertySignature(member) || member.type?.kind === ts.SyntaxKind.UndefinedKeyword) continue
    const option = member.name.getText()
    const text = withoutBreaks(textOf(member))
    const isRequired = member.questionToken === undefined && / Required\.(?= |$)/.test(text)
    const byDefault = isRequired ? "required" : /(?:^| )Default: (.*?)\.(?= |$)/.exec(text)?.[1]
    if (byDefault === undefined) problems.push(`${file}: ${name}.${option} has no default`)
    const first = firstSentence(text)
    const rest = text.slice(first.length).replace(/ (?:Default: .*?|Required)\.(?= |$)/, "")
    rows.push(`| \`${option}\` | ${byDefault} | ${first.replaceAll("|", "\\|")} |`)
    if (rest.trim() !== "") notes.push(`- \`${option}\`: ${rest.trim()}`)
  }
  return [
    `## ${title}`,
    `${within === undefined ? "" : `The fields of ${within}. `}${textOf(declaration)}`,
    `| option | default | |\n| --- | --- | --- |\n${rows.join("\n")}`,
    notes.join("\n")
  ].join("\n\n")
}

const written = [
  "<!-- Generated from the docstrings by scripts/optionsDoc.ts. -->",
  "# Options",
  `Sizes are in bytes. Durations are \`Duration\` inputs: \`"5 seconds"\`, or a number of milliseconds. An option that is
\`undefined\` is not given. Options that make no sense are a defect; if they come from \`Config\`, a \`ConfigError\` names the option.`,
  `\`NodeWebSocketServer.layer\` and \`NodeWebSocketClient.layerWith\` take these options. \`layerConfig\` of both reads them from
\`Config\`, as [getting started](getting-started.md) shows.`,
  `A server has the options of a server and of a connection. A client has those of a client, of its requests and of a connection;
those of one \`connect\` win over those of the client.`,
  ...parts.map(section)
].join("\n\n")

const formatted = await format(written, { ...(await resolveConfig(page)), parser: "markdown" })
if (!process.argv.includes("--check")) writeFileSync(page, formatted)
else if (readFileSync(page, "utf8") !== formatted) problems.push(`${page} is stale: run \`pnpm docs:write\``)
for (const problem of problems) console.error(problem)
console.log(`${parts.length} groups of options, ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
