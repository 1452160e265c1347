import { IoError } from "@effect-websocket/protocol/Errors"
import type { DialingResult } from "../client/Dialing.js"
import { closedAtOnce, type Closable } from "../connection/Closables.js"
import { notSet, type Alarm, type Timers } from "../time/Timers.js"
import { closeQuietly } from "./dialNative.js"
import type { NativeDial, NativeDialed, NativeOpened, NativeRequest } from "./NativeSocket.js"

const nothing = (): void => {}

/** What a dialing needs besides the request. */
export interface NativeDialingPlan<A> {
  readonly dial: NativeDial
  readonly openTimeout: number
  readonly timers: Timers
  /** Makes the connection. It takes over the place that the dialing has in its scope, in the same step. */
  readonly open: (opened: NativeOpened) => A
}

/** From a request to an open connection over a platform's WebSocket. Its owner registers it with a scope before it starts. */
export class NativeDialing<A> implements Closable, Alarm {
  /** No connection exists yet. */
  readonly patience = 0
  readonly whenClosed = closedAtOnce
  alarmTime = 0
  alarmIndex = notSet
  /** The connection, from the step in which it is made. */
  connection: A | undefined = undefined
  private readonly plan: NativeDialingPlan<A>
  private done: (result: DialingResult<A>) => void = nothing
  private cancel: () => void = nothing
  private ended = false

  constructor(plan: NativeDialingPlan<A>) {
    this.plan = plan
  }

  /** Starts, and calls back once unless it is dropped before. */
  start(request: NativeRequest, done: (result: DialingResult<A>) => void): void {
    if (this.ended) return done({ _tag: "Closed" })
    this.done = done
    const { dial, openTimeout, timers } = this.plan
    timers.set(this, timers.now + openTimeout)
    try {
      this.cancel = dial(request, (dialed) => this.take(dialed))
    } catch (defect) {
      this.end({ _tag: "Died", defect })
    }
  }

  private take(dialed: NativeDialed): void {
    this.cancel = nothing
    if (this.ended) {
      if (dialed._tag === "Opened") closeQuietly(dialed.opened.socket)
    } else if (dialed._tag === "Failed") this.end(dialed)
    else {
      this.connection = this.plan.open(dialed.opened)
      this.end({ _tag: "Opened", connection: this.connection })
    }
  }

  /** Ends it without a callback. The attempt is dropped; a connection stays open. Idempotent. */
  drop(): void {
    if (this.ended) return
    this.ended = true
    this.plan.timers.clear(this)
    this.cancel()
  }

  /** The scope ends. */
  beginClose(): void {
    this.end({ _tag: "Closed" })
  }

  fire(): void {
    this.end({ _tag: "Failed", error: new IoError({ reason: "Timeout", operation: "open" }) })
  }

  private end(result: DialingResult<A>): void {
    if (this.ended) return
    this.drop()
    this.done(result)
  }
}
