/**
 * `pnpm bench [case…] [--rounds N] [--seconds S] [--json file] [--server name] [--profiles folder]`: measures the cases, or
 * all of them, and prints a table for each.
 */
import { Args, Command, Options } from "@effect/cli"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Option } from "effect"
import { writeFileSync } from "node:fs"
import { availableParallelism, cpus } from "node:os"
import { cases } from "./cases.js"
import { pinned } from "./ChildProcess.js"
import { measure } from "./measure.js"
import type { CaseResult, Results } from "./results.js"
import { bun } from "./subjects.js"
import { format } from "./table.js"

const names = [...new Set(cases.map(({ name }) => name))]

const command = Command.make(
  "bench",
  {
    chosen: Args.choice(names.map((name) => [name, name])).pipe(Args.withDescription(names.join(", ")), Args.repeated),
    rounds: Options.integer("rounds").pipe(
      Options.withDescription("How often each is measured"),
      Options.withDefault(7)
    ),
    seconds: Options.float("seconds").pipe(Options.withDescription("How long each time"), Options.withDefault(1)),
    json: Options.file("json").pipe(Options.withDescription("Where to write the results"), Options.optional),
    subjects: Options.text("server").pipe(Options.withDescription("Only these servers or clients"), Options.repeated),
    profiles: Options.directory("profiles").pipe(
      Options.withDescription("Where to write CPU profiles of the servers that run on Node"),
      Options.optional
    )
  },
  ({ chosen, json, profiles, rounds, seconds, subjects }) =>
    Effect.gen(function* () {
      if (bun === undefined) yield* Console.log("Bun is left out: its binary is not installed on this system.\n")
      if (!pinned) yield* Console.log("Processes are not pinned to cores: there is no taskset, or one core.\n")
      const flags = Option.match(profiles, {
        onNone: () => [],
        onSome: (folder) => ["--cpu-prof", `--cpu-prof-dir=${folder}`]
      })
      const found: Array<CaseResult> = []
      for (const one of cases) {
        if (chosen.length > 0 && !chosen.includes(one.name)) continue
        const result = yield* measure(one, { rounds, millis: seconds * 1000, flags, subjects })
        found.push(result)
        yield* Console.log(`${format(result)}\n`)
      }
      const missed = found.flatMap(({ name, rows }) =>
        rows.filter(({ holds }) => holds === false).map(({ subject }) => `${subject} in ${name}`)
      )
      yield* Console.log(missed.length === 0 ? "All targets hold." : `Targets missed: ${missed.join(", ")}.`)
      const results: Results = {
        date: new Date().toISOString().slice(0, 10),
        node: process.version,
        bun: bun === undefined ? null : "1.4.5",
        cpu: cpus()[0]?.model ?? "unknown",
        cores: availableParallelism(),
        pinned,
        rounds,
        seconds,
        cases: found
      }
      if (Option.isSome(json)) writeFileSync(json.value, `${JSON.stringify(results)}\n`)
    })
)

Command.run(command, { name: "bench", version: "0.1.0" })(process.argv).pipe(
  Effect.provide(NodeContext.layer),
  NodeRuntime.runMain
)
