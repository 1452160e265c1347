/**
 * Streams of items that wait somewhere, for Effect 3. Its channels take a dozen operations and five executors for each
 * batch that `Stream.run` passes to a sink. Here one effect does that for the sinks that only read and run effects.
 */
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"

/**
 * A stream of the items that `take` returns. These are none if another fiber was faster. `reads` waits until there is
 * an item, and then continues as `taken`. At the end it continues as `ended`. The twin in Effect 4 also takes whether
 * `take` always returns items.
 *
 * The items reach the reader of the stream in the same step that took them. If an effect took them, an interruption after
 * it would lose them.
 */
export const streamOfReads = <A, E, R = never>(
  reads: <B>(taken: Effect.Effect<B>, ended: Effect.Effect<B>) => Effect.Effect<B, E, R>,
  take: () => ReadonlyArray<A>,
  _exclusive = false
): Stream.Stream<A, E, R> => {
  const next = reads(Effect.succeed(true), Effect.succeed(false))
  const goOn = () => batches
  const emitted = Channel.suspend(() => {
    const items = take()
    return items.length === 0 ? batches : Channel.flatMap(Channel.write(Chunk.unsafeFromArray(items)), goOn)
  })
  // This form has the fewest steps of all streams. One with an optional error or with a state takes twice as many.
  const batches: Batches<A, E, R> = Channel.flatMap(Channel.fromEffect(next), (more) => (more ? emitted : Channel.void))
  const nextItems = reads<ReadonlyArray<A> | undefined>(Effect.sync(take), Effect.succeed(undefined))
  // `Stream.run` calls this method. All operators of a stream use its channel as it is.
  const pipe = (...steps: ReadonlyArray<(value: unknown) => unknown>): unknown => {
    const [first, ...others] = steps
    if (first === undefined) return batches
    const piped = first(batches)
    const sink = sinkOf(piped, batches)
    const inOneEffect = Channel.unwrap(Effect.suspend(() => new SinkRun(batches, nextItems, sink).asEffect()))
    return others.reduce((value, step) => step(value), sink === undefined ? piped : inOneEffect)
  }
  return Stream.fromChannel(Object.assign(batches, { pipe }))
}

type Batches<A, E, R> = Channel.Channel<Chunk.Chunk<A>, unknown, E, unknown, unknown, unknown, R>
type SinkChannel<R> = Channel.Channel<unknown, unknown, unknown, unknown, unknown, unknown, R>

// The operations of channels that are recognised. Any other one is left to the executor of Effect.

interface Suspend {
  channel(): unknown
}

interface PipeTo {
  left(): unknown
  right(): unknown
}

/** Reads a batch, and continues with the channel that `more` returns. */
interface Read {
  more(batch: unknown): unknown
}

/** Runs an effect, and continues with one of two channels. */
interface Run {
  readonly channel: { effect(): Effect.Effect<unknown, unknown> }
  readonly k: { onSuccess(value: unknown): unknown; onHalt(cause: unknown): unknown }
}

const isSuspend = (u: unknown): u is Suspend => Predicate.isTagged(u, "Suspend")
const isPipeTo = (u: unknown): u is PipeTo => Predicate.isTagged(u, "PipeTo")
const isRead = (u: unknown): u is Read => Predicate.isTagged(u, "Read")
const isRun = (u: unknown): u is Run =>
  Predicate.isTagged(u, "Fold") && Predicate.hasProperty(u, "channel") && Predicate.isTagged(u.channel, "FromEffect")

// The source texts of functions of Effect, as far as a JavaScript engine keeps them.
const textOfPipe = (piped: unknown): string => (isSuspend(piped) ? String(piped.channel) : "")
const textOfMore = (sink: unknown): string => (isRead(sink) ? String(sink.more) : "")
const pipeToOrFail = textOfPipe(Channel.pipeToOrFail(Channel.void, Channel.void))
const forEach = textOfMore(Sink.toChannel(Sink.forEach(() => Effect.void)))
const hasTexts = pipeToOrFail !== "" && forEach !== textOfMore(Sink.toChannel(Sink.forEachChunk(() => Effect.void)))

