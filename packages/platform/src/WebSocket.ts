/**
 * An open WebSocket, as an application uses it. It belongs to a scope. When the scope ends, for whatever reason, the
 * library performs the closing handshake. This takes at most `closeTimeout`.
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
import { meteredSettings } from "./internal/metered.js"
import { placeIn } from "./internal/scopes.js"
import { resolve } from "./internal/settings.js"
import * as internalTypeId from "./internal/typeId.js"
import type { ConnectionOptions, DeliveryOptions, ReceiveOptions, RunOptions, SendOptions } from "./Options.js"
import type { Transport } from "./Transport.js"

/**
 * The symbol that marks a `WebSocket`, which delivers whole messages. It is the same in every copy of this package.
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
 * The symbol that marks a `StreamingWebSocket`, which delivers messages as streams. It is the same in every copy of
 * this package.
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
 * The symbol that marks a `FrameWebSocket`, which delivers frames. It is the same in every copy of this package.
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
 * The data of one message to send: a text, bytes, or a message of either kind.
 *
 * Sending never changes bytes, but it does not always copy them:
 *
 * - A server does not copy bytes if there are more than `sendHighWaterMark` of them.
 * - If there are at least 64 KiB, they are not copied before they are compressed.
 *
 * So do not change the bytes before `send` has ended. If `send` was interrupted, do not change them before the
 * connection is over.
 *
 * TypeScript does not check every caller. At run time, an `ArrayBuffer` and any view of one are sent as their bytes.
 * Any other value is a defect (`TypeError`) of the fiber that sends: nothing is sent, and the connection stays as it
 * was.
 *
 * @since 0.1.0
 * @category models
 */
export type Data = sendable.Data

/**
 * The options of one connection; see `Options.ConnectionOptions`. Invalid options are a defect.
 *
 * @since 0.1.0
 * @category models
 */
export type Options = ConnectionOptions

/**
 * Options of a connection, of one `send` and of one `receiveWith`; see `Options`.
 *
 * @since 0.1.0
 * @category models
 */
export type { DeliveryOptions, ReceiveOptions, ReceiveRate, RunOptions, SendOptions, SendStrategy } from "./Options.js"

/**
 * The type of WebSocket for each value of the option `delivery`: whole messages, messages as streams of their parts, or
 * frames.
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
 * A message as a stream of its parts. A received message is divided into the parts in which it arrived, but no
 * character is split between two parts.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamedMessage<E = ConnectionError, R = never> = internalStreamData.StreamedMessage<E, R>

/**
 * The data of `sendStream`: a stream of texts, a stream of bytes, or a message of either kind whose data is a stream.
 * For a plain stream, the first part decides whether the message is text or binary. A plain stream without any part is
 * sent as an empty binary message.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamData<E, R> = internalStreamData.StreamData<E, R>

/**
 * How a connection ended:
 *
 * - the Close of each side, if that side sent one;
 * - which side began;
 * - whether the closing was clean;
 * - `error`: the error with which every later operation fails.
 *
 * @since 0.1.0
 * @category models
 */
export interface CloseStatus extends Connection.CloseStatus {
  readonly error: ConnectionError
}

/**
 * The values that the handler of `run` may return: an effect, which `run` awaits, or nothing. Different branches of the
 * handler may return different effects.
 *
 * @since 0.1.0
 * @category models
 */
export type Handled = internalHandled.Handled

/**
 * The errors of the effects that a handler returns.
 *
 * @since 0.1.0
 * @category models
 */
export type HandledError<X> = internalHandled.HandledError<X>

/**
 * The services that the effects of a handler need.
 *
 * @since 0.1.0
 * @category models
 */
export type HandledContext<X> = internalHandled.HandledContext<X>

/**
 * The members that all kinds of WebSockets share.
 *
 * @since 0.1.0
 * @category models
 */
