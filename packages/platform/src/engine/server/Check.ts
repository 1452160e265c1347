import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { Defect } from "../Defect.js"
import type { Settings } from "../Settings.js"
import type { ServerRequest } from "./ServerRequest.js"

/** The check accepts. The handler of the connection gets this value. */
export interface Acceptance {
  readonly _tag: "Acceptance"
  readonly value: unknown
  readonly protocol?: string | undefined
  /** Headers of the 101, in addition to those of the handshake. */
  readonly headers?: HeaderRecord | undefined
  /** The settings of this connection, or the error if its options make no sense. */
  readonly settings?: Settings | Defect | undefined
}

/** The check rejects, with an HTTP response. */
export interface Rejection {
  readonly _tag: "Rejection"
  readonly status: number
  readonly headers: HeaderRecord
  readonly body: string
}

/** The check itself failed. The server logs this and answers 500. */
export interface CheckFailure {
  readonly _tag: "CheckFailure"
  readonly message: string
  readonly detail: unknown
}

export type Outcome = Acceptance | Rejection | CheckFailure

/**
 * Decides about a request of a route, and calls `done` once, at once or later. The returned function cancels the check,
 * whose outcome is then ignored.
 */
export type Check = (request: ServerRequest, done: (outcome: Outcome) => void) => () => void

export const acceptAll: Acceptance = { _tag: "Acceptance", value: undefined }
