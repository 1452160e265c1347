/**
 * An open WebSocket as an app sees it. It lives in a scope: when that ends, however it ends, the closing handshake is
 * performed, within `closeTimeout`.
 *
 * @since 0.1.0
 */
import type { Name as CloseCodeName } from "@effect-websocket/protocol/CloseCode"
import type * as Connection from "@effect-websocket/protocol/Connection"
import type { ConnectionError, PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { Extension } from "@effect-websocket/protocol/Extension"
import type { Frame } from "@effect-websocket/protocol/Frame"
import type { Message } from "@effect-websocket/protocol/Message"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import * as internalBroadcast from "./internal/broadcast.js"
import type * as internalHandled from "./internal/handled.js"
import type * as internalStreamData from "./internal/streamData.js"
import type { Batch, BatchChannel } from "./internal/effect.js"
import { timers } from "./internal/timers.js"
import { makeWebSocket, resolveMode } from "./internal/deliveries.js"
import type * as sendable from "./engine/connection/sendable.js"
import { GuardedTransport } from "./engine/connection/GuardedTransport.js"
import { placeIn } from "./internal/scopes.js"
import { resolve } from "./internal/settings.js"
import * as internalTypeId from "./internal/typeId.js"
import type { ConnectionOptions, DeliveryOptions, ReceiveOptions, SendOptions } from "./Options.js"
import type { Transport } from "./Transport.js"

/**
 * What marks a WebSocket of whole messages, whichever copy of this package made it.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: typeof internalTypeId.webSocket = internalTypeId.webSocket

/**
 * The type of `TypeId`.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * What marks a WebSocket of streams, whichever copy of this package made it.
 *
 * @since 0.1.0
 * @category symbols
 */
export const StreamingTypeId: typeof internalTypeId.streamingWebSocket = internalTypeId.streamingWebSocket

/**
 * The type of `StreamingTypeId`.
 *
 * @since 0.1.0
 * @category symbols
 */
export type StreamingTypeId = typeof StreamingTypeId

/**
 * What marks a WebSocket of frames, whichever copy of this package made it.
 *
 * @since 0.1.0
 * @category symbols
 */
export const FrameTypeId: typeof internalTypeId.frameWebSocket = internalTypeId.frameWebSocket

/**
 * The type of `FrameTypeId`.
 *
 * @since 0.1.0
 * @category symbols
 */
export type FrameTypeId = typeof FrameTypeId

/**
 * What can be sent: a text, bytes, or a message of either kind. Bytes are never changed. Those of more than
 * `sendHighWaterMark` are not copied by a server, and those of at least 64 KiB not before they are compressed: leave them as
 * they are until `send` is done, and where it was interrupted, until the connection is over.
 *
 * TypeScript does not check every caller. An `ArrayBuffer` and any view of one are sent as their bytes; anything else is a
 * defect (`TypeError`) of the fiber that sends, with nothing sent and the connection as it was.
 *
 * @since 0.1.0
 * @category models
 */
export type Data = sendable.Data

/**
 * The options of one connection; see `Options.ConnectionOptions`. Options that make no sense are a defect.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = ConnectionOptions

/**
 * How a connection, one `send` and one `receiveWith` behave; see `Options`.
 *
 * @since 0.1.0
 * @category models
 */
export type { DeliveryOptions, ReceiveOptions, ReceiveRate, SendOptions, SendStrategy } from "./Options.js"

/**
 * The kinds of connections, by what they deliver: whole messages, messages as streams of their parts, or frames.
 *
 * @since 0.1.0
 * @category models
 */
export interface Deliveries {
  readonly messages: WebSocket
  readonly streams: StreamingWebSocket
  readonly frames: FrameWebSocket
}

/**
 * A message as a stream of its parts. What is received is cut as it arrived, but no character is cut in two.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamedMessage<E = ConnectionError, R = never> = internalStreamData.StreamedMessage<E, R>

/**
 * What can be sent as a stream: parts of a text, or of bytes, or a message of either kind. Of a stream alone the first part
 * decides; without any part it is an empty binary message.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamData<E, R> = internalStreamData.StreamData<E, R>

/**
 * How a connection ended: the Close of each side where there was one, who began, whether it was clean, and the error that
 * everything fails with since.
 *
 * @since 0.1.0
 * @category models
 */
export interface CloseStatus extends Connection.CloseStatus {
  readonly error: ConnectionError
}

/**
 * What the handler of `run` may return: an effect, which is awaited, or nothing. Branches may return different ones.
 *
 * @since 0.1.0
 * @category models
 */
export type Handled = internalHandled.Handled

/**
 * The errors of what a handler returns.
 *
 * @since 0.1.0
 * @category models
 */
export type HandledError<X> = internalHandled.HandledError<X>

/**
 * The services that what a handler returns needs.
 *
 * @since 0.1.0
 * @category models
 */
export type HandledContext<X> = internalHandled.HandledContext<X>

/**
 * What all kinds of connections have.
 *
 * @since 0.1.0
 * @category models
 */
export interface AnyWebSocket {
  /** Which side of the connection this endpoint is. */
  readonly role: "client" | "server"
  /** The URL of a client's connection; the request target of a server's. */
  readonly url: string
  /** The subprotocol that was agreed on, if any. */
  readonly protocol: string | undefined
  readonly extensions: ReadonlyArray<Extension>
  /** What the peer may send. */
  readonly limits: Connection.Limits
  /** The size in bytes above which a message is sent in fragments; `undefined` if none is. */
  readonly maxFrameSize: number | undefined
  /** The most bytes that one `send` takes; `undefined` if there is no limit. */
  readonly maxSendBytes: number | undefined
  /** The peer's address, where the transport has one. */
  readonly remoteAddress: string | undefined

  /** Whether messages can be sent. */
  readonly isOpen: Effect.Effect<boolean>
  /** How many bytes wait to be written. */
  readonly bufferedBytes: Effect.Effect<number>
  /** Waits until the connection is over, and tells how it ended. */
  readonly closeStatus: Effect.Effect<CloseStatus>

  /**
   * Sends a ping, with an unpredictable payload unless one is given (at most 125 bytes), and waits for its pong. Succeeds
   * with the time between them. Fails as `send` does, and with an outbound `PayloadTooLarge`. Bound it with
   * `Effect.timeout`.
   */
  ping(data?: Uint8Array): Effect.Effect<Duration.Duration, ConnectionError>

  /**
   * Sends a pong that nobody asked for (at most 125 bytes). The peer's pings are answered without it. Fails as `send` does,
   * and with an outbound `PayloadTooLarge`.
   */
  pong(data?: Uint8Array): Effect.Effect<void, ConnectionError>

  /** The payloads of the peer's pings, which are answered already. A slow reader misses all but the newest 16. */
  readonly pings: Stream.Stream<Uint8Array>

  /** The payloads of the peer's pongs. A slow reader misses all but the newest 16. */
  readonly pongs: Stream.Stream<Uint8Array>

  /**
   * Performs the closing handshake and waits until the connection is over, at most `closeTimeout`; `closeStatus` tells
   * whether it was clean. Messages that still arrive can be read; those that are not are dropped once the inbox is full,
   * because the peer's Close is behind them. Idempotent.
   *
   * `code` is a number or a registered name, by default 1000; `reason` has at most 123 bytes. For names of the app's own, see
   * `CloseCode.makeRegistry`. Fails, with nothing sent,
   * only for a code that may not be sent (`ProtocolError`) or a reason that is too long (`PayloadTooLarge`).
   */
  close(): Effect.Effect<void>
  close(code: number | CloseCodeName, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>

  /** Drops the connection without a handshake. Idempotent. */
  readonly abort: Effect.Effect<void>
}

/**
 * An open WebSocket.
 *
 * There are four ways to read, from fast to convenient: `run`, `receiveAll`, `receive` (also as `receiveOption` and
 * `receiveWith`), `messages`. All deliver in order, obey the same
 * backpressure (while nobody reads, the transport is paused and TCP pushes back), and may be used one after another, but
 * not by two fibers at once, which is a defect.
 *
 * The first terminal error is remembered: everything that is asked for later fails with that same error.
 *
 * @since 0.1.0
 * @category models
 */
export interface WebSocket extends AnyWebSocket {
  readonly [TypeId]: TypeId

  /**
   * Sends a message. It is done when the message was handed to the transport; while too much waits there, it suspends, or
   * does what `sendStrategy` says.
   * Where compression was agreed on, more than 64 KiB are compressed on another thread first; later messages wait for it,
   * pings, pongs and a Close do not. A Close drops the message that is still being compressed. An interrupted `send` has sent either all of its message or nothing.
   *
   * Fails with the connection's error once that is closing or over (`ConnectionClosed` while closing), and with an outbound
   * `PayloadTooLarge` for a message above `maxSendBytes`, of which nothing is sent.
   */
  send(data: Data, options?: SendOptions): Effect.Effect<void, ConnectionError>

  /**
   * Sends messages, in order, each as `send` does. Fails with the first that is not sent, and sends none behind it. An
   * interruption leaves a whole number of them sent. It takes several messages: a single text or `Uint8Array` is a defect.
   */
  sendAll(data: Iterable<Data> & object, options?: SendOptions): Effect.Effect<void, ConnectionError>

  /**
   * Sends a message whose length is not known yet: each part of the stream as it comes, as a fragment, and at the end an
   * empty one. Parts wait for room whatever `sendStrategy` says. Other messages wait until it has ended; pings, pongs and a
   * Close do not. It is not compressed.
   *
   * Fails as `send` does, at once also while the stream has nothing, and with what the stream fails with. A message that has
   * begun cannot be taken back, so a failure closes the connection with 1011, and an interruption with 1001; the peer
   * never sees the message as a whole one. Where nothing of it was sent, the connection goes on. A part above `maxSendBytes` is
   * such a failure: an outbound `PayloadTooLarge`. The parts together may have any size.
   */
  sendStream<E, R>(data: StreamData<E, R>): Effect.Effect<void, ConnectionError | E, R>

  /**
   * Calls `handler` for each message, in order, the next one when the returned effect is done. The fastest way to read:
   * replies that are made while one read is handled are written at once. Interrupting it loses no message: the effect of a
   * handler that was called begins, and is interrupted at the first place where it can be.
   *
   * Ends after a closing handshake that we began, or when the peer closes with 1000, 1001 or no code. Fails with any other
   * `ConnectionClosed`, with `ProtocolError` or `PayloadTooLarge` where the peer broke a rule or a limit, with `IoError`
   * where the transport broke, and with what `handler` fails with.
   */
  run<X extends Handled>(
    handler: (message: Message) => X
  ): Effect.Effect<void, HandledError<X> | ConnectionError, HandledContext<X>>

  /** The next message. Fails once the connection is over, also after a normal close. Interrupting it loses no message. */
  readonly receive: Effect.Effect<Message, ConnectionError>

  /** As `receive`, but `None` after what `run` and `messages` count as a normal end. Interrupting it loses no message. */
  readonly receiveOption: Effect.Effect<Option.Option<Message>, ConnectionError>

  /**
   * The next message, if it has at most `maxMessageBytes`. A larger one fails the connection with 1009 and an inbound
   * `PayloadTooLarge`, as one above `limits.maxMessageBytes` does, and nothing behind it is received; messages that were taken
   * before are not affected. Otherwise it fails as `receive` does. Interrupting it loses no message.
   *
   * The size is compared when the message is taken: what is held until then is bounded by `limits` and `receiveHighWaterMark`.
   */
  receiveWith(options: ReceiveOptions): Effect.Effect<Message, ConnectionError>

  /**
   * All messages that wait, at least one: waits as `receive` does where there is none. One turn of a fiber takes what many
   * would have taken one by one, so a busy connection costs less. Fails as `receive` does; an interruption loses none.
   */
  readonly receiveAll: Effect.Effect<Batch<Message>, ConnectionError>

  /**
   * All messages; each chunk is what has arrived since the last one. Ends and fails as `run` does.
   *
   * A stream takes all that has arrived at once and emits it in the same step. Of that, what its consumer has not come to is
   * gone with the stream, after `Stream.take` or an interruption. To read some messages first, or to lose none, use `receive`,
   * `receiveAll` or `run`.
   */
  readonly messages: Stream.Stream<Message, ConnectionError>

  /** Sends everything it is given. Fails as `send` does. */
  readonly sink: Sink.Sink<void, Data, never, ConnectionError>

  /**
   * Sends its input and emits `messages`. When the input ends, the connection is closed with 1000. Fails as `send` and
   * `messages` do, and with what the input fails with.
   */
  channel<IE = never>(): BatchChannel<Data, Message, IE, ConnectionError | IE>
}

/**
 * An open WebSocket whose messages are received as streams. It is acquired with the option `delivery: "streams"`.
 *
 * Nothing of a message is held besides what `receiveHighWaterMark` allows: while nobody reads, the transport is paused.
 * So `limits.maxMessageBytes`, `limits.maxFragments` and `messageTimeout` do not apply. They do to compressed messages, which
 * can be inflated only as a whole: these are one part.
 *
 * @example
 * ```ts
 * import { WebSocketClient } from "@effect-websocket/platform"
 * import { Effect, Stream } from "effect"
 *
 * const size = Effect.gen(function* () {
 *   const socket = yield* WebSocketClient.connect("ws://127.0.0.1:8080/film", { delivery: "streams" })
 *   const message = yield* socket.receive
 *   if (message._tag === "Text") return 0
 *   return yield* Stream.runFold(message.data, 0, (sum, part) => sum + part.length)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamingWebSocket extends AnyWebSocket {
  readonly [StreamingTypeId]: StreamingTypeId

  /** Sends a message, and fails, as `WebSocket.send` does. */
  send(data: Data, options?: SendOptions): Effect.Effect<void, ConnectionError>

  /** Sends a message from a stream, and fails, as `WebSocket.sendStream` does. */
  sendStream<E, R>(data: StreamData<E, R>): Effect.Effect<void, ConnectionError | E, R>

  /** Sends everything it is given. Fails as `send` does. */
  readonly sink: Sink.Sink<void, Data, never, ConnectionError>

  /**
   * The next message, as soon as something of it has arrived. Fails once the connection is over, also after a normal close.
   *
   * Its stream can be run once; a second time is a defect. It fails with the connection's error where that comes before the
   * end of the message, also after a normal close. What is not read of it is skipped by the next `receive`; to read on from
   * the stream after that is a defect.
   */
  readonly receive: Effect.Effect<StreamedMessage, ConnectionError>

  /** As `receive`, but `None` after what `messages` counts as a normal end. */
  readonly receiveOption: Effect.Effect<Option.Option<StreamedMessage>, ConnectionError>

  /** All messages. Ends and fails as `WebSocket.run` does. What is not read of a message is skipped. */
  readonly messages: Stream.Stream<StreamedMessage, ConnectionError>
}

/**
 * An open WebSocket whose frames are received and sent one by one. It is acquired with the option `delivery: "frames"`.
 *
 * Every frame is seen, control frames too, the pongs to heartbeats among them; its payload is unmasked. Pings and the peer's
 * Close are answered, unless `answerPings` or `answerClose` is `false`. A peer's text must still be UTF-8 and its frames in a
 * legal order. Reserved opcodes and bits are violations, unless `opcodes` and `rsv` name them. A frame has at most
 * `limits.maxFrameBytes` and `limits.maxMessageBytes`; there is no limit of fragments.
 * Nothing is compressed, and `maxFrameSize`, `sendStrategy` and `messageTimeout` do not apply.
 *
 * @example
 * ```ts
 * import { WebSocketClient } from "@effect-websocket/platform"
 * import { Frame } from "@effect-websocket/protocol"
 * import { Console, Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const socket = yield* WebSocketClient.connect("ws://127.0.0.1:8080", { delivery: "frames", answerPings: false })
 *   yield* socket.send(Frame.text("hel", { fin: false }))
 *   yield* socket.send(Frame.ping())
 *   yield* socket.send(Frame.continuation("lo"))
 *   yield* socket.run((frame) => Console.log(Frame.format(frame)))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface FrameWebSocket extends AnyWebSocket {
  readonly [FrameTypeId]: FrameTypeId

  /**
   * Sends a frame; it is masked as the role demands, whatever `masked` says. It is done when the frame was handed to the
   * transport, and suspends while too much waits there. A Close begins the closing handshake, or answers the peer's;
   * `closeStatus` waits for its end.
   *
   * Fails, with nothing sent, with a local `ProtocolError` for a frame that may not travel here: a reserved opcode or bit that
   * `opcodes` or `rsv` does not name, a fragmented control frame, a frame at a wrong place in a fragmented message, a text that is not UTF-8, the code of a Close;
   * and with an outbound `PayloadTooLarge` for a control frame of more than 125 bytes, or a data frame above `maxSendBytes`. Fails
   * with the connection's error once that is closing or over. What is no frame is a defect.
   */
  send(frame: Frame): Effect.Effect<void, ConnectionError>

  /** Calls `handler` for each frame, and ends and fails, as `WebSocket.run` does for messages. */
  run<X extends Handled>(
    handler: (frame: Frame) => X
  ): Effect.Effect<void, HandledError<X> | ConnectionError, HandledContext<X>>

  /** The next frame. Fails once the connection is over, also after a normal close. Interrupting it loses no frame. */
  readonly receive: Effect.Effect<Frame, ConnectionError>

  /** As `receive`, but `None` after what `run` and `frames` count as a normal end. Interrupting it loses no frame. */
  readonly receiveOption: Effect.Effect<Option.Option<Frame>, ConnectionError>

  /** All frames. Ends and fails as `run` does. */
  readonly frames: Stream.Stream<Frame, ConnectionError>
}

