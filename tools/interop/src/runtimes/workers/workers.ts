/** Runs the Worker of `program.ts` in `workerd`, for both versions of Effect. */
import { build } from "esbuild"
import { Effect, Schedule, type Scope } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { start } from "../../Process.js"
import { findBinary, firstLine, folderOf } from "../../programs.js"
import type { Outcomes } from "../behaviours.js"
import { attempt, freePort, versionIn, type Missing } from "../runtimes.js"
import { tryAll, type Behaviour } from "./trying.js"

/** A version of Effect in `workerd`. */
export interface WorkersRuntime {
  readonly name: string
  readonly version: string
  readonly run: Effect.Effect<Outcomes, Error, Scope.Scope>
}

/** The package that the program is bundled with. */
const lines = [
  { name: "Effect 4", folder: "packages/platform-effect4" },
  { name: "Effect 3", folder: "packages/platform" }
]

const rootFolder = folderOf("../..")

/** Lets the program evict its Durable Objects, as the platform does. */
const main = `import unsafe from "workerd:unsafe"
import program from "program"
export * from "program"
const sleep = () => unsafe.evictAllDurableObjects()
export default { fetch: (request, env, context) => program.fetch(request, { ...env, sleep }, context) }
`

/** The module `workerd:unsafe` needs `--experimental`. */
const config = (port: number): string => `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [
        (name = "main", esModule = embed "main.mjs"),
        (name = "program", esModule = embed "program.mjs")
      ],
      compatibilityDate = "2026-01-01",
      compatibilityFlags = ["unsafe_module"],
      durableObjectNamespaces = [
        (className = "Objects", uniqueKey = "objects"),
        (className = "Broken", uniqueKey = "broken")
      ],
      durableObjectStorage = (inMemory = void),
      bindings = [
        (name = "OBJECTS", durableObjectNamespace = "Objects"),
        (name = "BROKEN", durableObjectNamespace = "Broken")
      ]
    ))
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);
`

/** Bundles the program within a package, so that it resolves that package and its Effect. */
const bundled = (packageFolder: string, port: number) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "workers-"))),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
    )
    const contents = readFileSync(folderOf("src/runtimes/workers/program.ts"), "utf8")
    yield* attempt(() =>
      build({
        stdin: { contents, resolveDir: join(rootFolder, packageFolder), loader: "ts" },
        outfile: join(folder, "program.mjs"),
        bundle: true,
        format: "esm",
        platform: "browser",
        target: "es2022",
        conditions: ["@effect-websocket/source"]
      })
    )
    writeFileSync(join(folder, "main.mjs"), main)
    writeFileSync(join(folder, "config.capnp"), config(port))
    return join(folder, "config.capnp")
  })

const run = (
  program: string,
  packageFolder: string,
  behaviours: Readonly<Record<string, Behaviour>>,
  path: (index: number) => string
): WorkersRuntime["run"] =>
  Effect.gen(function* () {
    const port = yield* freePort
    const process = yield* start(program, ["serve", "--experimental", yield* bundled(packageFolder, port)])
    yield* attempt(() => fetch(`http://127.0.0.1:${port}/made`)).pipe(
      Effect.retry(Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(100))),
      Effect.mapError((error) => new Error(`${error.message} ${process.printed().slice(-2000)}`))
    )
    return yield* tryAll(behaviours, port, path)
  })

export const findWorkers = (
  behaviours: Readonly<Record<string, Behaviour>>,
  path: (index: number) => string
): ReadonlyArray<WorkersRuntime | Missing> => {
  const program = findBinary("workerd")
  if (program === undefined) return [{ name: "workerd", missing: "the npm package @cloudflare/workerd-*" }]
  const version = versionIn(firstLine(program, ["--version"]))
  return lines.map(({ folder, name }) =>
    existsSync(join(rootFolder, folder, "src"))
      ? { name: `${name}, workerd`, version, run: run(program, folder, behaviours, path) }
      : { name: `${name}, workerd`, missing: "the sources that `scripts/assembleEffect4.ts` copies" }
  )
}
