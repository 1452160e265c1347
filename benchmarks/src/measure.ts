/** Runs one case against all of its subjects, one after another in each round. */
import { Effect, Either, Schema, type Scope } from "effect"
import { spawnSync } from "node:child_process"
import { checkServer, makeClientCheck, type NotEqual } from "./equality.js"
import type { Case, Work } from "./cases.js"
import * as ChildProcess from "./ChildProcess.js"
import { Port, Result, type Request } from "./load/requests.js"
import type { CaseResult, Row } from "./results.js"
import { median, quantile, spread } from "./statistics.js"
import { baseline, clients, floor, nameOn, platforms, servers, type EffectVersion, type Subject } from "./subjects.js"

export interface Settings {
  readonly rounds: number
  readonly millis: number
  /** Node's options for the measured processes. */
  readonly flags: ReadonlyArray<string>
  /** The Node binary that runs them, if not the current one. */
  readonly node: string | undefined
  readonly subjects: ReadonlyArray<string>
  /** The versions of Effect that the library runs on. */
  readonly effects: ReadonlyArray<EffectVersion>
}

type Failure = ChildProcess.ChildFailed | NotEqual

// Warm-up: code that is not compiled yet, and its compilation, are not a cost of a message.
const warmUp = { rounds: 3, leastMillis: 1000 }
const shortWarmUp = { rounds: 2, leastMillis: 0 }

/** How many connections a process can hold, in addition to its other open files. */
const mostConnections = (() => {
  const { stdout } = spawnSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" })
  const limit = Number(stdout)
  return Number.isNaN(limit) ? Number.POSITIVE_INFINITY : limit - 200
})()

const serverCore = 0
const loadCore = 1

const Usage = Schema.Struct({
  cpu: Schema.Number,
  heap: Schema.Number,
  external: Schema.Number,
  resident: Schema.Number
})
const CountedUsage = Schema.Struct({ ...Usage.fields, count: Schema.Number })

/** The result of one round for one subject. */
interface Sample {
  readonly value: number
  readonly messages: number
  readonly millis: number
  readonly cpu: number
  readonly loadCpu: number
  readonly latencies: ReadonlyArray<number>
  readonly openings: ReadonlyArray<number>
  readonly closings: ReadonlyArray<number>
  /** In KiB, if memory was measured and the runtime's report means the same as Node's. */
  readonly heap: number | null
}

type ClientWork = Extract<Work, { readonly _tag: "Client" | "ClientEcho" }>

/** A subject that is ready for repeated measurements. */
interface Contestant {
  readonly subject: Subject
  readonly sample: (millis: number) => Effect.Effect<Sample, Failure>
}

const startLoad = ChildProcess.make({ file: "load/main", core: loadCore })

