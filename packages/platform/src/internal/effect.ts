/**
 * All uses of Effect APIs that Effect 4 lacks, names differently, or gives another meaning. The names here are those of
 * Effect 4, if it has one. No other file of this package depends on the version; `scripts/checkEffect.ts` checks that.
 */
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import type * as Clock from "effect/Clock"
import type * as Config from "effect/Config"
import type * as ConfigErrors from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import type * as Fibers from "effect/Fiber"
import type * as FiberStatus from "effect/FiberStatus"
import * as HashMap from "effect/HashMap"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import type { ParseError } from "effect/ParseResult"
import * as Predicate from "effect/Predicate"
import * as Random from "effect/Random"
import * as Runtimes from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import { MixedScheduler, type Scheduler, type Task } from "effect/Scheduler"
import * as Schemas from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AnySpan, SpanLink } from "effect/Tracer"
import type * as Subscribables from "effect/Subscribable"
import {
  currentContext,
  currentLogAnnotations,
  currentRuntimeFlags,
  currentScheduler,
  getFiberRef,
  interruptedCause,
  Interruption,
  InvalidData,
  isInterruptible,
  isScheduleDone,
  makeFiberRefs,
  makeSubscribable,
  metricBoundaries,
  noFiberId,
  startOfIntervals
} from "./install-effect@3-or-platform@4/effect.js"

// Names that moved

export {
  async as callback,
  catchAll as catch_,
  catchAllCause as catchCause,
  catchAllDefect as catchDefect,
  clock,
  dieMessage,
  forever,
  fork as forkChild,
  forkDaemon as forkDetach,
  tapErrorCause as tapCause,
  withFiberRuntime as withFiber
} from "effect/Effect"

export {
  failureOption as findErrorOption,
  isDie as hasDies,
  isInterruptedOnly as hasInterruptsOnly
} from "effect/Cause"

export { flatten as flattenExit, isInterrupted as exitHasInterrupts } from "effect/Exit"

/** An effect to fork in a fiber that nobody joins. It is a value, because the runtime would log its failure as unobserved. */
export const quiet = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Exit.Exit<A, E>, never, R> =>
  Effect.matchCauseEffect(effect, { onFailure: asFailure<E>, onSuccess: asSuccess<A> })

// `Effect.exit` would make functions of its own for each fiber, and keep them as long as the fiber.
const asFailure = <E>(cause: Cause.Cause<E>): Effect.Effect<Exit.Exit<never, E>> =>
  Effect.succeed(Exit.failCause(cause))
const asSuccess = <A>(value: A): Effect.Effect<Exit.Exit<A>> => Effect.succeed(Exit.succeed(value))

/** The exit of a fiber that runs such an effect. */
export type QuietExit<A, E> = Exit.Exit<Exit.Exit<A, E>>

/** The exit of the effect. An interruption stays an interruption. */
export const exitOfQuiet: <A, E>(exit: QuietExit<A, E>) => Exit.Exit<A, E> = Exit.flatten

/** The inputs that are accepted as a duration. */
export type DurationInput = Duration.DurationInput

/** Decodes a duration. `None` if the input is not a duration. */
export const durationFromInput: (input: DurationInput) => Option.Option<Duration.Duration> = Duration.decodeUnknown

/** Handles the first defect if the refinement accepts it. */
export const catchDefectIf = <A, E, R, Defect, A2, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  refinement: (defect: unknown) => defect is Defect,
  handler: (defect: Defect) => Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> =>
  Effect.catchSomeDefect(effect, (defect) => (refinement(defect) ? Option.some(handler(defect)) : Option.none()))

/** An effect as a class. `asEffect` makes the effect that is run. */
export abstract class EffectClass<A, E = never, R = never> extends Effectable.Class<A, E, R> {
  abstract asEffect(): Effect.Effect<A, E, R>
  commit(): Effect.Effect<A, E, R> {
    return this.asEffect()
  }
}

