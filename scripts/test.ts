/**
 * `pnpm test`: all tests. Those of the platform package run on both versions of Effect, each with a Vitest of its own, at the
 * same time. With arguments it runs the tests on Effect 3 only, and passes the arguments to Vitest.
 */
import { spawn, spawnSync } from "node:child_process"

interface Outcome {
  readonly status: number
  readonly output: string
}

/** Runs a command, and shows its output as it comes, or at the end. */
const run = (args: ReadonlyArray<string>, shows: boolean): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    const collect = (target: NodeJS.WriteStream) => (chunk: Buffer) => {
      output += chunk.toString()
      if (shows) target.write(chunk)
    }
    child.stdout.on("data", collect(process.stdout))
    child.stderr.on("data", collect(process.stderr))
    child.once("error", reject)
    child.once("close", (code) => resolve({ status: code ?? 1, output }))
  })

/** The last line of `CountReporter`. */
const countLine = /^Tests: (\d+) passed, (\d+) failed, (\d+) skipped$/m
const countsIn = (output: string): ReadonlyArray<number> => (countLine.exec(output) ?? []).slice(1).map(Number)

const vitest = ["node_modules/vitest/vitest.mjs", "run"]
const args = process.argv.slice(2)

if (args.length > 0) {
  process.exitCode = spawnSync(process.execPath, [...vitest, ...args], { stdio: "inherit" }).status ?? 1
} else {
  const onEffect4 = run(["--import", "tsx", "scripts/testEffect4.ts"], /* shows */ false)
  const onEffect3 = await run(vitest, /* shows */ true)
  const later = await onEffect4
  console.log(`\nOn Effect 4:\n${later.output}`)
  const outcomes = [onEffect3, later]
  const counts = outcomes.map(({ output }) => countsIn(output))
  // A run that did not get as far as its count has failed.
  process.exitCode = outcomes.every(({ status }, index) => status === 0 && counts[index]?.length === 3) ? 0 : 1
  const [passed, failed, skipped] = [0, 1, 2].map((place) => counts.reduce((sum, each) => sum + (each[place] ?? 0), 0))
  console.log(`Tests: ${passed} passed, ${failed} failed, ${skipped} skipped`)
}