export interface AnyWebSocket {
  /** Which side of the connection this endpoint is. */
  readonly role: "client" | "server"
  /** On a client, the URL of the connection. On a server, the request target. */
  readonly url: string
  /** The subprotocol that the handshake selected, if any. */
  readonly protocol: string | undefined
  readonly extensions: ReadonlyArray<Extension>
  /** The limits on what the peer may send, in bytes and in fragments. */
  readonly limits: Connection.Limits
  /**
   * The largest payload of a frame that is sent, in bytes. A larger message is sent in fragments. `undefined` if there
   * is no limit.
   */
  readonly maxFrameSize: number | undefined
  /** The largest message that `send` accepts, in bytes. `undefined` if there is no limit. */
  readonly maxSendBytes: number | undefined
  /** The peer's address, if the transport has one. */
  readonly remoteAddress: string | undefined

  /** Whether messages can be sent now. */
  readonly isOpen: Effect.Effect<boolean>
  /** The number of bytes that wait to be written. */
  readonly bufferedBytes: Effect.Effect<number>
  /** Waits until the connection is over, and succeeds with how it ended. */
  readonly closeStatus: Effect.Effect<CloseStatus>

  /**
   * Sends a ping and waits for its pong. Succeeds with the time between the two. Use `Effect.timeout` to limit the
   * wait.
   *
   * `data` is the payload, at most 125 bytes. Default: an unpredictable payload. Fails as `send` does, and with an
   * outbound `PayloadTooLarge` if the payload is too long.
   */
  ping(data?: Uint8Array): Effect.Effect<Duration.Duration, ConnectionError>

  /**
   * Sends a pong that answers no ping. The peer's pings are answered without it. `data` is the payload, at most 125
   * bytes. Fails as `send` does, and with an outbound `PayloadTooLarge` if the payload is too long.
   */
  pong(data?: Uint8Array): Effect.Effect<void, ConnectionError>

  /**
   * The payloads of the peer's pings, which have been answered already. For a slow reader only the newest 16 are kept.
   */
  readonly pings: Stream.Stream<Uint8Array>

  /** The payloads of the peer's pongs. For a slow reader only the newest 16 are kept. */
  readonly pongs: Stream.Stream<Uint8Array>

  /**
   * Performs the closing handshake and waits until the connection is over, for at most `closeTimeout`. `closeStatus`
   * tells whether the closing was clean. Idempotent.
   *
   * Messages that still arrive can be read. If nobody reads them, they are dropped once the inbox is full, because the
   * peer's Close comes after them.
   *
   * `code` is a number or a registered name. Default: 1000. For names of your own, see `CloseCode.makeRegistry`.
   * `reason` has at most 123 bytes.
   *
   * Fails in two cases only, and then sends nothing: with `ProtocolError` if the code may not be sent, and with
   * `PayloadTooLarge` if the reason is too long.
   */
  close(): Effect.Effect<void>
  close(code: number | CloseCodeName, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>

  /** Drops the connection without a handshake. Idempotent. */
  readonly abort: Effect.Effect<void>
}

/**
 * An open WebSocket.
 *
 * There are four ways to read, from the fastest to the most convenient:
 *
 * - `run`;
 * - `receiveAll`;
 * - `receive`, also as `receiveOption` and `receiveWith`;
 * - `messages`.
 *
 * All of them deliver messages in order. All have the same backpressure: while nobody reads, the transport is paused,
 * and TCP makes the peer wait. You may use them one after another. If two fibers read at the same time, that is a
 * defect.
 *
 * The connection remembers its first terminal error. Every later operation fails with that same error.
 *
 * @since 0.1.0
 * @category models
 */
export interface WebSocket extends AnyWebSocket {
  readonly [TypeId]: TypeId

