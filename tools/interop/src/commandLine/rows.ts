/** What is tried with each command, and how what was seen becomes the words of a cell. */
import { Effect, type Scope } from "effect"
import type { Client, Wish } from "./clients.js"
import type { Run } from "./Run.js"

export type Row = (client: Client) => Effect.Effect<string, unknown, Scope.Scope>

const code = (text: string): string => `\`${text}\``

/** Whether something happens while a command runs. */
export const whileRunning = <E, R>(run: Run, happens: Effect.Effect<unknown, E, R>): Effect.Effect<boolean, E, R> =>
  Effect.raceFirst(Effect.as(happens, true), Effect.as(run.status, false))

/** Whether a command does something by itself, only with an option, or not at all. */
export const unlessAsked =
  (
    wish: Wish,
    value: string,
    does: (client: Client, options: ReadonlyArray<string>) => Effect.Effect<boolean, unknown, Scope.Scope>
  ): Row =>
  (client) =>
    Effect.gen(function* () {
      if (yield* Effect.scoped(does(client, []))) return "by default"
      const options = client.optionsFor(wish, value)
      if (options === undefined || !(yield* Effect.scoped(does(client, options)))) return "no"
      return `with ${code(options.filter((option) => option !== value).join(" "))}`
    })
