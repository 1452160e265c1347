/** Starts the subjects of a case, and measures one round of one subject. */
import { Duration, Effect, Schema, type Scope } from "effect"
import type { Case, Work } from "./cases.js"
import * as ChildProcess from "./ChildProcess.js"
import { checkServer, makeClientCheck, NotEqual } from "./equality.js"
import { payload } from "./load/frames.js"
import { Port, Result, type Request } from "./load/requests.js"
import type { EffectVersion } from "./names.js"
import { miss } from "./recovering.js"
import * as RedisServer from "./RedisServer.js"
import type { Sample } from "./rows.js"
import type { OnlyEchoes, Subject } from "./subjects.js"

export interface Settings {
  readonly rounds: number
  readonly millis: number
  /** Node's options for the measured processes. */
  readonly flags: ReadonlyArray<string>
  /** The Node binary that runs them, and its version. */
  readonly node: string
  readonly nodeVersion: string
  readonly subjects: ReadonlyArray<string>
  /** The versions of Effect that the library runs on. */
  readonly effects: ReadonlyArray<EffectVersion>
}

export type Failure = ChildProcess.ChildFailed | NotEqual

const Usage = Schema.Struct({
  cpu: Schema.Number,
  heap: Schema.Number,
  external: Schema.Number,
  resident: Schema.Number
})
const CountedUsage = Schema.Struct({ ...Usage.fields, count: Schema.Number })

type ClientWork = Extract<Work, { readonly _tag: "Client" | "ClientEcho" }>

/** A subject that is ready for repeated measurements. */
export interface Contestant {
  readonly subject: Subject
  readonly sample: (millis: number) => Effect.Effect<Sample, Failure>
  /** The latencies at a rate of messages per second, if the subject echoes. */
  readonly pace?: (rate: number, millis: number) => Effect.Effect<ReadonlyArray<number>, Failure>
}

/**
 * While the other subjects had their turn, the connections were idle. Linux then acknowledges the next 16 segments at once,
 * in the time of the sender, and a message costs up to twice as much (`TCP_MAX_QUICKACKS`).
 */
const leadInBroadcasts = 17

const startLoad = ChildProcess.make({ file: "load/main" })

const startServer = (subject: Subject, work: Work, { flags, node }: Settings, more: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const maxMessageBytes = "shape" in work ? Math.max(work.shape.bytes, 1024 * 1024) : 1024 * 1024
    const child = yield* ChildProcess.make({
      ...subject,
      flags,
      node,
      arguments: [
        ...(subject.arguments ?? []),
        ...(work._tag === "Broadcast" || work._tag === "Publish" ? ["--broadcast"] : []),
        ...(work._tag === "Publish" ? ["--topics", String(work.topics)] : []),
        ...(work._tag === "Churn" ? ["--closing"] : []),
        ...(isCompressed(work) ? ["--compression"] : []),
        ...(kindOf(work) === "records" ? ["--parse"] : []),
        ...(work._tag === "Memory" && work.heartbeat ? ["--heartbeat"] : []),
        "--max-message-bytes",
        String(maxMessageBytes),
        ...more
      ]
    })
    const { port } = yield* child.next(Port)
    return { child, port }
  })

const kindOf = (work: Work): OnlyEchoes =>
  isCompressed(work) ? "compressed" : "shape" in work && work.shape.kind === "record" ? "records" : "plain"

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
  heap: null,
  redis: null
})

