/**
 * One logical connection over many real ones: it reconnects, keeps what is to be sent, and says what became of it.
 *
 * @since 0.1.0
 */
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import {
  type ConnectionError,
  isHandshakeRejected,
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
import * as Mailbox from "effect/Mailbox"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as ScheduleDecision from "effect/ScheduleDecision"
import * as ScheduleIntervals from "effect/ScheduleIntervals"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Subscribable from "effect/Subscribable"
import * as SubscriptionRef from "effect/SubscriptionRef"
import { Outbox, settle, type Item, type OutboxStrategy } from "./internal/outbox.js"
import * as Registry from "./internal/registry.js"
import { count, timeout } from "./internal/settings.js"
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
 * - `"dropped"`: it was never sent.
 * - `"unknown"`: the connection broke while it was being sent. It is not sent again.
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
 * The options, besides those of each `connect`. A message always waits for room on its connection: `sendStrategy` has no say.
 *
 * - `schedule`: the delays between attempts; when it is done, the last failure is final. Default: exponential from 100
 *   milliseconds, at most 30 seconds, with jitter, without an end. A server's `Retry-After` makes a delay longer.
 * - `stableAfter`: a connection that lived this long starts the schedule anew. Default 5 seconds.
 * - `classify`: what comes of a failure. Default: `classify`.
 * - `onConnect`: runs on each connection before anything else is sent or received on it: to authenticate, to subscribe again,
 *   to resume from an offset. It is to use the connection that it is given: what is sent to the whole waits until it is done.
 *   `connection` counts from 1. A failure of its own closes the connection with 1011 and is
 *   classified like any other.
 * - `outboxCapacity`: how many messages wait for a connection at most. Default 1,024.
 * - `outboxStrategy`: what happens to one more: `"suspend"` waits for a place, `"dropping"` drops it, `"sliding"` drops the
 *   oldest. Default `"suspend"`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<E = never, R = never> extends Omit<
  ConnectOptions,
  "delivery" | "answerPings" | "answerClose" | "sendStrategy"
> {
  readonly schedule?: Schedule.Schedule<unknown, Failure<NoInfer<E>>> | undefined
  readonly stableAfter?: Duration.DurationInput | undefined
  readonly classify?: ((failure: Failure<NoInfer<E>>) => Decision) | undefined
  readonly onConnect?: ((socket: WebSocket.WebSocket, connection: number) => Effect.Effect<unknown, E, R>) | undefined
  readonly outboxCapacity?: number | undefined
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
   * Waits until it is open. Fails with the failure that was final, and dies where an effect of the app's did; succeeds where it
   * was closed without one.
   */
  readonly awaitOpen: Effect.Effect<void, Failure<E>>

  /**
   * The messages of all connections, in order. Ends when it is closed, or after a failure that is classified as an end; fails
   * with one that is final. It must be read, and drained where nobody wants the messages: what is not read is not
   * received, and nobody notices that the peer is gone. Of several who read, each message goes to one.
   */
  readonly messages: Stream.Stream<Message, Failure<E>>

  /**
   * Sends a message on the connection that is open, or on the next one, and tells what became of it. Interrupting it while
   * it waits takes the message back. Never fails.
   */
  send(data: WebSocket.Data, options?: WebSocket.SendOptions): Effect.Effect<Outcome>

  /**
   * Puts a message into the outbox, and is done when it has a place there; the effect that it returns waits for its outcome.
   * Bytes must stay as they are until then. Never fails.
   */
  offer(data: WebSocket.Data, options?: WebSocket.SendOptions): Effect.Effect<Effect.Effect<Outcome>>

  /** How many messages wait in the outbox. */
  readonly waitingMessages: Effect.Effect<number>

  /**
   * Ends it: what waits in the outbox is dropped, the connection is closed as by `WebSocket.close`, and there is no other
   * one. Fails, with nothing done, as that does for a code or a reason that may not be sent.
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
      // Its finalizer runs after the one below, so that nothing connects again what it closes.
      yield* Registry.ofScope(scope)
      const client = yield* WebSocketClient
      const context = yield* Effect.context<R>()
      const state = yield* SubscriptionRef.make<State<E>>({ _tag: "Connecting", attempt: 1 })
      const inbox = yield* Mailbox.make<Message, Failure<E>>({ capacity: inboxCapacity })
      const reconnecting = yield* Effect.sync(() => new Reconnecting(url, options, client, scope, state, inbox))
      yield* Effect.addFinalizer(() => reconnecting.stop)
      reconnecting.supervisor = yield* reconnecting.supervise.pipe(
        Effect.provide(context),
        Effect.interruptible,
        Effect.forkDaemon
      )
      return reconnecting
    })
  )

class Reconnecting<E, R> implements ReconnectingWebSocket<E> {
  supervisor: Fiber.RuntimeFiber<void> | undefined = undefined
  readonly state: Subscribable.Subscribable<State<E>>
  private readonly current: SubscriptionRef.SubscriptionRef<State<E>>
  private readonly url: Effect.Effect<string | URL, E, R>
  private readonly connectOptions: ConnectOptions
  private readonly schedule: Schedule.Schedule<unknown, Failure<E>>
  private readonly stableMillis: number
  private readonly classify: (failure: Failure<E>) => Decision
  private readonly onConnect: (socket: WebSocket.WebSocket, connection: number) => Effect.Effect<unknown, E, R>
  private readonly outbox: Outbox
  private readonly client: typeof WebSocketClient.Service
  private readonly scope: Scope.Scope
  private readonly inbox: Mailbox.Mailbox<Message, Failure<E>>
  private socket: WebSocket.WebSocket | undefined = undefined
  private connections = 0
  /** How it ended, if it has. */
  private end: Exit.Exit<void, Failure<E>> | undefined = undefined

  constructor(
    url: string | URL | Effect.Effect<string | URL, E, R>,
    {
      classify: classifyFailure = classify,
      onConnect = () => Effect.void,
      outboxCapacity = 1024,
      outboxStrategy = "suspend",
      schedule = defaultSchedule,
      stableAfter = "5 seconds",
      ...connectOptions
    }: Options<E, R>,
    client: typeof WebSocketClient.Service,
    scope: Scope.Scope,
    current: SubscriptionRef.SubscriptionRef<State<E>>,
    inbox: Mailbox.Mailbox<Message, Failure<E>>
  ) {
    this.url = Effect.isEffect(url) ? url : Effect.succeed(url)
    // What a client drops by itself would count as delivered here.
    this.connectOptions = { ...connectOptions, sendStrategy: "suspend" }
    this.schedule = schedule
    this.stableMillis = timeout("stableAfter", stableAfter)
    this.classify = classifyFailure
    this.onConnect = onConnect
    this.outbox = new Outbox(count("outboxCapacity", outboxCapacity), outboxStrategy)
    this.client = client
    this.scope = scope
    this.current = current
    this.state = Subscribable.make({
      get: SubscriptionRef.get(current),
      changes: Stream.takeUntil(current.changes, ({ _tag }) => _tag === "Closed")
    })
    this.inbox = inbox
  }

  readonly supervise: Effect.Effect<void, never, R> = Effect.gen(this, function* () {
    let attempt = 1
    let delays: unknown = this.schedule.initial
    for (;;) {
      yield* SubscriptionRef.set(this.current, { _tag: "Connecting", attempt })
      const { failure, millis } = yield* this.connection
      const decision = this.classify(failure)
      if (decision !== "reconnect") return yield* this.finish(decision === "fail" ? failure : undefined)
      if (millis >= this.stableMillis) {
        attempt = 1
        delays = this.schedule.initial
      }
      const now = yield* Clock.currentTimeMillis
      const [next, , step] = yield* this.schedule.step(now, failure, delays)
      if (ScheduleDecision.isDone(step)) return yield* this.finish(failure)
      delays = next
      const asked = isHandshakeRejected(failure) ? yield* retryAfter(failure) : Option.none()
      const delay = Duration.max(
        Duration.millis(ScheduleIntervals.start(step.intervals) - now),
        Option.getOrElse(asked, () => Duration.zero)
      )
      attempt++
      yield* SubscriptionRef.set(this.current, { _tag: "Waiting", attempt, delay, failure })
      yield* Effect.sleep(delay)
    }
  }).pipe(
    // A defect of the app's own effects is found by whoever reads.
    Effect.catchAllDefect((defect) => this.finishWith(Exit.die(defect), undefined)),
    Effect.onInterrupt(() => this.finish(undefined))
  )

  /** One real connection: why it ended, and how long it was open. */
  private readonly connection: Effect.Effect<{ readonly failure: Failure<E>; readonly millis: number }, never, R> =
    Effect.gen(this, function* () {
      const url = yield* this.url
      const socket = yield* Scope.extend(this.client.connect(url, this.connectOptions), this.scope)
      this.socket = socket
      const start = yield* Clock.currentTimeMillis
      const failure = yield* Effect.flip(this.use(socket))
      this.socket = undefined
      return { failure, millis: (yield* Clock.currentTimeMillis) - start }
    }).pipe(Effect.catchAll((failure) => Effect.succeed({ failure, millis: 0 })))

  private use(socket: WebSocket.WebSocket): Effect.Effect<never, Failure<E>, R> {
    return Effect.gen(this, function* () {
      this.connections++
      yield* this.onConnect(socket, this.connections)
      yield* SubscriptionRef.set(this.current, { _tag: "Open", connection: this.connections })
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
    const next = Effect.flatMap(this.outbox.first, (item) =>
      Effect.uninterruptible(
        Effect.flatMap(socket.isOpen, (open) => {
          // It waits for the next connection.
          if (!open) return Effect.interruptible(Effect.never)
          this.outbox.remove(item)
          return Effect.onExit(Effect.interruptible(socket.send(item.data, item.options)), (exit) =>
            Effect.sync(() => settle(item, Exit.isSuccess(exit) ? "delivered" : "unknown"))
          )
        })
      )
    )
    // Where it fails, so does the connection, which ends this.
    return Effect.zipRight(Effect.ignore(Effect.forever(next)), Effect.never)
  }

  get awaitOpen(): Effect.Effect<void, Failure<E>> {
    return Stream.runHead(Stream.filter(this.state.changes, ({ _tag }) => _tag === "Open" || _tag === "Closed")).pipe(
      Effect.flatMap((state) =>
        state._tag === "Some" && state.value._tag === "Closed" && this.end !== undefined ? this.end : Effect.void
      )
    )
  }

  get messages(): Stream.Stream<Message, Failure<E>> {
    return Mailbox.toStream(this.inbox)
  }

  offer(data: WebSocket.Data, options?: WebSocket.SendOptions): Effect.Effect<Effect.Effect<Outcome>> {
    return Effect.suspend(() => {
      const item = makeItem(data, options)
      return Effect.as(this.outbox.offer(item), Deferred.await(item.outcome))
    })
  }

  send(data: WebSocket.Data, options?: WebSocket.SendOptions): Effect.Effect<Outcome> {
    return Effect.suspend(() => {
      const item = makeItem(data, options)
      return Effect.zipRight(this.outbox.offer(item), Deferred.await(item.outcome)).pipe(
        Effect.onInterrupt(() => Effect.sync(() => this.outbox.remove(item)))
      )
    })
  }

  get waitingMessages(): Effect.Effect<number> {
    return Effect.sync(() => this.outbox.size)
  }

  close(code: number | CloseCode.Name = 1000, reason = ""): Effect.Effect<void, ProtocolError | PayloadTooLarge> {
    return Effect.suspend(() => {
      const refused = CloseCode.encodePayload(typeof code === "string" ? CloseCode.fromName(code) : code, reason)
      if (!(refused instanceof Uint8Array)) return Effect.fail(refused)
      const { socket } = this
      return Effect.uninterruptible(
        Effect.zipRight(this.stop, socket === undefined ? Effect.void : socket.close(code, reason))
      )
    })
  }

  /** There will be no other connection. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() =>
    Effect.zipRight(
      this.supervisor === undefined ? Effect.void : Fiber.interrupt(this.supervisor),
      this.finish(undefined)
    )
  )

  private finish(failure: Failure<E> | undefined): Effect.Effect<void> {
    return this.finishWith(failure === undefined ? Exit.void : Exit.fail(failure), failure)
  }

  private finishWith(exit: Exit.Exit<void, Failure<E>>, failure: Failure<E> | undefined): Effect.Effect<void> {
    const closed: State<E> = { _tag: "Closed", failure }
    const begin = Effect.suspend(() => {
      if (this.end !== undefined) return Effect.void
      this.end = exit
      this.outbox.close()
      return Effect.zipRight(this.inbox.done(exit), SubscriptionRef.set(this.current, closed))
    })
    return Effect.uninterruptible(begin)
  }
}

const makeItem = (data: WebSocket.Data, options: WebSocket.SendOptions | undefined): Item => ({
  data,
  options,
  outcome: Deferred.unsafeMake(FiberId.none)
})
