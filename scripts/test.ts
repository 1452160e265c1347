/**
 * `pnpm test`: all tests, in three Vitests at the same time: the platform package on Effect 3, the same and the command on Effect 4,
 * and all else. Vitest runs the projects of a workspace one after the other, and a core is idle while the last file of each ends.
 * With arguments it runs the tests on Effect 3 only, and passes the arguments to one Vitest.
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

/** What `CountReporter` prints last. */
const failureLines = /^Failed: .*$/gm
const countLine = /^Tests: (\d+) passed, (\d+) failed, (\d+) skipped$/m
const countsIn = (output: string): ReadonlyArray<number> => (countLine.exec(output) ?? []).slice(1).map(Number)

const vitest = ["node_modules/vitest/vitest.mjs", "run"]
const args = process.argv.slice(2)

if (args.length > 0) {
  process.exitCode = spawnSync(process.execPath, [...vitest, ...args], { stdio: "inherit" }).status ?? 1
} else {
  console.log("All tests: about 4 minutes on two cores, longer on a busy machine\n")
  const others = [
    { title: "On Effect 4", outcome: run(["--import", "tsx", "scripts/testEffect4.ts"], /* shows */ false) },
    { title: "Protocol, tools and examples", outcome: run([...vitest, "--project", "!platform"], /* shows */ false) }
  ]
  // The longest.
  const outcomes = [await run([...vitest, "--project", "platform"], /* shows */ true)]
  for (const { title, outcome } of others) {
    const ended = await outcome
    console.log(`\n${title}:\n${ended.output}`)
    outcomes.push(ended)
  }
  const counts = outcomes.map(({ output }) => countsIn(output))
  // A run that did not get as far as its count has failed.
  process.exitCode = outcomes.every(({ status }, index) => status === 0 && counts[index]?.length === 3) ? 0 : 1
  // Again, because the end of a long output is what is kept of it.
  for (const { output } of outcomes) for (const [line] of output.matchAll(failureLines)) console.log(line)
  const [passed, failed, skipped] = [0, 1, 2].map((place) => counts.reduce((sum, each) => sum + (each[place] ?? 0), 0))
  console.log(`Tests: ${passed} passed, ${failed} failed, ${skipped} skipped`)
}
