/** Runs one case against all of its subjects, in turns. */
import { Effect, Schema, type Scope } from "effect"
import { checkEchoes, type NotEqual } from "./equality.js"
import type { Case, Work } from "./cases.js"
import * as ChildProcess from "./ChildProcess.js"
import { Port, Result, type Request } from "./load/requests.js"
import type { CaseResult, Row } from "./results.js"
import { median, quantile, spread } from "./statistics.js"
import { baseline, clients, floor, servers, type Subject } from "./subjects.js"

export interface Settings {
  readonly rounds: number
  readonly millis: number
  /** Node's options for the measured processes. */
  readonly flags: ReadonlyArray<string>
  readonly subjects: ReadonlyArray<string>
}

type Failure = ChildProcess.ChildFailed | NotEqual

// What is compiled meanwhile, on other threads, is no cost of a message.
const warmUpRounds = 3

const serverCore = 0
const loadCore = 1

const Usage = Schema.Struct({
  cpu: Schema.Number,
  heap: Schema.Number,
  external: Schema.Number,
  resident: Schema.Number
})
const CountedUsage = Schema.Struct({ ...Usage.fields, count: Schema.Number })

/** What one round found of one subject. */
interface Sample {
  readonly value: number
  readonly messages: number
  readonly millis: number
  readonly cpu: number
  readonly loadCpu: number
  readonly latencies: ReadonlyArray<number>
}

/** A subject that is ready to be measured again and again. */
interface Contestant {
  readonly subject: Subject
  readonly sample: Effect.Effect<Sample, Failure>
}

const startLoad = ChildProcess.make({ file: "load/main", core: loadCore })

const startServer = (subject: Subject, work: Work, flags: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const maxMessageBytes = "shape" in work ? Math.max(work.shape.bytes, 1024 * 1024) : 1024 * 1024
    const child = yield* ChildProcess.make({
      ...subject,
      core: serverCore,
      flags,
      arguments: [
        ...(subject.arguments ?? []),
        ...(work._tag === "Broadcast" ? ["--broadcast"] : []),
        ...(isCompressed(work) ? ["--compression"] : []),
        ...(work._tag === "Memory" && work.heartbeat ? ["--heartbeat"] : []),
        "--max-message-bytes",
        String(maxMessageBytes)
      ]
    })
    const { port } = yield* child.next(Port)
    return { child, port }
  })

const isCompressed = (work: Work): boolean =>
  work._tag === "Memory" ? work.compressed : "shape" in work && work.shape.compressed

const ask = (load: ChildProcess.ChildProcess, request: Request) => load.ask(request, Result)

/** Measures the CPU time that a process uses while something runs. Everything is at rest before and after. */
const during = (child: ChildProcess.ChildProcess, work: Effect.Effect<Result, Failure>) =>
  Effect.gen(function* () {
    const before = yield* child.ask("usage", Usage)
    const result = yield* work
    const after = yield* child.ask("usage", Usage)
    return sampleOf(after.cpu - before.cpu, result)
  })

const sampleOf = (cpu: number, { cpu: loadCpu, latencies, messages, millis }: Result): Sample => ({
  value: cpu / messages,
  messages,
  millis,
  cpu,
  loadCpu,
  latencies
})