/** An effect as a class that is given its fiber. `begin` makes the effect that is run. */
export abstract class FiberEffect<A, E = never, R = never> extends Effectable.Class<A, E, R> {
  abstract begin(fiber: Fiber, status: Status): Effect.Effect<A, E, R>
  commit(): Effect.Effect<A, E, R> {
    return Effect.withFiberRuntime((fiber, status) => this.begin(fiber, status))
  }
}

/** Makes a `Deferred` synchronously. */
export const deferredMakeUnsafe = <A, E = never>(): Deferred.Deferred<A, E> => Deferred.unsafeMake(noFiberId)

/** Completes a `Deferred` synchronously. */
export const deferredDoneUnsafe: <A, E>(deferred: Deferred.Deferred<A, E>, exit: Exit.Exit<A, E>) => void =
  Deferred.unsafeDone

// Services and runtimes

/** The base class of a service, to be extended. */
export const ContextService =
  <Self, Shape>() =>
  <const Id extends string>(id: Id): Context.TagClass<Self, Id, Shape> =>
    Context.Tag(id)<Self, Shape>()

/** The context in which effects run: their services, and the state that fibers inherit. */
export type Runtime<R> = Runtimes.Runtime<R>

/** The runtime of the current fiber. */
export { runtime } from "effect/Effect"

/** Starts a fiber. Its first steps run synchronously. */
export { runFork as runForkWith } from "effect/Runtime"

/** Runs an effect that never waits, synchronously. */
export { runSync as runSyncWith } from "effect/Runtime"

/**
 * Starts a fiber with a clock and a scheduler of its own, which no other fiber shares. Timers and tasks of Cloudflare Workers belong
 * to the request that made them, and end with it.
 */
export const runForkIsolated = <A, E>(effect: Effect.Effect<A, E>): Fiber<A, E> =>
  Effect.runFork(
    Effect.clockWith((clock) => Effect.withClock(effect, Object.create(clock))),
    { scheduler: new MixedScheduler(operationsBeforeTimer) }
  )

// As the scheduler that all fibers share.
const operationsBeforeTimer = 2048

/** Starts a fiber that can be interrupted before its first step, because it begins later. */
export const runForkLater = <A, E, R>(runtime: Runtime<R>, effect: Effect.Effect<A, E, R>): Fiber<A, E> =>
  Runtimes.runFork(runtime)(Effect.interruptible(effect), { immediate: false })

/**
 * Makes a runtime for the handlers of connections. Their fibers can be interrupted, and `handOver` works in them. This
 * is set once for all connections, not in each `run`.
 */
export const handlerRuntime = <R>(runtime: Runtime<R>): Runtime<R> =>
  runtime.pipe(
    Runtimes.enableRuntimeFlag(Interruption),
    // These are the flags of the fiber that asked for the runtime. Without this reference, each connection has a
    // smaller table.
    Runtimes.deleteFiberRef(currentRuntimeFlags),
    Runtimes.setFiberRef(currentScheduler, schedulerOver(getFiberRef(runtime.fiberRefs, currentScheduler)))
  )

/**
 * Starts a fiber with a scope and log annotations. These are put into the references of the fiber as it starts. A
 * separate runtime for each connection would copy all references once more.
 */
export const forkInScope = <A, E, R>(
  runtime: Runtime<Exclude<R, Scope.Scope>>,
  effect: Effect.Effect<A, E, R>,
  scope: Scope.Scope,
  annotations: Readonly<Record<string, string>>
): Fiber<A, E> =>
  Runtimes.runFork(
    // Only the scope is missing in the context, and `updateRefs` adds it.
    runtime as Runtime<R>,
    effect,
    {
      updateRefs: (references, fiberId) => {
        const context = Context.add(runtime.context, Scope.Scope, scope)
        const inherited = getFiberRef(references, currentLogAnnotations)
        const own = Object.entries(annotations)
        const annotated = HashMap.mutate(inherited, (map) => {
          for (const [name, value] of own) HashMap.set(map, name, value)
        })
        return makeFiberRefs(
          new Map(references.locals)
            .set(currentContext, [[fiberId, context]])
            .set(currentLogAnnotations, [[fiberId, annotated]])
        )
      }
    }
  )

