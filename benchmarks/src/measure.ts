/** Runs one case against all of its subjects, one after another in each round. */
import { Effect, Either, type Scope } from "effect"
import { spawnSync } from "node:child_process"
import type { Case, Work } from "./cases.js"
import * as contestants from "./contestants.js"
import { baseline, majorOf } from "./names.js"
import { hasRedis } from "./RedisServer.js"
import type { CaseResult, Row } from "./results.js"
import { rateOf, type Sample, toRows } from "./rows.js"
import { clients, servers, type Subject } from "./subjects.js"

/**
 * Code that is not compiled yet, and its compilation, are not a cost of a message. After 1.6 seconds the ratios to `ws` no
 * longer fall; those of cases c and d fall longest. Code that runs once per connection runs a hundredth as often.
 */
const warmUpMillis = 1600
const churnWarmUpMillis = 3200
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

const warmUpOf = ({ detail, work }: Case): number =>
  detail ? detailWarmUpMillis : work._tag === "Churn" ? churnWarmUpMillis : warmUpMillis

const unitOf = ({ _tag }: Work): string => (_tag === "Memory" ? "KiB" : _tag === "Membership" ? "B" : "µs")

/** What was measured of a subject so far. */
interface Record {
  readonly subject: Subject
  readonly rounds: Array<Sample>
  readonly halfLoad: Array<number>
}

/**
 * Measures all subjects of a case. Each runs in one process, or in several ones after another that share the rounds. A process
 * warms up first. Each round has a different order of subjects. A subject that fails is left out, and the notes say why.
 */
export const measure = (one: Case, settings: contestants.Settings): Effect.Effect<CaseResult> =>
  Effect.gen(function* () {
    const { work } = one
    const notes: Array<string> = []
    const result = (rows: ReadonlyArray<Row>): CaseResult => ({
      name: one.name,
      title: one.title,
      node: settings.nodeVersion,
      unit: unitOf(work),
      sweep: one.sweep ?? null,
      rows,
      notes
    })
    if ("connections" in work && work.connections > mostConnections) {
      notes.push(`Left out: a process may not open that many files here (\`ulimit -n\`).`)
      return result([])
    }
    if ((work._tag === "Relay" || work._tag === "Recovery") && !hasRedis) {
      notes.push("Left out: there is no `redis-server` on this machine.")
      return result([])
    }
    const records = new Map(
      (contestants.isClientWork(work) ? clients : servers)
        .filter((subject) => contestants.takesPart(subject, one, settings))
        .map((subject): [string, Record] => [subject.name, { subject, rounds: [], halfLoad: [] }])
    )
    /** The value of an effect. If it fails, the subject is left out. */
    const attempt = <A>({ name }: Subject, effect: Effect.Effect<A, contestants.Failure, Scope.Scope>) =>
      Effect.map(Effect.either(effect), (outcome) => {
        if (Either.isRight(outcome)) return [outcome.right]
        records.delete(name)
        notes.push(`${name} is left out: ${outcome.left.message}`)
        return []
      })
    const processes = one.processes ?? 1
    const rounds = Math.ceil(Math.min(settings.rounds, one.rounds ?? settings.rounds) / processes)
    let halfRate: number | undefined

    const measureOnce = Effect.gen(function* () {
      const started = yield* Effect.forEach(
        [...records.values()],
        ({ subject }) => attempt(subject, contestants.make(subject, work, settings)),
        { concurrency: startAtOnce }
      )
      const all = started.flat()
      /** Calls the function for all, one after another, beginning with another one in each round. */
      const play = <A>(
        round: number,
        take: (contestant: contestants.Contestant) => Effect.Effect<A, contestants.Failure, Scope.Scope>,
        onTaken: (record: Record, value: A) => void
      ) =>
        Effect.gen(function* () {
          const turn = round % Math.max(all.length, 1)
          for (const contestant of [...all.slice(turn), ...all.slice(0, turn)]) {
            const record = records.get(contestant.subject.name)
            if (record === undefined) continue
            for (const value of yield* attempt(contestant.subject, take(contestant))) onTaken(record, value)
          }
        })
      if (unitOf(work) === "µs" && work._tag !== "Recovery") {
        const millis = warmUpOf(one) / warmUpRounds
        for (let round = 0; round < warmUpRounds; round++) {
          yield* play(
            round,
            ({ sample }) => sample(millis),
            () => {}
          )
        }
      }
      for (let round = 0; round < rounds; round++) {
        yield* play(
          round,
          ({ sample }) => sample(settings.millis),
          (record, sample) => record.rounds.push(sample)
        )
      }
      const measured = records.get(baseline)
      if (!one.halfLoad || measured === undefined) return
      halfRate ??= Math.round(rateOf(measured.rounds) / 2)
      const rate = halfRate
      for (let round = 0; round < rounds / 2; round++) {
        yield* play(
          round,
          ({ pace }) => pace?.(rate, settings.millis) ?? Effect.succeed([]),
          ({ halfLoad }, latencies) => {
            for (const latency of latencies) halfLoad.push(latency)
          }
        )
      }
    }).pipe(Effect.scoped)

    for (let process = 0; process < processes; process++) yield* measureOnce
    if (halfRate !== undefined) {
      notes.push(
        `p50 and p99 are those at half load: ${halfRate} messages per second, half of what ${baseline} can do.`
      )
    } else if (one.halfLoad) {
      notes.push(`Latency is left out: half load is half of what ${baseline} can do.`)
    }
    const samples = [...records.values()].map(({ halfLoad, rounds: found, subject }) => ({
      subject: subject.name,
      effect: subject.effect,
      rounds: found,
      roundsTogether: processes === 1 ? 1 : rounds,
      halfLoad
    }))
    return result(toRows(one.name, majorOf(settings.nodeVersion), samples))
  })
