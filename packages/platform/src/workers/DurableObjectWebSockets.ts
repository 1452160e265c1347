/**
 * The WebSockets of a Durable Object, which may sleep while they are open.
 *
 * A Durable Object that has nothing to do goes to sleep: Cloudflare drops it from memory and keeps its WebSockets ("hibernation"). The
 * next event makes the object again. So there is no fiber for each connection here, and no stream. Handlers are effects that run
 * for one event. What a connection has to remember is its `state`, which Cloudflare keeps with the WebSocket.
 *
 * - The events of one connection are handled one after another, those of several connections at the same time.
 * - The library sets no timer and waits for nothing between two events. A handler that waits keeps the object awake.
 * - A handler that fails closes its connection with 1011, and its failure is logged.
 *
 * @since 3.0.0
 */
import type { Name as CloseCodeName } from "@effect-websocket/protocol/CloseCode"
import type { ConnectionError, PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import { resolveLimits, type Limits } from "@effect-websocket/protocol/Limits"
import type { Message } from "@effect-websocket/protocol/Message"
import * as Origin from "@effect-websocket/protocol/Origin"
import type * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import { bytes } from "../engine/checks.js"
import { abnormalClosure } from "../engine/connection/closeCodes.js"
import { interruptUnsafe, pureCodec, type DurationInput, type PureSchema } from "../internal/effect.js"
import { resolveProtocols, resolveRetryAfter } from "../internal/serverPolicy.js"
import { defaults, timeout } from "../internal/settings.js"
import type * as nativeAttempt from "../native/nativeAttempt.js"
import type * as UpgradeCheck from "../UpgradeCheck.js"
import type { CloseStatus, Data } from "../WebSocket.js"
import { DurableRoom } from "./internal/DurableRoom.js"
import { answerUpgrade } from "./internal/durableUpgrade.js"
import * as hibernation from "./internal/hibernation.js"
import * as internalInvalidState from "./internal/InvalidState.js"
import * as upgrading from "./internal/upgrading.js"

/**
 * The state of a connection cannot be kept, or cannot be read. Its `_tag` is `"Invalid_state"`.
 *
 * - `operation`: `"encode"` if the app sets a state, `"decode"` if a state is read after the object has slept.
 * - `reason`: `"schema"` if the schema refuses it, `"json"` if it is not JSON, `"size"` if it is too large.
 * - `size`: the bytes that it takes, if they are too many. 2,048 are allowed, with the subprotocol and about 30 bytes around them.
 *
 * @since 3.0.0
 * @category errors
 */
export const InvalidState = internalInvalidState.InvalidState

/**
 * The type of `InvalidState`.
 *
 * @since 3.0.0
 * @category errors
 */
export type InvalidState = internalInvalidState.InvalidState

/**
 * A WebSocket of a Durable Object, as far as it is used here. The `WebSocket` of Cloudflare's types matches it.
 *
 * @since 3.0.0
 * @category platform
 */
export interface HibernatableSocket extends hibernation.HibernatableSocket {}

/**
 * The first argument of the constructor of a Durable Object, as far as it is used here. The `DurableObjectState` of Cloudflare's
 * types matches it.
 *
 * @since 3.0.0
 * @category platform
 */
export interface DurableObjectContext extends hibernation.DurableObjectContext {}

/**
 * A request, as far as it is used here. The `Request` of every platform matches it.
 *
 * @since 3.0.0
 * @category platform
 */
export interface FetchRequest extends nativeAttempt.FetchRequest {}

/**
 * The `Response` of the types that the app has.
 *
 * @since 3.0.0
 * @category platform
 */
export type FetchResponse = upgrading.FetchResponse

/**
 * An open connection. Use it in the handler that gets it, or get the connections of the object from its `room`.
 *
 * @since 3.0.0
 * @category models
 */
export interface Socket<S> {
  /** The subprotocol that was selected. */
  readonly protocol: string | undefined
  /** The tags that `tags` of the options gave it. */
  readonly tags: ReadonlyArray<string>
  /** All connections of the object. */
  readonly room: Room<S>
  /** The state. After the object has slept, it is decoded by the schema before a handler gets the connection. */
  readonly state: Effect.Effect<S>
  /**
   * Replaces the state. It succeeds once the new state survives. Then `state` is what the schema decodes from it, as it will be after the
   * object has slept. Fails with `InvalidState` if the schema refuses it, or if it takes more than 2,048 bytes. It then keeps the old one.
   */
  setState(state: S): Effect.Effect<void, InvalidState>
  /**
   * Sends a message. It never waits: it does not look at how many bytes wait to be sent. Fails with `ConnectionClosed` once the
   * connection is closed or closing (RFC 6455 §7.1.2), and with `IoError` if the platform refuses the message.
   */
  send(data: Data): Effect.Effect<void, ConnectionError>
  /**
   * Begins to close the connection (RFC 6455 §7.1.2), with any code that may be sent in a Close. It does not wait for the peer, so that
   * the object can sleep until the peer answers; `onClose` runs then. Messages that arrive after it are dropped. Without a code it
   * sends none and never fails. Fails with `ProtocolError` for a code that may not be sent, and with `PayloadTooLarge` for a reason of
   * more than 123 bytes. Idempotent.
   */
  close(): Effect.Effect<void>
  close(code: number | CloseCodeName, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>
  /** Whether the connection is open, and no side has begun to close it. */
  readonly isOpen: Effect.Effect<boolean>
  /** When the platform last answered the `autoResponse` of the options on this connection. */
  readonly autoRespondedAt: Effect.Effect<Option.Option<Date>>
}

/**
 * The connections of a Durable Object.
 *
 * @since 3.0.0
 * @category models
 */
export interface Room<S> {
  /** The open connections, or those with a tag. One whose state cannot be read is closed with 1011, and left out. */
  sockets(tag?: string): Effect.Effect<ReadonlyArray<Socket<S>>>
  /** Sends a message to all open connections, or to those with a tag, except for one. A connection that is just lost does not get it. */
  broadcast(
    data: Data,
    options?: { readonly tag?: string | undefined; readonly except?: Socket<S> | undefined }
  ): Effect.Effect<void>
}

/**
 * The options of `make`. See `make` for the types.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options<S, I, RCheck, ROpen, RMessage, RClose> {
  /**
   * The schema of the state of a connection. What it encodes to must be JSON, of at most 2,048 bytes with the subprotocol. If a state
   * cannot be decoded after the object has slept, the connection is closed with 1011 and a warning is logged.
   */
  readonly state: PureSchema<S, I>
  /**
   * Decides about a request, and accepts it with the first state of its connection: `UpgradeCheck.accept(state)`. It may have a
   * subprotocol and headers, but no `options`. It is interrupted if the client goes away, as far as the platform says so.
   */
  readonly check: UpgradeCheck.Check<S, unknown, RCheck>
  /** Runs for a new connection. Messages wait until it is done. The 101 does not. Default: nothing. */
  readonly onOpen?: ((socket: Socket<S>) => Effect.Effect<unknown, unknown, ROpen>) | undefined
  /** Runs for each message, in order. Default: messages are dropped. */
  readonly onMessage?: ((socket: Socket<S>, message: Message) => Effect.Effect<unknown, unknown, RMessage>) | undefined
  /**
   * Runs once the connection is closed, after the peer's Close was answered. If the peer does not answer a Close of this side, it runs
   * when the platform gives the connection up. Default: nothing.
   */
  readonly onClose?: ((socket: Socket<S>, status: CloseStatus) => Effect.Effect<unknown, unknown, RClose>) | undefined
  /** Tags for `room.sockets` and `room.broadcast`: at most 10, each of at most 256 characters. They cannot change. Default: none. */
  readonly tags?: ((state: S, request: UpgradeCheck.Request) => ReadonlyArray<string>) | undefined
  /** From which pages browsers may connect. Default: `Origin.sameOrigin()`. Other requests get 403. */
  readonly origin?: Origin.Policy | undefined
  /** The subprotocols, in the order of preference, or what selects one. Default: none. */
  readonly protocols?: ReadonlyArray<string> | Subprotocol.Selector | undefined
  /** How long a check may take. Default: 10 seconds. Beyond it the answer is 503. */
  readonly handshakeTimeout?: DurationInput | undefined
  /** `limits.maxMessageBytes`: the largest message, in bytes. Default: 1 MiB. A larger one closes the connection with 1009. */
  readonly limits?: Pick<Partial<Limits>, "maxMessageBytes"> | undefined
  /**
   * How many bytes of messages may wait for the handler of one connection, each message with 64 more. Default: 16 MiB. More close the
   * connection with 1009 at once.
   */
  readonly maxUnreadBytes?: number | undefined
  /**
   * A text message that the platform answers by itself, without waking the object, for all connections of the object. At most 2,048
   * bytes each. Pings of the protocol are answered without it. Default: none.
   */
  readonly autoResponse?: { readonly request: string; readonly response: string } | undefined
}

/**
 * The services of the handlers. The layer is built for the first event after the object was made. If that fails, the request is answered
 * with 500, or the connection is closed with 1011, and the next event tries again. Nothing releases it: the platform does not tell when it
 * drops the object.
 *
 * @since 3.0.0
 * @category models
 */
export type Services<R> = [R] extends [never]
  ? { readonly layer?: Layer.Layer<never, unknown> | undefined }
  : { readonly layer: Layer.Layer<R, unknown> }

/**
 * What the class of a Durable Object passes its events to: its methods of the same names.
 *
 * @since 3.0.0
 * @category models
 */
export interface DurableObjectWebSockets<S, R> {
  /** Answers a request to upgrade, and refuses any other request. It never fails. */
  readonly fetch: (request: FetchRequest) => Promise<FetchResponse>
  readonly webSocketMessage: (socket: HibernatableSocket, message: string | ArrayBuffer) => Promise<void>
  readonly webSocketClose: (
    socket: HibernatableSocket,
    code: number,
    reason: string,
    wasClean: boolean
  ) => Promise<void>
  readonly webSocketError: (socket: HibernatableSocket, error: unknown) => Promise<void>
  /** The connections of the object, for its other methods. */
  readonly room: Room<S>
  /** Runs an effect with the services of the handlers, for example in `alarm` or in a method that Workers call. */
  readonly run: <A, E>(effect: Effect.Effect<A, E, R>) => Promise<A>
}

/**
 * Makes the handlers of a Durable Object. Call it once, in the constructor of the class. Options that make no sense throw a
 * `RangeError`.
 *
 * @example
 * ```ts
 * import { UpgradeCheck } from "@effect-websocket/platform"
 * import { DurableObjectWebSockets } from "@effect-websocket/platform/workers"
 * import { Effect, Schema } from "effect"
 *
 * const State = Schema.Struct({ name: Schema.String, messages: Schema.Number })
 *
 * export class Counter {
 *   private readonly sockets: DurableObjectWebSockets.DurableObjectWebSockets<typeof State.Type, never>
 *
 *   constructor(context: DurableObjectWebSockets.DurableObjectContext) {
 *     this.sockets = DurableObjectWebSockets.make(context, {
 *       state: State,
 *       check: (request) => Effect.succeed(UpgradeCheck.accept({ name: String(request.query["name"]), messages: 0 })),
 *       onMessage: (socket) =>
 *         Effect.gen(function* () {
 *           const { messages, name } = yield* socket.state
 *           yield* socket.setState({ name, messages: messages + 1 })
 *           yield* socket.send(`${name} has sent ${messages + 1} messages`)
 *         })
 *     })
 *   }
 *
 *   fetch(request: Request): Promise<Response> {
 *     return this.sockets.fetch(request)
 *   }
 *   webSocketMessage(socket: DurableObjectWebSockets.HibernatableSocket, message: string | ArrayBuffer) {
 *     return this.sockets.webSocketMessage(socket, message)
 *   }
 *   webSocketClose(socket: DurableObjectWebSockets.HibernatableSocket, code: number, reason: string, wasClean: boolean) {
 *     return this.sockets.webSocketClose(socket, code, reason, wasClean)
 *   }
 *   webSocketError(socket: DurableObjectWebSockets.HibernatableSocket, error: unknown) {
 *     return this.sockets.webSocketError(socket, error)
 *   }
 * }
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const make = <S, I, RCheck = never, ROpen = never, RMessage = never, RClose = never>(
  context: DurableObjectContext,
  options: Options<S, I, RCheck, ROpen, RMessage, RClose> & Services<RCheck | ROpen | RMessage | RClose>
): DurableObjectWebSockets<S, RCheck | ROpen | RMessage | RClose> => {
  type R = RCheck | ROpen | RMessage | RClose
  const codec = pureCodec(options.state)
  // Without a layer, the handlers need no services.
  const layer = (options.layer ?? Layer.empty) as Layer.Layer<R, unknown>
  const { autoResponse, onClose = nothing, onMessage = nothing, onOpen = nothing, tags = noTags } = options
  const room = new DurableRoom<S, R>(context, {
    codec,
    maxMessageBytes: resolveLimits(options.limits).maxMessageBytes,
    maxUnreadBytes: bytes("maxUnreadBytes", options.maxUnreadBytes ?? defaults.maxUnreadBytes),
    layer,
    onOpen,
    onMessage,
    onClose
  })
  const plan = {
    codec,
    check: options.check,
    origin: options.origin ?? Origin.sameOrigin(),
    select: resolveProtocols(options.protocols ?? []),
    tags,
    handshakeTimeout: timeout("handshakeTimeout", options.handshakeTimeout ?? defaults.handshakeTimeout),
    retryAfter: String(resolveRetryAfter()),
    take: (socket: HibernatableSocket, tags: Array<string>) => context.acceptWebSocket(socket, tags),
    accept: (socket: HibernatableSocket, state: S, protocol: string | undefined) => room.accept(socket, state, protocol)
  }
  if (autoResponse !== undefined) {
    context.setWebSocketAutoResponse(hibernation.makeRequestResponsePair(autoResponse))
  }
  return {
    fetch: async (request) => {
      const { signal } = request
      const exit = await room.run(answerUpgrade(request, plan), (fiber) => {
        const interrupt = (): void => interruptUnsafe(fiber)
        signal?.addEventListener("abort", interrupt)
        fiber.addObserver(() => signal?.removeEventListener("abort", interrupt))
      })
      if (Exit.isSuccess(exit)) return exit.value
      await room.log(Effect.logError("An upgrade request could not be answered", exit.cause))
      return upgrading.refused(500, {}, "The server could not answer the request")
    },
    webSocketMessage: (socket, message) => room.receive(socket, message),
    webSocketClose: (socket, code, reason, wasClean) => room.end(socket, { code, reason, wasClean }),
    webSocketError: async (socket, error) => {
      const ended = room.end(socket, { code: abnormalClosure, reason: "", wasClean: false })
      await room.log(Effect.logDebug("The platform reports an error of a connection", error))
      await ended
    },
    room,
    run: async (effect) => {
      const exit = await room.run(effect)
      if (Exit.isSuccess(exit)) return exit.value
      throw Cause.squash(exit.cause)
    }
  }
}

const nothing = (): Effect.Effect<void> => Effect.void
const noTags = (): ReadonlyArray<string> => []