/** Layers whose effects have a scope. The scope lasts as long as the layer. */
export {
  scoped as layerEffect,
  scopedContext as layerEffectContext,
  scopedDiscard as layerEffectDiscard
} from "effect/Layer"

// Schedules

/** Limits each delay of a schedule to `max`. */
export const capDelays =
  (max: DurationInput) =>
  (schedule: Schedule.Schedule<unknown>): Schedule.Schedule<unknown> =>
    Schedule.union(schedule, Schedule.spaced(max))

/** The delays of a schedule, one after another. */
export class Delays<In> {
  private readonly schedule: Schedule.Schedule<unknown, In>
  private state: unknown

  constructor(schedule: Schedule.Schedule<unknown, In>) {
    this.schedule = schedule
    this.state = schedule.initial
  }

  /** Restarts the schedule. */
  reset(): void {
    this.state = this.schedule.initial
  }

  /** The next delay in milliseconds, counted from `now`. `undefined` once the schedule is done. */
  next(now: number, input: In): Effect.Effect<number | undefined> {
    return Effect.map(this.schedule.step(now, input, this.state), ([state, , decision]) => {
      if (isScheduleDone(decision)) return undefined
      this.state = state
      return startOfIntervals(decision.intervals) - now
    })
  }
}

// Values that can be read and observed

export type Subscribable<A> = Subscribables.Subscribable<A>

export const subscribable: <A>(options: {
  readonly get: Effect.Effect<A>
  readonly changes: Stream.Stream<A>
}) => Subscribable<A> = makeSubscribable

// Schemas

export type Schema<A, I, R> = Schemas.Schema<A, I, R>

export type SchemaError = ParseError

/** Decodes JSON. */
export const decodeJson = <A, I, R>(schema: Schema<A, I, R>): ((text: string) => Effect.Effect<A, SchemaError, R>) => {
  const decode = Schemas.decode(Schemas.parseJson(schema))
  return (text) => decode(text)
}

/** Any schema. */
export type AnySchema = Schemas.Schema.All

/** The values that a schema decodes to. */
export type SchemaType<S extends AnySchema> = Schemas.Schema.Type<S>

/** The services that decoding needs. Schemas of Effect 3 do not tell them apart from those of encoding. */
export type DecodingServices<S extends AnySchema> = Schemas.Schema.Context<S>

/** The services that encoding needs. */
export type EncodingServices<S extends AnySchema> = Schemas.Schema.Context<S>

type SchemaOf<S extends AnySchema> = Schema<SchemaType<S>, Schemas.Schema.Encoded<S>, DecodingServices<S>>

/** Decodes a value of any kind. If nothing has to be awaited, `valueOf` and `errorOf` tell the result. */
export const decodeUnknown = <S extends AnySchema>(
  schema: S
): ((value: unknown) => Effect.Effect<SchemaType<S>, SchemaError, DecodingServices<S>>) => {
  const decode = Schemas.decodeUnknown(schema as SchemaOf<S>)
  return (value) => decode(value)
}

/** Encodes a value. If nothing has to be awaited, `valueOf` and `errorOf` tell the result. */
export const encodeUnknown = <S extends AnySchema>(
  schema: S
): ((value: unknown) => Effect.Effect<unknown, SchemaError, EncodingServices<S>>) => {
  const encode = Schemas.encodeUnknown(schema as SchemaOf<S>)
  return (value) => encode(value)
}

/** A schema that needs no services. */
export type PureSchema<A, I> = Schemas.Schema<A, I>

