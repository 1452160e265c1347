import type { Connection, TypeId } from "@effect-websocket/protocol/Connection"

/** The state machine of a connection, as a `Link` uses it: that of the protocol, or the one over a platform's own WebSocket. */
export type Core = Omit<Connection, TypeId | "settlesLate"> & {
  settlesLate?: boolean
  /** The bytes of payloads that have arrived, if the chunks of the transport do not have them. A text counts UTF-16 units. */
  readonly arrivedBytes?: number
}
