import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { HttpRequest } from "@effect-websocket/protocol/Handshake"
import type { Transport } from "../../Transport.js"

/** A request to upgrade that is not answered yet, and the means to answer it. The public `UpgradeAttempt` documents it. */
export interface UpgradeAttempt {
  readonly request: HttpRequest
  readonly remoteAddress: string | undefined
  /** Whether the host has dropped headers of the request because there were too many. Then it is refused. */
  readonly isCut?: boolean | undefined
  readonly isGone: () => boolean
  readonly onGone?: ((listener: () => void) => void) | undefined
  readonly upgrade: (headers: HeaderRecord) => Transport
  readonly reject: (status: number, headers: HeaderRecord, body: string) => void
}
