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
const failuresIn = (output: string): ReadonlyArray<string> =>
  Array.from(output.matchAll(failureLines), ([line]) => line)
const filesOf = (failures: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Set(failures.flatMap((line) => /^Failed: (\S+\.test\.ts)/.exec(line)?.slice(1) ?? []))
]

/** The file and the name of a failed test, or their beginning, without the message. */
const nameOf = (line: string): string => line.slice(0, line.indexOf(": ", "Failed: ".length))

// More than this is no sign of a busy machine.
const maxFilesAgain = 6

/**
 * Runs the files with failures once more, alone: beside others, a test may fail because the machine is too busy. Says which
 * tests have passed only then.
 */
const confirm = async (args: ReadonlyArray<string>, outcome: Outcome): Promise<Outcome> => {
  const failures = failuresIn(outcome.output)
  const files = filesOf(failures)
  const [passed = 0, failed = 0, skipped = 0] = countsIn(outcome.output)
  if (outcome.status === 0 || files.length === 0 || files.length > maxFilesAgain) return outcome
  const again = await run([...args, ...files], /* shows */ false)
  const [, stillFailed] = countsIn(again.output)
  if (stillFailed === undefined || (again.status !== 0 && stillFailed === 0)) return outcome
  const confirmed = failuresIn(again.output)
  // The message may be another one the second time.
  const names = new Set(confirmed.map(nameOf))
  const busy = failures.filter((line) => !names.has(nameOf(line)))
  const counted = `Tests: ${passed + failed - stillFailed} passed, ${stillFailed} failed, ${skipped} skipped`
  const output = [...busy.map((line) => `Passed alone. ${line}`), ...confirmed, counted].join("\n")
  return { status: again.status, output }
}

const vitest = ["node_modules/vitest/vitest.mjs", "run"]
const args = process.argv.slice(2)

if (args.length > 0) {
  process.exitCode = spawnSync(process.execPath, [...vitest, ...args], { stdio: "inherit" }).status ?? 1
} else {
  console.log("All tests: 4 to 6 minutes on two cores, longer on a busy machine\n")
  // The longest first.
  const parts = [
    { title: "On Effect 3", args: [...vitest, "--project", "platform"] },
    { title: "On Effect 4", args: ["--import", "tsx", "scripts/testEffect4.ts"] },
    { title: "Protocol, tools and examples", args: [...vitest, "--project", "!platform"] }
  ]
  const running = parts.map(({ args }, index) => run(args, /* shows */ index === 0))
  const outcomes: Array<Outcome> = []
  for (const [index, { title }] of parts.entries()) {
    const outcome = await running[index]!
    if (index > 0) console.log(`\n${title}:\n${outcome.output}`)
    outcomes.push(outcome)
  }
  // Only now, because now they are alone.
  for (const [index, { args }] of parts.entries()) outcomes[index] = await confirm(args, outcomes[index]!)
  const counts = outcomes.map(({ output }) => countsIn(output))
  // A run that did not get as far as its count has failed.
  process.exitCode = outcomes.every(({ status }, index) => status === 0 && counts[index]?.length === 3) ? 0 : 1
  // Again, because the end of a long output is what is kept of it.
  for (const { output } of outcomes) {
    for (const [line] of output.matchAll(/^(Passed alone\. )?Failed: .*$/gm)) console.log(line)
  }
  const [passed, failed, skipped] = [0, 1, 2].map((place) => counts.reduce((sum, each) => sum + (each[place] ?? 0), 0))
  console.log(`Tests: ${passed} passed, ${failed} failed, ${skipped} skipped`)
}