const startServer = (subject: Subject, work: Work, { flags, node }: Settings) =>
  Effect.gen(function* () {
    const maxMessageBytes = "shape" in work ? Math.max(work.shape.bytes, 1024 * 1024) : 1024 * 1024
    const child = yield* ChildProcess.make({
      ...subject,
      core: serverCore,
      flags,
      node,
      arguments: [
        ...(subject.arguments ?? []),
        ...(work._tag === "Broadcast" ? ["--broadcast"] : []),
        ...(work._tag === "Churn" ? ["--closing"] : []),
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

/** Measures the CPU time that a process uses while an effect runs. Nothing else runs before and after. */
const during = (child: ChildProcess.ChildProcess, work: Effect.Effect<Result, Failure>) =>
  Effect.gen(function* () {
    const before = yield* child.ask("usage", Usage)
    const result = yield* work
    const after = yield* child.ask("usage", Usage)
    return sampleOf(after.cpu - before.cpu, result)
  })

const sampleOf = (cpu: number, { cpu: loadCpu, messages, ...result }: Result): Sample => ({
  ...result,
  value: cpu / messages,
  messages,
  cpu,
  loadCpu,
  heap: null
})

const serverContestant = (
  subject: Subject,
  work: Exclude<Work, ClientWork>,
  settings: Settings,
  rateOf: Effect.Effect<number, Failure>
): Effect.Effect<Contestant, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    if (work._tag === "Memory") return { subject, sample: () => idleSample(subject, work, settings) }
    const { child, port } = yield* startServer(subject, work, settings)
    const load = yield* startLoad
    if (subject.echoesFrames && "shape" in work && work._tag !== "Broadcast") {
      yield* checkServer(subject.name, port, work.shape)
    }
    const compressed = isCompressed(work)
    const connected = <A>(sample: Effect.Effect<A, Failure>) =>
      Effect.gen(function* () {
        yield* ask(load, { _tag: "Open", port, connections: work.connections, compressed })
        const found = yield* sample
        yield* ask(load, { _tag: "Close" })
        return found
      })
    switch (work._tag) {
      case "Echo": {
        const { chunkBytes = null, inFlight, shape } = work
        return {
          subject,
          sample: (millis) =>
            connected(during(child, ask(load, { _tag: "Exchange", shape, inFlight, chunkBytes, millis })))
        }
      }
      case "Broadcast":
        return {
          subject,
          sample: (millis) => connected(during(child, ask(load, { _tag: "Broadcast", shape: work.shape, millis })))
        }
      case "Churn": {
        const { connections, shape } = work
        return {
          subject,
          sample: (millis) => during(child, ask(load, { _tag: "Churn", port, connections, shape, millis }))
        }
      }
      case "Latency":
        return {
          subject,
          sample: (millis) =>
            Effect.flatMap(rateOf, (rate) =>
              connected(during(child, ask(load, { _tag: "Pace", shape: work.shape, rate, millis })))
            )
        }
      case "Fairness": {
        const { inFlight, shape } = work
        const intervalMillis = 5
        return {
          subject,
          sample: (millis) =>
            connected(during(child, ask(load, { _tag: "Beside", shape, inFlight, intervalMillis, millis })))
        }
      }
    }
  })

// V8's young generation grows with the rate at which connections are opened, up to 100 MB. Divided by the number of
// connections, that would look like memory of theirs.
const smallYoungGeneration = "--max-semi-space-size=1"

/** The memory of one of many connections in KiB. Each measurement uses a new process. */
const idleSample = (subject: Subject, work: Work & { readonly _tag: "Memory" }, settings: Settings) =>
  Effect.scoped(
    Effect.gen(function* () {
      const flags = [...settings.flags, ...(subject.executable === undefined ? [smallYoungGeneration] : [])]
      const { child, port } = yield* startServer(subject, work, { ...settings, flags })
      const load = yield* startLoad
      const first = 100
      const { compressed, connections } = work
      // The first connections compile code and fill pools.
      yield* ask(load, { _tag: "Open", port, connections: first, compressed })
      const before = yield* child.ask("idle", Usage)
      yield* ask(load, { _tag: "Open", port, connections: first + connections, compressed })
      yield* Effect.sleep("200 millis")
      const after = yield* child.ask("idle", Usage)
      const each = (bytes: number) => bytes / connections / 1024
      const heap = each(after.heap + after.external - before.heap - before.external)
      return {
        value: each(after.resident - before.resident),
        heap: subject.executable === undefined ? heap : null,
        messages: 0,
        millis: 0,
        cpu: 0,
        loadCpu: 0,
        latencies: [],
        openings: [],
        closings: []
      }
    })
  )

const startClient = (
  subject: Subject,
  port: number,
  arguments_: ReadonlyArray<string>,
  { flags, node }: Settings
): Effect.Effect<ChildProcess.ChildProcess, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const child = yield* ChildProcess.make({
      ...subject,
      core: serverCore,
      flags,
      node,
      arguments: [...(subject.arguments ?? []), ...arguments_],
      environment: { ...subject.environment, BENCHMARK_PORT: String(port) }
    })
    yield* child.next(Port)
    return child
  })

const clientEchoContestant = (
  subject: Subject,
  work: Work & { readonly _tag: "ClientEcho" },
  settings: Settings
): Effect.Effect<Contestant, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const { connections, inFlight, shape } = work
    const { compressed } = shape
    const echo = ["--echo", ...(compressed ? ["--compression"] : [])]
    yield* Effect.gen(function* () {
      const { port, result } = yield* makeClientCheck(subject.name, shape)
      yield* Effect.zipRight(startClient(subject, port, echo, settings), result)
    }).pipe(Effect.scoped)
    const load = yield* startLoad
    const { port } = yield* load.ask({ _tag: "Serve", compressed } satisfies Request, Port)
    const child = yield* startClient(subject, port, [...echo, "--connections", String(connections)], settings)
    return {
      subject,
      sample: (millis) => during(child, ask(load, { _tag: "Exchange", shape, inFlight, chunkBytes: null, millis }))
    }
  })

