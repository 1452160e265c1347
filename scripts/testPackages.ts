/**
 * Installs the packed packages as a new user would, in projects outside the repository, and there type-checks and runs the
 * README's client, server and test, and every module, on each Node that is supported.
 */
import { deepStrictEqual } from "node:assert"
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

interface Manifest {
  readonly version: string
  readonly devDependencies: Readonly<Record<string, string>>
}
const manifest = (path: string): Manifest => JSON.parse(readFileSync(`${path}/package.json`, "utf8")) as Manifest
const pinned = manifest(".").devDependencies

const packages = ["protocol", "platform"]
/** The oldest that is supported, and newer majors. */
const nodes = ["20.19.0", "22.23.3", "24.21.0"]
const typescripts = [pinned["typescript"]!, "7.0.2"]
const patience = 20_000

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

/** Node itself. The package `node` would fetch these in an install script, which npm need not run. */
const installNodes = (): ReadonlyArray<string> => {
  const prefix = process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node"
  const project = install(
    "nodes",
    Object.fromEntries(
      nodes.map((version) => [`node-${version}`, `npm:${prefix}-${process.platform}-${process.arch}@${version}`])
    )
  )
  return nodes.map((version) => join(project, "node_modules", `node-${version}`, "bin/node"))
}

const pack = (name: string): string => {
  const { version } = manifest(`packages/${name}`)
  run(`packages/${name}`, "pnpm", ["pack", "--pack-destination", folder])
  return `file:${join(folder, `effect-websocket-${name}-${version}.tgz`)}`
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
    .filter((source) => !source.includes("internal/"))
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

const start = (project: string, node: string, file: string) => {
  const child = spawn(node, [file], { cwd: project, stdio: ["ignore", "pipe", "pipe"], timeout: patience })
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

const main = async (): Promise<void> => {
  const [protocol, platform] = packages.map(pack) as [string, string]
  const binaries = installNodes()

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
    "client.ts": snippet("README.md", "## A client").replaceAll("localhost:8080", `127.0.0.1:${port}`),
    "server.ts": snippet("README.md", "## A server").replaceAll("port: 8080", `port: ${port}, host: "127.0.0.1"`),
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