/** Decodes a value of any kind with such a schema, and encodes a value. */
export const pureCodec = <A, I>(
  schema: PureSchema<A, I>
): {
  readonly decode: (value: unknown) => Effect.Effect<A, SchemaError>
  readonly encode: (value: A) => Effect.Effect<unknown, SchemaError>
} => ({ decode: Schemas.decodeUnknown(schema), encode: Schemas.encode(schema) })

/** The effect has not succeeded yet. */
export const unknownYet: unique symbol = Symbol("unknownYet")

/** The value of an effect that has succeeded already. */
export const valueOf = <A, E, R>(effect: Effect.Effect<A, E, R>): A | typeof unknownYet =>
  Predicate.isTagged(effect, "Right") ? (effect as Either.Right<never, A>).right : unknownYet

/** The error of an effect that has failed already. */
export const errorOf = <A, E, R>(effect: Effect.Effect<A, E, R>): E | undefined =>
  Predicate.isTagged(effect, "Left") ? (effect as Either.Left<E, never>).left : undefined

// Configuration

/** Options, or a `Config` of some or all of them. */
export type ConfigWrap<A> = Config.Config.Wrap<A>

export type ConfigError = ConfigErrors.ConfigError

/** An error about the value at a path. */
export const configError = (path: ReadonlyArray<string>, message: string): ConfigError =>
  InvalidData([...path], message)

// Clocks

/** The wall-clock time, in milliseconds. */
export const currentTimeMillisUnsafe = (clock: Clock.Clock): number => clock.unsafeCurrentTimeMillis()

/** A time that never goes back, in nanoseconds. */
export const monotonicTimeNanosUnsafe = (clock: Clock.Clock): bigint => clock.unsafeCurrentTimeNanos()

/** A time that never goes back, in nanoseconds. */
export { currentTimeNanos as monotonicTimeNanos } from "effect/Clock"

// Random numbers

/** A generator of numbers from 0 to 1. The same seed always gives the same numbers. */
export const randomFrom = (seed: number): (() => number) => {
  const random = Random.make(seed)
  return () => Effect.runSync(random.next)
}

// Spans

/** The time of events in spans, in nanoseconds since 1970. */
export const spanTimeUnsafe = (clock: Clock.Clock): bigint => clock.unsafeCurrentTimeNanos()

/** A link from a span to another. */
export const linkTo = (span: AnySpan): SpanLink => ({ _tag: "SpanLink", span, attributes: {} })

// Metrics

/** What a series of a metric is made of. */
export interface SeriesOptions {
  readonly type: "counter" | "gauge" | "histogram"
  readonly name: string
  readonly unit: string
  readonly description: string
  readonly boundaries?: ReadonlyArray<number>
}

/**
 * Returns what adds to a counter, changes a gauge by a difference, or records a value of a histogram, synchronously. Exporters
 * of OpenTelemetry know the unit by the attribute `unit`.
 */
export const seriesUnsafe = (
  _runtime: Runtime<never>,
  { boundaries = [], description, name, type, unit }: SeriesOptions,
  attributes: Readonly<Record<string, string>>
): ((value: number) => void) => {
  const tagged = <Type, Out>(metric: Metric.Metric<Type, number, Out>): Metric.Metric<Type, number, Out> =>
    Object.entries({ ...attributes, unit }).reduce((each, [key, value]) => Metric.tagged(each, key, value), metric)
  if (type === "gauge") {
    const gauge = tagged(Metric.gauge(name, { description }))
    return (value) => gauge.unsafeModify(value, [])
  }
  const metric =
    type === "counter"
      ? tagged(Metric.counter(name, { description, incremental: true }))
      : tagged(Metric.histogram(name, sameBoundaries(boundaries), description))
  return (value) => metric.unsafeUpdate(value, [])
}

type Boundaries = ReturnType<typeof metricBoundaries>

const byBounds = new WeakMap<ReadonlyArray<number>, Boundaries>()

