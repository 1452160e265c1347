/**
 * A WebSocket that delivers messages as streams: of a message that is too large to be held, or of interest before it ends.
 *
 * @since 0.1.0
 */
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Sink from "effect/Sink"
import type * as Stream from "effect/Stream"
import * as internalTypeId from "./internal/typeId.js"
import type { AnyWebSocket, Data, SendOptions } from "./WebSocket.js"

/**
 * What marks a WebSocket of streams, whichever copy of this package made it.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: typeof internalTypeId.streamingWebSocket = internalTypeId.streamingWebSocket

/**
 * The type of `TypeId`.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * A message as a stream of its parts. What is received is cut as it arrived, but no character is cut in two.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamedMessage<E = ConnectionError, R = never> =
  | { readonly _tag: "Text"; readonly data: Stream.Stream<string, E, R> }
  | { readonly _tag: "Binary"; readonly data: Stream.Stream<Uint8Array, E, R> }

/**
 * What can be sent as a stream: parts of a text, or of bytes, or a message of either kind. Of a stream alone the first part
 * decides; without any part it is an empty binary message.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamData<E, R> = Stream.Stream<string, E, R> | Stream.Stream<Uint8Array, E, R> | StreamedMessage<E, R>

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
  readonly [TypeId]: TypeId

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
 * Whether a value is a WebSocket that was acquired with the delivery `"streams"`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isStreamingWebSocket = (u: unknown): u is StreamingWebSocket => internalTypeId.isTagged(u, TypeId)
