import { isConnectionClosed, isWebSocketError } from "@effect-websocket/protocol/Errors"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { annotations } from "./annotations.js"
import type { DrainedHandlers } from "../engine/server/Drain.js"
import type { Linked } from "../engine/server/ServerConnection.js"
import { nothingToUndo } from "../engine/connection/Closables.js"
import { Waiters } from "../engine/Waiters.js"
import { closeCodeOfExit } from "./closeCodeOfExit.js"
import {
  awaitCallback,
  catchCause,
  EffectClass,
  exitOfQuiet,
  findErrorOption,
  forkInScope,
  hasDies,
  hasInterruptsOnly,
  interruptUnsafe,
  quiet,
  scopeCloseUnsafe,
  scopeMakeUnsafe,
  type Fiber,
  type QuietExit,
  type Runtime
} from "./effect.js"

/** A connection as its handler gets it. */
export interface ServerSocket extends Linked {
  readonly url: string
  readonly remoteAddress: string | undefined
}

/** The handler that runs for each connection, and its services. */
export interface Job<S extends ServerSocket, A, E, R> {
  /** The fibers of this runtime can be interrupted. */
  readonly runtime: Runtime<Exclude<R, Scope.Scope>>
  readonly handler: (socket: S) => Effect.Effect<A, E, R>
  /** Called instead of logging a failure. */
  readonly onError: ((cause: Cause.Cause<E>, socket: S) => Effect.Effect<unknown, never, R>) | undefined
}

interface Member {
  interrupt(): void
}

/**
 * The handlers of one `run`. A connection costs one fiber and no wrapping effects. The services of its handler are in the runtime
 * of the fiber. Its release has a fiber only if the app or the log takes part in it.
 */
export class Handlers implements DrainedHandlers {
  private readonly maximum: number
  private readonly members = new Set<Member>()
  private readonly roomWaiters = new Waiters()
  private readonly emptyWaiters = new Waiters()

  constructor(maximum: number = Number.POSITIVE_INFINITY) {
    this.maximum = maximum
  }

  get size(): number {
    return this.members.size
  }

  start<S extends ServerSocket, A, E, R>(socket: S, job: Job<S, A, E, R>): void {
    const handling = new Handling(socket, job, this)
    this.members.add(handling)
    handling.begin()
  }

  /** A handler has ended, and its connection is released. */
  released(handling: Member): void {
    this.members.delete(handling)
    if (this.hasRoom) this.roomWaiters.wakeOne()
    if (this.members.size === 0) this.emptyWaiters.wakeAll()
  }

  /** Whether one more may start. */
  get hasRoom(): boolean {
    return this.members.size < this.maximum
  }

  /** Calls back once one more may start. Nothing may start now. Returns what undoes this. */
  whenRoom(done: () => void): () => void {
    return this.roomWaiters.add(done)
  }

  /** Interrupts all handlers at once, and returns how many there were. */
  interrupt(): number {
    const { size } = this.members
    for (const handling of this.members) handling.interrupt()
    return size
  }

  /** Calls back once all handlers have ended and their connections are released; at once if there are none. */
  whenEmpty(done: () => void): () => void {
    if (this.members.size > 0) return this.emptyWaiters.add(done)
    done()
    return nothingToUndo
  }

  /** Interrupts all handlers at once, and waits until their connections are released. */
  readonly stop: Effect.Effect<void> = awaitCallback<void>((resume) => {
    this.interrupt()
    return this.whenEmpty(() => resume(Effect.void))
  })
}

/**
 * The handler of one connection, and the release of both. It is the handler as an effect, because a closure in `Effect.suspend`
 * takes more memory.
 */
class Handling<S extends ServerSocket, A, E, R> extends EffectClass<A, E, R> {
  private readonly socket: S
  private readonly job: Job<S, A, E, R>
  private readonly scope = scopeMakeUnsafe()
  private readonly handlers: Handlers
  // What runs: the handler, or what the app and the log do at its end.
  private fiber: Fiber | undefined = undefined
  // Whether an interruption came in the first step of what runs, when its fiber was not known yet.
  private interrupted = false

  constructor(socket: S, job: Job<S, A, E, R>, handlers: Handlers) {
    super()
    this.socket = socket
    this.job = job
    this.handlers = handlers
  }

  asEffect(): Effect.Effect<A, E, R> {
    return this.job.handler(this.socket)
  }

  begin(): void {
    // A bound function takes half the memory of a closure with its context, and each connection keeps this one.
    this.fork(quiet<A, E, R>(this), this.end.bind(this))
  }

  interrupt(): void {
    if (this.fiber === undefined) this.interrupted = true
    else interruptUnsafe(this.fiber)
  }

  private fork<A1, E1>(effect: Effect.Effect<A1, E1, R>, onExit: (exit: Exit.Exit<A1, E1>) => void): void {
    const { job, scope, socket } = this
    this.interrupted = false
    const fiber = forkInScope(job.runtime, effect, scope, annotations(socket.url, socket.remoteAddress))
    this.fiber = fiber
    if (this.interrupted) interruptUnsafe(fiber)
    fiber.addObserver(onExit)
  }

  /** First come `onError` of the app, and then its finalizers: both may still use the connection. */
  private end(quietExit: QuietExit<A, E>): void {
    const { job, scope, socket } = this
    const exit = exitOfQuiet(quietExit)
    this.fiber = undefined
    const { onError } = job
    const failed = Exit.isFailure(exit) && !hasInterruptsOnly(exit.cause)
    const hook = failed && onError !== undefined ? reported(() => onError(exit.cause, socket)) : undefined
    const finalized = Effect.suspend(() => scopeCloseUnsafe(scope, exit) ?? Effect.void)
    const last = hook === undefined ? scopeCloseUnsafe(scope, exit) : Effect.andThen(hook, finalized)
    if (last === undefined) this.close(exit)
    else this.fork(Effect.uninterruptible(Effect.exit(last)), () => this.close(exit))
  }

  /** Closes the connection with the code for the exit of its handler. */
  private close(exit: Exit.Exit<A, E>): void {
    const { handlers, job, socket } = this
    this.fiber = undefined
    socket.link.beginClose(closeCodeOfExit(exit))
    socket.link.whenClosed(() => {
      const report = job.onError === undefined ? failureReport(exit) : undefined
      if (report === undefined) handlers.released(this)
      else this.fork(report, () => handlers.released(this))
    })
  }
}

/** Runs the hook so that it can be interrupted. Otherwise a hook could keep a server from ending. */
const reported = <R>(hook: () => Effect.Effect<unknown, never, R>): Effect.Effect<void, never, R> =>
  catchCause(Effect.asVoid(Effect.interruptible(Effect.suspend(hook))), (cause) =>
    hasInterruptsOnly(cause) ? Effect.void : Effect.logError("onError of a connection died", cause)
  )

/** What the log says about the exit of a handler, if anything. */
export const failureReport = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> | undefined => {
  if (Exit.isSuccess(exit) || hasInterruptsOnly(exit.cause)) return undefined
  const { cause } = exit
  if (hasDies(cause)) return Effect.logError("The handler of a connection died", cause)
  const failure = Option.getOrUndefined(findErrorOption(cause))
  if (isConnectionClosed(failure)) return Effect.logDebug("The connection was closed", failure.message)
  // Without its stack, which shows only this library. A hostile peer could fill the log with it.
  if (isWebSocketError(failure)) return Effect.logWarning("The connection failed", failure.message)
  return Effect.logWarning("The handler of a connection failed", cause)
}
