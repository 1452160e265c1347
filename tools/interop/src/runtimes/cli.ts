/**
 * `pnpm test:runtimes [--install] [--write] [--only clients | servers | workers | objects] [name ...]`: tries every behaviour of a
 * client in every runtime that is there, against our server on Node, and every behaviour of a server in every host, in Workers and in
 * Durable Objects, with our client on Node. It also observes facts: what differs from one runtime to the next.
 * `--install` first installs what is missing, and `--write` writes the tables of docs/runtimes.md. Without it, the tables of the page are
 * compared with what was seen. Fails if a behaviour fails, if a fact cannot be observed, or if the page says something else.
 */
import { Cause, Effect, Exit, type Scope } from "effect"
import { parseArgs } from "node:util"
import { runMain } from "../main.js"
import { settle } from "../page.js"
import { installRuntimes } from "../programs.js"
import { behaviours } from "./behaviours.js"
import { facts } from "./facts.js"
import { hostBehaviours } from "./hosts/behaviours.js"
import { hostFacts } from "./hosts/facts.js"
import { findHosts } from "./hosts/hosts.js"
import type { Shown } from "./observe.js"
import { findRuntimes, type Missing } from "./runtimes.js"
import { serve } from "./server.js"
import { objectFacts } from "./workers/objectFacts.js"
import { objectBehaviours } from "./workers/objects.js"
import { servedBehaviours } from "./workers/served.js"
import { servedFacts } from "./workers/servedFacts.js"
import { findObjects, findServed } from "./workers/workers.js"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    install: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    only: { type: "string" }
  }
})

/** A table of the page: the rows that each runtime shows in one run. */
interface Table {
  readonly marker: string
  readonly shows: keyof Shown
  /** What the head of the first column says. */
  readonly head: string
  readonly rows: ReadonlyArray<string>
}

const behaviourTable = (marker: string, behaviours: object): Table => ({
  marker,
  shows: "behaviours",
  head: "behaviour",
  rows: Object.keys(behaviours)
})

const factTable = (marker: string, facts: object): Table => ({
  marker,
  shows: "facts",
  head: "what",
  rows: Object.keys(facts)
})

/** The tables that the same runtimes fill. */
interface Suite {
  readonly tables: ReadonlyArray<Table>
  readonly runtimes: ReadonlyArray<Trial | Missing>
  /** How many of them run at the same time. Most of the time they wait. */
  readonly atOnce: number
  /** How long one runtime may take. */
  readonly patience: "90 seconds" | "240 seconds" | "300 seconds"
}

interface Trial {
  readonly name: string
  readonly version: string
  readonly run: Effect.Effect<Shown, Error, Scope.Scope>
}

/** A runtime that ran, with what it showed. */
interface Tried {
  readonly runtime: Trial
  readonly shown: Shown
}

const isWanted = ({ name }: { readonly name: string }): boolean =>
  positionals.length === 0 || positionals.includes(name)

const print = (rows: ReadonlyArray<ReadonlyArray<string>>): void => {
  for (const row of rows) {
    const cells = row.map((text, column) => text.padEnd(column === 0 ? 52 : 30))
    console.log(cells.join("").trimEnd())
  }
}

/** Prints a table, and then writes it or compares it with the page. Returns what is wrong. */
const finish = ({ head, marker, rows, shows }: Table, tried: ReadonlyArray<Tried>, leftOut: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const shown = tried.flatMap(({ runtime, shown }) => {
      const observed = shown[shows]
      return observed === undefined ? [] : [{ ...runtime, ...observed }]
    })
    const rowsWith = (failed: string) => [
      [head, ...shown.map(({ name, version }) => `${name} ${version}`)],
      ...rows.map((row) => [row, ...shown.map(({ cells }) => cells[row] ?? failed)])
    ]
    print(rowsWith("FAIL"))
    const failures = shown.flatMap(({ cells, failures, name }) =>
      rows.flatMap((row) => (row in cells ? [] : [`${name}, ${row}: ${failures[row] ?? "it was not tried"}`]))
    )
    if (values.write && failures.length > 0) return failures
    const table = { page: "runtimes.md", mark: marker, rows: rowsWith(""), missing: leftOut }
    return [...failures, ...(yield* Effect.promise(() => settle(table, values.write)))]
  })