const serverContestant = (
  subject: Subject,
  work: Exclude<Work, ClientWork>,
  settings: Settings
): Effect.Effect<Contestant, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    if (work._tag === "Memory") return { subject, sample: () => idleSample(subject, work, settings) }
    if (work._tag === "Membership") return { subject, sample: () => membershipSample(subject, work, settings) }
    if (work._tag === "Relay" || work._tag === "Recovery") return yield* redisContestant(subject, work, settings)
    const { child, port } = yield* startServer(subject, work, settings)
    const load = yield* startLoad
    const dialect = subject.dialect ?? "plain"
    // A broadcast also goes to its sender, so with one connection it is an echo.
    if (subject.echoesFrames && "shape" in work) yield* checkServer(subject.name, port, work.shape, dialect)
    if (work._tag !== "Churn") {
      yield* ask(load, { _tag: "Open", port, connections: work.connections, compressed: isCompressed(work), dialect })
    }
    const measured = (requestOf: (millis: number) => Request) => (millis: number) =>
      during(child, ask(load, requestOf(millis)))
    switch (work._tag) {
      case "Echo": {
        const { chunkBytes = null, inFlight, shape } = work
        return {
          subject,
          sample: measured((millis) => ({ _tag: "Exchange", shape, inFlight, chunkBytes, millis })),
          pace: (rate, millis) =>
            Effect.map(ask(load, { _tag: "Pace", shape, rate, burst: inFlight, millis }), ({ latencies }) => latencies)
        }
      }
      case "Paced": {
        const { rate, shape } = work
        return { subject, sample: measured((millis) => ({ _tag: "Pace", shape, rate, burst: 1, millis })) }
      }
      case "Publish":
      case "Broadcast": {
        const { shape } = work
        const sample = measured((millis) => ({ _tag: "Broadcast", shape, dialect, atLeast: 1, millis }))
        const leadIn = ask(load, { _tag: "Broadcast", shape, dialect, atLeast: leadInBroadcasts, millis: 0 })
        return { subject, sample: (millis) => Effect.zipRight(leadIn, sample(millis)) }
      }
      case "Churn": {
        const { connections, shape } = work
        return { subject, sample: measured((millis) => ({ _tag: "Churn", port, connections, shape, millis })) }
      }
      case "Fairness": {
        const { inFlight, shape } = work
        const intervalMillis = 5
        return { subject, sample: measured((millis) => ({ _tag: "Beside", shape, inFlight, intervalMillis, millis })) }
      }
    }
  })

/** Two processes of a subject that share a topic over a Redis server of their own. */
const redisContestant = (
  subject: Subject,
  work: Extract<Work, { readonly _tag: "Relay" | "Recovery" }>,
  settings: Settings
): Effect.Effect<Contestant, Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const redis = yield* RedisServer.start
    const flags = ["--topics", "1", "--redis", redis.path]
    const publisher = yield* startServer(subject, work, settings, [...flags, "--publisher"])
    const member = yield* startServer(subject, work, settings, flags)
    const ports = { publisher: publisher.port, member: member.port }
    const { shape } = work
    const dialect = subject.dialect ?? "plain"
    const text = payload(shape, 0).toString()
    const inTime = <A>(run: () => Promise<A>) =>
      Effect.timeoutFail(Effect.tryPromise({ try: run, catch: (error) => new NotEqual({ message: String(error) }) }), {
        duration: "30 seconds",
        onTimeout: () => new NotEqual({ message: `${subject.name} loses messages` })
      })
    const cpu = Effect.map(Effect.all([publisher.child.ask("usage", Usage), member.child.ask("usage", Usage)]), (all) =>
      all.reduce((sum, { cpu }) => sum + cpu, 0)
    )
    const measured = (run: Effect.Effect<Result, Failure>) =>
      Effect.gen(function* () {
        const [before, redisBefore] = [yield* cpu, redis.cpu()]
        const result = yield* run
        const sample = sampleOf((yield* cpu) - before, result)
        return { ...sample, redis: (redis.cpu() - redisBefore) / result.messages }
      })
    // Nobody loses messages.
    yield* inTime(async () => (await miss(ports, dialect, 10, text))())
    if (work._tag === "Recovery") {
      const recovered = (back: () => Promise<void>): Effect.Effect<Result, Failure> =>
        Effect.map(Effect.timed(inTime(back)), ([time]): Result => ({
          messages: work.missed,
          cpu: 0,
          millis: Duration.toMillis(time),
          latencies: [Duration.toMillis(time)],
          openings: [],
          closings: []
        }))
      const sample = () =>
        Effect.flatMap(
          inTime(() => miss(ports, dialect, work.missed, text)),
          (back) => measured(recovered(back))
        )
      return { subject, sample }
    }
    const load = yield* startLoad
    const compressed = false
    yield* ask(load, { _tag: "Open", port: ports.publisher, connections: work.publishers, compressed, dialect })
    yield* ask(load, { _tag: "Open", port: ports.member, connections: work.publishers + 1, compressed, dialect })
    const joined = dialect === "plain" ? Effect.sleep("200 millis") : Effect.void
    yield* joined
    return { subject, sample: (millis) => measured(ask(load, { _tag: "Relay", shape, dialect, millis })) }
  })

