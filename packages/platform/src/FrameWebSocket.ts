/**
 * A WebSocket of frames: for proxies, tools and tests that need to see and to decide what the protocol does by itself.
 *
 * @since 0.1.0
 */
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Frame } from "@effect-websocket/protocol/Frame"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import * as internalTypeId from "./internal/typeId.js"
import type { AnyWebSocket, Handled, HandledContext, HandledError } from "./WebSocket.js"

/**
 * What marks a WebSocket of frames, whichever copy of this package made it.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: typeof internalTypeId.frameWebSocket = internalTypeId.frameWebSocket

/**
 * The type of `TypeId`.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

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
  readonly [TypeId]: TypeId

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
 * Whether a value is a WebSocket that was acquired with the delivery `"frames"`.
 *
 * @since 0.1.0
 * @category guards
 */
export const isFrameWebSocket = (u: unknown): u is FrameWebSocket => internalTypeId.isTagged(u, TypeId)
