/**
 * `pnpm bench …`: builds the benchmarks and runs them. The measured processes run on Node 24, or on the major or binary that
 * `--node` names. A Node that is not there comes from npm.
 */
import { spawnSync } from "node:child_process"
import { installNode, type Major, nodes } from "./nodes.js"

const isMajor = (name: string): name is Major => name in nodes

const args = process.argv.slice(2)
const index = args.indexOf("--node")
const [wanted = "24"] = index < 0 ? [] : args.splice(index, 2).slice(1)
const node = isMajor(wanted) ? installNode(wanted) : wanted

const run = (...command: ReadonlyArray<string>): void => {
  const { status } = spawnSync(process.execPath, command, { stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
}

run("--import", "tsx", "scripts/assembleEffect4.ts")
run("node_modules/typescript/bin/tsc", "-b", "benchmarks", "packages/platform-effect4/tsconfig.benchmarks.json")
run("benchmarks/dist/main.js", ...args, "--node", node)
