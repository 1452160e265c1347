import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import { endsNormally } from "../engine/connection/endsNormally.js"
import type { Link } from "../engine/connection/Link.js"
import type { Delivered, InboxReader } from "../engine/connection/Inbox.js"
import { awaitReadable, FiberEffect, interruptibleFiber, resumeInPlace, type Fiber, type Status } from "./effect.js"

/** The reader of a connection. At most one fiber reads at a time. */
export interface ReadingHost<Item extends Delivered> {
  readonly link: Link<Item>
  /** The fiber that reads, if it can be interrupted. An interrupted fiber no longer reads. */
  readingFiber: Fiber | undefined
  /** Makes the current fiber the one that reads. Throws if another fiber reads. */
  claimReader(): void
  /** The owner of the claim no longer reads. Does nothing if another one has taken over. */
  releaseReader(owner?: object): void
}

/**
 * Waits until there is something to read, and then continues as `taken`. `taken` must be an effect of one step: an item that
 * it takes from the inbox then reaches the next step before an interruption can.
 *
 * Most connections wait in one, so it is an effect and the reader of the inbox in one small object.
 */
export class Reading<A, Item extends Delivered, E = never, R = never>
  extends FiberEffect<A, E | ConnectionError, R>
  implements InboxReader
{
  private readonly host: ReadingHost<Item>
  protected readonly taken: Effect.Effect<A>
  private readonly normalEnd: Effect.Effect<A> | undefined
  private readonly isReady: (() => boolean) | undefined
  private resume: ((effect: Effect.Effect<A, E | ConnectionError, R>) => void) | undefined = undefined

  /**
   * `normalEnd` is the result if no more items come because the connection has ended normally; without it, every end is a
   * failure. Without `isReady`, it is ready as soon as an item waits.
   */
  constructor(host: ReadingHost<Item>, taken: Effect.Effect<A>, normalEnd?: Effect.Effect<A>, isReady?: () => boolean) {
    super()
    this.host = host
    this.taken = taken
    this.normalEnd = normalEnd
    this.isReady = isReady
  }

  begin(fiber: Fiber, status: Status): Effect.Effect<A, E | ConnectionError, R> {
    const { host, normalEnd } = this
    const { inbox } = host.link
    host.claimReader()
    const next = this.next()
    if (next !== undefined) {
      inbox.taking = true
      host.readingFiber = interruptibleFiber(fiber, status)
      return next
    }
    const { error } = inbox
    if (error !== undefined) {
      return normalEnd !== undefined && endsNormally(error) ? normalEnd : Effect.fail(this.failure(error))
    }
    host.readingFiber = interruptibleFiber(fiber, status)
    // In this step, because the fiber may yield before it waits: another reader would register in its place.
    this.resume = undefined
    inbox.waitOn(this)
    return awaitReadable((resume) => {
      this.resume = resume
      if (!inbox.isAwaited) this.wake()
    })
  }

  /** What to continue with, or `undefined` to wait. */
  protected next(): Effect.Effect<A, E | ConnectionError, R> | undefined {
    const { isReady } = this
    const ready = isReady === undefined ? !this.host.link.inbox.isEmpty : isReady()
    return ready ? this.taken : undefined
  }

  /** The failure that follows from the error of the connection. */
  protected failure(error: ConnectionError): ConnectionError {
    return error
  }

  wake(): void {
    const { host, resume } = this
    // The fiber has yielded before it waits. It keeps its claim, and goes on as soon as it waits.
    host.link.inbox.taking = resume === undefined
    if (resume === undefined) return
    const fiber = host.readingFiber
    host.readingFiber = undefined
    this.resume = undefined
    // The reading side is prepared for code of the app at this point, because it calls the handlers of `run` here, too.
    resumeInPlace(fiber, resume, this)
  }
}
