import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { Defect } from "../Defect.js"
import type { Settings } from "../Settings.js"
import type { ServerRequest } from "./ServerRequest.js"

/** A request gets a connection, which has this value for its handler. */
export interface Acceptance {
  readonly _tag: "Acceptance"
  readonly value: unknown
  readonly protocol?: string | undefined
  /** Besides those of the handshake. */
  readonly headers?: HeaderRecord | undefined
  /** Those of this connection alone, or why they make no sense. */
  readonly settings?: Settings | Defect | undefined
}

/** A request gets an HTTP response. */
export interface Rejection {
  readonly _tag: "Rejection"
  readonly status: number
  readonly headers: HeaderRecord
  readonly body: string
}

/** The check itself failed, for the log. The request gets 500. */
export interface CheckFailure {
  readonly _tag: "CheckFailure"
  readonly message: string
  readonly detail: unknown
}

export type Outcome = Acceptance | Rejection | CheckFailure

/**
 * Decides about a request of a route, and calls `done` once, at once or later. The function that it returns cancels it: then
 * nobody waits for the outcome.
 */
export type Check = (request: ServerRequest, done: (outcome: Outcome) => void) => () => void

export const acceptAll: Acceptance = { _tag: "Acceptance", value: undefined }
