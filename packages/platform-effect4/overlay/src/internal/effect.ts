/**
 * All uses of Effect APIs that Effect 3 lacks, names differently, or gives another meaning. The twin of this file in
 * `packages/platform` has the same exports for Effect 3. No other file of this package depends on the version.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Class, Prototype } from "effect/Effectable"
import * as Exit from "effect/Exit"
import type * as Fibers from "effect/Fiber"
import * as Metric from "effect/Metric"
import type * as Option from "effect/Option"
import type * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Scheduler from "effect/Scheduler"
import * as Schemas from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { AnySpan, SpanLink } from "effect/Tracer"
import {
  catchDone,
  CurrentLogAnnotations,
  InvalidValue,
  isSuccess,
  Pointer
} from "./install-effect@4-or-platform@3/effect.js"

// Names that moved

export { catch as catch_, catchCause, catchDefect, forkChild, forkDetach, tapCause } from "effect/Effect"

export { findErrorOption, hasDies, hasInterruptsOnly } from "effect/Cause"

export { hasInterrupts as exitHasInterrupts } from "effect/Exit"

/** The clock of the current fiber. */
export const clock: Effect.Effect<Clock.Clock> = Effect.clockWith(Effect.succeed)

/** Dies with an error. */
export const dieMessage = (message: string): Effect.Effect<never> => Effect.die(new Error(message))

/** Repeats an effect until it fails. Without `disableYield` it would wait for the event loop each time. */
export const forever = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<never, E, R> =>
  Effect.forever(effect, { disableYield: true })

/** Joins an exit and the exit that is its value. */
export const flattenExit = <A, E, E2>(exit: Exit.Exit<Exit.Exit<A, E>, E2>): Exit.Exit<A, E | E2> =>
  Exit.isSuccess(exit) ? exit.value : Exit.failCause(exit.cause)

/** An effect to fork in a fiber that nobody joins, so that the runtime does not log its failure. Effect 4 never does. */
export const quiet = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => effect

/** The exit of a fiber that runs such an effect. */
export type QuietExit<A, E> = Exit.Exit<A, E>

/** The exit of the effect. */
export const exitOfQuiet = <A, E>(exit: QuietExit<A, E>): Exit.Exit<A, E> => exit

/** The inputs that are accepted as a duration. */
export type DurationInput = Duration.Input

/** Decodes a duration. `None` if the input is not a duration. */
export const durationFromInput: (input: DurationInput) => Option.Option<Duration.Duration> = Duration.fromInput

/** Handles the first defect if the refinement accepts it. A success passes the handler in the same step. */
export const catchDefectIf = <A, E, R, Defect, A2, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  refinement: (defect: unknown) => defect is Defect,
  handler: (defect: Defect) => Effect.Effect<A2, E2, R2>
): Effect.Effect<A | A2, E | E2, R | R2> =>
  Effect.catchCause(effect, (cause): Effect.Effect<A2, E | E2, R2> => {
    const defect = Cause.findDefect(cause)
    return isSuccess(defect) && refinement(defect.success) ? handler(defect.success) : Effect.failCause(cause)
  })

/** An effect as a class. `asEffect` makes the effect that is run. */
export { Class as EffectClass }

/** An effect as a class that is given its fiber. `begin` makes the effect that is run. */
export abstract class FiberEffect<A, E = never, R = never> extends Class<A, E, R> {
  abstract begin(fiber: Fiber, status: Status): Effect.Effect<A, E, R>
  asEffect(): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => this.begin(fiber, undefined))
  }
}

// As `Effectable.Mixin` does it. `asEffect` would take a closure and a step of the fiber each time.
Object.defineProperties(
  FiberEffect.prototype,
  Object.getOwnPropertyDescriptors(
    Prototype<FiberEffect<unknown, unknown, unknown>>({
      label: "FiberEffect",
      evaluate(fiber) {
        return this.begin(fiber, undefined)
      }
    })
  )
)

