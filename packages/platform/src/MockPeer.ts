/**
 * A peer that a test scripts frame by frame. Its frames need not be legal. It answers nothing by itself, neither a ping nor a
 * Close.
 *
 * @since 0.1.0
 */
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import type * as Frame from "@effect-websocket/protocol/Frame"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { closedAtOnce, type Closable } from "./engine/connection/Closables.js"
import { Script } from "./engine/testing/Script.js"
import { awaitCallback } from "./internal/effect.js"
import {
  type Caller,
  describeEnding,
  describeExpectedClose,
  describeFrame,
  describePredicate,
  type ExpectedClose,
  expecting,
  isExpectedClose,
  isSameFrame,
  type Refute
} from "./internal/expectation.js"
import { placeIn } from "./internal/scopes.js"
import { outrun, takeAfter } from "./internal/waiting.js"
import type { Transport } from "./Transport.js"

/**
 * The close code, as a number or by its name, and the reason of a Close. A field that is left out may have any value.
 *
 * @since 0.1.0
 * @category models
 */
export type { ExpectedClose }

/**
 * A scripted peer. It reads all the time. Its frames wait, in order, for `receive` and the expectations.
 *
 * An expectation that fails is a defect, `WebSocketTest.ExpectationFailed`. Expectations have no deadline: if the expected frame
 * never comes, the test ends with the timeout of the test runner.
 *
 * @since 0.1.0
 * @category models
 */
export interface MockPeer {
  /** The transport that the peer uses. */
  readonly transport: Transport

  /**
   * Sends frames in one chunk, masked as the role of the peer requires. Nothing else about them is checked: the test chooses
   * reserved bits, opcodes, sizes and the order.
   */
  send(...frames: ReadonlyArray<Frame.Frame>): Effect.Effect<void>
  /** Sends bytes as they are, also if they are not a frame: garbage, a part of a frame, a frame with the wrong mask. */
  sendBytes(bytes: Uint8Array): Effect.Effect<void>
  /** Sends a Close with any code and reason, also with a code that must not be sent. Without a code, the Close has no code. */
  sendClose(code?: number, reason?: string): Effect.Effect<void>

  /** The next frame of the other side. If the other side sends no more, it is a defect. Interrupting it loses no frame. */
  readonly receive: Effect.Effect<Frame.Frame>
  /** Expects the next frame to be equal to this one (`masked` is not compared), or to satisfy the predicate. Returns it. */
  expectFrame(expected: Frame.Frame | ((frame: Frame.Frame) => boolean)): Effect.Effect<Frame.Frame>
  /** Expects the next frame to be a Close, and returns its code and reason. The peer does not answer it. */
  expectClose(expected?: ExpectedClose): Effect.Effect<CloseCode.CloseReason>
  /**
   * Expects a Close and completes the closing handshake: sends the same code, ends the connection in the order that its role
   * requires, and waits until the connection is over.
   */
  answerClose(expected?: ExpectedClose): Effect.Effect<CloseCode.CloseReason>
  /** Expects the other side to send no more, without another frame before. */
  readonly expectEnd: Effect.Effect<void>
  /** Expects the other side to break the connection, without another frame before. */
  readonly expectReset: Effect.Effect<void>

  /** Sends no more: a half-close. */
  readonly end: Effect.Effect<void>
  /** Breaks the connection: the other side fails with `IoError` (`Reset`). */
  readonly abort: Effect.Effect<void>
}

/**
 * A peer over a transport. The opening handshake must have been made already.
 *
 * When the scope ends, the peer breaks the connection unless it is over. So no closing handshake waits for a peer whose script has
 * ended. `WebSocketTest.acceptPeer` and `WebSocketTest.connectPeer` make a peer with an opening handshake.
 *
 * @example
 * ```ts
 * import { MockPeer, MockTransport, WebSocket } from "@effect-websocket/platform"
 * import { Frame } from "@effect-websocket/protocol"
 * import { Effect } from "effect"
 *
 * const test = Effect.gen(function* () {
 *   const pair = yield* MockTransport.make()
 *   const socket = yield* WebSocket.fromTransport(pair.client, { role: "client" })
 *   const peer = yield* MockPeer.fromTransport(pair.server, { role: "server" })
 *   yield* peer.send(Frame.text("hel", { fin: false }), Frame.ping("now"), Frame.continuation("lo"))
 *   yield* peer.expectFrame(Frame.pong("now"))
 *   return yield* socket.receive // Text { data: "hello" }
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromTransport = (
  transport: Transport,
  options: { readonly role: "client" | "server" }
): Effect.Effect<MockPeer, never, Scope.Scope> =>
  Effect.uninterruptible(
    Effect.map(Effect.scope, (scope) => {
      const script = new Script(transport, options.role)
      const place = placeIn(scope)
      const member: Closable = {
        patience: 0,
        beginClose: () => transport.abort(),
        whenClosed: closedAtOnce
      }
      script.start()
      script.whenClosed(() => place.delete(member))
      place.add(member)
      return new Peer(script)
    })
  )

const noStatus = CloseCode.fromName("NoStatusReceived")

/** A script as effects, with expectations. */
class Peer implements MockPeer {
  private readonly script: Script

