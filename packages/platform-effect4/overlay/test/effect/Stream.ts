import { Effect, Stream } from "effect"

export * from "effect/Stream"

/** Values of other modules that are streams, too: an effect or an option is none. */
export const alsoStreams: ReadonlyArray<readonly [name: string, stream: Stream.Stream<string>]> = []

/** Consumes a stream in the steps in which it emits. */
export const consume = <A, E>(
  stream: Stream.Stream<A, E>,
  note: (values: Iterable<A>) => void
): Effect.Effect<void, E> =>
  Stream.runForEachArray(stream, (values) => {
    note(values)
    return Effect.void
  })

/**
 * The bytes that a text of 125 bytes may take if a stream delivers it in a batch, and it is sent again. Effect 3 needs more.
 */
export const bytesPerItem: number = 530
