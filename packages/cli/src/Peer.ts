/** What a session talks to: one connection, or one after the other. */
import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import type * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import * as Errors from "@effect-websocket/protocol/Errors"
import * as Extension from "@effect-websocket/protocol/Extension"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Message from "@effect-websocket/protocol/Message"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { exitCodes } from "./ExitCode.js"
import { Failure } from "./Failure.js"
import { shownPayload } from "./Format.js"
import type { Screen } from "./Screen.js"

export interface Peer {
  /** The connection that is open now, if one is. */
  readonly current: () => WebSocket.WebSocket | undefined
  readonly send: (message: Message.Message) => Effect.Effect<void, Errors.ConnectionError>
  /** Calls the handler for each message. Succeeds once the connection has ended normally, and else fails. */
  readonly run: (
    handler: (message: Message.Message) => Effect.Effect<void, Failure>
  ) => Effect.Effect<void, Errors.WebSocketError | Failure>
  readonly close: (code: number, reason: string) => Effect.Effect<void, Errors.ProtocolError | Errors.PayloadTooLarge>
}

export const millis = (duration: Duration.Duration): string => `${Duration.toMillis(duration).toFixed(1)} ms`

const describeClose = ({ code, reason }: CloseCode.CloseReason): string => {
  const name = CloseCode.toName(code)
  return [code, ...(name === undefined ? [] : [`(${name})`]), ...(reason === "" ? [] : [`"${reason}"`])].join(" ")
}

const describeStatus = ({ clean, initiator, received, sent }: WebSocket.CloseStatus): string => {
  const closes = [
    ...(received === undefined ? [] : [`received Close ${describeClose(received)}`]),
    ...(sent === undefined ? [] : [`sent Close ${describeClose(sent)}`])
  ]
  if (initiator === "local") closes.reverse()
  return `closed: ${[...closes, clean ? "clean" : "not clean"].join(", ")}`
}

/** Shows that a connection began (`what`) and how it ended, and its pings until the scope ends. */
export const observe = (
  socket: WebSocket.WebSocket,
  screen: Screen,
  verbose: boolean,
  what = "connected",
  name = ""
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const extensions = Extension.format(socket.extensions)
    screen.note(
      [
        `${name}${what}`,
        ...(socket.protocol === undefined ? [] : [`subprotocol ${socket.protocol}`]),
        ...(typeof extensions === "string" && extensions !== "" ? [`extensions ${extensions}`] : [])
      ].join("; ")
    )
    const show = (what: string) => (payload: Uint8Array) =>
      Effect.sync(() =>
        screen.note(`${name}received ${what}${payload.length === 0 ? "" : ` ${shownPayload(payload)}`}`)
      )
    yield* Effect.forkScoped(Stream.runForEach(socket.pings, show("ping")))
    // Those that answer heartbeats, too.
    if (verbose) yield* Effect.forkScoped(Stream.runForEach(socket.pongs, show("pong")))
    // Not in the scope, whose end comes before that of the connection.
    yield* Effect.forkDetach(
      Effect.map(socket.closeStatus, (status) => screen.note(`${name}${describeStatus(status)}`))
    )
  })

/** The headers and the body of a response that refused the handshake. */
export const showRejection = (error: Errors.WebSocketError, screen: Screen): void => {
  if (!Errors.isHandshakeRejected(error)) return
  for (const [name, value] of Object.entries(error.headers)) screen.note(`${name}: ${[value].flat().join(", ")}`)
  if (error.text !== "") for (const line of error.text.trimEnd().split("\n")) screen.note(line)
}

/** The frames of a message, if they were recorded. */
export const showFrames = (message: Message.Message, screen: Screen): void => {
  for (const frame of Message.frames(message) ?? []) screen.note(`received frame ${Frame.format(frame)}`)
}

export const ping = (
  socket: WebSocket.AnyWebSocket,
  data: string,
  screen: Screen
): Effect.Effect<void, Errors.ConnectionError> =>
  Effect.map(socket.ping(data === "" ? undefined : Buffer.from(data)), (time) =>
    screen.note(`received the pong after ${millis(time)}`)
  )

/** One connection. */
export const single = (socket: WebSocket.WebSocket): Peer => ({
  current: () => socket,
  send: (message) => socket.send(message),
  run: (handler) => socket.run(handler),
  close: (code, reason) => socket.close(code, reason)
})

/**
 * Connections one after the other; `ReconnectingWebSocket.classify` says when the last one has ended. If it is closed while there is
 * none, `run` fails with the reason why there is none.
 */
export const reconnecting = (
  url: string,
  recordFrames: boolean,
  screen: Screen,
  verbose: boolean
): Effect.Effect<Peer, never, WebSocketClient.WebSocketClient | Scope.Scope> =>
  Effect.gen(function* () {
    let current: WebSocket.WebSocket | undefined
    let problem: Errors.WebSocketError | Failure = new Failure({
      exitCode: exitCodes.timeout,
      message: "There is no connection yet"
    })
    let missing: Errors.WebSocketError | Failure | undefined
    const scope = yield* Effect.scope
    const socket = yield* ReconnectingWebSocket.make(url, {
      recordFrames,
      onConnect: (connection) => {
        current = connection
        return Effect.provideService(
          observe(connection, screen, verbose, `connected to ${connection.url}`),
          Scope.Scope,
          scope
        )
      }
    })
    yield* Effect.forkScoped(
      Stream.runForEach(socket.state.changes, (state) =>
        Effect.sync(() => {
          if (state._tag !== "Waiting") return
          problem = state.failure
          screen.warn(`${problem.message}; connects again in ${millis(state.delay)}`)
        })
      )
    )
    return {
      current: () => current,
      send: (message) =>
        Effect.map(socket.send(message), (outcome) => {
          if (outcome !== "delivered") screen.warn(`A message was lost: ${outcome}`)
        }),
      run: (handler) =>
        Effect.gen(function* () {
          while (true) {
            const message = yield* socket.receiveOption
            if (message._tag === "None") return yield* missing === undefined ? Effect.void : Effect.fail(missing)
            yield* handler(message.value)
          }
        }),
      close: (code, reason) =>
        Effect.gen(function* () {
          missing = (yield* socket.state.get)._tag === "Open" ? undefined : problem
          yield* socket.close(code, reason)
        })
    }
  })
