/** The dimensions of the closing matrix, the cells that cannot happen, and the expected result of all others. */
import type { WebSocket } from "@effect-websocket/platform/WebSocket"
import type { WebSocketError } from "@effect-websocket/protocol/Errors"
import { Effect } from "../effect/index.js"

export const roles = ["client", "server"] as const
export type Role = (typeof roles)[number]

/** How the app's side ends. */
export const endings = ["success", "interruption", "failure", "defect", "release"] as const
export type Ending = (typeof endings)[number]

/** The moments before a connection is open. */
export const openings = ["resolving", "connecting", "TLS", "waiting for 101"] as const
export type Opening = (typeof openings)[number]

/** When the app's side ends. */
export const moments = [
  "between the 101 and the handler",
  "idle",
  "suspended in `receive`",
  "suspended in `send`",
  "in a fragmented send",
  "in `run`'s handler",
  "while already closing",
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

/**
 * The result of a cell. Frames are written as `Close 1000`, errors as `Connection_closed 1000`, with `unclean` if they
 * are not clean.
 */
export interface Result {
  /** What this side wrote, without the data that makes `send` suspend. */
  readonly wrote: ReadonlyArray<string>
  /** The part of it that the peer received. */
  readonly peerReceived: ReadonlyArray<string>
  /** The connection's error at this side, and at the peer. */
  readonly error: string
  readonly peerError: string
  /**
   * From the end of the app's side until the connection and all of its resources are gone, in milliseconds on `Clock`.
   */
  readonly time: number
  /**
   * The result of the app's operation if nothing interrupts it, as when a layer is released; otherwise `interrupted`.
   */
  readonly activity: string
}

export const closeCodeOf = ({ ending, moment, role }: Cell): number =>
  moment === "while already closing"
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

/** The expected result by the rules of docs/closing.md, not taken from a run. */
export const expected = (cell: Cell): Result => {
  const { behaviour, ending, moment, role } = cell
  const code = closeCodeOf(cell)
  // A server's layer closes its connections whatever the app is doing, so the app's last message comes too late.
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
      ? closeTimeout - (moment === "while already closing" ? closingSince : 0)
      : behaviour === "answers late"
        ? // A server ends TCP after the answer, and the client's end of TCP takes the same time again.
          lateBy * (role === "server" ? 2 : 1)
        : 0,
    activity: activityOf(cell, error)
  }
}

/** Only the release of a layer ends a connection while its app goes on. */
const activityOf = (cell: Cell, error: string): string => {
  if (cell.ending !== "release") return "interrupted"
  switch (cell.moment) {
    case "suspended in `receive`":
      return error
    case "suspended in `send`":
      // The next `send` fails while the Close is on its way: the earlier ones complete as soon as there is room.
      return ["answers late", "never answers"].includes(cell.behaviour)
        ? `Connection_closed ${closeCodeOf(cell)} local unclean`
        : error
    case "in a fragmented send":
      // The message is sent whole, unless the peer stops reading.
      return ["answers", "answers late", "never answers"].includes(cell.behaviour) ? "done" : error
    case "while already closing":
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

/** Why a cell before the 101 cannot happen, or `undefined` if it can. */
export const impossible = ({ behaviour, ending, opening, role }: OpeningCell): string | undefined => {
  const noPeer = opening === "resolving" || opening === "connecting"
  if (role === "server" && noPeer) return "A server does not resolve names or connect."
  if (role === "server" && ending !== "release") {
    return "No fiber of the app has the connection yet, so only the layer can end it. If an `accept` ends, the request stays for the next one."
  }
  if (role === "client" && ending === "release") {
    return "A client belongs to the layer that acquires it. A layer that is still being built is interrupted, not released."
  }
  if (opening === "resolving" && !["answers late", "never answers"].includes(behaviour)) {
    return "There is no peer while a name is resolved: the resolver answers or it does not."
  }
  if (opening === "connecting" && behaviour !== "never answers") {
    return "There is no peer while TCP connects: a later answer of the kernel finds no socket."
  }
  if (role === "server" && behaviour.startsWith("answers"))
    return "Before the 101 the server sends nothing that a client could answer."
  if (behaviour === "vanishes") return "For the dropped socket, this is the same as a peer that never answers."
  return undefined
}

/** The outcome of a cell before the 101. Each test of `sockets.test.ts` compares its run with it. */
export const openingOutcome = ({ behaviour, opening, role }: OpeningCell): string => {
  if (role === "client") {
    return "`connect` is interrupted and the socket is dropped at once. There is no WebSocket yet, so no Close is sent."
  }
  if (opening === "TLS") return "The socket is dropped at once."
  return behaviour === "resets"
    ? "There is no client left to answer."
    : "The server answers the request with 503 at once, and ends TCP."
}

/** What the app is doing when its side ends. `bytes` is more than a transport takes at once. */
export const activity = (moment: Moment, socket: WebSocket, bytes: number): Effect.Effect<unknown, WebSocketError> => {
  switch (moment) {
    case "suspended in `receive`":
      return socket.receive
    case "suspended in `send`":
      return Effect.forever(socket.send(new Uint8Array(bytes)))
    case "in a fragmented send":
      return socket.send(new Uint8Array(bytes))
    case "in `run`'s handler":
      return socket.run(() => Effect.never)
    case "while already closing":
      return socket.close(ownCode)
    default:
      return Effect.never
  }
}
