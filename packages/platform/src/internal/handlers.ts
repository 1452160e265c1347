import { isConnectionClosed, isWebSocketError } from "@effect-websocket/protocol/Errors"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
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
  findErrorOption,
  flattenExit,
  forkInScope,
  hasDies,
  hasInterruptsOnly,
  interruptUnsafe,
  type Closeable,
  type Fiber,
  type Runtime
} from "./effect.js"
import { awaitClosed } from "./scopes.js"

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

/**
 * The handlers of one `run`. An idle connection costs one fiber and no wrapping effects. The services of its handler
 * are in the runtime of the fiber. Its release has a short-lived fiber of its own.
 */
export class Handlers implements DrainedHandlers {
  private readonly maximum: number
  private readonly fibers = new Set<Fiber>()
  private readonly roomWaiters = new Waiters()
  private readonly emptyWaiters = new Waiters()

  constructor(maximum: number = Number.POSITIVE_INFINITY) {
    this.maximum = maximum
  }

  get size(): number {
    return this.fibers.size
  }

  start<S extends ServerSocket, A, E, R>(socket: S, job: Job<S, A, E, R>): void {
    const scope = Effect.runSync(Scope.make())
    // As a value, because the runtime would log a failure as unobserved. An interruption stays an interruption.
    const handled = Effect.matchCauseEffect(new HandlerEffect(socket, job), {
      onFailure: asFailure<E>,
      onSuccess: asSuccess<A>
    })
    this.supervise(fork(job.runtime, handled, socket, scope), (exit) => {
      const released = Effect.uninterruptible(release(socket, job, scope, flattenExit(exit)))
      this.supervise(fork(job.runtime, released, socket, scope))
    })
  }

  /** Waits until one more may start. */
  readonly awaitRoom: Effect.Effect<void> = awaitCallback<void>((resume) => {
    if (this.fibers.size < this.maximum) return resume(Effect.void)
    return this.roomWaiters.add(() => resume(Effect.void))
  })

  private supervise<A1, E1>(fiber: Fiber<A1, E1>, onExit?: (exit: Exit.Exit<A1, E1>) => void): void {
    this.fibers.add(fiber)
    fiber.addObserver((exit) => {
      this.fibers.delete(fiber)
      onExit?.(exit)
      if (this.fibers.size < this.maximum) this.roomWaiters.wakeOne()
      if (this.fibers.size === 0) this.emptyWaiters.wakeAll()
    })
  }

  /** Interrupts all handlers at once, and returns how many there were. */
  interrupt(): number {
    const { size } = this.fibers
    for (const fiber of this.fibers) interruptUnsafe(fiber)
    return size
  }

  /** Calls back once all handlers have ended and their connections are released; at once if there are none. */
  whenEmpty(done: () => void): () => void {
    if (this.fibers.size > 0) return this.emptyWaiters.add(done)
    done()
    return nothingToUndo
  }

  /** Interrupts all handlers at once, and waits until their connections are released. */
  readonly stop: Effect.Effect<void> = awaitCallback<void>((resume) => {
    this.interrupt()
    return this.whenEmpty(() => resume(Effect.void))
  })
}

/** The handler of a connection as an effect. It takes less memory than a closure in `Effect.suspend` does. */
class HandlerEffect<S extends ServerSocket, A, E, R> extends EffectClass<A, E, R> {
  private readonly socket: S
  private readonly job: Job<S, A, E, R>
  constructor(socket: S, job: Job<S, A, E, R>) {
    super()
    this.socket = socket
    this.job = job
  }
  asEffect(): Effect.Effect<A, E, R> {
    return this.job.handler(this.socket)
  }
}

// `Effect.exit` would make functions of its own for each fiber, and keep them as long as the fiber.
const asFailure = <E>(cause: Cause.Cause<E>): Effect.Effect<Exit.Exit<never, E>> =>
  Effect.succeed(Exit.failCause(cause))
const asSuccess = <A>(value: A): Effect.Effect<Exit.Exit<A>> => Effect.succeed(Exit.succeed(value))

const fork = <A, E, R>(
  runtime: Runtime<Exclude<R, Scope.Scope>>,
  effect: Effect.Effect<A, E, R>,
  socket: ServerSocket,
  scope: Scope.Scope
): Fiber<A, E> => forkInScope(runtime, effect, scope, annotations(socket.url, socket.remoteAddress))

/**
 * Closes a connection with the code for the exit of its handler. First come `onError` of the app, and then its finalizers: both
 * may still use the connection.
 */
const release = <S extends ServerSocket, A, E, R>(
  socket: S,
  { onError }: Job<S, A, E, R>,
  scope: Closeable,
  exit: Exit.Exit<unknown, E>
): Effect.Effect<void, never, R> => {
  const failed = Exit.isFailure(exit) && !hasInterruptsOnly(exit.cause)
  const hook = failed && onError !== undefined ? reported(() => onError(exit.cause, socket)) : Effect.void
  return hook.pipe(
    Effect.andThen(Effect.exit(Scope.close(scope, exit))),
    Effect.andThen(
      Effect.suspend(() => {
        socket.link.beginClose(closeCodeOfExit(exit))
        return Effect.andThen(awaitClosed(socket.link), onError === undefined ? logFailure(exit) : Effect.void)
      })
    )
  )
}

/** Runs the hook so that it can be interrupted. Otherwise a hook could keep a server from ending. */
const reported = <R>(hook: () => Effect.Effect<unknown, never, R>): Effect.Effect<void, never, R> =>
  catchCause(Effect.asVoid(Effect.interruptible(Effect.suspend(hook))), (cause) =>
    hasInterruptsOnly(cause) ? Effect.void : Effect.logError("onError of a connection died", cause)
  )

const logFailure = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
  if (Exit.isSuccess(exit) || hasInterruptsOnly(exit.cause)) return Effect.void
  const { cause } = exit
  if (hasDies(cause)) return Effect.logError("The handler of a connection died", cause)
  const failure = Option.getOrUndefined(findErrorOption(cause))
  if (isConnectionClosed(failure)) return Effect.logDebug("The connection was closed", failure.message)
  // Without its stack, which shows only this library. A hostile peer could fill the log with it.
  if (isWebSocketError(failure)) return Effect.logWarning("The connection failed", failure.message)
  return Effect.logWarning("The handler of a connection failed", cause)
}
