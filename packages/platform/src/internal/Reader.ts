import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Message } from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { Delivered } from "../engine/connection/Inbox.js"
import type { Link } from "../engine/connection/Link.js"
import {
  handingOver,
  interruptibleFiber,
  isInterrupted,
  onExitUninterruptible,
  streamOfReads,
  toBatch,
  withFiber,
  type Batch,
  type Fiber,
  type Status
} from "./effect.js"
import { Reading, type ReadingHost } from "./Reading.js"
import { ItemRunning, type Handler, type Running } from "./Running.js"
import { isTagged, readerKey } from "./typeId.js"

/** Reads the items of a connection: one at a time, in batches, as a stream, or with a handler. */
export abstract class Reader<Item extends Delivered> implements ReadingHost<Item> {
  readonly link: Link<Item>
  readingFiber: Fiber | undefined = undefined
  private runner: object | undefined = undefined
  // Each effect is built when it is first used and then kept: most connections use only one of them.
  private receiveOnce: Effect.Effect<Item, ConnectionError> | undefined = undefined
  private receiveAllOnce: Effect.Effect<Batch<Item>, ConnectionError> | undefined = undefined

  constructor(link: Link<Item>) {
    this.link = link
  }

  /** The next item. */
  protected get receiveItem(): Effect.Effect<Item, ConnectionError> {
    return (this.receiveOnce ??= this.readingItem((item) => item))
  }

  /** The result of `get` for the next item. */
  protected readingItem<A>(get: (item: Item) => A): Effect.Effect<A, ConnectionError> {
    return new Reading(
      this,
      Effect.sync(() => get(this.takeItem()))
    )
  }

  /** The result of `take`, or `None` after a normal end. */
  protected readingOption<A>(take: () => A, isReady?: () => boolean): Effect.Effect<Option.Option<A>, ConnectionError> {
    const taken = Effect.sync(() => Option.some(take()))
    return new Reading<Option.Option<A>, Item>(this, taken, Effect.succeed(Option.none()), isReady)
  }

  /** All items that wait, at least one. */
  protected get receiveItems(): Effect.Effect<Batch<Item>, ConnectionError> {
    return (this.receiveAllOnce ??= new Reading(
      this,
      Effect.sync(() => toBatch(this.takeBatch()))
    ))
  }

  /** All items that wait, in batches. Ends after a normal end. It is not kept, because few apps ask for it twice. */
  protected get items(): Stream.Stream<Item, ConnectionError> {
    // A bound function takes half the memory of a closure with its context, and a stream that waits keeps it.
    return this.streaming(this.takeBatch.bind(this))
  }

  /** `take` must take at least one item. */
  protected streaming<A>(take: () => ReadonlyArray<A>, isReady?: () => boolean): Stream.Stream<A, ConnectionError> {
    return streamOfReads<A, ConnectionError>((taken, ended) => new Reading(this, taken, ended, isReady), take, true)
  }

  /** `giveBack`, if given, is called for each item once its handler is done: the items are borrowed. */
  protected runItems<E, R>(
    handler: Handler<Item, E, R>,
    giveBack?: (item: Item) => void
  ): Effect.Effect<void, E | ConnectionError, R> {
    return withFiber((fiber, status) => {
      const running = new ItemRunning(this, fiber, handler, giveBack)
      return this.runAsReader(running, status, giveBack !== undefined)
    })
  }

  /** Begins a `run` in its fiber. */
  runAsReader<E, R>(
    running: Running<Item, E, R>,
    status: Status,
    borrowing = false
  ): Effect.Effect<void, E | ConnectionError, R> {
    const { fiber } = running
    this.claimReader()
    this.runner = running
    this.link.connection.borrowing = borrowing
    this.readingFiber = interruptibleFiber(fiber, status)
    // A bound function takes half the memory of a closure with its context, and the fiber keeps it while it waits.
    return onExitUninterruptible(status, handingOver(fiber, running), running.end.bind(running))
  }

  /** Runs an effect as the reader, between two readings: another reader is a defect meanwhile. */
  asReader<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const token = {}
      this.runner = token
      return Effect.ensuring(
        effect,
        Effect.sync(() => this.releaseReader(token))
      )
    })
  }

  protected get isReadable(): boolean {
    return !this.link.inbox.isEmpty
  }

  /** Takes the next item. There must be one. */
  protected takeItem(): Item {
    const { inbox } = this.link
    const item = inbox.next()
    inbox.taken()
    if (item === undefined) throw new Error(twoReaders)
    return item
  }

  /** Takes all items that wait. There must be at least one. */
  private takeBatch(): ReadonlyArray<Item> {
    const batch = this.link.inbox.takeAll()
    if (batch.length === 0) throw new Error(twoReaders)
    return batch
  }

  claimReader(): void {
    const { inbox } = this.link
    const claimed = this.runner !== undefined || inbox.isAwaited || inbox.taking
    if (claimed && !isInterrupted(this.readingFiber)) throw new Error(twoReaders)
    this.releaseReader()
  }

  releaseReader(owner = this.runner): void {
    if (this.runner !== owner) return
    this.runner = undefined
    this.link.connection.borrowing = false
    this.readingFiber = undefined
    this.link.inbox.forgetReader()
  }
}

/** Whether a WebSocket delivers whole messages and is one of this library's. */
export const hasReader = (socket: object): socket is { readonly [readerKey]: Reader<Message> } =>
  isTagged(socket, readerKey)

const twoReaders = "Two fibers read from one WebSocket at once: its messages would be divided between them"
