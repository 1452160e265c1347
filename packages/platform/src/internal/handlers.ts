import { isConnectionClosed, isWebSocketError } from "@effect-websocket/protocol/Errors"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as FiberRef from "effect/FiberRef"
import * as FiberRefs from "effect/FiberRefs"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Scope from "effect/Scope"
import { annotations } from "./annotations.js"
import type { DrainedHandlers } from "../engine/server/Drain.js"
import type { Linked } from "../engine/server/ServerConnection.js"
import { nothingToUndo } from "../engine/connection/Closables.js"
import { Waiters } from "../engine/Waiters.js"
import { awaitClosed, closeCodeOf } from "./scopes.js"
import { awaitCallback } from "./waiting.js"

/** A connection as its handler gets it. */
export interface ServerSocket extends Linked {
  readonly url: string
  readonly remoteAddress: string | undefined
}

/** What is done for each connection, and with which services. */
export interface Job<S extends ServerSocket, A, E, R> {
  /** Its fibers can be interrupted. */
  readonly runtime: Runtime.Runtime<Exclude<R, Scope.Scope>>
  readonly handler: (socket: S) => Effect.Effect<A, E, R>
  /** In place of the log. */
  readonly onError: ((cause: Cause.Cause<E>, socket: S) => Effect.Effect<unknown, never, R>) | undefined
}

/**
 * The handlers of one `run`. An idle connection costs one fiber and nothing around it: the needs of its handler are in the
 * runtime of the fiber, and its release has a short-lived fiber of its own.
 */
export class Handlers implements DrainedHandlers {
  private readonly maximum: number
  private readonly fibers = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
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
    // As a value, because the runtime would log a failure as one that nobody looks at. An interruption stays one.
    const handled = Effect.matchCauseEffect(new HandlerEffect(socket, job), {
      onFailure: asFailure<E>,
      onSuccess: asSuccess<A>
    })
    this.supervise(fork(job.runtime, handled, socket, scope), (exit) => {
      const released = Effect.uninterruptible(release(socket, job, scope, Exit.flatten(exit)))
      this.supervise(fork(job.runtime, released, socket, scope))
    })
  }

  /** Waits until one more may start. */
  readonly awaitRoom: Effect.Effect<void> = awaitCallback<void>((resume) => {
    if (this.fibers.size < this.maximum) return resume(Effect.void)
    return this.roomWaiters.add(() => resume(Effect.void))
  })

  private supervise<A1, E1>(fiber: Fiber.RuntimeFiber<A1, E1>, onExit?: (exit: Exit.Exit<A1, E1>) => void): void {
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
    for (const fiber of this.fibers) fiber.unsafeInterruptAsFork(FiberId.none)
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
class HandlerEffect<S extends ServerSocket, A, E, R> extends Effectable.Class<A, E, R> {
  private readonly socket: S
  private readonly job: Job<S, A, E, R>
  constructor(socket: S, job: Job<S, A, E, R>) {
    super()
    this.socket = socket
    this.job = job
  }
  commit(): Effect.Effect<A, E, R> {
    return this.job.handler(this.socket)
  }
}

// `Effect.exit` would make functions of its own for each fiber, and keep them as long as the fiber.
const asFailure = <E>(cause: Cause.Cause<E>): Effect.Effect<Exit.Exit<never, E>> =>
  Effect.succeed(Exit.failCause(cause))
const asSuccess = <A>(value: A): Effect.Effect<Exit.Exit<A>> => Effect.succeed(Exit.succeed(value))

/**
 * Starts a fiber with a scope and with the annotations of its connection. They are put into its references as it starts: a
 * runtime of its own for each connection would be another copy of all of them.
 */
const fork = <A, E, R>(
  runtime: Runtime.Runtime<Exclude<R, Scope.Scope>>,
  effect: Effect.Effect<A, E, R>,
  socket: ServerSocket,
  scope: Scope.Scope
): Fiber.RuntimeFiber<A, E> =>
  Runtime.runFork(
    // What is missing in its context is the scope, which `updateRefs` adds.
    runtime as Runtime.Runtime<R>,
    effect,
    {
      updateRefs: (references, fiberId) => {
        const context = Context.add(runtime.context, Scope.Scope, scope)
        const inherited = FiberRefs.getOrDefault(references, FiberRef.currentLogAnnotations)
        const own = Object.entries(annotations(socket.url, socket.remoteAddress))
        const annotated = HashMap.mutate(inherited, (map) => {
          for (const [name, value] of own) HashMap.set(map, name, value)
        })
        return FiberRefs.unsafeMake(
          new Map(references.locals)
            .set(FiberRef.currentContext, [[fiberId, context]])
            .set(FiberRef.currentLogAnnotations, [[fiberId, annotated]])
        )
      }
    }
  )

/**
 * Closes a connection with the code for the exit of its handler. First come `onError` of the app, and then its finalizers: both
 * may still use the connection.
 */
const release = <S extends ServerSocket, A, E, R>(
  socket: S,
  { onError }: Job<S, A, E, R>,
  scope: Scope.CloseableScope,
  exit: Exit.Exit<unknown, E>
): Effect.Effect<void, never, R> => {
  const failed = Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)
  const hook = failed && onError !== undefined ? reported(() => onError(exit.cause, socket)) : Effect.void
  return hook.pipe(
    Effect.zipRight(Effect.exit(Scope.close(scope, exit))),
    Effect.zipRight(
      Effect.suspend(() => {
        socket.link.beginClose(closeCodeOf(exit))
        return Effect.zipRight(awaitClosed(socket.link), onError === undefined ? logFailure(exit) : Effect.void)
      })
    )
  )
}

/** The hook can be interrupted, so that none keeps a server from ending. */
const reported = <R>(hook: () => Effect.Effect<unknown, never, R>): Effect.Effect<void, never, R> =>
  Effect.catchAllCause(Effect.asVoid(Effect.interruptible(Effect.suspend(hook))), (cause) =>
    Cause.isInterruptedOnly(cause) ? Effect.void : Effect.logError("onError of a connection died", cause)
  )

const logFailure = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> => {
  if (Exit.isSuccess(exit) || Cause.isInterruptedOnly(exit.cause)) return Effect.void
  const { cause } = exit
  if (Option.isSome(Cause.dieOption(cause))) return Effect.logError("The handler of a connection died", cause)
  const failure = Option.getOrUndefined(Cause.failureOption(cause))
  if (isConnectionClosed(failure)) return Effect.logDebug("The connection was closed", failure.message)
  // Without its stack: that is of this library, and a hostile peer could fill the log with it.
  if (isWebSocketError(failure)) return Effect.logWarning("The connection failed", failure.message)
  return Effect.logWarning("The handler of a connection failed", cause)
}
