/**
 * Requests and replies over a connection: ids, correlation, cancellation, a timeout, and an end. A call that waits for its reply
 * fails when the connection ends.
 *
 * @since 3.0.0
 */
import { ConnectionClosed, type ConnectionError, IoError } from "@effect-websocket/protocol/Errors"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { count } from "./engine/checks.js"
import {
  deferredDoneUnsafe,
  deferredMakeUnsafe,
  forkDetach,
  hasInterruptsOnly,
  tapCause,
  type DurationInput
} from "./internal/effect.js"
import type * as WebSocket from "./WebSocket.js"

/**
 * More calls wait for replies than `maxPending` allows. Nothing was sent.
 *
 * @since 3.0.0
 * @category errors
 */
export class TooManyCalls extends Data.TaggedError("Too_many_calls")<{ readonly max: number }> {
  /** @since 3.0.0 */
  override get message(): string {
    return `${this.max} calls wait for their replies; \`maxPending\` allows no more`
  }
}

/**
 * The errors of a call, besides those of sending it and those of its reply: the connection ended, too many calls wait, or the
 * timeout passed (`IoError` with the reason `"Timeout"` and the operation `"call"`).
 *
 * @since 3.0.0
 * @category errors
 */
export type CallError = ConnectionError | TooManyCalls

/**
 * The options of `make`.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options {
  /** How many calls may wait for their replies. Default: 1,024. One more fails with `TooManyCalls`. */
  readonly maxPending?: number | undefined
  /**
   * How long a call waits for its reply. Default: as long as the connection is open. Then it fails with `IoError`
   * (`Timeout`). `Effect.timeout` limits a single call.
   */
  readonly timeout?: DurationInput | undefined
}

/**
 * The calls of one connection that wait for their replies.
 *
 * @since 3.0.0
 * @category models
 */
export interface PendingCalls<A, E> {
  /**
   * Sends a request with a new id, and waits for its reply. The ids count from 1. Fails with `CallError`, with the error of `send`, and
   * with that of the reply.
   *
   * If the call is interrupted, or its timeout passes, its reply will be ignored, and `cancel`, if given, tells the peer. Nothing
   * waits for `cancel`. It is not called if `send` failed or died. The end of the connection does not end `send`: sending over that
   * connection fails by itself, but limit another wait in it.
   */
  readonly call: <E2, R, R2 = never>(
    send: (id: number) => Effect.Effect<void, E2, R>,
    cancel?: (id: number) => Effect.Effect<unknown, unknown, R2>
  ) => Effect.Effect<A, E | E2 | CallError, R | R2>

  /**
   * Sends several requests in one message, and waits for all replies. `send` gets `size` new ids. Succeeds with the reply of each, in
   * the order of the ids. For the rest, it is as `call`; `cancel` gets each id that has no reply yet.
   */
  readonly callAll: <E2, R, R2 = never>(
    size: number,
    send: (ids: ReadonlyArray<number>) => Effect.Effect<void, E2, R>,
    cancel?: (id: number) => Effect.Effect<unknown, unknown, R2>
  ) => Effect.Effect<ReadonlyArray<Exit.Exit<A, E | ConnectionError>>, E2 | CallError, R | R2>

  /**
   * Passes a reply on to the call with its id. Returns `false` if no call waits for it: the id is unknown, it was replied to already,
   * or the call was interrupted.
   */
  readonly reply: (id: unknown, reply: Exit.Exit<A, E>) => boolean

  /** How many calls wait. */
  readonly size: Effect.Effect<number>
}

