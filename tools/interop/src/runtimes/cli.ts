/**
 * `pnpm test:runtimes [--install] [--write] [--only clients | servers | workers | objects] [name ...]`: tries every behaviour of a
 * client in every runtime that is there, against our server on Node, and every behaviour of a server in every host, in Workers and in
 * Durable Objects, with our client on Node.
 * `--install` first installs what is missing, and `--write` writes the tables of docs/runtimes.md. Fails if a behaviour does.
 */
import { Cause, Effect, Exit, Logger, type Scope } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { format, resolveConfig } from "prettier"
import { installRuntimes } from "../programs.js"
import { behaviours, type Outcomes } from "./behaviours.js"
import { hostBehaviours } from "./hosts/behaviours.js"
import { findHosts } from "./hosts/hosts.js"
import { findRuntimes, type Missing } from "./runtimes.js"
import { serve } from "./server.js"
import { objectBehaviours } from "./workers/objects.js"
import { servedBehaviours } from "./workers/served.js"
import { findWorkers } from "./workers/workers.js"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    install: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    only: { type: "string" }
  }
})

const page = fileURLToPath(new URL("../../../../docs/runtimes.md", import.meta.url))

/** A table of the page: its behaviours, and the runtimes that try them. */
interface Table {
  readonly marker: string
  readonly names: ReadonlyArray<string>
  readonly runtimes: ReadonlyArray<Trial>
  /** How long one runtime may take. */
  readonly patience: "60 seconds" | "240 seconds" | "300 seconds"
}

interface Trial {
  readonly name: string
  readonly version: string
  readonly run: Effect.Effect<Outcomes, Error, Scope.Scope>
}

const tried = ({ names, patience }: Table, runtime: Trial) =>
  Effect.scoped(runtime.run).pipe(
    Effect.timeout(patience),
    Effect.exit,
    Effect.map((exit) => {
      if (Exit.isSuccess(exit)) return { runtime, outcomes: exit.value }
      // It could not try anything.
      const outcomes: Outcomes = Object.fromEntries(names.map((name) => [name, Cause.pretty(exit.cause)]))
      return { runtime, outcomes }
    })
  )

const writeTable = async (marker: string, rows: ReadonlyArray<ReadonlyArray<string>>): Promise<void> => {
  const [begin, end] = [`<!-- ${marker}: begin -->`, `<!-- ${marker}: end -->`]
  const text = readFileSync(page, "utf8")
  const line = (cells: ReadonlyArray<string>) => `| ${cells.join(" | ")} |`
  const [head = [], ...body] = rows
  const table = [line(head), line(head.map(() => "---")), ...body.map(line)].join("\n")
  const written = `${text.slice(0, text.indexOf(begin) + begin.length)}\n\n${table}\n\n${text.slice(text.indexOf(end))}`
  writeFileSync(page, await format(written, { ...(await resolveConfig(page)), parser: "markdown" }))
}

const cell = (outcome: string | undefined) => (outcome === "ok" || outcome === "–" ? outcome : "FAIL")

/** Tries, prints and writes one table. Returns how many behaviours failed. */
const fill = (table: Table) =>
  Effect.gen(function* () {
    const { marker, names, runtimes } = table
    const results = yield* Effect.forEach(runtimes, (runtime) => tried(table, runtime))
    const failures = results.flatMap(({ outcomes, runtime }) =>
      names.flatMap((name) => {
        const outcome = outcomes[name] ?? "it was not tried"
        return outcome === "ok" || outcome === "–" ? [] : [`${runtime.name} ${name}: ${outcome}`]
      })
    )
    const rows = [
      ["behaviour", ...results.map(({ runtime }) => `${runtime.name} ${runtime.version}`)],
      ...names.map((name) => [name, ...results.map(({ outcomes }) => cell(outcomes[name]))])
    ]
    for (const row of rows)
      console.log(
        row
          .map((text, column) => text.padEnd(column === 0 ? 52 : 26))
          .join("")
          .trimEnd()
      )
    for (const failure of failures) console.log(`FAILED: ${failure}`)
    console.log(`${results.length} runtimes, ${failures.length} behaviours failed`)
    if (values.write) yield* Effect.promise(() => writeTable(marker, rows))
    return failures.length
  })

const isWanted = ({ name }: { readonly name: string }): boolean =>
  positionals.length === 0 || positionals.includes(name)

/** Those that are here. Names the others. */
const present = <A extends object>(found: ReadonlyArray<A | Missing>): ReadonlyArray<A> =>
  found.flatMap((runtime) => {
    if (!("missing" in runtime)) return [runtime]
    console.log(`MISSING: ${runtime.name}, for lack of ${runtime.missing}`)
    return []
  })

const program = Effect.gen(function* () {
  if (values.install) installRuntimes()
  const clients: Table = {
    marker: "behaviours",
    names: Object.keys(behaviours),
    runtimes: present(findRuntimes().filter(isWanted)).map(({ run, ...runtime }) => ({
      ...runtime,
      run: Effect.flatMap(serve, run)
    })),
    patience: "60 seconds"
  }
  const servers: Table = {
    marker: "hosts",
    names: Object.keys(hostBehaviours),
    runtimes: present(findHosts().filter(isWanted)),
    patience: "300 seconds"
  }
  const workers: Table = {
    marker: "workers",
    names: Object.keys(servedBehaviours),
    runtimes: present(findWorkers(servedBehaviours, () => "/served").filter(isWanted)),
    patience: "240 seconds"
  }
  const objects: Table = {
    marker: "durable objects",
    names: Object.keys(objectBehaviours),
    runtimes: present(findWorkers(objectBehaviours, (index) => `/object-${index}`).filter(isWanted)),
    patience: "240 seconds"
  }
  const all = { clients, servers, workers, objects }
  const tables = Object.entries(all).flatMap(([name, table]) => (values.only === name ? [table] : []))
  const failures = yield* Effect.forEach(values.only === undefined ? Object.values(all) : tables, fill)
  process.exitCode = failures.some((count) => count > 0) ? 1 : 0
})

// What the server refuses on purpose is no news.
await Effect.runPromise(Effect.provide(program, Logger.remove(Logger.defaultLogger)))
