/**
 * Packs the packages and installs them with the very lines of the documentation, in folders outside the repository and from the
 * registry as it is. There it runs the code of docs/getting-started.md, and type-checks and runs the README's server, client
 * and test, and every module, on each Node that is supported.
 */
import { deepStrictEqual } from "node:assert"
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { installNode, type Major, nodes } from "./nodes.js"

interface Manifest {
  readonly version: string
  readonly devDependencies: Readonly<Record<string, string>>
}
const manifest = (path: string): Manifest => JSON.parse(readFileSync(`${path}/package.json`, "utf8")) as Manifest
const pinned = manifest(".").devDependencies

const packages = ["protocol", "platform"]
const typescripts = [pinned["typescript"]!, "7.0.2"]
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

const tarball = (name: string): string =>
  join(folder, `effect-websocket-${name}-${manifest(`packages/${name}`).version}.tgz`)

/** The commands of the `sh` blocks of a text that begin with some words. */
const commands = (file: string, beginning: string): ReadonlyArray<string> => {
  const found = [...readFileSync(file, "utf8").matchAll(/^```sh\n(.*?)^```/gms)]
    .flatMap(([, block = ""]) => block.trim().split("\n"))
    .filter((line) => line.startsWith(beginning))
  if (found.length === 0) throw new Error(`${file} has no command that begins with "${beginning}"`)
  return found
}

/** Runs a command of the documentation as it is written, but for the folder of the tarballs. */
const follow = (file: string, cwd: string, command: string): void => {
  const line = packages.reduce(
    (text, name) => text.replace(new RegExp(` @effect-websocket/${name}(?= |$)`), ` ${tarball(name)}`),
    command.replaceAll(/(?<= )\/tmp(?=\/| |$)/g, folder)
  )
  const { output, status } = spawnSync("sh", ["-c", line], { cwd, encoding: "utf8", timeout: 5 * patience })
  if (status !== 0) throw new Error(`${file} says \`${command}\`, which fails today:\n${output.join("")}`)
}

const gettingStarted = "docs/getting-started.md"

