import { Channel, type Chunk, Effect, Option, Stream } from "effect"

export * from "effect/Stream"

export {
  repeatEffect as fromEffectRepeat,
  runForEachChunk as runForEachArray,
  unwrapScoped as unwrap
} from "effect/Stream"

/** Values of other modules that are streams, too, each of the text `"one"`. */
export const alsoStreams: ReadonlyArray<readonly [name: string, stream: Stream.Stream<string>]> = [
  ["an effect, which is a stream of one part", Effect.succeed("one")],
  ["an option, which is one too", Option.some("one") as never]
]

/** Combines all values into one. */
export const runFold = <A, E, R, S>(
  stream: Stream.Stream<A, E, R>,
  initial: () => S,
  combine: (state: S, value: A) => S
): Effect.Effect<S, E, R> => Stream.runFold(stream, initial(), combine)

/** Consumes a stream in the steps in which it emits. */
export const consume = <A, E>(
  stream: Stream.Stream<A, E>,
  note: (values: Iterable<A>) => void
): Effect.Effect<void, E> => {
  const consumer: Channel.Channel<never, Chunk.Chunk<A>, E, E, void, unknown> = Channel.readWith({
    onInput: (chunk: Chunk.Chunk<A>) => {
      note(chunk)
      return consumer
    },
    onFailure: (error: E) => Channel.fail(error),
    onDone: () => Channel.void
  })
  return Channel.run(Channel.pipeTo(Stream.toChannel(stream), consumer))
}

/**
 * The bytes that a text of 125 bytes may take if a stream delivers it in a batch, and it is sent again. Effect 3 runs more steps for
 * each item than Effect 4.
 */
export const bytesPerItem: number = 1250
