import type { Name as CloseCodeName } from "@effect-websocket/protocol/CloseCode"
import type { Delivery } from "@effect-websocket/protocol/Connection"
import type { PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Acceptor } from "../engine/server/Acceptor.js"
import type { OpenConnection } from "../engine/server/OpenConnections.js"
import type { ServerConnection } from "../engine/server/ServerConnection.js"
import { toCloseCode } from "../engine/connection/sendable.js"
import { awaitClosed } from "./scopes.js"

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
  abort: Effect.suspend(() => {
    connection.cutShort()
    return awaitClosed(connection)
  })
})

const close = (
  connection: ServerConnection,
  code: number | CloseCodeName = 1000,
  reason?: string
): Effect.Effect<void, ProtocolError | PayloadTooLarge> =>
  Effect.suspend(() => {
    const refused = connection.startClosing(toCloseCode(code), reason)
    return refused === undefined ? awaitClosed(connection) : Effect.fail(refused)
  })
