/**
 * One logical connection over many real ones: it reconnects, keeps what is to be sent, and says what became of it.
 *
 * @since 0.1.0
 */
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import {
  ConnectionClosed,
  type ConnectionError,
  isHandshakeRejected,
  isPayloadTooLarge,
  isWebSocketError,
  type PayloadTooLarge,
  type ProtocolError
} from "@effect-websocket/protocol/Errors"
import type { Message } from "@effect-websocket/protocol/Message"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Subscribable from "effect/Subscribable"
import { Send } from "./internal/sending.js"
import { Inbox } from "./internal/inbox.js"
import { Outbox, settle, type Item, type OutboxStrategy } from "./engine/client/Outbox.js"
import type { Closable, Owner } from "./engine/connection/Closables.js"
import { awaitClosed, closeCodeOf, delegatingScope, placeIn } from "./internal/scopes.js"
import { frameSize, toCloseCode, toMessage } from "./engine/connection/sendable.js"
import { count } from "./engine/checks.js"
import { defaults, timeout } from "./internal/settings.js"
import type * as WebSocket from "./WebSocket.js"
import { retryAfter, WebSocketClient, type ConnectError, type ConnectOptions } from "./WebSocketClient.js"

/**
 * Why a connection was not made, or ended. `E` is what `onConnect` and the effect of the URL fail with.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure<E = never> = ConnectError | ConnectionError | E

/**
 * What comes of a failure: another connection, a normal end, or a failure of the whole.
 *
 * @since 0.1.0
 * @category models
 */
export type Decision = "reconnect" | "end" | "fail"

/**
 * What became of a message.
 *
 * - `"delivered"`: it was handed to the socket of a connection, once.
 * - `"dropped"`: it was never sent, and will not be.
 * - `"unknown"`: the connection ended while the message was being sent. It is not sent again, because it may have arrived.
 *
 * @since 0.1.0
 * @category models
 */
export type Outcome = "delivered" | "dropped" | "unknown"

/**
 * - `Connecting`: the `attempt`-th one since the last connection that was stable.
 * - `Open`: the `connection`-th one, from 1.
 * - `Waiting`: until the next attempt, for `delay`, because of `failure`.
 * - `Closed`: for good; with the failure that was not to be retried, where there was one.
 *
 * @since 0.1.0
 * @category models
 */
export type State<E = never> =
  | { readonly _tag: "Connecting"; readonly attempt: number }
  | { readonly _tag: "Open"; readonly connection: number }
  | {
      readonly _tag: "Waiting"
      readonly attempt: number
      readonly delay: Duration.Duration
      readonly failure: Failure<E>
    }
  | { readonly _tag: "Closed"; readonly failure: Failure<E> | undefined }

/**
 * The options, besides those of each `connect`. A message always waits for room on its connection, so there is no `sendStrategy`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<E = never, R = never> extends Omit<
  ConnectOptions,
  "delivery" | "answerPings" | "answerClose" | "rsv" | "opcodes" | "sendStrategy"
> {
  /**
   * The delays between attempts. A server's `Retry-After` makes a delay longer. Default: `defaultSchedule`, which is exponential
   * from 100 milliseconds, at most 30 seconds, with jitter, without an end. Once the schedule is done, the last failure is final.
   */
  readonly schedule?: Schedule.Schedule<unknown, Failure<NoInfer<E>>> | undefined
  /** The longest delay that a server can ask for with `Retry-After`. Default: 5 minutes. A longer one is cut to this. */
  readonly maxRetryAfter?: Duration.DurationInput | undefined
  /** The age at which a connection counts as stable, so that the schedule starts anew after it. Default: 5 seconds. */
  readonly stableAfter?: Duration.DurationInput | undefined
  /** Decides whether a failure is followed by another attempt, a normal end or a failure of the whole. Default: `classify`. */
  readonly classify?: ((failure: Failure<NoInfer<E>>) => Decision) | undefined
  /**
   * Runs on each connection before anything else is sent or received on it: to authenticate, to subscribe again, to resume from
   * an offset. It uses the connection that it is given, because what is sent to the whole waits until it is done. `connection`
   * counts from 1. Default: none. Its failure closes the connection with 1011 and is classified like any other.
   */
  readonly onConnect?: ((socket: WebSocket.WebSocket, connection: number) => Effect.Effect<unknown, E, R>) | undefined
  /** The number of messages that wait for a connection. Default: 1,024. `outboxStrategy` says what happens to one more. */
  readonly outboxCapacity?: number | undefined
  /**
   * What happens to a message for which the outbox has no room: `"suspend"` waits for room, `"dropping"` drops it, `"sliding"`
   * drops the oldest. Default: `"suspend"`.
   */
  readonly outboxStrategy?: OutboxStrategy | undefined
}

