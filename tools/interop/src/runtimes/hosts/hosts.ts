/** The hosts, and how each one serves. */
import { Effect, type Scope } from "effect"
import { start } from "../../Process.js"
import { findBinary, firstLine } from "../../programs.js"
import type { Outcomes } from "../behaviours.js"
import { bundled, versionIn, type Missing } from "../runtimes.js"
import type { HostTargets } from "./app.js"
import { runHost, type HostAbilities, type Serving } from "./behaviours.js"
import { runFacts } from "./facts.js"

/** A host that is here. */
export interface HostRuntime {
  readonly name: string
  readonly version: string
  /** The outcomes of the behaviours. */
  readonly run: Effect.Effect<Outcomes, Error, Scope.Scope>
  /** What was seen of each fact. */
  readonly facts: Effect.Effect<Outcomes, Error, Scope.Scope>
}

const node: HostAbilities = { ping: true, pause: true, stops: true, awaitsClose: true, drops: true, follows: true }
const bun: HostAbilities = { ...node, awaitsClose: false, follows: false }
const deno: HostAbilities = { ...bun, ping: false, pause: false, stops: false, awaitsClose: true, drops: false }

/** Starts a host, and does something with what it serves. */
const served =
  (
    abilities: HostAbilities,
    entry: string,
    platform: "browser" | "node",
    program: string,
    ...args: ReadonlyArray<string>
  ) =>
  (using: (serving: Serving) => Effect.Effect<Outcomes>) =>
    Effect.gen(function* () {
      const { file } = yield* bundled(entry, platform)
      const process = yield* start(program, [...args, file])
      const line = Effect.flatMap(process.nextLine, (line) =>
        line === undefined
          ? Effect.fail(new Error(`It ended: ${process.printed().slice(-2000)}`))
          : Effect.succeed(line)
      )
      const targets: HostTargets = JSON.parse(yield* line)
      const turn = yield* Effect.makeSemaphore(1)
      const ask = (text: string) =>
        turn.withPermits(1)(
          Effect.zipRight(
            Effect.sync(() => process.write(text)),
            line
          )
        )
      const outcomes = yield* using({ targets, abilities, ask })
      if (process.child.exitCode !== null) return yield* Effect.fail(new Error(process.printed().slice(-2000)))
      return outcomes
    })

export const findHosts = (): ReadonlyArray<HostRuntime | Missing> => {
  const found = (
    name: string,
    program: string | undefined,
    missing: string,
    serve: (program: string) => ReturnType<typeof served>
  ): HostRuntime | Missing =>
    program === undefined
      ? { name, missing }
      : {
          name,
          version: versionIn(firstLine(program, ["--version"])),
          run: serve(program)(runHost),
          facts: serve(program)(runFacts)
        }
  return [
    found("Node", process.execPath, "", (program) => served(node, "nodeServer", "node", program)),
    found("Bun", findBinary("bun"), "the npm package @oven/bun-*", (program) =>
      served(bun, "bunServer", "browser", program, "run")
    ),
    found("Deno", findBinary("deno"), "the npm package @deno/*", (program) =>
      served(deno, "denoServer", "browser", program, "run", "--allow-net", "--no-config")
    )
  ]
}