const serverContestant = (
  subject: Subject,
  work: Exclude<Work, { readonly _tag: "Client" }>,
  settings: Settings,
  rateOf: Effect.Effect<number, Failure>
): Effect.Effect<Contestant, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    if (work._tag === "Memory") return { subject, sample: idleSample(subject, work, settings) }
    const { child, port } = yield* startServer(subject, work, settings.flags)
    const load = yield* startLoad
    if (subject.echoesFrames && "shape" in work && work._tag !== "Broadcast") {
      yield* checkEchoes(subject.name, port, work.shape)
    }
    const compressed = isCompressed(work)
    const { millis } = settings
    const connected = <A>(sample: Effect.Effect<A, Failure>) =>
      Effect.gen(function* () {
        yield* ask(load, { _tag: "Open", port, connections: work.connections, compressed })
        const found = yield* sample
        yield* ask(load, { _tag: "Close" })
        return found
      })
    switch (work._tag) {
      case "Echo": {
        const { inFlight, shape } = work
        return { subject, sample: connected(during(child, ask(load, { _tag: "Exchange", shape, inFlight, millis }))) }
      }
      case "Broadcast":
        return {
          subject,
          sample: connected(during(child, ask(load, { _tag: "Broadcast", shape: work.shape, millis })))
        }
      case "Churn": {
        const { connections, shape } = work
        return { subject, sample: during(child, ask(load, { _tag: "Churn", port, connections, shape, millis })) }
      }
      case "Latency":
        return {
          subject,
          sample: Effect.flatMap(rateOf, (rate) =>
            connected(during(child, ask(load, { _tag: "Pace", shape: work.shape, rate, millis })))
          )
        }
      case "Fairness": {
        const { inFlight, shape } = work
        const intervalMillis = 5
        return {
          subject,
          sample: connected(during(child, ask(load, { _tag: "Beside", shape, inFlight, intervalMillis, millis })))
        }
      }
    }
  })

/** Bytes of one of many connections, in a process of its own each time. */
const idleSample = (subject: Subject, work: Work & { readonly _tag: "Memory" }, settings: Settings) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { child, port } = yield* startServer(subject, work, settings.flags)
      const load = yield* startLoad
      const warmUp = 100
      const { compressed, connections } = work
      // Code is compiled and pools are filled by the first connections.
      yield* ask(load, { _tag: "Open", port, connections: warmUp, compressed })
      const before = yield* child.ask("idle", Usage)
      yield* ask(load, { _tag: "Open", port, connections: warmUp + connections, compressed })
      yield* Effect.sleep("200 millis")
      const after = yield* child.ask("idle", Usage)
      const heap = after.heap + after.external - before.heap - before.external
      // Another runtime's report of its heap means something else.
      const bytes = subject.isNode ? heap : after.resident - before.resident
      return { value: bytes / connections / 1024, messages: 0, millis: 0, cpu: 0, loadCpu: 0, latencies: [] }
    })
  )

const clientContestant = (
  subject: Subject,
  { shape }: Work & { readonly _tag: "Client" },
  settings: Settings
): Effect.Effect<Contestant, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const load = yield* startLoad
    const { port } = yield* load.ask({ _tag: "Serve" } satisfies Request, Port)
    const child = yield* ChildProcess.make({
      ...subject,
      core: serverCore,
      flags: settings.flags,
      environment: { ...subject.environment, BENCHMARK_PORT: String(port) }
    })
    yield* child.next(Port)
    const usage = child.ask("usage", CountedUsage)
    const counted = (count: number): Effect.Effect<typeof CountedUsage.Type, Failure> =>
      Effect.flatMap(usage, (found) =>
        found.count >= count ? Effect.succeed(found) : Effect.delay(counted(count), "5 millis")
      )
    return {
      subject,
      sample: Effect.gen(function* () {
        const before = yield* usage
        const result = yield* ask(load, { _tag: "Pour", shape, millis: settings.millis })
        const after = yield* counted(before.count + result.messages)
        return sampleOf(after.cpu - before.cpu, result)
      })
    }
  })

const takesPart = (subject: Subject, { only, work }: Case, settings: Settings): boolean =>
  (only === undefined || only.includes(subject.name)) &&
  (settings.subjects.length === 0 || settings.subjects.includes(subject.name)) &&
  (!isCompressed(work) || subject.compresses) &&
  (work._tag !== "Broadcast" || subject.broadcasts)

