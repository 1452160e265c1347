/** The dimensions of the closing matrix, which cells of it cannot happen, and what must come out of the others. */
import type { WebSocket } from "@effect-websocket/platform/WebSocket"
import type { WebSocketError } from "@effect-websocket/protocol/Errors"
import { Effect } from "effect"

export const roles = ["client", "server"] as const
export type Role = (typeof roles)[number]

/** How the app's side ends. */
export const endings = ["success", "interruption", "failure", "defect", "release"] as const
export type Ending = (typeof endings)[number]

/** The moments before a connection is open. */
export const openings = ["resolving", "connecting", "TLS", "waiting for 101"] as const
export type Opening = (typeof openings)[number]

/** When it ends. */
export const moments = [
  "between the 101 and the handler",
  "idle",
  "suspended in `receive`",
  "suspended in `send`",
  "in a fragmented send",
  "in `run`'s handler",
  "while closing already",
  "in a finalizer of the app"
] as const
export type Moment = (typeof moments)[number]

/** What the peer does meanwhile. */
export const behaviours = [
  "answers",
  "answers late",
  "never answers",
  "never reads",
  "half-closes",
  "resets",
  "vanishes",
  "violates"
] as const
export type Behaviour = (typeof behaviours)[number]

export interface Cell {
  readonly role: Role
  readonly ending: Ending
  readonly moment: Moment
  readonly behaviour: Behaviour
}

/** In milliseconds. */
export const closeTimeout = 5000
export const lateBy = 100
/** How long the explicit `close` has been under way when the app's side ends. */
export const closingSince = 1000
/** The code of that `close`. */
export const ownCode = 4000

/** What came of a cell. Frames as `Close 1000`; errors as `Connection_closed 1000`, with `unclean` where they are not. */
export interface Result {
  /** What this side wrote, without the filling of a suspended `send`. */
  readonly wrote: ReadonlyArray<string>
  /** What the peer received of it. */
  readonly peerReceived: ReadonlyArray<string>
  /** The connection's error at this side, and at the peer. */
  readonly error: string
  readonly peerError: string
  /** From the end of the app's side to the end of the connection and everything of it, in milliseconds on `Clock`. */
  readonly time: number
  /** Where nobody interrupts what the app is doing, as with the release of a layer, what it comes to. */
  readonly activity: string
}

export const closeCodeOf = ({ ending, moment, role }: Cell): number =>
  moment === "while closing already"
    ? ownCode
    : ending === "success"
      ? 1000
      : ending === "interruption"
        ? 1001
        : ending === "release"
          ? role === "server"
            ? 1001
            : 1000
          : 1011

/** By the rules of docs/closing.md, not from a run. */
export const expected = (cell: Cell): Result => {
  const { behaviour, ending, moment, role } = cell
  const code = closeCodeOf(cell)
  // A server's layer closes its connections whatever the app is doing, so the app's last word comes too late.
  const lastWord = moment === "in a finalizer of the app" && !(role === "server" && ending === "release")
  const wrote = [...(lastWord ? ["Text bye"] : []), `Close ${code}`]
  const readsNothing = behaviour === "never reads" || behaviour === "vanishes" || behaviour === "resets"
  const unanswered = behaviour === "never answers" || behaviour === "never reads" || behaviour === "vanishes"
  const error =
    behaviour === "answers" || behaviour === "answers late"
      ? `Connection_closed ${code} local`
      : behaviour === "resets"
        ? "Io_error Reset"
        : behaviour === "violates"
          ? "Protocol_error"
          : "Connection_closed 1006 local unclean"
  return {
    wrote,
    peerReceived: readsNothing ? [] : wrote,
    error,
    peerError: behaviour === "vanishes" ? "none" : readsNothing ? "Io_error Reset" : `Connection_closed ${code} remote`,
    time: unanswered
      ? closeTimeout - (moment === "while closing already" ? closingSince : 0)
      : behaviour === "answers late"
        ? // A server ends TCP when the answer has come, and the client's end is as late again.
          lateBy * (role === "server" ? 2 : 1)
        : 0,
    activity: activityOf(cell, error)
  }
}

/** Only the release of a layer ends a connection under an app that goes on. */
const activityOf = (cell: Cell, error: string): string => {
  if (cell.ending !== "release") return "interrupted"
  switch (cell.moment) {
    case "suspended in `receive`":
      return error
    case "suspended in `send`":
      // The next one, while the Close is on its way, because those that came before it are done as soon as there is room.
      return ["answers late", "never answers"].includes(cell.behaviour)
        ? `Connection_closed ${closeCodeOf(cell)} local unclean`
        : error
    case "in a fragmented send":
      // The message is sent whole, unless nobody reads it any more.
      return ["answers", "answers late", "never answers"].includes(cell.behaviour) ? "done" : error
    case "while closing already":
      return "done"
    default:
      return "interrupted"
  }
}

export const nameError = (error: WebSocketError): string => {
  switch (error._tag) {
    case "Connection_closed":
      return `Connection_closed ${error.code} ${error.initiator}${error.clean ? "" : " unclean"}`
    case "Io_error":
      return `Io_error ${error.reason}`
    default:
      return error._tag
  }
}

export interface OpeningCell {
  readonly role: Role
  readonly opening: Opening
  readonly ending: Ending
  readonly behaviour: Behaviour
}

/** Why a cell before the 101 cannot happen, or `undefined` where it can. */
export const impossible = ({ behaviour, ending, opening, role }: OpeningCell): string | undefined => {
  const noPeer = opening === "resolving" || opening === "connecting"
  if (role === "server" && noPeer) return "A server neither resolves nor connects."
  if (role === "server" && ending !== "release") {
    return "No fiber of the app has the connection yet, so only the layer can end it; a request that an `accept` leaves is for the next one."
  }
  if (role === "client" && ending === "release") {
    return "A client belongs to the layer that acquires it; while that is being built it is not released but interrupted."
  }
  if (opening === "resolving" && !["answers late", "never answers"].includes(behaviour)) {
    return "While a name is resolved there is no peer: the resolver answers or it does not."
  }
  if (opening === "connecting" && behaviour !== "never answers") {
    return "While TCP connects there is no peer: what the kernel answers later finds no socket."
  }
  if (role === "server" && behaviour.startsWith("answers")) return "A client has nothing to answer before the 101."
  if (behaviour === "vanishes") return "To the socket that is dropped it is the same as a peer that never answers."
  return undefined
}

/** What comes of a cell before the 101, which each test of `closingOverSockets.test.ts` holds the run against. */
export const openingOutcome = ({ behaviour, opening, role }: OpeningCell): string => {
  if (role === "client") {
    return "`connect` is interrupted and the socket dropped, at once; there is no WebSocket yet, so no Close."
  }
  if (opening === "TLS") return "The socket is dropped, at once."
  return behaviour === "resets"
    ? "Nothing is left to answer."
    : "The request is answered with 503, at once, and TCP ended."
}

/** What the app is doing when its side ends. `fragmentedBytes` are more than a transport takes at once. */
export const activity = (
  moment: Moment,
  socket: WebSocket,
  fragmentedBytes: number
): Effect.Effect<unknown, WebSocketError> => {
  switch (moment) {
    case "suspended in `receive`":
      return socket.receive
    case "suspended in `send`":
      return Effect.forever(socket.send(new Uint8Array(65536)))
    case "in a fragmented send":
      return socket.send(new Uint8Array(fragmentedBytes))
    case "in `run`'s handler":
      return socket.run(() => Effect.never)
    case "while closing already":
      return socket.close(ownCode)
    default:
      return Effect.never
  }
}
