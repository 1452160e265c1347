/** `pnpm --filter benchmarks codec …`: builds the benchmarks, and measures the codec on Node 24. */
import { spawnSync } from "node:child_process"
import { installNode } from "./nodes.js"

const run = (file: string, ...args: ReadonlyArray<string>): void => {
  const { status } = spawnSync(file, args, { stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
}

run(process.execPath, "node_modules/typescript/bin/tsc", "-b", "benchmarks")
const flags = ["--expose-gc", "--allow-natives-syntax"]
run(installNode("24"), ...flags, "benchmarks/dist/codec/main.js", ...process.argv.slice(2))
