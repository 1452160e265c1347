/**
 * Writes what is published for Effect 4 into `packages/platform-effect4/published`, after `pnpm build`. It is the package that is
 * published for Effect 3, except for what depends on the version: the manifest names Effect 4, and the version begins with 4.
 */
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs"

interface Manifest {
  readonly version: string
  readonly engines: object
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: object
  readonly peerDependenciesMeta: object
}

const manifest = (folder: string): Manifest => JSON.parse(readFileSync(`${folder}/package.json`, "utf8")) as Manifest

const source = "packages/platform-effect4"
const target = `${source}/published`

const { devDependencies: _, ...platform } = manifest("packages/platform") as Manifest & { devDependencies: object }
const { engines, peerDependencies, peerDependenciesMeta } = manifest(source)
const published: Manifest = {
  ...platform,
  version: platform.version.replace(/^3\./, "4."),
  engines,
  dependencies: { ...platform.dependencies, "@effect-websocket/protocol": `^${manifest("packages/protocol").version}` },
  peerDependencies,
  peerDependenciesMeta
}
if (!published.version.startsWith("4."))
  throw new Error(`packages/platform has the version ${platform.version}, not 3.x`)

rmSync(target, { recursive: true, force: true })
for (const folder of ["dist", "src"]) cpSync(`${source}/${folder}`, `${target}/${folder}`, { recursive: true })
cpSync(`${source}/README.md`, `${target}/README.md`)
cpSync("LICENSE", `${target}/LICENSE`)
writeFileSync(`${target}/package.json`, `${JSON.stringify(published, null, 2)}\n`)
console.log(`${target}: @effect-websocket/platform ${published.version}`)