/** Makes a `Deferred` synchronously. */
export const deferredMakeUnsafe: <A, E = never>() => Deferred.Deferred<A, E> = Deferred.makeUnsafe

/** Completes a `Deferred` synchronously. The fibers that wait for it go on later; see `awaitCallback`. */
export const deferredDoneUnsafe = <A, E>(deferred: Deferred.Deferred<A, E>, exit: Exit.Exit<A, E>): void => {
  const { resumes } = deferred
  deferred.resumes = undefined
  Deferred.doneUnsafe(deferred, exit)
  if (resumes === undefined) return
  queueMicrotask(() => {
    for (const resume of resumes) resume(exit)
  })
}

// Services and runtimes

/** The base class of a service, to be extended. */
export const ContextService =
  <Self, Shape>() =>
  <const Id extends string>(id: Id): Context.ServiceClass<Self, Id, Shape> =>
    Context.Service<Self, Shape>()(id)

/** The context in which effects run: their services, and the state that fibers inherit. */
export type Runtime<R> = Context.Context<R>

/** The context of the current fiber. */
export { context as runtime } from "effect/Effect"

/** Starts a fiber. Its first steps run synchronously. */
export { runForkWith } from "effect/Effect"

/** Runs an effect that never waits, synchronously. */
export { runSyncWith } from "effect/Effect"

/**
 * Starts a fiber with a clock of its own, which no other fiber shares. Its scheduler is its own in any case. Timers of Cloudflare
 * Workers belong to the request that made them, and end with it.
 */
export const runForkIsolated = <A, E>(effect: Effect.Effect<A, E>): Fiber<A, E> =>
  Effect.runFork(Effect.clockWith((clock) => Effect.provideService(effect, Clock.Clock, Object.create(clock))))

/** Starts a fiber that can be interrupted before its first step, because it begins later. */
export const runForkLater = <A, E, R>(runtime: Runtime<R>, effect: Effect.Effect<A, E, R>): Fiber<A, E> =>
  Effect.runForkWith(runtime)(Effect.andThen(Effect.yieldNow, effect))

/**
 * Makes a runtime for the handlers of connections. `handOver` works in their fibers. This is set once for all
 * connections, not in each `run`.
 */
export const handlerRuntime = <R>(runtime: Runtime<R>): Runtime<R> =>
  Context.add(runtime, Scheduler.Scheduler, schedulerOver(Context.get(runtime, Scheduler.Scheduler)))

/** Starts a fiber with a scope and log annotations. */
export const forkInScope = <A, E, R>(
  runtime: Runtime<Exclude<R, Scope.Scope>>,
  effect: Effect.Effect<A, E, R>,
  scope: Scope.Scope,
  annotations: Readonly<Record<string, string>>
): Fiber<A, E> => {
  const inherited = Context.get(runtime, CurrentLogAnnotations)
  const isPlain = Object.keys(inherited).length === 0
  return Effect.runForkWith(
    runtime.pipe(
      Context.add(Scope.Scope, scope),
      Context.add(CurrentLogAnnotations, isPlain ? annotations : { ...inherited, ...annotations })
    ) as Context.Context<R>
  )(effect)
}

/** Layers whose effects have a scope. The scope lasts as long as the layer. */
export {
  effect as layerEffect,
  effectContext as layerEffectContext,
  effectDiscard as layerEffectDiscard
} from "effect/Layer"

// Schedules

/** Limits each delay of a schedule to `max`. */
export const capDelays =
  (max: DurationInput) =>
  (schedule: Schedule.Schedule<unknown>): Schedule.Schedule<unknown> => {
    const longest = Duration.fromInputUnsafe(max)
    return Schedule.modifyDelay(schedule, ({ duration }) => Effect.succeed(Duration.min(duration, longest)))
  }

/** The delays of a schedule, one after another. */
export class Delays<In> {
  private readonly schedule: Schedule.Schedule<unknown, In>
  private step: ((now: number, input: In) => Pull.Pull<[unknown, Duration.Duration], never, unknown>) | undefined