/** Does in an empty folder what a document says about installation, and returns the folder. */
const installAs = (file: string, name: string): string => {
  const project = join(folder, name)
  mkdirSync(project)
  // Only one document says how to begin.
  for (const command of commands(gettingStarted, "npm init").concat(commands(gettingStarted, "npm pkg"))) {
    follow(gettingStarted, project, command)
  }
  for (const command of commands(file, "npm install")) follow(file, project, command)
  console.log(`${file}: its installation works`)
  return project
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

/** Writes modules and type-checks them with each TypeScript and both ways to resolve. `dist` has what runs. */
const compile = (project: string, sources: Record<string, string>): void => {
  mkdirSync(join(project, "src"))
  for (const [file, code] of Object.entries(sources)) writeFileSync(join(project, "src", file), code)
  for (const [module, moduleResolution] of [
    ["nodenext", "nodenext"],
    ["esnext", "bundler"]
  ] as const) {
    const options = { target: "es2022", module, moduleResolution, types: ["node"], rootDir: "src", outDir: "dist" }
    for (const typescript of typescripts) {
      const config = {
        include: ["src"],
        // The declarations of vitest 3 do not satisfy TypeScript 7.
        exclude: typescript.startsWith("7.") ? ["src/*.test.ts"] : [],
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
const runReadme = async (project: string, node: string, port: number): Promise<void> => {
  const server = start(project, node, "dist/server.js")
  await until("the server", () => accepts(port))
  const client = start(project, node, "dist/client.js")
  await until("the echo", () => client.output.includes("hello\n"))
  server.child.kill("SIGINT")
  const [[clientCode], [serverCode]] = await Promise.all([client.exit, server.exit])
  if (clientCode !== 0 || serverCode !== 0) {
    throw new Error(`client: ${clientCode}\n${client.output}\nserver: ${serverCode}\n${server.output}`)
  }
  run(project, node, ["node_modules/vitest/vitest.mjs", "run", "--dir", "dist"])
}

/** The programs and the test of docs/getting-started.md, under the `tsx` and the `vitest` that it installs. */
const runGettingStarted = async (project: string, port: number): Promise<void> => {
  const write = (heading: string): void => {
    const code = snippet(gettingStarted, heading).replaceAll("8080", String(port))
    const file = /^\/\/ (\S+\.ts)\n/.exec(code)?.[1]
    if (file === undefined) throw new Error(`${gettingStarted} does not name the file below "${heading}"`)
    writeFileSync(join(project, file), code)
  }
  for (const heading of ["## A server", "## A client", "## A test"]) write(heading)
  const [serve, call] = commands(gettingStarted, "npx tsx").map((command) => command.split(" ")[2]!)
  // Without `npx`, which would be the one that gets the signal.
  const tsx = ["--import", "tsx"]
  const server = start(project, process.execPath, ...tsx, serve!)
  await until("the server of getting started", () => accepts(port))
  const client = start(project, process.execPath, ...tsx, call!)
  const [clientCode] = await client.exit
  server.child.kill("SIGINT")
  const [serverCode] = await server.exit
  if (clientCode !== 0 || serverCode !== 0 || client.output !== "HELLO\n") {
    throw new Error(`client: ${clientCode}\n${client.output}\nserver: ${serverCode}\n${server.output}`)
  }
  for (const command of commands(gettingStarted, "npx vitest")) follow(gettingStarted, project, command)
  console.log(`${gettingStarted}: the server, the client and the test run`)
}

const main = async (): Promise<void> => {
  for (const command of commands(gettingStarted, "npx -y pnpm")) follow(gettingStarted, ".", command)
  const newcomer = installAs(gettingStarted, "getting-started")
  await runGettingStarted(newcomer, await freePort())
  installAs("README.md", "readme")
  for (const name of packages) installAs(`packages/${name}/README.md`, name)

  const [protocol, platform] = packages.map((name) => `file:${tarball(name)}`) as [string, string]
  const binaries = (Object.keys(nodes) as Array<Major>).map(installNode)

  const pick = (...names: ReadonlyArray<string>) => Object.fromEntries(names.map((name) => [name, pinned[name]!]))
  const app = install("app", {
    "@effect-websocket/platform": platform,
    "@effect-websocket/protocol": protocol,
    ...pick("effect", "@effect/platform", "@effect/platform-node", "@effect/vitest", "vitest", "@types/node"),
    // For the declarations of @effect/platform-node, which are checked as well.
    ...pick("@types/ws"),
    ...compilers
  })
  for (const name of packages) checkContents(app, name)
  const port = await freePort()
  compile(app, {
    "client.ts": snippet("README.md", "## A client").replaceAll("8080", String(port)),
    "server.ts": snippet("README.md", "## A server").replaceAll("8080", String(port)),
    "echo.test.ts": snippet("README.md", "## A test"),
    "modules.ts": loadAll(packages)
  })

  const onEffect4 = install("effect4", {
    "@effect-websocket/protocol": protocol,
    effect: manifest("packages/protocol").devDependencies["effect4"]!,
    ...pick("@types/node"),
    ...compilers
  })
  compile(onEffect4, {
    "readme.ts": snippet("packages/protocol/README.md", "# @effect-websocket/protocol"),
    "modules.ts": loadAll(["protocol"])
  })

  for (const node of binaries) {
    run(app, node, ["dist/modules.js"])
    await runReadme(app, node, port)
    run(onEffect4, node, ["dist/modules.js"])
    const output = run(onEffect4, node, ["dist/readme.js"])
    if (!output.includes("data: 'hello'")) throw new Error(`The README of protocol printed ${output}`)
    console.log(`Node ${run(app, node, ["--version"]).trim()}: the client, the server, the test and every module run`)
  }
}

try {
  await main()
} finally {
  for (const child of children) child.kill("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
}