/**
 * Makes the calls of a connection. Replies come through `reply`, which the reader of the connection calls. If nobody reads, no reply
 * comes. The calls that wait, and later ones, fail with the error of the connection once it is over, and with `ConnectionClosed` (1001)
 * once the scope ends.
 *
 * @example
 * ```ts
 * import { PendingCalls, WebSocketChannel } from "@effect-websocket/platform"
 * import { Effect, Exit, Schema } from "effect"
 *
 * const Lookup = WebSocketChannel.make({
 *   fromClient: Schema.Struct({ id: Schema.Number, word: Schema.String }),
 *   fromServer: Schema.Struct({ id: Schema.Number, meaning: Schema.String })
 * })
 *
 * const program = Effect.gen(function* () {
 *   const socket = yield* WebSocketChannel.connect(Lookup, "ws://127.0.0.1:8080")
 *   const calls = yield* PendingCalls.make<string>(socket, { timeout: "10 seconds" })
 *   yield* Effect.forkScoped(socket.run(({ id, meaning }) => void calls.reply(id, Exit.succeed(meaning))))
 *   const lookup = (word: string) => calls.call((id) => socket.send({ id, word }))
 *   return yield* Effect.all([lookup("frame"), lookup("mask")], { concurrency: 2 })
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const make = <A, E = never>(
  socket: Pick<WebSocket.AnyWebSocket, "closeStatus">,
  { maxPending = 1024, timeout }: Options = {}
): Effect.Effect<PendingCalls<A, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const calls = yield* Effect.sync(() => new Calls<A, E>(count("maxPending", maxPending), timeout))
    yield* Effect.addFinalizer(() => Effect.sync(() => calls.end(scopeEnded)))
    const end = Effect.flatMap(socket.closeStatus, ({ error }) => Effect.sync(() => calls.end(error)))
    yield* Effect.forkScoped(end)
    return calls
  })

const scopeEnded = new ConnectionClosed({ code: 1001, reason: "", initiator: "local", clean: false })

interface Call<A, E> {
  readonly id: number
  readonly reply: Deferred.Deferred<A, E | ConnectionError>
}

class Calls<A, E> implements PendingCalls<A, E> {
  private readonly pending = new Map<unknown, Call<A, E>>()
  private readonly max: number
  private readonly timeout: DurationInput | undefined
  private last = 0
  private ended: ConnectionError | undefined = undefined

  constructor(max: number, timeout: DurationInput | undefined) {
    this.max = max
    this.timeout = timeout
  }

  readonly call: PendingCalls<A, E>["call"] = (send, cancel) =>
    Effect.flatMap(
      this.callAll(1, ([id]) => send(id!), cancel),
      ([reply]) => reply!
    )

  readonly callAll: PendingCalls<A, E>["callAll"] = (size, send, cancel) =>
    Effect.acquireUseRelease(
      Effect.suspend(() => this.begin(size)),
      (calls) => {
        // A request that was refused is not cancelled.
        const forget = Effect.sync(() => calls.forEach(({ id }) => this.pending.delete(id)))
        const sending = Effect.suspend(() => send(calls.map(({ id }) => id)))
        const sent = tapCause(sending, (cause) => (hasInterruptsOnly(cause) ? Effect.void : forget))
        const replies = Effect.forEach(calls, ({ reply }) => Effect.exit(Deferred.await(reply)))
        return this.limited(Effect.andThen(sent, replies))
      },
      (calls) => {
        const cancelled = calls.filter(({ id }) => this.pending.delete(id))
        // The peer may not read, and an interruption must not wait for it.
        return cancel === undefined || cancelled.length === 0
          ? Effect.void
          : forkDetach(Effect.interruptible(Effect.forEach(cancelled, ({ id }) => Effect.ignore(cancel(id)))))
      }
    )

  private begin(size: number): Effect.Effect<ReadonlyArray<Call<A, E>>, CallError> {
    if (this.ended !== undefined) return Effect.fail(this.ended)
    if (this.pending.size + size > this.max) return Effect.fail(new TooManyCalls({ max: this.max }))
    const calls: Array<Call<A, E>> = []
    for (let index = 0; index < size; index++) {
      const call = { id: ++this.last, reply: deferredMakeUnsafe<A, E | ConnectionError>() }
      this.pending.set(call.id, call)
      calls.push(call)
    }
    return Effect.succeed(calls)
  }

  private limited<B, E2, R>(effect: Effect.Effect<B, E2, R>): Effect.Effect<B, E2 | IoError, R> {
    if (this.timeout === undefined) return effect
    return Effect.flatMap(
      Effect.timeoutOption(effect, this.timeout),
      Option.match({
        onNone: () => Effect.fail(new IoError({ reason: "Timeout", operation: "call" })),
        onSome: (value) => Effect.succeed(value)
      })
    )
  }

  readonly reply = (id: unknown, reply: Exit.Exit<A, E>): boolean => {
    const call = this.pending.get(id)
    if (call === undefined) return false
    this.pending.delete(id)
    deferredDoneUnsafe(call.reply, reply)
    return true
  }

  readonly size: Effect.Effect<number> = Effect.sync(() => this.pending.size)

  end(error: ConnectionError): void {
    this.ended ??= error
    const calls = [...this.pending.values()]
    this.pending.clear()
    for (const { reply } of calls) deferredDoneUnsafe(reply, Exit.fail(error))
  }
}
