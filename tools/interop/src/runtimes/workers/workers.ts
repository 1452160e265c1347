/** Runs the Worker of `program.ts` in `workerd`, for both versions of Effect. */
import { WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Effect, Layer, Schedule, type Scope } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { start } from "../../Process.js"
import { findBinary, firstLine, folderOf } from "../../programs.js"
import { freePort } from "../../proxies.js"
import type { Shown } from "../observe.js"
import { attempt, bundle, versionIn, type Missing } from "../runtimes.js"
import { objectFacts } from "./objectFacts.js"
import { objectBehaviours } from "./objects.js"
import { Frames, known, Served, servedOptions, Streams } from "./program.js"
import { servedBehaviours } from "./served.js"
import { servedFacts } from "./servedFacts.js"
import { tryAll, type Trials } from "./trying.js"

/** A version of Effect in `workerd`. */
export interface WorkersRuntime {
  readonly name: string
  readonly version: string
  readonly run: Effect.Effect<Shown, Error, Scope.Scope>
}

/** The package that the program is bundled with. */
const lines = [
  { name: "Effect 4", folder: "packages/platform-effect4" },
  { name: "Effect 3", folder: "packages/platform" }
]

const served: Trials = { behaviours: servedBehaviours, facts: servedFacts, path: () => "/served" }

const objects: Trials = {
  behaviours: objectBehaviours,
  facts: objectFacts,
  path: (number) => `/object-${number}`
}

const rootFolder = folderOf("../..")

/** Lets the program evict its Durable Objects, as the platform does. */
const main = `import unsafe from "workerd:unsafe"
import program from "program"
export { Broken, Objects } from "program"
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
    const contents = readFileSync(folderOf("src/runtimes/workers/program.ts"), "utf8")
    const stdin = { contents, resolveDir: join(rootFolder, packageFolder), loader: "ts" } as const
    const { folder } = yield* bundle({ stdin, platform: "browser" })
    writeFileSync(join(folder, "main.mjs"), main)
    writeFileSync(join(folder, "config.capnp"), config(port))
    return join(folder, "config.capnp")
  })

const run = (program: string, packageFolder: string, trials: Trials): WorkersRuntime["run"] =>
  Effect.gen(function* () {
    const port = yield* freePort
    const process = yield* start(program, ["serve", "--experimental", yield* bundled(packageFolder, port)])
    yield* attempt(() => fetch(`http://127.0.0.1:${port}/made`)).pipe(
      Effect.retry(Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(100))),
      Effect.mapError((error) => new Error(`${error.message} ${process.printed().slice(-2000)}`))
    )
    const ask = (path: string) =>
      Effect.promise(async (): Promise<unknown> => (await fetch(`http://127.0.0.1:${port}${path}`)).json())
    return yield* tryAll(trials, (path) => ({ url: `ws://127.0.0.1:${port}${path}`, ask }))
  })

/** The server of the Worker on Node, to compare with. Its behaviours have tests. */
const node: WorkersRuntime = {
  name: "Node",
  version: process.versions.node,
  run: Effect.gen(function* () {
    const listening = NodeWebSocketServer.layer({
      ...servedOptions,
      host: "127.0.0.1",
      port: 0,
      receiveHighWaterMark: 50_000
    })
    const app = Layer.mergeAll(Served, Streams, Frames)
    const context = yield* Layer.build(Layer.provideMerge(app, listening))
    const { address } = yield* Effect.provide(WebSocketServer.WebSocketServer, context)
    const ask = (path: string) => Effect.sync((): unknown => known[path]?.())
    const { facts } = yield* tryAll({ ...served, behaviours: {} }, (path) => ({ url: `${address.url}${path}`, ask }))
    return { facts }
  })
}

const findWorkers = (trials: Trials): ReadonlyArray<WorkersRuntime | Missing> => {
  const program = findBinary("workerd")
  const version = program === undefined ? "" : versionIn(firstLine(program, ["--version"]))
  return lines.map(({ folder, name: line }) => {
    const name = `${line}, workerd`
    if (program === undefined) return { name, missing: "the npm package @cloudflare/workerd-*" }
    return existsSync(join(rootFolder, folder, "src"))
      ? { name, version, run: run(program, folder, trials) }
      : { name, missing: "the sources that `scripts/assembleEffect4.ts` copies" }
  })
}

export const findServed = (): ReadonlyArray<WorkersRuntime | Missing> => [node, ...findWorkers(served)]

export const findObjects = (): ReadonlyArray<WorkersRuntime | Missing> => findWorkers(objects)
