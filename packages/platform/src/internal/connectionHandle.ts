import type { Name as CloseCodeName } from "@effect-websocket/protocol/CloseCode"
import type { Delivery } from "@effect-websocket/protocol/Connection"
import * as Duration from "effect/Duration"
import type { Acceptor } from "../engine/server/Acceptor.js"
import type { OpenConnection } from "../engine/server/OpenConnections.js"
import { abort, close } from "./closing.js"

/** The open connections of a server, each as the public `ConnectionHandle`. */
export const connectionHandles = ({ connections, timers }: Acceptor) => {
  const { now } = timers
  return connections.all.map((open) => handleOf(open, now))
}

const handleOf = ({ connection, id, request, since, value }: OpenConnection, now: number) => ({
  id,
  url: connection.url,
  delivery: connection.delivery satisfies Delivery,
  protocol: connection.agreement.protocol,
  remoteAddress: connection.transport.remoteAddress,
  clientAddress: request.clientAddress,
  value,
  age: Duration.millis(now - since),
  receivedMessages: connection.receivedMessages,
  receivedBytes: connection.receivedBytes,
  sentMessages: connection.sentMessages,
  sentBytes: connection.sentBytes,
  unreadBytes: connection.unreadBytes,
  unsentBytes: connection.unsentBytes,
  close: (code?: number | CloseCodeName, reason?: string) => close(connection, code, reason),
  abort: abort(connection)
})