/**
 * A logical connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReconnectingWebSocket<E = never> {
  /** Where it stands, now (`get`) and from now on (`changes`), which ends with `Closed`. Never fails. */
  readonly state: Subscribable.Subscribable<State<E>>

  /**
   * Waits until it is open. Fails with the failure that was final. Dies if an effect of the app's (the URL, `onConnect`, the
   * schedule) died or ended with an interruption; so do `messages` and `receive` then. Succeeds if it was closed without a failure.
   */
  readonly awaitOpen: Effect.Effect<void, Failure<E>>

  /**
   * The messages of all connections, in order. Ends when it is closed, or after a failure that is classified as an end; fails
   * with one that is final. It must be read, and drained if nobody wants the messages: a message that is not read is not
   * received, and nobody notices that the peer is gone. If several fibers read, each message goes to one of them.
   *
   * The stream takes all messages that wait in the step in which it emits them. If the fiber that runs the stream is
   * interrupted later, the messages that it has not handled yet are lost with it; `receive` takes one at a time.
   */
  readonly messages: Stream.Stream<Message, Failure<E>>

  /**
   * The next message, of whatever connection. Interrupting it loses no message. Fails with the failure that was final or
   * that is classified as an end, and with `ConnectionClosed` after `close` and at the end of the scope.
   */
  readonly receive: Effect.Effect<Message, Failure<E>>

  /**
   * Sends a message on the connection that is open, or on the next one, and succeeds with its outcome. Interrupting it while
   * it waits takes the message back. Fails with an outbound `PayloadTooLarge` if the message is above the connection's
   * `maxSendBytes`; otherwise it never fails. A message that cannot be encoded, because the app's `compression.filter` throws, was
   * not sent: `send` dies with that defect. The messages behind one that is not sent are sent. What is no data, and options that
   * make no sense, are a defect at once.
   */
  send(data: WebSocket.Data, options?: WebSocket.SendOptions): Effect.Effect<Outcome, PayloadTooLarge>

  /**
   * Puts a message into the outbox. Succeeds once the message has a place there, with an effect that waits for its outcome
   * and fails and dies as `send` does. Interrupting `offer` takes the message back. Bytes must stay as they are until the outcome
   * is known. `offer` itself never fails.
   */
  offer(data: WebSocket.Data, options?: WebSocket.SendOptions): Effect.Effect<Effect.Effect<Outcome, PayloadTooLarge>>

  /** How many messages wait in the outbox. */
  readonly waitingMessages: Effect.Effect<number>

  /**
   * Ends it: the messages in the outbox are dropped, the connection is closed as by `WebSocket.close`, and there is no other
   * one. For a code or a reason that may not be sent it does nothing and fails as `WebSocket.close` does.
   */
  close(code?: number | CloseCode.Name, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>
}

const transientStatuses: ReadonlySet<number> = new Set([408, 425, 429])
const fatalCodes: ReadonlySet<number> = new Set([1002, 1003, 1007, 1008, 1009, 1010])

/**
 * What comes of a failure by default.
 *
 * - A peer that closes with 1000 has ended it.
 * - Final are violations of the protocol and of limits on either side (also 1002, 1003, 1007, 1009, 1010), refusals for
 *   reasons of policy (1008), answers other than 101 that will not change by themselves (all but 408, 425, 429 and
 *   5xx), certificates that cannot be verified, and whatever the app's own effects fail with.
 * - After anything else there is another connection.
 *
 * @since 0.1.0
 * @category utils
 */