// V8's young generation grows with the rate at which connections are opened, up to 100 MB. Divided by the number of
// connections, that would look like memory of theirs.
const memoryFlags = ["--expose-gc", "--max-semi-space-size=1"]

/** The memory of one of many connections in KiB. Each measurement uses a new process. */
const idleSample = (subject: Subject, work: Work & { readonly _tag: "Memory" }, settings: Settings) =>
  Effect.scoped(
    Effect.gen(function* () {
      const flags = [...settings.flags, ...memoryFlags]
      const { child, port } = yield* startServer(subject, work, { ...settings, flags })
      const load = yield* startLoad
      const first = 100
      const { compressed, connections } = work
      // The first connections compile code and fill pools.
      yield* ask(load, { _tag: "Open", port, connections: first, compressed, dialect: "plain" })
      const before = yield* child.ask("idle", Usage)
      yield* ask(load, { _tag: "Open", port, connections: first + connections, compressed, dialect: "plain" })
      yield* Effect.sleep("200 millis")
      const after = yield* child.ask("idle", Usage)
      const each = (bytes: number) => bytes / connections / 1024
      const heap = each(after.heap + after.external - before.heap - before.external)
      const value = each(after.resident - before.resident)
      return { ...atRest, value, heap: subject.executable === undefined ? heap : null }
    })
  )

/** A sample without time. */
const atRest = {
  messages: 0,
  millis: 0,
  cpu: 0,
  loadCpu: 0,
  latencies: [],
  openings: [],
  closings: [],
  heap: null,
  redis: null
}

/**
 * The bytes of one of many memberships: those of JavaScript's heap and of what it owns, because resident memory changes in
 * steps. A runtime whose report of its heap means something else is measured by its resident memory.
 */
const membershipSample = (subject: Subject, work: Work & { readonly _tag: "Membership" }, settings: Settings) =>
  Effect.scoped(
    Effect.gen(function* () {
      const flags = [...settings.flags, ...memoryFlags]
      const { child, port } = yield* startServer(subject, work, { ...settings, flags })
      const load = yield* startLoad
      const { before, connections, more } = work
      const dialect = subject.dialect ?? "plain"
      yield* ask(load, { _tag: "Open", port, connections, compressed: false, dialect })
      const join = (topics: number) => (topics === 0 ? Effect.void : child.ask({ join: topics }, Usage))
      const held = Effect.map(child.ask("idle", Usage), ({ external, heap, resident }) =>
        subject.executable === undefined ? heap + external : resident
      )
      yield* join(before)
      yield* Effect.sleep("200 millis")
      const start = yield* held
      yield* join(more)
      yield* Effect.sleep("200 millis")
      return { ...atRest, value: ((yield* held) - start) / connections / more }
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

export const isClientWork = (work: Work): work is ClientWork => work._tag === "Client" || work._tag === "ClientEcho"

/** Whether a case measures a subject. A case with few subjects measures the library on one version of Effect. */
export const takesPart = (subject: Subject, { only, suite, work }: Case, settings: Settings): boolean =>
  (subject.suite === undefined || subject.suite === suite) &&
  (only === undefined ||
    (only.includes(subject.way ?? subject.name) &&
      (subject.effect === undefined || subject.effect === settings.effects[0]))) &&
  (settings.subjects.length === 0 || settings.subjects.includes(subject.name)) &&
  (subject.effect === undefined || settings.effects.includes(subject.effect)) &&
  (!isCompressed(work) || subject.compresses) &&
  (subject.only === undefined || (work._tag === "Echo" && kindOf(work) === subject.only)) &&
  ((work._tag !== "Broadcast" && work._tag !== "Publish") || subject.broadcasts)

export const make = (
  subject: Subject,
  work: Work,
  settings: Settings
): Effect.Effect<Contestant, Failure, Scope.Scope> =>
  work._tag === "Client"
    ? clientContestant(subject, work, settings)
    : work._tag === "ClientEcho"
      ? clientEchoContestant(subject, work, settings)
      : serverContestant(subject, work, settings)