  /**
   * Sends a message. Succeeds once the message has been handed to the transport. While too many bytes wait there,
   * `send` suspends, or does what `sendStrategy` says. An interrupted `send` has sent either its whole message or
   * nothing.
   *
   * If the handshake enabled compression, a message of 64 KiB or more is compressed on another thread first. Later
   * messages wait for it. Pings, pongs and a Close do not wait. A Close drops a message that is still being compressed.
   *
   * Fails with the connection's error if the connection is closing or over; while it is closing, that is
   * `ConnectionClosed`. Fails with an outbound `PayloadTooLarge` if the message has more than `maxSendBytes`; then
   * nothing of it is sent.
   */
  send(data: Data, options?: SendOptions): Effect.Effect<void, ConnectionError>

  /**
   * Sends several messages in order, each as `send` does. If one is not sent, fails with its error and sends none of
   * the messages after it. If it is interrupted, each message has been sent either whole or not at all. If it stops
   * early, it closes the iterator of the collection, so that the `finally` of a generator runs. A single text or
   * `Uint8Array` in place of a collection of messages is a defect.
   */
  sendAll(data: Iterable<Data> & object, options?: SendOptions): Effect.Effect<void, ConnectionError>

  /**
   * Sends a message whose length is not known yet. Each part of the stream is sent as a fragment as soon as it is
   * available. An empty fragment ends the message. Parts wait for room, whatever `sendStrategy` says. Other messages
   * wait until this message has ended. Pings, pongs and a Close do not wait. The message is not compressed.
   *
   * Fails as `send` does, and with the error of the stream. If the connection ends, it fails at once, even while the
   * stream has no part ready. A part of more than `maxSendBytes` is an outbound `PayloadTooLarge`. All parts together
   * may have any size.
   *
   * A message that has begun cannot be taken back. So a failure closes the connection with 1011, and an interruption
   * closes it with 1001. The peer never sees the message as a whole one. If nothing of the message was sent, the
   * connection stays open.
   */
  sendStream<E, R>(data: StreamData<E, R>): Effect.Effect<void, ConnectionError | E, R>

  /**
   * Calls `handler` for each message, in order. Awaits the effect that the handler returns before it calls the handler
   * again. This is the fastest way to read: replies that are sent while the messages of one read are handled leave in
   * one write.
   *
   * An interruption loses no message. If the handler was already called for a message, its effect begins, and is
   * interrupted at the first point at which it can be.
   *
   * With the option `borrowed`, a handler that only looks at binary messages, or sends them, costs much less.
   *
   * Ends after a closing handshake that this side began, or if the peer closes with 1000, 1001 or no code. Fails with:
   *
   * - any other `ConnectionClosed`;
   * - `ProtocolError` or `PayloadTooLarge` if the peer broke a rule or a limit;
   * - `IoError` if the transport failed;
   * - the error of `handler`.
   */
  run<X extends Handled>(
    handler: (message: Message) => X,
    options?: RunOptions
  ): Effect.Effect<void, HandledError<X> | ConnectionError, HandledContext<X>>

  /**
   * The next message. Fails once the connection is over, even after a normal close. An interruption loses no message.
   */
  readonly receive: Effect.Effect<Message, ConnectionError>

  /**
   * As `receive`, but succeeds with `None` after a normal end, as defined by `run`. An interruption loses no message.
   */
  readonly receiveOption: Effect.Effect<Option.Option<Message>, ConnectionError>

  /**
   * The next message, if it has at most `maxMessageBytes`. If it is larger, the connection fails with 1009 and an
   * inbound `PayloadTooLarge`, as it does for a message above `limits.maxMessageBytes`. Nothing after that message is
   * received. Messages that were taken before are not affected. For the rest, it fails as `receive` does. An
   * interruption loses no message.
   *
   * The size is checked when the message is taken. Until then, `limits` and `receiveHighWaterMark` bound how much is
   * held.
   */
  receiveWith(options: ReceiveOptions): Effect.Effect<Message, ConnectionError>

  /**
   * All messages that have arrived and were not read, at least one. If there is none, it waits as `receive` does. One
   * call takes as many messages as many calls of `receive` would, so a busy connection costs less. Fails as `receive`
   * does. An interruption loses no message.
   */
  readonly receiveAll: Effect.Effect<Batch<Message>, ConnectionError>

