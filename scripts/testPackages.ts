/**
 * Packs the packages and installs them with the very lines of the documentation, in folders outside the repository and from the
 * registry as it is, for Effect 4 and for Effect 3, and prints a table of what it did:
 *
 * - It runs the server, the client and the test of docs/getting-started.md as the page says.
 * - It type-checks these programs, those of the README and every module with each TypeScript, and runs them on each Node.
 * - It bundles a client for a browser.
 * - It installs each package with the other Effect, and checks what npm and Node say.
 * - It installs the command in an empty folder, alone, and runs it.
 *
 * With `--all`, it follows every document that has commands to install, even if another one has the same, and every TypeScript
 * resolves modules in both ways.
 */
import { deepStrictEqual } from "node:assert"
import { execFile, spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, dirname, join, relative } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { installNode, nodeForEffect4, type Major } from "./nodes.js"

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
  readonly readme: string
  readonly majors: ReadonlyArray<Major>
  /** The Node that installs and runs what the documentation says. */
  readonly node: string
  readonly devDependencies: Readonly<Record<string, string>>
  /** The status with which `NodeRuntime.runMain` ends after a signal. */
  readonly interrupted: number
  /** Whether the declarations of its vitest satisfy TypeScript 7. */
  readonly testsWithTypeScript7: boolean
  /** What Node says on the first import if the other Effect is installed. `…` is the folder of the installed packages. */
  readonly withOtherEffect: string
}

const versions: ReadonlyArray<Version> = [
  {
    name: "Effect 4",
    mark: "effect-4",
    platform: "packages/platform-effect4/published",
    readme: "packages/platform-effect4/README.md",
    majors: ["22", "24", "26"],
    node: nodeForEffect4(),
    // vitest 5 refuses the types of Node 20.
    devDependencies: {
      ...pinned,
      ...manifest("packages/platform-effect4").devDependencies,
      "@types/node": "22"
    },
    interrupted: 130,
    testsWithTypeScript7: true,
    withOtherEffect:
      `Error [ERR_PACKAGE_PATH_NOT_EXPORTED]: Package subpath './Pull' is not defined by "exports" in …/effect/package.json ` +
      "imported from …/@effect-websocket/platform/dist/internal/install-effect@4-or-platform@3/effect.js"
  },
  {
    name: "Effect 3",
    mark: "effect-3",
    platform: "packages/platform",
    readme: "packages/platform/README.md",
    majors: ["20", "22", "24", "26"],
    node: process.execPath,
    devDependencies: {
      ...pinned,
      ...manifest("packages/topics-redis").devDependencies,
      ...manifest("packages/topics-nats").devDependencies,
      ...manifest("packages/platform").devDependencies
    },
    interrupted: 0,
    testsWithTypeScript7: false,
    withOtherEffect:
      "Error [ERR_MODULE_NOT_FOUND]: Cannot find module '…/effect/dist/ConfigError.js' " +
      "imported from …/@effect-websocket/platform/dist/internal/install-effect@3-or-platform@4/effect.js"
  }
]
const [effect4, effect3] = versions as [Version, Version]

const all = process.argv.includes("--all")
const packages = ["protocol", "platform"]
/** Packages whose one build is for both versions. The documentation packs them, and does not install them. */
const forBoth = ["topics-redis", "topics-nats"]
const typescripts = [pinned["typescript"]!, "6.0.3", "7.0.2"]
/** For what hangs: a busy machine does not take so long. */
const patience = 120_000

const folder = mkdtempSync(join(tmpdir(), "effect-websocket-"))
const children = new Set<ChildProcess>()

interface Row {
  readonly effect: string
  readonly what: string
  readonly seconds: number
}
const done: Array<Row> = []

/** Does something, and adds a row to the table. */
const step = async <A>(version: Version, what: string, action: () => Promise<A>): Promise<A> => {
  const began = Date.now()
  const result = await action()
  const seconds = Math.round((Date.now() - began) / 100) / 10
  done.push({ effect: version.name, what, seconds })
  console.log(`${version.name}: ${what} (${seconds} s)`)
  return result
}

interface Ended {
  /** `null` if the program succeeded. */
  readonly error: Error | null
  readonly stdout: string
  readonly output: string
}

const exec = (cwd: string, command: string, args: ReadonlyArray<string>, env = process.env): Promise<Ended> =>
  new Promise((resolve) => {
    const child = execFile(command, args, { cwd, env, timeout: 5 * patience }, (error, stdout, stderr) => {
      children.delete(child)
      resolve({ error, stdout, output: stdout + stderr })
    })
    children.add(child)
  })

