/** The hosts, and how each one serves. */
import { Effect, type Scope } from "effect"
import { start } from "../../Process.js"
import { findBinary, firstLine } from "../../programs.js"
import type { Shown } from "../observe.js"
import { bundled, versionIn, type Missing } from "../runtimes.js"
import type { HostTargets } from "./app.js"
import { tryHost, type HostAbilities } from "./behaviours.js"

/** A host that is here. */
export interface HostRuntime {
  readonly name: string
  readonly version: string
  readonly run: Effect.Effect<Shown, Error, Scope.Scope>
}

const bun: HostAbilities = { ping: true, pause: true, stops: true, awaitsClose: false, drops: true }
const deno: HostAbilities = { ping: false, pause: false, stops: false, awaitsClose: true, drops: false }

const command = (entry: string, abilities: HostAbilities, program: string, ...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { file } = yield* bundled(entry)
    const process = yield* start(program, [...args, file])
    const line = Effect.flatMap(process.nextLine, (line) =>
      line === undefined ? Effect.fail(new Error(`It ended: ${process.printed().slice(-2000)}`)) : Effect.succeed(line)
    )
    const targets: HostTargets = JSON.parse(yield* line)
    const ask = (text: string) =>
      Effect.zipRight(
        Effect.sync(() => process.write(text)),
        line
      )
    const behaviours = yield* tryHost({ targets, abilities, ask })
    if (process.child.exitCode !== null) return yield* Effect.fail(new Error(process.printed().slice(-2000)))
    return { behaviours }
  })

export const findHosts = (): ReadonlyArray<HostRuntime | Missing> => {
  const found = (
    name: string,
    program: string | undefined,
    missing: string,
    run: (program: string) => HostRuntime["run"]
  ): HostRuntime | Missing =>
    program === undefined
      ? { name, missing }
      : { name, version: versionIn(firstLine(program, ["--version"])), run: run(program) }
  return [
    found("Bun", findBinary("bun"), "the npm package @oven/bun-*", (program) =>
      command("bunServer", bun, program, "run")
    ),
    found("Deno", findBinary("deno"), "the npm package @deno/*", (program) =>
      command("denoServer", deno, program, "run", "--allow-net", "--no-config")
    )
  ]
}