export const classify = <E>(failure: Failure<E>): Decision => {
  if (!isWebSocketError(failure)) return "fail"
  switch (failure._tag) {
    case "Connection_closed":
      if (failure.code === 1000) return "end"
      return fatalCodes.has(failure.code) ? "fail" : "reconnect"
    case "Handshake_rejected":
      return failure.status >= 500 || transientStatuses.has(failure.status) ? "reconnect" : "fail"
    case "Payload_too_large":
      return failure.limit === "budget" ? "reconnect" : "fail"
    case "Protocol_error":
      return "fail"
    case "Io_error":
      return failure.reason.startsWith("Certificate") ? "fail" : "reconnect"
  }
}

/**
 * The delays by default: exponential from 100 milliseconds, at most 30 seconds, with jitter.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultSchedule: Schedule.Schedule<unknown> = Schedule.exponential("100 millis").pipe(
  Schedule.union(Schedule.spaced("30 seconds")),
  Schedule.jittered
)

// A message that nobody takes holds up those behind it, and in the end the peer.
const inboxCapacity = 16

/**
 * Connects, and connects again, until the scope ends or `close` is called. Does not wait for the first connection; see
 * `awaitOpen`. The URL may be an effect, which runs for each attempt: for a token, or another host.
 *
 * The end of the scope closes the connection as it does for `WebSocketClient.connect`, and drops what waits in the outbox.
 * Options that make no sense are a defect.
 *
 * @example
 * ```ts
 * import { ReconnectingWebSocket } from "@effect-websocket/platform"
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Console, Effect, Stream } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const socket = yield* ReconnectingWebSocket.make("wss://example.com/feed", {
 *     onConnect: (connection) => connection.send("subscribe")
 *   })
 *   const outcome = yield* socket.send("hello")
 *   yield* Console.log(`hello was ${outcome}`)
 *   yield* Stream.runForEach(socket.messages, (message) => Console.log(message.data))
 * }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E = never, R = never>(
  url: string | URL | Effect.Effect<string | URL, E, R>,
  options: Options<E, R> = {}
): Effect.Effect<ReconnectingWebSocket<E>, never, WebSocketClient | Scope.Scope | R> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const scope = yield* Effect.scope
      const client = yield* WebSocketClient
      const runtime = yield* Effect.runtime<R>()
      return yield* Effect.sync(() => {
        const reconnecting = new Reconnecting(url, options, client)
        reconnecting.start(runtime, placeIn(scope))
        return reconnecting
      })
    })
  )

/** It is the owner of its connections, and has one place in the scope for all of them. */
class Reconnecting<E, R> implements ReconnectingWebSocket<E>, Closable, Owner {
  readonly state: Subscribable.Subscribable<State<E>>
  private supervisor: Fiber.RuntimeFiber<void> | undefined = undefined
  private place: Owner | undefined = undefined
  private current: State<E> = { _tag: "Connecting", attempt: 1 }
  private readonly observers = new Set<(state: State<E>) => void>()
  private readonly url: Effect.Effect<string | URL, E, R>
  private readonly connectOptions: ConnectOptions
  private readonly schedule: Schedule.Schedule<unknown, Failure<E>>
  private readonly stableMillis: number
  private readonly maxRetryAfter: Duration.Duration
  private readonly classify: (failure: Failure<E>) => Decision
  private readonly onConnect: (socket: WebSocket.WebSocket, connection: number) => Effect.Effect<unknown, E, R>
  private readonly outbox: Outbox
  private readonly client: typeof WebSocketClient.Service
  private readonly inbox = new Inbox<Message, Failure<E>>(inboxCapacity)
  private socket: WebSocket.WebSocket | undefined = undefined
  /** The attempt that is under way, or the connection. */
  private member: Closable | undefined = undefined
  private closing: { readonly code: number; readonly waited: number } | undefined = undefined
  private connections = 0
  private stopped = false
  /** How it ended, if it has. */
  private end: Exit.Exit<void, Failure<E>> | undefined = undefined

