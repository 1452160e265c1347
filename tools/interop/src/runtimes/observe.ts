/** What is observed in a runtime. It runs in all of them, so it imports nothing of Node. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** The rows of one table, as one runtime showed them. */
export interface Observed {
  /** What a row shows: "ok" for a behaviour that holds, and a few words for a fact. */
  readonly cells: Readonly<Record<string, string>>
  /** What went wrong with the rows that have no cell. */
  readonly failures: Readonly<Record<string, string>>
}

/** What one run of a runtime showed, of the tables that it has a column in. */
export interface Shown {
  readonly behaviours?: Observed
  readonly facts?: Observed
}

/** A behaviour that the runtime cannot have fails with it. */
export const notHere = Symbol("notHere")

/** Makes the observations one after another, or several at once. A behaviour has nothing to tell beyond that it holds. */
export const observeAll = (
  observations: Readonly<Record<string, Effect.Effect<string | void, unknown>>>,
  concurrency = 1
): Effect.Effect<Observed> =>
  Effect.gen(function* () {
    const cells: Record<string, string> = {}
    const failures: Record<string, string> = {}
    const exits = yield* Effect.forEach(
      Object.entries(observations),
      ([name, observation]) => Effect.map(Effect.exit(observation), (exit) => [name, exit] as const),
      { concurrency }
    )
    for (const [name, exit] of exits) {
      if (Exit.isSuccess(exit)) cells[name] = exit.value ?? "ok"
      else if (Cause.squash(exit.cause) === notHere) cells[name] = "–"
      else failures[name] = (Cause.pretty(exit.cause).split(/\n +at /)[0] ?? "").trim()
    }
    return { cells, failures }
  })

/** The same for each value of a record. */
export const mapRecord = <A, B>(
  record: Readonly<Record<string, A>>,
  map: (value: A, index: number) => B
): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([name, value], index) => [name, map(value, index)]))

/** The field that tells an error from the others of its name. */
const details: Readonly<Record<string, string>> = {
  Connection_closed: "code",
  Handshake_rejected: "status",
  Io_error: "reason",
  Payload_too_large: "limit"
}

/** An error in the words of the page: its class, and what tells it from the others of its class. */
export const errorWords = (error: unknown): string => {
  const tag: unknown = Reflect.get(Object(error), "_tag")
  if (typeof tag !== "string") return "another failure"
  const name = tag.replaceAll(/(?:^|_)(.)/g, (_, letter: string) => letter.toUpperCase())
  const detail: unknown = Reflect.get(Object(error), details[tag] ?? "")
  return detail === undefined ? `\`${name}\`` : `\`${name}\` (\`${String(detail)}\`)`
}

/** What an effect says, or the error that it fails with, in the words of the page. */
export const words = <E, R>(effect: Effect.Effect<string, E, R>): Effect.Effect<string, never, R> =>
  Effect.catchAll(effect, (error) => Effect.succeed(errorWords(error)))

/** One cell for several things: their words, once each. */
export const together = (cells: ReadonlyArray<string>): string => [...new Set(cells)].join("; ")