/** Two series with boundaries of their own are two series, even if the boundaries have the same values. */
const sameBoundaries = (bounds: ReadonlyArray<number>): Boundaries => {
  let boundaries = byBounds.get(bounds)
  if (boundaries === undefined) {
    boundaries = metricBoundaries(bounds)
    byBounds.set(bounds, boundaries)
  }
  return boundaries
}

// Fibers

export type Fiber<A = unknown, E = unknown> = Fibers.RuntimeFiber<A, E>

/** The second argument that `withFiber` passes: the state of the fiber. */
export type Status = FiberStatus.Running

/** Calls `observer` when a fiber ends. Returns a function that removes the observer. */
export const observeFiber = <A, E>(fiber: Fiber<A, E>, observer: (exit: Exit.Exit<A, E>) => void): (() => void) => {
  fiber.addObserver(observer)
  return () => fiber.removeObserver(observer)
}

/** Begins to interrupt a fiber, but does not wait for its end. */
export const interruptUnsafe = (fiber: Fiber): void => fiber.unsafeInterruptAsFork(noFiberId)

/**
 * Waits for a callback. `register` returns a function that undoes the registration.
 *
 * It replaces `Effect.async`, which adds its finalizer only in the step after the registration. An interruption between
 * the two steps would leave the registration behind.
 */
export const awaitCallback = <A, E = never>(
  register: (resume: (effect: Effect.Effect<A, E>) => void) => (() => void) | void
): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    let undo: (() => void) | void
    const registered = Effect.async<A, E>((resume) => {
      undo = register(resume)
    })
    return Effect.onInterrupt(registered, () => Effect.sync(() => undo?.()))
  })

/**
 * Waits for the callback of a reader. An interruption leaves the callback behind, so a reader remembers its fiber and
 * asks `isInterrupted`: a finalizer would cost more than the rest of the wait.
 */
export const awaitReadable: <A, E, R>(
  register: (resume: (effect: Effect.Effect<A, E, R>) => void) => void
) => Effect.Effect<A, E, R> = Effect.async

/** The fiber, if it can be interrupted at this point. */
export const interruptibleFiber = (fiber: Fiber, status: Status): Fiber | undefined =>
  isInterruptible(status.runtimeFlags) ? fiber : undefined

/** Whether an interruptible fiber has been interrupted. */
export const isInterrupted = (fiber: Fiber | undefined): boolean => {
  if (fiber === undefined) return false
  const cause = fiber.getFiberRef(interruptedCause)
  // Compares first, because the cause is nearly always `Cause.empty` itself, and `isEmpty` would fold it.
  return cause !== Cause.empty && !Cause.isEmpty(cause)
}

/** Calls back once each fiber that has yielded has gone on. Fibers of Effect 3 do so within a few microtasks. */
export const afterYield: ((callback: () => void) => void) | undefined = undefined

/**
 * Runs an effect and then `finalize`, which cannot be interrupted. If both fail, the failure has both causes. `Effect.onExit`
 * would need more memory for as long as the effect lasts.
 */
export const onExitUninterruptible = <A, E, R, E2, R2>(
  status: Status,
  effect: Effect.Effect<A, E, R>,
  finalize: (exit: Exit.Exit<A, E>) => Effect.Effect<void, E2, R2>
): Effect.Effect<A, E | E2, R | R2> => {
  const isInterruptibleNow = isInterruptible(status.runtimeFlags)
  const finalized = Effect.matchCauseEffect(isInterruptibleNow ? Effect.interruptible(effect) : effect, {
    onFailure: (cause) =>
      Effect.matchCauseEffect(finalize(Exit.failCause(cause)), {
        onFailure: (another) => Effect.failCause(Cause.sequential<E | E2, E | E2>(cause, another)),
        onSuccess: () => Effect.failCause(cause)
      }),
    onSuccess: (value) => Effect.as(finalize(Exit.succeed(value)), value)
  })
  return isInterruptibleNow ? Effect.uninterruptible(finalized) : finalized
}

