import type { CloseStatus } from "@effect-websocket/protocol/Connection"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"

/** How a connection ended. */
export interface FinalStatus extends CloseStatus {
  readonly error: ConnectionError
}