  constructor(schedule: Schedule.Schedule<unknown, In>) {
    this.schedule = schedule
  }

  /** Restarts the schedule. */
  reset(): void {
    this.step = undefined
  }

  /** The next delay in milliseconds, counted from `now`. `undefined` once the schedule is done. */
  next(now: number, input: In): Effect.Effect<number | undefined> {
    const step = this.step
    if (step === undefined) {
      return Effect.flatMap(Schedule.toStep(this.schedule), (step) => {
        this.step = step
        return this.next(now, input)
      })
    }
    return catchDone(
      Effect.map(step(now, input), ([, delay]): number | undefined => Duration.toMillis(delay)),
      () => Effect.succeed(undefined)
    )
  }
}

// Values that can be read and observed

/** A value that can be read, and observed from now on. */
export interface Subscribable<A> {
  readonly get: Effect.Effect<A>
  readonly changes: Stream.Stream<A>
}

export const subscribable = <A>(options: Subscribable<A>): Subscribable<A> => options

// Schemas

export type Schema<A, I, R> = Schemas.Codec<A, I, R, unknown>

export type SchemaError = Schemas.SchemaError

/** Decodes JSON. */
export const decodeJson = <A, I, R>(schema: Schema<A, I, R>): ((text: string) => Effect.Effect<A, SchemaError, R>) => {
  const decode = Schemas.decodeUnknownEffect(Schemas.fromJsonString(schema))
  return (text) => decode(text)
}

/** Any schema. */
export type AnySchema = Schemas.Constraint

/** The values that a schema decodes to. */
export type SchemaType<S extends AnySchema> = S["Type"]

/** The services that decoding needs. */
export type DecodingServices<S extends AnySchema> = S["DecodingServices"]

/** The services that encoding needs. */
export type EncodingServices<S extends AnySchema> = S["EncodingServices"]

/** Decodes a value of any kind. If nothing has to be awaited, `valueOf` and `errorOf` tell the result. */
export const decodeUnknown = <S extends AnySchema>(
  schema: S
): ((value: unknown) => Effect.Effect<SchemaType<S>, SchemaError, DecodingServices<S>>) => {
  const decode = Schemas.decodeUnknownEffect(schema)
  return (value) => decode(value)
}

/** Encodes a value. If nothing has to be awaited, `valueOf` and `errorOf` tell the result. */
export const encodeUnknown = <S extends AnySchema>(
  schema: S
): ((value: unknown) => Effect.Effect<unknown, SchemaError, EncodingServices<S>>) => {
  const encode = Schemas.encodeUnknownEffect(schema)
  return (value) => encode(value)
}

/** A schema that needs no services. */
export type PureSchema<A, I> = Schemas.Codec<A, I>

/** Decodes a value of any kind with such a schema, and encodes a value. */
export const pureCodec = <A, I>(
  schema: PureSchema<A, I>
): {
  readonly decode: (value: unknown) => Effect.Effect<A, SchemaError>
  readonly encode: (value: A) => Effect.Effect<unknown, SchemaError>
} => ({ decode: Schemas.decodeUnknownEffect(schema), encode: Schemas.encodeEffect(schema) })

/** The effect has not succeeded yet. */
export const unknownYet: unique symbol = Symbol("unknownYet")

/** The value of an effect that has succeeded already. */
export const valueOf = <A, E, R>(effect: Effect.Effect<A, E, R>): A | typeof unknownYet =>
  Exit.isExit(effect) && Exit.isSuccess(effect) ? (effect.value as A) : unknownYet

/** The error of an effect that has failed already. */
export const errorOf = <A, E, R>(effect: Effect.Effect<A, E, R>): E | undefined => {
  if (!Exit.isExit(effect) || Exit.isSuccess(effect)) return undefined
  const error = Cause.findErrorOption(effect.cause as Cause.Cause<E>)
  return error._tag === "Some" ? error.value : undefined
}

// Configuration

