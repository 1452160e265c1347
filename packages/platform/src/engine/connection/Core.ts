import type { Connection, TypeId } from "@effect-websocket/protocol/Connection"

/** The state machine of a connection, as a `Link` uses it: that of the protocol, or the one over a platform's own WebSocket. */
export type Core = Omit<Connection, TypeId>