  constructor(script: Script) {
    this.script = script
  }

  get transport(): Transport {
    return this.script.transport
  }

  send(...frames: ReadonlyArray<Frame.Frame>): Effect.Effect<void> {
    return Effect.sync(() => this.script.send(frames))
  }

  sendBytes(bytes: Uint8Array): Effect.Effect<void> {
    return Effect.sync(() => this.script.sendBytes(bytes))
  }

  sendClose(code?: number, reason = ""): Effect.Effect<void> {
    return Effect.sync(() => this.script.sendClose(code, reason))
  }

  get receive(): Effect.Effect<Frame.Frame> {
    return this.nextFrame(expecting("a frame"))
  }

  expectFrame(expected: Frame.Frame | ((frame: Frame.Frame) => boolean)): Effect.Effect<Frame.Frame> {
    const isPredicate = typeof expected === "function"
    const refute = expecting(
      isPredicate ? `a frame ${describePredicate(expected)}` : describeFrame(expected),
      this.expectFrame
    )
    return Effect.filterOrElse(
      this.nextFrame(refute),
      (frame) => (isPredicate ? expected(frame) : isSameFrame(expected, frame)),
      (frame) => refute(describeFrame(frame))
    )
  }

  expectClose(expected: ExpectedClose = {}): Effect.Effect<CloseCode.CloseReason> {
    return this.closeFrame(expected, this.expectClose)
  }

  answerClose(expected: ExpectedClose = {}): Effect.Effect<CloseCode.CloseReason> {
    const close = this.closeFrame(expected, this.answerClose)
    return Effect.tap(close, ({ code }) =>
      Effect.gen(
        function* (this: Peer) {
          yield* this.sendClose(code === noStatus ? undefined : code)
          // RFC 6455 §7.1.1: the server ends first.
          if (this.script.role === "client") yield* this.expectEnd
          yield* this.end
          yield* awaitCallback<void>((resume) => this.script.whenClosed(() => resume(Effect.void)))
        }.bind(this)
      )
    )
  }

  get expectEnd(): Effect.Effect<void> {
    return this.expectEnding("Ended")
  }

  get expectReset(): Effect.Effect<void> {
    return this.expectEnding("Reset")
  }

  get end(): Effect.Effect<void> {
    return Effect.sync(() => this.script.transport.end())
  }

  get abort(): Effect.Effect<void> {
    return Effect.sync(() => this.script.transport.abort())
  }

  private closeFrame(expected: ExpectedClose, caller: Caller): Effect.Effect<CloseCode.CloseReason> {
    const refute = expecting(`a Close frame${describeExpectedClose(expected)}`, caller)
    return Effect.flatMap(this.nextFrame(refute), (frame) => {
      const close = frame.opcode === Opcode.Close ? CloseCode.decodePayload(frame.payload) : undefined
      return close === undefined || "_tag" in close || !isExpectedClose(expected, close)
        ? refute(describeFrame(frame))
        : Effect.succeed(close)
    })
  }

  private expectEnding(expected: "Ended" | "Reset"): Effect.Effect<void> {
    const refute = expecting(describeEnding(expected))
    return Effect.flatMap(this.readable, () => {
      const { ending, nextFrame } = this.script
      if (nextFrame !== undefined) return refute(describeFrame(nextFrame))
      // Another fiber took the frame that there was.
      if (ending === undefined) return this.expectEnding(expected)
      return ending === expected ? Effect.void : refute(describeEnding(ending))
    })
  }

  private nextFrame(refute: Refute): Effect.Effect<Frame.Frame> {
    const wait = Effect.flatMap(this.readable, () => {
      const { ending, nextFrame } = this.script
      return nextFrame === undefined && ending !== undefined ? refute(describeEnding(ending)) : Effect.void
    })
    return takeAfter(wait, () => this.script.takeFrame() ?? outrun)
  }

  /** Waits for a frame or the end. */
  private get readable(): Effect.Effect<void> {
    return awaitCallback<void>((resume) => this.script.whenReadable(() => resume(Effect.void)))
  }
}
