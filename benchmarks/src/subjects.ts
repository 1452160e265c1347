/** The servers and clients that are compared. */
import { Schema } from "effect"
import { existsSync, readFileSync, realpathSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

/** A measured server or client, in its own process. */
export interface Subject {
  readonly name: string
  readonly file: string
  readonly arguments?: ReadonlyArray<string>
  readonly environment?: Readonly<Record<string, string>>
  readonly executable?: string
  /** Whether it reads messages. The floor does not. */
  readonly echoesFrames: boolean
  readonly compresses: boolean
  /** It differs from another subject in compression only. */
  readonly onlyCompresses?: boolean
  readonly broadcasts: boolean
  /** The version of Effect, for this library. */
  readonly effect?: EffectVersion
  /** This library's way to read. */
  readonly api?: string
}

const require = createRequire(import.meta.url)

/** The binary that npm installed. The install script of its package would fetch it again. */
const findBun = (): string | undefined => {
  const bun = join(dirname(realpathSync(require.resolve("bun/package.json"))), "..", "@oven")
  const binary = join(bun, `bun-${process.platform}-${process.arch === "arm64" ? "aarch64" : process.arch}`, "bin/bun")
  return existsSync(binary) ? binary : undefined
}

export const bun = findBun()

const Package = Schema.parseJson(Schema.Struct({ version: Schema.String }))
const versionOf = (name: string, folder = ".."): string => {
  const file = new URL(`${folder}/node_modules/${name}/package.json`, import.meta.url)
  return Schema.decodeUnknownSync(Package)(readFileSync(file, "utf8")).version
}

/** The versions of all compared libraries and runtimes. */
export const versions: Readonly<Record<string, string>> = Object.fromEntries([
  ["effect 4", versionOf("effect", "../../packages/platform-effect4")],
  ...[
    "@effect-websocket/platform",
    "effect",
    "ws",
    "bufferutil",
    "minizlib",
    "undici",
    "@effect/platform",
    "@effect/platform-node",
    ...(bun === undefined ? [] : ["bun"])
  ].map((name) => [name, versionOf(name)])
])

// `ws` uses the native masking that the benchmarks install, unless this variable turns it off.
const plain = { WS_NO_BUFFER_UTIL: "1" }
const able = { echoesFrames: true, compresses: true, broadcasts: true }

export const baseline = "ws"
export const floor = "raw net"
/** Servers, and a client, on the sockets of `@effect/platform`. */
export const platforms: ReadonlyArray<string> = [
  "@effect/platform socket",
  "@effect/platform upgrade",
  "@effect/platform"
]

/** The versions of Effect that the library is measured on. */
export const effects = ["4", "3"] as const
export type EffectVersion = (typeof effects)[number]

const apis = ["run", "receiveAll", "receive", "messages"]

/** The name of one of this library's ways to read. Without a version, it is the one on Effect 4. */
export const nameOn = (effect: EffectVersion, api: string): string =>
  effect === "4" ? api : `${api} on Effect ${effect}`

/** The same programs on both versions. Those on Effect 4 are built in its package. */
const ours = (folder: string) =>
  effects.flatMap((effect) =>
    apis.map((api) => ({
      ...able,
      effect,
      api,
      name: nameOn(effect, api),
      file: `${effect === "4" ? "../../packages/platform-effect4/dist-benchmarks/" : ""}${folder}/effect-websocket`,
      arguments: ["--api", api],
      broadcasts: api === "run"
    }))
  )

export const servers: ReadonlyArray<Subject> = [
  ...ours("servers"),
  ...ours("servers")
    .filter(({ api }) => api === "run")
    .map((subject) => ({
      ...subject,
      name: `${subject.name}, minizlib`,
      api: "run, minizlib",
      arguments: [...subject.arguments, "--minizlib"],
      onlyCompresses: true
    })),
  { ...able, name: baseline, file: "servers/ws", environment: plain },
  { ...able, name: "ws + bufferutil", file: "servers/ws" },
  {
    ...able,
    name: "@effect/platform socket",
    file: "servers/effect-platform-socket",
    environment: plain
  },
  {
    ...able,
    name: "@effect/platform upgrade",
    file: "servers/effect-platform-upgrade",
    environment: plain,
    compresses: false
  },
  {
    ...able,
    name: floor,
    file: "servers/raw",
    echoesFrames: false,
    compresses: false,
    broadcasts: false
  },
  ...(bun === undefined ? [] : [{ ...able, name: "Bun", file: "servers/bun", executable: bun }])
]

export const clients: ReadonlyArray<Subject> = [
  ...ours("clients"),
  { ...able, name: baseline, file: "clients/ws", environment: plain },
  { ...able, name: "undici", file: "clients/undici" },
  { ...able, name: "@effect/platform", file: "clients/effect-platform", environment: plain },
  ...(bun === undefined ? [] : [{ ...able, name: "Bun", file: "clients/bun", executable: bun }])
]
