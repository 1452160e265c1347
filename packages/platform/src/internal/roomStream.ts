import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Room, RoomReader } from "../engine/topics/RoomReader.js"
import type { Waiters } from "../engine/Waiters.js"
import { streamOfReads } from "./effect.js"
import type { TopicError } from "./TopicError.js"
import { waitUntil } from "./waiting.js"

/** A room that is followed for its readers. */
export interface FollowedRoom {
  readonly room: Room
  readonly hasBegun: boolean
  /** Why nothing more comes. */
  readonly failure: { readonly error: TopicError } | undefined
  /** Woken when it begins, fails, or a reader has something to read. */
  readonly wakes: Waiters
}

/** What a reader of a room takes. The room is entered when the stream begins. */
export const roomStream = <A, F extends FollowedRoom>(
  enter: () => F,
  leave: (followed: F) => void,
  make: (room: Room, onReady: () => void) => RoomReader<A>
): Stream.Stream<A, TopicError> =>
  Stream.suspend(() => {
    let entered: { readonly followed: F; readonly reader: RoomReader<A> } | undefined
    const join = () => {
      const followed = enter()
      const reader = make(followed.room, () => followed.wakes.wakeAll())
      followed.room.observers.add(reader)
      return { followed, reader }
    }
    const more: Effect.Effect<void, TopicError> = Effect.suspend(() => {
      const { followed, reader } = (entered ??= join())
      const isReady = (): boolean => followed.failure !== undefined || (followed.hasBegun && reader.isReady)
      if (followed.failure !== undefined) return Effect.fail(followed.failure.error)
      return isReady() ? Effect.void : Effect.andThen(waitUntil(followed.wakes, isReady), more)
    })
    return Stream.ensuring(
      streamOfReads<A, TopicError>(
        (taken) => Effect.andThen(more, taken),
        () => entered?.reader.take() ?? []
      ),
      Effect.sync(() => {
        if (entered === undefined) return
        entered.followed.room.observers.delete(entered.reader)
        leave(entered.followed)
      })
    )
  })
