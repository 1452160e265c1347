/**
 * Runs the tests of `packages/platform-effect4`, or those that are named in the arguments, as `test/X.test.ts`. They need Node
 * 22.19: an older one is replaced by one from npm.
 */
import { spawnSync } from "node:child_process"
import { nodeForEffect4 } from "./nodes.js"

const run = (command: string, args: ReadonlyArray<string>, cwd: string): number =>
  spawnSync(command, args, { cwd, stdio: "inherit" }).status ?? 1

const assembled = run(process.execPath, ["--import", "tsx", "scripts/assembleEffect4.ts"], ".")
process.exitCode =
  assembled === 0
    ? run(
        nodeForEffect4(),
        ["node_modules/vitest/vitest.mjs", "run", ...process.argv.slice(2)],
        "packages/platform-effect4"
      )
    : assembled