const run = async (cwd: string, command: string, args: ReadonlyArray<string>): Promise<string> => {
  const { error, output, stdout } = await exec(cwd, command, args)
  if (error !== null) throw new Error(`${command} ${args.join(" ")}\n${error.message}\n${output}`)
  return stdout
}

const project = (dependencies: Readonly<Record<string, string>>): string => {
  const path = mkdtempSync(join(folder, "app-"))
  writeFileSync(join(path, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }))
  return path
}

const npmInstall = ["install", "--no-audit", "--no-fund"]

const folderOf = (name: string, version: Version): string =>
  name === "platform" ? version.platform : `packages/${name}`

const tarball = (name: string, version: Version): string =>
  join(folder, `effect-websocket-${name}-${manifest(folderOf(name, version)).version}.tgz`)

/** Our packages, as dependencies. */
const ours = (version: Version): Readonly<Record<string, string>> =>
  Object.fromEntries(packages.map((name) => [`@effect-websocket/${name}`, `file:${tarball(name, version)}`]))

/** The commands of the `sh` blocks for a version that begin with some words. */
const commands = (file: string, beginning: string, version: Version): ReadonlyArray<string> => {
  const found = [...readFileSync(file, "utf8").matchAll(/^```sh(?: (\S+))?\n(.*?)^```/gms)]
    .filter(([, mark = version.mark]) => mark === version.mark)
    .flatMap(([, , block = ""]) => block.trim().split("\n"))
    .filter((line) => line.startsWith(beginning))
  if (found.length === 0) throw new Error(`${file} has no command that begins with "${beginning}"`)
  return found
}

/** A command of the documentation with our tarballs in place of our names, of any version, and with their folder. */
const resolved = (command: string, version: Version): string =>
  command.replaceAll(
    / (?:\/tmp\/effect-websocket-(\w+)-\S+\.tgz|@effect-websocket\/(\w+)(?:@effect3)?|\/tmp)(?=\/| |$)/g,
    (_, file?: string, name = file) => ` ${name === undefined ? folder : tarball(name, version)}`
  )

/** Runs a command of the documentation as it is written, apart from the tarballs. */
const follow = async (file: string, cwd: string, command: string, version: Version): Promise<void> => {
  const line = resolved(command, version)
  const env = { ...process.env, PATH: `${dirname(version.node)}${delimiter}${process.env["PATH"]}` }
  const { error, output } = await exec(cwd, "sh", ["-c", line], env)
  if (error !== null) throw new Error(`${file} says \`${command}\`, which fails today:\n${output}`)
}

const gettingStarted = "docs/getting-started.md"

/** Does in an empty folder what a document says about installation, and returns the folder. */
const installAs = (file: string, version: Version): Promise<string> =>
  step(version, `the installation of ${file}`, async () => {
    const path = mkdtempSync(join(folder, "as-"))
    // Only one document says how to begin.
    for (const beginning of ["npm init", "npm pkg"]) {
      for (const command of commands(gettingStarted, beginning, version)) {
        await follow(gettingStarted, path, command, version)
      }
    }
    for (const command of commands(file, "npm install", version)) await follow(file, path, command, version)
    return path
  })

/** Follows documents. One that installs our packages as another one does is followed only with `--all`. */
const installAsEach = async (files: ReadonlyArray<string>, version: Version): Promise<void> => {
  const oursOf = (file: string): ReadonlyArray<string> =>
    commands(file, "npm install", version)
      .map((command) => resolved(command, version).split(" ").sort().join(" "))
      .filter((command) => command.includes(folder))
  const followed = new Set(oursOf(gettingStarted))
  for (const file of files) {
    const lines = oursOf(file)
    if (all || !lines.every((line) => followed.has(line))) await installAs(file, version)
    for (const line of lines) followed.add(line)
  }
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

const filesIn = (path: string): ReadonlyArray<string> =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(path, join(entry.parentPath, entry.name)))
    .sort()

/** The sources of a package, without their ending. */
const sourcesOf = (name: string, version: Version): ReadonlyArray<string> =>
  filesIn(join(folderOf(name, version), "src")).map((file) => file.replace(/\.ts$/, ""))

