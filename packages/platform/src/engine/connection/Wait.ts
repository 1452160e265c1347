import type { ConnectionError } from "@effect-websocket/protocol/Errors"

/** What code of the app threw in a callback: a defect of the caller that waits. */
export class Defect {
  readonly cause: unknown

  constructor(cause: unknown) {
    this.cause = cause
  }
}

/** How a send ended: `undefined` after success. */
export type Outcome = ConnectionError | Defect | undefined

/** What a send returns at once: its outcome, or the wait for it. */
export type Sent = Outcome | Wait

/**
 * A send that has to wait. Nothing happens before `start`, which looks again whether it still has to. Calls back once, or not at
 * all after `cancel`.
 */
export abstract class Wait {
  private done: ((outcome: Outcome) => void) | undefined = undefined
  private next: Wait | undefined = undefined

  start(done: (outcome: Outcome) => void): void {
    this.done = done
    this.begin()
  }

  /** Gives up. If it has not been sent, it will not be. */
  cancel(): void {
    this.done = undefined
    if (this.next === undefined) this.undo()
    else this.next.cancel()
  }

  /** Passes on the outcome, or waits on. */
  settle(sent: Sent): void {
    const { done } = this
    if (done === undefined) return
    this.done = undefined
    if (!(sent instanceof Wait)) return done(sent)
    this.next = sent
    sent.start(done)
  }

  /** Settles at once, or takes a place among those that wait. */
  protected abstract begin(): void

  /** Leaves that place. */
  protected abstract undo(): void
}
