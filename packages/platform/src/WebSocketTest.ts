/**
 * A client and a server that are joined in memory, for the tests of an app. The opening handshake is negotiated, and every byte
 * is carried, but over no network. An app that uses `WebSocketClient` and `WebSocketServer` runs unchanged.
 *
 * The module also has the tools of a test:
 *
 * - expectations on a connection: `expectMessage`, `expectValue`, `expectNoMessage`, `expectClose`;
 * - peers that the test scripts frame by frame, in place of the server (`acceptPeer`) or of the client (`connectPeer`);
 * - the attempts to connect before they are answered: `nextAttempt`;
 * - the network under a connection: `network`.
 *
 * @since 0.1.0
 */
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import {
  type ConnectionError,
  type Endpoint,
  type HeaderRecord,
  ProtocolError
} from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import type { Binary, Message, Text } from "@effect-websocket/protocol/Message"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { isSameBytes } from "./engine/bytes.js"
import { closedAtOnce, nothingToUndo } from "./engine/connection/Closables.js"
import { unguarded } from "./engine/connection/GuardedTransport.js"
import { randomBytes } from "./engine/random.js"
import { type Answer, Exchanges, type Taken } from "./engine/testing/Exchange.js"
import {
  awaitCallback,
  callback,
  ContextService,
  dieMessage,
  layerEffectContext,
  observeFiber,
  runSyncWith,
  runtime as inheritedRuntime,
  withFiber
} from "./internal/effect.js"
import {
  describeClean,
  describeClose,
  describeData,
  describeError,
  describeExpectedClose,
  describePredicate,
  describeValue,
  ExpectationFailed,
  type ExpectedClose,
  expecting,
  isExpectedClose
} from "./internal/expectation.js"
import type { InvalidMessage } from "./internal/InvalidMessage.js"
import { isSameValue } from "./internal/sameValue.js"
import { placeIn } from "./internal/scopes.js"
import { transportKey } from "./internal/typeId.js"
import { outrun, takeAfter } from "./internal/waiting.js"
import * as MockPeer from "./MockPeer.js"
import * as MockTransport from "./MockTransport.js"
import type { Transport } from "./Transport.js"
import type * as WebSocket from "./WebSocket.js"
import * as WebSocketClient from "./WebSocketClient.js"
import * as WebSocketServer from "./WebSocketServer.js"

/**
 * A test expected one thing, and another came. It is a defect, as a failed assertion is.
 *
 * @since 0.1.0
 * @category errors
 */
export { ExpectationFailed }

/**
 * An attempt to connect, which the test answers in place of the server. If the test does not answer, the client fails after its
 * `openTimeout`. A second answer is a defect.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionAttempt {
  /** The request of the client. */
  readonly request: Handshake.UpgradeRequest
  /** The transport of the client. */
  readonly transport: Transport
  /**
   * Answers 101 and returns the peer of the client. A subprotocol that the client did not offer, and a header that the
   * handshake itself sets, are defects.
   */
  readonly accept: (options?: AcceptOptions) => Effect.Effect<MockPeer.MockPeer, never, Scope.Scope>
  /** Answers with another status: the client fails with `HandshakeRejected`. */
  readonly reject: (
    status: number,
    options?: { readonly headers?: HeaderRecord; readonly body?: string }
  ) => Effect.Effect<void>
  /** Answers as if no server could be reached: the client fails with `IoError` (`Connect`). */
  readonly unreachable: Effect.Effect<void>
  /** Gives the attempt to the server, as if no test had asked for it. */
  readonly forward: Effect.Effect<void>
}

/**
 * The options of a scripted server's answer.
 *
 * - `protocol`: the subprotocol, one of those that the client offers. Default: none.
 * - `headers`: headers of the answer, besides those of the handshake. Default: none.
 *
 * @since 0.1.0
 * @category models
 */
export interface AcceptOptions {
  readonly protocol?: string | undefined
  readonly headers?: HeaderRecord | undefined
}

/**
 * The options of a scripted client, as in `WebSocketClient.ConnectOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export type ConnectPeerOptions = Pick<WebSocketClient.ConnectOptions, "protocols" | "headers" | "origin">

/**
 * The service for tests. The functions `nextAttempt` and `connectPeer` of this module document its members.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly nextAttempt: Effect.Effect<ConnectionAttempt>
  readonly connectPeer: (
    url?: string | URL,
    options?: ConnectPeerOptions
  ) => Effect.Effect<MockPeer.MockPeer, WebSocketClient.ConnectError, Scope.Scope>
}

/**
 * The tag of the service that the layer provides for tests, besides the services of the app.
 *
 * @since 0.1.0
 * @category tags
 */
