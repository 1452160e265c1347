/**
 * Packs the packages and installs them with the very lines of the documentation, in folders outside the repository and from the
 * registry as it is, for Effect 4 and for Effect 3. There it runs the code of docs/getting-started.md, and type-checks and runs
 * the README's server, client and test, and every module, on each Node that is supported.
 */
import { deepStrictEqual } from "node:assert"
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, dirname, join, relative } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { installNode, type Major } from "./nodes.js"

interface Manifest {
  readonly version: string
  readonly devDependencies: Readonly<Record<string, string>>
}
const manifest = (path: string): Manifest => JSON.parse(readFileSync(`${path}/package.json`, "utf8")) as Manifest
const pinned = manifest(".").devDependencies

/** What the package for a version of Effect is made from, and what is tested with it. */
interface Version {
  readonly name: string
  /** The mark of blocks in the documentation that are for this version only. */
  readonly mark: string
  /** The folder that is packed. */
  readonly platform: string
  readonly majors: ReadonlyArray<Major>
  /** The Node that installs and runs what the documentation says. */
  readonly node: string
  readonly devDependencies: Readonly<Record<string, string>>
  /** The status with which `NodeRuntime.runMain` ends after a signal. */
  readonly interrupted: number
  /** Whether the declarations of its vitest satisfy TypeScript 7. */
  readonly testsWithTypeScript7: boolean
}

const versions: ReadonlyArray<Version> = [
  {
    name: "Effect 4",
    mark: "effect-4",
    platform: "packages/platform-effect4/published",
    majors: ["22", "24", "26"],
    node: installNode("24"),
    // vitest 5 refuses the types of Node 20.
    devDependencies: { ...pinned, ...manifest("packages/platform-effect4").devDependencies, "@types/node": "22" },
    interrupted: 130,
    testsWithTypeScript7: true
  },
  {
    name: "Effect 3",
    mark: "effect-3",
    platform: "packages/platform",
    majors: ["20", "22", "24", "26"],
    node: process.execPath,
    devDependencies: pinned,
    interrupted: 0,
    testsWithTypeScript7: false
  }
]
const [effect4, effect3] = versions as [Version, Version]

const packages = ["protocol", "platform"]
const typescripts = [pinned["typescript"]!, "6.0.3", "7.0.2"]
/** For what hangs: a busy machine does not take so long. */
const patience = 120_000

const folder = mkdtempSync(join(tmpdir(), "effect-websocket-"))
const children = new Set<ChildProcess>()

const run = (cwd: string, command: string, args: ReadonlyArray<string>): string => {
  const { error, output, status, stdout } = spawnSync(command, args, { cwd, encoding: "utf8" })
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}\n${error?.message ?? output.join("")}`)
  return stdout
}

const install = (name: string, dependencies: Record<string, string>): string => {
  const project = join(folder, name)
  mkdirSync(project)
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }))
  run(project, "npm", ["install", "--no-audit", "--no-fund"])
  return project
}

const tarball = (name: string, version: Version): string => {
  const source = name === "platform" ? version.platform : `packages/${name}`
  return join(folder, `effect-websocket-${name}-${manifest(source).version}.tgz`)
}

/** The commands of the `sh` blocks for a version that begin with some words. */
const commands = (file: string, beginning: string, version: Version): ReadonlyArray<string> => {
  const found = [...readFileSync(file, "utf8").matchAll(/^```sh(?: (\S+))?\n(.*?)^```/gms)]
    .filter(([, mark = version.mark]) => mark === version.mark)
    .flatMap(([, , block = ""]) => block.trim().split("\n"))
    .filter((line) => line.startsWith(beginning))
  if (found.length === 0) throw new Error(`${file} has no command that begins with "${beginning}"`)
  return found
}

/** Runs a command of the documentation as it is written, but for the folder of the tarballs. */
const follow = (file: string, cwd: string, command: string, version: Version): void => {
  const line = command
    .replaceAll(/(?<= )\/tmp(?=\/| |$)/g, folder)
    .replaceAll(/ @effect-websocket\/(\w+)(?:@effect3)?(?= |$)/g, (_, name: string) => ` ${tarball(name, version)}`)
  const env = { ...process.env, PATH: `${dirname(version.node)}${delimiter}${process.env["PATH"]}` }
  const { output, status } = spawnSync("sh", ["-c", line], { cwd, encoding: "utf8", env, timeout: 5 * patience })
  if (status !== 0) throw new Error(`${file} says \`${command}\`, which fails today:\n${output.join("")}`)
}

const gettingStarted = "docs/getting-started.md"

