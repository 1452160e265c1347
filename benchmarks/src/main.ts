/**
 * `pnpm bench [case…|topics] [--rounds N] [--seconds S] [--json file] [--server name] [--effect 3|4] [--node file]
 * [--single-threaded-gc] [--profiles folder]`: measures the cases, or all of them, on each Node, and prints a table for each.
 */
import { Args, Command, Options } from "@effect/cli"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Option } from "effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os"
import { dirname } from "node:path"
import { type Case, cases } from "./cases.js"
import { measure } from "./measure.js"
import { effects } from "./names.js"
import type { CaseResult, Results } from "./results.js"
import { bun, versions } from "./subjects.js"
import { align, format, headline, noise, summary } from "./table.js"

const names = [...new Set(cases.flatMap(({ name, suite }) => (suite === undefined ? [name] : [suite, name])))]

/** Whether a case was asked for. Without a name, all cases are that belong to no suite. */
const isChosen = ({ name, suite }: Case, chosen: ReadonlyArray<string>): boolean =>
  chosen.length === 0 ? suite === undefined : chosen.includes(name) || (suite !== undefined && chosen.includes(suite))

const command = Command.make(
  "bench",
  {
    chosen: Args.choice(names.map((name) => [name, name])).pipe(Args.withDescription(names.join(", ")), Args.repeated),
    rounds: Options.integer("rounds").pipe(
      Options.withDescription("How often each is measured; details at most five times, memory twice"),
      Options.withDefault(8)
    ),
    seconds: Options.float("seconds").pipe(Options.withDescription("How long each time"), Options.withDefault(0.15)),
    json: Options.file("json").pipe(Options.withDescription("Where to write the results"), Options.optional),
    subjects: Options.text("server").pipe(Options.withDescription("Only these servers or clients"), Options.repeated),
    effects: Options.choice("effect", effects).pipe(
      Options.withDescription("Only the library on this version of Effect"),
      Options.repeated
    ),
    node: Options.file("node", { exists: "yes" }).pipe(
      Options.withDescription("A Node that runs what is measured; without one, this Node"),
      Options.repeated
    ),
    singleThreadedGc: Options.boolean("single-threaded-gc").pipe(
      Options.withDescription("V8's garbage collector has no helper threads, which it has by default")
    ),
    profiles: Options.directory("profiles").pipe(
      Options.withDescription("Where to write CPU profiles of the servers that run on Node"),
      Options.optional
    )
  },
  ({ chosen, effects: only, json, node, profiles, rounds, seconds, singleThreadedGc, subjects }) =>
    Effect.gen(function* () {
      if (bun === undefined) yield* Console.log("Bun is left out: its binary is not installed on this system.\n")
      const flags = [
        ...(singleThreadedGc ? ["--single-threaded-gc"] : []),
        ...Option.match(profiles, {
          onNone: () => [],
          onSome: (folder) => ["--cpu-prof", `--cpu-prof-dir=${folder}`]
        })
      ]
      const start = performance.now()
      const load = loadavg()[0] ?? Number.NaN
      const nodes = (node.length === 0 ? [process.execPath] : node).map((file) => ({
        node: file,
        nodeVersion: execFileSync(file, ["--version"], { encoding: "utf8" }).trim()
      }))
      const minutes = () => (performance.now() - start) / 60_000
      const found: Array<CaseResult> = []
      const results = (): Results => ({
        date: new Date().toISOString().slice(0, 10),
        minutes: minutes(),
        nodes: nodes.map(({ nodeVersion }) => nodeVersion),
        versions,
        system: `${type()} ${release()}`,
        cpu: cpus()[0]?.model ?? "unknown",
        cores: availableParallelism(),
        memoryGibibytes: Math.round(totalmem() / 2 ** 30),
        load,
        singleThreadedGc,
        rounds,
        seconds,
        cases: found
      })
      for (const one of cases) {
        if (!isChosen(one, chosen)) continue
        for (const each of one.detail ? nodes.slice(0, 1) : nodes) {
          const settings = {
            ...each,
            rounds,
            millis: seconds * 1000,
            flags,
            subjects,
            effects: only.length === 0 ? effects : only
          }
          const result = yield* measure(one, settings)
          found.push(result)
          // Written after each case, so that a stopped run keeps its results.
          if (Option.isSome(json)) {
            mkdirSync(dirname(json.value), { recursive: true })
            writeFileSync(json.value, `${JSON.stringify(results())}\n`)
          }
          yield* Console.log(`${format(result)}\n`)
        }
      }
      for (const { nodeVersion } of nodes) {
        const own = found.filter((result) => result.node === nodeVersion)
        const { count, missed } = summary(nodeVersion, own)
        yield* Console.log(`${align(headline(own))}\n\n${[count, ...missed].join("\n  ")}\n`)
      }
      yield* Console.log(`${noise(found)}\n${minutes().toFixed(1)} minutes.`)
    })
)

Command.run(command, { name: "bench", version: "0.1.0" })(process.argv).pipe(
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain
)
