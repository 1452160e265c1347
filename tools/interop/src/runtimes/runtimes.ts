/** The runtimes, and how each one runs the behaviours. */
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { build, type BuildOptions } from "esbuild"
import { Effect, Schedule, type Scope } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { launch } from "../browser.js"
import { start } from "../Process.js"
import { debianPackages, find, findBinary, firstLine, folderOf } from "../programs.js"
import { freePort } from "../proxies.js"
import type { Targets } from "./behaviours.js"
import { observeFacts } from "./facts.js"
import type { Shown } from "./observe.js"

/** A runtime that is here. */
export interface Runtime {
  readonly name: string
  readonly version: string
  readonly run: (targets: Targets) => Effect.Effect<Shown, Error, Scope.Scope>
}

/** A runtime that is not. */
export interface Missing {
  readonly name: string
  readonly missing: string
}

export const versionIn = (line: string | undefined): string => /\d+[.-][.\d-]*\d/.exec(line ?? "")?.[0] ?? "?"

export const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, Error> =>
  Effect.tryPromise({ try: run, catch: (error) => (error instanceof Error ? error : new Error(String(error))) })

/** A program as one file, `program.mjs` of a folder of its own. */
export const bundle = (source: Pick<BuildOptions, "entryPoints" | "platform" | "stdin">) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "runtimes-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const file = join(folder, "program.mjs")
    // An interruption waits for it, because a build that goes on would make the folder again.
    yield* Effect.uninterruptible(
      attempt(() =>
        build({
          ...source,
          outfile: file,
          bundle: true,
          format: "esm",
          target: "es2022",
          conditions: ["@effect-websocket/source"]
        })
      )
    )
    return { folder, file }
  })

/** A program for a runtime. */
export const bundled = (entry: string, platform: "browser" | "node" = "browser") =>
  bundle({ entryPoints: [folderOf(`src/runtimes/entries/${entry}.ts`)], platform })

const parse = (text: string | undefined, printed: string): Effect.Effect<Shown, Error> =>
  text === undefined ? Effect.fail(new Error(`It ended: ${printed.slice(-400)}`)) : Effect.sync(() => JSON.parse(text))

/** A runtime that runs a file, with the targets as its argument. */
const command =
  (entry: string, program: string, ...args: ReadonlyArray<string>): Runtime["run"] =>
  (targets) =>
    Effect.gen(function* () {
      const { file } = yield* bundled(entry)
      const process = yield* start(program, [...args, file, JSON.stringify(targets)])
      return yield* parse(yield* process.nextLine, process.printed())
    })

const runChromium =
  (executablePath: string): Runtime["run"] =>
  (targets) =>
    Effect.gen(function* () {
      const { file } = yield* bundled("browser")
      const browser = yield* launch(executablePath)
      return yield* attempt(async () => {
        const page = await browser.newPage()
        // From the host of the servers, so that the browser sends their cookies.
        await page.goto(targets.raw.replace(/^ws/, "http"))
        await page.addScriptTag({ path: file, type: "module" })
        await page.waitForFunction("globalThis.runAll !== undefined")
        return page.evaluate<Shown>(`runAll(${JSON.stringify(targets)})`)
      })
    })

/** The program is a Worker, which answers a request with what it shows. It may reach the loopback. */
const runWorkerd =
  (program: string): Runtime["run"] =>
  (targets) =>
    Effect.gen(function* () {
      const { folder } = yield* bundled("workers")
      const port = yield* freePort
      writeFileSync(
        join(folder, "config.capnp"),
        `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "program", esModule = embed "program.mjs")],
      compatibilityDate = "2026-01-01"
    )),
    (name = "internet", network = (allow = ["private", "public", "local"]))
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);
`
      )
      const process = yield* start(program, ["serve", join(folder, "config.capnp")])
      const answered = attempt(async () => {
        const response = await fetch(`http://127.0.0.1:${port}/`, { method: "POST", body: JSON.stringify(targets) })
        const text = await response.text()
        if (!response.ok) throw new Error(text)
        return text
      }).pipe(
        // Until it listens.
        Effect.retry(Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(100)))
      )
      return yield* parse(
        yield* Effect.mapError(answered, (error) => new Error(`${error.message} ${process.printed()}`)),
        ""
      )
    })

const programs = (): ReadonlyArray<Runtime | Missing> => {
  const chromiumProgram = find(debianPackages.chromium)
  const [bun, deno, workerd] = [findBinary("bun"), findBinary("deno"), findBinary("workerd")]
  const found = (
    name: string,
    program: string | undefined,
    missing: string,
    run: (program: string) => Runtime["run"]
  ): Runtime | Missing =>
    program === undefined
      ? { name, missing }
      : { name, version: versionIn(firstLine(program, ["--version"])), run: run(program) }
  return [
    found("Chromium", chromiumProgram, "Debian's chromium", runChromium),
    found("Bun", bun, "the npm package @oven/bun-*", (program) => command("bun", program, "run")),
    found("Deno", deno, "the npm package @deno/*", (program) =>
      command("deno", program, "run", "--allow-net", "--no-config")
    ),
    found("Workers (workerd)", workerd, "the npm package @cloudflare/workerd-*", runWorkerd)
  ]
}

const version = process.versions.node

/** Our client on Node, to compare the others with. Its behaviours have tests. */
const node: Runtime = {
  name: "Node",
  version,
  run: (targets) => Effect.map(observeFacts(NodeWebSocketClient.layer, targets), (facts) => ({ facts }))
}

/** Node 22 has the WebSocket of browsers. */
const nodesOwn = (): Runtime | Missing => {
  const name = "Node's own WebSocket"
  return "WebSocket" in globalThis
    ? { name, version, run: command("node", process.execPath) }
    : { name, missing: "Node 22" }
}

export const findRuntimes = (): ReadonlyArray<Runtime | Missing> => [node, ...programs(), nodesOwn()]