/** Does in an empty folder what a document says about installation, and returns the folder. */
const installAs = (file: string, version: Version): string => {
  const project = mkdtempSync(join(folder, "as-"))
  // Only one document says how to begin.
  for (const beginning of ["npm init", "npm pkg"]) {
    for (const command of commands(gettingStarted, beginning, version)) {
      follow(gettingStarted, project, command, version)
    }
  }
  for (const command of commands(file, "npm install", version)) follow(file, project, command, version)
  console.log(`${file}: its installation works on ${version.name}`)
  return project
}

/** The versions that are tested, as the documentation says. */
const checkVersions = (file: string): void => {
  const rows = [...readFileSync(file, "utf8").matchAll(/^\| `(\S+)` +\|[^|]*\| +([\d.]*) +\|[^|]*\| +([\d.]*) +\|$/gm)]
  if (rows.length === 0) throw new Error(`${file} has no versions`)
  for (const [, name = "", ...tested] of rows) {
    versions.forEach(({ devDependencies }, index) => {
      const said = tested[index]
      if (said !== "" && said !== devDependencies[name]) {
        throw new Error(`${file}: ${name} is tested with ${devDependencies[name]}, and not with ${said}`)
      }
    })
  }
}

/** The sources of a package, without their ending. */
const sourcesOf = (name: string): ReadonlyArray<string> =>
  filesIn(`packages/${name}/src`).map((file) => file.replace(/\.ts$/, ""))

const filesIn = (path: string): ReadonlyArray<string> =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(path, join(entry.parentPath, entry.name)))
    .sort()

/** The public modules of a package, as they are imported. */
const modulesOf = (name: string): ReadonlyArray<string> =>
  sourcesOf(name)
    .filter((source) => !/(^|\/)(internal|engine)\//.test(source))
    .map((source) => join(`@effect-websocket/${name}`, source.replace(/index$/, "")).replace(/\/$/, ""))

/** Loads every module, from what was built and not from the sources. */
const loadAll = (names: ReadonlyArray<string>): string =>
  names
    .flatMap(modulesOf)
    .map(
      (module, index) =>
        `export * as Module${index} from "${module}"\n` +
        `if (!import.meta.resolve("${module}").includes("/dist/")) throw new Error("${module} is not from dist")\n`
    )
    .join("")

/** Nothing is missing and nothing is too much. */
const checkContents = (project: string, name: string): void => {
  const built = sourcesOf(name).flatMap((source) => [
    `src/${source}.ts`,
    ...["js", "js.map", "d.ts", "d.ts.map"].map((ending) => `dist/${source}.${ending}`)
  ])
  const expected = ["LICENSE", "README.md", "package.json", ...built].sort()
  deepStrictEqual(filesIn(join(project, "node_modules/@effect-websocket", name)), expected)
}

/** Writes modules and type-checks them with each TypeScript, and with the fastest in both ways to resolve. `dist` has what runs. */
const compile = (project: string, sources: Record<string, string>, version: Version): void => {
  mkdirSync(join(project, "src"))
  for (const [file, code] of Object.entries(sources)) writeFileSync(join(project, "src", file), code)
  for (const [module, moduleResolution, used] of [
    ["nodenext", "nodenext", typescripts],
    ["esnext", "bundler", typescripts.slice(-1)]
  ] as const) {
    const options = { target: "es2022", module, moduleResolution, types: ["node"], rootDir: "src", outDir: "dist" }
    for (const typescript of used) {
      const config = {
        include: ["src"],
        exclude: typescript.startsWith("7.") && !version.testsWithTypeScript7 ? ["src/*.test.ts"] : [],
        compilerOptions: { ...options, strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false }
      }
      writeFileSync(join(project, "tsconfig.json"), JSON.stringify(config))
      run(project, process.execPath, [join("node_modules", `typescript-${typescript}`, "bin/tsc")])
    }
  }
}

const compilers = Object.fromEntries(
  typescripts.map((version) => [`typescript-${version}`, `npm:typescript@${version}`])
)

/** The first `ts` block below a heading. */
const snippet = (file: string, heading: string): string => {
  const text = readFileSync(file, "utf8")
  const code = /^```ts\n(.*?)^```/ms.exec(text.slice(text.indexOf(`${heading}\n`)))?.[1]
  if (code === undefined) throw new Error(`${file} has no code below "${heading}"`)
  return code
}

const start = (project: string, node: string, ...args: ReadonlyArray<string>) => {
  const child = spawn(node, args, { cwd: project, stdio: ["ignore", "pipe", "pipe"], timeout: patience })
  const program = { child, output: "", exit: once(child, "exit") as Promise<[number | null]> }
  const add = (chunk: Buffer) => {
    program.output += chunk.toString()
  }
  child.stdout.on("data", add)
  child.stderr.on("data", add)
  children.add(child)
  void program.exit.then(() => children.delete(child))
  return program
}

const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
  for (const deadline = Date.now() + patience; !(await holds()); await sleep(50)) {
    if (Date.now() > deadline) throw new Error(`${what} took too long`)
  }
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
    socket.once("connect", () => socket.destroy())
  })