/** Options, or a `Config` of some or all of them. */
export type ConfigWrap<A> = Config.Wrap<A>

export type ConfigError = Config.ConfigError

/** An error about the value at a path. */
export const configError = (path: ReadonlyArray<string>, message: string): ConfigError =>
  new Config.ConfigError(new Schemas.SchemaError(new Pointer(path, new InvalidValue({ message }))))

// Clocks

/** The wall-clock time, in milliseconds. */
export const currentTimeMillisUnsafe = (clock: Clock.Clock): number => clock.currentTimeMillisUnsafe()

/** A time that never goes back, in nanoseconds. */
export const monotonicTimeNanosUnsafe = (clock: Clock.Clock): bigint => clock.monotonicTimeNanosUnsafe()

/** A time that never goes back, in nanoseconds. */
export const monotonicTimeNanos: Effect.Effect<bigint> = Effect.clockWith((clock) => clock.monotonicTimeNanos)

// Random numbers

/** A generator of numbers from 0 to 1. The same seed always gives the same numbers. */
export const randomFrom = (seed: number): (() => number) => {
  const random = Effect.runSync(Random.withSeed(Effect.service(Random.Random), seed))
  return () => random.nextDoubleUnsafe()
}

// Spans

/** The time of events in spans, in nanoseconds since 1970. */
export const spanTimeUnsafe = (clock: Clock.Clock): bigint => clock.currentTimeNanosUnsafe()

/** A link from a span to another. */
export const linkTo = (span: AnySpan): SpanLink => ({ span, attributes: {} })

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
  runtime: Runtime<never>,
  { boundaries = [], description, name, type, unit }: SeriesOptions,
  own: Readonly<Record<string, string>>
): ((value: number) => void) => {
  const attributes = { ...own, unit }
  if (type === "gauge") {
    const gauge = Metric.gauge(name, { description, attributes })
    return (value) => gauge.modifyUnsafe(value, runtime)
  }
  const metric =
    type === "counter"
      ? Metric.counter(name, { description, attributes, incremental: true })
      : Metric.histogram(name, { description, attributes, boundaries })
  return (value) => metric.updateUnsafe(value, runtime)
}

// Fibers

export type Fiber<A = unknown, E = unknown> = Fibers.Fiber<A, E>

/** The second argument that `withFiber` passes in Effect 3. In Effect 4 a fiber knows its state. */
export type Status = undefined

/** Runs an effect that is made with the current fiber. */
export const withFiber: <A, E = never, R = never>(
  evaluate: (fiber: Fiber, status?: Status) => Effect.Effect<A, E, R>
) => Effect.Effect<A, E, R> = Effect.withFiber

/** Calls `observer` when a fiber ends. Returns a function that removes the observer. */
export const observeFiber = <A, E>(fiber: Fiber<A, E>, observer: (exit: Exit.Exit<A, E>) => void): (() => void) =>
  fiber.addObserver(observer)

/**
 * Begins to interrupt a fiber, but does not wait for its end. It does so later, as Effect 3 does: Effect 4 runs the
 * finalizers of a fiber that waits in the call, which would be in the middle of a step of the caller.
 */
export const interruptUnsafe = (fiber: Fiber): void => queueMicrotask(() => fiber.interruptUnsafe())

/**
 * Waits for a callback. `register` returns a function that undoes the registration.
 *
 * The fiber goes on later, as in Effect 3, unless `register` calls back at once: Effect 4 runs it in the callback, so
 * that code of the app would run in the middle of a step of the caller.
 */
export const awaitCallback = <A, E = never>(
  register: (resume: (effect: Effect.Effect<A, E>) => void) => (() => void) | void
): Effect.Effect<A, E> =>
  Effect.callback<A, E>((resume) => {
    let registering = true
    const undo = register((effect) => {
      if (registering) resume(effect)
      else queueMicrotask(() => resume(effect))
    })
    registering = false
    return undo === undefined ? undefined : Effect.sync(undo)
  })

