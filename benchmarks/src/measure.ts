/** Runs one case against all of its subjects, one after another in each round. */
import { Effect, Either, type Scope } from "effect"
import { spawnSync } from "node:child_process"
import type { Case } from "./cases.js"
import * as contestants from "./contestants.js"
import { baseline, majorOf } from "./names.js"
import type { CaseResult, Row } from "./results.js"
import { rateOf, type Sample, toRows } from "./rows.js"
import { clients, servers, type Subject } from "./subjects.js"

/**
 * Code that is not compiled yet, and its compilation, are not a cost of a message. After 1.6 seconds the ratios to `ws` no
 * longer fall; those of cases c and d fall longest.
 */
const warmUpMillis = 1600
const detailWarmUpMillis = 800
const warmUpRounds = 4
/** How many processes start at the same time. */
const startAtOnce = 2

/** How many connections a process can hold, in addition to its other open files. */
const mostConnections = (() => {
  const { stdout } = spawnSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" })
  const limit = Number(stdout)
  return Number.isNaN(limit) ? Number.POSITIVE_INFINITY : limit - 200
})()

/** A subject that takes part until it fails. */
interface Participant {
  readonly contestant: contestants.Contestant
  readonly rounds: Array<Sample>
  readonly halfLoad: Array<number>
}

/**
 * Runs warm-up rounds, then the rounds that count. Each round has a different order of subjects. A subject that fails is left
 * out, and the notes say why.
 */
export const measure = (one: Case, settings: contestants.Settings): Effect.Effect<CaseResult> =>
  Effect.gen(function* () {
    const { work } = one
    const notes: Array<string> = []
    const result = (rows: ReadonlyArray<Row>): CaseResult => ({
      name: one.name,
      title: one.title,
      node: settings.nodeVersion,
      unit: work._tag === "Memory" ? "KiB" : "µs",
      sweep: one.sweep ?? null,
      rows,
      notes
    })
    if ("connections" in work && work.connections > mostConnections) {
      notes.push(`Left out: a process may not open that many files here (\`ulimit -n\`).`)
      return result([])
    }
    /** The value of an effect. If it fails, the subject is left out. */
    const attempt = <A>(subject: Subject, effect: Effect.Effect<A, contestants.Failure, Scope.Scope>) =>
      Effect.map(Effect.either(effect), (outcome) => {
        if (Either.isRight(outcome)) return [outcome.right]
        notes.push(`${subject.name} is left out: ${outcome.left.message}`)
        return []
      })
    const subjects = (contestants.isClientWork(work) ? clients : servers).filter((subject) =>
      contestants.takesPart(subject, one, settings)
    )
    const started = yield* Effect.forEach(
      subjects,
      (subject) => attempt(subject, contestants.make(subject, work, settings)),
      { concurrency: startAtOnce }
    )
    let participants: ReadonlyArray<Participant> = started
      .flat()
      .map((contestant) => ({ contestant, rounds: [], halfLoad: [] }))
    /** Calls the function for all, one after another, beginning with another one in each round. */
    const play = (
      round: number,
      take: (participant: Participant) => Effect.Effect<unknown, contestants.Failure, Scope.Scope>
    ) =>
      Effect.gen(function* () {
        const turn = round % Math.max(participants.length, 1)
        for (const participant of [...participants.slice(turn), ...participants.slice(0, turn)]) {
          const [outcome] = yield* attempt(participant.contestant.subject, Effect.as(take(participant), true))
          if (outcome === undefined) participants = participants.filter((other) => other !== participant)
        }
      })
    if (work._tag !== "Memory") {
      const millis = (one.detail ? detailWarmUpMillis : warmUpMillis) / warmUpRounds
      for (let round = 0; round < warmUpRounds; round++) {
        yield* play(round, ({ contestant }) => contestant.sample(millis))
      }
    }
    const rounds = Math.min(settings.rounds, one.rounds ?? settings.rounds)
    for (let round = 0; round < rounds; round++) {
      yield* play(round, ({ contestant, rounds }) =>
        Effect.map(contestant.sample(settings.millis), (sample) => rounds.push(sample))
      )
    }
    if (one.halfLoad) {
      const measured = participants.find(({ contestant }) => contestant.subject.name === baseline)
      if (measured === undefined) {
        notes.push(`Latency is left out: half load is half of what ${baseline} can do.`)
      } else {
        const rate = Math.round(rateOf(measured.rounds) / 2)
        notes.push(`p50 and p99 are those at half load: ${rate} messages per second, half of what ${baseline} can do.`)
        for (let round = 0; round < rounds / 2; round++) {
          yield* play(round, ({ contestant, halfLoad }) =>
            contestant.pace === undefined
              ? Effect.void
              : Effect.map(contestant.pace(rate, settings.millis), (found) => {
                  for (const latency of found) halfLoad.push(latency)
                })
          )
        }
      }
    }
    const samples = participants.map(({ contestant: { subject }, halfLoad, rounds }) => ({
      subject: subject.name,
      effect: subject.effect,
      rounds,
      halfLoad
    }))
    return result(toRows(one.name, majorOf(settings.nodeVersion), samples))
  }).pipe(Effect.scoped)
