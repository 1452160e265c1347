/** The servers and clients that are compared. */
import { Schema } from "effect"
import { existsSync, readFileSync, realpathSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import type { Dialect } from "./load/requests.js"
import { baseline, bunName, type EffectVersion, effects, floor, nameOn, socketIoName, type Suite } from "./names.js"

/** Echoes with compression, without, or of records that are parsed. */
export type OnlyEchoes = "compressed" | "plain" | "records"

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
  /** It differs from another subject only in echoes of this kind. */
  readonly only?: OnlyEchoes
  readonly broadcasts: boolean
  /** It takes part only in the cases of this suite. */
  readonly suite?: Suite
  /** How it wraps messages. Default: not at all. */
  readonly dialect?: Dialect
  /** The version of Effect, for this library. */
  readonly effect?: EffectVersion
  /** This library's way to read. */
  readonly way?: string
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
  ["@effect/platform-node 4", versionOf("@effect/platform-node", "../../packages/platform-effect4")],
  ...[
    "@effect-websocket/platform",
    "effect",
    "ws",
    "bufferutil",
    "minizlib",
    "undici",
    "socket.io",
    "@socket.io/redis-streams-adapter",
    "@effect/platform",
    "@effect/platform-node",
    ...(bun === undefined ? [] : ["bun"])
  ].map((name) => [name, versionOf(name)])
])

// `ws` uses the native masking that the benchmarks install, unless this variable turns it off.
const plain = { WS_NO_BUFFER_UTIL: "1" }
const able = { echoesFrames: true, compresses: true, broadcasts: true }

/** One of this library's ways to read. */
interface Way {
  readonly name: string
  readonly arguments: ReadonlyArray<string>
  readonly broadcasts?: true
  readonly only?: OnlyEchoes
  /** The versions of Effect that have it. Default: all. */
  readonly effects?: ReadonlyArray<EffectVersion>
}

const ways: ReadonlyArray<Way> = [
  { name: "run", arguments: ["--api", "run"], broadcasts: true },
  { name: "receiveAll", arguments: ["--api", "receiveAll"] },
  { name: "receive", arguments: ["--api", "receive"] },
  { name: "messages", arguments: ["--api", "messages"] }
]

/** The ways of a server that an app has to choose. */
const optional: ReadonlyArray<Way> = [
  { name: "typed", arguments: ["--api", "typed"], only: "records" },
  { name: "typed, compiled", arguments: ["--api", "typed", "--compile"], only: "records", effects: ["4"] },
  { name: "run, borrowed", arguments: ["--api", "borrowed"], only: "plain" },
  { name: "run, borrowed + read buffer", arguments: ["--api", "borrowed", "--read-buffer"], only: "plain" },
  { name: "run, observed", arguments: ["--api", "run", "--observed"], only: "plain" },
  { name: "run, minizlib", arguments: ["--api", "run", "--minizlib"], only: "compressed" }
]

/** Programs on Effect 4 are built in the package for it. */
const builtOnEffect4 = "../../packages/platform-effect4/dist-benchmarks"

/** The same programs on both versions. */
const ours = (folder: string, ways: ReadonlyArray<Way>): ReadonlyArray<Subject> =>
  effects.flatMap((effect) =>
    ways
      .filter((way) => way.effects?.includes(effect) !== false)
      .map(({ arguments: arguments_, broadcasts = false, name, only }) => ({
        ...able,
        ...(only && { only }),
        effect,
        way: name,
        name: nameOn(effect, name),
        file: `${effect === "4" ? `${builtOnEffect4}/` : ""}${folder}/effect-websocket`,
        arguments: arguments_,
        broadcasts
      }))
  )

const topics = ours("servers", [{ name: "topics", arguments: [], broadcasts: true }]).map((subject): Subject => ({
  ...subject,
  file: `${subject.file}-topics`,
  suite: "topics"
}))

export const servers: ReadonlyArray<Subject> = [
  ...ours("servers", [...ways, ...optional]),
  ...topics,
  { ...able, name: baseline, file: "servers/ws", environment: plain },
  { ...able, name: "ws + bufferutil", file: "servers/ws" },
  {
    ...able,
    name: "Effect 4 sockets",
    file: `${builtOnEffect4}/servers/effect-socket`,
    environment: plain
  },
  {
    ...able,
    name: "@effect/platform",
    file: "servers/effect-platform",
    environment: plain
  },
  {
    ...able,
    name: floor,
    file: "servers/raw",
    echoesFrames: false,
    compresses: false
  },
  ...(bun === undefined ? [] : [{ ...able, name: bunName, file: "servers/bun", executable: bun }]),
  {
    ...able,
    suite: "topics",
    name: socketIoName,
    file: "servers/socket-io",
    environment: plain,
    dialect: "socket.io"
  }
]

export const clients: ReadonlyArray<Subject> = [
  ...ours("clients", ways),
  { ...able, name: baseline, file: "clients/ws", environment: plain },
  { ...able, name: "undici", file: "clients/undici" },
  { ...able, name: "@effect/platform", file: "clients/effect-platform", environment: plain },
  ...(bun === undefined ? [] : [{ ...able, name: bunName, file: "clients/bun", executable: bun }])
]
