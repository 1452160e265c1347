import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import {
  ConnectionClosed,
  isHandshakeRejected,
  type PayloadTooLarge,
  type ProtocolError
} from "@effect-websocket/protocol/Errors"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Option from "effect/Option"
import type * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ConnectError } from "../engine/client/Dial.js"
import { Outbox, type OutboxStrategy, type Outcome } from "../engine/client/Outbox.js"
import * as RetryAfter from "../engine/client/RetryAfter.js"
import { closedAtOnce, type Closable, type Owner } from "../engine/connection/Closables.js"
import { toCloseCode } from "../engine/connection/sendable.js"
import { Waiters } from "../engine/Waiters.js"
import type * as WebSocket from "../WebSocket.js"
import { closeCodeOfExit } from "./closeCodeOfExit.js"
import {
  awaitCallback,
  catch_,
  catchDefect,
  Delays,
  exitHasInterrupts,
  forkChild,
  hasInterruptsOnly,
  interruptUnsafe,
  runForkLater,
  scopeProvide,
  tapCause,
  type Fiber as AnyFiber,
  type Runtime,
  type Subscribable
} from "./effect.js"
import { Inbox } from "./inbox.js"
import type { Metering } from "./Metering.js"
import { offer, OutgoingMessage, sendAll } from "./outgoing.js"
import { ObservedState, type Decision, type Failure, type SendOptions, type State } from "./reconnectingState.js"
import { awaitClosed, delegatingScope } from "./scopes.js"
import { timeout } from "./settings.js"

/** How each connection is used. */
export interface Usage<S, A, E, R> {
  /** What the app gets of an open connection, and what reads from it. */
  readonly adopt: (socket: WebSocket.WebSocket) => S
  /** Reads until the connection is over. Fails only if something else than the connection fails. */
  readonly read: (adopted: S, deliver: (item: A) => Effect.Effect<void>) => Effect.Effect<void, E, R>
}

/** What a logical connection is made with: all options, with their defaults. */
export interface ReconnectingPlan<S, A, E, R> extends Usage<S, A, E, R> {
  /** Makes one attempt. */
  readonly connect: Effect.Effect<WebSocket.WebSocket, ConnectError | E, Scope.Scope | R>
  readonly schedule: Schedule.Schedule<unknown, Failure<E>>
  readonly stableMillis: number
  readonly maxRetryAfterMillis: number
  readonly classify: (failure: Failure<E>) => Decision
  readonly onConnect: (adopted: S, connection: number) => Effect.Effect<unknown, E, R>
  readonly outboxCapacity: number
  readonly outboxStrategy: OutboxStrategy
  readonly metering?: Metering | undefined
}

// A message that nobody takes holds up those behind it, and in the end the peer.
const inboxCapacity = 16

/** A logical connection. It owns its connections, and has one place in its scope for all of them. */
export class Reconnecting<S, A, E, R> implements Closable, Owner {
  private readonly plan: ReconnectingPlan<S, A, E, R>
  private readonly outbox: Outbox<OutgoingMessage>
  private readonly inbox = new Inbox<A, Failure<E>>(inboxCapacity)
  private readonly observed = new ObservedState<E>()
  private supervisor: AnyFiber<void, never> | undefined = undefined
  private place: Owner | undefined = undefined
  private runtime: Runtime<R> | undefined = undefined
  private socket: WebSocket.WebSocket | undefined = undefined
  /** The connection on which messages are sent. */
  private openSocket: WebSocket.WebSocket | undefined = undefined
  /** Whether `reconnect` was called since the last attempt began. */
  private isRequested = false
  private onRequest: (() => void) | undefined = undefined
  /** The callers of `reconnect`, which wait for the next attempt. */
  private readonly requests = new Waiters()
  /** The connection, or the dialing that may become one. */
  private member: Closable | undefined = undefined
  private closing: { readonly code: number; readonly waited: number } | undefined = undefined
  private connections = 0
  private stopped = false
  /** How it ended, if it has. */
  private end: Exit.Exit<void, Failure<E>> | undefined = undefined