  constructor(
    url: string | URL | Effect.Effect<string | URL, E, R>,
    {
      classify: classifyFailure = classify,
      maxRetryAfter = defaults.maxRetryAfter,
      onConnect = () => Effect.void,
      outboxCapacity = defaults.outboxCapacity,
      outboxStrategy = defaults.outboxStrategy,
      schedule = defaultSchedule,
      stableAfter = defaults.stableAfter,
      ...connectOptions
    }: Options<E, R>,
    client: typeof WebSocketClient.Service
  ) {
    this.url = Effect.isEffect(url) ? url : Effect.succeed(url)
    // A message that a client drops by itself would count as delivered here.
    this.connectOptions = { ...connectOptions, sendStrategy: "suspend" }
    this.schedule = schedule
    this.stableMillis = timeout("stableAfter", stableAfter)
    this.maxRetryAfter = Duration.millis(timeout("maxRetryAfter", maxRetryAfter))
    this.classify = classifyFailure
    this.onConnect = onConnect
    this.outbox = new Outbox(count("outboxCapacity", outboxCapacity), outboxStrategy)
    this.client = client
    this.state = Subscribable.make({
      get: Effect.sync(() => this.current),
      changes: Stream.takeUntil(this.changes, ({ _tag }) => _tag === "Closed")
    })
  }

  // A `SubscriptionRef` would lose its lock with an interruption that comes right after it was taken.
  private readonly changes: Stream.Stream<State<E>> = Stream.asyncPush<State<E>>(
    (emit) => {
      const observer = (state: State<E>): void => void emit.single(state)
      return Effect.acquireRelease(
        Effect.sync(() => {
          observer(this.current)
          this.observers.add(observer)
        }),
        () => Effect.sync(() => this.observers.delete(observer))
      )
    },
    { bufferSize: "unbounded" }
  )

  private become(state: State<E>): void {
    this.current = state
    for (const observer of this.observers) observer(state)
  }