/**
 * A fiber may yield and be interrupted between two operations. An effect that was returned but has not begun is then
 * lost, with the item that it handles. So a fiber that hands over an effect tells its scheduler not to yield before the
 * next operation.
 */
class HandOver implements Scheduler {
  private readonly scheduler: Scheduler

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler
  }

  shouldYield(fiber: Fiber): number | false {
    if (fiber !== handing) return this.scheduler.shouldYield(fiber)
    handing = undefined
    return false
  }

  scheduleTask(task: Task, priority: number, fiber?: Fiber): void {
    if (fiber === undefined || fiber !== resuming) return this.scheduler.scheduleTask(task, priority, fiber)
    resuming = undefined
    task()
  }
}

// One variable is enough: no other code runs between the step that sets it and the fiber's next operation.
let handing: Fiber | undefined

// The fiber that is being resumed in place.
let resuming: Fiber | undefined

/**
 * Resumes a fiber that waits in `awaitReadable`. It continues in this call, as in Effect 4, if its scheduler supports
 * `handOver`, otherwise within a few microtasks.
 */
export const resumeInPlace = <A, E, R>(
  fiber: Fiber | undefined,
  resume: (effect: Effect.Effect<A, E, R>) => void,
  effect: Effect.Effect<A, E, R>
): void => {
  resuming = fiber
  resume(effect)
  resuming = undefined
}

const byScheduler = new WeakMap<Scheduler, Scheduler>()

/** A scheduler that behaves the same and supports `handOver`. */
export const schedulerOver = (scheduler: Scheduler): Scheduler => {
  if (scheduler instanceof HandOver) return scheduler
  let over = byScheduler.get(scheduler)
  if (over === undefined) {
    over = new HandOver(scheduler)
    byScheduler.set(scheduler, over)
  }
  return over
}

