import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Defect } from "../Defect.js"

/** The outcome of a send: `undefined` if it succeeded. A defect is one of the caller that waits. */
export type Outcome = ConnectionError | Defect | undefined

/** The immediate result of a send: its outcome, or a wait for the outcome. */
export type Sent = Outcome | Wait

/**
 * A send that has to wait. Nothing happens before `start`, which checks again whether it still has to wait. The callback
 * runs once, or not at all after `cancel`.
 */
export abstract class Wait {
  private done: ((outcome: Outcome) => void) | undefined = undefined
  private next: Wait | undefined = undefined
  private hasSent = false

  /** Whether anything of the message has been sent. */
  get isSent(): boolean {
    return this.hasSent
  }

  start(done: (outcome: Outcome) => void): void {
    this.done = done
    this.begin()
  }

  /** Cancels the wait. If nothing has been sent yet, nothing will be. */
  cancel(): void {
    this.done = undefined
    if (this.next === undefined) this.undo()
    else this.next.cancel()
  }

  /** Passes the outcome to the callback, or continues with the next wait. */
  settle(sent: Sent): void {
    const { done } = this
    if (done === undefined) return
    this.done = undefined
    this.hasSent = sent === undefined || sent instanceof Wait
    if (!(sent instanceof Wait)) return done(sent)
    this.next = sent
    sent.start(done)
  }

  /** Settles at once, or takes a place in the queue. */
  protected abstract begin(): void

  /** Leaves the queue. */
  protected abstract undo(): void
}
