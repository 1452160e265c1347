/** Messages in both directions between the screen and a peer, until one of them ends. */
import type { PayloadTooLarge, ProtocolError, WebSocketError } from "@effect-websocket/protocol/Errors"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Failure } from "./Failure.js"
import { ping, showFrames, type Peer } from "./Peer.js"
import type { Input, Screen } from "./Screen.js"

/** Whether an error is about what was asked for. All others are the end of the connection, with which `Peer.run` ends, too. */
export const isRefusal = (error: WebSocketError): error is ProtocolError | PayloadTooLarge =>
  (error._tag === "Protocol_error" && error.origin === "local") ||
  (error._tag === "Payload_too_large" && error.direction === "outbound")

/** Does what was asked for. A person is told what was refused, and may try again; a program is not. */
export const perform = (
  input: Input,
  peer: Peer,
  screen: Screen
): Effect.Effect<void, ProtocolError | PayloadTooLarge, Scope.Scope> =>
  request(input, peer, screen).pipe(
    Effect.catch((error) => {
      if (!isRefusal(error)) return Effect.void
      return screen.isInteractive ? Effect.sync(() => screen.warn(error.message)) : Effect.fail(error)
    })
  )

const request = (input: Input, peer: Peer, screen: Screen): Effect.Effect<void, WebSocketError, Scope.Scope> => {
  if (input._tag === "Message") return peer.send(input.message)
  if (input._tag === "Close") return peer.close(input.code, input.reason)
  const socket = peer.current()
  if (socket === undefined) return Effect.sync(() => screen.warn("There is no connection now"))
  if (input._tag === "Pong") return socket.pong(Buffer.from(input.data))
  // The next input does not wait for the pong.
  return ping(socket, input.data, screen).pipe(
    Effect.catch((error) => Effect.sync(() => screen.warn(error.message))),
    Effect.forkScoped,
    Effect.asVoid
  )
}

/**
 * Runs until the peer ends, or until the input has ended and nothing has been received for `wait`; then it closes with 1000.
 * An infinite `wait` leaves the end to the peer.
 */
export const run = (
  peer: Peer,
  screen: Screen,
  wait: Duration.Duration
): Effect.Effect<void, WebSocketError | Failure, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = (): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    // While stdout is full, further messages wait unread.
    let isShowing = false
    let lastActive = now()
    const receive = peer.run((message) => {
      isShowing = true
      showFrames(message, screen)
      const shown = Effect.sync(() => {
        isShowing = false
        lastActive = now()
      })
      return Effect.ensuring(screen.received(message), shown)
    })
    const silence = Effect.gen(function* () {
      if (!Duration.isFinite(wait)) return yield* Effect.never
      lastActive = now()
      while (true) {
        const silent = isShowing ? 0 : now() - lastActive
        const left = Duration.toMillis(wait) - silent
        if (left <= 0) return
        yield* Effect.sleep(Duration.millis(left))
      }
    })
    const send = Effect.gen(function* () {
      yield* screen.run((input) => perform(input, peer, screen))
      if (!screen.isInteractive) yield* silence
      // `receive` goes on until the closing handshake is done.
      yield* peer.close(1000, "")
      return yield* Effect.never
    })
    yield* Effect.raceFirst(receive, send)
  })