/** Runs an effect with a scheduler that supports `handOver`. */
export const handingOver = <A, E, R>(fiber: Fiber, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  fiber.currentScheduler instanceof HandOver
    ? effect
    : Effect.withScheduler(effect, schedulerOver(fiber.currentScheduler))

/** Makes sure that the effect begins if the fiber's current operation returns it. Works only within `handingOver`. */
export const handOver = <A, E, R>(fiber: Fiber, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  handing = fiber
  return effect
}

// Scopes

export type Closeable = Scope.CloseableScope

/** Makes a scope synchronously. */
export const scopeMakeUnsafe = (): Closeable => Effect.runSync(Scope.make())

/** Closes a scope. Returns the effect of its finalizers, if there are any. */
export const scopeCloseUnsafe = (
  scope: Closeable,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<void> | undefined => {
  const finalizers = finalizersOf(scope)
  if (!(finalizers instanceof Map) || finalizers.size > 0) return Scope.close(scope, exit)
  // As `Scope.close` does. Running that effect would take a fiber.
  Reflect.set(scope, "state", { _tag: "Closed", exit })
  return undefined
}

/** Runs an effect in a scope, and leaves the scope open. */
export { extend as scopeProvide } from "effect/Scope"

type Finalizer = (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<unknown>

type ScopeState = { readonly _tag: "Open"; readonly finalizers: Map<object, Finalizer> } | { readonly _tag: "Closed" }

const isScopeState = (state: unknown): state is ScopeState =>
  Predicate.isTagged(state, "Open")
    ? Predicate.hasProperty(state, "finalizers") && state.finalizers instanceof Map
    : Predicate.isTagged(state, "Closed")

/**
 * The finalizers of an open scope, as a map that can be changed. `"closed"` if the scope has begun to end. `undefined`
 * if the scope is of another implementation.
 *
 * A scope of Effect 3 has this map, but its type does not show it. `Effect.forkIn` uses it too. It is the only way to
 * remove a finalizer, and to see which finalizers are adjacent.
 */
export const finalizersOf = (scope: Scope.Scope): Map<object, Finalizer> | "closed" | undefined => {
  const state = Predicate.hasProperty(scope, "state") ? scope.state : undefined
  if (!isScopeState(state)) return undefined
  return state._tag === "Open" ? state.finalizers : "closed"
}

// Streams and batches (a batch: the items that a stream emits together)

/** At least one item of a stream. */
export type Batch<A> = Chunk.NonEmptyChunk<A>

/** Makes a batch of at least one item. The caller must not use the array afterwards. */
export const toBatch = <A>(items: ReadonlyArray<A>): Batch<A> => Chunk.unsafeFromArray(items) as Batch<A>

/** A channel from batches to batches, as `Stream.pipeThroughChannel` accepts it. */
export type BatchChannel<In, Out, InErr, OutErr> = Channel.Channel<
  Chunk.Chunk<Out>,
  Chunk.Chunk<In>,
  OutErr,
  InErr,
  void,
  unknown
>

/** Returns the value if it is a stream. Every effect is one. */
export const asStream = <A, E, R>(u: unknown): Stream.Stream<A, E, R> | undefined =>
  isStream<A, E, R>(u) ? u : undefined

const isStream = <A, E, R>(u: unknown): u is Stream.Stream<A, E, R> =>
  Predicate.hasProperty(u, Stream.StreamTypeId) || Effect.isEffect(u)

export { streamOfReads } from "./install-effect@3-or-platform@4/streams.js"

/** What a fiber does before it takes a batch for a stream. In Effect 4 it may yield. */
export { void as yieldIfSoon } from "effect/Effect"

/** Adds items to a stream, or ends it. */
export interface Emit<A> {
  readonly single: (item: A) => void
  readonly end: () => void
}

/**
 * A stream of items from callbacks. `register` returns a function that undoes the registration. At most `newest` items
 * wait for a slow reader; older ones are dropped.
 */
export const streamOfCallback = <A>(
  register: (emit: Emit<A>) => () => void,
  newest: number = Number.POSITIVE_INFINITY
): Stream.Stream<A> =>
  Stream.asyncPush<A>(
    (emit) =>
      Effect.acquireRelease(
        Effect.sync(() => register({ single: (item) => void emit.single(item), end: () => void emit.end() })),
        (undo) => Effect.sync(undo)
      ),
    newest === Number.POSITIVE_INFINITY ? { bufferSize: "unbounded" } : { bufferSize: newest, strategy: "sliding" }
  )

/**
 * A channel that passes each item of its input to `send`, calls `end` after the last item, and emits a stream. It fails
 * with the error of the input, of `send` or of the stream. Items that the stream still emits after the end of the input
 * are emitted too.
 */
export const duplex = <In, Out, E, InErr = never>(
  stream: Stream.Stream<Out, E>,
  send: (item: In) => Effect.Effect<void, E>,
  end: () => void
): BatchChannel<In, Out, InErr, E | InErr> =>
  Channel.unwrap(
    Effect.map(Deferred.make<never, E | InErr>(), (failure) =>
      Channel.embedInput(Channel.asVoid(Stream.toChannel(Stream.interruptWhenDeferred(stream, failure))), {
        awaitRead: () => Effect.void,
        emit: (batch: Chunk.Chunk<In>) =>
          unlessDone(
            failure,
            Effect.catchAllCause(Effect.forEach(batch, send, { discard: true }), (cause) =>
              Deferred.failCause(failure, cause)
            )
          ),
        error: (cause) => Deferred.failCause(failure, cause),
        done: () => unlessDone(failure, Effect.sync(end))
      })
    )
  )

const unlessDone = <A, E>(deferred: Deferred.Deferred<A, E>, effect: Effect.Effect<unknown>): Effect.Effect<void> =>
  Effect.flatMap(Deferred.isDone(deferred), (isDone) => (isDone ? Effect.void : effect))
