/**
 * Writes the sources of `packages/platform-effect4`: the folders of `packages/platform`, with the files of the overlay in place of
 * those of the same name, without what only Effect 3 has, and copies of the protocol and of the brokers of topics that find Effect 4 next to them. Nothing of this is committed. Rewrites only
 * files that changed, and deletes those that are gone.
 */
import { deepStrictEqual } from "node:assert"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"

interface Manifest {
  readonly exports: unknown
  readonly dependencies: Readonly<Record<string, string>>
}

const platform = "packages/platform"
const protocol = "packages/protocol"
/** Packages whose one build is for both. Their tests run on both. */
const forBoth = ["topics-redis", "topics-nats"]
const target = "packages/platform-effect4"
/** The folder of what Effect 4 lacks. The overlay has another one, of what Effect 3 lacks. */
const onlyEffect3 = "internal/install-effect@3-or-platform@4/"

/** The files in a folder, if there is one, by their path in it. */
const filesIn = (folder: string): ReadonlyArray<string> =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    : []

let written = 0
let deleted = 0

const copy = (from: string, to: string): void => {
  const content = readFileSync(from)
  if (existsSync(to) && readFileSync(to).equals(content)) return
  mkdirSync(dirname(to), { recursive: true })
  writeFileSync(to, content)
  written++
}

/** Gives a folder the files of the sources, and no others. Of two files with the same name, the later source wins. */
const assemble = (folder: string, ...sources: ReadonlyArray<string>): void => {
  const origins = new Map(
    sources.flatMap((source) =>
      filesIn(source)
        .filter((file) => !file.startsWith(onlyEffect3))
        .map((file) => [file, join(source, file)])
    )
  )
  for (const file of filesIn(folder)) {
    if (origins.has(file)) continue
    rmSync(join(folder, file))
    deleted++
  }
  for (const [file, origin] of origins) copy(origin, join(folder, file))
}

/** Fails if the manifest has other exports or dependencies than that of the other package. Only its versions differ. */
const checkManifest = (): void => {
  const [expected, actual] = [platform, target].map((folder) => {
    const { dependencies, exports } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8")) as Manifest
    const { "@effect-websocket/protocol": _, ...others } = dependencies
    return { exports, dependencies: others }
  })
  deepStrictEqual(actual, expected, `${target}/package.json has other exports or dependencies than ${platform}`)
}

checkManifest()
for (const folder of ["src", "test", "typetest"]) {
  assemble(`${target}/${folder}`, `${platform}/${folder}`, `${target}/overlay/${folder}`)
}
for (const name of forBoth) {
  for (const folder of ["src", "test"]) {
    assemble(`${target}/${name}/${folder}`, `packages/${name}/${folder}`, `${target}/overlay/${name}/${folder}`)
  }
  copy(`packages/${name}/package.json`, `${target}/${name}/package.json`)
}
// The measured programs, which are the same on both versions.
for (const file of [
  "servers/effect-websocket.ts",
  "servers/effect-websocket-topics.ts",
  "servers/effectWebSocketEcho.ts",
  "servers/serve.ts",
  "clients/effect-websocket.ts",
  "clients/receive.ts"
]) {
  copy(`benchmarks/src/${file}`, `${target}/benchmarks/${file}`)
}
// A measured program that only Effect 4 can run.
copy("benchmarks/effect4/servers/effect-socket.ts", `${target}/benchmarks/servers/effect-socket.ts`)
assemble(`${target}/protocol/src`, `${protocol}/src`)
copy(`${protocol}/package.json`, `${target}/protocol/package.json`)
console.log(`${target}: ${written} files written, ${deleted} deleted`)