  constructor(plan: ReconnectingPlan<S, A, E, R>) {
    this.plan = plan
    this.outbox = new Outbox(plan.outboxCapacity, plan.outboxStrategy)
  }

  start(runtime: Runtime<R>, place: Owner): void {
    this.place = place
    this.runtime = runtime
    // Interruptible although `make` is not. It begins later, so that it is interruptible from its first step on.
    this.supervisor = runForkLater(runtime, this.supervise)
    place.add(this)
  }

  get patience(): number {
    return this.member?.patience ?? 0
  }

  add(member: Closable): void {
    this.member = member
    if (this.closing !== undefined) member.beginClose(this.closing.code, this.closing.waited)
  }

  delete(member: Closable): void {
    if (this.member !== member) return
    this.member = undefined
    this.leaveScope()
  }

  /** The end of the scope. */
  beginClose(code: number, waited = 0): void {
    if (this.closing !== undefined) return
    this.closing = { code, waited }
    this.stop()
    this.member?.beginClose(code, waited)
  }

  whenClosed(done: () => void): () => void {
    return this.member === undefined ? closedAtOnce(done) : this.member.whenClosed(done)
  }

  /** Leaves the scope, so that a scope that lives longer does not keep this object in memory. */
  private leaveScope(): void {
    if (this.end !== undefined && this.member === undefined) this.place?.delete(this)
  }

  private readonly supervise: Effect.Effect<void, never, R> = Effect.gen(
    function* (this: Reconnecting<S, A, E, R>) {
      let attempt = 1
      const delays = new Delays(this.plan.schedule)
      for (;;) {
        this.isRequested = false
        this.observed.set({ _tag: "Connecting", attempt })
        this.requests.wakeAll()
        const ended = yield* Effect.raceFirst(this.connection, this.requested)
        if (ended === undefined || this.isRequested) {
          attempt = 1
          delays.reset()
          continue
        }
        const { failure, millis } = ended
        const decision = this.plan.classify(failure)
        if (decision !== "reconnect") return this.finish(failure, decision)
        if (millis >= this.plan.stableMillis) {
          attempt = 1
          delays.reset()
        }
        const now = yield* Clock.currentTimeMillis
        const scheduled = yield* Effect.raceFirst(delays.next(now, failure), this.requested)
        if (!this.isRequested) {
          if (scheduled === undefined) return this.finish(failure, "fail")
          const asked = isHandshakeRejected(failure) ? (RetryAfter.parse(failure.headers, now) ?? 0) : 0
          const delay = Duration.millis(Math.max(scheduled, Math.min(asked, this.plan.maxRetryAfterMillis)))
          attempt++
          this.observed.set({ _tag: "Waiting", attempt, delay, failure })
          yield* Effect.raceFirst(Effect.sleep(delay), this.requested)
        }
        if (this.isRequested) {
          attempt = 1
          delays.reset()
        }
      }
    }.bind(this)
  ).pipe(
    // Readers get a defect of the app's effects.
    catchDefect((defect) => Effect.sync(() => this.finishWith(Exit.die(defect), Cause.die(defect)))),
    // If nobody stopped this, an effect of the app's ended with an interruption. That must not look like a normal end.
    Effect.onInterrupt(() => Effect.sync(() => this.finishInterrupted()))
  )

  /** Ends once `reconnect` is called. */
  private readonly requested: Effect.Effect<undefined> = awaitCallback((resume) => {
    if (this.isRequested) return resume(Effect.succeed(undefined))
    this.onRequest = () => resume(Effect.succeed(undefined))
    return () => {
      this.onRequest = undefined
    }
  })

  /** One real connection: why it ended, and how long it was open. */
  private readonly connection: Effect.Effect<{ readonly failure: Failure<E>; readonly millis: number }, never, R> =
    Effect.acquireUseRelease(
      delegatingScope(this),
      (scope) =>
        Effect.gen(
          function* (this: Reconnecting<S, A, E, R>) {
            const socket = yield* scopeProvide(this.plan.connect, scope)
            this.socket = socket
            const start = yield* Clock.currentTimeMillis
            const failure = yield* Effect.flip(this.use(socket))
            return { failure, millis: (yield* Clock.currentTimeMillis) - start }
          }.bind(this)
        ),
      (scope, exit) => Effect.andThen(this.release(exit), Scope.close(scope, exit))
    ).pipe(catch_((failure) => Effect.succeed({ failure, millis: 0 })))

