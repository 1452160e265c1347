/**
 * Runs the tests of `packages/platform-effect4`, or those that are named in the arguments, as `test/X.test.ts`. They need Node
 * 22.19: an older one is replaced by one from npm.
 */
import { spawnSync } from "node:child_process"
import { installNode } from "./nodes.js"

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
const node = major > 22 || (major === 22 && minor >= 19) ? process.execPath : installNode("24")

const run = (command: string, args: ReadonlyArray<string>, cwd: string): number =>
  spawnSync(command, args, { cwd, stdio: "inherit" }).status ?? 1

const assembled = run(process.execPath, ["--import", "tsx", "scripts/assembleEffect4.ts"], ".")
process.exitCode =
  assembled === 0
    ? run(node, ["node_modules/vitest/vitest.mjs", "run", ...process.argv.slice(2)], "packages/platform-effect4")
    : assembled