/**
 * Whether a value is a WebSocket of whole messages: one that was acquired with the delivery `"messages"`.
 *
 * @example
 * ```ts
 * import { WebSocket, WebSocketClient } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const socket = yield* WebSocketClient.connect("ws://127.0.0.1:8080")
 *   console.log(WebSocket.isWebSocket(socket)) // true
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category guards
 */
export const isWebSocket = (u: unknown): u is WebSocket => internalTypeId.isTagged(u, TypeId)

/**
 * Whether a value is a WebSocket that was acquired with the delivery `"streams"`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isStreamingWebSocket = (u: unknown): u is StreamingWebSocket => internalTypeId.isTagged(u, StreamingTypeId)

/**
 * Whether a value is a WebSocket that was acquired with the delivery `"frames"`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isFrameWebSocket = (u: unknown): u is FrameWebSocket => internalTypeId.isTagged(u, FrameTypeId)

/**
 * A WebSocket over a transport on which the opening handshake has been made already: for tests over `MockTransport`, and
 * for transports of one's own. Nothing is compressed. The scope closes it.
 *
 * @example
 * ```ts
 * import * as MockTransport from "@effect-websocket/platform/MockTransport"
 * import * as WebSocket from "@effect-websocket/platform/WebSocket"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const pair = yield* MockTransport.make()
 *   const client = yield* WebSocket.fromTransport(pair.client, { role: "client" })
 *   const server = yield* WebSocket.fromTransport(pair.server, { role: "server" })
 *   yield* client.send("hello")
 *   return yield* server.receive // Text { data: "hello" }
 * }).pipe(Effect.scoped)
 * ```
 *
 * What a method of the transport throws fails the connection with `IoError` (`Reset`), whose `cause` it is.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromTransport = <D extends Connection.Delivery = "messages">(
  transport: Transport,
  options: Omit<Options, "compression"> &
    DeliveryOptions<D> & { readonly role: "client" | "server"; readonly url?: string }
): Effect.Effect<Deliveries[D], never, Scope.Scope> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const mode = yield* Effect.sync(() => resolveMode(options))
      const settings = yield* Effect.sync(() => resolve(options))
      const negotiated = {
        url: options.url ?? "",
        agreement: { protocol: undefined, extensions: [] }
      }
      // Whatever it is: an app may have changed one of the library's.
      const guarded = new GuardedTransport(transport)
      const socket = makeWebSocket(options.role, guarded, settings, yield* timers, negotiated, mode, undefined)
      socket.link.start(placeIn(yield* Effect.scope))
      return socket
    })
  )

/**
 * Sends one message to many connections. Each takes it as its own `sendStrategy` says, and one that has no room holds up no
 * other. It is done when all have taken it; those that are closing or over, or end meanwhile, are passed over, and so are those
 * whose `maxSendBytes` the message exceeds. What is no data is a defect before anything is sent.
 *
 * So a peer that does not read holds up the caller for as long as `send` would: where that must not be, give the connections
 * another strategy than `"suspend"`.
 *
 * @example
 * ```ts
 * import { WebSocket, WebSocketServer } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const members = new Set<WebSocket.WebSocket>()
 *
 * const chat = WebSocketServer.layerHandler((socket) =>
 *   Effect.acquireUseRelease(
 *     Effect.sync(() => members.add(socket)),
 *     () => socket.run((message) => WebSocket.broadcast(members, message)),
 *     () => Effect.sync(() => members.delete(socket))
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 * @category sending
 */
export const broadcast: (
  sockets: Iterable<Pick<WebSocket, "send">>,
  data: Data,
  options?: SendOptions
) => Effect.Effect<void> = internalBroadcast.broadcast
