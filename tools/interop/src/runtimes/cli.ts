/**
 * `pnpm test:runtimes [--install] [--write] [name ...]`: tries every behaviour of a client in every runtime that is there, against
 * our server. `--install` first installs what is missing, and `--write` writes the table of docs/runtimes.md. Fails if a
 * behaviour does.
 */
import { Cause, Effect, Exit, Logger } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { format, resolveConfig } from "prettier"
import { installRuntimes } from "../programs.js"
import { behaviours, type Outcomes } from "./behaviours.js"
import { findRuntimes, type Runtime } from "./runtimes.js"
import { serve } from "./server.js"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { install: { type: "boolean", default: false }, write: { type: "boolean", default: false } }
})

const page = fileURLToPath(new URL("../../../../docs/runtimes.md", import.meta.url))
const names = Object.keys(behaviours)
const patience = "60 seconds"

/** Why a runtime could not try anything, for every behaviour. */
const none = (why: string): Outcomes => Object.fromEntries(names.map((name) => [name, why]))

const tried = (runtime: Runtime) =>
  Effect.scoped(Effect.flatMap(serve, runtime.run)).pipe(
    Effect.timeout(patience),
    Effect.exit,
    Effect.map((exit) => ({ runtime, outcomes: Exit.isSuccess(exit) ? exit.value : none(Cause.pretty(exit.cause)) }))
  )

const writeTable = async (rows: ReadonlyArray<ReadonlyArray<string>>): Promise<void> => {
  const [begin, end] = ["<!-- behaviours: begin -->", "<!-- behaviours: end -->"]
  const text = readFileSync(page, "utf8")
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  const [head = [], ...body] = rows
  const table = [line(head), line(head.map(() => "---")), ...body.map(line)].join("\n")
  const written = `${text.slice(0, text.indexOf(begin) + begin.length)}\n\n${table}\n\n${text.slice(text.indexOf(end))}`
  writeFileSync(page, await format(written, { ...(await resolveConfig(page)), parser: "markdown" }))
}

const program = Effect.gen(function* () {
  if (values.install) installRuntimes()
  const found = findRuntimes().filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  for (const runtime of found)
    if ("missing" in runtime) console.log(`MISSING: ${runtime.name}, for lack of ${runtime.missing}`)
  const present = found.flatMap((runtime) => ("missing" in runtime ? [] : [runtime]))
  const results = yield* Effect.forEach(present, tried)
  const failures = results.flatMap(({ outcomes, runtime }) =>
    names.flatMap((name) => {
      const outcome = outcomes[name] ?? "it was not tried"
      return outcome === "ok" || outcome === "–" ? [] : [`${runtime.name} ${name}: ${outcome}`]
    })
  )
  const cell = (outcome: string | undefined) => (outcome === "ok" || outcome === "–" ? outcome : "FAIL")
  const rows = [
    ["behaviour", ...results.map(({ runtime }) => `${runtime.name} ${runtime.version}`)],
    ...names.map((name) => [name, ...results.map(({ outcomes }) => cell(outcomes[name]))])
  ]
  for (const row of rows)
    console.log(
      row
        .map((text, column) => text.padEnd(column === 0 ? 42 : 26))
        .join("")
        .trimEnd()
    )
  for (const failure of failures) console.log(`FAILED: ${failure}`)
  console.log(`${results.length} runtimes, ${failures.length} behaviours failed`)
  if (values.write) yield* Effect.promise(() => writeTable(rows))
  process.exitCode = failures.length > 0 ? 1 : 0
})

// What the server refuses on purpose is no news.
await Effect.runPromise(Effect.provide(program, Logger.remove(Logger.defaultLogger)))
