import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { ConnectError } from "../engine/client/Dial.js"
import { findErrorOption, hasInterruptsOnly } from "./effect.js"

/** The value of `error.type` for a failed handshake. There are few, because each is a series of its own. */
export const errorTypeOf = ({ cause }: Exit.Failure<unknown, ConnectError>): string => {
  const failure = Option.getOrUndefined(findErrorOption(cause))
  if (failure === undefined) return hasInterruptsOnly(cause) ? "interrupted" : "defect"
  if (failure._tag === "Handshake_rejected") return errorTypeOfStatus(failure.status)
  return failure._tag === "Io_error" ? failure.reason : failure._tag
}

/** A server can answer with 900 statuses, and each would be a series. Those that HTTP does not define are named by their class. */
const errorTypeOfStatus = (status: number): string => {
  if (definedStatuses.some(([first, last]) => status >= first && status <= last)) return String(status)
  return status >= 200 && status < 600 ? `${Math.floor(status / 100)}xx` : "_OTHER"
}

// From IANA's registry, as ranges: the final statuses.
const definedStatuses = [
  [200, 208],
  [226, 226],
  [300, 308],
  [400, 418],
  [421, 426],
  [428, 429],
  [431, 431],
  [451, 451],
  [500, 508],
  [510, 511]
] as const
