/**
 * `pnpm bench [case…] [--rounds N] [--seconds S] [--json file] [--server name] [--effect 3|4] [--node file]
 * [--gc-threads]
 * [--profiles folder]`: measures the cases, or all of them, and prints a table for each.
 */
import { Args, Command, Options } from "@effect/cli"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Option } from "effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os"
import { dirname } from "node:path"
import { cases } from "./cases.js"
import { pinned } from "./ChildProcess.js"
import { measure } from "./measure.js"
import type { CaseResult, Results } from "./results.js"
import { bun, effects, versions } from "./subjects.js"
import { format, summary } from "./table.js"

const names = [...new Set(cases.map(({ name }) => name))]

const command = Command.make(
  "bench",
  {
    chosen: Args.choice(names.map((name) => [name, name])).pipe(Args.withDescription(names.join(", ")), Args.repeated),
    rounds: Options.integer("rounds").pipe(
      Options.withDescription("How often each is measured; clients and sweeps at most three times, memory twice"),
      Options.withDefault(5)
    ),
    seconds: Options.float("seconds").pipe(Options.withDescription("How long each time"), Options.withDefault(0.5)),
    json: Options.file("json").pipe(Options.withDescription("Where to write the results"), Options.optional),
    subjects: Options.text("server").pipe(Options.withDescription("Only these servers or clients"), Options.repeated),
    effects: Options.choice("effect", effects).pipe(
      Options.withDescription("Only the library on this version of Effect"),
      Options.repeated
    ),
    node: Options.file("node", { exists: "yes" }).pipe(
      Options.withDescription("Another Node, which runs what is measured"),
      Options.optional
    ),
    gcThreads: Options.boolean("gc-threads").pipe(
      Options.withDescription("V8's garbage collector keeps its helper threads where it shares one core with them")
    ),
    profiles: Options.directory("profiles").pipe(
      Options.withDescription("Where to write CPU profiles of the servers that run on Node"),
      Options.optional
    )
  },
  ({ chosen, effects: only, gcThreads, json, node, profiles, rounds, seconds, subjects }) =>
    Effect.gen(function* () {
      if (bun === undefined) yield* Console.log("Bun is left out: its binary is not installed on this system.\n")
      if (!pinned) yield* Console.log("Processes are not pinned to cores: there is no taskset, or one core.\n")
      const singleThreadedGc = pinned && !gcThreads
      const flags = [
        // On one core, the helper threads delay each other and the program by random amounts.
        ...(singleThreadedGc ? ["--single-threaded-gc"] : []),
        ...Option.match(profiles, {
          onNone: () => [],
          onSome: (folder) => ["--cpu-prof", `--cpu-prof-dir=${folder}`]
        })
      ]
      const start = performance.now()
      const load = loadavg()[0] ?? Number.NaN
      const executable = Option.getOrUndefined(node)
      const minutes = () => (performance.now() - start) / 60_000
      const version =
        executable === undefined ? process.version : execFileSync(executable, ["--version"]).toString().trim()
      const found: Array<CaseResult> = []
      const results = (): Results => ({
        date: new Date().toISOString().slice(0, 10),
        minutes: minutes(),
        node: version,
        versions,
        system: `${type()} ${release()}`,
        cpu: cpus()[0]?.model ?? "unknown",
        cores: availableParallelism(),
        memoryGibibytes: Math.round(totalmem() / 2 ** 30),
        load,
        pinned,
        singleThreadedGc,
        rounds,
        seconds,
        cases: found
      })
      for (const one of cases) {
        if (chosen.length > 0 && !chosen.includes(one.name)) continue
        const settings = {
          rounds,
          millis: seconds * 1000,
          flags,
          node: executable,
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
      yield* Console.log(`${summary(found)}\n${minutes().toFixed(1)} minutes.`)
    })
)

Command.run(command, { name: "bench", version: "0.1.0" })(process.argv).pipe(
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain
)
