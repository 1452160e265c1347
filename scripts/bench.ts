/**
 * `pnpm bench …`: builds the benchmarks and runs them. The measured processes run on Node 24 and on Node 26, or on the majors or
 * binaries that `--node` names. A Node that is not there comes from npm.
 */
import { spawnSync } from "node:child_process"
import { cpSync } from "node:fs"
import { installNode, type Major, nodes } from "./nodes.js"

const isMajor = (name: string): name is Major => Object.hasOwn(nodes, name)

const args = process.argv.slice(2)
const wanted: Array<string> = []
for (let index = args.indexOf("--node"); index >= 0; index = args.indexOf("--node")) {
  wanted.push(...args.splice(index, 2).slice(1))
}
if (wanted.length === 0) wanted.push("24", "26")
const binaries = wanted.map((node) => (isMajor(node) ? installNode(node) : node))

const run = (...command: ReadonlyArray<string>): void => {
  const { status } = spawnSync(process.execPath, command, { stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
}

run("--import", "tsx", "scripts/assembleEffect4.ts")
run("node_modules/typescript/bin/tsc", "-b", "benchmarks", "packages/platform-effect4/tsconfig.benchmarks.json")
// One build is for both versions of Effect. The program on Effect 4 needs a copy that finds Effect 4 next to it.
cpSync("packages/topics-redis/dist", "packages/platform-effect4/topics-redis/dist", { recursive: true })
run("benchmarks/dist/main.js", ...args, ...binaries.flatMap((node) => ["--node", node]))