/** Waits for a callback that nothing undoes. See `awaitCallback`. */
export const callback: <A, E = never>(
  register: (resume: (effect: Effect.Effect<A, E>) => void) => void
) => Effect.Effect<A, E> = awaitCallback

/**
 * Waits for the callback of a reader. An interruption leaves the callback behind, so a reader remembers its fiber and
 * asks `isInterrupted`: a finalizer would cost a quarter of the wait.
 */
export const awaitReadable = <A, E, R>(
  register: (resume: (effect: Effect.Effect<A, E, R>) => void) => void
): Effect.Effect<A, E, R> => Effect.callback<A, E, R>(register)

/** Resumes a fiber that waits in `awaitReadable`. It continues in this call. */
export const resumeInPlace = <A, E, R>(
  _fiber: Fiber | undefined,
  resume: (effect: Effect.Effect<A, E, R>) => void,
  effect: Effect.Effect<A, E, R>
): void => resume(effect)

/** What a fiber of Effect 4 has, but its type does not show. */
interface FiberState {
  readonly interruptible?: boolean
  readonly _interruptedCause?: Cause.Cause<never> | undefined
}

const stateOf = (fiber: Fiber): FiberState => fiber as Fiber & FiberState

/** The fiber, if it can be interrupted at this point. */
export const interruptibleFiber = (fiber: Fiber, _status: Status): Fiber | undefined =>
  stateOf(fiber).interruptible === false ? undefined : fiber

/** Whether an interruptible fiber has been interrupted. */
export const isInterrupted = (fiber: Fiber | undefined): boolean =>
  fiber !== undefined && stateOf(fiber)._interruptedCause !== undefined

/** Calls back once each fiber that has yielded has gone on. A fiber of Effect 4 yields to the event loop. */
export const afterYield: ((callback: () => void) => void) | undefined = (callback) => void setImmediate(callback)

/** Runs an effect and then `finalize`, which cannot be interrupted. If both fail, the failure has both causes. */
export const onExitUninterruptible = <A, E, R, E2, R2>(
  _status: Status,
  effect: Effect.Effect<A, E, R>,
  finalize: (exit: Exit.Exit<A, E>) => Effect.Effect<void, E2, R2>
): Effect.Effect<A, E | E2, R | R2> => Effect.onExit(effect, finalize)

/**
 * A fiber may yield and be interrupted between two operations. An effect that was returned but has not begun is then
 * lost, with the item that it handles. So a fiber that hands over an effect tells its scheduler not to yield before the
 * next operation.
 */
class HandOver implements Scheduler.Scheduler {
  private readonly scheduler: Scheduler.Scheduler

  constructor(scheduler: Scheduler.Scheduler) {
    this.scheduler = scheduler
  }

  get executionMode(): "sync" | "async" {
    return this.scheduler.executionMode
  }

  shouldYield(fiber: Fiber): boolean {
    if (fiber !== handing) return this.scheduler.shouldYield(fiber)
    handing = undefined
    return false
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return this.scheduler.makeDispatcher()
  }
}

// One variable is enough: no other code runs between the step that sets it and the fiber's next operation.
let handing: Fiber | undefined

const byScheduler = new WeakMap<Scheduler.Scheduler, Scheduler.Scheduler>()

