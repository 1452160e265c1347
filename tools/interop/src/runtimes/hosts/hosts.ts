/** The hosts, and how each one serves. */
import { Effect, type Scope } from "effect"
import { start } from "../../Process.js"
import { findBinary, firstLine } from "../../programs.js"
import type { Observed, Shown } from "../observe.js"
import { bundled, versionIn, type Missing } from "../runtimes.js"
import type { HostTargets } from "./app.js"
import { tryHost, type HostAbilities, type Serving } from "./behaviours.js"
import { observeHost } from "./facts.js"

/** A host that is here. */
export interface HostRuntime {
  readonly name: string
  readonly version: string
  readonly run: Effect.Effect<Shown, Error, Scope.Scope>
}

const bun: HostAbilities = { ping: true, pause: true, stops: true, awaitsClose: false, drops: true }
const deno: HostAbilities = { ping: false, pause: false, stops: false, awaitsClose: true, drops: false }

/** How a host runs a file. */
type Command = readonly [program: string, ...args: ReadonlyArray<string>]

/** Starts a host, and observes what it serves. */
const observed = ([program, ...args]: Command, file: string, observe: (serving: Serving) => Effect.Effect<Observed>) =>
  Effect.gen(function* () {
    const process = yield* start(program, [...args, file])
    const line = Effect.flatMap(process.nextLine, (line) =>
      line === undefined ? Effect.fail(new Error(`It ended: ${process.printed().slice(-2000)}`)) : Effect.succeed(line)
    )
    const targets: HostTargets = JSON.parse(yield* line)
    // One after another, so that an answer is that of its command.
    const turn = yield* Effect.makeSemaphore(1)
    const ask = (text: string) =>
      turn.withPermits(1)(
        Effect.zipRight(
          Effect.sync(() => process.write(text)),
          line
        )
      )
    const shown = yield* observe({ targets, ask })
    if (process.child.exitCode !== null) return yield* Effect.fail(new Error(process.printed().slice(-2000)))
    return shown
  })

/** Behaviours and facts at the same time, each in a process of its own. Facts take little of the processor. */
const run = (entry: string, abilities: HostAbilities, command: Command): HostRuntime["run"] =>
  Effect.gen(function* () {
    const { file } = yield* bundled(entry)
    const behaviours = observed(command, file, (serving) => tryHost({ ...serving, abilities }))
    return yield* Effect.all({ behaviours, facts: observed(command, file, observeHost) }, { concurrency: 2 })
  })

/** The facts of our own server on Node. Its behaviours are those of the tests of the package. */
const runNode: HostRuntime["run"] = Effect.gen(function* () {
  const { file } = yield* bundled("nodeServer", "node")
  return { facts: yield* observed([process.execPath], file, observeHost) }
})

export const findHosts = (): ReadonlyArray<HostRuntime | Missing> => {
  const found = (
    name: string,
    program: string | undefined,
    missing: string,
    runWith: (program: string) => HostRuntime["run"]
  ): HostRuntime | Missing =>
    program === undefined
      ? { name, missing }
      : { name, version: versionIn(firstLine(program, ["--version"])), run: runWith(program) }
  return [
    { name: "Node", version: process.versions.node, run: runNode },
    found("Bun", findBinary("bun"), "the npm package @oven/bun-*", (program) =>
      run("bunServer", bun, [program, "run"])
    ),
    found("Deno", findBinary("deno"), "the npm package @deno/*", (program) =>
      run("denoServer", deno, [program, "run", "--allow-net", "--no-config"])
    )
  ]
}