/** The server echoes; when it is interrupted it closes the connection with 1001, which ends the client well. */
const runReadme = async (project: string, node: string, port: number, version: Version): Promise<void> => {
  const server = start(project, node, "dist/server.js")
  await until("the server", () => accepts(port))
  const client = start(project, node, "dist/client.js")
  await until("the echo", () => client.output.includes("hello\n"))
  server.child.kill("SIGINT")
  const [[clientCode], [serverCode]] = await Promise.all([client.exit, server.exit])
  if (clientCode !== 0 || serverCode !== version.interrupted) {
    throw new Error(`client: ${clientCode}\n${client.output}\nserver: ${serverCode}\n${server.output}`)
  }
  run(project, node, ["node_modules/vitest/vitest.mjs", "run", "--dir", "dist"])
}

/** The programs and the test of docs/getting-started.md, under the `tsx` and the `vitest` that it installs. */
const runGettingStarted = async (project: string, port: number, version: Version): Promise<void> => {
  const write = (heading: string): void => {
    const code = snippet(gettingStarted, heading).replaceAll("8080", String(port))
    const file = /^\/\/ (\S+\.ts)\n/.exec(code)?.[1]
    if (file === undefined) throw new Error(`${gettingStarted} does not name the file below "${heading}"`)
    writeFileSync(join(project, file), code)
  }
  for (const heading of ["## A server", "## A client", "## A test"]) write(heading)
  const [serve, call] = commands(gettingStarted, "npx tsx", version).map((command) => command.split(" ")[2]!)
  // Without `npx`, which would be the one that gets the signal.
  const tsx = ["--import", "tsx"]
  const server = start(project, version.node, ...tsx, serve!)
  await until("the server of getting started", () => accepts(port))
  const client = start(project, version.node, ...tsx, call!)
  const [clientCode] = await client.exit
  server.child.kill("SIGINT")
  const [serverCode] = await server.exit
  if (clientCode !== 0 || serverCode !== version.interrupted || client.output !== "HELLO\n") {
    throw new Error(`client: ${clientCode}\n${client.output}\nserver: ${serverCode}\n${server.output}`)
  }
  for (const command of commands(gettingStarted, "npx vitest", version)) {
    follow(gettingStarted, project, command, version)
  }
  console.log(`${gettingStarted}: the server, the client and the test run on ${version.name}`)
}

/** The programs and modules, with the versions that everything else is tested with, on each Node. */
const testApp = async (version: Version): Promise<void> => {
  const used = ["effect", "@effect/platform-node", "@effect/vitest", "vitest", "@types/node"]
  // For the declarations of @effect/platform-node 0.x, which are checked as well.
  if (version === effect3) used.push("@effect/platform", "@types/ws")
  const app = install(version.mark, {
    ...Object.fromEntries(packages.map((name) => [`@effect-websocket/${name}`, `file:${tarball(name, version)}`])),
    ...Object.fromEntries(used.map((name) => [name, version.devDependencies[name]!])),
    ...compilers
  })
  for (const name of packages) checkContents(app, name)
  const port = await freePort()
  const sources = {
    "client.ts": snippet("README.md", "## A client").replaceAll("8080", String(port)),
    "server.ts": snippet("README.md", "## A server").replaceAll("8080", String(port)),
    "echo.test.ts": snippet("README.md", "## A test"),
    "protocol.ts": snippet("packages/protocol/README.md", "# @effect-websocket/protocol"),
    "modules.ts": loadAll(packages)
  }
  compile(app, sources, version)
  for (const node of version.majors.map(installNode)) {
    run(app, node, ["dist/modules.js"])
    await runReadme(app, node, port, version)
    const output = run(app, node, ["dist/protocol.js"])
    if (!output.includes("data: 'hello'")) throw new Error(`The README of protocol printed ${output}`)
    const running = run(app, node, ["--version"]).trim()
    console.log(`${version.name}, Node ${running}: the client, the server, the test and every module run`)
  }
}

const main = async (): Promise<void> => {
  checkVersions("docs/effect-versions.md")
  for (const beginning of ["npx -y pnpm", "npm pack"]) {
    for (const command of commands(gettingStarted, beginning, effect3)) follow(gettingStarted, ".", command, effect3)
  }
  for (const version of versions) {
    await runGettingStarted(installAs(gettingStarted, version), await freePort(), version)
    for (const file of ["README.md", "docs/effect-versions.md"]) installAs(file, version)
  }
  installAs("packages/protocol/README.md", effect4)
  installAs("packages/platform-effect4/README.md", effect4)
  installAs("packages/platform/README.md", effect3)
  for (const version of versions) await testApp(version)
}

try {
  await main()
} finally {
  for (const child of children) child.kill("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
}