/** A scheduler that behaves the same and supports `handOver`. */
export const schedulerOver = (scheduler: Scheduler.Scheduler): Scheduler.Scheduler => {
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
  fiber.cache.scheduler instanceof HandOver
    ? effect
    : Effect.provideService(effect, Scheduler.Scheduler, schedulerOver(fiber.cache.scheduler))

/** Makes sure that the effect begins if the fiber's current operation returns it. Works only within `handingOver`. */
export const handOver = <A, E, R>(fiber: Fiber, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  handing = fiber
  return effect
}

// Scopes

export type Closeable = Scope.Closeable

const { state: emptyState, ...sharedByScopes } = Scope.makeUnsafe()

/** As `Scope.makeUnsafe` makes it, but with all that never changes in its prototype. It takes a third of the memory. */
class PlainScope {
  state = emptyState
}
Object.assign(PlainScope.prototype, sharedByScopes)

/** Makes a scope synchronously. */
export const scopeMakeUnsafe = (): Closeable => new PlainScope() as PlainScope & typeof sharedByScopes

/** Closes a scope. Returns the effect of its finalizers, if there are any. */
export { closeUnsafe as scopeCloseUnsafe } from "effect/Scope"

/** Runs an effect in a scope, and leaves the scope open. */
export { provide as scopeProvide } from "effect/Scope"

type Finalizer = (exit: Exit.Exit<unknown, unknown>) => Effect.Effect<unknown>

/**
 * The finalizers of an open scope, as a map that can be changed. `"closed"` if the scope has begun to end. In Effect 3 it
 * is `undefined` if the scope is of another implementation.
 *
 * A scope has this map only from its second finalizer on, so it is made here. It stays the map of the scope as long as
 * it has a finalizer. It is the only way to see which finalizers are adjacent.
 */
export const finalizersOf = (scope: Scope.Scope): Map<object, Finalizer> | "closed" | undefined => {
  const { state } = scope
  if (state._tag === "Closed") return "closed"
  if (state._tag === "Open" && state.finalizers !== undefined) return state.finalizers
  const finalizers = new Map<object, Finalizer>()
  if (state._tag === "Open" && state.finalizerKey !== undefined && state.finalizer !== undefined) {
    finalizers.set(state.finalizerKey, state.finalizer)
  }
  scope.state = { _tag: "Open", finalizerKey: undefined, finalizer: undefined, finalizers }
  return finalizers
}

// Streams and batches (a batch: the items that a stream emits together)

/** At least one item of a stream. */
export type Batch<A> = Arr.NonEmptyReadonlyArray<A>

/** Makes a batch of at least one item. The caller must not use the array afterwards. */
export const toBatch = <A>(items: ReadonlyArray<A>): Batch<A> => items as Batch<A>

/** A channel from batches to batches, as `Stream.pipeThroughChannel` accepts it. */
export type BatchChannel<In, Out, InErr, OutErr> = Channel.Channel<Batch<Out>, OutErr, void, Batch<In>, InErr, unknown>

/** Returns the value if it is a stream. In Effect 3 every effect is one. */
export const asStream = <A, E, R>(u: unknown): Stream.Stream<A, E, R> | undefined =>
  isStream<A, E, R>(u) ? u : undefined

const isStream = <A, E, R>(u: unknown): u is Stream.Stream<A, E, R> => Stream.isStream(u)

// There was no item to take.
const nothing = Symbol("nothing")

const isNothing = (defect: unknown): defect is typeof nothing => defect === nothing

// Between taking a batch and beginning with its first item, the operators of a stream need a few operations each.
const operationsToHandOn = 256

/**
 * Whether the fiber will soon yield by itself. If it took a batch now, it might be interrupted before it begins with the
 * first item.
 */
const yieldsSoon = ({ cache, currentOpCount }: Fiber): boolean =>
  currentOpCount > cache.maxOpsBeforeYield - Math.min(operationsToHandOn, cache.maxOpsBeforeYield / 2)

/**
 * A stream of the items that `take` returns. `reads` waits until there is an item, and then continues as `taken`. At the
 * end it continues as `ended`. `take` may return no items if another fiber was faster, unless it is `exclusive`.
 *
 * The value of `sync` reaches the reader of the stream in the same step that took it. So an interruption cannot lose the
 * batch. For the same reason `nothing` is thrown, and the fiber yields before it takes rather than soon after.
 */
export const streamOfReads = <A, E, R = never>(
  reads: <B>(taken: Effect.Effect<B>, ended: Effect.Effect<B>) => Effect.Effect<B, E, R>,
  take: () => ReadonlyArray<A>,
  exclusive = false
): Stream.Stream<A, E, R> => {
  // A function of this form can be run as it is.
  const takeBatch = take as () => Batch<A>
  const read = reads(Effect.sync(exclusive ? takeBatch : () => orNothing(takeBatch())), done)
  const pull: Pull.Pull<Batch<A>, E, void, R> = new Pulling(
    exclusive ? read : catchDefectIf(read, isNothing, () => pull)
  )
  return Stream.fromChannel(channelOf(pull))
}

// The end of a stream. `reads` does not look at its error, so its type leaves it out.
const done = Cause.done() as Effect.Effect<never>

const orNothing = <A extends ReadonlyArray<unknown>>(items: A): A => {
  if (items.length === 0) throw nothing
  return items
}

/**
 * What a fiber does before it takes a batch for a stream. A stream does it before each read. A read that runs effects before it
 * takes does it once more.
 */
export const yieldIfSoon: Effect.Effect<void> = Effect.withFiber((fiber) =>
  yieldsSoon(fiber) ? Effect.yieldNow : Effect.void
)

/** A pull of a stream. It is also the channel of that pull if `channelOf` can make it one. */
class Pulling<A, E, R> extends FiberEffect<A, E, R> {
  private readonly read: Effect.Effect<A, E, R>

  constructor(read: Effect.Effect<A, E, R>) {
    super()
    this.read = read
  }

  begin(fiber: Fiber): Effect.Effect<A, E, R> {
    return yieldsSoon(fiber) ? Effect.andThen(Effect.yieldNow, this.read) : this.read
  }
}

type ChannelOf = <A, E, R>(pull: Pull.Pull<A, E, void, R>) => Channel.Channel<A, E, void, unknown, unknown, unknown, R>

const plainChannel: ChannelOf = (pull) => Channel.fromPull(Effect.succeed(pull))

/**
 * A channel of `Channel.fromPull` keeps three closures for each connection. If a channel consists only of its transformation,
 * a pull can be its own channel, with the transformation as a property that is made when the channel is run. It cannot
 * fail to begin, and needs no scope.
 */
const channelOf: ChannelOf = (() => {
  const plain = plainChannel(done)
  const [key, ...others] = Reflect.ownKeys(plain)
  if (key === undefined || others.length > 0 || Reflect.get(plain, key) !== Channel.toTransform(plain))
    return plainChannel
  const members: unknown = Object.getPrototypeOf(plain)
  if (typeof members !== "object" || members === null) return plainChannel
  for (const name of Reflect.ownKeys(members)) {
    if (name in Pulling.prototype) continue
    Object.defineProperty(Pulling.prototype, name, { value: Reflect.get(members, name) })
  }
  Object.defineProperty(Pulling.prototype, key, {
    get(this: Pull.Pull<unknown, unknown, void, unknown>) {
      return () => Effect.succeed(this)
    }
  })
  return <A, E, R>(pull: Pull.Pull<A, E, void, R>) =>
    pull as unknown as Channel.Channel<A, E, void, unknown, unknown, unknown, R>
})()

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
  Stream.callback<A>(
    (queue) =>
      Effect.acquireRelease(
        Effect.sync(() =>
          register({
            single: (item) => void Queue.offerUnsafe(queue, item),
            end: () => void Queue.endUnsafe(queue)
          })
        ),
        (undo) => Effect.sync(undo)
      ),
    { bufferSize: newest, strategy: "sliding" }
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
  Channel.fromTransform((upstream: Pull.Pull<Batch<In>, InErr, unknown>, scope) => {
    const failure = Deferred.makeUnsafe<never, E | InErr>()
    const sending = forever(Effect.flatMap(upstream, (batch) => Effect.forEach(batch, send, { discard: true }))).pipe(
      catchDone(() => Effect.sync(end)),
      Effect.catchCause((cause) => Deferred.failCause(failure, cause))
    )
    return Effect.andThen(
      Effect.forkIn(sending, scope),
      Channel.toPullScoped(Stream.toChannel(Stream.interruptWhen(stream, Deferred.await(failure))), scope)
    )
  })
