/**
 * A peer that a test scripts frame by frame, legal or not. It answers nothing by itself: no ping, no Close.
 *
 * @since 0.1.0
 */
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import * as Frame from "@effect-websocket/protocol/Frame"
import { frames, type Violation } from "@effect-websocket/protocol/FrameDecoder"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { concat, isSameBytes } from "./engine/bytes.js"
import {
  type Caller,
  describeExpectedClose,
  describeFrame,
  describePredicate,
  type ExpectedClose,
  expecting,
  isExpectedClose,
  type Refute
} from "./internal/expectation.js"
import { closedAtOnce, type Closable } from "./engine/connection/Closables.js"
import { placeIn } from "./internal/scopes.js"
import { takeAfter, waitUntil, wakeAll, type Wake } from "./internal/waiting.js"
import type { Transport } from "./Transport.js"

/**
 * The close code, as a number or by its name, and the reason of a Close. What is left out may be anything.
 *
 * @since 0.1.0
 * @category models
 */
export type { ExpectedClose }

/**
 * A scripted peer. It reads all the time; what has come waits for `receive` and the expectations, in order.
 *
 * An expectation that is not met is a defect, `WebSocketTest.ExpectationFailed`. None of them has a deadline: in a test that
 * waits for what never comes, the runner's own passes.
 *
 * @since 0.1.0
 * @category models
 */
export interface MockPeer {
  /** What the peer speaks over. */
  readonly transport: Transport

  /**
   * Sends frames, in one chunk, masked as the role of the peer demands. Nothing else about them is checked: reserved bits,
   * opcodes, sizes and the order are the test's.
   */
  send(...frames: ReadonlyArray<Frame.Frame>): Effect.Effect<void>
  /** Sends bytes as they are, for what no frame is: garbage, a part of a frame, a mask where there must be none. */
  sendBytes(bytes: Uint8Array): Effect.Effect<void>
  /** Sends a Close with any code and reason, also those that may not travel; without a code its payload is empty. */
  sendClose(code?: number, reason?: string): Effect.Effect<void>

  /** The next frame of the other side's. A defect once that sends no more. Interrupting it loses no frame. */
  readonly receive: Effect.Effect<Frame.Frame>
  /** Expects the next frame to be this one (`masked` apart), or one that the predicate accepts. Returns it. */
  expectFrame(expected: Frame.Frame | ((frame: Frame.Frame) => boolean)): Effect.Effect<Frame.Frame>
  /** Expects the next frame to be a Close, and returns its code and reason. It is not answered. */
  expectClose(expected?: ExpectedClose): Effect.Effect<CloseCode.CloseReason>
  /** Expects a Close and completes the closing handshake: the same code, and the end of the connection. */
  answerClose(expected?: ExpectedClose): Effect.Effect<CloseCode.CloseReason>
  /** Expects the other side to end what it sends, with no frame before it. */
  readonly expectEnd: Effect.Effect<void>
  /** Expects the other side to break the connection, with no frame before it. */
  readonly expectReset: Effect.Effect<void>

  /** Sends no more: a half-close. */
  readonly end: Effect.Effect<void>
  /** Breaks the connection: the other side fails with `IoError` (`Reset`). */
  readonly abort: Effect.Effect<void>
}

/**
 * A peer over a transport on which the opening handshake has been made already. At the end of the scope it breaks the
 * connection, where that is not over, so that no closing handshake waits for a peer whose script has ended.
 *
 * `WebSocketTest.acceptPeer` and `WebSocketTest.connectPeer` make one with an opening handshake.
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
      const peer = new Peer(transport, options.role)
      const place = placeIn(scope)
      const member: Closable = {
        patience: 0,
        beginClose: () => transport.abort(),
        whenClosed: closedAtOnce
      }
      peer.start(() => place.delete(member))
      place.add(member)
      return peer
    })
  )

// The same in each run, so that the bytes are too.
const maskKey = 0x37fa213d
// What a script sends is little, so it never waits.
const waterMarks = { high: Number.MAX_SAFE_INTEGER, low: 0 }
const noStatus = CloseCode.fromName("NoStatusReceived")

/** Why nothing more comes. */
type Ending = "Ended" | "Reset" | "Dropped" | Violation