/** What the baseline can do in a second, halved. */
const halfLoad = (connections: number, work: Work & { readonly _tag: "Latency" }, settings: Settings) =>
  Effect.gen(function* () {
    const subject = servers.find(({ name }) => name === baseline)!
    const { child, port } = yield* startServer(subject, work, settings.flags)
    const load = yield* startLoad
    yield* ask(load, { _tag: "Open", port, connections, compressed: false })
    const exchange = during(
      child,
      ask(load, { _tag: "Exchange", shape: work.shape, inFlight: 1, millis: settings.millis })
    )
    yield* exchange
    const { messages, millis } = yield* exchange
    return Math.round((messages * 1000) / millis / 2)
  }).pipe(Effect.scoped)

/** Rounds that do not count, and then the others. In each the subjects begin in another order. */
export const measure = (one: Case, settings: Settings): Effect.Effect<CaseResult, Failure> =>
  Effect.gen(function* () {
    const { work } = one
    const rateOf =
      work._tag === "Latency"
        ? yield* Effect.cached(halfLoad(work.connections, work, settings))
        : Effect.succeed(Number.NaN)
    const contestants = yield* Effect.forEach(
      (work._tag === "Client" ? clients : servers).filter((subject) => takesPart(subject, one, settings)),
      (subject) =>
        work._tag === "Client"
          ? clientContestant(subject, work, settings)
          : serverContestant(subject, work, settings, rateOf)
    )
    const samples = new Map(contestants.map(({ subject }) => [subject.name, new Array<Sample>()]))
    if (work._tag !== "Memory") {
      for (let round = 0; round < warmUpRounds; round++) for (const { sample } of contestants) yield* sample
    }
    for (let round = 0; round < settings.rounds; round++) {
      const turn = round % Math.max(contestants.length, 1)
      for (const { sample, subject } of [...contestants.slice(turn), ...contestants.slice(0, turn)]) {
        samples.get(subject.name)!.push(yield* sample)
      }
    }
    return {
      name: one.name,
      title: one.title,
      unit: work._tag === "Memory" ? "KiB" : "µs",
      sweep: one.sweep ?? null,
      rows: [...samples].map(([name, found]) => toRow(one, name, found, samples)),
      notes: work._tag === "Latency" ? [`${yield* rateOf} messages per second`] : []
    }
  }).pipe(Effect.scoped)

const toRow = (
  { floorTargets, targets }: Case,
  subject: string,
  samples: ReadonlyArray<Sample>,
  all: ReadonlyMap<string, ReadonlyArray<Sample>>
): Row => {
  const values = samples.map(({ value }) => value)
  const ratioTo = (name: string): number | null => {
    const others = all.get(name)
    return others === undefined ? null : median(values.map((value, round) => value / others[round]!.value))
  }
  const toBaseline = ratioTo(baseline)
  const toFloor = ratioTo(floor)
  const target = targets?.[subject] ?? null
  const floorTarget = floorTargets?.[subject] ?? null
  const total = (of: (sample: Sample) => number) => samples.reduce((sum, sample) => sum + of(sample), 0)
  const millis = total((sample) => sample.millis)
  const latencies = samples.flatMap(({ latencies }) => latencies)
  return {
    subject,
    values,
    median: median(values),
    spread: spread(values),
    toBaseline,
    toFloor,
    target,
    floorTarget,
    holds: holds(toBaseline, target, toFloor, floorTarget),
    rate: millis === 0 ? null : (total(({ messages }) => messages) * 1000) / millis,
    busy: millis === 0 ? null : total(({ cpu }) => cpu) / 1000 / millis,
    loadBusy: millis === 0 ? null : total(({ loadCpu }) => loadCpu) / 1000 / millis,
    latency:
      latencies.length === 0
        ? null
        : {
            p50: quantile(latencies, 0.5),
            p90: quantile(latencies, 0.9),
            p99: quantile(latencies, 0.99),
            max: quantile(latencies, 1)
          }
  }
}

/** Either target is enough: the ratio to the baseline drifts where the machine is busy. */
const holds = (
  toBaseline: number | null,
  target: number | null,
  toFloor: number | null,
  floorTarget: number | null
): boolean | null => {
  if (target === null || toBaseline === null) return null
  return toBaseline <= target || (floorTarget !== null && toFloor !== null && toFloor <= floorTarget)
}
