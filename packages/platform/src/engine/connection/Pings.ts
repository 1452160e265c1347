import type { PingReceived, PongReceived, Ended } from "@effect-websocket/protocol/Connection"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { isSameBytes } from "../bytes.js"
import type { ConnectionObserver } from "./Observer.js"

/** The connection has left the phase `Open`. Listeners may receive it several times. */
export interface Closing {
  readonly _tag: "Closing"
}

/** An event that listeners receive. */
export type ControlEvent = PingReceived | PongReceived | Closing | Ended

/** The milliseconds between a ping and its pong, or the error if no pong will come. */
export type Answer = number | ConnectionError

/** A ping that this side sends and that has no answer yet. */
export class PendingPing {
  readonly payload: Uint8Array
  private readonly start: number
  private answer: Answer | undefined = undefined
  private done: ((answer: Answer) => void) | undefined = undefined

  constructor(payload: Uint8Array, now: number) {
    this.payload = payload
    this.start = now
  }

  /** Calls `done` once with the answer; immediately if the answer is already there. */
  whenAnswered(done: (answer: Answer) => void): void {
    if (this.answer === undefined) this.done = done
    else done(this.answer)
  }

  complete(answer: Answer): void {
    if (this.done === undefined) this.answer = answer
    else this.done(answer)
  }

  elapsed(now: number): number {
    return now - this.start
  }
}

/** The pings that wait for a pong, oldest first, and the listeners for control frames. */
export class Pings {
  private pending: Array<PendingPing> = []
  private readonly listeners = new Set<(event: ControlEvent) => void>()
  private readonly observer: ConnectionObserver | undefined
  private heartbeat: PendingPing | undefined = undefined

  constructor(observer?: ConnectionObserver) {
    this.observer = observer
  }

  add(ping: PendingPing): void {
    this.pending.push(ping)
  }

  /** Adds the ping of a heartbeat. It replaces an earlier one, because a peer that answers none must not let them add up. */
  beat(ping: PendingPing): void {
    if (this.heartbeat !== undefined) this.forget(this.heartbeat)
    this.heartbeat = ping
    this.add(ping)
  }

  forget(ping: PendingPing): void {
    const index = this.pending.indexOf(ping)
    if (index >= 0) this.pending.splice(index, 1)
  }

  answer(data: Uint8Array, now: number): void {
    const index = this.pending.findIndex((ping) => isSameBytes(ping.payload, data))
    const answered = this.pending[index]
    if (answered !== undefined) this.observer?.answered(answered.elapsed(now))
    // RFC 6455 §5.5.3: a peer may answer only the newest ping. That pong then answers all earlier pings, too.
    for (const ping of this.pending.splice(0, index + 1)) ping.complete(ping.elapsed(now))
  }

  fail(error: ConnectionError): void {
    const { pending } = this
    this.pending = []
    for (const ping of pending) ping.complete(error)
  }

  listen(listener: (event: ControlEvent) => void): () => void {
    this.listeners.add(listener)
    return () => {
      this.listeners.delete(listener)
    }
  }

  tell(event: ControlEvent): void {
    for (const listener of this.listeners) listener(event)
  }
}