class Peer implements MockPeer {
  readonly transport: Transport
  private readonly role: "client" | "server"
  private readonly inbox: Array<Frame.Frame> = []
  private ending: Ending | undefined = undefined
  private closed = false
  private readonly waiting = new Set<Wake>()

  constructor(transport: Transport, role: "client" | "server") {
    this.transport = transport
    this.role = role
  }

  start(onClose: () => void): void {
    const decode = frames({ role: this.role })
    this.transport.start(
      {
        onChunk: (chunk) => {
          const { frames: found, violation } = decode(chunk)
          this.inbox.push(...found)
          this.ending ??= violation
          this.wake()
        },
        onEof: () => {
          this.ending ??= "Ended"
          this.wake()
        },
        onDrain: () => {},
        onError: () => {
          this.ending = "Reset"
          this.wake()
        },
        onClose: () => {
          this.ending ??= "Dropped"
          this.closed = true
          this.wake()
          onClose()
        }
      },
      waterMarks
    )
  }

  send(...input: ReadonlyArray<Frame.Frame>): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.sendBytes(concat(input.map((frame) => encode(frame, this.role === "client" ? maskKey : undefined))))
    )
  }

  sendBytes(bytes: Uint8Array): Effect.Effect<void> {
    return Effect.sync(() => {
      // A copy: what the transport has not taken yet must stay as it is.
      this.transport.write([bytes.slice()])
    })
  }

  sendClose(code?: number, reason = ""): Effect.Effect<void> {
    const bytes = new TextEncoder().encode(reason)
    const payload = code === undefined ? bytes : concat([Uint8Array.of(code >>> 8, code), bytes])
    return this.send(Frame.make(Opcode.Close, { payload }))
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
      Effect.gen(this, function* () {
        yield* this.sendClose(code === noStatus ? undefined : code)
        // RFC 6455 §7.1.1: the server ends first.
        if (this.role === "client") yield* this.expectEnd
        yield* this.end
        yield* this.until(() => this.closed)
      })
    )
  }

  get expectEnd(): Effect.Effect<void> {
    return this.expectEnding("Ended")
  }

  get expectReset(): Effect.Effect<void> {
    return this.expectEnding("Reset")
  }

  get end(): Effect.Effect<void> {
    return Effect.sync(() => this.transport.end())
  }

  get abort(): Effect.Effect<void> {
    return Effect.sync(() => this.transport.abort())
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
    return Effect.flatMap(
      this.until(() => this.hasMore),
      () => {
        const frame = this.inbox[0]
        if (frame !== undefined) return refute(describeFrame(frame))
        // Another fiber took the frame that there was.
        if (this.ending === undefined) return this.expectEnding(expected)
        return this.ending === expected ? Effect.void : refute(describeEnding(this.ending))
      }
    )
  }

  private nextFrame(refute: Refute): Effect.Effect<Frame.Frame> {
    const wait = Effect.flatMap(
      this.until(() => this.hasMore),
      () => (this.inbox.length > 0 || this.ending === undefined ? Effect.void : refute(describeEnding(this.ending)))
    )
    return takeAfter(wait, () => this.inbox.shift())
  }

  /** Whether there is a frame, or the end. */
  private get hasMore(): boolean {
    return this.inbox.length > 0 || this.ending !== undefined
  }

  /** Looks again after each event. */
  private until(isReady: () => boolean): Effect.Effect<void> {
    return Effect.flatMap(waitUntil(this.waiting, isReady), () => (isReady() ? Effect.void : this.until(isReady)))
  }

  private wake(): void {
    wakeAll(this.waiting)
  }
}

const isSameFrame = (left: Frame.Frame, right: Frame.Frame): boolean =>
  left.fin === right.fin &&
  left.rsv === right.rsv &&
  left.opcode === right.opcode &&
  isSameBytes(left.payload, right.payload)

const describeEnding = (ending: Ending): string => {
  switch (ending) {
    case "Ended":
      return "the end of what the other side sends"
    case "Reset":
      return "a connection that the other side broke"
    case "Dropped":
      return "a connection that is over"
    default:
      return `a violation of the protocol: ${ending.message}`
  }
}
