/**
 * `pnpm --filter fuzz start [target ...] [--minutes N] [--seed N] [--keep]`: runs the targets one after another, one minute each unless told
 * otherwise. Prints executions and findings, adds what was found to the corpus, and fails where there was any. `--keep`
 * puts into the corpus what reached something new.
 */
import { parseArgs } from "node:util"
import { bundle } from "./bundle.js"
import { addFinding, readCorpus, writeCorpus } from "./corpus.js"
import { fuzz } from "./fuzz.js"
import { targets } from "./targets.js"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() >>> 0) },
    keep: { type: "boolean", default: false }
  }
})
const names = positionals.length === 0 ? Object.keys(targets) : positionals
const milliseconds = Number(values.minutes) * 60_000
const seed = Number(values.seed)
if (names.some((name) => !(name in targets)) || !(milliseconds > 0) || !Number.isInteger(seed)) {
  console.error(
    `usage: pnpm --filter fuzz start [${Object.keys(targets).join(" | ")}] [--minutes N] [--seed N] [--keep]`
  )
  process.exit(2)
}

const { targetsFile, workerFile } = await bundle()
console.log(`seed ${seed}, ${values.minutes} min for each target`)
let found = 0
for (const name of names) {
  const { done, findings } = await fuzz(workerFile, { targetsFile, name, seed, milliseconds, corpus: readCorpus(name) })
  const figures =
    done === undefined
      ? "did not end"
      : `${done.executions} executions, the slowest ${Math.round(done.slowest)} ms, ` +
        `${done.reached} arms and functions in ${done.features} ways`
  console.log(`${name}: ${figures}, ${findings.length} findings`)
  for (const { bytes, stack } of findings) {
    found++
    addFinding(name, bytes, stack.split("\n")[0] ?? "")
    console.log(`  ${stack.split("\n").slice(0, 12).join("\n  ")}\n  ${Buffer.from(bytes).toString("base64")}`)
  }
  if (values.keep && done !== undefined) writeCorpus(name, done.corpus)
}
if (found > 0) process.exit(1)