  start(runtime: Runtime.Runtime<R>, place: Owner): void {
    this.place = place
    // It can be interrupted, whoever makes it. It begins later, so that it can be interrupted from its first step on.
    this.supervisor = Runtime.runFork(runtime)(Effect.interruptible(this.supervise), { immediate: false })
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

  /** For the end of the scope. */
  beginClose(code: number, waited = 0): void {
    if (this.closing !== undefined) return
    this.closing = { code, waited }
    this.stopped = true
    this.supervisor?.unsafeInterruptAsFork(FiberId.none)
    this.member?.beginClose(code, waited)
  }

  whenClosed(done: () => void): () => void {
    const fiber = Effect.runFork(Effect.zipRight(this.stop, this.awaitMember))
    fiber.addObserver(done)
    return () => fiber.unsafeInterruptAsFork(FiberId.none)
  }

  private readonly awaitMember: Effect.Effect<void> = Effect.suspend(() =>
    this.member === undefined ? Effect.void : awaitClosed(this.member)
  )

  /** A scope that lives longer does not hold it. */
  private leaveScope(): void {
    if (this.end !== undefined && this.member === undefined) this.place?.delete(this)
  }

  readonly supervise: Effect.Effect<void, never, R> = Effect.gen(this, function* () {
    let attempt = 1
    let delays: unknown = this.schedule.initial
    for (;;) {
      this.become({ _tag: "Connecting", attempt })
      const { failure, millis } = yield* this.connection
      const decision = this.classify(failure)
      if (decision !== "reconnect") return yield* this.finish(failure, decision)
      if (millis >= this.stableMillis) {
        attempt = 1
        delays = this.schedule.initial
      }
      const now = yield* Clock.currentTimeMillis
      const [next, , step] = yield* this.schedule.step(now, failure, delays)
      if (ScheduleDecision.isDone(step)) return yield* this.finish(failure, "fail")
      delays = next
      const asked = isHandshakeRejected(failure) ? yield* retryAfter(failure) : Option.none()
      const delay = Duration.max(
        Duration.millis(ScheduleIntervals.start(step.intervals) - now),
        Duration.min(
          Option.getOrElse(asked, () => Duration.zero),
          this.maxRetryAfter
        )
      )
      attempt++
      this.become({ _tag: "Waiting", attempt, delay, failure })
      yield* Effect.sleep(delay)
    }
  }).pipe(
    // A defect of the app's own effects is found by whoever reads.
    Effect.catchAllDefect((defect) => this.finishWith(Exit.die(defect), Cause.die(defect), undefined)),
    // So is an interruption that came out of them: nobody stopped this, so it must not look like a normal end.
    Effect.onInterrupt(() => (this.stopped ? this.finishLocally : this.finishInterrupted))
  )

  /** One real connection: why it ended, and how long it was open. */
  private readonly connection: Effect.Effect<{ readonly failure: Failure<E>; readonly millis: number }, never, R> =
    Effect.acquireUseRelease(
      delegatingScope(this),
      (scope) =>
        Effect.gen(this, function* () {
          const url = yield* this.url
          const socket = yield* Scope.extend(this.client.connect(url, this.connectOptions), scope)
          this.socket = socket
          const start = yield* Clock.currentTimeMillis
          const failure = yield* Effect.flip(this.use(socket))
          return { failure, millis: (yield* Clock.currentTimeMillis) - start }
        }),
      (scope, exit) => Effect.zipRight(this.release(exit), Scope.close(scope, exit))
    ).pipe(Effect.catchAll((failure) => Effect.succeed({ failure, millis: 0 })))

  /** Whoever stops it closes the connection: only they know the code. */
  private release(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.stopped) return Effect.void
      this.socket = undefined
      this.member?.beginClose(closeCodeOf(exit))
      // An effect of the app's that ends as interrupted ends all: there is no next connection to wait with.
      return Exit.isInterrupted(exit) ? Effect.void : this.awaitMember
    })
  }

  private use(socket: WebSocket.WebSocket): Effect.Effect<never, Failure<E>, R> {
    return Effect.gen(this, function* () {
      this.connections++
      yield* this.onConnect(socket, this.connections)
      this.become({ _tag: "Open", connection: this.connections })
      const sending = yield* Effect.fork(this.sendAll(socket))
      yield* Effect.ignore(socket.run((message) => this.inbox.offer(message)))
      // What is being sent fails with the connection.
      yield* Fiber.interrupt(sending)
      const { error } = yield* socket.closeStatus
      return yield* Effect.fail(error)
    }).pipe(
      Effect.tapErrorCause((cause) => (Cause.isInterruptedOnly(cause) ? Effect.void : socket.close("InternalError")))
    )
  }

  private sendAll(socket: WebSocket.WebSocket): Effect.Effect<never> {
    const next = Effect.flatMap(this.outbox.first, (item) => Effect.uninterruptible(this.sendItem(socket, item)))
    // A send fails only with its connection, and that ends this.
    return Effect.zipRight(Effect.ignore(Effect.forever(next)), Effect.never)
  }

  /** Only its wait can be interrupted, so that a message that leaves the outbox has an outcome. */
  private sendItem(socket: WebSocket.WebSocket, item: Item): Effect.Effect<void, ConnectionError> {
    return Effect.suspend(() => {
      // It was taken back meanwhile.
      if (!this.outbox.has(item)) return Effect.void
      const sending = begin(socket, item)
      // The connection is over: the message waits for the next one.
      if (Exit.isExit(sending) && Exit.isFailure(sending) && refusalIn(sending.cause) === undefined) return sending
      this.outbox.remove(item)
      return Effect.matchCauseEffect(Effect.interruptible(sending), {
        onFailure: (cause) => {
          const refusal = refusalIn(cause)
          settle(item, refusal ?? Exit.succeed("unknown"))
          return refusal === undefined ? Effect.failCause(cause) : Effect.void
        },
        onSuccess: () => {
          settle(item, Exit.succeed("delivered"))
          return Effect.void
        }
      })
    })
  }

  get awaitOpen(): Effect.Effect<void, Failure<E>> {
    return Stream.runHead(Stream.filter(this.state.changes, ({ _tag }) => _tag === "Open" || _tag === "Closed")).pipe(
      Effect.flatMap((state) =>
        state._tag === "Some" && state.value._tag === "Closed" && this.end !== undefined ? this.end : Effect.void
      )
    )
  }

  get messages(): Stream.Stream<Message, Failure<E>> {
    return this.inbox.stream
  }

  get receive(): Effect.Effect<Message, Failure<E>> {
    return this.inbox.receive
  }

  offer(data: WebSocket.Data, options?: WebSocket.SendOptions): Effect.Effect<Effect.Effect<Outcome, PayloadTooLarge>> {
    return Effect.suspend(() => {
      const item = makeItem(data, options)
      return this.outbox.offer(item, Deferred.await(item.outcome))
    })
  }

  send(data: WebSocket.Data, options?: WebSocket.SendOptions): Effect.Effect<Outcome, PayloadTooLarge> {
    return Effect.suspend(() => {
      const item = makeItem(data, options)
      return Effect.flatten(this.outbox.offer(item, Deferred.await(item.outcome))).pipe(
        Effect.onInterrupt(() => Effect.sync(() => this.outbox.remove(item)))
      )
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
        Effect.zipRight(
          this.stop,
          Effect.suspend(() => {
            if (this.socket !== undefined) return this.socket.close(code, reason)
            this.beginClose(toCloseCode(code))
            return this.awaitMember
          })
        )
      )
    })
  }

  /**
   * There will be no other connection. It does not wait for the supervisor, because an effect of the app's that the supervisor
   * runs may be the one that stops it.
   */
  private readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    this.stopped = true
    this.supervisor?.unsafeInterruptAsFork(FiberId.none)
    return this.finishLocally
  })

  private readonly finishLocally: Effect.Effect<void> = Effect.suspend(() => {
    const closed = new ConnectionClosed({ code: 1000, reason: "", initiator: "local", clean: true })
    return this.finishWith(Exit.void, Cause.fail(closed), undefined)
  })

  private readonly finishInterrupted: Effect.Effect<void> = Effect.suspend(() => {
    const defect = new Error("The effect of the URL, onConnect or the schedule ended with an interruption")
    return this.finishWith(Exit.die(defect), Cause.die(defect), undefined)
  })

  private finish(failure: Failure<E>, decision: "end" | "fail"): Effect.Effect<void> {
    return decision === "fail"
      ? this.finishWith(Exit.fail(failure), Cause.fail(failure), failure)
      : this.finishWith(Exit.void, Cause.fail(failure), undefined)
  }

  /** `cause` is what `receive` fails with. */
  private finishWith(
    exit: Exit.Exit<void, Failure<E>>,
    cause: Cause.Cause<Failure<E>>,
    failure: Failure<E> | undefined
  ): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.end !== undefined) return
      this.end = exit
      this.outbox.close()
      this.inbox.end(cause, Exit.isSuccess(exit))
      this.leaveScope()
      this.become({ _tag: "Closed", failure })
    })
  }
}

/** Sends in this step as far as there is room. */
const begin = (socket: WebSocket.WebSocket, { data, options }: Item): Effect.Effect<void, ConnectionError> => {
  try {
    const send = socket.send(data, options)
    return send instanceof Send ? send.commit() : send
  } catch (defect) {
    return Exit.die(defect)
  }
}

/** Why a message is not sent on any connection; `undefined` if this one has ended. */
const refusalIn = (cause: Cause.Cause<unknown>): Exit.Exit<never, PayloadTooLarge> | undefined => {
  if (Cause.isDie(cause)) return Exit.die(Cause.squash(cause))
  const error = Cause.failureOption(cause)
  return Option.isSome(error) && isPayloadTooLarge(error.value) && error.value.direction === "outbound"
    ? Exit.fail(error.value)
    : undefined
}

const makeItem = (data: WebSocket.Data, options: WebSocket.SendOptions | undefined): Item => {
  // They throw for what no connection would send.
  toMessage(data)
  frameSize(options?.maxFrameSize)
  return { data, options, outcome: Deferred.unsafeMake(FiberId.none) }
}