export class WebSocketTest extends ContextService<WebSocketTest, Service>()(
  "@effect-websocket/platform/WebSocketTest"
) {}

/**
 * The three services of `layer`, with options for the server. With the option `zlib`, such as `NodeZlib.zlib`, the client can
 * offer compression, too.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (
  options: WebSocketServer.MakeOptions
): Layer.Layer<WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer | WebSocketTest> =>
  layerEffectContext(
    Effect.gen(function* () {
      const runtime = yield* inheritedRuntime<never>()
      const { offer, service } = yield* WebSocketServer.make(listening, options)
      const exchanges = new Exchanges(offer)
      const dial: Dial = (url, headers, done) =>
        exchanges.dial(runSyncWith(runtime)(MockTransport.make()), url, headers, done)
      return Context.make(
        WebSocketClient.WebSocketClient,
        WebSocketClient.make(dial, { zlib: options.zlib, baseUrl: listening.url })
      ).pipe(
        Context.add(WebSocketServer.WebSocketServer, service),
        Context.add(WebSocketTest, {
          nextAttempt: takeFrom(exchanges),
          connectPeer: (url = listening.url, offered = {}) =>
            Effect.suspend(() => dialPeer(dial, new URL(url), offered))
        })
      )
    })
  )

/**
 * Three services: the client and the server of the app, and `WebSocketTest` for the test. Every URL leads to the server, a
 * relative one, too. `WebSocketServer.address` has a URL.
 *
 * @example
 * ```ts
 * import { WebSocketClient, WebSocketServer, WebSocketTest } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const test = Effect.gen(function* () {
 *   const { url } = yield* WebSocketServer.address
 *   yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run((message) => socket.send(message))))
 *   const socket = yield* WebSocketClient.connect(url)
 *   yield* socket.send("hello")
 *   yield* WebSocketTest.expectMessage(socket, "hello")
 * }).pipe(Effect.scoped, Effect.provide(WebSocketTest.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer | WebSocketTest> =
  layerWith({})

/**
 * The next attempt to connect, which the test then answers. A test that waits here gets an attempt before the server does. A test
 * also gets an attempt that the server has not accepted yet. If a server runs, ask before the client connects.
 *
 * @example
 * ```ts
 * import { WebSocketTest } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const refused = Effect.gen(function* () {
 *   const attempt = yield* WebSocketTest.nextAttempt
 *   yield* attempt.reject(401, { body: `Nothing for ${attempt.request.url}` })
 * })
 *
 * // The next three attempts find no server.
 * const down = WebSocketTest.nextAttempt.pipe(
 *   Effect.flatMap((attempt) => attempt.unreachable),
 *   Effect.repeat({ times: 2 })
 * )
 * ```
 *
 * @since 0.1.0
 * @category peers
 */
export const nextAttempt: Effect.Effect<ConnectionAttempt, never, WebSocketTest> = Effect.flatMap(
  WebSocketTest,
  (test) => test.nextAttempt
)

/**
 * Accepts the next connection as a peer that the test scripts, in place of the server. It is `nextAttempt` and the `accept` of the
 * attempt.
 *
 * @example
 * ```ts
 * import { WebSocketClient, WebSocketTest } from "@effect-websocket/platform"
 * import { Frame } from "@effect-websocket/protocol"
 * import { Effect, Fiber } from "effect"
 *
 * const test = Effect.gen(function* () {
 *   const connecting = yield* Effect.forkScoped(WebSocketClient.connect("ws://test"))
 *   const peer = yield* WebSocketTest.acceptPeer()
 *   const socket = yield* Fiber.join(connecting)
 *   yield* peer.send(Frame.text("hello"))
 *   yield* WebSocketTest.expectMessage(socket, "hello")
 * }).pipe(Effect.scoped, Effect.provide(WebSocketTest.layer))
 * ```
 *
 * @since 0.1.0
 * @category peers
 */
export const acceptPeer = (
  options?: AcceptOptions
): Effect.Effect<MockPeer.MockPeer, never, WebSocketTest | Scope.Scope> =>
  Effect.flatMap(nextAttempt, (attempt) => attempt.accept(options))

/**
 * Connects to the server of the app as a peer that the test scripts, in place of `WebSocketClient.connect`. It fails with the same
 * errors. It has no `openTimeout`, but the server's `handshakeTimeout` applies. A malformed URL is a defect.
 *
 * @since 0.1.0
 * @category peers
 */