/** Tries the runtimes of a suite. */
const tryRuntimes = ({ atOnce, patience, runtimes, tables }: Suite) =>
  Effect.gen(function* () {
    for (const runtime of runtimes) {
      if ("missing" in runtime) console.log(`MISSING: ${runtime.name}, for lack of ${runtime.missing}`)
    }
    const exits = yield* Effect.forEach(
      runtimes.flatMap((runtime) => ("missing" in runtime || !isWanted(runtime) ? [] : [runtime])),
      (runtime) =>
        Effect.map(Effect.exit(Effect.timeout(Effect.scoped(runtime.run), patience)), (exit) => ({ runtime, exit })),
      { concurrency: atOnce }
    )
    const tried = exits.flatMap(({ exit, runtime }) => (Exit.isSuccess(exit) ? [{ runtime, shown: exit.value }] : []))
    // Those could not try anything.
    const wrong = exits.flatMap(({ exit, runtime }) =>
      Exit.isFailure(exit) ? [`${runtime.name}: ${Cause.pretty(exit.cause)}`] : []
    )
    const names = new Set(tried.map(({ runtime }) => runtime.name))
    const leftOut = runtimes.map(({ name }) => name).filter((name) => !names.has(name))
    return { tables, tried, leftOut, wrong }
  })

/** Prints, compares or writes the tables of a suite. Returns how much is wrong. */
const conclude = ({ leftOut, tables, tried, wrong }: Effect.Effect.Success<ReturnType<typeof tryRuntimes>>) =>
  Effect.gen(function* () {
    const found = yield* Effect.forEach(tables, (table) => finish(table, tried, leftOut))
    const all = [...wrong, ...found.flat()]
    for (const each of all) console.log(`FAILED: ${each}`)
    console.log(`${tried.length} runtimes, ${all.length} failures`)
    return all.length
  })

const program = Effect.gen(function* () {
  if (values.install) installRuntimes()
  const clients: Suite = {
    tables: [behaviourTable("behaviours", behaviours), factTable("client facts", facts)],
    runtimes: findRuntimes().map((runtime) =>
      "missing" in runtime ? runtime : { ...runtime, run: Effect.flatMap(serve, runtime.run) }
    ),
    atOnce: 2,
    patience: "90 seconds"
  }
  const servers: Suite = {
    tables: [behaviourTable("hosts", hostBehaviours), factTable("host facts", hostFacts)],
    runtimes: findHosts(),
    atOnce: 1,
    patience: "300 seconds"
  }
  const workers: Suite = {
    tables: [behaviourTable("workers", servedBehaviours), factTable("worker facts", servedFacts)],
    runtimes: findServed(),
    atOnce: 3,
    patience: "240 seconds"
  }
  const objects: Suite = {
    tables: [behaviourTable("durable objects", objectBehaviours), factTable("durable object facts", objectFacts)],
    runtimes: findObjects(),
    atOnce: 2,
    patience: "240 seconds"
  }
  const all = { clients, objects, workers, servers }
  const suites = Object.entries(all).flatMap(([name, suite]) =>
    values.only === undefined || values.only === name ? [suite] : []
  )
  // The Workers and objects mostly wait. The page is written by one suite after another.
  const tried = yield* Effect.forEach(suites, tryRuntimes, { concurrency: 2 })
  const wrong = yield* Effect.forEach(tried, conclude)
  process.exitCode = wrong.some((count) => count > 0) ? 1 : 0
})

await runMain(program)