  /**
   * All messages. Each chunk has the messages that arrived since the chunk before. Ends and fails as `run` does.
   *
   * The stream takes all messages that have arrived and emits them in the same step. If the stream ends early, by
   * `Stream.take` or by an interruption, those that its consumer has not reached are lost. To read only some messages,
   * or to lose none, use `receive`, `receiveAll` or `run`.
   */
  readonly messages: Stream.Stream<Message, ConnectionError>

  /** Sends everything it is given. Fails as `send` does. */
  readonly sink: Sink.Sink<void, Data, never, ConnectionError>

  /**
   * Sends its input and emits `messages`. When the input ends, the connection is closed with 1000. Fails as `send` and
   * `messages` do, and with the error of the input.
   */
  channel<IE = never>(): BatchChannel<Data, Message, IE, ConnectionError | IE>
}

/**
 * An open WebSocket that delivers each message as a stream. Use the option `delivery: "streams"` to get one.
 *
 * The connection holds no more of a message than `receiveHighWaterMark` allows: while nobody reads, the transport is
 * paused. So `limits.maxMessageBytes`, `limits.maxFragments` and `messageTimeout` do not apply. They do apply to
 * compressed messages, because these can be inflated only as a whole. A compressed message is one part.
 *
 * @example
 * ```ts
 * import { WebSocketClient } from "@effect-websocket/platform"
 * import { Effect, Stream } from "effect"
 *
 * const size = Effect.gen(function* () {
 *   const socket = yield* WebSocketClient.connect("ws://127.0.0.1:8080/film", { delivery: "streams" })
 *   const message = yield* socket.receive
 *   let bytes = 0
 *   if (message._tag === "Text") return bytes
 *   yield* Stream.runForEach(message.data, (part) => Effect.sync(() => (bytes += part.length)))
 *   return bytes
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamingWebSocket extends AnyWebSocket {
  readonly [StreamingTypeId]: StreamingTypeId

  /** Sends a message as `WebSocket.send` does, and fails as it does. */
  send(data: Data, options?: SendOptions): Effect.Effect<void, ConnectionError>

  /** Sends a message from a stream as `WebSocket.sendStream` does, and fails as it does. */
  sendStream<E, R>(data: StreamData<E, R>): Effect.Effect<void, ConnectionError | E, R>

  /** Sends everything it is given. Fails as `send` does. */
  readonly sink: Sink.Sink<void, Data, never, ConnectionError>

  /**
   * The next message, as soon as its first bytes have arrived. Fails once the connection is over, even after a normal
   * close.
   *
   * The stream of the message can be run once; a second run is a defect. If the connection ends before the message
   * does, the stream fails with the connection's error, even after a normal close. The next `receive` skips the rest of
   * the message that was not read. Reading on from the old stream after that is a defect.
   */
  readonly receive: Effect.Effect<StreamedMessage, ConnectionError>

  /** As `receive`, but succeeds with `None` after a normal end, as defined by `WebSocket.run`. */
  readonly receiveOption: Effect.Effect<Option.Option<StreamedMessage>, ConnectionError>

  /** All messages. Ends and fails as `WebSocket.run` does. Parts of a message that are not read are skipped. */
  readonly messages: Stream.Stream<StreamedMessage, ConnectionError>
}