export const connectPeer = (
  url?: string | URL,
  options?: ConnectPeerOptions
): Effect.Effect<MockPeer.MockPeer, WebSocketClient.ConnectError, WebSocketTest | Scope.Scope> =>
  Effect.flatMap(WebSocketTest, (test) => test.connectPeer(url, options))

/**
 * The network under a connection, with its faults for both directions or for one. Pass either side of the connection, a peer or an
 * attempt. At the end of the scope, all faults are removed, so that no fault delays a closing handshake. A connection that is not
 * over a `MockTransport` is a defect.
 *
 * @example
 * ```ts
 * import { WebSocketClient, WebSocketTest } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const test = Effect.gen(function* () {
 *   const socket = yield* WebSocketClient.connect("ws://test")
 *   const network = yield* WebSocketTest.network(socket)
 *   yield* network.delay("50 millis")
 *   yield* network.clientToServer.stall // as if the server does not read
 *   yield* network.reset
 * })
 * ```
 *
 * @since 0.1.0
 * @category faults
 */
export const network = (
  connection: WebSocket.AnyWebSocket | { readonly transport: Transport }
): Effect.Effect<MockTransport.Pair, never, Scope.Scope> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const transport = transportOf(connection)
      const pair = transport && MockTransport.pairOf(unguarded(transport))
      if (pair === undefined) {
        return yield* dieMessage("WebSocketTest.network: this connection is not over a MockTransport")
      }
      placeIn(yield* Effect.scope).add({
        patience: 0,
        beginClose: () => Effect.runSync(pair.lift),
        whenClosed: closedAtOnce
      })
      return pair
    })
  )

const transportOf = (connection: WebSocket.AnyWebSocket | { readonly transport: Transport }): Transport | undefined => {
  if ("transport" in connection) return connection.transport
  return hasTransport(connection) ? connection[transportKey] : undefined
}

const hasTransport = (connection: object): connection is { readonly [transportKey]: Transport } =>
  transportKey in connection

/**
 * Expects the next message of a connection to be equal to a text or to bytes, or to satisfy a predicate. Returns the message.
 *
 * Anything else that comes, the end of the connection included, is a defect (`ExpectationFailed`). It has no deadline of its own.
 * It reads as `socket.receive` does, so nothing else may read from the connection at the same time.
 *
 * @example
 * ```ts
 * import { WebSocketClient, WebSocketTest } from "@effect-websocket/platform"
 * import { Message } from "@effect-websocket/protocol"
 * import { Effect } from "effect"
 *
 * const test = Effect.gen(function* () {
 *   const socket = yield* WebSocketClient.connect("ws://test")
 *   yield* WebSocketTest.expectMessage(socket, "hello")
 *   yield* WebSocketTest.expectMessage(socket, new Uint8Array([1, 2, 3]))
 *   const { data } = yield* WebSocketTest.expectMessage(socket, Message.isText) // a string
 * })
 * ```
 *
 * @since 0.1.0
 * @category expectations
 */
export function expectMessage(socket: WebSocket.WebSocket, expected: string): Effect.Effect<Text>
export function expectMessage(socket: WebSocket.WebSocket, expected: Uint8Array): Effect.Effect<Binary>
export function expectMessage<M extends Message>(
  socket: WebSocket.WebSocket,
  expected: (message: Message) => message is M
): Effect.Effect<M>
export function expectMessage(
  socket: WebSocket.WebSocket,
  expected: (message: Message) => boolean
): Effect.Effect<Message>
export function expectMessage(socket: WebSocket.WebSocket, expected: ExpectedMessage): Effect.Effect<Message> {
  const refute = expecting(
    typeof expected === "function" ? `a message ${describePredicate(expected)}` : describeData(expected),
    expectMessage
  )
  return Effect.matchEffect(socket.receive, {
    onFailure: (error) => refute(describeError(error)),
    onSuccess: (message) =>
      isExpectedMessage(expected, message) ? Effect.succeed(message) : refute(describeData(message.data))
  })
}

