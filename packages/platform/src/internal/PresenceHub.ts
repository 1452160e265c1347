import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Stream from "effect/Stream"
import { PresenceRoom, type RoomSettings } from "../engine/topics/PresenceRoom.js"
import type { Room, RoomReader } from "../engine/topics/RoomReader.js"
import type { Timers } from "../engine/time/Timers.js"
import { Waiters } from "../engine/Waiters.js"
import type * as TopicBroker from "../TopicBroker.js"
import { capDelays, interruptUnsafe, runForkWith, type Fiber, type Runtime } from "./effect.js"
import { roomStream, type FollowedRoom } from "./roomStream.js"
import { TopicError } from "./TopicError.js"
import { waitUntil } from "./waiting.js"

const retries = capDelays("5 seconds")(Schedule.exponential("100 millis"))

// Changes that arrive while the sessions are listed. If there are more, they are listed again.
const maxBuffered = 4096

/** A room that is observed, and what it gets from the broker. */
class Observed implements FollowedRoom {
  readonly room: PresenceRoom
  /** Wakes the readers, and what follows the room. */
  readonly wakes = new Waiters()
  fiber: Fiber | undefined = undefined
  hasBegun = false
  /** Why there is nothing more. */
  failure: { readonly error: TopicError } | undefined = undefined
  // Changes that wait until the sessions are listed; `undefined` while none are.
  private buffer: Array<TopicBroker.PresenceChange> | undefined = []
  private isInterrupted = false

  constructor(room: PresenceRoom) {
    this.room = room
  }

  /** Whether the sessions have to be listed again. */
  get isStale(): boolean {
    return this.isInterrupted
  }

  receive(change: TopicBroker.PresenceChange): void {
    if (change._tag === "Interrupted") {
      this.buffer = []
      this.isInterrupted = true
      this.wakes.wakeAll()
    } else if (this.buffer === undefined) {
      this.room.apply(change)
    } else if (this.buffer.push(change) > maxBuffered) {
      this.receive({ _tag: "Interrupted" })
    }
  }

  /** The sessions are about to be listed. */
  beginList(): void {
    this.isInterrupted = false
    this.buffer = []
  }

  listed(entries: ReadonlyArray<TopicBroker.PresenceEntry>): void {
    // Otherwise they are listed once more.
    if (this.isInterrupted) return
    if (this.hasBegun) this.room.replace(entries)
    else this.room.begin(entries)
    const changes = this.buffer ?? []
    this.buffer = undefined
    for (const change of changes) if (change._tag !== "Interrupted") this.room.apply(change)
    this.hasBegun = true
    this.wakes.wakeAll()
  }

  fail(error: TopicError): void {
    this.failure = { error }
    this.wakes.wakeAll()
  }
}

/** The rooms that are observed in this process, over a broker. Each is followed once, for all of its observers. */
export class PresenceHub {
  private readonly presence: TopicBroker.Presence
  private readonly settings: RoomSettings
  private readonly timers: Timers
  private readonly runtime: Runtime<never>
  private readonly rooms = new Map<string, Observed>()

  constructor(presence: TopicBroker.Presence, settings: RoomSettings, timers: Timers, runtime: Runtime<never>) {
    this.presence = presence
    this.settings = settings
    this.timers = timers
    this.runtime = runtime
  }

  /** What a reader of a room takes. */
  stream<A>(topic: string, make: (room: Room, onReady: () => void) => RoomReader<A>): Stream.Stream<A, TopicError> {
    return roomStream(
      () => this.enter(topic),
      (observed) => this.leave(topic, observed),
      make
    )
  }

  private enter(topic: string): Observed {
    const known = this.rooms.get(topic)
    if (known !== undefined) return known
    const observed = new Observed(new PresenceRoom(this.settings, this.timers))
    this.rooms.set(topic, observed)
    observed.fiber = runForkWith(this.runtime)(
      Effect.matchEffect(Effect.scoped(this.follow(topic, observed)), {
        onFailure: (error) => Effect.sync(() => this.fail(topic, observed, error)),
        onSuccess: () => Effect.void
      })
    )
    return observed
  }

  private follow(topic: string, observed: Observed): Effect.Effect<never, TopicError> {
    const list = Effect.suspend(() => {
      observed.beginList()
      return this.presence.list(topic)
    })
    const listed = (entries: ReadonlyArray<TopicBroker.PresenceEntry>) => Effect.sync(() => observed.listed(entries))
    const again: Effect.Effect<never, TopicError> = Effect.suspend(() =>
      observed.isStale
        ? Effect.andThen(Effect.flatMap(Effect.retry(list, retries), listed), again)
        : Effect.andThen(
            waitUntil(observed.wakes, () => observed.isStale),
            again
          )
    )
    return Effect.scoped(
      Effect.andThen(
        this.presence.changes(topic, (change) => observed.receive(change)),
        Effect.andThen(Effect.flatMap(list, listed), again)
      )
    )
  }

  private fail(topic: string, observed: Observed, error: TopicError): void {
    if (this.rooms.get(topic) === observed) this.rooms.delete(topic)
    observed.fail(error)
  }

  private leave(topic: string, observed: Observed): void {
    if (observed.room.observers.size > 0) return
    if (this.rooms.get(topic) === observed) this.rooms.delete(topic)
    this.stop(observed)
  }

  private stop(observed: Observed): void {
    observed.room.stop()
    if (observed.fiber !== undefined) interruptUnsafe(observed.fiber)
  }

  /** Ends everything. Streams fail. */
  end(): void {
    for (const [topic, observed] of this.rooms) {
      this.stop(observed)
      this.fail(topic, observed, new TopicError({ reason: "Unavailable", topic, cause: "the presence has ended" }))
    }
  }
}