const clientContestant = (
  subject: Subject,
  { shape }: Work & { readonly _tag: "Client" },
  settings: Settings
): Effect.Effect<Contestant, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const load = yield* startLoad
    const { port } = yield* load.ask({ _tag: "Serve", compressed: false } satisfies Request, Port)
    const child = yield* startClient(subject, port, [], settings)
    const usage = child.ask("usage", CountedUsage)
    const counted = (count: number): Effect.Effect<typeof CountedUsage.Type, Failure> =>
      Effect.flatMap(usage, (found) =>
        found.count >= count ? Effect.succeed(found) : Effect.delay(counted(count), "5 millis")
      )
    return {
      subject,
      sample: (millis) =>
        Effect.gen(function* () {
          const before = yield* usage
          const result = yield* ask(load, { _tag: "Pour", shape, millis })
          const after = yield* counted(before.count + result.messages)
          return sampleOf(after.cpu - before.cpu, result)
        })
    }
  })

const takesPart = (subject: Subject, { only, work }: Case, settings: Settings): boolean =>
  (only === undefined || only.includes(subject.api ?? subject.name)) &&
  (settings.subjects.length === 0 || settings.subjects.includes(subject.name)) &&
  (subject.effect === undefined || settings.effects.includes(subject.effect)) &&
  (isCompressed(work) ? subject.compresses : subject.onlyCompresses !== true) &&
  (work._tag !== "Broadcast" || subject.broadcasts)

/** Half of the number of messages that the baseline echoes per second. */
const halfLoad = (connections: number, work: Work & { readonly _tag: "Latency" }, settings: Settings) =>
  Effect.gen(function* () {
    const subject = servers.find(({ name }) => name === baseline)!
    const { child, port } = yield* startServer(subject, work, settings)
    const load = yield* startLoad
    yield* ask(load, { _tag: "Open", port, connections, compressed: false })
    const exchange = during(
      child,
      ask(load, { _tag: "Exchange", shape: work.shape, inFlight: 1, chunkBytes: null, millis: settings.millis })
    )
    yield* exchange
    const { messages, millis } = yield* exchange
    return Math.round((messages * 1000) / millis / 2)
  }).pipe(Effect.scoped)

const isClientWork = (work: Work): work is ClientWork => work._tag === "Client" || work._tag === "ClientEcho"

const contestant = (subject: Subject, work: Work, settings: Settings, rateOf: Effect.Effect<number, Failure>) =>
  work._tag === "Client"
    ? clientContestant(subject, work, settings)
    : work._tag === "ClientEcho"
      ? clientEchoContestant(subject, work, settings)
      : serverContestant(subject, work, settings, rateOf)

/**
 * Runs warm-up rounds, then the rounds that count. Each round has a different order of subjects. A subject that fails is left
 * out, and the notes say why.
 */