/**
 * Expects the next value of a typed connection to be equal to a value, or to satisfy a predicate. Returns the value. Arrays, plain
 * objects and bytes are compared by what they hold, other values by `Equal.equals`.
 *
 * Anything else that comes, the end of the connection and an invalid message included, is a defect (`ExpectationFailed`). It reads as
 * `socket.receive` does.
 *
 * For the other functions of this module, pass `socket.webSocket`.
 *
 * @example
 * ```ts
 * import { WebSocketChannel, WebSocketTest } from "@effect-websocket/platform"
 * import { Effect, Schema } from "effect"
 *
 * const Chat = WebSocketChannel.make({ fromClient: Schema.String, fromServer: Schema.Struct({ said: Schema.String }) })
 *
 * const test = Effect.gen(function* () {
 *   const socket = yield* WebSocketChannel.connect(Chat, "ws://test")
 *   yield* socket.send("hello")
 *   yield* WebSocketTest.expectValue(socket, { said: "hello" })
 * })
 * ```
 *
 * @since 3.0.0
 * @category expectations
 */
export const expectValue = <In, R = never>(
  socket: { readonly receive: Effect.Effect<In, ConnectionError | InvalidMessage, R> },
  expected: NoInfer<In> | ((value: NoInfer<In>) => boolean)
): Effect.Effect<In, never, R> => {
  const refute = expecting(
    isPredicate<In>(expected) ? `a value ${describePredicate(expected)}` : describeValue(expected),
    expectValue
  )
  return Effect.matchEffect(socket.receive, {
    onFailure: (error) => refute(error._tag === "Invalid_message" ? error.message : describeError(error)),
    onSuccess: (value) => (isExpectedValue(expected, value) ? Effect.succeed(value) : refute(describeValue(value)))
  })
}

/**
 * Expects that nothing that was done so far brings a message or the end of the connection. Everything that is ready gets its turn,
 * but no time passes on `Clock`.
 *
 * A message and the end of the connection are defects (`ExpectationFailed`). Nothing else may read from the connection at the same
 * time.
 *
 * @since 0.1.0
 * @category expectations
 */
export const expectNoMessage = (socket: WebSocket.WebSocket): Effect.Effect<void> => {
  const refute = expecting("no message", expectNoMessage)
  return Effect.raceFirst(
    Effect.matchEffect(socket.receive, {
      onFailure: (error) => refute(describeError(error)),
      onSuccess: (message) => refute(describeData(message.data))
    }),
    settled
  )
}

/**
 * How a connection is expected to end. A field that is left out may have any value.
 *
 * - `code` and `reason`: of the Close that began the closing. If the connection ended without a Close, the code is 1006.
 * - `initiator`: the side that began to close, seen from this connection.
 * - `clean`: whether both sides sent a Close.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExpectedEnd extends ExpectedClose {
  readonly initiator?: Endpoint | undefined
  readonly clean?: boolean | undefined
}

/**
 * Expects the end of the connection to come next, waits until the connection is over, and returns its status.
 *
 * Another end is a defect (`ExpectationFailed`), and so is a message before the end. If something else reads from the connection,
 * wait for `socket.closeStatus` instead.
 *
 * @example
 * ```ts
 * import { WebSocketClient, WebSocketTest } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const test = Effect.gen(function* () {
 *   const socket = yield* WebSocketClient.connect("ws://test")
 *   yield* WebSocketTest.expectClose(socket, { code: "PolicyViolation", initiator: "remote", clean: true })
 * })
 * ```
 *
 * @since 0.1.0
 * @category expectations
 */
export const expectClose = (
  socket: WebSocket.WebSocket,
  expected: ExpectedEnd = {}
): Effect.Effect<WebSocket.CloseStatus> => {
  const refute = expecting(describeExpectedEnd(expected), expectClose)
  return Effect.matchEffect(socket.receive, {
    onSuccess: (message) => refute(describeData(message.data)),
    onFailure: () =>
      Effect.filterOrElse(
        socket.closeStatus,
        (status) => isExpectedEnd(expected, status),
        (status) => refute(describeEnd(status))
      )
  })
}

const isExpectedValue = <In>(expected: In | ((value: In) => boolean), value: In): boolean =>
  isPredicate<In>(expected) ? expected(value) : isSameValue(expected, value)

const isPredicate = <In>(expected: unknown): expected is (value: In) => boolean => typeof expected === "function"

const listening: WebSocketServer.Address = { hostname: "test", port: 80, url: "ws://test" }

/** Waits for a request to upgrade. The fiber has the request in the step in which it takes it. */
const takeFrom = (exchanges: Exchanges): Effect.Effect<ConnectionAttempt> =>
  withFiber((fiber) => {
    let leave = nothingToUndo
    let unobserve = nothingToUndo
    const wait = awaitCallback<void>((resume) => {
      leave = exchanges.ask(() => resume(Effect.void))
      // If the fiber is interrupted after it was called, and before it takes the request, the next one gets it.
      unobserve = observeFiber(fiber, leave)
      return leave
    })
    return takeAfter(wait, () => {
      const taken = exchanges.take()
      unobserve()
      leave()
      return taken === undefined ? outrun : connectionAttempt(exchanges, taken)
    })
  })