/** The channel of the sink if `piped` is `Channel.pipeToOrFail(source, sink)`. */
const sinkOf = (piped: unknown, source: unknown): unknown => {
  if (!hasTexts || !isSuspend(piped) || textOfPipe(piped) !== pipeToOrFail) return undefined
  // The source and the sink are between two channels that pass an error around the sink.
  const outer = piped.channel()
  const inner = isPipeTo(outer) ? outer.left() : undefined
  const innermost = isPipeTo(inner) ? inner.left() : undefined
  return isPipeTo(inner) && isPipeTo(innermost) && innermost.left() === source ? inner.right() : undefined
}

/** What a stream passes to its sink: the items that wait, or `undefined` at the end. */
type NextItems<A, E, R> = Effect.Effect<ReadonlyArray<A> | undefined, E, R>

/** Passes the items of a source to a sink in one effect, for as long as the sink only reads and runs effects. */
class SinkRun<A, E, R> {
  private readonly source: Batches<A, E, R>
  private readonly nextItems: NextItems<A, E, R>
  private readonly each: HandlerOfEach<A> | undefined
  private readonly sink: unknown
  // What the sink does next.
  private current: unknown
  private effect: Effect.Effect<unknown, unknown, R> = Effect.void
  // The operation that `effect` belongs to, or `undefined` if the effect reads.
  private run: Run | undefined = undefined
  private isOver = false

  constructor(source: Batches<A, E, R>, nextItems: NextItems<A, E, R>, sink: unknown) {
    this.source = source
    this.nextItems = nextItems
    this.sink = sink
    this.current = sink
    this.each = handlerOfEach(sink)
  }

  /** Succeeds with the channel that does the rest. */
  asEffect(): Effect.Effect<SinkChannel<R>, never, R> {
    const loop = Effect.whileLoop({
      while: () => this.advance(),
      body: () => this.effect,
      step: (value: unknown) => this.step(value)
    })
    return Effect.matchCause(loop, {
      onFailure: (cause) =>
        this.run === undefined
          ? through(Channel.failCause(cause), this.current)
          : through(this.source, this.run.k.onHalt(cause)),
      onSuccess: () => through(this.isOver ? Channel.void : this.source, this.current)
    })
  }

  private advance(): boolean {
    const { each } = this
    if (each !== undefined && this.current === each.operation) {
      this.run = each.operation
      this.effect = each.effect
      return true
    }
    while (isSuspend(this.current)) this.current = this.current.channel()
    this.run = isRun(this.current) ? this.current : undefined
    this.effect = this.run === undefined ? this.nextItems : this.run.channel.effect()
    return this.run !== undefined || (isRead(this.current) && !this.isOver)
  }

  private step(value: unknown): void {
    const { current, each, run } = this
    if (run !== undefined) {
      if (run === each?.operation) each.items.length = 0
      this.current = run.k.onSuccess(value)
      return
    }
    const items = value as ReadonlyArray<A> | undefined
    if (items === undefined) this.isOver = true
    else if (items.length === 0) return
    else if (each !== undefined && current === this.sink) {
      for (const item of items) each.items.push(item)
      this.current = each.operation
    } else if (isRead(current)) this.current = current.more(Chunk.unsafeFromArray(items))
  }
}

const through = <A, R>(
  upstream: Channel.Channel<Chunk.Chunk<A>, unknown, unknown, unknown, unknown, unknown, R>,
  sink: unknown
): SinkChannel<R> =>
  Channel.pipeToOrFail(upstream, sink as Channel.Channel<unknown, Chunk.Chunk<A>, unknown, never, unknown, unknown>)

/** The operation that runs the handler of `Sink.forEach` for each of `items`. */
interface HandlerOfEach<A> {
  readonly items: Array<A>
  readonly operation: Run
  readonly effect: Effect.Effect<unknown, unknown>
}

/**
 * Makes the operation once for all batches. Effect makes one for each batch. It is retained with the batch until V8 has
 * marked the whole heap, because V8 allocates the closure that is assigned in `fromEffect` among the old objects.
 */
const handlerOfEach = <A>(sink: unknown): HandlerOfEach<A> | undefined => {
  if (!isRead(sink) || textOfMore(sink) !== forEach) return undefined
  const items: Array<A> = []
  const operation = sink.more(items)
  return isRun(operation) ? { items, operation, effect: operation.channel.effect() } : undefined
}
