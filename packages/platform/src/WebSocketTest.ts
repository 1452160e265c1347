/**
 * A client and a server that are joined in memory, for an app's own tests: the opening handshake is negotiated and every
 * byte travels, but over no network. An app that is written against `WebSocketClient` and `WebSocketServer` runs unchanged.
 *
 * @since 0.1.0
 */
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import { type Endpoint, HandshakeRejected, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import type { Binary, Message, Text } from "@effect-websocket/protocol/Message"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import { isSameBytes } from "./internal/bytes.js"
import {
  describeClean,
  describeClose,
  describeData,
  describeError,
  describeExpectedClose,
  describePredicate,
  ExpectationFailed,
  type ExpectedClose,
  expecting,
  isExpectedClose
} from "./internal/expectation.js"
import * as MockTransport from "./MockTransport.js"
import type * as WebSocket from "./WebSocket.js"
import * as WebSocketClient from "./WebSocketClient.js"
import * as WebSocketServer from "./WebSocketServer.js"

/**
 * Something else came than a test expected. It is a defect, as the assertion that it is.
 */
export { ExpectationFailed }

const listening: WebSocketServer.Address = { hostname: "test", port: 80, url: "ws://test" }

/**
 * Both services, with options for the server. Every URL reaches it; `WebSocketServer.address` has one.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (
  options: WebSocketServer.Options
): Layer.Layer<WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const runtime = yield* Effect.runtime<never>()
      const { offer, service } = yield* WebSocketServer.make(listening, options)
      const client = WebSocketClient.make((url, headers, done) => {
        const pair = Runtime.runSync(runtime)(MockTransport.make())
        let dropped = false
        const answer = (status: number, answered: HeaderRecord, body: string) => {
          const received = Handshake.lowerCaseNames(answered)
          // As over a network, the client does not learn of it in the step in which the server answers.
          queueMicrotask(() => {
            if (dropped) return
            if (status === 101) {
              done({ _tag: "Upgraded", headers: received, transport: pair.client })
              return
            }
            const bytes = new TextEncoder().encode(body)
            done({
              _tag: "Failed",
              error: new HandshakeRejected({ status, headers: received, body: bytes, bodyTruncated: false })
            })
          })
        }
        queueMicrotask(() => {
          if (dropped) return
          offer({
            request: {
              method: "GET",
              url: url.pathname + url.search,
              httpVersion: "1.1",
              headers: Handshake.lowerCaseNames({ ...headers, Host: url.host })
            },
            remoteAddress: pair.client.remoteAddress,
            isGone: () => dropped,
            upgrade: (answered) => {
              answer(101, answered, "")
              return pair.server
            },
            reject: answer
          })
        })
        return () => {
          dropped = true
          pair.client.abort()
        }
      })
      return Context.make(WebSocketClient.WebSocketClient, client).pipe(
        Context.add(WebSocketServer.WebSocketServer, service)
      )
    })
  )

/**
 * Both services.
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
 *   return yield* socket.receive
 * }).pipe(Effect.scoped, Effect.provide(WebSocketTest.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer> = layerWith({})

/**
 * Expects the next message of a connection to be a text, bytes, or one that a predicate accepts. Returns it.
 *
 * Fails with nothing: what else comes, the end of the connection included, is a defect (`ExpectationFailed`). It has no
 * deadline of its own. Reads as `socket.receive` does, so nobody else may read meanwhile.
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
 * Expects that no message comes of all that has been done so far, and that the connection is not over: everything that is
 * ready gets its turn, but no time passes.
 *
 * What else happens is a defect (`ExpectationFailed`). Nobody else may read meanwhile.
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
 * How a connection is expected to end. What is left out may be anything.
 *
 * - `code` and `reason`: of the Close that began the closing; 1006 where the connection ended without one.
 * - `initiator`: who began, seen from the connection that is looked at.
 * - `clean`: whether both Closes were exchanged.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExpectedEnd extends ExpectedClose {
  readonly initiator?: Endpoint | undefined
  readonly clean?: boolean | undefined
}

/**
 * Expects the connection to be over next, waits until it is, and returns its status.
 *
 * Another end is a defect (`ExpectationFailed`), and so is a message that comes before it: an expectation is about what comes
 * next. For a connection that somebody else reads there is `socket.closeStatus`.
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

type ExpectedMessage = string | Uint8Array | ((message: Message) => boolean)

const isExpectedMessage = (expected: ExpectedMessage, message: Message): boolean => {
  if (typeof expected === "function") return expected(message)
  const { data } = message
  return typeof expected === "string" || typeof data === "string" ? expected === data : isSameBytes(expected, data)
}

const abnormal: CloseCode.CloseReason = { code: CloseCode.fromName("AbnormalClosure"), reason: "" }

/** As `ConnectionClosed` tells it; where the connection ended with another error, the Close that this sent, if any. */
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

/** Two turns: what is put off to the end of one turn happens in the next. */
const settled = Effect.repeatN(
  Effect.async<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), 0)
    return Effect.sync(() => clearTimeout(timer))
  }),
  1
)