/**
 * An open WebSocket that receives and sends single frames. Use the option `delivery: "frames"` to get one.
 *
 * The application sees every frame, with its payload unmasked. This includes control frames, and the pongs that answer
 * heartbeats. The connection answers pings and the peer's Close, unless `answerPings` or `answerClose` is `false`.
 *
 * These rules and limits hold:
 *
 * - The peer's text must be UTF-8, and its frames must come in a legal order.
 * - Reserved opcodes and bits are violations, unless `opcodes` and `rsv` name them.
 * - A frame has at most `limits.maxFrameBytes` and at most `limits.maxMessageBytes`. The number of fragments is not
 *   limited.
 * - Nothing is compressed. `maxFrameSize`, `sendStrategy` and `messageTimeout` do not apply.
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
   * Sends a frame. Succeeds once the frame has been handed to the transport. While too many bytes wait there, it
   * suspends. The role decides whether the frame is masked, whatever `masked` says. A Close begins the closing
   * handshake, or answers the peer's Close; `closeStatus` waits for the end.
   *
   * Fails with a local `ProtocolError`, and sends nothing, if the frame is not allowed:
   *
   * - it has a reserved opcode or bit that `opcodes` or `rsv` does not name;
   * - it is a fragmented control frame;
   * - it is at a wrong place in a fragmented message;
   * - it is a text that is not UTF-8;
   * - it is a Close with a code that may not be sent.
   *
   * Fails with an outbound `PayloadTooLarge`, and sends nothing, if a control frame has more than 125 bytes or a data
   * frame has more than `maxSendBytes`. Fails with the connection's error if the connection is closing or over. A value
   * that is not a frame is a defect.
   */
  send(frame: Frame): Effect.Effect<void, ConnectionError>

  /** Calls `handler` for each frame. Ends and fails as `WebSocket.run` does. */
  run<X extends Handled>(
    handler: (frame: Frame) => X
  ): Effect.Effect<void, HandledError<X> | ConnectionError, HandledContext<X>>

  /** The next frame. Fails once the connection is over, even after a normal close. An interruption loses no frame. */
  readonly receive: Effect.Effect<Frame, ConnectionError>

  /**
   * As `receive`, but succeeds with `None` after a normal end, as defined by `WebSocket.run`. An interruption loses no
   * frame.
   */
  readonly receiveOption: Effect.Effect<Option.Option<Frame>, ConnectionError>

  /** All frames. Ends and fails as `run` does. */
  readonly frames: Stream.Stream<Frame, ConnectionError>
}

/**
 * Whether a value is a `WebSocket`, which delivers whole messages: one that was made with the delivery `"messages"`.
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
 * Whether a value is a `StreamingWebSocket`: one that was made with the delivery `"streams"`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isStreamingWebSocket = (u: unknown): u is StreamingWebSocket => internalTypeId.isTagged(u, StreamingTypeId)

/**
 * Whether a value is a `FrameWebSocket`: one that was made with the delivery `"frames"`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isFrameWebSocket = (u: unknown): u is FrameWebSocket => internalTypeId.isTagged(u, FrameTypeId)

/**
 * A WebSocket over a transport on which the opening handshake is already complete. Use it for tests over
 * `MockTransport`, and for your own transports. Nothing is compressed. The end of the scope closes the WebSocket.
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
 * If a method of the transport throws, the connection fails with `IoError` (`Reset`). The `cause` of that error is the
 * thrown value.
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
      const resolved = yield* Effect.sync(() => resolve(options))
      const settings = yield* meteredSettings(options.role, resolved)
      const negotiated = {
        url: options.url ?? "",
        agreement: { protocol: undefined, extensions: [] }
      }
      // Every transport is guarded: an application may have changed one of the library's.
      const guarded = new GuardedTransport(transport)
      const socket = makeWebSocket(options.role, guarded, settings, yield* timers, negotiated, mode, undefined)
      socket.link.start(placeIn(yield* Effect.scope))
      return socket
    })
  )

/**
 * Sends one message to many connections. Each connection takes it as its own `sendStrategy` says. A connection without
 * room does not delay the others. Succeeds once all have taken the message. A value that cannot be sent (see `Data`) is
 * a defect before anything is sent.
 *
 * Some connections are skipped:
 *
 * - those that are closing or over, or that end meanwhile;
 * - those whose `maxSendBytes` is less than the size of the message.
 *
 * A peer that does not read delays the caller for as long as `send` would. To avoid that, give the connections another
 * `sendStrategy` than `"suspend"`.
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