export const measure = (one: Case, settings: Settings): Effect.Effect<CaseResult> =>
  Effect.gen(function* () {
    const { work } = one
    const notes: Array<string> = []
    const result = (rows: ReadonlyArray<Row>): CaseResult => ({
      name: one.name,
      title: one.title,
      unit: work._tag === "Memory" ? "KiB" : "µs",
      sweep: one.sweep ?? null,
      rows,
      notes
    })
    if ("connections" in work && work.connections > mostConnections) {
      notes.push(`Left out: a process may not open that many files here (\`ulimit -n\`).`)
      return result([])
    }
    const rateOf =
      work._tag === "Latency"
        ? yield* Effect.cached(halfLoad(work.connections, work, settings))
        : Effect.succeed(Number.NaN)
    const samples = new Map<string, Array<Sample>>()
    const contestants: Array<Contestant> = []
    /** Runs an effect for a subject, and returns whether it succeeded. */
    const attempt = <A>(
      subject: Subject,
      effect: Effect.Effect<A, Failure, Scope.Scope>,
      onSuccess: (value: A) => void
    ) =>
      Effect.map(Effect.either(effect), (outcome) => {
        if (Either.isRight(outcome)) return onSuccess(outcome.right)
        samples.delete(subject.name)
        notes.push(`${subject.name} is left out: ${outcome.left.message}`)
      })
    for (const subject of isClientWork(work) ? clients : servers) {
      if (!takesPart(subject, one, settings)) continue
      samples.set(subject.name, [])
      yield* attempt(subject, contestant(subject, work, settings, rateOf), (ready) => contestants.push(ready))
    }
    const play = (
      order: ReadonlyArray<Contestant>,
      millis: number,
      onSample: (subject: Subject, sample: Sample) => void
    ) =>
      Effect.forEach(
        order,
        ({ sample, subject }) =>
          samples.has(subject.name)
            ? attempt(subject, sample(millis), (found) => onSample(subject, found))
            : Effect.void,
        { discard: true }
      )
    if (work._tag !== "Memory") {
      const { leastMillis, rounds } = one.rounds === undefined ? warmUp : shortWarmUp
      const millis = Math.max(settings.millis, leastMillis)
      for (let round = 0; round < rounds; round++) yield* play(contestants, millis, () => {})
    }
    const rounds = Math.min(settings.rounds, one.rounds ?? settings.rounds)
    for (let round = 0; round < rounds; round++) {
      const turn = round % Math.max(contestants.length, 1)
      yield* play([...contestants.slice(turn), ...contestants.slice(0, turn)], settings.millis, (subject, sample) =>
        samples.get(subject.name)?.push(sample)
      )
    }
    if (work._tag === "Latency") {
      yield* Effect.match(rateOf, {
        onFailure: ({ message }) => notes.push(message),
        onSuccess: (rate) => notes.push(`${rate} messages per second`)
      })
    }
    return result(
      contestants.flatMap(({ subject }) => {
        const found = samples.get(subject.name)
        return found === undefined ? [] : [toRow(one, subject, found, samples)]
      })
    )
  }).pipe(Effect.scoped)

const toRow = (
  { floorTargets, platformTargets, runTargets, targets }: Case,
  subject: Subject,
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
  const toPlatforms = platforms.flatMap((name) => ratioTo(name) ?? [])
  const platformToThis = toPlatforms.length === 0 ? null : 1 / Math.max(...toPlatforms)
  // A target of a way to read holds on both versions of Effect, unless one has a target of its own.
  const targetOf = (wanted: Readonly<Record<string, number>> | undefined): number | undefined =>
    wanted?.[subject.name] ?? wanted?.[subject.api ?? subject.name]
  const target = targetOf(targets)
  const toRun = ratioTo(nameOn(subject.effect ?? "4", "run"))
  const runTarget = runTargets?.[subject.name]
  const floorTarget = targetOf(floorTargets)
  const platformTarget = targetOf(platformTargets)
  const total = (of: (sample: Sample) => number) => samples.reduce((sum, sample) => sum + of(sample), 0)
  const millis = total((sample) => sample.millis)
  const latencies = samples.flatMap(({ latencies }) => latencies)
  const heaps = samples.flatMap(({ heap }) => heap ?? [])
  const medianOrNull = (found: ReadonlyArray<number>) => (found.length === 0 ? null : median(found))
  return {
    subject: subject.name,
    values,
    median: median(values),
    spread: spread(values),
    toBaseline,
    toFloor,
    platformToThis,
    targets: [
      ...(target === undefined || toBaseline === null
        ? []
        : [
            {
              wanted: `≤ ${target}${floorTarget === undefined ? "" : ` or ≤ ${floorTarget} of raw`}`,
              // One of the two is enough, because the ratio to the baseline drifts on a busy machine.
              holds: toBaseline <= target || (floorTarget !== undefined && toFloor !== null && toFloor <= floorTarget)
            }
          ]),
      ...(runTarget === undefined || toRun === null
        ? []
        : [{ wanted: `≤ ${runTarget} of run`, holds: toRun <= runTarget }]),
      ...(platformTarget === undefined || platformToThis === null
        ? []
        : [{ wanted: `≥ ${platformTarget}×`, holds: platformToThis >= platformTarget }])
    ],
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
          },
    opening: medianOrNull(samples.flatMap(({ openings }) => openings)),
    closing: medianOrNull(samples.flatMap(({ closings }) => closings)),
    heap: medianOrNull(heaps)
  }
}