  private release(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      // The caller that stops this closes the connection, because only the caller knows the code.
      if (this.openSocket !== undefined) this.leave(this.openSocket)
      if (this.stopped) return Effect.void
      this.socket = undefined
      this.member?.beginClose(this.isRequested ? normalClosure : closeCodeOfExit(exit))
      // If an effect of the app was interrupted, the logical connection ends, so there is no next connection that must
      // wait.
      return exitHasInterrupts(exit) && !this.isRequested ? Effect.void : awaitClosed(this)
    })
  }

  /** Drops the messages that are valid only on a connection that has ended. */
  private leave(socket: WebSocket.WebSocket): void {
    if (this.openSocket === socket) this.openSocket = undefined
    this.outbox.dropWhere(({ connection }) => connection === socket)
  }

  private use(socket: WebSocket.WebSocket): Effect.Effect<never, Failure<E>, R> {
    return Effect.gen(
      function* (this: Reconnecting<S, A, E, R>) {
        this.connections++
        if (this.connections > 1) this.plan.metering?.reconnected()
        const adopted = this.plan.adopt(socket)
        yield* this.plan.onConnect(adopted, this.connections)
        this.openSocket = socket
        this.observed.set({ _tag: "Open", connection: this.connections })
        const sending = yield* forkChild(sendAll(this.outbox, socket))
        // If nobody reads, reading does not end with the connection.
        yield* forkChild(Effect.map(socket.closeStatus, () => this.leave(socket)))
        yield* this.plan.read(adopted, (item) => this.inbox.offer(item))
        // A message that is being sent fails with the connection.
        yield* Fiber.interrupt(sending)
        const { error } = yield* socket.closeStatus
        return yield* Effect.fail(error)
      }.bind(this)
    ).pipe(tapCause((cause) => (hasInterruptsOnly(cause) ? Effect.void : socket.close("InternalError"))))
  }

  get state(): Subscribable<State<E>> {
    return this.observed.subscribable
  }

  get awaitOpen(): Effect.Effect<void, Failure<E>> {
    return Stream.runHead(Stream.filter(this.state.changes, ({ _tag }) => _tag === "Open" || _tag === "Closed")).pipe(
      Effect.flatMap((state) =>
        state._tag === "Some" && state.value._tag === "Closed" && this.end !== undefined ? this.end : Effect.void
      )
    )
  }

  get messages(): Stream.Stream<A, Failure<E>> {
    return this.inbox.stream
  }

  get receive(): Effect.Effect<A, Failure<E>> {
    return this.inbox.receive
  }

  get receiveOption(): Effect.Effect<Option.Option<A>, Failure<E>> {
    return this.inbox.receiveOption
  }

  offer(data: WebSocket.Data, options?: SendOptions): Effect.Effect<Effect.Effect<Outcome, PayloadTooLarge>> {
    return Effect.suspend(() => this.enqueue(this.outgoing(data, options)))
  }

  send(data: WebSocket.Data, options?: SendOptions): Effect.Effect<Outcome, PayloadTooLarge> {
    return Effect.suspend(() => {
      const outgoing = this.outgoing(data, options)
      return this.takenBackOnInterrupt(outgoing.message, Effect.flatten(this.enqueue(outgoing)))
    })
  }

  /** An interruption takes the message back, and ends its alarm. */
  private takenBackOnInterrupt<B, X>(message: OutgoingMessage, effect: Effect.Effect<B, X>): Effect.Effect<B, X> {
    return Effect.onInterrupt(effect, () =>
      Effect.sync(() => {
        message.onSettled()
        this.outbox.remove(message)
      })
    )
  }

  /** Throws for data and options that make no sense. */
  private outgoing(data: WebSocket.Data, { validFor, ...options }: SendOptions = {}): Outgoing {
    const { metering } = this.plan
    if (validFor !== "connection") {
      const millis = validFor === undefined ? Number.POSITIVE_INFINITY : timeout("validFor", validFor)
      return { message: new OutgoingMessage(data, options, undefined, metering), millis }
    }
    const message = new OutgoingMessage(data, options, this.openSocket, metering)
    return { message, millis: this.openSocket === undefined ? 0 : Number.POSITIVE_INFINITY }
  }

  /** Gives a message a place, and succeeds with an effect that waits for its outcome. */
  private enqueue({ message, millis }: Outgoing): Effect.Effect<Effect.Effect<Outcome, PayloadTooLarge>> {
    const placed = offer(this.outbox, message, message.outcome)
    if (millis === Number.POSITIVE_INFINITY) return placed
    const limited = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (millis === 0) {
        message.drop()
        return Effect.succeed(message.outcome)
      }
      message.deadline = now + millis
      const { runtime } = this
      if (runtime !== undefined) {
        const expired = Effect.sync(() => message.expire(this.outbox))
        const alarm = runForkLater(runtime, Effect.andThen(Effect.sleep(Duration.millis(millis)), expired))
        message.onSettled = () => interruptUnsafe(alarm)
      }
      return placed
    })
    return this.takenBackOnInterrupt(message, limited)
  }

  get reconnect(): Effect.Effect<void> {
    return awaitCallback((resume) => {
      if (this.end !== undefined) return resume(Effect.void)
      const forget = this.requests.add(() => resume(Effect.void))
      this.isRequested = true
      this.onRequest?.()
      return forget
    })
  }

  get waitingMessages(): Effect.Effect<number> {
    return Effect.sync(() => this.outbox.size)
  }

  close(code: number | CloseCode.Name = 1000, reason = ""): Effect.Effect<void, ProtocolError | PayloadTooLarge> {
    return Effect.suspend(() => {
      const refused = CloseCode.encodePayload(toCloseCode(code), reason)
      if (!(refused instanceof Uint8Array)) return Effect.fail(refused)
      return Effect.uninterruptible(
        Effect.suspend(() => {
          this.stop()
          if (this.socket !== undefined) return this.socket.close(code, reason)
          this.beginClose(toCloseCode(code))
          return awaitClosed(this)
        })
      )
    })
  }

  /**
   * There will be no other connection. It does not wait for the supervisor, because an effect of the app's that the supervisor
   * runs may be the caller.
   */
  private stop(): void {
    this.stopped = true
    if (this.supervisor !== undefined) interruptUnsafe(this.supervisor)
    this.finishWith(Exit.void, Cause.fail(closedLocally()))
  }

  private finish(failure: Failure<E>, decision: "end" | "fail"): void {
    if (decision === "end") this.finishWith(Exit.void, Cause.fail(failure))
    else this.finishWith(Exit.fail(failure), Cause.fail(failure), failure)
  }

  private finishInterrupted(): void {
    if (this.end !== undefined) return
    const defect = new Error("An effect for an attempt, onConnect or the schedule ended with an interruption")
    this.finishWith(Exit.die(defect), Cause.die(defect))
  }

  /** The end. `receive` fails with `cause`, and `awaitOpen` ends with `exit`. */
  private finishWith(exit: Exit.Exit<void, Failure<E>>, cause: Cause.Cause<Failure<E>>, failure?: Failure<E>): void {
    if (this.end !== undefined) return
    this.end = exit
    this.outbox.close()
    this.requests.wakeAll()
    this.inbox.end(cause, Exit.isSuccess(exit))
    this.leaveScope()
    this.observed.set({ _tag: "Closed", failure })
  }
}

/** A message, and how long it is valid, in milliseconds. */
interface Outgoing {
  readonly message: OutgoingMessage
  readonly millis: number
}

const normalClosure = CloseCode.fromName("NormalClosure")

const closedLocally = (): ConnectionClosed =>
  new ConnectionClosed({ code: 1000, reason: "", initiator: "local", clean: true })