/** Loads every public module of a package, from what was built and not from the sources. */
const loadAll = (name: string, version: Version): string =>
  sourcesOf(name, version)
    .filter((source) => !/(^|\/)(internal|engine|native)\//.test(source))
    .map((source) => join(`@effect-websocket/${name}`, source.replace(/index$/, "")).replace(/\/$/, ""))
    .map(
      (module, index) =>
        `export * as Module${index} from "${module}"\n` +
        `if (!import.meta.resolve("${module}").includes("/dist/")) throw new Error("${module} is not from dist")\n`
    )
    .join("")

/** Nothing is missing and nothing is too much. */
const checkContents = (app: string, name: string, version: Version): void => {
  const built = sourcesOf(name, version).flatMap((source) => [
    `src/${source}.ts`,
    ...["js", "js.map", "d.ts", "d.ts.map"].map((ending) => `dist/${source}.${ending}`)
  ])
  const expected = ["LICENSE", "README.md", "package.json", ...built].sort()
  deepStrictEqual(filesIn(join(app, "node_modules/@effect-websocket", name)), expected)
}

const nodenext = { module: "nodenext", moduleResolution: "nodenext" }
const bundler = { module: "esnext", moduleResolution: "bundler" }

/** Writes modules and type-checks them and every declaration. `dist` has what runs. */
const compile = async (
  app: string,
  sources: Readonly<Record<string, string>>,
  version: Version,
  exact = true
): Promise<void> => {
  mkdirSync(join(app, "src"))
  for (const [file, code] of Object.entries(sources)) writeFileSync(join(app, "src", file), code)
  for (const typescript of typescripts) {
    for (const resolution of all || typescript === typescripts.at(-1) ? [bundler, nodenext] : [nodenext]) {
      const options = { ...resolution, target: "es2022", types: ["node"], rootDir: "src", outDir: "dist" }
      const config = {
        include: ["src"],
        exclude: typescript.startsWith("7.") && !version.testsWithTypeScript7 ? ["src/*.test.ts"] : [],
        compilerOptions: { ...options, strict: true, exactOptionalPropertyTypes: exact, skipLibCheck: false }
      }
      writeFileSync(join(app, "tsconfig.json"), JSON.stringify(config))
      await step(version, `types with TypeScript ${typescript}, ${resolution.moduleResolution}`, () =>
        run(app, version.node, [join("node_modules", `typescript-${typescript}`, "bin/tsc")])
      )
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

const start = (app: string, node: string, ...args: ReadonlyArray<string>) => {
  const child = spawn(node, args, { cwd: app, stdio: ["ignore", "pipe", "pipe"], timeout: patience })
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

interface Pair {
  readonly port: number
  readonly server: ReadonlyArray<string>
  readonly client: ReadonlyArray<string>
  readonly prints: string
  /** Whether the client ends by itself. If not, it reads until the server closes the connection. */
  readonly ends: boolean
}

/** Runs a client that prints the answer of a server, and then interrupts the server, which closes the connection with 1001. */
const runPair = async (app: string, node: string, pair: Pair, version: Version): Promise<void> => {
  const server = start(app, node, ...pair.server)
  await until(pair.server.join(" "), () => accepts(pair.port))
  const client = start(app, node, ...pair.client)
  if (pair.ends) await client.exit
  else await until(pair.client.join(" "), () => client.output.includes(pair.prints) || client.child.exitCode !== null)
  server.child.kill("SIGINT")
  const [[clientCode], [serverCode]] = await Promise.all([client.exit, server.exit])
  if (clientCode !== 0 || serverCode !== version.interrupted || client.output !== pair.prints) {
    throw new Error(`client: ${clientCode}\n${client.output}\nserver: ${serverCode}\n${server.output}`)
  }
}

/** The programs of docs/getting-started.md by the names that it gives them. */
const gettingStartedPrograms = (port: number): Readonly<Record<string, string>> =>
  Object.fromEntries(
    ["## A server", "## A client", "## A test"].map((heading) => {
      const code = snippet(gettingStarted, heading).replaceAll("8080", String(port))
      const file = /^\/\/ (\S+\.ts)\n/.exec(code)?.[1]
      if (file === undefined) throw new Error(`${gettingStarted} does not name the file below "${heading}"`)
      return [file, code]
    })
  )

/** The programs and the test of docs/getting-started.md, under the `tsx` and the `vitest` that it installs. */
const followGettingStarted = async (version: Version): Promise<void> => {
  const app = await installAs(gettingStarted, version)
  const port = await freePort()
  for (const [file, code] of Object.entries(gettingStartedPrograms(port))) writeFileSync(join(app, file), code)
  // Without `npx`, which would be the one that gets the signal.
  const [server = [], client = []] = commands(gettingStarted, "npx tsx", version).map((command) => [
    "--import",
    "tsx",
    command.split(" ")[2]!
  ])
  await step(version, `the programs of ${gettingStarted} with tsx`, () =>
    runPair(app, version.node, { port, server, client, prints: "HELLO\n", ends: true }, version)
  )
  await step(version, `the test of ${gettingStarted}`, async () => {
    for (const command of commands(gettingStarted, "npx vitest", version)) {
      await follow(gettingStarted, app, command, version)
    }
  })
}

/** A client without Node, in memory. */
const browserClient = `
import { WebSocketClient, WebSocketServer, WebSocketTest } from "@effect-websocket/platform"
import { Effect } from "effect"

Effect.gen(function* () {
  yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run((message) => socket.send(message))))
  const socket = yield* WebSocketClient.connect("ws://test")
  yield* socket.send("hello")
  console.log((yield* socket.receive).data)
}).pipe(Effect.scoped, Effect.provide(WebSocketTest.layer), Effect.runPromise)
`

/** For a browser, esbuild refuses every module of Node. */
const bundleForBrowser = (app: string, version: Version): Promise<void> =>
  step(version, "a client that is bundled for a browser", async () => {
    writeFileSync(join(app, "browser.mjs"), browserClient)
    const options = ["--bundle", "--format=esm", "--platform=browser", "--outfile=bundle.mjs"]
    await run(app, "node_modules/.bin/esbuild", ["browser.mjs", ...options])
    const printed = await run(app, version.node, ["bundle.mjs"])
    if (printed !== "hello\n") throw new Error(`The bundle printed ${printed}`)
  })

/** The programs and modules, with the versions that everything else is tested with. */
const testApp = async (version: Version): Promise<void> => {
  const tools = ["@effect/vitest", "vitest", "@types/node", "esbuild"]
  const used = [
    "effect",
    "@effect/platform-node",
    "@redis/client",
    "@nats-io/jetstream",
    "@nats-io/transport-node",
    ...tools
  ]
  const tested = [...packages, ...forBoth]
  // For the declarations of @effect/platform-node 0.x, which are checked as well.
  if (version === effect3) used.push("@effect/platform", "@effect/rpc", "@effect/cluster", "@types/ws")
  const app = project({
    ...ours(version),
    ...Object.fromEntries(forBoth.map((name) => [`@effect-websocket/${name}`, `file:${tarball(name, version)}`])),
    ...Object.fromEntries(used.map((name) => [name, version.devDependencies[name]!])),
    ...compilers
  })
  await step(version, "the installation of the tested versions", () => run(app, "npm", npmInstall))
  for (const name of tested) checkContents(app, name, version)

  const port = await freePort()
  const readme = (heading: string): string => snippet("README.md", heading).replaceAll("8080", String(port))
  const programs = {
    ...gettingStartedPrograms(port),
    "readme-server.ts": readme("## A server"),
    "readme-client.ts": readme("## A client"),
    "readme.test.ts": readme("## A test"),
    "protocol.ts": snippet("packages/protocol/README.md", "# @effect-websocket/protocol"),
    ...Object.fromEntries(tested.map((name) => [`${name}-modules.ts`, loadAll(name, version)]))
  }
  // The types of NATS do not compile with `exactOptionalPropertyTypes`.
  await compile(app, programs, version, /* exact */ false)
  for (const major of version.majors) {
    const node = installNode(major)
    const running = (await run(app, node, ["--version"])).trim()
    await step(version, `the programs, the tests and every module on Node ${running}`, async () => {
      for (const name of tested) await run(app, node, [`dist/${name}-modules.js`])
      const shout = { server: ["dist/server.js"], client: ["dist/client.js"], prints: "HELLO\n", ends: true }
      await runPair(app, node, { port, ...shout }, version)
      const echo = {
        server: ["dist/readme-server.js"],
        client: ["dist/readme-client.js"],
        prints: "hello\n",
        ends: false
      }
      await runPair(app, node, { port, ...echo }, version)
      await run(app, node, ["node_modules/vitest/vitest.mjs", "run", "--dir", "dist"])
      const output = await run(app, node, ["dist/protocol.js"])
      if (!output.includes("data: 'hello'")) throw new Error(`The README of protocol printed ${output}`)
    })
  }
  await bundleForBrowser(app, version)
}

/** The command is all that is installed, and runs with the commands of its users. */
const testCommand = async (version: Version): Promise<void> => {
  await run("packages/cli", "npx", ["-y", "pnpm@10.34.9", "pack", "--pack-destination", folder])
  const app = project({ "@effect-websocket/cli": `file:${tarball("cli", version)}` })
  await step(version, "the installation of the command", () => run(app, "npm", npmInstall))
  const installed = filesIn(join(app, "node_modules")).filter((file) => !file.startsWith("."))
  const files = ["LICENSE", "README.md", "dist/THIRD-PARTY-NOTICES.txt", "dist/main.js", "package.json"]
  deepStrictEqual(
    installed,
    files.map((file) => `@effect-websocket/cli/${file}`)
  )
  for (const major of version.majors) {
    await step(version, `the command on Node ${major}`, async () => {
      const env = { ...process.env, PATH: `${dirname(installNode(major))}${delimiter}${process.env["PATH"]}` }
      const help = await exec(app, "npx", ["effect-websocket", "--help"], env)
      if (help.error !== null || !help.stdout.includes("listen")) throw new Error(help.output)
      const listening = start(app, installNode(major), "node_modules/.bin/effect-websocket", "listen", "0", "--echo")
      await until("listening", () => listening.output.includes("listening on ws:"))
      const url = /ws:\S+/.exec(listening.output)?.[0] ?? ""
      // What npm warns of is on stderr.
      const { output, stdout } = await exec(app, "npx", ["effect-websocket", "send", url, "hello"], env)
      listening.child.kill("SIGINT")
      const [code] = await listening.exit
      if (stdout !== "hello\n" || code !== 130) throw new Error(`${output}\n${code}: ${listening.output}`)
    })
  }
}

/** What npm and Node say if the installed Effect is the other one. */
const testOtherEffect = async (version: Version): Promise<void> => {
  const other = version === effect4 ? effect3 : effect4
  const app = project({ ...ours(version), effect: other.devDependencies["effect"]! })
  await step(version, `npm refuses ${other.name}`, async () => {
    const { error, output } = await exec(app, "npm", npmInstall)
    const peer = `from @effect-websocket/platform@${manifest(version.platform).version}`
    if (error === null || !output.includes("ERESOLVE") || !output.includes(peer)) {
      throw new Error(`npm does not say "${peer}":\n${output}`)
    }
  })
  await run(app, "npm", [...npmInstall, "--legacy-peer-deps"])
  for (const major of version.majors) {
    await step(version, `Node ${major} says what to install instead of ${other.name}`, async () => {
      for (const module of ["/WebSocketClient", "", "/node", "/WebSocketUpgrade"]) {
        writeFileSync(join(app, "index.js"), `import "@effect-websocket/platform${module}"`)
        const { output } = await exec(app, installNode(major), ["index.js"])
        const said = /^Error .*$/m.exec(output)?.[0].replaceAll(join(realpathSync(app), "node_modules"), "…")
        // With `WebSocketUpgrade`, Node may first load another file of the same folder.
        const folder = dirname(version.withOtherEffect.slice(version.withOtherEffect.lastIndexOf("…")))
        const readable =
          module === "/WebSocketClient" ? said === version.withOtherEffect : said?.includes(` imported from ${folder}/`)
        if (readable !== true) throw new Error(`Node ${major} says ${output}`)
      }
    })
  }
}

const main = async (): Promise<void> => {
  checkVersions("docs/effect-versions.md")
  for (const beginning of ["npx -y pnpm", "npm pack"]) {
    for (const command of commands(gettingStarted, beginning, effect3))
      await follow(gettingStarted, ".", command, effect3)
  }
  await testCommand(effect4)
  await Promise.all(
    versions.map(async (version) => {
      await followGettingStarted(version)
      const onlyOnce = version === effect4 ? ["packages/protocol/README.md"] : []
      await installAsEach(["README.md", "docs/effect-versions.md", version.readme, ...onlyOnce], version)
      await testApp(version)
      await testOtherEffect(version)
    })
  )
  console.table(versions.flatMap(({ name }) => done.filter(({ effect }) => effect === name)))
}

try {
  await main()
} finally {
  for (const child of children) child.kill("SIGKILL")
  rmSync(folder, { recursive: true, force: true })
}