const connectionAttempt = (exchanges: Exchanges, taken: Taken): ConnectionAttempt => {
  const { exchange, request } = taken
  let answered = false
  const answer = <A, R>(effect: () => Effect.Effect<A, never, R>): Effect.Effect<A, never, R> =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        if (answered) return dieMessage("This attempt to connect has been answered already")
        answered = true
        return effect()
      })
    )
  return {
    request,
    transport: exchange.pair.client,
    accept: ({ headers, protocol } = {}) =>
      answer(() => {
        const response = Handshake.responseHeaders(request, { protocol, extensions: [] }, headers)
        if (response instanceof ProtocolError) return Effect.die(response)
        return MockPeer.fromTransport(exchange.upgrade(response), { role: "server" })
      }),
    reject: (status, { body = "", headers = {} } = {}) =>
      answer(() => Effect.sync(() => exchange.reject(status, headers, body))),
    unreachable: answer(() => Effect.sync(() => exchange.unreachable())),
    forward: answer(() => Effect.sync(() => exchanges.forward(taken)))
  }
}

type Dial = (url: URL, headers: HeaderRecord, done: (answer: Answer) => void) => () => void

const dialPeer = (
  dial: Dial,
  url: URL,
  offer: ConnectPeerOptions
): Effect.Effect<MockPeer.MockPeer, WebSocketClient.ConnectError, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) => {
    const headers = Handshake.requestHeaders({ ...offer, key: Handshake.makeKey(randomBytes(16)) })
    if (headers instanceof ProtocolError) return Effect.fail(headers)
    let drop = nothingToUndo
    const dialing = callback<Transport, WebSocketClient.ConnectError>((resume) => {
      drop = dial(url, headers, (answer) =>
        resume(answer._tag === "Upgraded" ? Effect.succeed(answer.transport) : Effect.fail(answer.error))
      )
    })
    return restore(dialing).pipe(
      // Also if the answer has come, and the fiber has not run yet.
      Effect.onInterrupt(() => Effect.sync(drop)),
      Effect.flatMap((transport) => MockPeer.fromTransport(transport, { role: "client" }))
    )
  })

type ExpectedMessage = string | Uint8Array | ((message: Message) => boolean)

const isExpectedMessage = (expected: ExpectedMessage, message: Message): boolean => {
  if (typeof expected === "function") return expected(message)
  const { data } = message
  return typeof expected === "string" || typeof data === "string" ? expected === data : isSameBytes(expected, data)
}

const abnormal: CloseCode.CloseReason = { code: CloseCode.fromName("AbnormalClosure"), reason: "" }

/** The code and reason of `ConnectionClosed`. After another error, those of the Close that was sent, if any. */
const closeOf = ({ error, sent }: WebSocket.CloseStatus): CloseCode.CloseReason =>
  error._tag === "Connection_closed" ? error : (sent ?? abnormal)

const isExpectedEnd = (expected: ExpectedEnd, status: WebSocket.CloseStatus): boolean =>
  isExpectedClose(expected, closeOf(status)) &&
  (expected.initiator === undefined || expected.initiator === status.initiator) &&
  (expected.clean === undefined || expected.clean === status.clean)

const describeExpectedEnd = (expected: ExpectedEnd): string =>
  `the end of the connection${describeExpectedClose(expected)}${describeManner(expected)}`

const describeEnd = (status: WebSocket.CloseStatus): string => {
  const end = `the end of the connection with ${describeClose(closeOf(status))}${describeManner(status)}`
  const { error } = status
  return error._tag === "Connection_closed" ? end : `${end} by ${error._tag}: ${error.message}`
}

const describeManner = ({ clean, initiator }: Pick<ExpectedEnd, "clean" | "initiator">): string => {
  const parts = [
    ...(initiator === undefined ? [] : [initiator]),
    ...(clean === undefined ? [] : [describeClean(clean)])
  ]
  return parts.length === 0 ? "" : ` (${parts.join(", ")})`
}

const nextTurn = callback<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), 0)
  return Effect.sync(() => clearTimeout(timer))
})

/**
 * Four turns of the event loop. Work that is scheduled for the end of one turn runs in the next, and a fiber of Effect 4 that
 * starts or yields goes on one turn later.
 */
const settled = Effect.repeat(nextTurn, { times: 3 })
